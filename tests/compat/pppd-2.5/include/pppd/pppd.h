/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. */
#ifndef COMPAT_PPPD_H
#define COMPAT_PPPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pppdconf.h"

typedef enum ppp_phase {
	PHASE_DEAD = 0,
	PHASE_SERIALCONN = 2,
	PHASE_ESTABLISH = 4,
} ppp_phase_t;

typedef enum ppp_exit_code {
	EXIT_OPTION_ERROR = 2,
	EXIT_NEGOTIATION_FAILED = 10,
	EXIT_HANGUP = 16,
} ppp_exit_code_t;

typedef enum {
	NF_PID_CHANGE,
	NF_PHASE_CHANGE,
	NF_EXIT,
	NF_SIGNALED,
	NF_IP_UP,
	NF_IP_DOWN,
	NF_IPV6_UP,
	NF_IPV6_DOWN,
	NF_AUTH_UP,
	NF_LINK_DOWN,
	NF_FORK,
} ppp_notify_t;

typedef enum { PPP_DIR_LOG, PPP_DIR_RUNTIME, PPP_DIR_CONF, PPP_DIR_PLUGIN } ppp_path_t;

struct protent {
	void (*lowerup)(int unit);
	void (*lowerdown)(int unit);
	void (*open)(int unit);
	void (*close)(int unit, char *reason);
	void (*check_options)(void);
};

typedef void (*ppp_timer_cb)(void *arg);
typedef void(ppp_notify_fn)(void *ctx, int arg);

/* const since 2.5.1; without it here, so that code which needs the const is noticed. */
void notice(char *format, ...);
void warn(char *format, ...);
void error(char *format, ...);

ppp_exit_code_t ppp_status(void);
void ppp_set_status(ppp_exit_code_t code);
void ppp_timeout(ppp_timer_cb func, void *arg, int seconds, int microseconds);
void ppp_untimeout(void (*func)(void *), void *arg);
void ppp_script_setenv(char *name, char *value, int is_key);
void ppp_script_unsetenv(char *name);
const char *ppp_peer_authname(char *buffer, size_t size);
const char *ppp_ifname(void);
const char *ppp_devnam(void);
const char *ppp_pppdevnam(void);
void ppp_add_notify(ppp_notify_t type, ppp_notify_fn *func, void *ctx);
int ppp_get_filepath(ppp_path_t type, const char *name, char *buffer, size_t size);

extern int (*allowed_address_hook)(uint32_t addr);

#endif
