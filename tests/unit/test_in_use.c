/* SPDX-License-Identifier: MIT */
/*
 * in_use.c with a kernel that the test plays: what it says in how many pieces, what it does not say,
 * and what it says wrong. Whatever is not known is an error, never an address that is free.
 */
#include "in_use.h"
#include "suite.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "parse.h"

#define PIECES_MAX 400

/* ---- the kernel ------------------------------------------------------------------------------ */

static struct {
	int socket_errno; /* 0: there are sockets */
	int send_errno;
	bool sends_half;
	struct {
		union {
			struct nlmsghdr header;
			char bytes[8192];
		} data;
		size_t size;
		int errnum;
	} pieces[PIECES_MAX];
	size_t n_pieces, at;
	unsigned int dumps, lookups;
	uint32_t looked_up;
} kernel;

static struct in_use in_use;
static struct error error;

/* They stand before those of the C library. */
int socket(int domain, int type, int protocol)
{
	ck_assert_int_eq(domain, AF_NETLINK);
	ck_assert_int_ne(type & SOCK_CLOEXEC, 0);
	ck_assert_int_eq(protocol, NETLINK_ROUTE);
	errno = kernel.socket_errno;
	return kernel.socket_errno != 0 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	struct nlmsghdr header;

	(void)fd;
	(void)flags;
	ck_assert_uint_ge(size, sizeof(header));
	memcpy(&header, data, sizeof(header));
	ck_assert_uint_eq(header.nlmsg_len, size);
	if (kernel.send_errno != 0) {
		errno = kernel.send_errno;
		return -1;
	}
	kernel.dumps += header.nlmsg_type == RTM_GETADDR;
	if (header.nlmsg_type == RTM_GETROUTE) {
		uint32_t addr_be;

		kernel.lookups++;
		memcpy(&addr_be, (const char *)data + size - sizeof(addr_be), sizeof(addr_be));
		kernel.looked_up = ntohl(addr_be);
	}
	return (ssize_t)(kernel.sends_half ? size / 2 : size);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	size_t at = kernel.at++;

	(void)fd;
	(void)flags;
	ck_assert_msg(at < kernel.n_pieces, "asked for more than there is");
	if (kernel.pieces[at].errnum != 0) {
		errno = kernel.pieces[at].errnum;
		return -1;
	}
	ck_assert_uint_le(kernel.pieces[at].size, size);
	memcpy(data, &kernel.pieces[at].data, kernel.pieces[at].size);
	return (ssize_t)kernel.pieces[at].size;
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void new_piece(int errnum)
{
	ck_assert_uint_lt(kernel.n_pieces, PIECES_MAX);
	kernel.pieces[kernel.n_pieces++].errnum = errnum;
}

/* Behind what the last piece has; `size` octets follow the header. */
static struct nlmsghdr *add_message(uint16_t type, uint16_t flags, const void *body, size_t size)
{
	size_t at = kernel.pieces[kernel.n_pieces - 1].size;
	char *bytes = kernel.pieces[kernel.n_pieces - 1].data.bytes + at;
	struct nlmsghdr *header = (void *)bytes;

	ck_assert_uint_le(at + NLMSG_SPACE(size), sizeof(kernel.pieces[0].data));
	header->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	header->nlmsg_type = type;
	header->nlmsg_flags = flags;
	memcpy(NLMSG_DATA(header), body, size);
	kernel.pieces[kernel.n_pieces - 1].size += NLMSG_SPACE(size);
	return header;
}

static void add_attribute(struct nlmsghdr *header, uint16_t type, const void *value, size_t size)
{
	struct rtattr attribute = { (uint16_t)RTA_LENGTH(size), type };
	char *at = (char *)header + NLMSG_ALIGN(header->nlmsg_len);

	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + RTA_LENGTH(0), value, size);
	header->nlmsg_len += (uint32_t)RTA_SPACE(size);
	kernel.pieces[kernel.n_pieces - 1].size += RTA_SPACE(size);
}

static uint32_t host(const char *text)
{
	uint32_t addr = 0;

	ck_assert(parse_ip4(text, &addr));
	return addr;
}

