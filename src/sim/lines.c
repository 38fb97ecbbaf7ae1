/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/lines.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

#define BLOCK (256 << 10)

void lines_init(struct lines *l, struct source in)
{
	*l = (struct lines) { .in = in, .cap = LINES_MAX + BLOCK };
	l->buf = xcalloc(l->cap + 1, 1);
}

void lines_done(struct lines *l)
{
	free(l->buf);
	l->buf = NULL;
}

/* More bytes behind those that are left, which move to the front. */
static struct err *refill(struct lines *l)
{
	size_t got = 0;

	memmove(l->buf, l->buf + l->at, l->end - l->at);
	l->end -= l->at;
	l->at = 0;
	TRY(l->in.read(l->in.arg, l->buf + l->end, l->cap - l->end, &got));
	l->is_end = !got;
	l->end += got;
	return NULL;
}

static struct err *find(struct lines *l, char **ret_end)
{
	size_t seen = 0;
	char *nl;

	for (;;) {
		size_t have = l->end - l->at;

		nl = have > seen ? memchr(l->buf + l->at + seen, '\n', have - seen) : NULL;
		if (nl || have >= LINES_MAX || (l->is_end && have))
			break;
		if (l->is_end) {
			*ret_end = NULL;
			return NULL;
		}
		seen = have;
		TRY(refill(l));
	}
	/* cap has one byte more than is ever read, so the end can always be marked. */
	if (!nl) {
		nl = l->buf + l->end;
		*nl = '\n';
	}
	*ret_end = nl;
	return NULL;
}

struct err *lines_peek(struct lines *l, char **ret_line, char **ret_end)
{
	TRY(find(l, ret_end));
	*ret_line = *ret_end ? l->buf + l->at : NULL;
	return NULL;
}

struct err *lines_next(struct lines *l, char **ret_line, char **ret_end)
{
	TRY(lines_peek(l, ret_line, ret_end));
	if (!*ret_line)
		return NULL;
	l->at = (size_t)(*ret_end - l->buf);
	l->at += l->at < l->end;
	l->number++;
	return NULL;
}

#define BOUND (INT64_MAX / 4)

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* Digits behind the point, as parts of @scale. */
static const char *scan_fraction(const char *p, int64_t scale, int64_t *ret)
{
	int64_t part = 0;

	for (; is_digit(*p); p++) {
		scale /= 10;
		part += (*p - '0') * scale;
	}
	*ret = part;
	return p;
}

const char *scan_decimal(const char *p, int64_t scale, int64_t *ret)
{
	bool minus = *p == '-', any;
	const char *first;
	int64_t n = 0, part = 0;

	p += *p == '-' || *p == '+';
	for (first = p; is_digit(*p); p++) {
		if (p - first == 18)
			return NULL;
		n = n * 10 + (*p - '0');
	}
	any = p > first;
	if (*p == '.') {
		const char *dot = ++p;

		p = scan_fraction(p, scale, &part);
		any |= p > dot;
	}
	if (!any)
		return NULL;
	if (scale != 1 && (__builtin_mul_overflow(n, scale, &n) || n > BOUND))
		return NULL;
	n += part;
	*ret = minus ? -n : n;
	return p;
}
