/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/account.h"

#include "util/test.h"

#define S 1000000000LL

static void waiting_is_turnaround_without_running_and_pause(void **state)
{
	struct account a = { .arrival_ns = 10 * S,
			     .admission_ns = 14 * S,
			     .start_ns = 15 * S,
			     .finish_ns = 45 * S,
			     .paused_ns = 5 * S,
			     .sliced_ns = 3 * S };

	(void)state;
	assert_int_equal(account_turnaround_ns(&a, 0), 35 * S);
	assert_int_equal(account_run_ns(&a, 0), 22 * S);
	assert_int_equal(account_wait_ns(&a, 0), 8 * S); /* 5 before the start, 3 sliced out */
}

static void what_never_started_only_waits(void **state)
{
	struct account a = { .arrival_ns = 10 * S };

	(void)state;
	assert_int_equal(account_run_ns(&a, 30 * S), 0);
	assert_int_equal(account_wait_ns(&a, 30 * S), 20 * S);
}

/* Silberschatz: bursts 24, 3, 3 s arriving together, FCFS: waits 0, 24, 27, mean 17. */
static void the_textbook_s_fcfs_example_gives_its_numbers(void **state)
{
	struct account a[] = {
		{ .arrival_ns = S, .start_ns = S, .finish_ns = 25 * S },
		{ .arrival_ns = S, .start_ns = 25 * S, .finish_ns = 28 * S },
		{ .arrival_ns = S, .start_ns = 28 * S, .finish_ns = 31 * S },
	};
	struct account_sums s = account_sum(a, 3, 0);

	(void)state;
	assert_int_equal(s.mean_wait_ns, 17 * S);
	assert_int_equal(s.total_run_ns, 30 * S);
	assert_int_equal(s.total_wait_ns, 51 * S);
	assert_int_equal(s.median_wait_ns, 24 * S);
	assert_int_equal(s.max_wait_ns, 27 * S);
	assert_int_equal(s.makespan_ns, 30 * S);
	assert_int_equal(s.running, 0);
}

static void slowdown_is_bounded_by_ten_seconds(void **state)
{
	struct account quick = { .arrival_ns = S, .start_ns = 2 * S, .finish_ns = 3 * S };
	struct account slow = { .arrival_ns = S, .start_ns = 21 * S, .finish_ns = 41 * S };

	(void)state;
	assert_true(account_bounded_slowdown(&quick, 0) == 1.0);
	assert_true(account_bounded_slowdown(&slow, 0) == 2.0);
}

static void slowdown_is_turnaround_over_running_and_of_those_that_ran(void **state)
{
	struct account a[] = {
		{ .arrival_ns = S, .start_ns = 2 * S, .finish_ns = 3 * S },             /* 2 */
		{ .arrival_ns = S, .start_ns = S, .finish_ns = 3 * S, .paused_ns = S }, /* 1 */
		{ .arrival_ns = S, .finish_ns = 3 * S }, /* never ran */
	};
	struct account_sums s = account_sum(a, 3, 0);

	(void)state;
	assert_true(account_slowdown(&a[0], 0) == 2.0);
	assert_true(account_slowdown(&a[2], 0) == 0.0);
	assert_true(s.mean_slowdown == 1.5);
	assert_true(s.median_slowdown == 1.0);
	assert_true(s.max_slowdown == 2.0);
}

static void percentiles_are_nearest_rank(void **state)
{
	struct account a[200];
	struct account_sums s;

	(void)state;
	for (int i = 0; i < 200; i++)
		a[i] = (struct account) { .arrival_ns = S,
					  .start_ns = S + (200 - i) * S,
					  .finish_ns = S + (200 - i) * S + S };
	s = account_sum(a, 200, 0);
	assert_int_equal(s.median_wait_ns, 100 * S);
	assert_int_equal(s.p95_wait_ns, 190 * S);
	assert_int_equal(s.p99_wait_ns, 198 * S);
	assert_int_equal(s.max_turnaround_ns, 201 * S);
}

static void use_is_what_was_held_within_the_window(void **state)
{
	struct account a = { .arrival_ns = S,
			     .admission_ns = 10 * S,
			     .start_ns = 11 * S,
			     .finish_ns = 30 * S,
			     .sliced_ns = 5 * S,
			     .cpu_milli = 2000,
			     .memory_bytes = 100 };
	static const struct {
		int64_t from, to, now;
		double cpu, memory;
	} cases[] = {
		{ 0, 100, 0, 2000 * 15, 100 * 20 },
		{ 20, 100, 0, 2000 * 7.5, 100 * 10 },
		{ 0, 5, 0, 0, 0 },
		{ 40, 50, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct account_use u = { 0 };

		account_use_add(&u, &a, cases[i].from * S, cases[i].to * S, cases[i].now);
		assert_true(u.cpu_milli_s == cases[i].cpu);
		assert_true(u.memory_byte_s == cases[i].memory);
	}
}

static void days_are_local_and_go_below_the_epoch(void **state)
{
	static const struct {
		int64_t s, offset, day;
	} cases[] = {
		{ 0, 0, 0 },   { 86399, 0, 0 },  { 86400, 0, 1 },   { 82800, 3600, 1 },
		{ -1, 0, -1 }, { 0, -3600, -1 }, { -86400, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(account_day(cases[i].s * S, cases[i].offset), cases[i].day);
}

static void every_field_of_the_sums_has_its_name_once(void **state)
{
	(void)state;
	for (const struct account_field *f = account_fields; f->name; f++)
		for (const struct account_field *g = account_fields; g != f; g++) {
			assert_string_not_equal(f->name, g->name);
			assert_int_not_equal(f->offset, g->offset);
		}
}

static void no_record_gives_zero_sums(void **state)
{
	struct account_sums s = account_sum(NULL, 0, 5);

	(void)state;
	assert_int_equal(s.n, 0);
	assert_int_equal(s.total_wait_ns, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_is_turnaround_without_running_and_pause),
		cmocka_unit_test(what_never_started_only_waits),
		cmocka_unit_test(the_textbook_s_fcfs_example_gives_its_numbers),
		cmocka_unit_test(slowdown_is_bounded_by_ten_seconds),
		cmocka_unit_test(slowdown_is_turnaround_over_running_and_of_those_that_ran),
		cmocka_unit_test(percentiles_are_nearest_rank),
		cmocka_unit_test(use_is_what_was_held_within_the_window),
		cmocka_unit_test(days_are_local_and_go_below_the_epoch),
		cmocka_unit_test(every_field_of_the_sums_has_its_name_once),
		cmocka_unit_test(no_record_gives_zero_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
