/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <time.h>

#include "util/test.h"

#define S INT64_C(1000000000)

static void times_are_written_as_docker_does(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0001-01-01T00:00:00Z" },
		{ 1, "1970-01-01T00:00:00.000000001Z" },
		{ -1, "1969-12-31T23:59:59.999999999Z" },
		{ 951782399 * S, "2000-02-28T23:59:59.000000000Z" },
		{ 951782400 * S, "2000-02-29T00:00:00.000000000Z" },
		{ 1767323045 * S + 6, "2026-01-02T03:04:05.000000006Z" },
		{ 4107542400 * S, "2100-03-01T00:00:00.000000000Z" }, /* no leap year */
		{ INT64_MAX, "2262-04-11T23:47:16.854775807Z" },
	};
	char buf[36];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(clock_rfc3339(cases[i].ns, buf), cases[i].text);
}

static void every_day_is_the_c_library_s_and_can_be_read_back(void **state)
{
	char mine[36], theirs[64];

	(void)state;
	for (int64_t day = -100000; day < 100000; day += 1) {
		time_t s = day * 86400 + 3661;
		struct tm tm;
		int64_t back = 0;

		gmtime_r(&s, &tm);
		strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%S.000000000Z", &tm);
		assert_string_equal(clock_rfc3339(s * S, mine), theirs);
		assert_true(clock_parse_rfc3339(mine, &back));
		assert_int_equal(back, s * S);
	}
}

static void times_of_others_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T00:00:01.5Z", S + S / 2 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T18:30:00.000000001-05:30", 1 },
		{ "2026-01-02 03:04:05z", 1767323045 * S },
	};
	static const char *const bad[] = {
		"",
		"2026",
		"2026-01-02",
		"2026-01-02T03:04",
		"2026-01-02T03:04:05",
		"2026-13-02T03:04:05Z",
		"2026-00-02T03:04:05Z",
		"2026-01-32T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05.1234567890Z",
		"2026-01-02T03:04:05Zx",
		"2026-01-02T03:04:05+1",
		"2026-01-02T03:04:05+01:0",
		"0000-01-02T03:04:05Z",
		"26-01-02T03:04:05Z",
	};
	int64_t ns = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(clock_parse_rfc3339(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
	}
	ns = 42;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (clock_parse_rfc3339(bad[i], &ns))
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(ns, 42);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_as_docker_does),
		cmocka_unit_test(every_day_is_the_c_library_s_and_can_be_read_back),
		cmocka_unit_test(times_of_others_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
