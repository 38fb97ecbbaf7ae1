/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/entry.h"

#include <stdio.h>
#include <string.h>

#include "shim/proto.h"
#include "util/clock.h"

/* Length of the UTF-8 sequence at @p (RFC 3629), 0 when it is none or is cut. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char first, last, low, high; /* first byte; range of the second */
		size_t len;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (*p < forms[i].first || *p > forms[i].last)
			continue;
		if (left < forms[i].len)
			return 0;
		if (forms[i].len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high))
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

/* Characters that stand for themselves: what is printable and neither JSON nor HTML. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void escape_ascii(struct str *out, char c)
{
	static const char from[] = "\"\\\n\r\t", to[] = "\"\\nrt";
	const char *at = c ? strchr(from, c) : NULL;

	if (at)
		str_add(out, (const char[]) { '\\', to[at - from] }, 2);
	else if (c == 0x7f)
		str_add(out, &c, 1);
	else
		str_addf(out, "\\u%04x", (unsigned char)c);
}

void entry_escape(struct str *out, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;

	while (p < end) {
		const unsigned char *run = p;
		size_t n;

		while (p < end && is_plain(*p))
			p++;
		str_add(out, run, (size_t)(p - run));
		if (p == end)
			return;
		n = utf8_len(p, (size_t)(end - p));
		if (n > 1)
			str_add(out, p, n);
		else if (n == 1)
			escape_ascii(out, (char)*p);
		else
			str_adds(out, "\\ufffd");
		p += n ? n : 1;
	}
}

void entry_write(struct str *out, int stream, const char *text, size_t len, const char *when)
{
	str_adds(out, "{\"log\":\"");
	entry_escape(out, text, len);
	str_adds(out, stream == SHIM_STDERR ? "\",\"stream\":\"stderr\",\"time\":\""
					    : "\",\"stream\":\"stdout\",\"time\":\"");
	str_adds(out, when);
	str_adds(out, "\"}\n");
}

size_t entry_cut(const char *text, size_t max)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t at = max;

	/* Back to the first byte of the last sequence; whole ones stay whole. */
	while (at > 0 && max - at < 3 && (p[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0 || p[at - 1] < 0xc0)
		return max;
	return utf8_len(p + at - 1, max - at + 1) ? max : (at > 1 ? at - 1 : max);
}

/* ---- reading ---- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at @p, or -1. */
static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* A \uXXXX (@p is behind the u), and its second half when it is a surrogate. */
static char *decode_unicode(char **p, const char *end, char *to)
{
	int c = hex4(*p, end), low;

	if (c < 0)
		return NULL;
	*p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return put_utf8(to, (unsigned)c);
	low = c < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex4(*p + 2, end)
									       : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return put_utf8(to, 0xfffd);
	*p += 6;
	return put_utf8(to, 0x10000 + ((unsigned)(c - 0xd800) << 10) + (unsigned)(low - 0xdc00));
}

/* One escape; @p is behind the backslash. */
static char *decode_escape(char **p, const char *end, char *to)
{
	static const char from[] = "\"\\/bfnrt", value[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (*p == end)
		return NULL;
	if (**p == 'u') {
		(*p)++;
		return decode_unicode(p, end, to);
	}
	at = **p ? strchr(from, **p) : NULL;
	if (!at)
		return NULL;
	(*p)++;
	*to++ = value[at - from];
	return to;
}

/* A JSON string at @*p, decoded in place (it never grows); @*p moves behind it. */
static bool parse_string(char **p, const char *end, char **ret_text, size_t *ret_len)
{
	char *from = *p, *to;

	if (from == end || *from != '"')
		return false;
	to = ++from;
	*ret_text = to;
	while (from < end && *from != '"') {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		from++;
		to = decode_escape(&from, end, to);
		if (!to)
			return false;
	}
	if (from == end)
		return false;
	*p = from + 1;
	*ret_len = (size_t)(to - *ret_text);
	return true;
}

static bool skip(char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

static bool take_member(struct entry *e, const char *key, size_t key_len, char *value, size_t len)
{
	char when[40];

	if (key_len == 3 && !memcmp(key, "log", 3)) {
		e->text = value;
		e->len = len;
	} else if (key_len == 6 && !memcmp(key, "stream", 6)) {
		e->stream = len == 6 && !memcmp(value, "stderr", 6) ? SHIM_STDERR : SHIM_STDOUT;
	} else if (key_len == 4 && !memcmp(key, "time", 4)) {
		if (len >= sizeof(when))
			return false;
		memcpy(when, value, len);
		when[len] = '\0';
		return clock_parse_rfc3339(when, &e->time_ns);
	}
	return true;
}

bool entry_parse(char *line, size_t len, struct entry *ret)
{
	char *p = line, *end = line + len, *key, *value;
	struct entry e = { .stream = SHIM_STDOUT };
	size_t key_len, value_len;

	if (!skip(&p, end, '{'))
		return false;
	do {
		if (!parse_string(&p, end, &key, &key_len) || !skip(&p, end, ':') ||
		    !parse_string(&p, end, &value, &value_len) ||
		    !take_member(&e, key, key_len, value, value_len))
			return false;
	} while (skip(&p, end, ','));
	if (!skip(&p, end, '}') || p != end || !e.text)
		return false;
	*ret = e;
	return true;
}
