/* SPDX-License-Identifier: MIT */
/* The link: LCP with its packets left out, authentication, phases, network protocols. */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pppd_headers.h"
#include "side.h"

#define ALLOWED_MAX (CALL_LIST_MAX + 1)
#define AUTHENTICATED_BY_PAP 2 /* in auth_done */

struct permitted {
	int permit;
	uint32_t base, mask; /* network byte order */
};

static const struct call *peer_call;
static int lcp_state = INITIAL;
static int is_auth_configured = 1;
static int peer_logged_in; /* by authentication that we asked for */
static int peer_joined;    /* the link is in another process's bundle */
static int protocols_open, protocols_up;
static int early_opinion;
static char reason_text[512];
static struct permitted permitted[ALLOWED_MAX];
static size_t n_permitted; /* 0: the secret says nothing */

EXPORT fsm lcp_fsm[NUM_PPP];
EXPORT lcp_options lcp_wantoptions[NUM_PPP];
EXPORT lcp_options lcp_gotoptions[NUM_PPP];
EXPORT lcp_options lcp_allowoptions[NUM_PPP];
EXPORT lcp_options lcp_hisoptions[NUM_PPP];

void link_expect(const struct call *call)
{
	peer_call = call;
	early_opinion = INT_MIN;
	auth_required = is_auth_configured && !call->noauth;
	if (call->candidate && !auth_required)
		ipcp_wantoptions[0].hisaddr = call->candidate;
	if (call->local)
		ipcp_wantoptions[0].ouraddr = call->local;
	peer_meet(call);
}

int link_has_joined(void)
{
	return peer_joined;
}

int link_early_opinion(void)
{
	return early_opinion;
}

void link_note_reason(const char *reason)
{
	if (!reason_text[0] && reason)
		snprintf(reason_text, sizeof(reason_text), "%s", reason);
}

void link_forget_reason(void)
{
	reason_text[0] = '\0';
}

const char *link_reason(void)
{
	return reason_text[0] ? reason_text : "link terminated";
}

/* ---- who may have which address -------------------------------------------------------------- */

EXPORT int bad_ip_adrs(uint32_t address)
{
	const uint32_t host = ntohl(address);

	return host >> 24 == 127 || host >> 28 >= 14;
}

static int ask_plugin(uint32_t address)
{
	return allowed_address_hook ? allowed_address_hook(address) : -1;
}

EXPORT int auth_ip_addr(int unit, uint32_t address)
{
	int opinion;

	(void)unit;
	if (bad_ip_adrs(address))
		return 0;
	opinion = ask_plugin(address);
	if (opinion >= 0)
		return opinion;
	for (size_t i = 0; i < n_permitted; i++)
		if ((address & permitted[i].mask) == permitted[i].base)
			return permitted[i].permit;
	return n_permitted == 0 && !auth_required;
}

static void permit(const char *word)
{
	struct permitted *entry = &permitted[n_permitted++];
	struct in_addr address = { 0 };

	*entry = (struct permitted){ .permit = *word != '!' };
	if (strcmp(word, "*") == 0)
		return;
	if (inet_pton(AF_INET, word + (*word == '!'), &address) != 1)
		log_complain("unknown host %s in auth. address list", word);
	entry->base = address.s_addr;
	entry->mask = UINT32_MAX;
}

/* The addresses of the peer's secret. A candidate that is not theirs gives way to the first. */
static void set_allowed_addresses(void)
{
	ipcp_options *want = &ipcp_wantoptions[0];
	uint32_t suggestion;

	n_permitted = 0;
	if (peer_call->candidate && peer_call->n_allowed)
		want->hisaddr = peer_call->candidate;
	for (size_t i = 0; i < peer_call->n_allowed; i++)
		permit(peer_call->allowed[i]);
	if (peer_call->candidate && !peer_call->n_allowed)
		permitted[n_permitted++] =
			(struct permitted){ 1, peer_call->candidate, UINT32_MAX };
	if (n_permitted == 0)
		return;
	suggestion = permitted[0].permit && permitted[0].mask == UINT32_MAX ? permitted[0].base : 0;
	permitted[n_permitted++] = (struct permitted){ 0, 0, 0 };
	early_opinion = ask_plugin(want->hisaddr ? want->hisaddr : suggestion);
	if (suggestion != 0 && (want->hisaddr == 0 || !auth_ip_addr(0, want->hisaddr))) {
		want->hisaddr = suggestion;
		if (n_permitted > 2)
			want->accept_remote = 1;
	}
}

