/* SPDX-License-Identifier: MIT */
#include "lease_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint.h"
#include "parse.h"

#define READ_STEP 65536

/* ---- the object ------------------------------------------------------------------------------ */

struct madcap_lease *lease_alloc(size_t n)
{
	struct madcap_lease *lease = calloc(1, sizeof(*lease));

	if (lease == NULL)
		return NULL;
	lease->addresses = calloc(n, sizeof(*lease->addresses));
	if (lease->addresses == NULL) {
		free(lease);
		return NULL;
	}
	lease->n_addresses = n;
	lease->ttl = LEASE_TTL_UNKNOWN;
	return lease;
}

void lease_free(struct madcap_lease *lease)
{
	if (lease == NULL)
		return;
	free(lease->addresses);
	explicit_bzero(&lease->id, sizeof(lease->id)); /* the key to the lease */
	free(lease);
}

bool lease_set_server(struct madcap_lease *lease, const char *text)
{
	struct madcap_endpoint endpoint;

	if (!madcap_endpoint_parse_host(text, &endpoint))
		return false;
	madcap_endpoint_format(&endpoint, lease->server);
	return true;
}

/* A group's canonical text, of this family (0: of any). */
static bool check_group(const char *text, uint16_t *family)
{
	struct madcap_address address;

	if (!madcap_address_parse(text, &address) || !madcap_address_is_multicast(&address) ||
	    (*family != 0 && *family != address.family))
		return false;
	*family = address.family;
	return true;
}

/* All but the addresses; *ret_family is the scope's. */
static bool check_head(const struct madcap_lease *lease, uint16_t *ret_family, struct error *error)
{
	struct madcap_endpoint endpoint;

	*ret_family = 0;
	if (lease->id.size == 0)
		error_set(error, "the request id is missing");
	else if (lease->server[0] != '\0' && !madcap_endpoint_parse_host(lease->server, &endpoint))
		error_set(error, "'%s' is no server", lease->server);
	else if (!check_group(lease->scope, ret_family))
		error_set(error, "'%s' is no scope: it must be a multicast address", lease->scope);
	else if (lease->start_sec < 0 || lease->stop_sec > LEASE_TIME_MAX_SEC)
		error_set(error, "its times are not between 1970 and 2106");
	else if (lease->stop_sec <= lease->start_sec)
		error_set(error, "it ends before it starts");
	else if (lease->n_addresses == 0)
		error_set(error, "it has no addresses");
	else
		return true;
	return false;
}

int lease_check(const struct madcap_lease *lease, struct error *error)
{
	uint16_t family;

	if (!check_head(lease, &family, error))
		return LEASE_FILE_E_DAMAGED;
	for (size_t i = 0; i < lease->n_addresses; i++) {
		if (!check_group(lease->addresses[i], &family)) {
			error_set(error, "'%s' is no multicast address of its scope's family",
				  lease->addresses[i]);
			return LEASE_FILE_E_DAMAGED;
		}
	}
	return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

bool lease_parse_id(const char *text, struct madcap_client_id *ret)
{
	struct madcap_client_id id = { .size = 0 };

	if (!parse_octets(text, sizeof(id.bytes), id.bytes, &id.size))
		return false;
	*ret = id;
	return true;
}

/* A member that is text, or NULL with the reason. */
static const char *member_text(const json_t *object, const char *name, struct error *error)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);

	if (value == NULL)
		error_set(error, "\"%s\" is missing", name);
	else if (text == NULL || strlen(text) != json_string_length(value)) {
		error_set(error, "\"%s\" is not what it should be, text", name);
		text = NULL;
	}
	return text;
}

bool lease_copy_text(const char *text, char *buf, size_t size)
{
	size_t len = strlen(text);

	if (len >= size)
		return false;
	memcpy(buf, text, len + 1);
	return true;
}

static bool member_time(const json_t *object, const char *name, int64_t *ret, struct error *error)
{
	const char *text = member_text(object, name, error);

	if (text == NULL)
		return false;
	if (!parse_time(text, ret)) {
		error_set(error, "\"%s\" is no time such as 2026-11-20T09:00:00Z", name);
		return false;
	}
	return true;
}

static bool read_server(const json_t *object, struct madcap_lease *lease, struct error *error)
{
	const char *text;

	if (json_is_null(json_object_get(object, "server")))
		return true;
	text = member_text(object, "server", error);
	if (text == NULL)
		return false;
	if (!lease_set_server(lease, text)) {
		error_set(error, "\"server\" is no ADDRESS:PORT");
		return false;
	}
	return true;
}

