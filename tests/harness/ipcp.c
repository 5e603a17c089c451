/* SPDX-License-Identifier: MIT */
/*
 * IPCP: pppd's state machine and its rules for the peer's address, with one request of ours and
 * the made-up peer's answers in place of packets.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pppd_headers.h"
#include "side.h"

#define DEFAULT_LOCAL 0xc0000008 /* 192.0.0.8 stands for the host's own address */
#define INVENTED_BASE 0x0a404040 /* 10.64.64.64: pppd's invention */
#define IPCP_NAKS 100

EXPORT ipcp_options ipcp_wantoptions[NUM_PPP];
EXPORT ipcp_options ipcp_gotoptions[NUM_PPP];
EXPORT ipcp_options ipcp_allowoptions[NUM_PPP];
EXPORT ipcp_options ipcp_hisoptions[NUM_PPP];
EXPORT fsm ipcp_fsm[NUM_PPP] = { { .protocol = 0x8021, .state = INITIAL } };

static ipcp_options *const want = &ipcp_wantoptions[0];
static ipcp_options *const got = &ipcp_gotoptions[0];
static ipcp_options *const his = &ipcp_hisoptions[0];
static fsm *const machine = &ipcp_fsm[0];

static int is_open;        /* has not told the link that it is finished */
static int is_up;          /* has told the link that it is up */
static int is_established; /* all the way up: scripts would run now */
static unsigned choose_us;

static void init_protocol(int unit);
static void lower_up(int unit);
static void lower_down(int unit);
static void open_protocol(int unit);
static void close_protocol(int unit, char *reason);
static void reject_protocol(int unit);
static void check_ip_options(void);

EXPORT struct protent ipcp_protent = {
	.protocol = 0x8021,
	.init = init_protocol,
	.protrej = reject_protocol,
	.lowerup = lower_up,
	.lowerdown = lower_down,
	.open = open_protocol,
	.close = close_protocol,
	.enabled_flag = 1,
	.name = TEXT("IPCP"),
	.data_name = TEXT("IP"),
	.check_options = check_ip_options,
};

EXPORT struct protent *protocols[] = { &ipcp_protent, NULL };

int ipcp_is_established(void)
{
	return is_established;
}

unsigned ipcp_choose_us(void)
{
	return choose_us;
}

/* ---- options --------------------------------------------------------------------------------- */

static void init_protocol(int unit)
{
	(void)unit;
	want->neg_addr = 1;
	ipcp_allowoptions[0].neg_addr = 1;
}

static void check_ip_options(void)
{
	if (want->ouraddr == 0) {
		want->accept_local = 1;
		want->ouraddr = htonl(DEFAULT_LOCAL);
	}
}

static void choose_address(void)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	ip_choose_hook(&want->hisaddr);
	clock_gettime(CLOCK_MONOTONIC, &after);
	choose_us = (unsigned)((after.tv_sec - before.tv_sec) * 1000000 +
			       (after.tv_nsec - before.tv_nsec) / 1000);
}

/* The order matters: `got` is a copy from before the hook, and only a non-zero answer is insisted
 * on. */
static void reset_options(void)
{
	want->req_addr = want->neg_addr && ipcp_allowoptions[0].neg_addr;
	if (want->ouraddr == 0)
		want->accept_local = 1;
	if (want->hisaddr == 0)
		want->accept_remote = 1;
	*got = *want;
	if (ip_choose_hook) {
		choose_address();
		if (want->hisaddr)
			want->accept_remote = 0;
	}
	memset(his, 0, sizeof(*his));
}

/* ---- up and down ----------------------------------------------------------------------------- */

static void close_because(const char *reason)
{
	close_protocol(0, (char *)(uintptr_t)reason);
}

static void set_address_variable(const char *name, uint32_t address)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	script_setenv((char *)(uintptr_t)name, text, 0);
}

/* Returns 0 if there is an address for each end. */
static int settle_addresses(void)
{
	if (!his->neg_addr) {
#if PPPD_25
		if (want->hisaddr != 0 && !want->accept_remote) {
			log_complain("Peer refused to agree to his IP address");
			close_because("Refused his IP address");
			return -1;
		}
#endif
		his->hisaddr = want->hisaddr;
	}
	if (got->ouraddr == 0) {
		log_complain("Could not determine local IP address");
		close_because("Could not determine local IP address");
		return -1;
	}
	if (his->hisaddr == 0) {
		his->hisaddr = htonl(INVENTED_BASE + (uint32_t)ifunit);
		log_complain("Could not determine remote IP address: defaulting to %I",
			     his->hisaddr);
	}
	return 0;
}

static void go_up(void)
{
	if (settle_addresses() < 0)
		return;
	set_address_variable("IPLOCAL", got->ouraddr);
	set_address_variable("IPREMOTE", his->hisaddr);
	if (!auth_ip_addr(0, his->hisaddr)) {
		log_complain("Peer is not authorized to use remote address %I", his->hisaddr);
		close_because("Unauthorized remote IP address");
		return;
	}
	want->ouraddr = got->ouraddr;
	log_say("local  IP address %I", got->ouraddr);
	log_say("remote IP address %I", his->hisaddr);
	np_up(0, 0x21);
	is_up = 1;
	core_notify(ip_up_notifier, 0);
	if (ip_up_hook)
		ip_up_hook();
	is_established = 1;
	side_address_up(his->hisaddr);
}

static void go_down(void)
{
	is_established = 0;
	side_address_down();
	core_notify(ip_down_notifier, 0);
	if (ip_down_hook)
		ip_down_hook();
	if (is_up) {
		is_up = 0;
		np_down(0, 0x21);
	}
}

static void finish(void)
{
	if (is_open) {
		is_open = 0;
		np_finished(0, 0x21);
	}
}

