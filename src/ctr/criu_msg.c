/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/criu_msg.h"

#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* ---- writing ---- */

static void put_varint(struct str *s, uint64_t v)
{
	do {
		unsigned char byte = (v & 0x7f) | (v > 0x7f ? 0x80 : 0);

		str_add(s, &byte, 1);
		v >>= 7;
	} while (v);
}

static void put_number(struct str *s, unsigned field, uint64_t v)
{
	put_varint(s, field << 3 | WIRE_VARINT);
	put_varint(s, v);
}

static void put_bytes(struct str *s, unsigned field, const void *data, size_t len)
{
	put_varint(s, field << 3 | WIRE_BYTES);
	put_varint(s, len);
	str_add(s, data, len);
}

void criu_opt_number(struct str *opts, enum criu_opt field, uint64_t value)
{
	put_number(opts, field, value);
}

void criu_opt_text(struct str *opts, enum criu_opt field, const char *text)
{
	put_bytes(opts, field, text, strlen(text));
}

void criu_opt_inherit(struct str *opts, const char *key, int fd)
{
	OWN(str) struct str s = { 0 };

	put_bytes(&s, 1, key, strlen(key));
	put_number(&s, 2, (uint64_t)fd);
	put_bytes(opts, CRIU_OPT_INHERIT_FD, s.buf, s.len);
}

void criu_request(struct str *msg, enum criu_type type, const struct str *opts)
{
	put_number(msg, 1, type);
	if (opts->len)
		put_bytes(msg, 2, opts->buf, opts->len);
}

void criu_notified(struct str *msg, bool go_on)
{
	put_number(msg, 1, CRIU_NOTIFY);
	put_number(msg, 3, go_on);
}

/* ---- reading ---- */

struct reader {
	const unsigned char *at, *end;
};

struct field {
	uint64_t number;
	uint64_t value; /* varint */
	struct reader bytes;
};

static bool get_varint(struct reader *r, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
		unsigned char byte = *r->at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool skip(struct reader *r, uint64_t n)
{
	if (n > (uint64_t)(r->end - r->at))
		return false;
	r->at += n;
	return true;
}

/* One field; false: the bytes are none. */
static bool get_field(struct reader *r, struct field *f)
{
	uint64_t tag, len = 0;

	*f = (struct field) { 0 };
	if (!get_varint(r, &tag))
		return false;
	f->number = tag >> 3;
	if ((tag & 7) == WIRE_VARINT)
		return get_varint(r, &f->value);
	if ((tag & 7) == WIRE_64 || (tag & 7) == WIRE_32)
		return skip(r, (tag & 7) == WIRE_64 ? 8 : 4);
	if ((tag & 7) != WIRE_BYTES || !get_varint(r, &len))
		return false;
	f->bytes.at = r->at;
	if (!skip(r, len))
		return false;
	f->bytes.end = r->at;
	return true;
}

static void take_text(const struct field *f, const char **ret, size_t *ret_len)
{
	*ret = (const char *)f->bytes.at;
	*ret_len = (size_t)(f->bytes.end - f->bytes.at);
}

static bool read_restored(struct reader r, struct criu_answer *a)
{
	struct field f;

	while (r.at < r.end) {
		if (!get_field(&r, &f))
			return false;
		if (f.number == 1)
			a->pid = (int32_t)f.value;
	}
	return true;
}

static bool read_notify(struct reader r, struct criu_answer *a)
{
	struct field f;

	while (r.at < r.end) {
		if (!get_field(&r, &f))
			return false;
		if (f.number == 1)
			take_text(&f, &a->script, &a->script_len);
		if (f.number == 2)
			a->pid = (int32_t)f.value;
	}
	return true;
}

static bool read_version(struct reader r, struct criu_answer *a)
{
	struct field f;

	while (r.at < r.end) {
		if (!get_field(&r, &f))
			return false;
		if (f.number == 1)
			a->major = (unsigned)f.value;
		if (f.number == 2)
			a->minor = (unsigned)f.value;
		if (f.number == 4)
			a->sublevel = (unsigned)f.value;
	}
	return true;
}

static bool read_field(const struct field *f, struct criu_answer *a)
{
	switch (f->number) {
	case 1:
		a->type = f->value;
		return true;
	case 2:
		a->success = f->value;
		return true;
	case 4:
		return read_restored(f->bytes, a);
	case 5:
		return read_notify(f->bytes, a);
	case 7:
		a->cr_errno = (int32_t)f->value;
		return true;
	case 9:
		take_text(f, &a->message, &a->message_len);
		return true;
	case 10:
		return read_version(f->bytes, a);
	default:
		return true;
	}
}

struct err *criu_answer_read(const void *data, size_t len, struct criu_answer *ret)
{
	struct reader r = { .at = data, .end = (const unsigned char *)data + len };
	struct criu_answer a = { 0 };
	struct field f;

	while (r.at < r.end)
		if (!get_field(&r, &f) || !read_field(&f, &a))
			return err_new(ERR_CORRUPT, "criu's answer cannot be read");
	if (!a.type && !a.success && !a.message)
		return err_new(ERR_CORRUPT, "criu answered nothing");
	*ret = a;
	return NULL;
}
