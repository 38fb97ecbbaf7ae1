/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/estimate.h"

#include "util/mem.h"
#include "util/test.h"

#define SEC  1000000000LL
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)

/* Silberschatz, Galvin, Gagne, 10th ed., figure 5.4: alpha 1/2, tau 10. */
static void the_average_follows_the_book(void **state)
{
	static const double runs[] = { 6, 4, 6, 4, 13, 13, 13 };
	static const double guesses[] = { 8, 6, 6, 5, 9, 11, 12 };
	double tau = 10;

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		tau = estimate_average(0.5, tau, runs[i]);
		assert_true(tau == guesses[i]);
	}
}

/* Tanenbaum, Bos, 4th ed., problem 2.47: a = 1/2, runs of 40, 20, 40 and 15 ms: 25 ms. */
static void aging_predicts_25_ms(void **state)
{
	OWN(estimator) struct estimator *e = estimator_new(&(struct estimator_config) { 0 });
	struct estimate_of of = { .command = 7, .user = ESTIMATE_NOBODY };
	static const int64_t runs[] = { 40, 20, 40, 15 };
	struct estimate got;
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		estimator_ended(e, of, runs[i] * 1000000);
	got = estimator_guess(e, ESTIMATE_LEARNED, of, 0);
	assert_int_equal(got.ns, 25 * 1000000);
	assert_string_equal(estimate_source_text(&got, buf), "average of 4 runs of this command");
}

static void what_was_given_goes_before_what_was_learned(void **state)
{
	OWN(estimator) struct estimator *e = estimator_new(&(struct estimator_config) { 0 });
	struct estimate_of of = { .command = 1, .user = 2 }, other = { .command = 3, .user = 2 };
	struct estimate got;

	got = estimator_guess(e, ESTIMATE_LEARNED, of, 0);
	assert_int_equal(got.source, FROM_NOTHING);
	assert_int_equal(got.ns, 0);
	estimator_ended(e, of, 10 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_LEARNED, of, 0).ns, 10 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_LEARNED, of, 5 * SEC).source, FROM_GIVEN);
	assert_int_equal(estimator_guess(e, ESTIMATE_GIVEN, of, 0).ns, 0);
	/* Another command of the same user: only his last two can say anything. */
	assert_int_equal(estimator_guess(e, ESTIMATE_LEARNED, other, 0).ns, 0);
	estimator_ended(e, of, 20 * SEC);
	got = estimator_guess(e, ESTIMATE_LEARNED, other, 0);
	assert_int_equal(got.source, FROM_LAST_TWO);
	assert_int_equal(got.ns, 15 * SEC);
}

static void tsafrir_takes_the_last_two_cut_to_seconds_and_never_more_than_given(void **state)
{
	OWN(estimator)
	struct estimator *e = estimator_new(&(struct estimator_config) { .unit_ns = SEC });
	struct estimate_of of = { .command = ESTIMATE_NOBODY, .user = 9 };

	estimator_ended(e, of, 100 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_TSAFRIR, of, 60 * SEC).ns, 60 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_TSAFRIR, of, 60 * SEC).source, FROM_GIVEN);
	estimator_ended(e, of, 7 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_TSAFRIR, of, 60 * SEC).ns, 53 * SEC);
	estimator_ended(e, of, 300 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_TSAFRIR, of, 60 * SEC).ns, 60 * SEC);
	assert_int_equal(estimator_guess(e, ESTIMATE_TSAFRIR, of, 0).ns, 153 * SEC);
}

static void an_outlived_estimate_rises_in_steps(void **state)
{
	static const struct {
		int64_t first, ran, given, want;
	} cases[] = {
		{ 10 * SEC, 10 * SEC, 0, 10 * SEC + MIN },
		{ 10 * SEC, 10 * SEC + MIN, 0, 10 * SEC + 5 * MIN },
		{ 10 * SEC, 10 * SEC + 5 * MIN, 0, 10 * SEC + 15 * MIN },
		{ 10 * SEC, 10 * SEC + 15 * MIN, 0, 10 * SEC + 30 * MIN },
		{ 10 * SEC, 10 * SEC + 30 * MIN, 0, 10 * SEC + HOUR },
		{ 10 * SEC, 10 * SEC + 50 * HOUR, 0, 10 * SEC + 100 * HOUR },
		{ 10 * SEC, 10 * SEC + 100 * HOUR, 0, 10 * SEC + 200 * HOUR },
		{ 10 * SEC, 10 * SEC + 207 * HOUR, 0, 10 * SEC + 300 * HOUR },
		/* Never above what was given … */
		{ 10 * SEC, 10 * SEC, 40 * SEC, 40 * SEC },
		/* … until that is outlived too. */
		{ 40 * SEC, 40 * SEC, 40 * SEC, 40 * SEC + MIN },
		/* A pass that came late skips steps. */
		{ 10 * SEC, 20 * MIN, 0, 10 * SEC + 30 * MIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(estimate_raise(cases[i].first, cases[i].ran, cases[i].given),
				 cases[i].want);
}

static void commands_are_told_apart_by_image_and_every_argument(void **state)
{
	static const char *const ab_c[] = { "ab", "c", NULL }, *const a_bc[] = { "a", "bc", NULL };

	assert_true(estimate_command("i", ab_c) != estimate_command("i", a_bc));
	assert_true(estimate_command("i", ab_c) != estimate_command("j", ab_c));
	assert_true(estimate_command("i", ab_c) == estimate_command("i", ab_c));
	assert_true(estimate_command("i", NULL) != estimate_command("i", ab_c));
}

static void thousands_of_commands_keep_their_own_averages(void **state)
{
	OWN(estimator) struct estimator *e = estimator_new(&(struct estimator_config) { 0 });

	for (uint64_t i = 0; i < 5000; i++)
		estimator_ended(e, (struct estimate_of) { i * 4096, i }, (int64_t)i + 1);
	for (uint64_t i = 0; i < 5000; i++)
		assert_int_equal(
		    estimator_guess(e, ESTIMATE_LEARNED, (struct estimate_of) { i * 4096, i }, 0)
			.ns,
		    i + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_average_follows_the_book),
		cmocka_unit_test(aging_predicts_25_ms),
		cmocka_unit_test(what_was_given_goes_before_what_was_learned),
		cmocka_unit_test(
		    tsafrir_takes_the_last_two_cut_to_seconds_and_never_more_than_given),
		cmocka_unit_test(an_outlived_estimate_rises_in_steps),
		cmocka_unit_test(commands_are_told_apart_by_image_and_every_argument),
		cmocka_unit_test(thousands_of_commands_keep_their_own_averages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