/* ---- the state machine ----------------------------------------------------------------------- */

static void request_timeout(void *unused);

static void start_timer(void)
{
	/* A peer that says nothing is not waited for: its 30 s pass at once. */
	timeout(request_timeout, NULL, peer_is_silent() ? 0 : DEFTIMEOUT, 0);
}

static int is_negotiating(void)
{
	return machine->state == REQSENT || machine->state == ACKRCVD || machine->state == ACKSENT;
}

static void send_request(int is_retransmission)
{
	if (!is_negotiating()) {
		reset_options();
		machine->nakloops = 0;
	}
	if (!is_retransmission)
		machine->retransmits = DEFMAXCONFREQS;
	machine->retransmits--;
	peer_hears_ipcp_request();
	start_timer();
}

static void send_terminate(void)
{
	peer_sends(PACKET_IPCP_TERMINATE_ACK);
	timeout(request_timeout, NULL, DEFTIMEOUT, 0);
}

static void request_timeout(void *unused)
{
	(void)unused;
	if (machine->state == CLOSING || machine->state == STOPPING) {
		machine->state = machine->state == CLOSING ? CLOSED : STOPPED;
		finish();
	} else if (is_negotiating() && machine->retransmits > 0) {
		send_request(1);
		if (machine->state == ACKRCVD)
			machine->state = REQSENT;
	} else if (is_negotiating()) {
		log_complain("IPCP: timeout sending Config-Requests");
		link_note_reason("IPCP: timeout sending Config-Requests");
		machine->state = STOPPED;
		finish();
	}
}

static void lower_up(int unit)
{
	(void)unit;
	if (machine->state == INITIAL) {
		machine->state = CLOSED;
	} else if (machine->state == STARTING) {
		send_request(0);
		machine->state = REQSENT;
	}
}

static void lower_down(int unit)
{
	(void)unit;
	untimeout(request_timeout, NULL);
	if (machine->state == OPENED)
		go_down();
	if (machine->state == CLOSED || machine->state == CLOSING)
		machine->state = INITIAL;
	else if (machine->state != INITIAL)
		machine->state = STARTING;
}

static void reject_protocol(int unit)
{
	lower_down(unit);
}

/* Whatever the hook did meanwhile, the request goes out and the state is REQSENT: as in pppd. */
static void open_protocol(int unit)
{
	(void)unit;
	if (machine->state == INITIAL) {
		machine->state = STARTING;
	} else if (machine->state == CLOSED) {
		send_request(0);
		machine->state = REQSENT;
	} else if (machine->state == CLOSING) {
		machine->state = STOPPING;
	}
	is_open = 1;
}

static void close_protocol(int unit, char *reason)
{
	(void)unit;
	if (reason && strcmp(reason, "LCP down") != 0)
		link_note_reason(reason);
	if (machine->state == STARTING) {
		machine->state = INITIAL;
	} else if (machine->state == STOPPED) {
		machine->state = CLOSED;
	} else if (machine->state == STOPPING) {
		machine->state = CLOSING;
	} else if (is_negotiating() || machine->state == OPENED) {
		if (machine->state == OPENED)
			go_down();
		else
			untimeout(request_timeout, NULL);
		send_terminate();
		machine->state = CLOSING;
	}
}

/* What pppd makes of the address in the peer's request. */
static enum answer judge_request(uint32_t *ret_address)
{
	const int is_last_word = machine->nakloops >= IPCP_NAKS;
	uint32_t address;

	memset(his, 0, sizeof(*his));
	if (!peer_request(&address)) {
		if (!want->req_addr || is_last_word)
			return ANSWER_ACK;
		want->req_addr = 0;
		*ret_address = want->hisaddr;
		return ANSWER_NAK;
	}
	if (address != want->hisaddr && (address == 0 || !want->accept_remote)) {
		*ret_address = want->hisaddr;
		his->neg_addr = !is_last_word;
		his->hisaddr = address;
		return is_last_word ? ANSWER_REJECT : ANSWER_NAK;
	}
	if (address == 0) {
		want->req_addr = 0;
		return ANSWER_REJECT;
	}
	his->neg_addr = 1;
	his->hisaddr = address;
	return ANSWER_ACK;
}

static void open_if(int other_side_agreed)
{
	if (!other_side_agreed)
		return;
	untimeout(request_timeout, NULL);
	machine->state = OPENED;
	go_up();
}

static void receive_request(void)
{
	uint32_t address = 0;
	enum answer answer;

	if (machine->state == OPENED)
		go_down();
	if (machine->state == OPENED || machine->state == STOPPED) {
		send_request(0);
		machine->state = REQSENT;
	}
	if (!is_negotiating())
		return;
	answer = judge_request(&address);
	peer_hears_answer(answer, address);
	if (answer == ANSWER_ACK) {
		const int agreed = machine->state == ACKRCVD;

		machine->state = agreed ? ACKRCVD : ACKSENT;
		machine->nakloops = 0;
		open_if(agreed);
		return;
	}
	if (machine->state != ACKRCVD)
		machine->state = REQSENT;
	machine->nakloops += answer == ANSWER_NAK;
}

static void receive_ack(void)
{
	if (machine->state == REQSENT)
		machine->state = ACKRCVD;
	else
		open_if(machine->state == ACKSENT);
}

static void receive_terminate_ack(void)
{
	if (machine->state != CLOSING && machine->state != STOPPING)
		return;
	untimeout(request_timeout, NULL);
	machine->state = machine->state == CLOSING ? CLOSED : STOPPED;
	finish();
}

void ipcp_receives(enum packet packet)
{
	if (packet == PACKET_IPCP_REQUEST)
		receive_request();
	else if (packet == PACKET_IPCP_ACK)
		receive_ack();
	else
		receive_terminate_ack();
}
