/* SPDX-License-Identifier: MIT */
/*
 * pppd_compat.h - pppd 2.4.9 and 2.5 behind one set of names. The only place that knows versions.
 *
 * Include this before anything else. pppd 2.4.9 has `typedef unsigned char bool`, which cannot
 * stand beside <stdbool.h> (nor beside C23's keyword): its headers are therefore read with another
 * name for that type, which leaves every structure as pppd compiled it, and the name `bool` for
 * _Bool everywhere after. Both are one byte; pppd_bool is what pppd's own variables are.
 *
 * pppd 2.5 hides in pppd-private.h some variables that it exports all the same. They are declared
 * here, and used through weak references: where one is missing, its address is NULL.
 */
#ifndef RASIP_PPPD_COMPAT_H
#define RASIP_PPPD_COMPAT_H

#if defined(bool) || defined(__bool_true_false_are_defined)
#error "include pppd_compat.h before anything that includes <stdbool.h>"
#endif

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

/* No version has a number to compare; 2.5 is the first with this header. */
#if defined(__has_include) && __has_include(<pppd/pppdconf.h>)

#define COMPAT_PPPD_25 1
#include <stdbool.h>
typedef bool pppd_bool;
#include <pppd/pppd.h>
#include <pppd/options.h>
#include <pppd/upap.h>
#include <pppd/chap.h>
#include <pppd/fsm.h>
#include <pppd/lcp.h>
#include <pppd/ipcp.h>
#define COMPAT_VERSION PPPD_VERSION
#define COMPAT_PEER_AUTHENTICATED (0x2 | 0x8 | 0x20) /* by PAP, CHAP, EAP */

extern pppd_bool demand;
extern int auth_done[];
extern char path_upapfile[]; /* since 2.5.1 */
extern char path_chapfile[];
#pragma weak path_upapfile
#pragma weak path_chapfile

#else

#define COMPAT_PPPD_25 0
#define bool pppd_bool
#define HAVE_MULTILINK /* as distributions build it; without, the header redefines variables */
#include <pppd/pppd.h>
#include <pppd/fsm.h>
#include <pppd/lcp.h>
#include <pppd/ipcp.h>
#undef bool
#include <stdbool.h>
#define COMPAT_VERSION VERSION
#define COMPAT_PEER_AUTHENTICATED (PAP_PEER | CHAP_PEER | EAP_PEER)

#endif

_Static_assert(sizeof(pppd_bool) == 1, "pppd's bool is one byte in every version");

#pragma weak demand
#pragma weak auth_done

/* The events that the plugin follows. */
enum compat_event {
	COMPAT_PID_CHANGE,
	COMPAT_PHASE,
	COMPAT_EXIT,
	COMPAT_SIGNAL,
	COMPAT_IP_UP,
	COMPAT_AUTH_UP,
	COMPAT_LINK_DOWN,
	COMPAT_FORK,
};

#if COMPAT_PPPD_25

static inline void compat_add_options(option_t *options)
{
	ppp_add_options(options);
}

static inline void compat_option_error(const char *text)
{
	static char format[] = "%s";

	ppp_option_error(format, text);
}

static inline void compat_notify(enum compat_event event, void (*func)(void *, int))
{
	static const ppp_notify_t types[] = {
		[COMPAT_PID_CHANGE] = NF_PID_CHANGE,
		[COMPAT_PHASE] = NF_PHASE_CHANGE,
		[COMPAT_EXIT] = NF_EXIT,
		[COMPAT_SIGNAL] = NF_SIGNALED,
		[COMPAT_IP_UP] = NF_IP_UP,
		[COMPAT_AUTH_UP] = NF_AUTH_UP,
		[COMPAT_LINK_DOWN] = NF_LINK_DOWN,
		[COMPAT_FORK] = NF_FORK,
	};

	ppp_add_notify(types[event], func, NULL);
}

static inline void compat_timeout(void (*func)(void *), int ms)
{
	ppp_timeout(func, NULL, ms / 1000, ms % 1000 * 1000);
}

static inline void compat_untimeout(void (*func)(void *))
{
	ppp_untimeout(func, NULL);
}

static inline void compat_setenv(char *name, char *value)
{
	ppp_script_setenv(name, value, 0);
}

static inline void compat_unsetenv(char *name)
{
	ppp_script_unsetenv(name);
}

static inline const char *compat_authname(void)
{
	return ppp_peer_authname(NULL, 0);
}

