/* SPDX-License-Identifier: MIT */
/*
 * pppd_settings.h - IPCP's settings: what the administrator gave them, and what a session's pool
 * puts over that for as long as the session lasts.
 *
 * Addresses are in network byte order, as pppd has them.
 */
#ifndef RASIP_PPPD_SETTINGS_H
#define RASIP_PPPD_SETTINGS_H

#include <stdint.h>

struct session_link;

/* Remembers the administrator's values. To be called while no session's are there: when all options
 * have been read, and again for each link. */
void settings_take(void);

/* Puts over them what the pool wants of the link, instead of what the last call has put there. */
void settings_put(const struct session_link *link);

/* Takes that away again: all but the peer's address. */
void settings_restore(void);

/*
 * And the peer's address. pppd keeps it from one session to the next, and a user's own address from
 * the secrets file with it: the next user would find it as his candidate.
 */
void settings_restore_peer(void);

/* Our end as pppd has it by itself, whatever the last session's pool had; 0: not known yet. */
uint32_t settings_own_local(void);

#endif
