/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/keys.h"

#include "util/test.h"

/* Feeds @parts (separated by '|') one after the other; the result as "bytes that passed",
 * with '!' at the end when the keys came. */
static void feed(const char *keys, const char *parts, char *ret)
{
	struct keys k = { .len = (uint8_t)strlen(keys) };
	size_t used = 0;
	bool detached = false;

	memcpy(k.keys, keys, strlen(keys));
	for (const char *p = parts; *p && !detached;) {
		size_t len = strcspn(p, "|"), n = 0;

		detached = keys_feed(&k, p, len, ret + used, &n);
		used += n;
		p += len + (p[len] == '|');
	}
	if (!detached)
		used += keys_flush(&k, ret + used);
	strcpy(ret + used, detached ? "!" : "");
}

static void the_sequence_is_found_wherever_the_input_is_cut(void **state)
{
	static const struct {
		const char *keys, *parts, *want;
	} cases[] = {
		{ "pq", "pq", "!" },
		{ "pq", "p|q", "!" },
		{ "pq", "abc|p|qrest", "abc!" },
		{ "pq", "pxq", "pxq" },
		{ "pq", "p|p|q", "p!" },
		{ "pq", "ppppq", "ppp!" },
		{ "pq", "p", "p" }, /* the end of input gives the held byte back */
		{ "aab", "aaab", "a!" },
		{ "aab", "a|a|a|a|c|aab", "aaaac!" },
		{ "abab", "abaabab", "aba!" },
		{ "abac", "ababac", "ab!" },
		{ "x", "wx", "w!" },
		{ "", "pq\x10\x11", "pq\x10\x11" },
		{ "\x10\x11", "a\x10|\x11", "a!" },
	};
	char got[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		feed(cases[i].keys, cases[i].parts, got);
		assert_string_equal(got, cases[i].want);
	}
}

static void nothing_that_passes_is_changed(void **state)
{
	struct keys k = { .keys = "aba", .len = 3 };
	char in[4096], out[4096 + SHIM_KEYS_MAX];
	size_t n, total = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (i / 3) % 2 ? 'a' : 'b'; /* bbbaaabbb: beginnings, never the whole */
	for (size_t i = 0; i < sizeof(in); i += 7) {
		size_t len = sizeof(in) - i < 7 ? sizeof(in) - i : 7;

		assert_false(keys_feed(&k, in + i, len, out + total, &n));
		total += n;
	}
	total += keys_flush(&k, out + total);
	assert_int_equal(total, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sequence_is_found_wherever_the_input_is_cut),
		cmocka_unit_test(nothing_that_passes_is_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
