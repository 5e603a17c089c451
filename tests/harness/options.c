/* SPDX-License-Identifier: MIT */
/* pppd's options and plugins. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pppd_headers.h"
#include "side.h"

#define WORDS_MAX 64

static int load_plugin(char **argv);
static int set_addresses(char *name, char **argv, int doit);
static int set_dns(char **argv);

/* A table like a plugin's; options of pppd's that mean something to a plugin or to the link. */
static option_t general_options[] = {
	{ .name = TEXT("debug"), .type = o_int, .addr = &debug, .flags = OPT_INC | OPT_NOARG | 1 },
	{ .name = TEXT("nodetach"), .type = o_bool, .addr = &nodetach, .flags = OPT_PRIO | 1 },
	{ .name = TEXT("updetach"),
	  .type = o_bool,
	  .addr = &updetach,
	  .flags = OPT_PRIOSUB | OPT_A2CLR | 1,
	  .addr2 = &nodetach },
	{ .name = TEXT("persist"), .type = o_bool, .addr = &persist, .flags = OPT_PRIO | 1 },
	{ .name = TEXT("nopersist"), .type = o_bool, .addr = &persist, .flags = OPT_PRIOSUB },
	{ .name = TEXT("auth"), .type = o_bool, .addr = &auth_required, .flags = OPT_PRIO | 1 },
	{ .name = TEXT("noauth"),
	  .type = o_bool,
	  .addr = &auth_required,
	  .flags = OPT_PRIOSUB | OPT_PRIV },
	{ .name = TEXT("multilink"), .type = o_bool, .addr = &multilink, .flags = OPT_PRIO | 1 },
	{ .name = TEXT("holdoff"), .type = o_int, .addr = &holdoff, .flags = OPT_PRIO },
	{ .name = TEXT("maxfail"), .type = o_int, .addr = &maxfail, .flags = OPT_PRIO },
	{ .name = TEXT("maxconnect"), .type = o_int, .addr = &maxconnect, .flags = OPT_PRIO },
	{ .name = TEXT("ipparam"), .type = o_string, .addr = &ipparam, .flags = OPT_PRIO },
	{ .name = TEXT("remotenumber"),
	  .type = o_string,
	  .addr = remote_number,
	  .flags = OPT_PRIO | OPT_STATIC,
	  .upper_limit = MAXNAMELEN },
	{ .name = TEXT("ms-dns"), .type = o_special, .addr = (void *)set_dns },
	{ .name = TEXT("plugin"),
	  .type = o_special,
	  .addr = (void *)load_plugin,
	  .flags = OPT_PRIV },
	{ .name = TEXT("IP addresses"), .type = o_wild, .addr = (void *)set_addresses },
	{ .name = NULL },
};

struct option_list {
	option_t *options;
	struct option_list *next;
};

static struct option_list *plugin_options;

static int complain(const char *text, const char *name)
{
	char copy[512];

	snprintf(copy, sizeof(copy), "%s '%.400s'", text, name);
	option_error(TEXT("%s"), copy);
	return 0;
}

/* ---- pppd's own options ---------------------------------------------------------------------- */

static int parse_address(const char *text, size_t length, uint32_t *ret)
{
	char copy[32];
	struct in_addr address;

	if (length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET, copy, &address) != 1 || bad_ip_adrs(address.s_addr))
		return 0;
	*ret = address.s_addr;
	return 1;
}

/* LOCAL:REMOTE, either may be missing. Any word with a colon is taken for that. */
static int set_addresses(char *name, char **argv, int doit)
{
	ipcp_options *want = &ipcp_wantoptions[0];
	const char *colon = strchr(name, ':');
	uint32_t ours = want->ouraddr, his = want->hisaddr;

	(void)argv;
	if (!colon || !doit)
		return colon != NULL;
	if (colon > name && !parse_address(name, (size_t)(colon - name), &ours))
		return complain("bad local IP address", name);
	if (colon[1] && !parse_address(colon + 1, strlen(colon + 1), &his))
		return complain("bad remote IP address", name);
	want->ouraddr = ours;
	want->hisaddr = his;
	return 1;
}

