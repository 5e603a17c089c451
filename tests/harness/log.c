/* SPDX-License-Identifier: MIT */
/*
 * pppd's message formats and its log, which here is standard error with the session's name before
 * each line. Without pppd's headers: their prototypes differ in const between versions.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "side.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int vslprintf(char *buffer, int size, const char *format, va_list arguments);
EXPORT int slprintf(char *buffer, int size, const char *format, ...);
EXPORT void dbglog(const char *format, ...);
EXPORT void info(const char *format, ...);
EXPORT void notice(const char *format, ...);
EXPORT void warn(const char *format, ...);
EXPORT void error(const char *format, ...);
EXPORT void fatal(const char *format, ...);
EXPORT void novm(const char *what);
EXPORT void option_error(const char *format, ...);
EXPORT void ppp_option_error(const char *format, ...);
EXPORT size_t strlcpy(char *to, const char *from, size_t size);
EXPORT size_t strlcat(char *to, const char *from, size_t size);

extern int debug, phase, error_count;
extern char *progname;
void die(int status) __attribute__((noreturn));

static char session_name[128] = "-";
static int output_fd = STDERR_FILENO;
static int is_quiet;

void log_set_name(const char *name)
{
	snprintf(session_name, sizeof(session_name), "%.100s", name);
}

void log_set_fd(int fd)
{
	output_fd = fd;
}

void log_set_quiet(int quiet)
{
	is_quiet = quiet;
}

int log_fd(void)
{
	return output_fd;
}

/* ---- formats --------------------------------------------------------------------------------- */

struct out {
	char *at;
	char *end; /* room for the NUL is kept behind it */
};

struct spec {
	int width;
	int precision; /* -1: none */
	int zero;
	int left;
	int is_long;
};

static void put(struct out *out, char c)
{
	if (out->at < out->end)
		*out->at++ = c;
}

static void put_text(struct out *out, const char *text, size_t length, const struct spec *spec)
{
	const size_t width = spec->width > 0 ? (size_t)spec->width : 0;
	const size_t pad = width > length ? width - length : 0;

	for (size_t i = 0; i < pad && !spec->left; i++)
		put(out, ' ');
	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
	for (size_t i = 0; i < pad && spec->left; i++)
		put(out, ' ');
}

/* %v shows what is not printable, %q quotes as well. */
static void put_visible(struct out *out, const char *text, size_t length, int quoted)
{
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (quoted && (c == '"' || c == '\\'))
			put(out, '\\');
		if (c >= 0x20 && c < 0x7f) {
			put(out, (char)c);
		} else if (c < 0x20 && !quoted) {
			put(out, '^');
			put(out, (char)(c + 0x40));
		} else {
			char hex[8];

			snprintf(hex, sizeof(hex), quoted ? "\\x%.2x" : "<%.2x>", c);
			put_text(out, hex, strlen(hex), &(struct spec){ .precision = -1 });
		}
	}
}

static void put_string(struct out *out, char kind, const struct spec *spec, va_list *arguments)
{
	const char *text = va_arg(*arguments, const char *);
	size_t length;

	if (!text)
		text = "<NULL>";
	length = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
	if (kind == 's') {
		put_text(out, text, length, spec);
		return;
	}
	if (kind == 'q')
		put(out, '"');
	put_visible(out, text, length, kind == 'q');
	if (kind == 'q')
		put(out, '"');
}

