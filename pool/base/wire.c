/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <string.h>

void wire_reader_init(struct wire_reader *reader, const void *data, size_t size)
{
	*reader = (struct wire_reader){ .data = data, .size = size };
}

const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t n)
{
	const uint8_t *bytes;

	if (reader->failed || n > reader->size - reader->at) {
		reader->failed = true;
		return NULL;
	}
	bytes = reader->data + reader->at;
	reader->at += n;
	return bytes;
}

static uint64_t read_integer(struct wire_reader *reader, size_t n)
{
	const uint8_t *bytes = wire_read_bytes(reader, n);
	uint64_t value = 0;

	if (bytes == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint8_t wire_read_u8(struct wire_reader *reader)
{
	return (uint8_t)read_integer(reader, 1);
}

uint16_t wire_read_u16(struct wire_reader *reader)
{
	return (uint16_t)read_integer(reader, 2);
}

uint32_t wire_read_u32(struct wire_reader *reader)
{
	return (uint32_t)read_integer(reader, 4);
}

uint64_t wire_read_u64(struct wire_reader *reader)
{
	return read_integer(reader, 8);
}

void wire_read_string8(struct wire_reader *reader, char *buf, size_t size)
{
	size_t n = wire_read_u8(reader);
	const uint8_t *bytes = wire_read_bytes(reader, n);

	buf[0] = '\0';
	if (bytes == NULL)
		return;
	if (n >= size || memchr(bytes, '\0', n) != NULL) {
		reader->failed = true;
		return;
	}
	memcpy(buf, bytes, n);
	buf[n] = '\0';
}

bool wire_reader_finished(const struct wire_reader *reader)
{
	return !reader->failed && reader->at == reader->size;
}

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
