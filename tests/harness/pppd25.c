/* SPDX-License-Identifier: MIT */
/* The names that plugins use in pppd 2.5. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "pppd_headers.h"
#include "side.h"

#if PPPD_25

/* pppd's headers declare these with (). */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

extern char ppp_devnam_text[];

EXPORT void ppp_add_options(struct option *options)
{
	add_options(options);
}

EXPORT int ppp_int_option(char *text, int *value)
{
	return int_option(text, value);
}

static struct notifier **notifiers(ppp_notify_t type)
{
	static struct notifier **const lists[NF_MAX_NOTIFY] = {
		[NF_PID_CHANGE] = &pidchange,     [NF_PHASE_CHANGE] = &phasechange,
		[NF_EXIT] = &exitnotify,          [NF_SIGNALED] = &sigreceived,
		[NF_IP_UP] = &ip_up_notifier,     [NF_IP_DOWN] = &ip_down_notifier,
		[NF_IPV6_UP] = &ipv6_up_notifier, [NF_IPV6_DOWN] = &ipv6_down_notifier,
		[NF_AUTH_UP] = &auth_up_notifier, [NF_LINK_DOWN] = &link_down_notifier,
		[NF_FORK] = &fork_notifier,
	};

	return lists[type];
}

EXPORT void ppp_add_notify(ppp_notify_t type, ppp_notify_fn *func, void *ctx)
{
	add_notifier(notifiers(type), func, ctx);
}

EXPORT void ppp_del_notify(ppp_notify_t type, ppp_notify_fn *func, void *ctx)
{
	remove_notifier(notifiers(type), func, ctx);
}

EXPORT void ppp_timeout(ppp_timer_cb func, void *arg, int s, int us)
{
	timeout(func, arg, s, us);
}

EXPORT void ppp_untimeout(void (*func)(void *), void *arg)
{
	untimeout(func, arg);
}

EXPORT int ppp_get_time(struct timeval *now)
{
	return get_time(now);
}

EXPORT void ppp_script_setenv(char *name, char *value, int iskey)
{
	script_setenv(name, value, iskey);
}

EXPORT void ppp_script_unsetenv(char *name)
{
	script_unsetenv(name);
}

EXPORT ppp_exit_code_t ppp_status(void)
{
	return (ppp_exit_code_t)status;
}

EXPORT void ppp_set_status(ppp_exit_code_t code)
{
	status = (int)code;
}

EXPORT bool ppp_bad_ip_addr(uint32_t address)
{
	return bad_ip_adrs(address);
}

EXPORT bool ppp_persist(void)
{
	return persist;
}

EXPORT bool debug_on(void)
{
	return debug != 0;
}

EXPORT bool mp_on(void)
{
	return doing_multilink;
}

EXPORT bool mp_master(void)
{
	return multilink_master;
}

EXPORT const char *ppp_peer_authname(char *buf, size_t bufsz)
{
	if (buf && bufsz)
		strlcpy(buf, peer_authname, bufsz);
	return buf ? buf : peer_authname;
}

EXPORT const char *ppp_remote_name(void)
{
	return remote_name;
}

EXPORT const char *ppp_get_remote_number(void)
{
	return remote_number;
}

EXPORT const char *ppp_ipparam(void)
{
	return ipparam;
}

EXPORT const char *ppp_hostname(void)
{
	return hostname;
}

EXPORT int ppp_ifunit(void)
{
	return ifunit;
}

EXPORT const char *ppp_ifname(void)
{
	return ifname;
}

EXPORT int ppp_get_ifname(char *buf, size_t bufsz)
{
	return (int)strlcpy(buf, ifname, bufsz);
}

EXPORT const char *ppp_devnam(void)
{
	return devnam;
}

EXPORT int ppp_set_devnam(const char *name)
{
	return (int)strlcpy(devnam, name, PATH_MAX);
}

EXPORT const char *ppp_pppdevnam(void)
{
	return ppp_devnam_text;
}

EXPORT int ppp_set_pppdevnam(const char *name)
{
	return (int)strlcpy(ppp_devnam_text, name, PATH_MAX);
}

EXPORT int ppp_get_filepath(ppp_path_t type, const char *name, char *buf, size_t bufsz)
{
	return snprintf(buf, bufsz, "%s/%s", type == PPP_DIR_CONF ? "/etc/ppp" : "/run/ppp", name);
}

EXPORT int ppp_get_session_number(void)
{
	return ppp_session_number;
}

EXPORT bool ppp_signaled(int sig)
{
	return sig == got_sigterm;
}

EXPORT int ppp_get_max_connect_time(void)
{
	return maxconnect;
}

EXPORT void ppp_set_max_connect_time(unsigned int max)
{
	maxconnect = (int)max;
}

#endif
