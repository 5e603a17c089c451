/* SPDX-License-Identifier: MIT */
#include "tool.h"

const char *event_name(enum pool_event_kind kind)
{
	switch (kind) {
	case POOL_EVENT_GRANT:
		return "grant";
	case POOL_EVENT_RELEASE:
		return "release";
	case POOL_EVENT_RECLAIM:
		return "reclaim";
	case POOL_EVENT_REFUSAL:
		return "refuse";
	case POOL_EVENT_CONFLICT:
		return "conflict";
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		return "alarm";
	case POOL_EVENT_WARNING:
		return "warning";
	}
	return "unknown";
}

const char *format_span(int64_t sec, char *buf, size_t size)
{
	static const struct {
		int64_t sec;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	size_t i = 0;

	if (sec < 0)
		sec = 0;
	while (i < 3 && sec < units[i].sec)
		i++;
	if (i == 3 || sec % units[i].sec / units[i + 1].sec == 0)
		snprintf(buf, size, "%lld%c", (long long)(sec / units[i].sec), units[i].letter);
	else
		snprintf(buf, size, "%lld%c %lld%c", (long long)(sec / units[i].sec),
			 units[i].letter, (long long)(sec % units[i].sec / units[i + 1].sec),
			 units[i + 1].letter);
	return buf;
}

const char *event_detail(const struct pool_past *past, char *buf, size_t size)
{
	char span[48];

	switch (past->kind) {
	case POOL_EVENT_GRANT:
		if (past->module[0] != '\0') {
			snprintf(buf, size, "chosen by module %s", past->module);
			return buf;
		}
		return how_sentence(past->how);
	case POOL_EVENT_RELEASE:
		snprintf(buf, size, "after %s",
			 format_span(past->time_sec - past->granted_sec, span, sizeof(span)));
		return buf;
	case POOL_EVENT_RECLAIM:
		snprintf(buf, size, "process %d had died; granted %s before", (int)past->pid,
			 format_span(past->time_sec - past->granted_sec, span, sizeof(span)));
		return buf;
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		snprintf(buf, size, "%s: %s", past->kind == POOL_EVENT_ALARM_ON ? "on" : "off",
			 past->text);
		return buf;
	case POOL_EVENT_REFUSAL:
	case POOL_EVENT_CONFLICT:
	case POOL_EVENT_WARNING:
		return past->text;
	}
	return "";
}

bool event_has_user(enum pool_event_kind kind)
{
	return kind == POOL_EVENT_GRANT || kind == POOL_EVENT_RELEASE ||
	       kind == POOL_EVENT_RECLAIM || kind == POOL_EVENT_REFUSAL;
}

const struct cell *past_cells(const struct pool_past *past, bool measure, struct past_text *text)
{
	const char *nobody = event_has_user(past->kind) ? "\"\"" : "-";
	const char *detail = measure ? "" : event_detail(past, text->raw, sizeof(text->raw));
	size_t n = 0;

	text->cells[n++] = cell_time(&text->time, past->time_sec);
	text->cells[n++] = cell_of(event_name(past->kind));
	text->cells[n++] = cell_address(text->address, past->addr_be, measure);
	text->cells[n++] = cell_plain(&text->pool, past->pool, "-");
	text->cells[n++] = cell_plain(&text->user, past->user, nobody);
	text->cells[n++] = cell_plain(&text->port, past->port, "-");
	text->cells[n++] = cell_sentence(detail, text->detail, sizeof(text->detail));
	return text->cells;
}
