/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H

/*
 * Digests of byte streams, on GnuTLS.  One algorithm, sha256, in the form that
 * OCI writes: "sha256:" and 64 lower-case hex digits.
 *
 * Context: any process; blocks for no longer than the bytes take.
 */

#include "util/err.h"
#include "util/source.h"

#define DIGEST_HEX   64
#define DIGEST_CHARS (7 + DIGEST_HEX + 1) /* "sha256:" HEX NUL */

struct digest;

/** digest_new() - an empty stream */
struct digest *digest_new(void);

/** digest_free() - NULL is fine */
void digest_free(struct digest *d);
DEFINE_OWN(digest, digest_free)

/** digest_add() - append @n bytes */
void digest_add(struct digest *d, const void *data, size_t n);

/** digest_text() - "sha256:HEX" of all bytes so far; more may be added afterwards */
void digest_text(const struct digest *d, char ret[DIGEST_CHARS]);

/** digest_of() - "sha256:HEX" of a piece of memory */
void digest_of(const void *data, size_t n, char ret[DIGEST_CHARS]);

/* A source that digests what passes through it. */
struct digest_source {
	struct source in;
	struct digest *digest; /* borrowed */
	int64_t bytes;         /* passed so far */
};

/** digest_source() - @d, as a source; it must outlive what reads from it */
struct source digest_source(struct digest_source *d);

#endif