static bool read_ttl(const json_t *object, struct madcap_lease *lease, struct error *error)
{
	const json_t *value = json_object_get(object, "ttl");
	json_int_t ttl = json_integer_value(value);

	if (value == NULL || json_is_null(value))
		return true;
	if (!json_is_integer(value) || ttl < 0 || ttl > UINT8_MAX) {
		error_set(error, "\"ttl\" is no number from 0 to 255");
		return false;
	}
	lease->ttl = (int)ttl;
	return true;
}

static bool read_mobile(const json_t *object, struct madcap_lease *lease, struct error *error)
{
	const json_t *value = json_object_get(object, "mobile");

	if (value != NULL && !json_is_boolean(value)) {
		error_set(error, "\"mobile\" is neither true nor false");
		return false;
	}
	lease->mobile = json_is_true(value);
	return true;
}

static bool read_addresses(const json_t *array, struct madcap_lease *lease, struct error *error)
{
	for (size_t i = 0; i < lease->n_addresses; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text == NULL ||
		    !lease_copy_text(text, lease->addresses[i], sizeof(lease->addresses[i]))) {
			error_set(error, "\"addresses\" holds something that is no address");
			return false;
		}
	}
	return true;
}

static bool read_members(const json_t *object, struct madcap_lease *lease, struct error *error)
{
	const char *id = member_text(object, "request_id", error);
	const char *scope;

	if (id == NULL)
		return false;
	if (!lease_parse_id(id, &lease->id)) {
		error_set(error, "\"request_id\" is not 1 to 255 octets in hexadecimal");
		return false;
	}
	if (!read_server(object, lease, error) || !read_ttl(object, lease, error) ||
	    !read_mobile(object, lease, error))
		return false;
	scope = member_text(object, "scope", error);
	if (scope == NULL)
		return false;
	if (!lease_copy_text(scope, lease->scope, sizeof(lease->scope))) {
		error_set(error, "\"scope\" is no multicast address");
		return false;
	}
	return member_time(object, "start", &lease->start_sec, error) &&
	       member_time(object, "end", &lease->stop_sec, error) &&
	       read_addresses(json_object_get(object, "addresses"), lease, error) &&
	       lease_check(lease, error) == 0;
}

static int parse_object(const json_t *object, struct madcap_lease **ret, struct error *error)
{
	const json_t *addresses = json_object_get(object, "addresses");
	size_t n = json_array_size(addresses);
	struct madcap_lease *lease;

	if (!json_is_object(object)) {
		error_set(error, "this is no JSON object");
		return LEASE_FILE_E_DAMAGED;
	}
	if (!json_is_array(addresses) || n == 0 || n > LEASE_ADDRESSES_MAX) {
		error_set(error, "\"addresses\" is no array of 1 to %d addresses",
			  LEASE_ADDRESSES_MAX);
		return LEASE_FILE_E_DAMAGED;
	}
	lease = lease_alloc(n);
	if (lease == NULL) {
		error_set(error, "out of memory");
		return LEASE_FILE_E_NO_MEMORY;
	}
	if (!read_members(object, lease, error)) {
		lease_free(lease);
		return LEASE_FILE_E_DAMAGED;
	}
	*ret = lease;
	return 0;
}

int lease_parse(const char *text, size_t size, struct madcap_lease **ret, struct error *error)
{
	json_error_t problem;
	json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
	int code;

	if (object == NULL) {
		/* No line: it had not even the memory to begin. */
		if (json_error_code(&problem) == json_error_out_of_memory || problem.line < 0) {
			error_set(error, "out of memory");
			return LEASE_FILE_E_NO_MEMORY;
		}
		/* The problem's text quotes the input, which holds the key to the lease. */
		error_set(error, "line %d is no JSON", problem.line);
		return LEASE_FILE_E_DAMAGED;
	}
	code = parse_object(object, ret, error);
	json_decref(object);
	return code;
}

