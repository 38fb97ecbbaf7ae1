/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLIENT_BUF_H
#define CLIENT_BUF_H

/*
 * A growable string that survives a failing malloc: after one failure further additions do
 * nothing and buf_take() returns NULL.  (util/str.h ends the process instead, which a library
 * for others must not.)  Pure.
 */

#include <stdbool.h>

#include "util/defs.h"

struct buf {
	char *p; /* NUL-terminated once anything was added */
	size_t len, cap;
	bool failed;
};

/** buf_add() - append @n bytes */
void buf_add(struct buf *b, const void *data, size_t n);

/** buf_adds() - append a C string */
void buf_adds(struct buf *b, const char *text);

/** buf_addf() - append formatted text */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/** buf_encode() - append @text percent-encoded */
void buf_encode(struct buf *b, const char *text);

/** buf_take() - move the text out, owned by the caller; NULL when memory was short */
char *buf_take(struct buf *b);

/** own_buf_release() - for OWN(buf) struct buf b = { 0 } */
void own_buf_release(struct buf *b);

#endif
