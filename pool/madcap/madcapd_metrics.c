/* SPDX-License-Identifier: MIT */
/* Counters, as text for Prometheus and as JSON, both from the same calls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "array.h"
#include "label.h"
#include "madcapd.h"
#include "message.h"

/* While metrics are written. */
struct writer {
	FILE *text;
	json_t *values;
};

/* Begins a metric: what its lines have in common. */
static void metric(struct writer *writer, const char *name, const char *type, const char *help)
{
	fprintf(writer->text, "# HELP madcapd_%s %s\n# TYPE madcapd_%s %s\n", name, help, name,
		type);
}

static void plain(struct writer *writer, const char *name, uint64_t value)
{
	fprintf(writer->text, "madcapd_%s %" PRIu64 "\n", name, value);
	json_object_set_new(writer->values, name, json_integer((json_int_t)value));
}

static void labelled(struct writer *writer, const char *name, const char *key, const char *label,
		     uint64_t value)
{
	json_t *group = json_object_get(writer->values, name);

	fprintf(writer->text, "madcapd_%s{", name);
	label_print(writer->text, key, label);
	fprintf(writer->text, "} %" PRIu64 "\n", value);
	if (group == NULL) {
		json_object_set_new(writer->values, name, json_object());
		group = json_object_get(writer->values, name);
	}
	json_object_set_new(group, label, json_integer((json_int_t)value));
}

static void single(struct writer *writer, const char *name, const char *help, uint64_t value)
{
	metric(writer, name, "counter", help);
	plain(writer, name, value);
}

/* ---- what there is ----------------------------------------------------------------------- */

static void write_messages(struct writer *writer, const struct madcap_counters *counters)
{
	metric(writer, "received_total", "counter", "Messages received.");
	for (size_t type = 0; type < ARRAY_SIZE(counters->received); type++) {
		const char *name = type > 0 ? madcap_type_name((uint8_t)type) : "unreadable";

		if (name != NULL)
			labelled(writer, "received_total", "type", name, counters->received[type]);
	}
	metric(writer, "naks_by_error_total", "counter", "NAKs sent, by error.");
	for (size_t code = 0; code < ARRAY_SIZE(counters->naks_by_error); code++)
		labelled(writer, "naks_by_error_total", "error", madcap_error_name((uint16_t)code),
			 counters->naks_by_error[code]);
	single(writer, "offers_total", "OFFERs sent.", counters->offers);
	single(writer, "acks_total", "ACKs sent.", counters->acks);
	single(writer, "naks_total", "NAKs sent.", counters->naks);
	single(writer, "retransmissions_total", "Messages answered as before.",
	       counters->retransmissions);
	single(writer, "ignored_total", "Messages that got no answer.", counters->ignored);
	single(writer, "getinfo_limited_total",
	       "Long answers not given, as their address has had too many.",
	       counters->getinfo_limited);
	single(writer, "cache_evictions_total", "Answers forgotten early, for lack of room.",
	       counters->cache_evictions);
}

static void write_leases(struct writer *writer, const struct madcap_counters *counters)
{
	single(writer, "leases_granted_total", "Leases granted.", counters->granted);
	single(writer, "leases_renewed_total", "Leases renewed.", counters->renewed);
	single(writer, "leases_released_total", "Leases released.", counters->released);
	single(writer, "leases_expired_total", "Leases that ended by themselves.",
	       counters->expired);
}

static void write_machine(struct writer *writer, const struct madcapd *daemon)
{
	const struct net_counters *net = net_counters(daemon->net);

	single(writer, "datagrams_received_total", "Datagrams read.", net->received);
	single(writer, "datagrams_sent_total", "Datagrams sent.", net->sent);
	single(writer, "datagrams_unsent_total", "Answers that could not be sent.",
	       net->send_failed);
	metric(writer, "datagrams_dropped_total", "counter", "Datagrams dropped, by reason.");
	labelled(writer, "datagrams_dropped_total", "reason", "share", net->dropped_unfair);
	labelled(writer, "datagrams_dropped_total", "reason", "length", net->dropped_length);
	labelled(writer, "datagrams_dropped_total", "reason", "kernel", net->dropped_kernel);
	single(writer, "batches_total", "Batches served.", daemon->batches);
	single(writer, "batches_failed_total", "Batches that could not be written.",
	       daemon->failed_batches);
	metric(writer, "start_time_seconds", "gauge", "When the server was started.");
	plain(writer, "start_time_seconds", (uint64_t)daemon->started_sec);
}

static void gauge(struct writer *writer, const char *name, const char *help, uint64_t value)
{
	metric(writer, name, "gauge", help);
	plain(writer, name, value);
}

static uint64_t peer_seen(const struct book_peer *peer)
{
	return peer->seen_sec;
}

static uint64_t peer_granted(const struct book_peer *peer)
{
	return peer->deeds.granted;
}

