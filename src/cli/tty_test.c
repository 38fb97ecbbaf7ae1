/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tty.h"

#include "util/test.h"

static void keys_are_read_in_dockers_notation(void **state)
{
	static const struct {
		const char *text;
		const char *seq;
	} good[] = {
		{ "ctrl-p,ctrl-q", "\x10\x11" },
		{ "ctrl-]", "\x1d" },
		{ "a,b,c", "abc" },
		{ "ctrl-a,x", "\x01x" },
		{ "ctrl-^,ctrl-_", "\x1e\x1f" },
	};
	static const char *const bad[] = {
		"ctrl-", "ctrl-P", "ab", "ctrl-pp", "ctrl-1", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"
	};
	struct keys k;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_ok(keys_parse(good[i].text, &k));
		assert_int_equal(k.n, strlen(good[i].seq));
		assert_memory_equal(k.seq, good[i].seq, k.n);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(keys_parse(bad[i], &k), ERR_INVALID);
}

/* Type @typed in pieces of @piece bytes; @ret_passed: what went through. Return: was it left? */
static bool type(const char *keys, const char *typed, size_t piece, char *ret_passed)
{
	struct keys k;
	size_t len = strlen(typed);

	*ret_passed = '\0';
	assert_ok(keys_parse(keys, &k));
	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece, out_len;
		unsigned char out[64 + KEYS_MAX];
		bool done = keys_filter(&k, (const unsigned char *)typed + at, n, out, &out_len);

		strncat(ret_passed, (char *)out, out_len);
		if (done)
			return true;
	}
	return false;
}

static void the_sequence_is_taken_out_wherever_it_is_cut(void **state)
{
	static const struct {
		const char *keys, *typed, *passed;
		bool leaves;
	} cases[] = {
		{ "ctrl-p,ctrl-q", "abc", "abc", false },
		{ "ctrl-p,ctrl-q", "ab\x10\x11", "ab", true },
		{ "ctrl-p,ctrl-q",
		  "a\x10"
		  "b",
		  "a\x10"
		  "b",
		  false },
		{ "ctrl-p,ctrl-q", "\x10\x10\x11", "\x10", true },
		{ "ctrl-p,ctrl-q", "a\x10", "a", false },
		{ "ctrl-]", "x\x1dy", "x", true },
		{ "a,b", "aab", "a", true },
		{ "a,b", "acab", "ac", true },
	};
	char passed[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t piece = 1; piece < 5; piece++) {
			bool left = type(cases[i].keys, cases[i].typed, piece, passed);

			assert_int_equal(left, cases[i].leaves);
			assert_string_equal(passed, cases[i].passed);
		}
}

static void without_keys_everything_passes(void **state)
{
	struct keys k = { 0 };
	unsigned char out[64];
	size_t len;

	assert_false(keys_filter(&k, (const unsigned char *)"\x10\x11\0z", 4, out, &len));
	assert_int_equal(len, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_read_in_dockers_notation),
		cmocka_unit_test(the_sequence_is_taken_out_wherever_it_is_cut),
		cmocka_unit_test(without_keys_everything_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
