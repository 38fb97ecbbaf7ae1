/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/caps.h"

#include "util/test.h"

static void every_name_is_found_again_in_any_form(void **state)
{
	(void)state;
	for (int i = 0; i < CAPS_COUNT; i++) {
		assert_non_null(caps_name(i));
		assert_int_equal(caps_parse(caps_name(i)), i);
		assert_int_equal(caps_parse(caps_name(i) + 4), i);
	}
	assert_int_equal(caps_parse("cap_net_admin"), 12);
	assert_int_equal(caps_parse("Net_Admin"), 12);
}

static void what_is_no_name_is_told(void **state)
{
	(void)state;
	assert_int_equal(caps_parse("CAP_"), -1);
	assert_int_equal(caps_parse(""), -1);
	assert_int_equal(caps_parse("CAP_NET"), -1);
	assert_int_equal(caps_parse("CAP_CAP_CHOWN"), -1);
	assert_null(caps_name(-1));
	assert_null(caps_name(CAPS_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found_again_in_any_form),
		cmocka_unit_test(what_is_no_name_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
