/* SPDX-License-Identifier: MIT */
/* pppd's global variables and hooks, as far as a plugin may want them. */
#include <limits.h>

#include "pppd_headers.h"

struct ppp_idle;
struct wordlist;

EXPORT int got_sigterm;
EXPORT int hungup;
EXPORT int ifunit = -1;
EXPORT int devfd = -1;
EXPORT int phase;
EXPORT int privileged = 1;
EXPORT int need_holdoff;
EXPORT int detached;
EXPORT int unsuccess;
EXPORT int do_callback;
EXPORT int doing_callback;
EXPORT int error_count;
EXPORT int auth_done[NUM_PPP];
EXPORT int ppp_session_number;
EXPORT int fd_devnull = -1;
EXPORT int log_to_fd = 2;
EXPORT int debug;
EXPORT int maxconnect;
EXPORT int idle_time_limit;
EXPORT int holdoff = 30;
EXPORT int maxfail;
EXPORT volatile int status;
EXPORT int privileged_option;
EXPORT int option_priority;
EXPORT char *option_source;
EXPORT char *current_option;
EXPORT char *progname;
EXPORT char *ipparam;
EXPORT char **script_env;
EXPORT char ifname[32];
EXPORT char hostname[MAXNAMELEN];
EXPORT char peer_authname[MAXNAMELEN];
EXPORT char remote_number[MAXNAMELEN];
EXPORT char our_name[MAXNAMELEN] = "ras";
EXPORT char remote_name[MAXNAMELEN];
EXPORT char user[MAXNAMELEN];
EXPORT char devnam[PATH_MAX];
EXPORT char linkname[PATH_MAX];
#if PPPD_25
char ppp_devnam_text[PATH_MAX];
#else
EXPORT char ppp_devnam[PATH_MAX];
#endif
EXPORT bool doing_multilink;
EXPORT bool multilink_master;
EXPORT bool multilink;
EXPORT bool bundle_eof;
EXPORT bool bundle_terminating;
EXPORT bool nodetach;
EXPORT bool updetach;
EXPORT bool persist;
EXPORT bool demand;
EXPORT bool auth_required = 1;
EXPORT bool modem;
EXPORT bool dryrun;

EXPORT struct notifier *pidchange;
EXPORT struct notifier *phasechange;
EXPORT struct notifier *exitnotify;
EXPORT struct notifier *sigreceived;
EXPORT struct notifier *ip_up_notifier;
EXPORT struct notifier *ip_down_notifier;
EXPORT struct notifier *ipv6_up_notifier;
EXPORT struct notifier *ipv6_down_notifier;
EXPORT struct notifier *auth_up_notifier;
EXPORT struct notifier *link_down_notifier;
EXPORT struct notifier *fork_notifier;

EXPORT int (*idle_time_hook)(struct ppp_idle *);
EXPORT int (*holdoff_hook)(void);
EXPORT int (*allowed_address_hook)(uint32_t);
EXPORT void (*ip_choose_hook)(uint32_t *);
EXPORT void (*ip_up_hook)(void);
EXPORT void (*ip_down_hook)(void);
EXPORT void (*ipv6_up_hook)(void);
EXPORT void (*ipv6_down_hook)(void);
EXPORT int (*pap_check_hook)(void);
EXPORT int (*pap_auth_hook)(char *, char *, char **, struct wordlist **, struct wordlist **);
EXPORT void (*pap_logout_hook)(void);
EXPORT int (*pap_passwd_hook)(char *, char *);
EXPORT int (*chap_check_hook)(void);
EXPORT int (*chap_passwd_hook)(char *, char *);
EXPORT void (*multilink_join_hook)(void);
EXPORT void (*snoop_recv_hook)(unsigned char *, int);
EXPORT void (*snoop_send_hook)(unsigned char *, int);
