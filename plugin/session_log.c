/* SPDX-License-Identifier: MIT */
/*
 * session_log.c - what a session has to say, as lines of the log (line.h).
 */
#include "session_impl.h"

#include <arpa/inet.h>

#include "parse.h"

#define USER_SHOWN_MAX 400 /* bytes of a user name on a line: leaves room for the reason */

static void log_line(const struct session *session, enum session_level level,
		     const struct line *line)
{
	session->ops->log(session->context, level, line->text);
}

void session_complain(const struct session *session, const char *text)
{
	struct line line;

	line_start(&line, "warning");
	line_quoted(&line, "reason", text, LINE_SIZE);
	log_line(session, SESSION_WARNING, &line);
}

static void add_lease(struct line *line, const struct pool_event *event)
{
	line_address(line, "address", event->addr_be);
	line_word(line, "pool", event->pool);
	line_quoted(line, "user", event->user, USER_SHOWN_MAX);
	line_word(line, "port", event->port);
	if (event->module[0] != '\0')
		line_quoted(line, "module", event->module, USER_SHOWN_MAX);
}

void session_log_event(const struct session *session, const struct pool_event *event)
{
	struct line line;

	switch (event->kind) {
	case POOL_EVENT_GRANT:
		line_start(&line, "grant");
		add_lease(&line, event);
		line_word(&line, "how", pool_how_name(event->how));
		break;
	case POOL_EVENT_RELEASE:
		line_start(&line, "release");
		add_lease(&line, event);
		break;
	case POOL_EVENT_RECLAIM:
		line_start(&line, "reclaim");
		add_lease(&line, event);
		line_number(&line, "pid", event->pid);
		break;
	case POOL_EVENT_CONFLICT:
		line_start(&line, "conflict");
		line_address(&line, "address", event->addr_be);
		line_word(&line, "pool", event->pool);
		line_quoted(&line, "reason", event->text, LINE_SIZE);
		break;
	case POOL_EVENT_ALARM_ON:
	case POOL_EVENT_ALARM_OFF:
		line_start(&line, "alarm");
		line_word(&line, "pool", event->pool);
		line_word(&line, "state", event->kind == POOL_EVENT_ALARM_ON ? "on" : "off");
		line_quoted(&line, "reason", event->text, LINE_SIZE);
		break;
	case POOL_EVENT_WARNING:
		session_complain(session, event->text);
		return;
	case POOL_EVENT_REFUSAL: /* the session says it itself, with whatever else refuses */
	default:
		return;
	}
	log_line(session, SESSION_NOTICE, &line);
}

void session_log_no_module(const struct session *session, const struct pool_event *event)
{
	struct line line;

	line_start(&line, "warning");
	line_quoted(&line, "module", event->module, USER_SHOWN_MAX);
	line_address(&line, "address", event->addr_be);
	line_quoted(&line, "reason", "module not loaded, cannot be told of the release", LINE_SIZE);
	log_line(session, SESSION_WARNING, &line);
}

void session_log_end(const struct session *session, const char *event, const char *reason)
{
	struct line line;

	line_start(&line, event);
	line_quoted(&line, "user", session->user, USER_SHOWN_MAX);
	line_word(&line, "port", session->port);
	line_quoted(&line, "reason", reason, LINE_SIZE);
	log_line(session, SESSION_ERROR, &line);
}

void session_log_server(const struct session *session)
{
	const struct pool_lease *lease = &session->lease;
	char until[TIME_TEXT_SIZE];
	struct line line;

	line_start(&line, "lease");
	line_address(&line, "address", lease->addr_be);
	line_address(&line, "group", lease->group_be);
	line_word(&line, "server", lease->server);
	line_word(&line, "until", format_time(lease->end_sec, until));
	log_line(session, SESSION_NOTICE, &line);
}
