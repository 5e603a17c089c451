/* SPDX-License-Identifier: MIT */
/*
 * admin_module.h - the interface between rasip's pppd plugin and an admin module.
 *
 * A module is a shared object that exports one symbol, `rasip_admin_module`, and is listed in
 * `modules` of rasip.conf(5). It plays the part of a RAS administration DLL: it may choose the
 * address of a user who has authenticated, be told when the user disconnects, and veto or observe
 * connections. The list's order is the call order.
 *
 * Rules
 *  - One pppd serves one session and loads every module itself, so a module's own data are per
 *    session. What must be shared between sessions lives outside (a file, a database).
 *  - get_ip_address_for_user and release_ip_address come as a pair or not at all. They are called
 *    in the first listed module that has them, and in no other, also when it fails.
 *  - Both run under a lock that all pppds with the same runtime_dir share: while one of them runs
 *    for anybody, neither is entered for anybody else. Be quick. Other callbacks run unlocked.
 *  - get is called once a session, after authentication and after every module accepted.
 *    Renegotiation is not a new session. On entry *address is 0 or the address that pppd already
 *    has; on return it is the address of the peer. 0, loopback, multicast, class E, broadcast and
 *    addresses in use are refused. Any return but 0 ends the connection, and the out-values are
 *    ignored. *notify_release is false on entry; set it to have release called.
 *  - release is called exactly once for every get that asked for it, with the same user and port
 *    and the address that get returned, just before the address may be given again, however the
 *    session ended. For a process that was killed, the next process calls it.
 *  - Callbacks run as root inside pppd: do not fork, block, exit, use alarm(2), or write to
 *    standard output, which may be the line. Calling back into the plugin (for instance through
 *    pppd's ip_choose_hook) answers with an error at once.
 *  - initialize runs before pppd detaches (forks): threads do not survive that, nor do pids. pppd
 *    calls everything from its one thread.
 *  - The file must be owned by root, or by the user pppd runs as, and be writable by no one else.
 *
 * Strings are never NULL and live until the callback returns. `user` is what the peer sent: any
 * bytes but NUL, at most 255; it is "" for a peer that did not authenticate. `port` is the device
 * without /dev/, or the interface. Addresses are in network byte order.
 */
#ifndef RASIP_ADMIN_MODULE_H
#define RASIP_ADMIN_MODULE_H

#include <stdint.h>
#ifndef __cplusplus
#include <stdbool.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define RASIP_ADMIN_ABI 1

struct rasip_admin_module {
	uint32_t abi; /* RASIP_ADMIN_ABI */

	/* Optional. `argument` is the module's from rasip.conf, "" if none. 0, or pppd does not
	 * start. */
	int (*initialize)(const char *argument);

	/* Optional. At pppd's end, in reverse order, if initialize succeeded or is absent. */
	void (*terminate)(void);

	/* Optional, with release. 0 and the address, and whether release is wanted; anything
	 * else: the connection is refused. */
	int (*get_ip_address_for_user)(const char *user, const char *port,
				       uint32_t *address /* in, out; network order */,
				       bool *notify_release /* out */);

	/* Optional, with get. *address is in network order; it is not kept after the return. */
	void (*release_ip_address)(const char *user, const char *port, const uint32_t *address);

	/* Optional. Every module is asked, also after one said no; all must say true. */
	bool (*accept_new_connection)(const char *user, const char *port);

	/* Optional. Once for every connection that all modules accepted, when it has gone. */
	void (*connection_hangup_notification)(const char *user, const char *port);
};

/* The one symbol that a module exports, also where it is compiled with -fvisibility=hidden. */
#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
extern const struct rasip_admin_module rasip_admin_module;

#ifdef __cplusplus
}
#endif

#endif
