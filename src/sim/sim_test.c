/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "sim/heap.h"
#include "sim/lines.h"
#include "sim/load.h"
#include "sim/result.h"
#include "sim/rng.h"
#include "util/mem.h"
#include "util/test.h"

struct input {
	const char *data;
	size_t left, cut;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;
	size_t n = in->left < size ? in->left : size;

	n = n > in->cut ? in->cut : n;
	memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	*ret_n = n;
	return NULL;
}

static void lines_are_whole_however_the_source_cuts_them(void **state)
{
	static const char text[] = "one\n\nthree 3\nlast";
	static const char *const want[] = { "one", "", "three 3", "last" };

	(void)state;
	for (size_t cut = 1; cut < sizeof(text); cut++) {
		struct input in = { text, sizeof(text) - 1, cut };
		OWN(lines) struct lines l = { 0 };
		char *line, *end;

		lines_init(&l, (struct source) { take, &in });
		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			assert_ok(lines_next(&l, &line, &end));
			assert_non_null(line);
			assert_int_equal(end - line, strlen(want[i]));
			assert_memory_equal(line, want[i], strlen(want[i]));
			assert_int_equal(*end, '\n');
			assert_int_equal(l.number, i + 1);
		}
		assert_ok(lines_next(&l, &line, &end));
		assert_null(line);
	}
}

