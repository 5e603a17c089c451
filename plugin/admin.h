/* SPDX-License-Identifier: MIT */
/*
 * admin.h - the ordered list of admin modules and the rules by which they are called.
 *
 * Model. The modules are loaded and initialised once, in the order of the configuration, and
 * terminated in reverse. Accept and hang-up go to every module; get and release go to the first
 * one that has the pair, and to no other. A module that fails to load or to initialise keeps the
 * whole list from loading.
 *
 * Exclusion. Get and release of a foreign module run for one process at a time: callers put
 * admin_enter() and admin_leave() around them and around what belongs to them (recording the
 * address, giving it back), so that nobody sees an address between the two. The built-in pool
 * needs none of it: its store has a lock of its own.
 *
 * Re-entry. While a callback runs, every function here that would call a module answers with an
 * error, or does nothing, at once (RA-19).
 *
 * Strings passed in are copied where they are kept. Not thread-safe.
 */
#ifndef RASIP_ADMIN_H
#define RASIP_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin_module.h"
#include "config.h"

struct admin;

/*
 * Loads and initialises config's modules. On an error those that were initialised have been
 * terminated in reverse order, nothing is loaded, and `why` is one line that names the module.
 * Returns 0, POOL_E_CONFIG or POOL_E_NO_MEMORY.
 */
int admin_load(struct admin **ret, const struct config *config, struct error *why)
	__attribute__((warn_unused_result));

/* Terminates in reverse order, frees and nulls; NULL and a pointer to NULL are allowed. */
void admin_unload(struct admin **admin);

/*
 * Asks every module, also after one said no. True if all accepted; otherwise `why` names the
 * first that did not.
 */
bool admin_accept(struct admin *admin, const char *user, const char *port, struct error *why);

/* Tells every module that the connection has gone. */
void admin_hangup(struct admin *admin, const char *user, const char *port);

/* True if a module has get and release. */
bool admin_has_pair(const struct admin *admin);

/* The name of the foreign module that get goes to; NULL where that is the built-in pool or nobody.
 */
const char *admin_foreign_name(const struct admin *admin);

/* True if a foreign module is loaded that can be told of releases, whoever get goes to. */
bool admin_has_release(const struct admin *admin);

/*
 * Takes the lock under which get and release of foreign modules run; waits while another process
 * has it. The file is RUNTIME_DIR/modules.lock. Returns 0; POOL_E_REFUSED where a module does not
 * return in that other process (module_lock.h); POOL_E_INVALID inside a callback; POOL_E_SYSTEM.
 */
int admin_enter(struct admin *admin, const char *runtime_dir, struct error *why)
	__attribute__((warn_unused_result));

/* Gives the lock back, for every process that inherited it; harmless where it is not held. */
void admin_leave(struct admin *admin);

/* In a child that is not the session: the lock stays with the session. */
void admin_abandon(struct admin *admin);

/*
 * Calls get. *address is in and out; both are written on success only, which includes an out-value
 * that nobody can use: admin_check_address() decides that.
 * Returns 0; POOL_E_REFUSED where the module failed; POOL_E_INVALID for a null argument, inside a
 * callback, or where no module has the pair. `why` (not NULL) may have been set by the module
 * itself, through builtin.h, and is kept then: clear it before.
 */
int admin_get(struct admin *admin, const char *user, const char *port, uint32_t *address,
	      bool *notify, struct error *why) __attribute__((warn_unused_result));

/* Calls release of the module that get goes to. */
void admin_release(struct admin *admin, const char *user, const char *port, uint32_t address);

/*
 * Calls release of the foreign module with this name, for a lease that a dead process left behind.
 * False if no such module is loaded.
 */
bool admin_release_for(struct admin *admin, const char *module, const char *user, const char *port,
		       uint32_t address);

/* RA-42: 0 or POOL_E_REFUSED for 0, 0.x, loopback, class D and E, and broadcast. */
int admin_check_address(uint32_t address_be, struct error *why);

#endif