static inline const char *compat_device(void)
{
	const char *name = ppp_devnam();

	if (name == NULL || name[0] == '\0')
		name = ppp_pppdevnam(); /* a pty */
	return name != NULL ? name : "";
}

static inline const char *compat_interface(void)
{
	const char *name = ppp_ifname();

	return name != NULL ? name : "";
}

static inline int compat_status(void)
{
	return (int)ppp_status();
}

static inline void compat_set_status(int code)
{
	ppp_set_status((ppp_exit_code_t)code);
}

/* `variable` is where pppd since 2.5.1 keeps the path, NULL before. */
static inline const char *compat_secrets(const char *variable, const char *name, char *buffer,
					 size_t size)
{
	if (variable != NULL)
		return variable;
	ppp_get_filepath(PPP_DIR_CONF, name, buffer, size);
	return buffer;
}

static inline const char *compat_pap_secrets(char *buffer, size_t size)
{
	return compat_secrets(path_upapfile, "pap-secrets", buffer, size);
}

static inline const char *compat_chap_secrets(char *buffer, size_t size)
{
	return compat_secrets(path_chapfile, "chap-secrets", buffer, size);
}

#else

static inline void compat_add_options(option_t *options)
{
	add_options(options);
}

static inline void compat_option_error(const char *text)
{
	static char format[] = "%s";

	option_error(format, text);
}

static inline void compat_notify(enum compat_event event, void (*func)(void *, int))
{
	struct notifier **const lists[] = {
		[COMPAT_PID_CHANGE] = &pidchange,
		[COMPAT_PHASE] = &phasechange,
		[COMPAT_EXIT] = &exitnotify,
		[COMPAT_SIGNAL] = &sigreceived,
		[COMPAT_IP_UP] = &ip_up_notifier,
		[COMPAT_AUTH_UP] = &auth_up_notifier,
		[COMPAT_LINK_DOWN] = &link_down_notifier,
		[COMPAT_FORK] = &fork_notifier,
	};

	add_notifier(lists[event], func, NULL);
}

static inline void compat_timeout(void (*func)(void *), int ms)
{
	timeout(func, NULL, ms / 1000, ms % 1000 * 1000);
}

static inline void compat_untimeout(void (*func)(void *))
{
	untimeout(func, NULL);
}

static inline void compat_setenv(char *name, char *value)
{
	script_setenv(name, value, 0);
}

static inline void compat_unsetenv(char *name)
{
	script_unsetenv(name);
}

static inline const char *compat_authname(void)
{
	return peer_authname;
}

static inline const char *compat_device(void)
{
	return devnam[0] != '\0' ? devnam : ppp_devnam; /* the latter has a pty's name */
}

static inline const char *compat_interface(void)
{
	return ifname;
}

static inline int compat_status(void)
{
	return status;
}

static inline void compat_set_status(int code)
{
	status = code;
}

static inline const char *compat_pap_secrets(char *buffer, size_t size)
{
	(void)buffer;
	(void)size;
	return "/etc/ppp/pap-secrets";
}

static inline const char *compat_chap_secrets(char *buffer, size_t size)
{
	(void)buffer;
	(void)size;
	return "/etc/ppp/chap-secrets";
}

#endif

/* Calls `func` once, after `ms` or `max_ms`, whichever is less, instead of when it was to be called
 * before; ms < 0: not at all. */
static inline void compat_rearm(void (*func)(void *), int64_t ms, int64_t max_ms)
{
	compat_untimeout(func);
	if (ms >= 0)
		compat_timeout(func, (int)(ms < max_ms ? ms : max_ms));
}

static inline bool compat_is_demand(void)
{
	return &demand != NULL && demand;
}

/*
 * The peer's name, "" for nobody. pppd never clears the name that it keeps: a peer that did not
 * have to authenticate would be taken for the one before it on the same link.
 */
static inline const char *compat_user(void)
{
	const char *name = compat_authname();

	if (name == NULL)
		return "";
	if (auth_done != NULL && (auth_done[0] & COMPAT_PEER_AUTHENTICATED) == 0)
		return "";
	return name;
}

/* The port: the device without /dev/, or the interface where pppd knows no device (L2TP). */
static inline const char *compat_port(void)
{
	const char *name = compat_device();

	if (name[0] == '\0')
		return compat_interface();
	return strncmp(name, "/dev/", 5) == 0 ? name + 5 : name;
}

#endif
