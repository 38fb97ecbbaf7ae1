/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_BLOB_H
#define BOOT_BLOB_H

#include <stddef.h>

#include "util/err.h"

#define BLOB_MAX (512UL << 20)

/* A whole file, mapped read-only. */
struct blob {
	const void *p; /* NULL when empty */
	size_t len;
};

/** blob_open() - ERR_NOT_FOUND, ERR_CORRUPT above BLOB_MAX, or a system error */
struct err *blob_open(const char *path, struct blob *ret) MUST_USE;
void blob_close(struct blob *b);

static inline void own_blob_release(struct blob *b)
{
	blob_close(b);
}

#endif
