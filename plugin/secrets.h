/* SPDX-License-Identifier: MIT */
/*
 * secrets.h - is there anything in a pap-secrets or chap-secrets file that a peer can log in with?
 *
 * pppd asks that before it demands authentication, and counts only lines that also permit an
 * address. Here the address comes from the pool, so a line of three words will do.
 */
#ifndef RASIP_SECRETS_H
#define RASIP_SECRETS_H

#include <stdbool.h>

/* True if a line has client, server and secret. Quotes, backslashes and comments are pppd's. */
bool secrets_has_entry(const char *path);

#endif