static uint64_t peer_renewed(const struct book_peer *peer)
{
	return peer->deeds.renewed;
}

static uint64_t peer_released(const struct book_peer *peer)
{
	return peer->deeds.released;
}

/* Of all servers that share the book, as each has told it last. */
static void write_peers(struct writer *writer, const struct book *book)
{
	static const struct {
		const char *name, *type, *help;
		uint64_t (*value)(const struct book_peer *peer);
	} metrics[] = {
		{ "server_seen_seconds", "gauge", "When a server was heard of last.", peer_seen },
		{ "server_granted_total", "counter", "Leases a server has granted.", peer_granted },
		{ "server_renewed_total", "counter", "Leases a server has renewed.", peer_renewed },
		{ "server_released_total", "counter", "Leases released at a server.",
		  peer_released },
	};
	struct book_peer peer;

	for (size_t i = 0; i < ARRAY_SIZE(metrics) && book_peer(book, 0, &peer); i++) {
		metric(writer, metrics[i].name, metrics[i].type, metrics[i].help);
		for (size_t j = 0; book_peer(book, j, &peer); j++)
			labelled(writer, metrics[i].name, "server", peer.name,
				 metrics[i].value(&peer));
	}
}

static void write_book(struct writer *writer, const struct book *book)
{
	struct book_health health;

	if (!book_health(book, &health))
		return;
	gauge(writer, "book_up", "Whether the shared lease book can be used.", health.is_up);
	gauge(writer, "book_version", "The newest batch of the book that is known.",
	      health.version);
	single(writer, "book_connections_total", "Connections made to the database.",
	       health.connections);
	single(writer, "book_failures_total", "Connections that ended or could not be made.",
	       health.failures);
	single(writer, "book_exchanges_total", "Round trips to the database.", health.exchanges);
	single(writer, "book_busy_microseconds_total", "Time spent in them.", health.busy_us);
	single(writer, "book_again_total", "Batches that another server overtook.", health.again);
	single(writer, "book_reloads_total", "How often all leases were read.", health.reloads);
	write_peers(writer, book);
}

struct gauge {
	const char *name;
	const char *help;
	uint64_t (*value)(const struct book_stats *stats);
};

static uint64_t stat_size(const struct book_stats *stats)
{
	return stats->size;
}

static uint64_t stat_free(const struct book_stats *stats)
{
	return stats->free;
}

static uint64_t stat_leased(const struct book_stats *stats)
{
	return stats->addresses[BOOK_ACTIVE];
}

static uint64_t stat_leases(const struct book_stats *stats)
{
	return stats->leases[BOOK_ACTIVE];
}

static uint64_t stat_offered(const struct book_stats *stats)
{
	return stats->addresses[BOOK_OFFERED];
}

static uint64_t stat_pending(const struct book_stats *stats)
{
	return stats->leases[BOOK_PENDING];
}

/* Gauges are grouped by name, as Prometheus wants it. */
static void write_scopes(struct writer *writer, const struct madcapd *daemon)
{
	static const struct gauge gauges[] = {
		{ "scope_addresses", "Addresses that a scope can give.", stat_size },
		{ "scope_free", "Addresses of a scope in no lease.", stat_free },
		{ "scope_leased", "Addresses of a scope in leases.", stat_leased },
		{ "scope_leases", "Leases of a scope.", stat_leases },
		{ "scope_offered", "Addresses of a scope held for offers.", stat_offered },
		{ "scope_pending", "Requests that wait for the operator.", stat_pending },
	};
	const struct madcap_server_config *config = &daemon->config->server;

	for (size_t i = 0; i < ARRAY_SIZE(gauges); i++) {
		metric(writer, gauges[i].name, "gauge", gauges[i].help);
		for (size_t j = 0; j < config->n_scopes; j++) {
			char text[MADCAP_ADDRESS_TEXT];
			struct book_stats stats = { 0 };

			(void)madcap_server_stats(daemon->server, &config->scopes[j].first, &stats);
			labelled(writer, gauges[i].name, "scope",
				 madcap_address_format(&config->scopes[j].first, text),
				 gauges[i].value(&stats));
		}
	}
}

json_t *madcapd_metrics(const struct madcapd *daemon)
{
	const struct madcap_counters *counters = madcap_server_counters(daemon->server);
	struct writer writer = { .values = json_object() };
	char *text = NULL;
	size_t length = 0;
	json_t *result = NULL;

	writer.text = open_memstream(&text, &length);
	if (writer.text != NULL) {
		write_messages(&writer, counters);
		write_leases(&writer, counters);
		write_machine(&writer, daemon);
		write_book(&writer, daemon->book);
		write_scopes(&writer, daemon);
		if (fclose(writer.text) == 0)
			result = json_pack("{s:s, s:O}", "text", text, "values", writer.values);
	}
	free(text);
	json_decref(writer.values);
	return result;
}
