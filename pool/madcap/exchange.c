/* SPDX-License-Identifier: MIT */
/* One operation of the client's state machine over sockets, until it is over. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "libmadcap.h"

#define FAMILIES 2
#define DATAGRAMS_AT_ONCE 64 /* before the clock is looked at again */

/* A socket for each family that is spoken; -1: not yet. */
struct line {
	int fd[FAMILIES];
	unsigned int interface; /* index; 0: the system's choice */
	int send_errno;         /* of the last datagram that could not be sent */
};

static struct madcap_now read_clocks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct madcap_now){ .ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000,
				    .unix_sec = wall_clock() };
}

/* ---- sockets --------------------------------------------------------------------------------- */

static bool set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static bool set_up_ip4(int fd, unsigned int interface)
{
	struct ip_mreqn via = { .imr_ifindex = (int)interface };

	return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
	       set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, MADCAP_LOCAL_SCOPE_TTL) &&
	       (interface == 0 ||
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)) == 0);
}

static bool set_up_ip6(int fd, unsigned int interface)
{
	return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	       set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
	       set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, MADCAP_LOCAL_SCOPE_TTL) &&
	       (interface == 0 || set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)interface));
}

static int line_socket(struct line *line, uint16_t family)
{
	int *fd = &line->fd[family == MADCAP_IPV6];
	bool ready;

	if (*fd >= 0)
		return *fd;
	*fd = socket(family == MADCAP_IPV6 ? AF_INET6 : AF_INET,
		     SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -1;
	ready = family == MADCAP_IPV6 ? set_up_ip6(*fd, line->interface)
				      : set_up_ip4(*fd, line->interface);
	if (!ready) {
		int saved = errno;

		close(*fd);
		*fd = -1;
		errno = saved;
	}
	return *fd;
}

static void line_close(struct line *line)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (line->fd[i] >= 0)
			close(line->fd[i]);
}

/* What cannot be sent counts as lost, and is sent again in its time. */
static bool line_send(struct line *line, const struct madcap_output *out)
{
	int fd = line_socket(line, out->to.address.family);
	struct sockaddr_storage to;
	socklen_t size = madcap_endpoint_to_socket(&out->to, line->interface, &to);

	if (fd < 0)
		return false;
	if (sendto(fd, out->data, out->size, 0, (struct sockaddr *)&to, size) < 0)
		line->send_errno = errno;
	else
		line->send_errno = 0;
	return true;
}

static unsigned int interface_of(struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		struct in_pktinfo ip4;
		struct in6_pktinfo ip6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&ip4, CMSG_DATA(c), sizeof(ip4));
			return (unsigned int)ip4.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&ip6, CMSG_DATA(c), sizeof(ip6));
			return (unsigned int)ip6.ipi6_ifindex;
		}
	}
	return 0;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* One datagram; false if there is none. */