/*
 * At its start pppd asks for secrets that permit an address. Those here are in no file, so whether
 * a plugin finds any is not decisive.
 */
void link_check_auth(void)
{
	is_auth_configured = auth_required;
	if (pap_check_hook)
		pap_check_hook();
	if (chap_check_hook)
		chap_check_hook();
}

/* ---- network protocols ----------------------------------------------------------------------- */

static void connect_time_expired(void *unused)
{
	(void)unused;
	log_say("Connect time expired");
	status = EXIT_CONNECT_TIME;
	lcp_close(0, TEXT("Connect time expired"));
}

EXPORT void np_up(int unit, int protocol)
{
	(void)unit;
	(void)protocol;
	if (protocols_up++ > 0)
		return;
	status = EXIT_OK;
	unsuccess = 0;
	new_phase(PHASE_RUNNING);
	if (maxconnect > 0)
		timeout(connect_time_expired, NULL, maxconnect, 0);
	if (updetach && !nodetach)
		detach();
}

EXPORT void np_down(int unit, int protocol)
{
	(void)unit;
	(void)protocol;
	if (--protocols_up == 0) {
		untimeout(connect_time_expired, NULL);
		new_phase(PHASE_NETWORK);
	}
}

EXPORT void np_finished(int unit, int protocol)
{
	(void)unit;
	(void)protocol;
	if (--protocols_open <= 0)
		lcp_close(0, TEXT("No network protocols running"));
}

EXPORT void upper_layers_down(int unit)
{
	for (int i = 0; protocols[i]; i++) {
		if (!protocols[i]->enabled_flag)
			continue;
		protocols[i]->lowerdown(unit);
		protocols[i]->close(unit, TEXT("LCP down"));
	}
	protocols_open = 0;
	protocols_up = 0;
}

EXPORT void start_networks(int unit)
{
	new_phase(PHASE_NETWORK);
	if (peer_call->joins) {
		doing_multilink = 1;
		multilink_master = 0;
		peer_joined = 1;
		if (multilink_join_hook)
			multilink_join_hook();
		return;
	}
	for (int i = 0; protocols[i]; i++) {
		if (protocols[i]->enabled_flag && protocols[i]->open) {
			protocols[i]->open(unit);
			protocols_open++;
		}
	}
}

/* ---- authentication -------------------------------------------------------------------------- */

static void network_phase(void)
{
	core_notify(auth_up_notifier, 0);
	peer_logged_in = auth_required;
	for (size_t i = 0; i < peer_call->n_options; i++)
		if (!options_from_line(peer_call->options[i], "secrets file", 1))
			break;
	start_networks(0);
}

static void peer_logs_in(void)
{
	if (peer_call->wrong_secret) {
		status = EXIT_PEER_AUTH_FAILED;
		lcp_close(0, TEXT("Authentication failed"));
		return;
	}
	set_allowed_addresses();
	strlcpy(peer_authname, peer_call->user, MAXNAMELEN);
	script_setenv(TEXT("PEERNAME"), peer_authname, 0);
	auth_done[0] |= AUTHENTICATED_BY_PAP;
	network_phase();
}

EXPORT void link_established(int unit)
{
	for (int i = 0; protocols[i]; i++)
		if (protocols[i]->enabled_flag && protocols[i]->lowerup)
			protocols[i]->lowerup(unit);
	new_phase(PHASE_AUTHENTICATE);
	auth_done[0] = 0;
	if (auth_required)
		peer_sends(PACKET_LOGIN);
	else
		network_phase();
}

EXPORT void link_down(int unit)
{
	if (peer_logged_in) {
		core_notify(link_down_notifier, 0);
		peer_logged_in = 0;
	}
	if (!doing_multilink) {
		upper_layers_down(unit);
		if (phase != PHASE_DEAD && phase != PHASE_MASTER)
			new_phase(PHASE_ESTABLISH);
	}
}

/* ---- LCP ------------------------------------------------------------------------------------- */

EXPORT void link_terminated(int unit)
{
	(void)unit;
	if (phase == PHASE_DEAD || phase == PHASE_MASTER)
		return;
	new_phase(PHASE_DISCONNECT);
	if (pap_logout_hook)
		pap_logout_hook();
	log_say(doing_multilink ? "Link terminated." : "Connection terminated.");
	if (!hungup)
		lcp_lowerdown(0);
	if (!doing_multilink)
		script_unsetenv(TEXT("IFNAME"));
	peer_joined = 0;
	new_phase(PHASE_DEAD);
}

