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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader {
	const uint8_t *data;
	size_t size;
	size_t at;
	bool failed;
};

void wire_reader_init(struct wire_reader *reader, const void *data, size_t size);
uint8_t wire_read_u8(struct wire_reader *reader);
uint16_t wire_read_u16(struct wire_reader *reader);
uint32_t wire_read_u32(struct wire_reader *reader);
uint64_t wire_read_u64(struct wire_reader *reader);

/* A pointer to the next n bytes, which it passes over, or NULL. */
const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t n);

/* A length octet and that many bytes, copied with a NUL into buf of `size` bytes. Longer than
 * that, or a NUL inside, is a failure; buf then holds "". */
void wire_read_string8(struct wire_reader *reader, char *buf, size_t size);

/* True if every access fitted and nothing is left over. */
bool wire_reader_finished(const struct wire_reader *reader);

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
