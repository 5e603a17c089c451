/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <string.h>

void wire_writer_init(struct wire_writer *writer, void *data, size_t size)
{
	*writer = (struct wire_writer){ .data = data, .size = size };
}

void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t n)
{
	if (writer->failed || n > writer->size - writer->at) {
		writer->failed = true;
		return;
	}
	if (n > 0)
		memcpy(writer->data + writer->at, bytes, n);
	writer->at += n;
}

static void write_integer(struct wire_writer *writer, uint64_t value, size_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
	wire_write_bytes(writer, bytes, n);
}

void wire_write_u8(struct wire_writer *writer, uint8_t value)
{
	write_integer(writer, value, 1);
}

void wire_write_u16(struct wire_writer *writer, uint16_t value)
{
	write_integer(writer, value, 2);
}

void wire_write_u32(struct wire_writer *writer, uint32_t value)
{
	write_integer(writer, value, 4);
}

void wire_write_u64(struct wire_writer *writer, uint64_t value)
{
	write_integer(writer, value, 8);
}

void wire_write_string8(struct wire_writer *writer, const char *text)
{
	size_t n = strlen(text);

	if (n > UINT8_MAX) {
		writer->failed = true;
		return;
	}
	wire_write_u8(writer, (uint8_t)n);
	wire_write_bytes(writer, text, n);
}
