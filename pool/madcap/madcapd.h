/* SPDX-License-Identifier: MIT */
/*
 * madcapd.h - inside madcapd(8): what its files share.
 *
 *	madcapd.c             the command line, and the loop
 *	madcapd_start.c       directory, user, readiness; reloading
 *	madcapd_book.c        the lease book: opened, made, watched
 *	madcapd_batch.c       datagrams through the server: in, on disk, out
 *	madcapd_verbs.c       what the operator asks for
 *	madcapd_metrics.c     counters as text and as JSON
 *	madcapd_net.c         datagrams in and out; madcapd_queue.c, madcapd_sockets.c,
 *	                      madcapd_interfaces.c belong to it
 *	admin_socket.c        the operator's connections
 *
 * One process, one thread, one loop. The rules of the protocol are in server.c and the leases in
 * book.c; nothing here knows either.
 */
#ifndef RASIP_MADCAPD_H
#define RASIP_MADCAPD_H

#include "admin_socket.h"
#include "book.h"
#include "madcapd_net.h"
#include "server.h"
#include "server_config.h"

struct madcapd {
	struct server_config *config;
	struct book *book;
	struct madcap_server *server;
	struct net *net;
	struct admin_socket *admin;
	int dir_fd; /* state_dir */
	bool verbose;
	bool failing;      /* the last commit did not work, and that has been said */
	bool poll_failing; /* likewise */
	uint64_t failed_batches;
	uint64_t batches;
	int64_t started_sec;

	int book_wait_ms;        /* until the book has to be looked after again; -1 */
	bool is_behind;          /* the clock, and that has been said */
	int64_t said_problem_ms; /* monotonic: when its problem was mentioned last; 0: there is none */
	int64_t said_memory_ms; /* likewise, that there was no memory for a lease */
	int64_t said_limit_ms;  /* likewise, that a client has all that it may have */

	int64_t next_tick_ms; /* monotonic: when ended leases are looked for again */
	bool tick_failed;     /* the last time; then nothing is done before next_tick_ms */

	/* The last batch: how many datagrams, and how long it took to be on disk. */
	size_t last_n;
	int64_t last_us;

	/* One batch. */
	struct net_datagram *datagrams[NET_BATCH];
	struct madcap_input inputs[NET_BATCH];
	struct madcap_answer *answers; /* NET_BATCH */
};

/* What goes on being wrong is mentioned so often. */
#define MADCAPD_SAY_AGAIN_MS 60000

/* One line to standard error. */
void madcapd_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct madcap_clock madcapd_clock(void);

/* ---- madcapd_start.c --------------------------------------------------------------------- */

/* Opens everything as the configuration says. 0 or a code, with the reason. */
int madcapd_start(struct madcapd *daemon, struct error *error) __attribute__((warn_unused_result));
void madcapd_stop(struct madcapd *daemon);
void madcapd_reload(struct madcapd *daemon);

/* "READY=1" and the like, to whoever waits for it ($NOTIFY_SOCKET; sd_notify(3)). */
void madcapd_notify(const char *state);

/* ---- madcapd_book.c ---------------------------------------------------------------------- */

int madcapd_open_book(struct madcapd *daemon, struct error *error)
	__attribute__((warn_unused_result));

/* For --init-book. */
int madcapd_init_book(const struct server_config *config, struct error *error)
	__attribute__((warn_unused_result));

/* Lets a shared book see to its connection, and says what has become of it. */
void madcapd_watch_book(struct madcapd *daemon);

/* Unix seconds by which leases go. */
uint32_t madcapd_book_now(const struct madcapd *daemon);

/* ---- madcapd_batch.c --------------------------------------------------------------------- */

/*
 * Waits a little for more datagrams, where a bit of waiting saves a commit: no longer than an
 * eighth of what the last commit took, and only until there are as many as in the last batch. A
 * client that is alone never waits.
 */
void madcapd_gather(const struct madcapd *daemon);

/* Serves what waits, at most one batch of it; ends offers and leases that are due to end. */
void madcapd_serve(struct madcapd *daemon);

/* Milliseconds until madcapd_serve() has something to do. */
int madcapd_wait_ms(const struct madcapd *daemon);

/* Opens and ends a batch for the operator; as the server's functions. */
int madcapd_begin(struct madcapd *daemon, struct error *error) __attribute__((warn_unused_result));
int madcapd_commit(struct madcapd *daemon, struct error *error) __attribute__((warn_unused_result));

void madcapd_endpoint(const union net_address *from, struct madcap_endpoint *ret);
void madcapd_address(const struct madcap_endpoint *from, union net_address *ret);

/* ---- madcapd_verbs.c, madcapd_metrics.c -------------------------------------------------- */

/* As admin_service.ask; the context is the daemon. */
void madcapd_ask(void *context, const char *verb, const char *argument, struct admin_reply *reply);

/* {"text": ..., "values": ...}, or NULL without memory. */
json_t *madcapd_metrics(const struct madcapd *daemon);

#endif