/* As the kernel has it for a point-to-point link; on others both are the same. */
static void add_link(uint32_t own, uint32_t peer, uint16_t flags)
{
	const struct ifaddrmsg body = { .ifa_family = AF_INET, .ifa_prefixlen = 32 };
	struct nlmsghdr *header =
		add_message(RTM_NEWADDR, (uint16_t)(NLM_F_MULTI | flags), &body, sizeof(body));
	uint32_t own_be = htonl(own), peer_be = htonl(peer);

	add_attribute(header, IFA_ADDRESS, &peer_be, sizeof(peer_be));
	add_attribute(header, IFA_LOCAL, &own_be, sizeof(own_be));
	add_attribute(header, IFA_LABEL, "ppp0", sizeof("ppp0"));
}

static void add_done(int errnum)
{
	const int code = -errnum;

	add_message(NLMSG_DONE, NLM_F_MULTI, &code, sizeof(code));
}

static void add_error(int errnum)
{
	const struct nlmsgerr body = { .error = -errnum };

	add_message(NLMSG_ERROR, 0, &body, sizeof(body));
}

static void add_route(uint8_t length, uint8_t type, uint8_t protocol)
{
	const struct rtmsg body = { .rtm_family = AF_INET,
				    .rtm_dst_len = length,
				    .rtm_type = type,
				    .rtm_protocol = protocol };

	add_message(RTM_NEWROUTE, 0, &body, sizeof(body));
}

/* One that has more addresses than are read: from 10.0.0.0 on. */
static void begin_with_many(void)
{
	uint32_t addr = host("10.0.0.0");

	for (int piece = 0; piece < IN_USE_TABLE_MAX / 64 + 1; piece++) {
		new_piece(0);
		for (int i = 0; i < 64; i++, addr++)
			add_link(addr, addr, 0);
	}
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert(!in_use.complete);
	kernel.n_pieces = kernel.at = 0;
	memset(&kernel.pieces, 0, sizeof(kernel.pieces));
}

static void setup(void)
{
	memset(&kernel, 0, sizeof(kernel));
	memset(&error, 0, sizeof(error));
}

static void teardown(void)
{
	in_use_done(&in_use);
}

static int has(const char *addr)
{
	return in_use_has(&in_use, host(addr), &error);
}

static void assert_not_told(int code, int errnum)
{
	ck_assert_int_eq(code, POOL_E_SYSTEM);
	ck_assert_msg(strstr(error.text, "which addresses this machine has") != NULL &&
			      strstr(error.text, strerror(errnum)) != NULL,
		      "%s", error.text);
}

/* ---- the table ------------------------------------------------------------------------------- */

START_TEST(own_addresses_and_peers)
{
	new_piece(0);
	add_link(host("127.0.0.1"), host("127.0.0.1"), 0);
	add_link(host("10.64.0.1"), host("10.64.0.7"), 0);
	new_piece(0);
	add_link(host("192.0.2.9"), host("192.0.2.9"), 0);
	new_piece(0);
	add_done(0);
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_int_eq(has("127.0.0.1"), 1);
	ck_assert_int_eq(has("10.64.0.1"), 1);
	ck_assert_int_eq(has("10.64.0.7"), 1);
	ck_assert_int_eq(has("192.0.2.9"), 1);
	ck_assert_int_eq(has("10.64.0.2"), 0);
	ck_assert_int_eq(has("0.0.0.0"), 0);
	ck_assert_uint_eq(kernel.dumps, 1);
	ck_assert_uint_eq(kernel.lookups, 0);
}
END_TEST

START_TEST(no_address_at_all)
{
	new_piece(0);
	add_message(NLMSG_DONE, NLM_F_MULTI, "", 0); /* as old kernels end a dump */
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_int_eq(has("10.64.0.1"), 0);
}
END_TEST

START_TEST(more_than_a_few)
{
	for (uint32_t i = 0; i < 10; i++) {
		new_piece(0);
		for (uint32_t j = 0; j < 30; j++)
			add_link(host("10.1.0.0") + 30 * i + j, host("10.2.0.0") + 30 * i + j, 0);
	}
	new_piece(0);
	add_done(0);
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_uint_eq(in_use.n, 600);
	ck_assert_int_eq(has("10.1.0.255"), 1);
	ck_assert_int_eq(has("10.2.1.0"), 1);
	ck_assert_int_eq(has("10.1.2.0"), 0);
	ck_assert_uint_eq(kernel.lookups, 0);
}
END_TEST

