/* SPDX-License-Identifier: MIT */
/* What concerns several settings of a scope, or several scopes, of madcapd.conf. */
#include "address.h"
#include "server_config_loader.h"

/* Scopes with less have no room for a server group and an address (2.10). */
#define SCOPE_ADDRESSES_MIN 3

static void check_ends(struct config_loader *loader, struct scope_draft *draft)
{
	const struct madcap_server_scope *scope = draft->scope;
	uint64_t distance;

	if (scope->first.family == 0 || scope->last.family == 0)
		return; /* has been reported */
	if (scope->first.family != scope->last.family)
		loader_report(loader, draft->last,
			      "last: is of another address family than the scope's first");
	else if (madcap_address_compare(&scope->first, &scope->last) > 0)
		loader_report(loader, draft->last, "last: lies before the scope's first");
	else if (madcap_address_distance(&scope->first, &scope->last, &distance) &&
		 distance + 1 < SCOPE_ADDRESSES_MIN)
		loader_report(loader, draft->last,
			      "last: a scope has %d addresses or more, as the last but one is the "
			      "server group",
			      SCOPE_ADDRESSES_MIN);
	else
		draft->usable = true;
}

static bool is_inside(const struct madcap_address_range *range,
		      const struct madcap_server_scope *scope)
{
	return madcap_address_within(&range->first, &scope->first, &scope->last) &&
	       madcap_address_within(&range->last, &scope->first, &scope->last);
}

static void check_inside(struct config_loader *loader, const struct scope_draft *draft,
			 const config_setting_t *setting, const struct madcap_address_range *ranges,
			 size_t n)
{
	char text[MADCAP_ADDRESS_TEXT];

	for (size_t i = 0; i < n; i++) {
		if (!is_inside(&ranges[i], draft->scope))
			loader_report(loader, setting, "%s: %s does not lie inside the scope",
				      config_setting_name(setting),
				      madcap_address_format(&ranges[i].first, text));
	}
}

static void check_twice(struct config_loader *loader, const struct scope_draft *draft)
{
	const struct madcap_address_range *ranges = draft->scope->allocate;
	char text[MADCAP_ADDRESS_TEXT];

	for (size_t i = 0; i < draft->scope->n_allocate; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct madcap_address *later = &ranges[i].first;

			if (madcap_address_within(&ranges[j].first, &ranges[i].first,
						  &ranges[i].last))
				later = &ranges[j].first;
			else if (!madcap_address_within(later, &ranges[j].first, &ranges[j].last))
				continue;
			loader_report(loader, draft->allocate, "allocate: %s stands here twice",
				      madcap_address_format(later, text));
		}
	}
}

/* The address behind the exclusion that *address lies in; false if it lies in none. */
static bool behind_exclusion(const struct madcap_server_scope *scope,
			     const struct madcap_address *address, struct madcap_address *ret,
			     bool *ret_end)
{
	struct madcap_address group = madcap_server_group(&scope->last);
	const struct madcap_address *last = NULL;

	if (madcap_address_equal(address, &group))
		last = address;
	for (size_t i = 0; i < scope->n_exclude && last == NULL; i++) {
		if (madcap_address_within(address, &scope->exclude[i].first,
					  &scope->exclude[i].last))
			last = &scope->exclude[i].last;
	}
	if (last == NULL)
		return false;
	*ret_end = !madcap_address_add(last, 1, ret);
	return true;
}

static bool range_gives(const struct madcap_server_scope *scope,
			const struct madcap_address_range *range)
{
	struct madcap_address at = range->first;
	bool end = false;

	while (behind_exclusion(scope, &at, &at, &end)) {
		if (end || !madcap_address_within(&at, &range->first, &range->last))
			return false;
	}
	return true;
}

static void check_gives(struct config_loader *loader, const struct scope_draft *draft)
{
	const struct madcap_server_scope *scope = draft->scope;
	const struct madcap_address_range whole = { scope->first, scope->last };

	for (size_t i = 0; i < scope->n_allocate; i++) {
		if (range_gives(scope, &scope->allocate[i]))
			return;
	}
	if (draft->allocate == NULL && range_gives(scope, &whole))
		return;
	loader_report(loader, draft->allocate != NULL ? draft->allocate : draft->setting,
		      "this scope can never give an address: nothing is left of it");
}

static void check_lease(struct config_loader *loader, const struct scope_draft *draft)
{
	const struct madcap_server_scope *scope = draft->scope;

	if (draft->default_lease != NULL && scope->max_lease_sec != 0 &&
	    (scope->default_lease_sec == 0 || scope->default_lease_sec > scope->max_lease_sec))
		loader_report(loader, draft->default_lease,
			      "default_lease: is longer than max_lease");
}

static void check_scope(struct config_loader *loader, struct scope_draft *draft)
{
	const struct madcap_server_scope *scope = draft->scope;
	size_t reports;

	check_ends(loader, draft);
	check_lease(loader, draft);
	if (!draft->usable)
		return;
	reports = loader->n_reports;
	check_inside(loader, draft, draft->allocate, scope->allocate, scope->n_allocate);
	check_inside(loader, draft, draft->exclude, scope->exclude, scope->n_exclude);
	check_twice(loader, draft);
	if (loader->n_reports == reports)
		check_gives(loader, draft);
}

static void check_overlap(struct config_loader *loader, const struct scope_draft *draft,
			  const struct scope_draft *other)
{
	const struct madcap_server_scope *one = draft->scope, *two = other->scope;
	char where[WHERE_SIZE];

	if (madcap_address_within(&one->first, &two->first, &two->last) ||
	    madcap_address_within(&two->first, &one->first, &one->last))
		loader_report(loader, draft->setting, "this scope overlaps the one of %s",
			      loader_where(loader, other->setting, draft->setting, where));
}

static bool is_scope(const struct server_config *config, const struct madcap_address *first)
{
	for (size_t i = 0; i < config->server.n_scopes; i++) {
		if (madcap_address_equal(&config->scopes[i].first, first))
			return true;
	}
	return false;
}

static void check_nesting(struct config_loader *loader, const struct scope_draft *draft)
{
	const struct madcap_server_scope *scope = draft->scope;
	char text[MADCAP_ADDRESS_TEXT];

	for (size_t i = 0; i < scope->n_inside; i++) {
		if (!is_scope(draft->config, &scope->inside[i]) ||
		    madcap_address_equal(&scope->inside[i], &scope->first))
			loader_report(loader, draft->inside, "inside: %s begins no other scope",
				      madcap_address_format(&scope->inside[i], text));
	}
}

void server_check_scopes(struct config_loader *loader, const struct server_draft *draft)
{
	size_t n = draft->scopes != NULL ? draft->config->server.n_scopes : 0;

	for (size_t i = 0; i < n; i++) {
		check_scope(loader, &draft->scopes[i]);
		check_nesting(loader, &draft->scopes[i]);
		for (size_t j = 0; j < i && draft->scopes[i].usable; j++) {
			if (draft->scopes[j].usable)
				check_overlap(loader, &draft->scopes[i], &draft->scopes[j]);
		}
	}
}
