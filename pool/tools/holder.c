/* SPDX-License-Identifier: MIT */
/*
 * holder.c - whether a process is the one that a lease's record means. A process number says
 * little: the process may run where numbers mean other processes (a container that shares
 * runtime_dir), or have ended and its number be somebody else's by now. The lock that makes the
 * lease its own (owner.h) is proof, and the kernel tells in /proc who has which lock open.
 */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owner.h"

enum answer { NO, YES, UNKNOWN };

/* "lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:10960978 1 1", where the last two are first and last
 * byte. Only locks that were taken through this descriptor are listed. */
static bool is_lock_of(const char *line, uint32_t byte)
{
	const char *p = strstr(line, " WRITE ");
	unsigned int first, last;

	return strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK") != NULL && p != NULL &&
	       sscanf(p, " WRITE %*s %*s %u %u", &first, &last) == 2 && first == byte &&
	       last == byte;
}

static bool descriptor_holds(const char *info_path, uint32_t byte)
{
	FILE *file = fopen(info_path, "re");
	char line[512];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		found = is_lock_of(line, byte);
	if (file != NULL)
		fclose(file);
	return found;
}

static enum answer holds_lock(pid_t pid, const char *runtime_dir, uint32_t addr)
{
	struct stat wanted, status;
	char path[4096], name[OWNER_FILE_NAME_SIZE];
	enum answer answer = NO;
	struct dirent *entry;
	DIR *dir;

	owner_file_name(owner_file(addr), name);
	snprintf(path, sizeof(path), "%s/%s", runtime_dir, name);
	if (stat(path, &wanted) < 0)
		return UNKNOWN;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? NO : UNKNOWN;
	while (answer == NO && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, entry->d_name);
		if (stat(path, &status) < 0 || status.st_ino != wanted.st_ino ||
		    status.st_dev != wanted.st_dev)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", (int)pid, entry->d_name);
		if (descriptor_holds(path, addr))
			answer = YES;
	}
	closedir(dir);
	return answer;
}

/* Milliseconds since boot: field 22 of /proc/PID/stat, in ticks, counted behind the name, which may
 * hold anything. */
static bool process_start_ms(pid_t pid, int64_t *ret)
{
	char path[64], buf[1024];
	const char *p;
	uint64_t ticks;
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, file);
	fclose(file);
	buf[n] = '\0';
	p = strrchr(buf, ')');
	for (int field = 2; p != NULL && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL || sscanf(p, "%" SCNu64, &ticks) != 1)
		return false;
	*ret = (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
	return true;
}

bool is_holder(pid_t pid, const char *runtime_dir, uint32_t addr, int64_t seen_ms)
{
	enum answer answer = holds_lock(pid, runtime_dir, addr);
	int64_t start_ms;

	if (answer != UNKNOWN)
		return answer == YES;
	/* Nobody lets us look (pppd was set-uid, say): that it is old enough has to do. */
	return process_start_ms(pid, &start_ms) && start_ms <= seen_ms;
}
