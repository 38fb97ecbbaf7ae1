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
		cmocka_unit_test(no_record_gives_zero_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
