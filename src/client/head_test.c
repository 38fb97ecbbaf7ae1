/* SPDX-License-Identifier: Apache-2.0 */
#include "client/head.h"

#include "util/test.h"

static void a_head_is_read_once_it_is_whole(void **state)
{
	static const char text[] =
	    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A:  b c \r\n\r\nbody";
	size_t whole = strlen(text) - 4, len;
	struct head h;
	const char *v;

	for (size_t n = 0; n < whole; n++)
		assert_int_equal(head_parse(text, n, &h), HEAD_MORE);
	assert_int_equal(head_parse(text, whole, &h), HEAD_DONE);
	assert_int_equal(h.status, 200);
	assert_int_equal(h.content_length, 12);
	assert_int_equal(h.bytes, whole);
	assert_false(h.is_chunked || h.is_close);
	v = head_field(text, &h, "x-a", &len);
	assert_int_equal(len, 3);
	assert_memory_equal(v, "b c", 3);
	assert_null(head_field(text, &h, "Content", &len));
	assert_null(head_field(text, &h, "Absent", &len));
}

static void what_is_no_head_is_refused(void **state)
{
	static const char *const bad[] = {
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"nonsense\r\n\r\n",
		"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 12345678901234567890\r\n\r\n",
	};
	struct head h;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (head_parse(bad[i], strlen(bad[i]), &h) != HEAD_BAD)
			fail_msg("taken: %s", bad[i]);
}

static void a_head_without_end_is_refused_at_its_limit(void **state)
{
	static char text[HEAD_BYTES_MAX];
	struct head h;

	memset(text, 'x', sizeof(text));
	assert_int_equal(head_parse(text, sizeof(text) - 1, &h), HEAD_MORE);
	assert_int_equal(head_parse(text, sizeof(text), &h), HEAD_BAD);
}

/* Decode @text given in pieces of @piece bytes; @ret_state: the last state */
static void decode(const char *text, size_t piece, char *out, enum chunk_state *ret_state)
{
	struct chunk c = { 0 };
	size_t len = strlen(text), at = 0;

	*out = '\0';
	while (at < len && c.state != CHUNK_DONE && c.state != CHUNK_BAD) {
		size_t n = len - at < piece ? len - at : piece, span_len;
		const char *span;

		at += chunk_feed(&c, text + at, n, &span, &span_len);
		strncat(out, span, span_len);
	}
	*ret_state = c.state;
}

static void chunks_decode_the_same_in_pieces_of_any_size(void **state)
{
	static const char text[] = "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n";
	enum chunk_state end;
	char out[64];

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		decode(text, piece, out, &end);
		assert_string_equal(out, "abc0123456789");
		assert_int_equal(end, CHUNK_DONE);
	}
}

static void bad_chunks_are_told(void **state)
{
	static const char *const bad[] = { "x\r\n", "\r\n", "1\r\nab", "fffffffffffffffff\r\n",
					   "-1\r\n" };
	enum chunk_state end;
	char out[64];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		decode(bad[i], 99, out, &end);
		if (end != CHUNK_BAD)
			fail_msg("taken: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_read_once_it_is_whole),
		cmocka_unit_test(what_is_no_head_is_refused),
		cmocka_unit_test(a_head_without_end_is_refused_at_its_limit),
		cmocka_unit_test(chunks_decode_the_same_in_pieces_of_any_size),
		cmocka_unit_test(bad_chunks_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
