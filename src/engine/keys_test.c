/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/keys.h"

#include "util/test.h"

static const struct {
	const char *text, *bytes; /* NULL: refused */
} cases[] = {
	{ NULL, "\x10\x11" },
	{ "", "\x10\x11" },
	{ "ctrl-p,ctrl-q", "\x10\x11" },
	{ "a", "a" },
	{ "ctrl-a,d", "\x01"
		      "d" },
	{ "ctrl-[", "\x1b" },
	{ "DEL", "\x7f" },
	{ "ctrl-]", "\x1d" },
	{ "ctrl-1", NULL },
	{ "abc", NULL },
	{ "a,", NULL },
	{ "ctrl-", NULL },
};

static void detach_keys_are_read_as_docker_writes_them(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[32] = { 0 };
		int n = keys_parse(cases[i].text, got, sizeof(got));

		if (!cases[i].bytes) {
			assert_int_equal(n, -1);
			continue;
		}
		assert_int_equal(n, strlen(cases[i].bytes));
		assert_string_equal(got, cases[i].bytes);
	}
}

static void more_keys_than_fit_are_refused(void **state)
{
	char got[2];

	assert_int_equal(keys_parse("a,b,c", got, sizeof(got)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detach_keys_are_read_as_docker_writes_them),
		cmocka_unit_test(more_keys_than_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
