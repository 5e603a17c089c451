/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdio.h>
#include <string.h>

#define ESCAPED_SIZE (sizeof("\\xHH") - 1)

size_t utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	if (p[0] == 0xed)
		high = 0x9f;
	if (p[0] == 0xf0)
		low = 0x90;
	if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return n;
}

bool utf8_is_control(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;

	if (length == 1)
		return p[0] < ' ' || p[0] == 0x7f;
	if (length == 2) /* U+0080 to 009F, 061C */
		return (p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c);
	if (length != 3 || p[0] != 0xe2)
		return false;
	if (p[1] == 0x80) /* U+200E, 200F, 2028 to 202E */
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9; /* U+2066 to 2069 */
}

char *utf8_show(const char *text, char *buf, size_t size)
{
	size_t used = 0;

	while (*text != '\0') {
		size_t length = utf8_length(text);
		bool shown = length > 0 && !utf8_is_control(text, length);
		size_t n = length > 0 ? length : 1;

		if (size - used <= (shown ? n : ESCAPED_SIZE * n))
			break;
		for (size_t i = 0; i < n && !shown; i++, used += ESCAPED_SIZE)
			snprintf(buf + used, size - used, "\\x%02x", (unsigned char)text[i]);
		if (shown) {
			memcpy(buf + used, text, n);
			used += n;
		}
		text += n;
	}
	buf[used] = '\0';
	return buf;
}
