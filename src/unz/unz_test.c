/* SPDX-License-Identifier: Apache-2.0 */
#include "unz/unz.h"

#include <zlib.h>
#include <zstd.h>

#include "util/mem.h"
#include "util/str.h"
#include "util/test.h"

/* Bytes in memory, given out a few at a time. */
struct bytes {
	const char *p;
	size_t n, at_a_time;
};

static struct err *read_bytes(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct bytes *b = arg;
	size_t n = b->n < b->at_a_time ? b->n : b->at_a_time;

	if (n > size)
		n = size;
	memcpy(buf, b->p, n);
	b->p += n;
	b->n -= n;
	*ret_n = n;
	return NULL;
}

static struct err *unpack(const void *data, size_t n, size_t at_a_time, struct str *out)
{
	struct bytes b = { .p = data, .n = n, .at_a_time = at_a_time };
	OWN(unz) struct unz *u = NULL;
	struct source s;
	char buf[777];
	size_t got = 1;

	TRY(unz_new((struct source) { read_bytes, &b }, &u));
	s = unz_source(u);
	str_adds(out, "");
	while (got) {
		TRY(s.read(s.arg, buf, sizeof(buf), &got));
		str_add(out, buf, got);
	}
	return NULL;
}

static void text_of(struct str *s)
{
	for (int i = 0; i < 20000; i++)
		str_addf(s, "line %d\n", i * 7);
}

static void gzip_of(const struct str *in, struct str *out)
{
	size_t room = compressBound(in->len) + 64;
	OWN(mem) char *buf = xcalloc(room, 1);
	z_stream z = { 0 };

	deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (unsigned char *)in->buf;
	z.avail_in = (unsigned)in->len;
	z.next_out = (unsigned char *)buf;
	z.avail_out = (unsigned)room;
	deflate(&z, Z_FINISH);
	str_add(out, buf, z.total_out);
	deflateEnd(&z);
}

static void zstd_of(const struct str *in, struct str *out)
{
	size_t room = ZSTD_compressBound(in->len);
	OWN(mem) char *buf = xcalloc(room, 1);

	str_add(out, buf, ZSTD_compress(buf, room, in->buf, in->len, 3));
}

static void plain_of(const struct str *in, struct str *out)
{
	str_add(out, in->buf, in->len);
}

static void (*const kinds[])(const struct str *, struct str *) = { plain_of, gzip_of, zstd_of };

static void what_was_compressed_comes_back_in_any_pieces(void **state)
{
	OWN(str) struct str text = { 0 };
	const size_t pieces[] = { 1, 3, 4096, 1 << 20 };

	(void)state;
	text_of(&text);
	for (size_t k = 0; k < ARRAY_SIZE(kinds) * ARRAY_SIZE(pieces); k++) {
		OWN(str) struct str packed = { 0 };
		OWN(str) struct str out = { 0 };

		kinds[k / ARRAY_SIZE(pieces)](&text, &packed);
		assert_ok(unpack(packed.buf, packed.len, pieces[k % ARRAY_SIZE(pieces)], &out));
		assert_int_equal(out.len, text.len);
		assert_memory_equal(out.buf, text.buf, text.len);
	}
}

static void members_and_frames_follow_each_other(void **state)
{
	OWN(str) struct str text = { 0 };

	(void)state;
	text_of(&text);
	for (size_t k = 1; k < ARRAY_SIZE(kinds); k++) {
		OWN(str) struct str packed = { 0 };
		OWN(str) struct str out = { 0 };

		kinds[k](&text, &packed);
		kinds[k](&text, &packed);
		assert_ok(unpack(packed.buf, packed.len, 4096, &out));
		assert_int_equal(out.len, 2 * text.len);
	}
}

static void what_ends_early_or_is_damaged_is_refused(void **state)
{
	OWN(str) struct str text = { 0 };

	(void)state;
	text_of(&text);
	for (size_t k = 1; k < ARRAY_SIZE(kinds); k++) {
		OWN(str) struct str packed = { 0 };
		OWN(str) struct str out = { 0 };

		kinds[k](&text, &packed);
		assert_err(unpack(packed.buf, packed.len - 5, 4096, &out), ERR_CORRUPT);
		assert_err(unpack(packed.buf, 20, 4096, &out), ERR_CORRUPT);
		str_adds(&packed, "garbage behind it");
		assert_err(unpack(packed.buf, packed.len, 4096, &out), ERR_CORRUPT);
		memset(packed.buf + packed.len / 2, 0x55, 64);
		assert_err(unpack(packed.buf, packed.len, 4096, &out), ERR_CORRUPT);
	}
}

static void kinds_are_told_by_their_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum unz_kind kind;
	} cases[] = {
		{ "", 0, UNZ_PLAIN },
		{ "\x1f\x8b", 2, UNZ_PLAIN },
		{ "\x1f\x8b\x08\0", 4, UNZ_GZIP },
		{ "\x28\xb5\x2f\xfd\0", 5, UNZ_ZSTD },
		{ "\x50\x2a\x4d\x18\0\0\0\0", 8, UNZ_ZSTD },
		{ "\xfd"
		  "7zXZ\0\0\0",
		  8, UNZ_XZ },
		{ "BZh9", 4, UNZ_BZIP2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes b = { cases[i].bytes, cases[i].n, 1 };
		OWN(unz) struct unz *u = NULL;

		assert_ok(unz_new((struct source) { read_bytes, &b }, &u));
		assert_int_equal(unz_kind(u), cases[i].kind);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_compressed_comes_back_in_any_pieces),
		cmocka_unit_test(members_and_frames_follow_each_other),
		cmocka_unit_test(what_ends_early_or_is_damaged_is_refused),
		cmocka_unit_test(kinds_are_told_by_their_first_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
