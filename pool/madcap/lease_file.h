/* SPDX-License-Identifier: MIT */
/*
 * lease_file.h - a lease as an object, as JSON text, and as a file for a later run (MC-11, MC-12,
 * MC-14).
 *
 * A file is replaced as a whole: written beside its place, synced, renamed. What it holds is
 * enough to renew and release the lease, so it has mode 0600 and symbolic links are followed by
 * nothing that writes. Text that is not exactly a lease makes no lease.
 */
#ifndef RASIP_MADCAP_LEASE_FILE_H
#define RASIP_MADCAP_LEASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "client.h"
#include "endpoint.h"
#include "error.h"

#define LEASE_FILE_SIZE_MAX (8u << 20) /* of the text; 65535 IPv6 addresses are 4 MB */
#define LEASE_ADDRESSES_MAX 65535
#define LEASE_TTL_UNKNOWN (-1)
#define LEASE_TIME_MAX_SEC INT64_C(0xffffffff) /* the protocol's 32 bits: in 2106 */

enum lease_file_code {
	LEASE_FILE_E_NO_MEMORY = -1,
	LEASE_FILE_E_SYSTEM = -2,  /* missing, not readable, not writable */
	LEASE_FILE_E_DAMAGED = -3, /* no lease */
};

struct madcap_lease {
	struct madcap_client_id id;
	char server[MADCAP_ENDPOINT_TEXT]; /* "": drawn on this machine */
	char scope[MADCAP_ADDRESS_TEXT];
	int64_t start_sec, stop_sec;
	int ttl;
	bool mobile; /* other servers know of it as well (Server Mobility, RFC 2730, 2.13.1) */
	char (*addresses)[MADCAP_ADDRESS_TEXT];
	size_t n_addresses;
};

/* When a lease of so many seconds stops: with the protocol's time, if not before. */
static inline int64_t lease_stop_of(int64_t start_sec, int64_t lease_sec)
{
	return lease_sec < LEASE_TIME_MAX_SEC - start_sec ? start_sec + lease_sec
							  : LEASE_TIME_MAX_SEC;
}

/* A lease with room for n addresses, n > 0, or NULL. */
struct madcap_lease *lease_alloc(size_t n);
void lease_free(struct madcap_lease *lease);

/* False if it is no server. The port is always there afterwards. */
bool lease_set_server(struct madcap_lease *lease, const char *text);

/* Whether all in it makes sense together; if not, why. */
int lease_check(const struct madcap_lease *lease, struct error *error);

/* Text of `size` bytes. Errors as above. */
int lease_parse(const char *text, size_t size, struct madcap_lease **ret, struct error *error);

/* Text to be freed by free(3), or NULL without memory. */
char *lease_print(const struct madcap_lease *lease);

int lease_load(const char *path, struct madcap_lease **ret, struct error *error);

/*
 * Whether a lease may be kept here: nothing is replaced but a file, nor a link to something else.
 * To root, a rename would put the file in the place of /dev/null.
 */
int lease_check_place(const char *path, struct error *error);
int lease_save(const struct madcap_lease *lease, const char *path, struct error *error);

/* A scope or an address, as text; false where it is too long to be one. */
bool lease_copy_text(const char *text, char *buf, size_t size);

/* An even number of hexadecimal digits, at most 255 octets of them, into *ret. */
bool lease_parse_id(const char *text, struct madcap_client_id *ret);

#endif
