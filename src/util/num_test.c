/* SPDX-License-Identifier: Apache-2.0 */
#include "util/num.h"

#include "util/test.h"

static void sizes_are_read_as_docker_reads_them(void **state)
{
	static const struct {
		const char *text;
		int64_t want; /* -1: refused */
	} cases[] = {
		{ "0", 0 },
		{ "1024", 1024 },
		{ "512m", 512 << 20 },
		{ "1g", 1LL << 30 },
		{ "1.5G", 3LL << 29 },
		{ "10KiB", 10240 },
		{ "2 kb", 2048 },
		{ "7b", 7 },
		{ "", -1 },
		{ "m", -1 },
		{ "-1", -1 },
		{ "1x", -1 },
		{ "1gg", -1 },
		{ "99999999999999999999t", -1 },
		{ "9e9", -1 },
		{ "0x10", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t v = -1;
		OWN(err) struct err *e = num_parse_bytes(cases[i].text, &v);

		assert_int_equal(v, cases[i].want);
		assert_int_equal(e == NULL, cases[i].want >= 0);
	}
}

static void durations_are_sums_of_numbers_with_units(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{ "10", 10000000000 },
		{ "50ms", 50000000 },
		{ "1h30m", 5400000000000 },
		{ "1.5s", 1500000000 },
		{ "", -1 },
		{ "5x", -1 },
		{ "ms", -1 },
		{ "-1s", -1 },
		{ "99999999999d", -1 },
		{ "210217710217777777777770", -1 },
		{ "210217710217777777777770d", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t v = -1;
		OWN(err) struct err *e = num_parse_duration(cases[i].text, &v);

		assert_int_equal(v, cases[i].want);
		assert_int_equal(e == NULL, cases[i].want >= 0);
	}
}

static void cpus_are_thousandths(void **state)
{
	int64_t v = 0;

	(void)state;
	assert_ok(num_parse_milli("0.5", &v));
	assert_int_equal(v, 500);
	assert_ok(num_parse_milli("2", &v));
	assert_int_equal(v, 2000);
	assert_err(num_parse_milli("2x", &v), ERR_INVALID);
	assert_err(num_parse_milli("", &v), ERR_INVALID);
}

static void lists_are_read_as_the_kernel_writes_them(void **state)
{
	static const char *const bad[] = { "",
					   ",",
					   "1,",
					   "a",
					   "3-1",
					   "-1",
					   "0-",
					   "128",
					   "0-128",
					   "1 2",
					   "0-99999999999999999999" };
	uint64_t bits[2];

	(void)state;
	assert_ok(num_parse_list("0-3,7,127", bits, 2));
	assert_int_equal(bits[0], 0x8f);
	assert_int_equal(bits[1], 1ULL << 63);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(num_parse_list(bad[i], bits, 2), ERR_INVALID);
}

static void sizes_for_people_are_short(void **state)
{
	char buf[24];

	(void)state;
	assert_string_equal(num_bytes_text(12, buf), "12 B");
	assert_string_equal(num_bytes_text(256 << 20, buf), "256 MiB");
	assert_string_equal(num_bytes_text(3LL << 29, buf), "1.5 GiB");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_as_docker_reads_them),
		cmocka_unit_test(durations_are_sums_of_numbers_with_units),
		cmocka_unit_test(cpus_are_thousandths),
		cmocka_unit_test(lists_are_read_as_the_kernel_writes_them),
		cmocka_unit_test(sizes_for_people_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
