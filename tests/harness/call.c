/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"

#define FIELDS_MAX 32

/* Which keys a verb takes. */
enum {
	K_USER = 1 << 0,
	K_PORT = 1 << 1,
	K_ADDRESSES = 1 << 2, /* candidate, asks, local, allowed */
	K_LINK = 1 << 3,      /* noauth, ipcp and other manners of the peer */
	K_HOW = 1 << 4,
	K_STORM = 1 << 5,
	K_OPTION = 1 << 6,
	K_ASKS = 1 << 7,
};

#define K_CONNECT (K_USER | K_PORT | K_ADDRESSES | K_ASKS | K_LINK | K_OPTION)

struct verb {
	const char *word;
	enum call_verb verb;
	int has_name;
	int has_argument; /* a field without a key after the name */
	unsigned keys;
};

static const struct verb verbs[] = {
	{ "connect", VERB_CONNECT, 1, 0, K_CONNECT },
	{ "renegotiate", VERB_RENEGOTIATE, 1, 0, K_ASKS | K_LINK },
	{ "relogin", VERB_RELOGIN, 1, 0, K_CONNECT },
	{ "reconnect", VERB_RECONNECT, 1, 0, K_CONNECT },
	{ "drop", VERB_DROP, 1, 0, 0 },
	{ "show", VERB_SHOW, 1, 0, 0 },
	{ "detach", VERB_DETACH, 1, 0, 0 },
	{ "disconnect", VERB_DISCONNECT, 1, 0, K_HOW },
	{ "kill", VERB_KILL, 1, 0, 0 },
	{ "signal", VERB_SIGNAL, 1, 1, 0 },
	{ "gone", VERB_GONE, 1, 0, 0 },
	{ "wait", VERB_WAIT, 0, 1, 0 },
	{ "storm", VERB_STORM, 0, 0, K_STORM },
};

int call_is_blank(const char *line)
{
	line += strspn(line, " \t\r\n");
	return *line == '\0' || *line == '#';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xHH becomes a byte; any other backslash stands for itself (DOMAIN\user). */
static void decode(char *field)
{
	char *to = field;

	while (*field) {
		const int is_escape = field[0] == '\\' && field[1] == 'x';
		const int high = is_escape ? hex_value(field[2]) : -1;
		const int low = high >= 0 ? hex_value(field[3]) : -1;

		if (high >= 0 && low >= 0) {
			*to++ = (char)(high * 16 + low);
			field += 4;
		} else {
			*to++ = *field++;
		}
	}
	*to = '\0';
}

static int fail(char *why, size_t size, const char *text, const char *field)
{
	snprintf(why, size, "%s: %s", text, field);
	return -1;
}

static int store_text(char *to, size_t size, const char *value)
{
	const size_t length = strlen(value);

	if (length >= size)
		return -1;
	memcpy(to, value, length + 1);
	return 0;
}

static int store_address(uint32_t *to, const char *value)
{
	struct in_addr address;

	if (inet_pton(AF_INET, value, &address) != 1)
		return -1;
	*to = address.s_addr;
	return 0;
}

static int store_count(unsigned long *to, const char *value)
{
	char *end;

	errno = 0;
	*to = strtoul(value, &end, 10);
	return errno || *end || end == value || *to == 0 ? -1 : 0;
}

static int store_allowed(struct call *call, const char *value)
{
	const size_t length = strcspn(value, ",");

	if (call->n_allowed == CALL_LIST_MAX || length >= sizeof(call->allowed[0]))
		return -1;
	memcpy(call->allowed[call->n_allowed++], value, length);
	return value[length] ? store_allowed(call, value + length + 1) : 0;
}

static int store_option(struct call *call, const char *value)
{
	if (call->n_options == CALL_LIST_MAX)
		return -1;
	return store_text(call->options[call->n_options++], CALL_FIELD_MAX, value);
}

static int store_how(struct call *call, const char *value)
{
	static const char *const words[] = { "terminate", "hangup", "exit" };

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(value, words[i]) == 0) {
			call->how = (enum call_how)i;
			return 0;
		}
	return -1;
}

static int store_user(struct call *call, const char *value)
{
	call->has_user = 1;
	return store_text(call->user, sizeof(call->user), value);
}

