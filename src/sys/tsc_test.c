/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/tsc.h"

#include <time.h>

#include "util/test.h"

static void a_rate_is_ticks_over_time(void **state)
{
	static const struct {
		struct tsc_sample from, to;
		int64_t want;
	} cases[] = {
		{ { 1000, 0 }, { 20960226000 + 1000, 10000000000 }, 2096023 },
		{ { 5, 7 }, { 5 + 20000000, 7 + TSC_SPAN_MIN_NS }, 4000000 },
		{ { 5, 7 }, { 5 + 20000000, 7 + TSC_SPAN_MIN_NS - 1 }, 0 }, /* too close */
		{ { 9, 0 }, { 9, 1000000000 }, 0 },                         /* no counter */
		{ { 9, 0 }, { 5, 1000000000 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(tsc_khz(&cases[i].from, &cases[i].to), cases[i].want);
}

static void two_measurements_agree(void **state)
{
	const struct timespec wait = { .tv_nsec = 20000000 };
	struct tsc_sample s[3];
	int64_t a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		s[i] = tsc_sample();
		nanosleep(&wait, NULL);
	}
	a = tsc_khz(&s[0], &s[1]);
	b = tsc_khz(&s[1], &s[2]);
	assert_int_equal(a == 0, b == 0);
	assert_in_range(a * 1000, b * 999, b * 1001); /* 0.1 % */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_is_ticks_over_time),
		cmocka_unit_test(two_measurements_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