static int set_dns(char **argv)
{
	ipcp_options *allow = &ipcp_allowoptions[0];
	uint32_t address;

	if (!parse_address(*argv, strlen(*argv), &address))
		return complain("invalid address parameter for ms-dns option", *argv);
	if (allow->dnsaddr[0] == 0)
		allow->dnsaddr[0] = address;
	allow->dnsaddr[1] = address;
	return 1;
}

static int load_plugin(char **argv)
{
	return options_load_plugin(*argv);
}

/* A name without a slash is looked for here, not in pppd's plugin directory. */
int options_load_plugin(char *path)
{
	char resolved[PATH_MAX];
	const char *version;
	void (*init)(void);
	void *handle;

	handle = dlopen(realpath(path, resolved) ? resolved : path, RTLD_GLOBAL | RTLD_NOW);
	if (!handle) {
		option_error(TEXT("%s"), dlerror());
		return complain("Couldn't load plugin", path);
	}
	*(void **)(&init) = dlsym(handle, "plugin_init");
	if (!init)
		return complain("plugin has no initialization entry point:", path);
	version = dlsym(handle, "pppd_version");
	if (!version || strcmp(version, PPPD_SIDE_VERSION) != 0) {
		option_error(TEXT("Plugin %s is for pppd version %s, this is %s"), path,
			     version ? version : "?", PPPD_SIDE_VERSION);
		return 0;
	}
	init();
	return 1;
}

EXPORT void add_options(option_t *options)
{
	struct option_list *list = malloc(sizeof(*list));

	if (!list)
		abort();
	*list = (struct option_list){ .options = options, .next = plugin_options };
	plugin_options = list;
}

/* ---- finding and setting --------------------------------------------------------------------- */

static option_t *find_in(option_t *options, char *name, int wild)
{
	for (; options->name; options++) {
		int (*match)(char *, char **, int) = (int (*)(char *, char **, int))options->addr;

		if (wild != (options->type == o_wild))
			continue;
		if (wild ? match(name, NULL, 0) : strcmp(options->name, name) == 0)
			return options;
	}
	return NULL;
}

static option_t *find_option(char *name)
{
	for (int wild = 0; wild <= 1; wild++) {
		option_t *found = find_in(general_options, name, wild);

		for (struct option_list *list = plugin_options; list && !found; list = list->next)
			found = find_in(list->options, name, wild);
		for (int i = 0; protocols[i] && !found; i++)
			if (protocols[i]->options)
				found = find_in(protocols[i]->options, name, wild);
		if (found)
			return found;
	}
	return NULL;
}

EXPORT int int_option(char *text, int *value)
{
	char *end;
	const long number = strtol(text, &end, 0);

	if (end == text || *end || number < INT_MIN || number > INT_MAX)
		return complain("invalid numeric parameter", text);
	*value = (int)number;
	return 1;
}

static int set_int(const option_t *option, char **argv)
{
	int value = 0;
	int given = (int)(option->flags & OPT_VALUE);

	if (!(option->flags & OPT_NOARG)) {
		if (!int_option(*argv, &value))
			return 0;
		if (!(option->flags & OPT_ZEROOK && value == 0) &&
		    ((option->flags & OPT_LLIMIT && value < option->lower_limit) ||
		     (option->flags & OPT_ULIMIT && value > option->upper_limit)))
			return complain("value out of range of option", option->name);
	}
	value += given >= 128 ? given - 256 : given;
	if (option->flags & OPT_INC)
		value += *(int *)option->addr;
	*(int *)option->addr = value;
	if (option->addr2 && option->flags & OPT_A2COPY)
		*(int *)option->addr2 = value;
	return 1;
}

static void set_string(const option_t *option, char **argv)
{
	char **pointer = option->addr;

	if (option->flags & OPT_STATIC) {
		strlcpy(option->addr, *argv, (size_t)option->upper_limit);
		return;
	}
	free(*pointer);
	*pointer = strdup(*argv);
	if (!*pointer)
		abort();
}

static void set_bool(const option_t *option)
{
	const unsigned char value = (unsigned char)(option->flags & OPT_VALUE);

	*(bool *)option->addr = value != 0;
	if (option->addr2 && option->flags & OPT_A2COPY)
		*(bool *)option->addr2 = value != 0;
}

