/* SPDX-License-Identifier: MIT */
#include "admin.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builtin.h"
#include "module_lock.h"
#include "parse.h"
#include "pool.h"

#define SYMBOL "rasip_admin_module"

struct entry {
	char name[POOL_MODULE_MAX + 1];
	void *handle; /* NULL: the built-in pool */
	const struct rasip_admin_module *module;
	bool initialized;
};

struct admin {
	struct entry *entries;
	size_t n;
	const struct entry *pair; /* the first with get and release, or NULL */
	int lock_fd;
	bool busy;
};

static void forget_entries(struct admin *admin)
{
	for (size_t i = admin->n; i-- > 0;) {
		if (admin->entries[i].handle != NULL)
			dlclose(admin->entries[i].handle);
	}
	free(admin->entries);
}

void admin_unload(struct admin **admin)
{
	if (admin == NULL || *admin == NULL)
		return;
	(*admin)->busy = true;
	for (size_t i = (*admin)->n; i-- > 0;) {
		struct entry *entry = &(*admin)->entries[i];

		if (entry->initialized && entry->module->terminate != NULL)
			entry->module->terminate();
	}
	admin_leave(*admin);
	forget_entries(*admin);
	free(*admin);
	*admin = NULL;
}

/* A module runs as root: nobody else may have been able to write it. */
static int check_file(const char *path, struct error *why)
{
	struct stat status;

	if (path[0] != '/') {
		error_set(why, "%s: not an absolute path", path);
		return POOL_E_CONFIG;
	}
	if (stat(path, &status) < 0) {
		error_set_errno(why, errno, "%s", path);
		return POOL_E_CONFIG;
	}
	if (!S_ISREG(status.st_mode)) {
		error_set(why, "%s: not a regular file", path);
		return POOL_E_CONFIG;
	}
	if (status.st_uid != 0 && status.st_uid != geteuid()) {
		error_set(why, "%s: owned neither by root nor by the user that runs pppd", path);
		return POOL_E_CONFIG;
	}
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		error_set(why, "%s: writable by group or others", path);
		return POOL_E_CONFIG;
	}
	return 0;
}

static int open_module(struct entry *entry, const char *path, struct error *why)
{
	const char *text;
	int code = check_file(path, why);

	if (code < 0)
		return code;
	entry->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (entry->handle == NULL) {
		text = dlerror();
		error_set(why, "%s", text != NULL ? text : path);
		return POOL_E_CONFIG;
	}
	entry->module = dlsym(entry->handle, SYMBOL);
	if (entry->module == NULL) {
		error_set(why, "%s: exports no %s", path, SYMBOL);
		return POOL_E_CONFIG;
	}
	return 0;
}

static int check_module(const struct rasip_admin_module *module, const char *path,
			struct error *why)
{
	if (module->abi != RASIP_ADMIN_ABI) {
		error_set(why, "%s: made for ABI %u, this is ABI %u", path,
			  (unsigned int)module->abi, (unsigned int)RASIP_ADMIN_ABI);
		return POOL_E_CONFIG;
	}
	if ((module->get_ip_address_for_user == NULL) != (module->release_ip_address == NULL)) {
		error_set(why, "%s: has %s without %s (half a pair)", path,
			  module->release_ip_address == NULL ? "get_ip_address_for_user"
							     : "release_ip_address",
			  module->release_ip_address == NULL ? "release_ip_address"
							     : "get_ip_address_for_user");
		return POOL_E_CONFIG;
	}
	return 0;
}

static int load_entry(struct admin *admin, const struct config_module *wanted, struct error *why)
{
	struct entry *entry = &admin->entries[admin->n++];
	int code;

	snprintf(entry->name, sizeof(entry->name), "%s", wanted->name);
	if (strcmp(wanted->path, CONFIG_BUILTIN) == 0) {
		entry->module = &builtin_module;
	} else {
		code = open_module(entry, wanted->path, why);
		if (code < 0)
			return code;
	}
	code = check_module(entry->module, wanted->path, why);
	if (code < 0)
		return code;
	if (admin->pair == NULL && entry->module->get_ip_address_for_user != NULL)
		admin->pair = entry;
	return 0;
}

static int initialize_entry(struct admin *admin, struct entry *entry, const char *argument,
			    struct error *why)
{
	int result = 0;

	if (entry->module->initialize != NULL) {
		admin->busy = true;
		result = entry->module->initialize(argument);
		admin->busy = false;
	}
	if (result != 0) {
		error_set(why, "initialize failed with %d", result);
		return POOL_E_CONFIG;
	}
	entry->initialized = true;
	return 0;
}

/* "FILE:LINE: module "NAME": what", as the configuration's own errors look. */
static void name_module(struct error *why, const struct config *config,
			const struct config_module *module)
{
	error_prefix(why,
		     "%s:%u: module \"%s\":", module->file != NULL ? module->file : config->path,
		     module->line, module->name);
}

static int load_all(struct admin *admin, const struct config *config, struct error *why)
{
	int code;

	/* All are loaded before any runs: a missing one is no reason to start and stop others. */
	for (size_t i = 0; i < config->n_modules; i++) {
		code = load_entry(admin, &config->modules[i], why);
		if (code < 0) {
			name_module(why, config, &config->modules[i]);
			return code;
		}
	}
	for (size_t i = 0; i < config->n_modules; i++) {
		code = initialize_entry(admin, &admin->entries[i], config->modules[i].argument,
					why);
		if (code < 0) {
			name_module(why, config, &config->modules[i]);
			return code;
		}
	}
	return 0;
}

