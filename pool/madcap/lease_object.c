/* SPDX-License-Identifier: MIT */
/* Lease objects: made from parts, text and files (MC-11, MC-14), and read (MC-13). */
#include <string.h>

#include "endpoint.h"
#include "libmadcap.h"

/* ---- parts, text, files ---------------------------------------------------------------------- */

static int translate(struct madcap *m, int code, const struct error *error)
{
	static const int codes[] = {
		[-LEASE_FILE_E_NO_MEMORY] = MADCAP_E_NO_MEMORY,
		[-LEASE_FILE_E_SYSTEM] = MADCAP_E_SYSTEM,
		[-LEASE_FILE_E_DAMAGED] = MADCAP_E_DAMAGED,
	};

	return code == 0 ? 0 : fail_with(m, codes[-code], "%s", error->text);
}

static int fill_parts(struct madcap *m, const struct madcap_lease_parts *parts,
		      struct madcap_lease *lease)
{
	struct error error = { "" };

	memcpy(lease->id.bytes, parts->request_id, parts->request_id_size);
	lease->id.size = parts->request_id_size;
	lease->start_sec = parts->start;
	lease->stop_sec = parts->stop;
	if (parts->server != NULL && parts->server[0] != '\0' &&
	    !lease_set_server(lease, parts->server))
		return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no server", parts->server);
	if (!lease_copy_text(parts->scope_id, lease->scope, sizeof(lease->scope)))
		return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no scope", parts->scope_id);
	for (size_t i = 0; i < lease->n_addresses; i++) {
		if (parts->addresses[i] == NULL)
			return fail_with(m, MADCAP_E_POINTER, "an address is missing");
		if (!lease_copy_text(parts->addresses[i], lease->addresses[i],
				     sizeof(lease->addresses[i])))
			return fail_with(m, MADCAP_E_ARGUMENT, "'%s' is no multicast address",
					 parts->addresses[i]);
	}
	if (lease_check(lease, &error) != 0)
		return fail_with(m, MADCAP_E_ARGUMENT, "%s", error.text);
	return 0;
}

int madcap_lease_new(struct madcap *m, const struct madcap_lease_parts *parts,
		     struct madcap_lease **ret)
{
	struct madcap_lease *lease;
	int code;

	if (parts == NULL || ret == NULL || parts->request_id == NULL || parts->scope_id == NULL ||
	    parts->addresses == NULL)
		return MADCAP_E_POINTER;
	if (parts->request_id_size == 0 || parts->request_id_size > MADCAP_REQUEST_ID_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "a request id has 1 to 255 octets");
	if (parts->n_addresses == 0 || parts->n_addresses > MADCAP_ADDRESSES_MAX)
		return fail_with(m, MADCAP_E_ARGUMENT, "a lease has 1 to %d addresses",
				 MADCAP_ADDRESSES_MAX);
	lease = lease_alloc(parts->n_addresses);
	if (lease == NULL)
		return fail_with(m, MADCAP_E_NO_MEMORY, "out of memory");
	code = fill_parts(m, parts, lease);
	if (code == 0)
		*ret = lease;
	else
		lease_free(lease);
	return code;
}

int madcap_lease_from_json(struct madcap *m, const char *text, struct madcap_lease **ret)
{
	struct error error = { "" };

	if (text == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	return translate(m, lease_parse(text, strlen(text), ret, &error), &error);
}

int madcap_lease_to_json(const struct madcap_lease *lease, char **ret)
{
	char *text;

	if (lease == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	text = lease_print(lease);
	if (text == NULL)
		return MADCAP_E_NO_MEMORY;
	*ret = text;
	return 0;
}

int madcap_lease_load(struct madcap *m, const char *path, struct madcap_lease **ret)
{
	struct error error = { "" };

	if (path == NULL || ret == NULL)
		return MADCAP_E_POINTER;
	return translate(m, lease_load(path, ret, &error), &error);
}

int madcap_lease_save(struct madcap *m, const struct madcap_lease *lease, const char *path)
{
	struct error error = { "" };

	if (lease == NULL || path == NULL)
		return MADCAP_E_POINTER;
	return translate(m, lease_save(lease, path, &error), &error);
}

void madcap_lease_free(struct madcap_lease **lease)
{
	if (lease == NULL)
		return;
	lease_free(*lease);
	*lease = NULL;
}

/* ---- what a lease is ------------------------------------------------------------------------- */

const uint8_t *madcap_lease_request_id(const struct madcap_lease *lease, size_t *ret_size)
{
	if (lease == NULL)
		return NULL;
	if (ret_size != NULL)
		*ret_size = lease->id.size;
	return lease->id.bytes;
}

const char *madcap_lease_server(const struct madcap_lease *lease)
{
	return lease != NULL ? lease->server : NULL;
}

const char *madcap_lease_scope(const struct madcap_lease *lease)
{
	return lease != NULL ? lease->scope : NULL;
}

int64_t madcap_lease_start(const struct madcap_lease *lease)
{
	return lease != NULL ? lease->start_sec : 0;
}

int64_t madcap_lease_stop(const struct madcap_lease *lease)
{
	return lease != NULL ? lease->stop_sec : 0;
}

size_t madcap_lease_count(const struct madcap_lease *lease)
{
	return lease != NULL ? lease->n_addresses : 0;
}

const char *madcap_lease_address(const struct madcap_lease *lease, size_t i)
{
	return i < madcap_lease_count(lease) ? lease->addresses[i] : NULL;
}

int madcap_lease_ttl(const struct madcap_lease *lease, unsigned int *ret_ttl)
{
	if (lease == NULL || ret_ttl == NULL)
		return MADCAP_E_POINTER;
	if (lease->ttl == LEASE_TTL_UNKNOWN)
		return MADCAP_E_NO_TTL;
	*ret_ttl = (unsigned int)lease->ttl;
	return 0;
}

int madcap_lease_sockaddr(const struct madcap_lease *lease, size_t i, struct sockaddr_storage *ret,
			  socklen_t *ret_size)
{
	struct madcap_endpoint endpoint = { .port = 0 };

	if (lease == NULL || ret == NULL || ret_size == NULL)
		return MADCAP_E_POINTER;
	if (i >= lease->n_addresses ||
	    !madcap_address_parse(lease->addresses[i], &endpoint.address))
		return MADCAP_E_ARGUMENT;
	*ret_size = madcap_endpoint_to_socket(&endpoint, 0, ret);
	return 0;
}
