/* SPDX-License-Identifier: MIT */
/* Preloaded into a process: its time of day is off by $SKEW_SEC seconds. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret)
{
	const char *skew = getenv("SKEW_SEC");
	int code = (int)syscall(SYS_clock_gettime, clock, ret);

	if (code == 0 && clock == CLOCK_REALTIME && skew != NULL)
		ret->tv_sec += atol(skew);
	return code;
}

__attribute__((visibility("default"))) time_t time(time_t *ret)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}
