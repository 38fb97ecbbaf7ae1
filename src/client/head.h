/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLIENT_HEAD_H
#define CLIENT_HEAD_H

/*
 * The two parts of an HTTP/1.1 reply that need parsing: its head, and chunked bodies.
 * Pure: bytes in, spans of the same bytes out; no allocation.
 *
 * Spec: RFC 9112 §4 (status line), §5 (fields), §7.1 (chunked).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_BYTES_MAX 16384

enum head_result {
	HEAD_MORE, /* not complete yet */
	HEAD_DONE,
	HEAD_BAD,
};

struct head {
	int status;
	int64_t content_length; /* -1: not said */
	bool is_chunked, is_close;
	size_t bytes; /* length of the head, its empty line included */
};

/**
 * head_parse() - parse the head of a reply
 * @buf, @len: what has come so far
 * @ret:       written when HEAD_DONE
 */
enum head_result head_parse(const char *buf, size_t len, struct head *ret);

/**
 * head_field() - a field of a head that head_parse() took
 * @ret_len: length of the value, without white space around it
 * Return: the value inside @buf (not NUL-terminated), or NULL.
 */
const char *head_field(const char *buf, const struct head *h, const char *name, size_t *ret_len);

/* Chunked body: { 0 } is the start. */
struct chunk {
	enum chunk_state {
		CHUNK_SIZE,
		CHUNK_EXT,
		CHUNK_DATA,
		CHUNK_CRLF,
		CHUNK_TRAILER, /* at the begin of a trailer line */
		CHUNK_TRAILER_REST,
		CHUNK_DONE,
		CHUNK_BAD,
	} state;
	int digits;
	uint64_t left; /* of this chunk */
};

/**
 * chunk_feed() - decode some of a chunked body
 * @in, @len: bytes that have come
 * @ret_data, @ret_len: the first span of body bytes in @in; length 0: none
 * Return: bytes of @in used up, the span included.
 */
size_t chunk_feed(struct chunk *c, const char *in, size_t len, const char **ret_data,
		  size_t *ret_len);

#endif
