/* SPDX-License-Identifier: Apache-2.0 */
#include "client/buf.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct buf *b, size_t more)
{
	size_t want = b->len + more + 1;
	char *p;

	if (b->failed || want <= b->cap)
		return !b->failed;
	want = want < 128 ? 128 : want + want / 2;
	p = realloc(b->p, want);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = want;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	if (!reserve(b, n))
		return;
	if (n)
		memcpy(b->p + b->len, data, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (reserve(b, (size_t)n)) {
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_encode(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-_.~/:", c))
			buf_add(b, text, 1);
		else
			buf_addf(b, "%%%02X", c);
	}
}

char *buf_take(struct buf *b)
{
	char *p;

	if (!b->p && !b->failed)
		buf_add(b, "", 0);
	p = b->failed ? NULL : b->p;
	if (b->failed)
		free(b->p);
	*b = (struct buf) { 0 };
	return p;
}

void own_buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf) { 0 };
}
