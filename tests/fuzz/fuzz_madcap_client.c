/* SPDX-License-Identifier: MIT */
/*
 * Whole conversations: the first octet says what the client wants, then come steps: time passes, or
 * a datagram arrives. Xid and lease identifier are put in where they belong, so that what the
 * fuzzer makes is not thrown away at once.
 */
#include "fuzz.h"
#include "madcap/client.h"

#define STEPS_MAX 64
#define XID_AT 4
#define HEADER 8
#define ID_SIZE 17

static void set_up(struct madcap_query *query, struct madcap_servers *servers, uint8_t how)
{
	static const uint8_t random[16] = { 1, 2, 3 };
	static struct madcap_range range;

	*query = (struct madcap_query){ .operation = how & 3,
					.family = how & 4 ? MADCAP_IPV6 : MADCAP_IPV4 };
	madcap_client_id_make(&query->id, random);
	(void)madcap_address_parse(how & 4 ? "ff15::" : "239.192.0.0", &query->scope);
	range = (struct madcap_range){ .first = query->scope, .count = 200 };
	query->retry_ms = how & 8 ? 100000 : 0;
	if (how & 16) {
		query->count = 4;
		query->min_count = 1;
		query->ranges = &range;
		query->n_ranges = 1;
	}
	memset(servers, 0, sizeof(*servers));
	servers->n = how >> 5 & 3;
	for (size_t i = 0; i < servers->n; i++) {
		servers->server[i].address = madcap_address_ip4(0xc0000201u + (uint32_t)i);
		servers->server[i].port = MADCAP_PORT;
	}
	servers->group.address = madcap_local_group(query->family);
	servers->group.port = MADCAP_PORT;
	servers->total_ms = how & 128 ? 5000 : 0;
}

/* One datagram: header and options from the input, behind a lease identifier that fits. */
static void receive(struct madcap_client *client, const struct madcap_query *query,
		    const uint8_t *data, size_t size, const struct madcap_now *now)
{
	struct madcap_endpoint from = { .address = madcap_address_ip4(0xc0000201u), .port = 2535 };
	uint8_t *whole = malloc(size + 4 + ID_SIZE);
	uint32_t xid = client->xid;

	if (whole == NULL)
		return;
	memcpy(whole, data, size < HEADER ? size : HEADER);
	if (size >= HEADER) {
		static const uint8_t head[4] = { 0, MADCAP_OPT_LEASE_ID, 0, ID_SIZE };

		for (size_t i = 0; i < 4; i++)
			whole[XID_AT + i] = (uint8_t)(xid >> (24 - 8 * i));
		memcpy(whole + HEADER, head, 4);
		memcpy(whole + HEADER + 4, query->id.bytes, ID_SIZE);
		memcpy(whole + HEADER + 4 + ID_SIZE, data + HEADER, size - HEADER);
		size += 4 + ID_SIZE;
	}
	(void)madcap_client_receive(client, &from, whole, size, now);
	free(whole);
}

static void read_results(struct madcap_client *client)
{
	char text[MADCAP_REFUSAL_TEXT_SIZE];
	struct madcap_grant grant;

	if (madcap_client_refusal(client) != NULL)
		(void)madcap_refusal_text(madcap_client_refusal(client), text, sizeof(text));
	if (madcap_client_state(client) == MADCAP_CLIENT_DONE &&
	    madcap_client_grant(client, &grant) == 0)
		madcap_grant_done(&grant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct madcap_now now = { 1000, 1800000000 };
	struct madcap_client client;
	struct madcap_servers servers;
	struct madcap_query query;
	struct madcap_output out;
	struct wire_reader reader;

	wire_reader_init(&reader, data, size);
	set_up(&query, &servers, wire_read_u8(&reader));
	madcap_client_init(&client, 7);
	(void)madcap_client_start(&client, &query, &servers, &now, NULL);
	for (int i = 0; i < STEPS_MAX && !reader.failed && reader.at < size; i++) {
		uint8_t step = wire_read_u8(&reader);
		size_t n;

		while (madcap_client_output(&client, &out))
			;
		if (step < 64) {
			now.ms += 100 * step;
			madcap_client_tick(&client, &now);
			continue;
		}
		n = (size_t)(step - 64) * 2 + 8;
		if (n > size - reader.at)
			n = size - reader.at;
		receive(&client, &query, wire_read_bytes(&reader, n), n, &now);
	}
	read_results(&client);
	madcap_client_done(&client);
	return 0;
}
