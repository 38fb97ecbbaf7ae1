/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/restart.h"

#include "engine/names.h"
#include "util/mem.h"
#include "util/test.h"

static const struct {
	struct restart_case c;
	bool want;
} cases[] = {
	{ { .policy = RESTART_NO, .exit_code = 1 }, false },
	{ { .policy = RESTART_ON_FAILURE, .exit_code = 0 }, false },
	{ { .policy = RESTART_ON_FAILURE, .exit_code = 1 }, true },
	{ { .policy = RESTART_ON_FAILURE, .exit_code = 1, .max = 3, .count = 2 }, true },
	{ { .policy = RESTART_ON_FAILURE, .exit_code = 1, .max = 3, .count = 3 }, false },
	{ { .policy = RESTART_ON_FAILURE, .exit_code = 137, .stopped_by_user = true }, false },
	{ { .policy = RESTART_ALWAYS, .exit_code = 0 }, true },
	{ { .policy = RESTART_ALWAYS, .stopped_by_user = true }, false },
	{ { .policy = RESTART_ALWAYS, .stopped_by_user = true, .at_boot = true }, true },
	{ { .policy = RESTART_UNLESS_STOPPED, .exit_code = 0 }, true },
	{ { .policy = RESTART_UNLESS_STOPPED, .stopped_by_user = true, .at_boot = true }, false },
};

static void each_policy_restarts_what_it_says(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(restart_wanted(&cases[i].c), cases[i].want);
}

static void the_delay_doubles_to_a_minute_and_falls_back_after_a_good_run(void **state)
{
	int64_t d = restart_delay_ns(0, 0);

	assert_int_equal(d, RESTART_FIRST_NS);
	assert_int_equal(restart_delay_ns(d, 0), 2 * RESTART_FIRST_NS);
	for (int i = 0; i < 20; i++)
		d = restart_delay_ns(d, 0);
	assert_int_equal(d, RESTART_MAX_NS);
	assert_int_equal(restart_delay_ns(d, RESTART_GOOD_NS), RESTART_FIRST_NS);
}

static void a_generated_name_is_a_valid_one_and_gets_a_number_when_taken(void **state)
{
	for (uint64_t r = 1; r < 1000; r++) {
		OWN(mem) char *name = name_make(r * 0x9e3779b97f4a7c15ULL, (unsigned)(r % 3));

		assert_null(spec_check_name(name));
	}
	OWN(mem) char *plain = name_make(77ULL << 32, 0);
	OWN(mem) char *numbered = name_make(77ULL << 32, 1);

	assert_int_equal(strncmp(plain, numbered, strlen(plain)), 0);
	assert_int_equal(strlen(numbered), strlen(plain) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_policy_restarts_what_it_says),
		cmocka_unit_test(the_delay_doubles_to_a_minute_and_falls_back_after_a_good_run),
		cmocka_unit_test(a_generated_name_is_a_valid_one_and_gets_a_number_when_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