/* Other attributes, and other messages, say nothing of addresses. */
START_TEST(what_is_no_address)
{
	const struct ifaddrmsg body = { .ifa_family = AF_INET };
	const struct rtattr longer = { 100, IFA_LOCAL };
	const struct rtattr none = { 0, IFA_LOCAL };
	uint32_t addr_be = htonl(host("10.9.9.9"));
	struct nlmsghdr *header;

	new_piece(0);
	header = add_message(RTM_NEWADDR, 0, &body, sizeof(body));
	add_attribute(header, IFA_BROADCAST, &addr_be, sizeof(addr_be));
	add_attribute(header, IFA_LOCAL, &addr_be, 2);
	header = add_message(RTM_DELADDR, 0, &body, sizeof(body));
	add_attribute(header, IFA_LOCAL, &addr_be, sizeof(addr_be));
	header = add_message(RTM_NEWADDR, 0, &body, sizeof(body));
	memcpy((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(body)), &longer, sizeof(longer));
	header->nlmsg_len += sizeof(longer);
	kernel.pieces[0].size += sizeof(longer);
	header = add_message(RTM_NEWADDR, 0, &body, sizeof(body));
	memcpy((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(body)), &none, sizeof(none));
	header->nlmsg_len += sizeof(none);
	kernel.pieces[0].size += sizeof(none);
	add_done(0);
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_int_eq(has("10.9.9.9"), 0);
}
END_TEST

static const struct {
	const char *what;
	int socket_errno, send_errno, recv_errno, error_errno, done_errno;
	bool sends_half, is_cut;
	int shown;
} untold[] = {
	{ .what = "no netlink", .socket_errno = EAFNOSUPPORT, .shown = EAFNOSUPPORT },
	{ .what = "no descriptor", .socket_errno = EMFILE, .shown = EMFILE },
	{ .what = "nothing is sent", .send_errno = ENOBUFS, .shown = ENOBUFS },
	{ .what = "half is sent", .sends_half = true, .shown = EIO },
	{ .what = "nothing comes", .recv_errno = ENOBUFS, .shown = ENOBUFS },
	{ .what = "refused", .error_errno = EPERM, .shown = EPERM },
	{ .what = "ends with an error", .done_errno = ENOMEM, .shown = ENOMEM },
	{ .what = "cut short", .is_cut = true, .shown = EIO },
};

/* In the first piece, and where some addresses have come already. */
START_TEST(what_is_not_told_is_not_free)
{
	for (int pieces_before = 0; pieces_before < 2; pieces_before++) {
		setup();
		kernel.socket_errno = untold[_i].socket_errno;
		kernel.send_errno = untold[_i].send_errno;
		kernel.sends_half = untold[_i].sends_half;
		if (pieces_before > 0) {
			new_piece(0);
			add_link(host("10.1.1.1"), host("10.1.1.1"), 0);
		}
		new_piece(untold[_i].recv_errno);
		if (untold[_i].error_errno != 0)
			add_error(untold[_i].error_errno);
		else
			add_done(untold[_i].done_errno);
		if (untold[_i].is_cut)
			kernel.pieces[pieces_before].size = sizeof(struct nlmsghdr) - 1;
		assert_not_told(in_use_init(&in_use, &error), untold[_i].shown);
		in_use_done(&in_use);
	}
}
END_TEST

START_TEST(an_error_without_a_number)
{
	new_piece(0);
	add_message(NLMSG_ERROR, 0, "", 0);
	assert_not_told(in_use_init(&in_use, &error), EIO);
}
END_TEST

/* Where an address went or came while the table was read, the kernel may have passed over others. */
START_TEST(a_table_that_changed_is_not_relied_on)
{
	new_piece(0);
	add_link(host("10.1.1.1"), host("10.1.1.1"), 0);
	new_piece(0);
	add_link(host("10.1.1.3"), host("10.1.1.3"), NLM_F_DUMP_INTR);
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_int_eq(has("10.1.1.1"), 1);
	new_piece(0);
	add_route(32, RTN_LOCAL, RTPROT_KERNEL);
	ck_assert_int_eq(has("10.1.1.2"), 1);
	ck_assert_uint_eq(kernel.looked_up, host("10.1.1.2"));
}
END_TEST

START_TEST(a_table_that_changed_at_its_end_is_not_relied_on)
{
	const int code = 0;

	new_piece(0);
	add_link(host("10.1.1.1"), host("10.1.1.1"), 0);
	new_piece(0);
	add_message(NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, &code, sizeof(code));
	ck_assert_int_eq(in_use_init(&in_use, &error), 0);
	ck_assert_int_eq(has("10.1.1.1"), 1);
	new_piece(0);
	add_route(32, RTN_LOCAL, RTPROT_KERNEL);
	ck_assert_int_eq(has("10.1.1.2"), 1);
}
END_TEST