static json_t *addresses_json(const struct madcap_lease *lease)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < lease->n_addresses; i++)
		if (json_array_append_new(array, json_string(lease->addresses[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* json_dumps() would leave out a member's name for which there is no memory, and say nothing. */
static char *print_object(const json_t *object)
{
	size_t size = json_dumpb(object, NULL, 0, JSON_INDENT(2));
	char *text = size > 0 ? malloc(size + 1) : NULL;

	if (text == NULL)
		return NULL;
	if (json_dumpb(object, text, size, JSON_INDENT(2)) != size) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

char *lease_print(const struct madcap_lease *lease)
{
	char id[OCTETS_TEXT_SIZE(MADCAP_CLIENT_ID_MAX)], start[TIME_TEXT_SIZE],
		stop[TIME_TEXT_SIZE];
	json_t *object = json_object();
	char *text = NULL;
	int bad = 0;

	format_octets(lease->id.bytes, lease->id.size, id);
	bad |= json_object_set_new(object, "request_id", json_string(id));
	bad |= json_object_set_new(object, "server",
				   lease->server[0] != '\0' ? json_string(lease->server)
							    : json_null());
	bad |= json_object_set_new(object, "scope", json_string(lease->scope));
	bad |= json_object_set_new(object, "start",
				   json_string(format_time(lease->start_sec, start)));
	bad |= json_object_set_new(object, "end", json_string(format_time(lease->stop_sec, stop)));
	bad |= json_object_set_new(object, "addresses", addresses_json(lease));
	if (lease->ttl != LEASE_TTL_UNKNOWN)
		bad |= json_object_set_new(object, "ttl", json_integer(lease->ttl));
	if (lease->mobile)
		bad |= json_object_set_new(object, "mobile", json_true());
	if (bad == 0)
		text = print_object(object);
	json_decref(object);
	return text;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int read_all(int fd, char **ret, size_t *ret_size, struct error *error)
{
	char *text = NULL;
	size_t size = 0;

	for (;;) {
		char *larger = realloc(text, size + READ_STEP);
		ssize_t n;

		if (larger == NULL) {
			free(text);
			error_set(error, "out of memory");
			return LEASE_FILE_E_NO_MEMORY;
		}
		text = larger;
		n = read(fd, text + size, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || size + (size_t)n > LEASE_FILE_SIZE_MAX) {
			if (n < 0)
				error_set_errno(error, errno, "cannot read");
			else
				error_set(error, "too long for a lease");
			free(text);
			return n < 0 ? LEASE_FILE_E_SYSTEM : LEASE_FILE_E_DAMAGED;
		}
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*ret = text;
	*ret_size = size;
	return 0;
}

int lease_load(const char *path, struct madcap_lease **ret, struct error *error)
{
	/* Not to hang on a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct error why = { "" };
	char *text = NULL;
	size_t size = 0;
	int code;

	if (fd < 0) {
		error_set_errno(error, errno, "%s", path);
		return LEASE_FILE_E_SYSTEM;
	}
	code = read_all(fd, &text, &size, &why);
	close(fd);
	if (code == 0)
		code = lease_parse(text, size, ret, &why);
	if (text != NULL)
		explicit_bzero(text, size);
	free(text);
	if (code == LEASE_FILE_E_DAMAGED)
		error_set(error, "%s: not a lease: %s", path, why.text);
	else if (code != 0)
		error_set(error, "%s: %s", path, why.text);
	return code;
}

static bool write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

/*
 * A rename is safe from a power cut when the directory is on disk as well. Where that cannot be had
 * (a directory that we may not read, a file system that does not sync them) the file is there and
 * true all the same, so it is no failure: the old one is gone, and the lease would be given back.
 */
static void sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(copy);
}

static bool replace(const char *path, const char *temporary, const char *text)
{
	bool good;
	int errnum;
	int fd;

	unlink(temporary); /* of one who had our number and was killed in here */
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	good = write_all(fd, text, strlen(text)) && write_all(fd, "\n", 1) && fsync(fd) == 0;
	if (close(fd) != 0)
		good = false;
	if (good && rename(temporary, path) == 0) {
		sync_directory(path);
		return true;
	}
	errnum = errno;
	unlink(temporary);
	errno = errnum;
	return false;
}

int lease_check_place(const char *path, struct error *error)
{
	struct stat st;

	if (path[0] == '\0')
		error_set_errno(error, ENOENT, "%s: cannot write", path);
	else if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0;
	else if (S_ISDIR(st.st_mode))
		error_set_errno(error, EISDIR, "%s: cannot write", path);
	else
		error_set(error, "%s: cannot write: not a regular file", path);
	return LEASE_FILE_E_SYSTEM;
}

int lease_save(const struct madcap_lease *lease, const char *path, struct error *error)
{
	char *text, *temporary = NULL;
	int code = lease_check_place(path, error);

	if (code < 0)
		return code;
	text = lease_print(lease);
	if (text == NULL || asprintf(&temporary, "%s.%ld.new", path, (long)getpid()) < 0) {
		error_set(error, "out of memory");
		free(text);
		return LEASE_FILE_E_NO_MEMORY;
	}
	if (!replace(path, temporary, text)) {
		error_set_errno(error, errno, "%s: cannot write", path);
		code = LEASE_FILE_E_SYSTEM;
	}
	explicit_bzero(text, strlen(text));
	free(text);
	free(temporary);
	return code;
}
