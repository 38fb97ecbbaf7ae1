/* SPDX-License-Identifier: Apache-2.0 */
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"

static void reserve(struct str *s, size_t more)
{
	size_t want = s->len + more + 1;

	if (want <= s->cap)
		return;
	s->cap = want < 64 ? 64 : want + want / 2;
	s->buf = xrealloc(s->buf, s->cap, 1);
}

void str_add(struct str *s, const void *data, size_t n)
{
	reserve(s, n);
	if (n)
		memcpy(s->buf + s->len, data, n);
	s->len += n;
	s->buf[s->len] = '\0';
}

void str_adds(struct str *s, const char *text)
{
	str_add(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		reserve(s, (size_t)n);
		vsnprintf(s->buf + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
	}
	va_end(again);
}

void str_drop(struct str *s, size_t n)
{
	if (n >= s->len)
		n = s->len;
	if (!n)
		return;
	memmove(s->buf, s->buf + n, s->len - n + 1);
	s->len -= n;
}

void str_done(struct str *s)
{
	free(s->buf);
	*s = (struct str) { 0 };
}

char *str_take(struct str *s)
{
	char *p;

	if (!s->buf)
		return xstrdup("");
	p = s->buf;
	*s = (struct str) { 0 };
	return p;
}

/* Consumes @s. */
static void strv_push(struct strv *l, char *s)
{
	l->v = xrealloc(l->v, l->n + 2, sizeof(*l->v));
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

void strv_add(struct strv *l, const char *s)
{
	strv_push(l, xstrdup(s));
}

void strv_addf(struct strv *l, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	strv_push(l, text);
}

void strv_copy(struct strv *l, const struct strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		strv_add(l, from->v[i]);
}

bool strv_has(const struct strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], s))
			return true;
	return false;
}

void strv_done(struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strv) { 0 };
}

static struct strpair *find(const struct strmap *m, const char *key)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->v[i].key, key))
			return &m->v[i];
	return NULL;
}

void strmap_set(struct strmap *m, const char *key, const char *value)
{
	struct strpair *p = find(m, key);

	if (!p) {
		m->v = xrealloc(m->v, m->n + 1, sizeof(*m->v));
		p = &m->v[m->n++];
		*p = (struct strpair) { .key = xstrdup(key) };
	}
	str_set(&p->value, value);
}

const char *strmap_get(const struct strmap *m, const char *key)
{
	const struct strpair *p = find(m, key);

	return p ? p->value : NULL;
}

void strmap_copy(struct strmap *m, const struct strmap *from)
{
	for (size_t i = 0; i < from->n; i++)
		strmap_set(m, from->v[i].key, from->v[i].value);
}

void strmap_done(struct strmap *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].key);
		free(m->v[i].value);
	}
	free(m->v);
	*m = (struct strmap) { 0 };
}
