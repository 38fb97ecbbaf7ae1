/* SPDX-License-Identifier: Apache-2.0 */
#include "http/query.h"

#include <ctype.h>
#include <string.h>

#include "util/mem.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of "%XY" at @p, or -1 when there is none (or it is NUL). */
static int escaped_byte(const char *p, size_t len)
{
	int high, low;

	if (len < 3 || p[0] != '%')
		return -1;
	high = hex_value(p[1]);
	low = hex_value(p[2]);
	return high < 0 || low < 0 || !(high | low) ? -1 : high << 4 | low;
}

char *http_decode(const char *text, size_t len, bool plus_is_space)
{
	char *out = xcalloc(len + 1, 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = escaped_byte(text + i, len - i);

		if (byte >= 0)
			i += 2;
		else
			byte = plus_is_space && text[i] == '+' ? ' ' : (unsigned char)text[i];
		out[n++] = (char)byte;
	}
	return out;
}

static void add_decoded(struct strv *l, const char *text, size_t len)
{
	OWN(mem) char *s = http_decode(text, len, true);

	strv_add(l, s);
}

void http_query_parse(const char *text, struct http_query *ret)
{
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, "&");
		size_t key = strcspn(p, "=&");

		if (len) {
			add_decoded(&ret->keys, p, key);
			add_decoded(&ret->values, p + key + (key < len), len - key - (key < len));
		}
		p += len + (p[len] == '&');
	}
}

void http_query_done(struct http_query *q)
{
	strv_done(&q->keys);
	strv_done(&q->values);
}

const char *http_query_find(const struct http_query *q, const char *key)
{
	for (size_t i = 0; i < q->keys.n; i++)
		if (streq(q->keys.v[i], key))
			return q->values.v[i];
	return NULL;
}

/* Length of what a {part} may take at @path so that the rest of the pattern still fits. */
static bool match_part(const char *pattern, const char *path, struct http_params *ret)
{
	const char *end = strchr(pattern, '}');
	bool many = end[-1] == '*';
	size_t max = many ? strlen(path) : strcspn(path, "/");
	size_t slot = ret->n;

	if (slot == HTTP_PARAMS_MAX)
		return false;
	ret->n++;
	/* The longest first: an image may be called "a/json". */
	for (size_t len = max; len > 0; len--) {
		if (!http_match(end + 1, path + len, ret))
			continue;
		ret->names[slot] = pattern + 1;
		ret->values[slot] = http_decode(path, len, false);
		return true;
	}
	ret->n = slot;
	return false;
}

bool http_match(const char *pattern, const char *path, struct http_params *ret)
{
	for (; *pattern; pattern++, path++) {
		if (*pattern == '{')
			return match_part(pattern, path, ret);
		if (*pattern != *path)
			return false;
	}
	return *path == '\0';
}

void http_params_done(struct http_params *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->values[i]);
	*p = (struct http_params) { 0 };
}

const char *http_params_get(const struct http_params *p, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < p->n; i++)
		if (!strncmp(p->names[i], name, len) && strchr("}*", p->names[i][len]))
			return p->values[i];
	return NULL;
}
