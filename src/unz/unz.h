/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNZ_UNZ_H
#define UNZ_UNZ_H

/*
 * One streaming decompressor: gzip (all members), zstd (all frames) or plain,
 * told apart by the first bytes.  xz and bzip2 are recognised and left to others.
 *
 * Context: any process; blocks in the source below.
 */

#include <stdbool.h>

#include "util/source.h"

enum unz_kind { UNZ_PLAIN, UNZ_GZIP, UNZ_ZSTD, UNZ_XZ, UNZ_BZIP2, UNZ_KINDS };

struct unz;

/**
 * unz_new() - look at the first bytes of @in
 * @ret: reads like its input when that is plain; xz and bzip2 pass unchanged
 * Return: NULL, or the error of the source.
 */
struct err *unz_new(struct source in, struct unz **ret) MUST_USE;

/** unz_free() - let go; the source below stays */
void unz_free(struct unz *u);
DEFINE_OWN(unz, unz_free)

/** unz_kind() - what the first bytes said */
enum unz_kind unz_kind(const struct unz *u);

/** unz_kind_name() - "plain", "gzip", "zstd", "xz", "bzip2" */
const char *unz_kind_name(enum unz_kind kind);

/**
 * unz_source() - the decompressed bytes
 * Errors of reading: ERR_CORRUPT for damaged data and for data that end early or go on behind
 * the last member; what the source below says.
 */
struct source unz_source(struct unz *u);

#endif
