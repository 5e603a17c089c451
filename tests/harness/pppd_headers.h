/* SPDX-License-Identifier: MIT */
/*
 * pppd_headers.h - pppd's installed headers, 2.4.9 or 2.5, and what 2.5 keeps to itself.
 *
 * The harness is written in the words of 2.4.9. Against 2.5 the same functions and variables
 * exist, declared here, and pppd25.c adds the names that plugins use there.
 */
#ifndef HARNESS_PPPD_HEADERS_H
#define HARNESS_PPPD_HEADERS_H

#include <stdint.h>
#include <sys/time.h>

#if defined(__has_include) && __has_include(<pppd/pppdconf.h>)
#define PPPD_25 1
#include <pppd/pppd.h>
#include <pppd/options.h>
#include <pppd/upap.h>
#include <pppd/chap.h>
#include <pppd/fsm.h>
#define PPPD_SIDE_VERSION PPPD_VERSION
#else
#define PPPD_25 0
#define HAVE_MULTILINK
#include <pppd/pppd.h>
#include <pppd/fsm.h>
#include <pppd/chap-new.h>
#define PPPD_SIDE_VERSION VERSION
#endif
#include <pppd/lcp.h>
#include <pppd/ipcp.h>

/* pppd finds symbols of its own in plugins and the other way round: everything below is exported. */
#define EXPORT __attribute__((visibility("default")))

#if PPPD_25
struct notifier;
typedef void (*notify_func)(void *, int);
extern int got_sigterm, hungup, ifunit, phase, privileged, need_holdoff, detached, unsuccess;
extern int auth_done[], log_to_fd, fd_devnull, debug, maxconnect, holdoff, maxfail,
	ppp_session_number;
extern char ifname[], hostname[], peer_authname[], remote_number[], devnam[], remote_name[];
extern char **script_env, *progname, *ipparam, *current_option, *option_source;
extern int privileged_option, option_priority;
extern volatile int status;
extern bool doing_multilink, multilink_master, nodetach, updetach, persist, auth_required, demand;
extern bool multilink;
extern struct notifier *pidchange, *phasechange, *exitnotify, *sigreceived, *ip_up_notifier;
extern struct notifier *ip_down_notifier, *auth_up_notifier, *link_down_notifier, *fork_notifier;
extern struct notifier *ipv6_up_notifier, *ipv6_down_notifier;

extern void (*multilink_join_hook)(void);

bool mp_on(void);
bool mp_master(void);
void die(int) __attribute__((noreturn));
void detach(void);
void timeout(void (*func)(void *), void *arg, int s, int us);
void untimeout(void (*func)(void *), void *arg);
int get_time(struct timeval *);
void add_notifier(struct notifier **list, notify_func func, void *arg);
void remove_notifier(struct notifier **list, notify_func func, void *arg);
void new_phase(int);
void script_setenv(char *, char *, int);
void script_unsetenv(char *);
void add_options(option_t *);
int int_option(char *, int *);
void option_error(char *, ...);
int auth_ip_addr(int, uint32_t);
int bad_ip_adrs(uint32_t);
void link_terminated(int);
void link_down(int);
void upper_layers_down(int);
void link_established(int);
void start_link(int);
void start_networks(int);
void np_up(int, int);
void np_down(int, int);
void np_finished(int, int);
#endif

#endif