static void put_number(struct out *out, char kind, const struct spec *spec, va_list *arguments)
{
	unsigned long value = spec->is_long ? va_arg(*arguments, unsigned long)
					    : va_arg(*arguments, unsigned int);
	char digits[64];
	const char *format = kind == 'o'   ? "%lo"
			     : kind == 'X' ? "%lX"
			     : kind == 'x' ? "%lx"
					   : "%lu";
	size_t length, pad = 0;

	if (kind == 'd') {
		const long number = spec->is_long ? (long)value : (int)(unsigned int)value;

		snprintf(digits, sizeof(digits), "%ld", number);
	} else {
		/* The formats are the four above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(digits, sizeof(digits), format, value);
#pragma GCC diagnostic pop
	}
	length = strlen(digits);
	if (spec->precision > (int)length)
		pad = (size_t)spec->precision - length;
	else if (spec->zero && spec->width > (int)length)
		pad = (size_t)spec->width - length;
	for (size_t i = 0; i < pad; i++)
		put(out, '0');
	put_text(out, digits, length,
		 &(struct spec){
			 .width = pad ? 0 : spec->width, .precision = -1, .left = spec->left });
}

static void put_address(struct out *out, const struct spec *spec, va_list *arguments)
{
	const uint32_t address = ntohl(va_arg(*arguments, uint32_t));
	char text[20];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24, address >> 16 & 255,
		 address >> 8 & 255, address & 255);
	put_text(out, text, strlen(text), spec);
}

static const char *parse_spec(const char *format, struct spec *spec, va_list *arguments)
{
	*spec = (struct spec){ .precision = -1 };
	for (; *format == '-' || *format == '0'; format++) {
		spec->left |= *format == '-';
		spec->zero |= *format == '0';
	}
	if (*format == '*') {
		spec->width = va_arg(*arguments, int);
		format++;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		spec->width = spec->width * 10 + *format - '0';
	if (*format == '.') {
		spec->precision = 0;
		format++;
		if (*format == '*') {
			spec->precision = va_arg(*arguments, int);
			format++;
		}
		for (; *format >= '0' && *format <= '9'; format++)
			spec->precision = spec->precision * 10 + *format - '0';
	}
	if (*format == 'l') {
		spec->is_long = 1;
		format++;
	}
	return format;
}

static const struct spec plain = { .precision = -1 };

/* One conversion; returns what follows it. What pppd does not know comes out as it stands. */
static const char *convert(struct out *out, const char *format, va_list *arguments, int saved_errno)
{
	struct spec spec;
	char c;

	format = parse_spec(format, &spec, arguments);
	switch (*format) {
	case 'd':
	case 'u':
	case 'o':
	case 'x':
	case 'X':
		put_number(out, *format, &spec, arguments);
		break;
	case 'p':
		spec.is_long = 1;
		put_number(out, 'x', &spec, arguments);
		break;
	case 's':
	case 'v':
	case 'q':
		put_string(out, *format, &spec, arguments);
		break;
	case 'c':
		c = (char)va_arg(*arguments, int);
		put_text(out, &c, 1, &spec);
		break;
	case 'm':
		put_text(out, strerror(saved_errno), strlen(strerror(saved_errno)), &plain);
		break;
	case 'I':
		put_address(out, &spec, arguments);
		break;
	case '%':
		put(out, '%');
		break;
	case '\0':
		put(out, '%');
		return format;
	default:
		put(out, '%');
		put(out, *format);
		break;
	}
	return format + 1;
}

EXPORT int vslprintf(char *buffer, int size, const char *format, va_list arguments)
{
	const int saved_errno = errno;
	struct out out = { buffer, buffer + size - 1 };
	va_list copy;

	va_copy(copy, arguments);
	while (*format) {
		if (*format == '%')
			format = convert(&out, format + 1, &copy, saved_errno);
		else
			put(&out, *format++);
	}
	va_end(copy);
	*out.at = '\0';
	return (int)(out.at - buffer);
}

EXPORT int slprintf(char *buffer, int size, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vslprintf(buffer, size, format, arguments);
	va_end(arguments);
	return n;
}

/* ---- the log --------------------------------------------------------------------------------- */

static void write_line(const char *prefix, const char *text)
{
	char line[1300];
	size_t length = strlen(text);
	ssize_t n;

	while (length > 0 && text[length - 1] == '\n')
		length--;
	n = snprintf(line, sizeof(line), "%s: %.*s\n", prefix, (int)length, text);
	if (n > 0)
		n = write(output_fd, line, (size_t)n);
	(void)n;
}

#define LOG(format)                                                                                \
	do {                                                                                       \
		va_list arguments_;                                                                \
		char text_[1024];                                                                  \
                                                                                                   \
		va_start(arguments_, format);                                                      \
		vslprintf(text_, sizeof(text_), format, arguments_);                               \
		va_end(arguments_);                                                                \
		write_line(session_name, text_);                                                   \
	} while (0)

void log_say(const char *format, ...)
{
	if (!is_quiet)
		LOG(format);
}

void log_complain(const char *format, ...)
{
	LOG(format);
}

EXPORT void dbglog(const char *format, ...)
{
	if (debug)
		LOG(format);
}

EXPORT void info(const char *format, ...)
{
	if (!is_quiet)
		LOG(format);
}

EXPORT void notice(const char *format, ...)
{
	if (!is_quiet)
		LOG(format);
}

EXPORT void warn(const char *format, ...)
{
	LOG(format);
}

/* The peer is told less than the log: for an answer, reason="..." of an error's line counts first. */
static void note_reason(const char *text)
{
	static const char key[] = " reason=\"";
	const char *begin = strstr(text, key);
	const char *end = begin != NULL ? strrchr(text, '"') : NULL;
	char reason[512];

	if (begin == NULL)
		return;
	begin += sizeof(key) - 1;
	if (end < begin)
		return;
	snprintf(reason, sizeof(reason), "%.*s", (int)(end - begin), begin);
	link_note_reason(reason);
}

EXPORT void error(const char *format, ...)
{
	va_list arguments;
	char text[1024];

	va_start(arguments, format);
	vslprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	write_line(session_name, text);
	note_reason(text);
	error_count++;
}

EXPORT void fatal(const char *format, ...)
{
	LOG(format);
	die(1);
}

EXPORT void novm(const char *what)
{
	fatal("Virtual memory exhausted allocating %s\n", what);
}

static void option_complaint(const char *format, va_list arguments)
{
	char text[1024];

	vslprintf(text, sizeof(text), format, arguments);
	write_line(phase == 1 ? progname : session_name, text);
}

EXPORT void option_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	option_complaint(format, arguments);
	va_end(arguments);
}

EXPORT void ppp_option_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	option_complaint(format, arguments);
	va_end(arguments);
}

EXPORT size_t strlcpy(char *to, const char *from, size_t size)
{
	const size_t length = strlen(from);

	if (size) {
		const size_t n = length < size ? length : size - 1;

		memcpy(to, from, n);
		to[n] = '\0';
	}
	return length;
}

EXPORT size_t strlcat(char *to, const char *from, size_t size)
{
	const size_t length = strnlen(to, size);

	return length + strlcpy(to + length, from, size - length);
}