static int set_value(const option_t *option, char *name, char **argv)
{
	int (*special)(char **) = (int (*)(char **))option->addr;
	int (*wild)(char *, char **, int) = (int (*)(char *, char **, int))option->addr;

	switch (option->type) {
	case o_bool:
		set_bool(option);
		return 1;
	case o_int:
		return set_int(option, argv);
	case o_uint32:
		*(uint32_t *)option->addr = (uint32_t)strtoul(*argv, NULL, 16);
		return 1;
	case o_string:
		set_string(option, argv);
		return 1;
	case o_special_noarg:
	case o_special:
		return special(argv);
	case o_wild:
		return wild(name, argv, 1);
	}
	return 0;
}

static int is_forbidden(const option_t *option)
{
	if (option->flags & OPT_INITONLY && phase != PHASE_INITIALIZE)
		return !complain("cannot be changed after initialization: option", option->name);
	if (option->flags & OPT_PRIV && !privileged_option) {
		option_error(TEXT("using the %s option requires root privilege"), option->name);
		return 1;
	}
	if (option->flags & OPT_ENABLE && !*(bool *)option->addr2)
		return !complain("is disabled: option", option->name);
	return 0;
}

static int process_option(option_t *option, char *name, char **argv)
{
	option_t *main_option = option;
	int priority = option_priority;

	current_option = option->name;
	if (option->flags & OPT_PRIVFIX && privileged_option)
		priority += OPRIO_ROOT;
	while (main_option->flags & OPT_PRIOSUB)
		main_option--;
	if (main_option->flags & OPT_PRIO && priority < main_option->priority) {
		if (priority != OPRIO_CMDLINE || main_option->priority <= OPRIO_ROOT)
			return 1;
		return complain("cannot be overridden: option", option->name);
	}
	if (is_forbidden(option) || !set_value(option, name, argv))
		return 0;
	if (option->addr2 && !(option->flags & (OPT_A2COPY | OPT_ENABLE | OPT_A2PRINTER |
						OPT_A2STRVAL | OPT_A2LIST | OPT_A2OR)))
		*(bool *)option->addr2 = !(option->flags & OPT_A2CLR);
	main_option->source = option_source;
	main_option->priority = (short)priority;
	main_option->winner = (short)(option - main_option);
	return 1;
}

static int takes_argument(const option_t *option)
{
	return option->type != o_bool && option->type != o_special_noarg &&
	       option->type != o_wild && !(option->flags & OPT_NOARG);
}

static int process_words(char **words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		option_t *option = find_option(words[i]);
		char *argv[2] = { TEXT(""), NULL };
		char *name = words[i];

		if (!option)
			return complain("unrecognized option", words[i]);
		if (takes_argument(option)) {
			if (i + 1 == n)
				return complain("too few parameters for option", words[i]);
			argv[0] = words[++i];
		}
		if (!process_option(option, name, argv))
			return 0;
	}
	return 1;
}

/* One word: blanks end it unless quoted; \ takes the next character as it is. */
static char *next_word(char **line)
{
	char *from = *line + strspn(*line, " \t\r\n");
	char *word = from, *to = from;
	char quote = 0;

	if (*from == '\0' || *from == '#')
		return NULL;
	for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from;
		else if (*from == quote)
			quote = 0;
		else if (!quote && (*from == '"' || *from == '\''))
			quote = *from;
		else
			*to++ = *from;
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	return word;
}

int options_from_line(const char *line, const char *source, int is_privileged)
{
	char *copy = strdup(line);
	char *rest = copy;
	char *words[WORDS_MAX];
	size_t n = 0;
	int done;

	if (!copy)
		abort();
	while (n < WORDS_MAX && (words[n] = next_word(&rest)))
		n++;
	privileged_option = is_privileged;
	option_source = (char *)(uintptr_t)source;
	option_priority = phase == PHASE_INITIALIZE ? OPRIO_CFGFILE : OPRIO_SECFILE;
	done = process_words(words, n);
	free(copy);
	return done;
}
