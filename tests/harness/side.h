/* SPDX-License-Identifier: MIT */
/*
 * side.h - the session process: one stand-in pppd with one link and one made-up peer.
 *
 *	session.c   the main loop, as pppd's: events, timers, one packet at a time; commands
 *	link.c      LCP, authentication, phases, network protocols
 *	ipcp.c      IPCP and the peer's address
 *	peer.c      the peer: what it answers, as a queue of packets
 *	options.c   pppd's options and plugins
 *	core.c      timers, notifiers, script environment, detaching, dying
 *	log.c       pppd's formats; standard error stands for its log
 *	vars.c      pppd's global variables and hooks
 *
 * It behaves as pppd does where a plugin can see it; functions that pppd exports keep its names.
 */
#ifndef HARNESS_SIDE_H
#define HARNESS_SIDE_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"

/* What a session process is started with. */
struct side_config {
	char *const *plugins; /* NULL-terminated */
	char *const *options; /* NULL-terminated lines; those from `n_privileged` on are a user's */
	size_t n_privileged;
	int detach; /* as pppd does without nodetach */
	int unit;   /* pppN */
	int control_fd;
	struct live_table *live; /* shared by all sessions of the harness */
};

/* ---- live.c: which addresses are up, in memory that all sessions share ---- */
struct live_table *live_new(void);
void live_add(struct live_table *table, uint32_t address);
void live_remove(struct live_table *table, uint32_t address);
/* How often an address was added while it was there. */
unsigned live_duplicates(const struct live_table *table);

/* Runs a session process: never returns. */
void side_run(const struct side_config *config) __attribute__((noreturn));

/* ---- session.c: the peer's address is in use; is not, before anything is told of that ---- */
void side_address_up(uint32_t address);
void side_address_down(void);

/* A message to the harness: result, pid, address, microseconds in ip_choose_hook, JSON text. */
#define SIDE_REPLY_FORMAT "%s %d %u %u "

/* pppd takes char * for texts that it only reads. */
#define TEXT(literal) ((char[]){ literal })

/* ---- log.c ---- */
void log_set_name(const char *name);
void log_set_fd(int fd);
void log_set_quiet(int quiet);
int log_fd(void);
/* pppd's notices, and what is worse; formats are pppd's. */
void log_say(const char *format, ...);
void log_complain(const char *format, ...);

/* ---- core.c ---- */
struct notifier;
void core_notify(struct notifier *list, int value);
/* Milliseconds until the next timer is due; -1: there is none. */
int core_timer_ms(void);
void core_run_timers(void);
/* The script variables that begin with `prefix`, as a JSON object in `text`. */
void core_env_json(const char *prefix, char *text, size_t size);

/* ---- options.c ---- */
/* Words of `line`, as in an options file. Returns 0 and complains if an option is wrong. */
int options_from_line(const char *line, const char *source, int is_privileged);
int options_load_plugin(char *path);

/* ---- peer.c ---- */
enum packet {
	PACKET_NONE,
	PACKET_LCP_ACK,     /* LCP's options are agreed */
	PACKET_LCP_REQUEST, /* the peer starts LCP again */
	PACKET_LCP_TERMINATE_ACK,
	PACKET_LOGIN, /* the peer gives its name and its secret is right */
	PACKET_IPCP_REQUEST,
	PACKET_IPCP_ACK,
	PACKET_IPCP_TERMINATE_ACK,
	PACKET_HANGUP, /* no packet: the carrier is lost */
};

enum answer { ANSWER_ACK, ANSWER_NAK, ANSWER_REJECT };

void peer_meet(const struct call *call);
void peer_forget_packets(void);
int peer_has_packet(void);
enum packet peer_next_packet(void);
void peer_sends(enum packet packet);
/* The peer's IPCP request: whether it has an address in it, and which. */
int peer_request(uint32_t *ret_address);
void peer_hears_ipcp_request(void);
void peer_hears_answer(enum answer answer, uint32_t address);
void peer_renegotiates(void);
int peer_is_silent(void);

/* ---- ipcp.c ---- */
void ipcp_receives(enum packet packet);
int ipcp_is_established(void);
unsigned ipcp_choose_us(void);

/* ---- link.c ---- */
void link_check_auth(void);
/* The peer and its secret from now on: for the next login. */
void link_expect(const struct call *call);
void link_receives(enum packet packet);
int link_has_joined(void);
/* The first thing that was wrong since link_forget_reason(). */
void link_note_reason(const char *reason);
void link_forget_reason(void);
const char *link_reason(void);
/* allowed_address_hook's answer for the candidate before choosing; INT_MIN: not asked. */
int link_early_opinion(void);

#endif
