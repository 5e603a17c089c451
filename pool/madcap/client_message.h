/* SPDX-License-Identifier: MIT */
/*
 * client_message.h - what client.c sends, and whether what it gets can be believed. Not for others.
 */
#ifndef RASIP_MADCAP_CLIENT_MESSAGE_H
#define RASIP_MADCAP_CLIENT_MESSAGE_H

#include "client.h"

/* Whether the query can be right at all; if not, why. */
bool client_query_check(const struct madcap_query *query, const struct madcap_servers *servers,
			struct error *error);

/* Puts the message of client->type with client->xid into client->message. False if it does not
 * fit. */
bool client_message_make(struct madcap_client *client, int64_t unix_sec);

/*
 * Decodes what has come in. True if it is an answer to the message that is out, in order in itself
 * (2.5, 2.6), and grants nothing that was not asked for.
 */
bool client_message_accept(const struct madcap_client *client, const uint8_t *data, size_t size,
			   struct madcap_message *ret);

/* True for an ACK that says "come back later" to a client that may be told so (2.13.2). */
bool client_message_is_later(const struct madcap_client *client,
			     const struct madcap_message *message);

#endif
