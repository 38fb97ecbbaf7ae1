/* SPDX-License-Identifier: Apache-2.0 */
#include "client/head.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *find_end(const char *buf, size_t len)
{
	const char *p = memmem(buf, len, "\r\n\r\n", 4);

	return p ? p + 4 : NULL;
}

static bool is_status_line(const char *buf, size_t len)
{
	return len >= 12 && !memcmp(buf, "HTTP/1.", 7) && isdigit((unsigned char)buf[7]) &&
	       buf[8] == ' ' && isdigit((unsigned char)buf[9]) && buf[9] != '0' &&
	       isdigit((unsigned char)buf[10]) && isdigit((unsigned char)buf[11]) &&
	       (buf[12] == ' ' || buf[12] == '\r');
}

const char *head_field(const char *buf, const struct head *h, const char *name, size_t *ret_len)
{
	const char *end = buf + h->bytes - 2, *line = memmem(buf, h->bytes, "\r\n", 2);
	size_t name_len = strlen(name);

	for (line += 2; line < end;) {
		const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
		const char *value = line + name_len + 1;

		if (!eol)
			eol = end;
		if (value <= eol && line[name_len] == ':' && !strncasecmp(line, name, name_len)) {
			while (value < eol && (*value == ' ' || *value == '\t'))
				value++;
			while (eol > value && (eol[-1] == ' ' || eol[-1] == '\t'))
				eol--;
			*ret_len = (size_t)(eol - value);
			return value;
		}
		line = eol + 2;
	}
	return NULL;
}

static bool field_is(const char *buf, const struct head *h, const char *name, const char *want)
{
	size_t len;
	const char *v = head_field(buf, h, name, &len);

	return v && len == strlen(want) && !strncasecmp(v, want, len);
}

static bool read_length(const char *buf, struct head *h)
{
	size_t len;
	const char *v = head_field(buf, h, "Content-Length", &len);

	h->content_length = -1;
	if (!v)
		return true;
	if (!len || len > 18)
		return false;
	h->content_length = 0;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)v[i]))
			return false;
		h->content_length = h->content_length * 10 + (v[i] - '0');
	}
	return true;
}

enum head_result head_parse(const char *buf, size_t len, struct head *ret)
{
	const char *end = find_end(buf, len);
	struct head h = { 0 };

	if (!end)
		return len >= HEAD_BYTES_MAX ? HEAD_BAD : HEAD_MORE;
	h.bytes = (size_t)(end - buf);
	if (h.bytes > HEAD_BYTES_MAX || !is_status_line(buf, h.bytes) || memchr(buf, '\0', h.bytes))
		return HEAD_BAD;
	h.status = (buf[9] - '0') * 100 + (buf[10] - '0') * 10 + (buf[11] - '0');
	if (!read_length(buf, &h))
		return HEAD_BAD;
	h.is_chunked = field_is(buf, &h, "Transfer-Encoding", "chunked");
	h.is_close = field_is(buf, &h, "Connection", "close") || buf[7] == '0';
	*ret = h;
	return HEAD_DONE;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte outside of chunk data. */
static void take_byte(struct chunk *c, char byte)
{
	int digit = hex_digit(byte);

	switch (c->state) {
	case CHUNK_SIZE:
		if (digit >= 0 && c->digits < 15) {
			c->left = c->left * 16 + (uint64_t)digit;
			c->digits++;
			return;
		}
		c->state = c->digits && strchr("\r; \t", byte) ? CHUNK_EXT : CHUNK_BAD;
		return;
	case CHUNK_EXT:
		if (byte == '\n')
			c->state = c->left ? CHUNK_DATA : CHUNK_TRAILER;
		return;
	case CHUNK_CRLF:
		if (byte == '\n')
			*c = (struct chunk) { .state = CHUNK_SIZE };
		else if (byte != '\r')
			c->state = CHUNK_BAD;
		return;
	case CHUNK_TRAILER:
		if (byte == '\n')
			c->state = CHUNK_DONE;
		else if (byte != '\r')
			c->state = CHUNK_TRAILER_REST;
		return;
	case CHUNK_TRAILER_REST:
		if (byte == '\n')
			c->state = CHUNK_TRAILER;
		return;
	case CHUNK_DATA:
	case CHUNK_DONE:
	case CHUNK_BAD:
		return;
	}
}

size_t chunk_feed(struct chunk *c, const char *in, size_t len, const char **ret_data,
		  size_t *ret_len)
{
	size_t at = 0;

	*ret_data = in;
	*ret_len = 0;
	while (at < len && c->state != CHUNK_DONE && c->state != CHUNK_BAD) {
		size_t n = len - at;

		if (c->state != CHUNK_DATA) {
			take_byte(c, in[at++]);
			continue;
		}
		if (n > c->left)
			n = (size_t)c->left;
		*ret_data = in + at;
		*ret_len = n;
		c->left -= n;
		if (!c->left)
			c->state = CHUNK_CRLF;
		return at + n;
	}
	return at;
}