static bool receive_one(struct madcap *m, int fd)
{
	uint8_t data[MADCAP_DATAGRAM_MAX];
	uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
			CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	struct iovec vector = { data, sizeof(data) };
	struct msghdr header = { .msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	size_t before = m->client.n_answers;
	struct madcap_endpoint endpoint;
	struct madcap_now now;
	ssize_t n = recvmsg(fd, &header, 0);

	if (n < 0)
		return errno == EINTR;
	now = read_clocks();
	if ((header.msg_flags & MSG_TRUNC) == 0 && madcap_endpoint_from_socket(&from, &endpoint))
		madcap_client_receive(&m->client, &endpoint, data, (size_t)n, &now);
	if (m->client.n_answers == before + 1)
		m->interface_of[before] = interface_of(&header);
	return true;
}

static void wait_and_receive(struct madcap *m, const struct line *line)
{
	struct pollfd polls[FAMILIES] = { { .fd = line->fd[0], .events = POLLIN },
					  { .fd = line->fd[1], .events = POLLIN } };
	struct madcap_now now = read_clocks();
	int64_t wait_ms = madcap_client_deadline(&m->client) - now.ms;

	if (wait_ms < 0)
		wait_ms = 0;
	if (wait_ms > 3600000)
		wait_ms = 3600000;
	if (poll(polls, FAMILIES, (int)wait_ms) > 0)
		for (size_t i = 0; i < FAMILIES; i++)
			for (int n = 0; n < DATAGRAMS_AT_ONCE && (polls[i].revents & POLLIN) != 0;
			     n++)
				if (!receive_one(m, polls[i].fd))
					break;
	now = read_clocks();
	madcap_client_tick(&m->client, &now);
}

static int run(struct madcap *m, struct line *line)
{
	struct madcap_output out;

	for (;;) {
		while (madcap_client_output(&m->client, &out))
			if (!line_send(line, &out))
				return fail_with(m, MADCAP_E_SYSTEM, "no socket: %s",
						 strerror(errno));
		if (madcap_client_state(&m->client) >= MADCAP_CLIENT_DONE)
			return 0;
		wait_and_receive(m, line);
	}
}

/* ---- what came out --------------------------------------------------------------------------- */

static int explain_refusal(struct madcap *m)
{
	const struct madcap_refusal *refusal = madcap_client_refusal(&m->client);
	char server[MADCAP_ENDPOINT_TEXT], text[MADCAP_REFUSAL_TEXT_SIZE];

	m->refusal = refusal->error;
	return fail_with(m, MADCAP_E_REFUSED, "%s refuses: %s",
			 madcap_endpoint_format(&refusal->server, server),
			 madcap_refusal_text(refusal, text, sizeof(text)));
}

static int explain_silence(struct madcap *m, const struct madcap_servers *servers,
			   const struct line *line)
{
	char server[MADCAP_ENDPOINT_TEXT];
	const char *reason = line->send_errno != 0 ? strerror(line->send_errno) : NULL;

	if (servers->n == 1)
		fail_with(m, 0, "no answer from %s%s%s%s",
			  madcap_endpoint_format(&servers->server[0], server),
			  reason != NULL ? " (" : "", reason != NULL ? reason : "",
			  reason != NULL ? ")" : "");
	else if (servers->n > 1)
		fail_with(m, 0, "no answer from any of the servers");
	else
		fail_with(m, 0, "no server has answered at group %s%s%s%s",
			  madcap_endpoint_format(&servers->group, server),
			  reason != NULL ? " (" : "", reason != NULL ? reason : "",
			  reason != NULL ? ")" : "");
	return MADCAP_E_TIMED_OUT;
}

static int explain(struct madcap *m, const struct madcap_servers *servers, const struct line *line)
{
	char server[MADCAP_ENDPOINT_TEXT];

	switch (madcap_client_code(&m->client)) {
	case 0:
		return 0;
	case MADCAP_CLIENT_E_REFUSED:
		return explain_refusal(m);
	case MADCAP_CLIENT_E_TIMED_OUT:
		return explain_silence(m, servers, line);
	case MADCAP_CLIENT_E_PENDING:
		return fail_with(m, MADCAP_E_PENDING,
				 "%s has not decided in time; the request is withdrawn",
				 madcap_endpoint_format(madcap_client_peer(&m->client), server));
	case MADCAP_CLIENT_E_NO_MEMORY:
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	default:
		return MADCAP_E_ARGUMENT;
	}
}

static void line_open(struct line *line, const struct madcap *m)
{
	*line = (struct line){ .fd = { -1, -1 } };
	if (m->interface[0] != '\0')
		line->interface = if_nametoindex(m->interface);
}

int exchange(struct madcap *m, const struct madcap_query *query,
	     const struct madcap_servers *servers)
{
	struct madcap_now now = read_clocks();
	struct line line;
	int code;

	line_open(&line, m);
	memset(m->interface_of, 0, sizeof(m->interface_of));
	(void)madcap_client_start(&m->client, query, servers, &now, &m->error);
	code = run(m, &line);
	if (code == 0)
		code = explain(m, servers, &line);
	line_close(&line);
	return code;
}

void release_unheard(struct madcap *m, const struct madcap_query *granted,
		     const struct madcap_endpoint *server)
{
	struct madcap_query query = { .operation = MADCAP_RELEASE_LEASE,
				      .family = granted->family,
				      .id = granted->id };
	struct madcap_servers servers = { .server = { *server }, .n = 1, .tries = 1 };
	struct madcap_now now = read_clocks();
	struct madcap_output out;
	struct line line;

	line_open(&line, m);
	if (madcap_client_start(&m->client, &query, &servers, &now, NULL) == 0 &&
	    madcap_client_output(&m->client, &out))
		(void)line_send(&line, &out);
	line_close(&line);
}
