/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINES_H
#define SIM_LINES_H

/*
 * Lines of a source, and numbers in them, fast: what all readers of traces share.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/source.h"

struct lines {
	struct source in;
	char *buf; /* one line at least; a newline stands behind the last byte */
	size_t cap, at, end;
	bool is_end;
	uint64_t number; /* of the line last given, from 1 */
};

/* A line longer than this is cut in two; no format has such. */
#define LINES_MAX (1 << 20)

void lines_init(struct lines *l, struct source in);
void lines_done(struct lines *l);

static inline void own_lines_release(struct lines *l)
{
	lines_done(l);
}

/**
 * lines_next() - the next line
 * @ret_line: its first byte, borrowed until the next call; NULL at the end
 * @ret_end:  its newline (put there when the source has none)
 */
struct err *lines_next(struct lines *l, char **ret_line, char **ret_end) MUST_USE;

/** lines_peek() - the next line without taking it; NULL at the end */
struct err *lines_peek(struct lines *l, char **ret_line, char **ret_end) MUST_USE;

/**
 * scan_decimal() - a number "-12.5" at @p, of at most 18 digits before the point
 * @scale:  what one is worth: 1000 gives thousandths; digits beyond are cut
 * @ret:    the number times @scale
 * Return: behind the number; NULL when there is none or it is beyond ±INT64_MAX / 4.
 * Spec: stops at the first byte that is none of its own, so a newline must follow.
 */
const char *scan_decimal(const char *p, int64_t scale, int64_t *ret);

#endif