int admin_load(struct admin **ret, const struct config *config, struct error *why)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int code;

	if (admin != NULL)
		admin->entries = calloc(config->n_modules, sizeof(*admin->entries));
	if (admin == NULL || (admin->entries == NULL && config->n_modules > 0)) {
		free(admin);
		error_set(why, "out of memory");
		return POOL_E_NO_MEMORY;
	}
	admin->lock_fd = -1;
	code = load_all(admin, config, why);
	if (code < 0) {
		admin_unload(&admin);
		return code;
	}
	*ret = admin;
	return 0;
}

bool admin_accept(struct admin *admin, const char *user, const char *port, struct error *why)
{
	bool accepted = true;

	if (admin->busy) {
		error_set(why, "called from inside a module");
		return false;
	}
	for (size_t i = 0; i < admin->n; i++) {
		const struct entry *entry = &admin->entries[i];
		bool answer;

		if (entry->module->accept_new_connection == NULL)
			continue;
		admin->busy = true;
		answer = entry->module->accept_new_connection(user, port);
		admin->busy = false;
		if (!answer && accepted)
			error_set(why, "module %s does not accept the connection", entry->name);
		accepted = accepted && answer;
	}
	return accepted;
}

void admin_hangup(struct admin *admin, const char *user, const char *port)
{
	if (admin->busy)
		return;
	for (size_t i = 0; i < admin->n; i++) {
		const struct entry *entry = &admin->entries[i];

		if (entry->module->connection_hangup_notification == NULL)
			continue;
		admin->busy = true;
		entry->module->connection_hangup_notification(user, port);
		admin->busy = false;
	}
}

bool admin_has_pair(const struct admin *admin)
{
	return admin->pair != NULL;
}

const char *admin_foreign_name(const struct admin *admin)
{
	if (admin->pair == NULL || admin->pair->handle == NULL)
		return NULL;
	return admin->pair->name;
}

bool admin_has_release(const struct admin *admin)
{
	for (size_t i = 0; i < admin->n; i++) {
		if (admin->entries[i].handle != NULL &&
		    admin->entries[i].module->release_ip_address != NULL)
			return true;
	}
	return false;
}

int admin_enter(struct admin *admin, const char *runtime_dir, struct error *why)
{
	if (admin->busy || admin->lock_fd >= 0) {
		error_set(why, "called from inside a module");
		return POOL_E_INVALID;
	}
	return module_lock_take(runtime_dir, &admin->lock_fd, why);
}

void admin_leave(struct admin *admin)
{
	module_lock_drop(&admin->lock_fd);
}

void admin_abandon(struct admin *admin)
{
	module_lock_abandon(&admin->lock_fd);
}

int admin_get(struct admin *admin, const char *user, const char *port, uint32_t *address,
	      bool *notify, struct error *why)
{
	uint32_t answer;
	bool wants_release = false; /* RA-38 */
	int result;

	/* RA-40 */
	if (user == NULL || port == NULL || address == NULL || notify == NULL) {
		error_set(why, "null argument");
		return POOL_E_INVALID;
	}
	if (admin->busy || admin->pair == NULL) {
		error_set(why, admin->busy ? "called from inside a module"
					   : "no module chooses addresses");
		return POOL_E_INVALID;
	}
	answer = *address;
	admin->busy = true;
	result = admin->pair->module->get_ip_address_for_user(user, port, &answer, &wants_release);
	admin->busy = false;
	if (result != 0) { /* RA-35, RA-36 */
		if (why->text[0] == '\0')
			error_set(why, "module %s failed with %d", admin->pair->name, result);
		return POOL_E_REFUSED;
	}
	*address = answer;
	*notify = wants_release;
	return 0;
}

static void call_release(struct admin *admin, const struct entry *entry, const char *user,
			 const char *port, uint32_t address)
{
	admin->busy = true;
	entry->module->release_ip_address(user, port, &address);
	admin->busy = false;
}

void admin_release(struct admin *admin, const char *user, const char *port, uint32_t address)
{
	if (admin->busy || admin->pair == NULL)
		return;
	call_release(admin, admin->pair, user, port, address);
}

bool admin_release_for(struct admin *admin, const char *module, const char *user, const char *port,
		       uint32_t address)
{
	if (admin->busy)
		return false;
	for (size_t i = 0; i < admin->n; i++) {
		const struct entry *entry = &admin->entries[i];

		if (entry->handle == NULL || entry->module->release_ip_address == NULL)
			continue;
		if (strcmp(entry->name, module) != 0)
			continue;
		call_release(admin, entry, user, port, address);
		return true;
	}
	return false;
}

static const char *unusable(uint32_t address)
{
	unsigned int first = address >> 24;

	if (address == 0)
		return "is no address";
	if (address == UINT32_MAX)
		return "is the broadcast address";
	if (first == 0)
		return "lies in 0.0.0.0/8";
	if (first == 127)
		return "is a loopback address";
	if (first >= 240)
		return "is a class E address";
	if (first >= 224)
		return "is a multicast address";
	return NULL;
}

int admin_check_address(uint32_t address_be, struct error *why)
{
	const char *text = unusable(ntohl(address_be));
	char shown[IP4_TEXT_SIZE];

	if (text == NULL)
		return 0;
	error_set(why, "%s %s", format_ip4(ntohl(address_be), shown), text);
	return POOL_E_REFUSED;
}