static void send_lcp_request(void)
{
	lcp_state = REQSENT;
	peer_sends(PACKET_LCP_ACK);
}

EXPORT void lcp_open(int unit)
{
	(void)unit;
	if (lcp_state == INITIAL)
		lcp_state = STARTING;
}

EXPORT void lcp_lowerup(int unit)
{
	(void)unit;
	if (lcp_state == STARTING)
		send_lcp_request();
	else if (lcp_state == INITIAL)
		lcp_state = CLOSED;
}

EXPORT void lcp_lowerdown(int unit)
{
	const int old_state = lcp_state;

	if (old_state == OPENED)
		link_down(unit);
	lcp_state = old_state == CLOSED || old_state == CLOSING ? INITIAL : STARTING;
}

static void close_timeout(void *unused)
{
	(void)unused;
	if (lcp_state == CLOSING) {
		lcp_state = CLOSED;
		link_terminated(0);
	}
}

EXPORT void lcp_close(int unit, char *reason)
{
	if (reason && reason[0])
		link_note_reason(reason);
	if (phase != PHASE_DEAD && phase != PHASE_MASTER)
		new_phase(PHASE_TERMINATE);
	if (lcp_state == STARTING)
		lcp_state = INITIAL;
	if (lcp_state != REQSENT && lcp_state != OPENED)
		return;
	if (lcp_state == OPENED)
		link_down(unit);
	lcp_state = CLOSING;
	peer_sends(PACKET_LCP_TERMINATE_ACK);
	timeout(close_timeout, NULL, DEFTIMEOUT, 0);
}

static void receive_lcp_request(void)
{
	if (lcp_state != OPENED)
		return;
	link_down(0);
	peer_forget_packets();
	send_lcp_request();
}

static void receive_terminate_ack(void)
{
	if (lcp_state != CLOSING)
		return;
	untimeout(close_timeout, NULL);
	close_timeout(NULL);
}

static void lose_carrier(void)
{
	log_say("Modem hangup");
	hungup = 1;
	status = EXIT_HANGUP;
	untimeout(close_timeout, NULL);
	lcp_lowerdown(0);
	link_terminated(0);
}

void link_receives(enum packet packet)
{
	if (packet == PACKET_LCP_ACK && lcp_state == REQSENT) {
		lcp_state = OPENED;
		link_established(0);
	} else if (packet == PACKET_LCP_REQUEST) {
		receive_lcp_request();
	} else if (packet == PACKET_LCP_TERMINATE_ACK) {
		receive_terminate_ack();
	} else if (packet == PACKET_LOGIN && lcp_state == OPENED) {
		peer_logs_in();
	} else if (packet == PACKET_HANGUP) {
		lose_carrier();
	}
}

/* ---- the device ------------------------------------------------------------------------------ */

/*
 * ttyS0 and Ethernet interfaces are pppd's device; a pty has no devnam in 2.4.9; L2TP has no
 * device at all, and so has a link without a port.
 */
static void set_device(const char *port)
{
	char device[sizeof(peer_call->port) + 8] = "";
	const int is_pty = strncmp(port, "pts/", 4) == 0;

	if (is_pty || strncmp(port, "tty", 3) == 0)
		snprintf(device, sizeof(device), "/dev/%s", port);
	else
		snprintf(device, sizeof(device), "%s", port);
	strlcpy(devnam, is_pty ? "" : device, PATH_MAX);
#if PPPD_25
	ppp_set_pppdevnam(device);
	if (is_pty)
		ppp_set_devnam(device);
#else
	strlcpy(ppp_devnam, device, PATH_MAX);
#endif
	log_say("Connect: %s <--> %s", ifname, device[0] ? device : "(none)");
}

EXPORT void start_link(int unit)
{
	status = EXIT_CONNECT_FAILED;
	new_phase(PHASE_SERIALCONN);
	hungup = 0;
	snprintf(ifname, 32, "ppp%d", ifunit);
	log_say("Using interface %s", ifname);
	script_setenv(TEXT("IFNAME"), ifname, 0);
	set_device(peer_call->port);
	status = EXIT_NEGOTIATION_FAILED;
	new_phase(PHASE_ESTABLISH);
	lcp_lowerup(unit);
}
