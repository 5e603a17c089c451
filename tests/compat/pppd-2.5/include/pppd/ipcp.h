/* SPDX-License-Identifier: MIT */
/* See pppdconf.h. The real header needs fsm.h before it, and so does this one. */
#ifndef COMPAT_IPCP_H
#define COMPAT_IPCP_H

typedef struct ipcp_options {
	bool accept_local;
	bool accept_remote;
	uint32_t ouraddr;
	uint32_t hisaddr;
	uint32_t dnsaddr[2];
	uint32_t winsaddr[2];
} ipcp_options;

extern fsm ipcp_fsm[];
extern ipcp_options ipcp_wantoptions[];
extern ipcp_options ipcp_gotoptions[];
extern ipcp_options ipcp_allowoptions[];
extern ipcp_options ipcp_hisoptions[];
extern struct protent ipcp_protent;

typedef void(ip_choose_hook_fn)(uint32_t *addr);
extern ip_choose_hook_fn *ip_choose_hook;

#endif