/* Returns 1 if the key is none of those in `keys`. */
static int store_value(struct call *call, unsigned keys, const char *key, const char *value)
{
	if (keys & K_USER && strcmp(key, "user") == 0)
		return store_user(call, value);
	if (keys & K_PORT && strcmp(key, "port") == 0)
		return store_text(call->port, sizeof(call->port), value);
	if (keys & K_ADDRESSES && strcmp(key, "candidate") == 0)
		return store_address(&call->candidate, value);
	if (keys & K_ASKS && strcmp(key, "asks") == 0)
		return store_address(&call->asks, value);
	if (keys & K_ADDRESSES && strcmp(key, "local") == 0)
		return store_address(&call->local, value);
	if (keys & K_ADDRESSES && strcmp(key, "allowed") == 0)
		return store_allowed(call, value);
	if (keys & K_OPTION && strcmp(key, "option") == 0)
		return store_option(call, value);
	if (keys & K_LINK && strcmp(key, "ipcp") == 0) {
		call->ipcp_fail = 1;
		return strcmp(value, "fail") == 0 ? 0 : -1;
	}
	if (keys & K_HOW && strcmp(key, "how") == 0)
		return store_how(call, value);
	if (keys & K_STORM && strcmp(key, "sessions") == 0)
		return store_count(&call->sessions, value);
	if (keys & K_STORM && strcmp(key, "parallel") == 0)
		return store_count(&call->parallel, value);
	return 1;
}

static int store_flag(struct call *call, unsigned keys, const char *word)
{
	if (!(keys & K_LINK))
		return 1;
	if (strcmp(word, "noauth") == 0)
		call->noauth = 1;
	else if (strcmp(word, "insists") == 0)
		call->insists = 1;
	else if (strcmp(word, "joins") == 0)
		call->joins = 1;
	else if (strcmp(word, "wrong-secret") == 0)
		call->wrong_secret = 1;
	else if (strcmp(word, "brief") == 0)
		call->brief = 1;
	else
		return 1;
	return 0;
}

static int store_signal(struct call *call, const char *word)
{
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcmp(name, word) == 0) {
			call->signal = i;
			return 0;
		}
	}
	return -1;
}

static int store_argument(struct call *call, const char *word)
{
	char *end;

	if (call->verb == VERB_SIGNAL)
		return store_signal(call, word);
	call->seconds = strtod(word, &end);
	return *end || end == word || !(call->seconds >= 0 && call->seconds < 1e6) ? -1 : 0;
}

static int split(char *line, char **fields)
{
	size_t n = 0;
	char *save = NULL;

	for (char *field = strtok_r(line, " \t\r\n", &save); field;
	     field = strtok_r(NULL, " \t\r\n", &save)) {
		if (n == FIELDS_MAX)
			return -1;
		fields[n++] = field;
	}
	return 0;
}

static const struct verb *find_verb(const char *word)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].word, word) == 0)
			return &verbs[i];
	return NULL;
}

static int parse_field(struct call *call, unsigned keys, char *field, char *why, size_t size)
{
	char *value = strchr(field, '=');
	int code;

	if (value) {
		*value++ = '\0';
		decode(value);
		code = store_value(call, keys, field, value);
	} else {
		code = store_flag(call, keys, field);
	}
	if (code > 0)
		return fail(why, size, "unknown field", field);
	return code < 0 ? fail(why, size, "bad value of field", field) : 0;
}

/* `fields` are those behind the verb, NULL-terminated. */
static int parse_fields(struct call *call, const struct verb *verb, char **fields, char *why,
			size_t size)
{
	if (verb->has_name) {
		if (!*fields)
			return fail(why, size, "too few fields", verb->word);
		decode(*fields);
		if (store_text(call->name, sizeof(call->name), *fields++) < 0)
			return fail(why, size, "name too long", verb->word);
	}
	if (verb->has_argument) {
		if (!*fields)
			return fail(why, size, "too few fields", verb->word);
		if (store_argument(call, *fields++) < 0)
			return fail(why, size, "bad value", fields[-1]);
	}
	for (; *fields; fields++)
		if (parse_field(call, verb->keys, *fields, why, size) < 0)
			return -1;
	return 0;
}

int call_parse(const char *line, struct call *ret, char *why, size_t why_size)
{
	char copy[CALL_LINE_MAX];
	char *fields[FIELDS_MAX + 1] = { NULL };
	const struct verb *verb;

	memset(ret, 0, sizeof(*ret));
	ret->sessions = 100;
	ret->parallel = 10;
	if (store_text(copy, sizeof(copy), line) < 0)
		return fail(why, why_size, "line too long", "");
	if (split(copy, fields) < 0)
		return fail(why, why_size, "too many fields", fields[0]);
	verb = fields[0] ? find_verb(fields[0]) : NULL;
	if (!verb)
		return fail(why, why_size, "unknown command", fields[0] ? fields[0] : "");
	ret->verb = verb->verb;
	return parse_fields(ret, verb, fields + 1, why, why_size);
}
