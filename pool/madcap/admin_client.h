/* SPDX-License-Identifier: MIT */
/*
 * admin_client.h - asks the madcapd of this host, through the socket in its state_dir.
 *
 * The protocol: connect to STATE_DIR/ADMIN_SOCKET_NAME (a stream socket that only madcapd's user
 * and root may use), send one line, read one line, be disconnected.
 *
 *	{"verb": "release", "argument": "239.192.0.7"}
 *	{"ok": true, "result": ...}   or   {"ok": false, "error": "no lease has 239.192.0.7"}
 */
#ifndef RASIP_ADMIN_CLIENT_H
#define RASIP_ADMIN_CLIENT_H

#include <jansson.h>

#include "error.h"

#define ADMIN_SOCKET_NAME "admin.sock"
#define ADMIN_REQUEST_MAX 4096
#define ADMIN_TIMEOUT_SEC 30 /* of silence */

/*
 * Asks and waits for the answer. `argument` may be NULL. Returns 0 and the result, to be freed
 * with json_decref(); POOL_E_NOT_FOUND where no madcapd listens, POOL_E_REFUSED where it cannot do
 * it, POOL_E_SYSTEM, POOL_E_NO_MEMORY; `error` then says why.
 */
int admin_client_ask(const char *state_dir, const char *verb, const char *argument,
		     json_t **ret_result, struct error *error) __attribute__((warn_unused_result));

/* "admin [-c FILE] VERB [ARGUMENT] [--json]", argv[0] being "admin". Returns an exit status. */
int tool_admin(int argc, char **argv);

#endif
