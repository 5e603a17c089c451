/* SPDX-License-Identifier: MIT */
/*
 * example.c - what a program does with libmadcap: looks at the scopes, leases addresses, keeps the
 * lease for a later run, renews and releases it. Built against the installed files alone:
 *
 *	cc -o example example.c $(pkg-config --cflags --libs libmadcap)
 *	./example SERVER FILE [COUNT]
 */
#include <madcap.h>
#include <stdio.h>
#include <stdlib.h>

static int explain(const struct madcap *m, const char *what, int code)
{
	if (code == 0)
		return 0;
	fprintf(stderr, "%s: %s (%s)\n", what, madcap_strerror(code), madcap_error_text(m));
	if (code == MADCAP_E_REFUSED)
		fprintf(stderr, "error %d: %s\n", madcap_refusal_code(m),
			madcap_refusal_name((uint16_t)madcap_refusal_code(m)));
	return code;
}

/* Each scope on a line, by cursor. */
static int list(const struct madcap_scopes *scopes)
{
	struct madcap_cursor *cursor = NULL;
	const struct madcap_scope *scope;
	size_t n = 0;
	int code = madcap_cursor_new(scopes, &cursor);

	while (code == 0 && (code = madcap_cursor_next(cursor, 1, &scope, &n)) == 0 && n == 1)
		printf("scope %s %s %u %s\n", madcap_scope_id(scope), madcap_scope_server(scope),
		       madcap_scope_ttl(scope), madcap_scope_description(scope));
	madcap_cursor_free(&cursor);
	return code;
}

static void show(const char *what, const struct madcap_lease *lease)
{
	struct sockaddr_storage to;
	socklen_t size = 0;
	unsigned int ttl = 0;

	printf("%s from %s for %lld s", what, madcap_lease_server(lease),
	       (long long)(madcap_lease_stop(lease) - madcap_lease_start(lease)));
	for (size_t i = 0; i < madcap_lease_count(lease); i++)
		if (madcap_lease_sockaddr(lease, i, &to, &size) == 0)
			printf(" %s", madcap_lease_address(lease, i));
	if (madcap_lease_ttl(lease, &ttl) == 0)
		printf(" ttl %u", ttl);
	putchar('\n');
}

/* Leases from the first scope there is, and keeps the lease in a file. */
static int first_run(struct madcap *m, const char *file, unsigned int count)
{
	struct madcap_scopes *scopes = NULL;
	struct madcap_lease *lease = NULL;
	struct madcap_wish wish = { .seconds = 600, .count = count, .min_count = 1 };
	int code = explain(m, "scopes", madcap_scopes_get(m, &scopes));

	if (code == 0)
		code = list(scopes);
	if (code == 0) {
		wish.scope = madcap_scopes_at(scopes, 0);
		code = explain(m, "request", madcap_request(m, &wish, &lease));
	}
	if (code == 0) {
		show("leased", lease);
		code = explain(m, "save", madcap_lease_save(m, lease, file));
	}
	madcap_lease_free(&lease);
	madcap_scopes_free(&scopes);
	return code;
}

/* Knows nothing but the file. */
static int later_run(struct madcap *m, const char *file)
{
	struct madcap_lease *lease = NULL, *renewed = NULL;
	int code = explain(m, "load", madcap_lease_load(m, file, &lease));

	if (code == 0)
		code = explain(
			m, "renew",
			madcap_renew(m, lease, &(struct madcap_wish){ .seconds = 1200 }, &renewed));
	if (code == 0) {
		show("renewed", renewed);
		code = explain(m, "release", madcap_release(m, renewed));
	}
	if (code == 0 && madcap_release(m, renewed) == MADCAP_E_REFUSED)
		printf("released: %s\n", madcap_error_text(m));
	madcap_lease_free(&renewed);
	madcap_lease_free(&lease);
	return code;
}

int main(int argc, char **argv)
{
	struct madcap *m = NULL;
	int code;

	if (argc < 3) {
		fprintf(stderr, "usage: example SERVER FILE [COUNT]\n");
		return 2;
	}
	code = madcap_new(MADCAP_API_VERSION, &m);
	if (code == 0)
		code = madcap_add_server(m, argv[1]);
	if (code == 0)
		code = madcap_set_timeout(m, 10000);
	if (code == 0)
		code = madcap_start(m);
	explain(m, "start", code);
	if (code == 0)
		code = first_run(m, argv[2], argc > 3 ? (unsigned int)atoi(argv[3]) : 1);
	if (code == 0)
		code = later_run(m, argv[2]);
	madcap_free(&m);
	return code == 0 ? 0 : 1;
}
