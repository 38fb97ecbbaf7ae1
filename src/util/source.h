/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_SOURCE_H
#define UTIL_SOURCE_H

/*
 * A source of bytes: what decompressors, digests and archive readers pull from.
 * Sources stack: each reads from the one below.
 */

#include "util/err.h"

struct source {
	/* Fill @buf with 1 to @size bytes; 0 in @ret_n is the end.  Blocks. */
	struct err *(*read)(void *arg, void *buf, size_t size, size_t *ret_n);
	void *arg;
};

/** source_fd() - bytes of a blocking descriptor; @fd must outlive the source and is borrowed */
struct source source_fd(int *fd);

/** source_drain() - read and drop everything that is left */
struct err *source_drain(struct source s) MUST_USE;

#endif
