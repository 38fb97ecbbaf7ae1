/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/health_rules.h"

#include "util/mem.h"
#include "util/test.h"

#define S INT64_C(1000000000)

static bool read_text(const char *text, struct health_rules *r)
{
	OWN(json) json_t *doc = NULL;

	assert_ok(jx_parse(text, strlen(text), &doc));
	return health_rules_read(doc, r);
}

static void tests_are_words_or_a_shell_line(void **state)
{
	static const struct {
		const char *doc, *want; /* NULL: nothing is checked */
	} cases[] = {
		{ "{\"Test\":[\"CMD\",\"a\",\"b c\"]}", "a|b c|" },
		{ "{\"Test\":[\"CMD-SHELL\",\"a && b\"]}", "/bin/sh|-c|a && b|" },
		{ "{\"Test\":[\"NONE\"]}", NULL },
		{ "{\"Test\":[\"CMD\"]}", NULL },
		{ "{\"Test\":[]}", NULL },
		{ "{\"Test\":[\"WHAT\",\"a\"]}", NULL },
		{ "{\"Interval\":5}", NULL },
		{ "{}", NULL },
	};

	(void)state;
	assert_false(health_rules_read(NULL, &(struct health_rules) { 0 }));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct health_rules r = { 0 };
		OWN(str) struct str got = { 0 };

		assert_int_equal(read_text(cases[i].doc, &r), cases[i].want != NULL);
		for (size_t n = 0; n < r.cmd.n; n++)
			str_addf(&got, "%s|", r.cmd.v[n]);
		if (cases[i].want)
			assert_string_equal(got.buf, cases[i].want);
		strv_done(&r.cmd);
	}
}

static void what_is_not_said_is_as_docker_has_it(void **state)
{
	struct health_rules r = { 0 };

	(void)state;
	assert_true(read_text("{\"Test\":[\"CMD\",\"a\"],\"Retries\":0,\"Interval\":-5}", &r));
	assert_int_equal(r.interval_ns, 30 * S);
	assert_int_equal(r.timeout_ns, 30 * S);
	assert_int_equal(r.start_period_ns, 0);
	assert_int_equal(r.start_interval_ns, 5 * S);
	assert_int_equal(r.retries, 3);
	strv_done(&r.cmd);
}

static void failures_count_in_a_row_and_not_while_it_starts(void **state)
{
	const struct health_rules r = { .start_period_ns = 10 * S, .retries = 2 };
	static const struct {
		int code;
		int64_t at_s;
		enum health_state want;
		int streak;
	} cases[] = {
		{ 1, 1, HEALTH_STARTING, 0 },    { 1, 9, HEALTH_STARTING, 0 },
		{ 1, 10, HEALTH_STARTING, 1 },   { 1, 11, HEALTH_UNHEALTHY, 2 },
		{ -1, 12, HEALTH_UNHEALTHY, 3 }, { 0, 13, HEALTH_HEALTHY, 0 },
		{ 3, 14, HEALTH_HEALTHY, 1 },    { 0, 15, HEALTH_HEALTHY, 0 },
		{ 3, 16, HEALTH_HEALTHY, 1 },    { 3, 17, HEALTH_UNHEALTHY, 2 },
	};
	enum health_state is = HEALTH_STARTING;
	int streak = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		is = health_next(&r, is, cases[i].code, cases[i].at_s * S, &streak);
		assert_int_equal(is, cases[i].want);
		assert_int_equal(streak, cases[i].streak);
	}
	/* Healthy once, it is no longer starting, however young. */
	is = health_next(&r, HEALTH_STARTING, 0, 1 * S, &streak);
	assert_int_equal(health_next(&r, is, 1, 2 * S, &streak), HEALTH_HEALTHY);
	assert_int_equal(streak, 1);
}

static void it_is_asked_more_often_while_it_starts(void **state)
{
	const struct health_rules r = { .interval_ns = 30 * S,
					.start_interval_ns = 2 * S,
					.start_period_ns = 10 * S };

	(void)state;
	assert_int_equal(health_delay_ns(&r, HEALTH_STARTING, 3 * S), 2 * S);
	assert_int_equal(health_delay_ns(&r, HEALTH_STARTING, 10 * S), 30 * S);
	assert_int_equal(health_delay_ns(&r, HEALTH_HEALTHY, 3 * S), 30 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tests_are_words_or_a_shell_line),
		cmocka_unit_test(what_is_not_said_is_as_docker_has_it),
		cmocka_unit_test(failures_count_in_a_row_and_not_while_it_starts),
		cmocka_unit_test(it_is_asked_more_often_while_it_starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
