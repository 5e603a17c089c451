/* SPDX-License-Identifier: MIT */
#include "pppd_compat.h"

#include "pppd_hooks.h"

#include <limits.h>

#include "secrets.h"

/* ---- secrets files -------------------------------------------------------------------------- */

static int (*next_pap_check)(void);
static int (*next_chap_check)(void);

static int on_pap_check(void)
{
	char buffer[PATH_MAX];
	int answer = next_pap_check != NULL ? next_pap_check() : -1;

	if (answer >= 0)
		return answer;
	return secrets_has_entry(compat_pap_secrets(buffer, sizeof(buffer))) ? 1 : -1;
}

static int on_chap_check(void)
{
	char buffer[PATH_MAX];
	int answer = next_chap_check != NULL ? next_chap_check() : -1;

	if (answer >= 0)
		return answer;
	return secrets_has_entry(compat_chap_secrets(buffer, sizeof(buffer))) ? 1 : -1;
}

void hooks_install_secrets(void)
{
	next_pap_check = pap_check_hook;
	pap_check_hook = on_pap_check;
	next_chap_check = chap_check_hook;
	chap_check_hook = on_chap_check;
}

/* ---- the peer's address --------------------------------------------------------------------- */

static void (*next_choose)(uint32_t *);
static int (*next_allowed)(uint32_t);
/* Those before the last change: whoever came in between may call ours to get there. */
static void (*former_choose)(uint32_t *);
static int (*former_allowed)(uint32_t);

/*
 * True while the hooks behind ours run: one of them may have been put there by somebody who
 * keeps ours behind his.
 */
static bool is_chaining;

void hooks_install_address(void (*choose)(uint32_t *), int (*allowed)(uint32_t))
{
	if (ip_choose_hook != choose) {
		if (ip_choose_hook != next_choose)
			former_choose = next_choose;
		next_choose = ip_choose_hook;
		ip_choose_hook = choose;
	}
	if (allowed_address_hook != allowed) {
		if (allowed_address_hook != next_allowed)
			former_allowed = next_allowed;
		next_allowed = allowed_address_hook;
		allowed_address_hook = allowed;
	}
}

bool hooks_is_chaining(void)
{
	return is_chaining;
}

void hooks_next_choose(uint32_t *addr_be)
{
	if (is_chaining) {
		if (former_choose != NULL)
			former_choose(addr_be);
		return;
	}
	if (next_choose == NULL)
		return;
	is_chaining = true;
	next_choose(addr_be);
	is_chaining = false;
}

int hooks_next_allowed(uint32_t addr_be)
{
	int answer;

	if (is_chaining)
		return former_allowed != NULL ? former_allowed(addr_be) : -1;
	if (next_allowed == NULL)
		return -1;
	is_chaining = true;
	answer = next_allowed(addr_be);
	is_chaining = false;
	return answer;
}