static void numbers_are_read_exactly_or_refused(void **state)
{
	static const struct {
		const char *text;
		int64_t scale, want;
		int used; /* -1: refused */
	} cases[] = {
		{ "12 ", 1, 12, 2 },
		{ "-1\n", 1, -1, 2 },
		{ "+7\n", 1, 7, 2 },
		{ "1.5 ", 1000000000, 1500000000, 3 },
		{ "-.25,", 1000, -250, 4 },
		{ "3. ", 1000, 3000, 2 },
		{ "1.23456 ", 1000, 1234, 7 },
		{ "999999999999999999 ", 1, 999999999999999999, 18 },
		{ "1000000000000000000 ", 1, 0, -1 },
		{ "2305843010 ", 1000000000, 0, -1 },
		{ "2305843009 ", 1000000000, 2305843009000000000, 10 },
		{ "x", 1, 0, -1 },
		{ "-", 1, 0, -1 },
		{ ".", 1, 0, -1 },
		{ "", 1, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t n = 0;
		const char *end = scan_decimal(cases[i].text, cases[i].scale, &n);

		assert_int_equal(end ? (int)(end - cases[i].text) : -1, cases[i].used);
		assert_int_equal(n, cases[i].want);
	}
}

static void logarithm_and_exponential_are_those_of_libm(void **state)
{
	(void)state;
	for (double x = 1e-12; x < 1e12; x *= 1.37) {
		assert_true(fabs(det_log(x) - log(x)) <= 4e-15 * (1 + fabs(log(x))));
		assert_true(fabs(det_exp(log(x)) / x - 1) < 1e-13);
	}
}

/* These numbers must never change: loads are named by their seed. */
static void the_generator_gives_the_same_numbers_everywhere(void **state)
{
	static const uint64_t want[] = { 0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514,
					 0x642e1c7bc266a3a7 };
	struct rng r;

	(void)state;
	rng_seed(&r, 1);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_true(rng_next(&r) == want[i]);
}

static void distributions_have_their_moments(void **state)
{
	double e = 0, e2 = 0, g = 0, g2 = 0;
	int n = 200000;
	struct rng r;

	(void)state;
	rng_seed(&r, 7);
	for (int i = 0; i < n; i++) {
		double x = rng_exponential(&r), y = rng_gamma(&r, 4.2, 0.94);

		e += x / n;
		e2 += x * x / n;
		g += y / n;
		g2 += y * y / n;
	}
	/* Mean and variance 1; a * b and a * b^2; within five standard errors */
	assert_true(fabs(e - 1) < 5 / sqrt(n) && fabs(e2 - 2) < 5 * sqrt(20.0 / n));
	assert_true(fabs(g - 4.2 * 0.94) < 5 * sqrt(4.2) * 0.94 / sqrt(n));
	assert_true(fabs(g2 - g * g - 4.2 * 0.94 * 0.94) < 0.1);
}

static void events_come_by_time_then_kind_then_order(void **state)
{
	struct heap h = { 0 };
	struct event last = { .at_ns = -1 };
	struct rng r;

	(void)state;
	rng_seed(&r, 3);
	for (uint32_t i = 0; i < 1000; i++)
		heap_add(&h, (int64_t)rng_below(&r, 20), (enum event_kind)rng_below(&r, 3), i, 0);
	while (h.n) {
		struct event e = heap_take(&h);

		assert_true(e.at_ns > last.at_ns ||
			    (e.at_ns == last.at_ns && e.order > last.order));
		last = e;
	}
	heap_done(&h);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void percentiles_are_nearest_rank(void **state)
{
	struct rng r;

	(void)state;
	rng_seed(&r, 5);
	for (size_t n = 1; n < 300; n++) {
		OWN(sim_trace) struct sim_trace t = { 0 };
		struct sim_result got = { 0 };
		double *sorted = xcalloc(n, sizeof(*sorted));

		for (size_t i = 0; i < n; i++) {
			struct sim_job j = { .run_ns = SIM_SECOND, .cpu_milli = 1000 };

			/* Few values, so that many are equal */
			j.end_ns = (int64_t)(1 + rng_below(&r, 1 + n / 3)) * SIM_SECOND;
			sorted[i] = (double)(j.end_ns / SIM_SECOND - 1);
			sim_trace_add(&t, &j, NULL);
		}
		sim_trace_settle(&t);
		sim_result_sum(&t, 1000, &got);
		qsort(sorted, n, sizeof(*sorted), ascending);
		assert_true(got.wait_s.median == sorted[(n * 50 + 99) / 100 - 1]);
		assert_true(got.wait_s.p95 == sorted[(n * 95 + 99) / 100 - 1]);
		assert_true(got.wait_s.p99 == sorted[(n * 99 + 99) / 100 - 1]);
		assert_true(got.wait_s.max == sorted[n - 1]);
		free(sorted);
	}
}

static void jobs_out_of_order_are_sorted_and_keep_their_order_at_one_instant(void **state)
{
	static const int64_t submits[] = { 5, 3, 5, 0, 3 };
	static const uint32_t want[] = { 4, 2, 5, 1, 3 };
	OWN(sim_trace) struct sim_trace t = { 0 };

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(submits); i++) {
		struct sim_job j = { .submit_ns = submits[i], .number = i + 1, .user = 1000 + i };
		struct sim_more more = { .memory_bytes = i + 1 };

		sim_trace_add(&t, &j, &more);
	}
	sim_trace_settle(&t);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(t.jobs[i].number, want[i]);
		assert_int_equal(t.more[i].memory_bytes, want[i]);
		assert_int_equal(t.users.numbers[t.jobs[i].user], 999 + want[i]);
	}
}

static void a_load_that_is_none_or_too_long_is_refused(void **state)
{
	static const char *const loads[] = { "poisson:rate=x",
					     "poisson:procs=4",
					     "lublin:rate=1",
					     "poisson:jobs=0",
					     "poisson:jobs=1.5",
					     "poisson:rate",
					     "poisson:rate=0.000001,jobs=5000" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		OWN(sim_trace) struct sim_trace t = { 0 };

		assert_err(sim_load_make(loads[i], 1, &t), ERR_INVALID);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_whole_however_the_source_cuts_them),
		cmocka_unit_test(numbers_are_read_exactly_or_refused),
		cmocka_unit_test(logarithm_and_exponential_are_those_of_libm),
		cmocka_unit_test(the_generator_gives_the_same_numbers_everywhere),
		cmocka_unit_test(distributions_have_their_moments),
		cmocka_unit_test(events_come_by_time_then_kind_then_order),
		cmocka_unit_test(percentiles_are_nearest_rank),
		cmocka_unit_test(jobs_out_of_order_are_sorted_and_keep_their_order_at_one_instant),
		cmocka_unit_test(a_load_that_is_none_or_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
