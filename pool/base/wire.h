/* SPDX-License-Identifier: MIT */
/*
 * wire.h - a bounds-checked cursor over bytes, for reading and for writing. Integers are
 * big-endian.
 *
 * The first access that does not fit marks the cursor as failed; from then on reads give zeros
 * and writes do nothing, so a decoder may read a whole record and ask once, at its end, whether
 * it was all there. Nothing is allocated and nothing outside [data, data + size) is touched.
 */
#ifndef RASIP_WIRE_H
#define RASIP_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire_reader {
	const uint8_t *data;
	size_t size;
	size_t at;
	bool failed;
};

/* In here, so that a record is decoded without a call for each of its fields: a listing decodes
 * hundreds of thousands. */
static inline void wire_reader_init(struct wire_reader *reader, const void *data, size_t size)
{
	*reader = (struct wire_reader){ .data = (const uint8_t *)data, .size = size };
}

/* A pointer to the next n bytes, which it passes over, or NULL. */
static inline const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t n)
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

static inline uint8_t wire_read_u8(struct wire_reader *reader)
{
	const uint8_t *bytes = wire_read_bytes(reader, 1);

	return bytes != NULL ? *bytes : 0;
}

static inline uint16_t wire_read_u16(struct wire_reader *reader)
{
	const uint8_t *bytes = wire_read_bytes(reader, sizeof(uint16_t));
	uint16_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, sizeof(value));
	return be16toh(value);
}

static inline uint32_t wire_read_u32(struct wire_reader *reader)
{
	const uint8_t *bytes = wire_read_bytes(reader, sizeof(uint32_t));
	uint32_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

static inline uint64_t wire_read_u64(struct wire_reader *reader)
{
	const uint8_t *bytes = wire_read_bytes(reader, sizeof(uint64_t));
	uint64_t value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

/* A length octet and that many bytes, copied with a NUL into buf of `size` bytes. Longer than
 * that, or a NUL inside, is a failure; buf then holds "". */
static inline void wire_read_string8(struct wire_reader *reader, char *buf, size_t size)
{
	size_t n = wire_read_u8(reader);
	const uint8_t *bytes = wire_read_bytes(reader, n);

	buf[0] = '\0';
	if (n == 0 || bytes == NULL)
		return;
	if (n >= size || memchr(bytes, '\0', n) != NULL) {
		reader->failed = true;
		return;
	}
	memcpy(buf, bytes, n);
	buf[n] = '\0';
}

/* True if every access fitted and nothing is left over. */
static inline bool wire_reader_finished(const struct wire_reader *reader)
{
	return !reader->failed && reader->at == reader->size;
}

struct wire_writer {
	uint8_t *data;
	size_t size;
	size_t at;
	bool failed;
};

void wire_writer_init(struct wire_writer *writer, void *data, size_t size);
void wire_write_u8(struct wire_writer *writer, uint8_t value);
void wire_write_u16(struct wire_writer *writer, uint16_t value);
void wire_write_u32(struct wire_writer *writer, uint32_t value);
void wire_write_u64(struct wire_writer *writer, uint64_t value);
void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t n);

/* A length octet and the text without its NUL; more than 255 bytes is a failure. */
void wire_write_string8(struct wire_writer *writer, const char *text);

#endif
