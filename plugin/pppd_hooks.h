/* SPDX-License-Identifier: MIT */
/*
 * pppd_hooks.h - pppd's hooks, which we share with other plugins.
 *
 * A hook is one variable, and whoever puts his function there last is called. Ours go over whatever
 * is there, and ask it first. Another plugin may do the same afterwards, and ours then go over his
 * in turn: what he has behind him are ours. So that nobody goes round in circles, ours, when they
 * are called while those behind them run, go on to whoever stood there before the last change.
 */
#ifndef RASIP_PPPD_HOOKS_H
#define RASIP_PPPD_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the hooks that say whether the secrets files have an entry for any peer: a line without an
 * address column counts, too (secrets.h). Once, as the plugin is loaded. */
void hooks_install_secrets(void);

/* Puts ours over what is there for the peer's address, if ours are not there. At any time. */
void hooks_install_address(void (*choose)(uint32_t *addr_be), int (*allowed)(uint32_t addr_be));

/* True while a hook behind ours runs. */
bool hooks_is_chaining(void);

/* Asks those behind ours, as pppd would: the address they choose is put over *addr_be. */
void hooks_next_choose(uint32_t *addr_be);

/* 1 yes, 0 no, -1 nobody has a say. */
int hooks_next_allowed(uint32_t addr_be);

#endif