/* ---- single addresses ------------------------------------------------------------------------ */

static const struct {
	uint8_t length, type, protocol;
	int expected;
} routes[] = {
	{ 32, RTN_LOCAL, RTPROT_KERNEL, 1 },     /* our own */
	{ 32, RTN_LOCAL, RTPROT_STATIC, 1 },     /* as good as our own */
	{ 32, RTN_UNICAST, RTPROT_KERNEL, 1 },   /* a peer */
	{ 32, RTN_UNICAST, RTPROT_STATIC, 0 },   /* somebody's route to another host */
	{ 24, RTN_UNICAST, RTPROT_KERNEL, 0 },   /* a network that we are in */
	{ 0, RTN_UNICAST, RTPROT_BOOT, 0 },      /* the default */
	{ 16, RTN_UNREACHABLE, RTPROT_BOOT, 0 }, /* what keeps a pool's range to us */
	{ 32, RTN_BROADCAST, RTPROT_KERNEL, 0 },
};

START_TEST(one_address_by_its_route)
{
	begin_with_many();
	new_piece(0);
	add_route(routes[_i].length, routes[_i].type, routes[_i].protocol);
	ck_assert_int_eq(has("10.200.0.1"), routes[_i].expected);
	ck_assert_uint_eq(kernel.looked_up, host("10.200.0.1"));
	ck_assert_uint_eq(kernel.lookups, 1);
	ck_assert_int_eq(has("10.0.0.9"), 1); /* from the part of the table that was read */
	ck_assert_uint_eq(kernel.lookups, 1);
}
END_TEST

static const struct {
	int errnum;
	bool is_answer;
} route_errors[] = {
	{ ENETUNREACH, true },  /* no route */
	{ EHOSTUNREACH, true }, /* unreachable */
	{ EACCES, true },       /* prohibit */
	{ EINVAL, true },       /* blackhole */
	{ ENOBUFS, false },     { ENOMEM, false }, { EPERM, false }, { EOPNOTSUPP, false },
};

START_TEST(no_route_is_an_answer_and_no_memory_is_none)
{
	int code;

	begin_with_many();
	new_piece(0);
	add_error(route_errors[_i].errnum);
	code = has("10.200.0.1");
	if (route_errors[_i].is_answer)
		ck_assert_int_eq(code, 0);
	else
		assert_not_told(code, route_errors[_i].errnum);
}
END_TEST

START_TEST(an_address_that_cannot_be_looked_up)
{
	begin_with_many();
	kernel.socket_errno = EMFILE;
	assert_not_told(has("10.200.0.1"), EMFILE);
	kernel.socket_errno = 0;
	kernel.send_errno = ENOBUFS;
	assert_not_told(has("10.200.0.1"), ENOBUFS);
	kernel.send_errno = 0;
	new_piece(ENOMEM);
	assert_not_told(has("10.200.0.1"), ENOMEM);
	new_piece(0);
	assert_not_told(has("10.200.0.1"), EIO);
	new_piece(0);
	add_message(NLMSG_ERROR, 0, "", 0);
	assert_not_told(has("10.200.0.1"), EIO);
	new_piece(0);
	add_error(ENETUNREACH);
	ck_assert_int_eq(has("10.200.0.1"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("in_use");
	TCase *tcase = tcase_create("in_use");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, own_addresses_and_peers);
	tcase_add_test(tcase, no_address_at_all);
	tcase_add_test(tcase, more_than_a_few);
	tcase_add_test(tcase, what_is_no_address);
	tcase_add_loop_test(tcase, what_is_not_told_is_not_free, 0,
			    (int)(sizeof(untold) / sizeof(untold[0])));
	tcase_add_test(tcase, an_error_without_a_number);
	tcase_add_test(tcase, a_table_that_changed_is_not_relied_on);
	tcase_add_test(tcase, a_table_that_changed_at_its_end_is_not_relied_on);
	tcase_add_loop_test(tcase, one_address_by_its_route, 0,
			    (int)(sizeof(routes) / sizeof(routes[0])));
	tcase_add_loop_test(tcase, no_route_is_an_answer_and_no_memory_is_none, 0,
			    (int)(sizeof(route_errors) / sizeof(route_errors[0])));
	tcase_add_test(tcase, an_address_that_cannot_be_looked_up);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
