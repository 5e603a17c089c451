/* SPDX-License-Identifier: MIT */
#include "tool.h"

#include <stdlib.h>

#include "array.h"
#include "label.h"

struct metric {
	const char *name;
	const char *type;
	const char *help; /* no backslash, no newline: those would have to be escaped */
	uint64_t (*value)(const struct pool_stats *stats);
};

static uint64_t size_of(const struct pool_stats *stats)
{
	return stats->size;
}

static uint64_t peak_of(const struct pool_stats *stats)
{
	return stats->peak;
}

static uint64_t open_of(const struct pool_stats *stats)
{
	return stats->config->mode == MODE_OPEN ? 1 : 0;
}

static uint64_t grants_of(const struct pool_stats *stats)
{
	return stats->grants;
}

static uint64_t refusals_of(const struct pool_stats *stats)
{
	return stats->refusals;
}

static uint64_t reclaims_of(const struct pool_stats *stats)
{
	return stats->reclaims;
}

static const struct metric metrics[] = {
	{ "rasip_pool_size", "gauge", "Addresses that the pool can give.", size_of },
	{ "rasip_pool_peak", "gauge", "Most leases that were active at a time.", peak_of },
	{ "rasip_pool_open", "gauge", "1 where new addresses are given, 0 in hold-down and drain.",
	  open_of },
	{ "rasip_grants_total", "counter", "Leases granted.", grants_of },
	{ "rasip_refusals_total", "counter", "Requests that got no address.", refusals_of },
	{ "rasip_reclaims_total", "counter", "Leases taken back from dead processes.",
	  reclaims_of },
};

static void print_label(const char *name, const char *value)
{
	char text[TEXT_SIZE];

	label_print(stdout, name, text_utf8(value, false, text, sizeof(text)));
}

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_addresses(const struct pool_stats *stats, size_t n)
{
	print_head("rasip_pool_addresses", "gauge", "Addresses of the pool by state.");
	for (size_t i = 0; i < n; i++) {
		const struct {
			const char *state;
			uint64_t count;
		} rows[] = {
			{ "active", stats[i].active },
			{ "held", stats[i].held },
			{ "free", stats[i].free },
			{ "reserved", stats[i].reserved },
		};

		for (size_t j = 0; j < ARRAY_SIZE(rows); j++) {
			printf("rasip_pool_addresses{");
			print_label("pool", stats[i].config->name);
			putchar(',');
			print_label("state", rows[j].state);
			printf("} %llu\n", (unsigned long long)rows[j].count);
		}
	}
}

static void print_metric(const struct metric *metric, const struct pool_stats *stats, size_t n)
{
	print_head(metric->name, metric->type, metric->help);
	for (size_t i = 0; i < n; i++) {
		printf("%s{", metric->name);
		print_label("pool", stats[i].config->name);
		printf("} %llu\n", (unsigned long long)metric->value(&stats[i]));
	}
}

static int run(const struct invocation *invocation)
{
	struct error why = { "" };
	struct pool_stats *stats;
	struct view view;
	int status = view_open(&view, invocation, NULL);

	if (status != 0)
		return status;
	if (stats_read(&view, &stats, &why) < 0) {
		status = complain("%s", why.text);
	} else {
		print_addresses(stats, view.config->n_pools);
		for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
			print_metric(&metrics[i], stats, view.config->n_pools);
		print_head("rasip_build_info", "gauge", "The version of rasip; always 1.");
		printf("rasip_build_info{version=\"%s\"} 1\n", RASIP_VERSION);
		free(stats);
	}
	view_close(&view);
	return status;
}

const struct verb verb_metrics = {
	.name = "metrics",
	.brief = "prints the pools' figures in Prometheus text format",
	.text = "For the textfile collector of Prometheus' node_exporter, for instance.\n"
		"Counters start again at 0 when runtime_dir is emptied, as by a reboot.\n",
	.run = run,
};
