/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice.h"

#include "sched/rig.h"
#include "util/mem.h"
#include "util/test.h"

#define MOST 8

struct job {
	int64_t arrival, burst;
	int32_t priority;
};

/*
 * One cpu, times in whole units, as the book prints them; finish times where the book gives
 * them (or follow from its Gantt chart), else the sum of waits.
 */
struct textbook {
	const char *source;
	const char *policy;
	int64_t quantum;
	bool same_quantum, stays_alone;
	unsigned levels;
	size_t n;
	struct job jobs[MOST];
	int64_t finish[MOST]; /* 0: not given */
	int64_t sum_wait;     /* 0: not given */
};

#define SILBERSCHATZ_RR                                                                            \
	{                                                                                          \
		{ 0, 24 }, { 0, 3 },                                                               \
		{                                                                                  \
			0, 3                                                                       \
		}                                                                                  \
	}
#define STALLINGS                                                                                  \
	{                                                                                          \
		{ 0, 3 }, { 2, 6 }, { 4, 4 }, { 6, 5 },                                            \
		{                                                                                  \
			8, 2                                                                       \
		}                                                                                  \
	}
/* Operating System Concepts, 10th ed., exercise 5.17: larger is more important. */
#define EXERCISE_5_17                                                                              \
	{                                                                                          \
		{ 0, 2, 2 }, { 0, 1, 1 }, { 0, 8, 4 }, { 0, 4, 2 },                                \
		{                                                                                  \
			0, 5, 3                                                                    \
		}                                                                                  \
	}
/* Operating System Concepts, 8th ed., exercise 5.12: smaller is more important. */
#define EXERCISE_5_12                                                                              \
	{                                                                                          \
		{ 0, 10, -3 }, { 0, 1, -1 }, { 0, 2, -3 }, { 0, 1, -4 },                           \
		{                                                                                  \
			0, 5, -2                                                                   \
		}                                                                                  \
	}
/* Modern Operating Systems, 4th ed., problem 2.45: larger is more important. */
#define TANENBAUM                                                                                  \
	{                                                                                          \
		{ 0, 10, 3 }, { 0, 6, 5 }, { 0, 2, 2 }, { 0, 4, 1 },                               \
		{                                                                                  \
			0, 8, 4                                                                    \
		}                                                                                  \
	}

static const struct textbook textbooks[] = {
	{ "Silberschatz 10e 5.3.1, FCFS 24 3 3: mean wait 17", "fcfs", .n = 3,
	  .jobs = SILBERSCHATZ_RR, .finish = { 24, 27, 30 }, .sum_wait = 51 },
	{ "Silberschatz 10e 5.3.1, FCFS 3 3 24: mean wait 3", "fcfs", .n = 3,
	  .jobs = { { 0, 3 }, { 0, 3 }, { 0, 24 } }, .sum_wait = 9 },
	{ "Silberschatz 10e 5.3.2, FCFS 6 8 7 3: mean wait 10.25", "fcfs", .n = 4,
	  .jobs = { { 0, 6 }, { 0, 8 }, { 0, 7 }, { 0, 3 } }, .sum_wait = 41 },
	{ "Silberschatz 10e 5.3.2, SJF 6 8 7 3: mean wait 7", "srtf", .n = 4,
	  .jobs = { { 0, 6 }, { 0, 8 }, { 0, 7 }, { 0, 3 } }, .finish = { 9, 24, 16, 3 },
	  .sum_wait = 28 },
	{ "Silberschatz 10e 5.3.2, preemptive SJF: mean wait 6.5", "srtf", .n = 4,
	  .jobs = { { 0, 8 }, { 1, 4 }, { 2, 9 }, { 3, 5 } }, .finish = { 17, 5, 26, 10 },
	  .sum_wait = 26 },
	{ "Silberschatz 10e 5.3.3, RR q = 4: mean wait 17/3", "rr", 4, .n = 3,
	  .jobs = SILBERSCHATZ_RR, .finish = { 30, 7, 10 }, .sum_wait = 17 },
	{ "Silberschatz 10e 5.3.4, priority 3 1 4 5 2: mean wait 8.2", "priority", .n = 5,
	  .jobs = { { 0, 10, -3 }, { 0, 1, -1 }, { 0, 2, -4 }, { 0, 1, -5 }, { 0, 5, -2 } },
	  .finish = { 16, 1, 18, 19, 6 }, .sum_wait = 41 },
	{ "Silberschatz 10e figure 5.5, turnaround by quantum: q = 1, mean 11", "rr", 1, .n = 4,
	  .jobs = { { 0, 6 }, { 0, 3 }, { 0, 1 }, { 0, 7 } }, .finish = { 15, 9, 3, 17 } },
	{ "Silberschatz 10e figure 5.5, turnaround by quantum: q = 6, mean 10.5", "rr", 6, .n = 4,
	  .jobs = { { 0, 6 }, { 0, 3 }, { 0, 1 }, { 0, 7 } }, .finish = { 6, 9, 10, 17 } },
	{ "Silberschatz 10e exercise 5.17, FCFS", "fcfs", .n = 5, .jobs = EXERCISE_5_17,
	  .finish = { 2, 3, 11, 15, 20 }, .sum_wait = 31 },
	{ "Silberschatz 10e exercise 5.17, SJF", "srtf", .n = 5, .jobs = EXERCISE_5_17,
	  .finish = { 3, 1, 20, 7, 12 }, .sum_wait = 23 },
	{ "Silberschatz 10e exercise 5.17, priority", "priority", .n = 5, .jobs = EXERCISE_5_17,
	  .finish = { 15, 20, 8, 19, 13 }, .sum_wait = 55 },
	{ "Silberschatz 10e exercise 5.17, RR q = 2", "rr", 2, .n = 5, .jobs = EXERCISE_5_17,
	  .finish = { 2, 3, 20, 13, 18 }, .sum_wait = 36 },
	{ "Silberschatz 8e exercise 5.12, FCFS: mean wait 9.6", "fcfs", .n = 5,
	  .jobs = EXERCISE_5_12, .finish = { 10, 11, 13, 14, 19 }, .sum_wait = 48 },
	{ "Silberschatz 8e exercise 5.12, SJF: mean wait 3.2", "srtf", .n = 5,
	  .jobs = EXERCISE_5_12, .finish = { 19, 1, 4, 2, 9 }, .sum_wait = 16 },
	{ "Silberschatz 8e exercise 5.12, priority: mean wait 8.2", "priority", .n = 5,
	  .jobs = EXERCISE_5_12, .finish = { 16, 1, 18, 19, 6 }, .sum_wait = 41 },
	{ "Silberschatz 8e exercise 5.12, RR q = 1: mean wait 5.4", "rr", 1, .n = 5,
	  .jobs = EXERCISE_5_12, .finish = { 19, 2, 7, 4, 14 }, .sum_wait = 27 },
	{ "Stallings 7e table 9.5, FCFS", "fcfs", .n = 5, .jobs = STALLINGS,
	  .finish = { 3, 9, 13, 18, 20 } },
	{ "Stallings 7e table 9.5, RR q = 1", "rr", 1, .n = 5, .jobs = STALLINGS,
	  .finish = { 4, 18, 17, 20, 15 } },
	{ "Stallings 7e table 9.5, RR q = 4", "rr", 4, .n = 5, .jobs = STALLINGS,
	  .finish = { 3, 17, 11, 20, 19 } },
	{ "Stallings 7e table 9.5, SRT", "srtf", .n = 5, .jobs = STALLINGS,
	  .finish = { 3, 15, 8, 20, 10 } },
	{ "Stallings 7e table 9.5, feedback q = 1", "mlfq", 1, true, true, .n = 5,
	  .jobs = STALLINGS, .finish = { 4, 20, 16, 19, 11 } },
	{ "Stallings 7e table 9.5, feedback q = 2^i", "mlfq", 1, false, true, .n = 5,
	  .jobs = STALLINGS, .finish = { 4, 17, 18, 20, 14 } },
	{ "Tanenbaum 4e 2.4.2, FCFS 8 4 4 4: mean turnaround 14", "fcfs", .n = 4,
	  .jobs = { { 0, 8 }, { 0, 4 }, { 0, 4 }, { 0, 4 } }, .finish = { 8, 12, 16, 20 } },
	{ "Tanenbaum 4e 2.4.2, shortest first: mean turnaround 11", "srtf", .n = 4,
	  .jobs = { { 0, 8 }, { 0, 4 }, { 0, 4 }, { 0, 4 } }, .finish = { 20, 4, 8, 12 } },
	{ "Tanenbaum 4e problem 2.45, priority: mean turnaround 20", "priority", .n = 5,
	  .jobs = TANENBAUM, .finish = { 24, 6, 26, 30, 14 } },
	{ "Tanenbaum 4e problem 2.45, FCFS: mean turnaround 19.2", "fcfs", .n = 5,
	  .jobs = TANENBAUM, .finish = { 10, 16, 18, 22, 30 } },
	{ "Tanenbaum 4e problem 2.45, shortest first: mean turnaround 14", "srtf", .n = 5,
	  .jobs = TANENBAUM, .finish = { 30, 12, 2, 6, 20 } },
	{ "Tanenbaum 4e problem 2.45, the cpu shared: mean turnaround 22", "fair", .n = 5,
	  .jobs = TANENBAUM, .finish = { 30, 24, 10, 18, 28 } },
	{ "OSTEP 1.00 ch. 7, FIFO 10 10 10: mean turnaround 20", "fcfs", .n = 3,
	  .jobs = { { 0, 10 }, { 0, 10 }, { 0, 10 } }, .finish = { 10, 20, 30 } },
	{ "OSTEP 1.00 ch. 7, the convoy: mean turnaround 110", "fcfs", .n = 3,
	  .jobs = { { 0, 100 }, { 0, 10 }, { 0, 10 } }, .finish = { 100, 110, 120 } },
	{ "OSTEP 1.00 ch. 7, SJF: mean turnaround 50", "srtf", .n = 3,
	  .jobs = { { 0, 100 }, { 0, 10 }, { 0, 10 } }, .finish = { 120, 10, 20 } },
	{ "OSTEP 1.00 ch. 7, STCF, B and C late: mean turnaround 50", "srtf", .n = 3,
	  .jobs = { { 0, 100 }, { 10, 10 }, { 10, 10 } }, .finish = { 120, 20, 30 } },
	{ "OSTEP 1.00 ch. 7, RR 5 5 5: mean turnaround 14", "rr", 1, .n = 3,
	  .jobs = { { 0, 5 }, { 0, 5 }, { 0, 5 } }, .finish = { 13, 14, 15 } },
	{ "OSTEP 1.00 ch. 8 figure 8.3, along came a short job", "mlfq", 10, true, .levels = 3,
	  .n = 2, .jobs = { { 0, 180 }, { 100, 20 } }, .finish = { 200, 120 } },
};

struct run {
	struct slice *s;
	const struct textbook *t;
	uint32_t handle[MOST];
	int64_t finish[MOST]; /* ns; 0: not yet */
	int64_t now;
	int64_t wake;
};

/* When does @i end at the present rate? */
static int64_t end_of(const struct run *r, size_t i, const double *served)
{
	double left = (double)(r->t->jobs[i].burst * SEC) - served[i];
	double rate = slice_rate(r->s, r->handle[i]) / 1000;

	return rate > 0 ? r->now + (int64_t)(left / rate + 0.5) : INT64_MAX;
}

static bool is_in(const struct run *r, size_t i)
{
	return r->t->jobs[i].arrival * SEC <= r->now && !r->finish[i];
}

static int64_t next_event(const struct run *r, const double *served)
{
	int64_t at = r->wake ? r->wake : INT64_MAX;

	for (size_t i = 0; i < r->t->n; i++) {
		int64_t one = r->t->jobs[i].arrival * SEC;

		if (is_in(r, i))
			one = end_of(r, i, served);
		else if (one <= r->now)
			continue;
		at = one < at ? one : at;
	}
	return at;
}

static void advance(struct run *r, int64_t to, double *served)
{
	for (size_t i = 0; i < r->t->n; i++) {
		if (!is_in(r, i))
			continue;
		served[i] += (double)(to - r->now) * slice_rate(r->s, r->handle[i]) / 1000;
		if (served[i] + 1000 < (double)(r->t->jobs[i].burst * SEC))
			continue;
		r->finish[i] = to;
		slice_leave(r->s, r->handle[i], to);
	}
	for (size_t i = 0; i < r->t->n; i++)
		if (r->t->jobs[i].arrival * SEC > r->now && r->t->jobs[i].arrival * SEC <= to)
			r->handle[i] = slice_admit(
			    r->s,
			    &(struct slice_job) { .cpu_milli = 1000,
						  .priority = r->t->jobs[i].priority,
						  .expect_ns = r->t->jobs[i].burst * SEC },
			    to);
	r->now = to;
	r->wake = slice_pass(r->s, to).wake_ns;
}

static void check(const struct run *r)
{
	int64_t wait = 0;

	for (size_t i = 0; i < r->t->n; i++) {
		int64_t finish = (r->finish[i] + SEC / 2) / SEC;

		wait += finish - r->t->jobs[i].arrival - r->t->jobs[i].burst;
		if (r->t->finish[0] && finish != r->t->finish[i])
			fail_msg("%s: job %zu ends at %lld, not %lld", r->t->source, i,
				 (long long)finish, (long long)r->t->finish[i]);
	}
	if (r->t->sum_wait && wait != r->t->sum_wait)
		fail_msg("%s: waits sum to %lld, not %lld", r->t->source, (long long)wait,
			 (long long)r->t->sum_wait);
}

static void run_textbook(const struct textbook *t)
{
	OWN(slice) struct slice *s = slice_new();
	struct run r = { .s = s, .t = t, .now = -1 };
	double served[MOST] = { 0 };

	assert_ok(slice_configure(s, &(struct slice_config) { .policy = t->policy,
							      .cpu_milli = 1000,
							      .quantum_ns = t->quantum * SEC,
							      .same_quantum = t->same_quantum,
							      .stays_alone = t->stays_alone,
							      .levels = t->levels,
							      .suspends_at_once = true }));
	for (int64_t at = 0; at != INT64_MAX; at = next_event(&r, served))
		advance(&r, at, served);
	check(&r);
}

static void textbook_cases_come_out_as_printed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(textbooks); i++)
		run_textbook(&textbooks[i]);
}

static struct slice *machine(const char *policy, int64_t cpus, struct slice_config conf)
{
	struct slice *s = slice_new();

	conf.policy = policy;
	conf.cpu_milli = cpus * 1000;
	assert_ok(slice_configure(s, &conf));
	return s;
}

/* Passes whenever one is asked for, until @until; nobody ends. */
static void idle_along(struct slice *s, int64_t until)
{
	int64_t now = 0;

	while (now <= until) {
		struct slice_result r = slice_pass(s, now);

		assert_true(!r.wake_ns || r.wake_ns > now);
		if (!r.wake_ns)
			return;
		now = r.wake_ns;
	}
}

/* The case of the issue: eight of one cpu each on two cpus. */
static void rr_gives_eight_on_two_cpus_an_eighth_each(void **state)
{
	OWN(slice)
	struct slice *s =
	    machine("rr", 2, (struct slice_config) { .quantum_ns = 100, .suspends_at_once = true });
	uint32_t h[8];

	for (int i = 0; i < 8; i++)
		h[i] = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);
	idle_along(s, 60000);
	for (int i = 0; i < 8; i++) {
		int64_t ran = slice_ran_ns(s, h[i], 60000);

		assert_true(ran >= 15000 - 100 && ran <= 15000 + 100);
	}
}

/* Small ones may run past it, but never in its place. */
static void a_wide_gang_gets_its_turn_among_small_ones(void **state)
{
	OWN(slice)
	struct slice *s =
	    machine("rr", 4, (struct slice_config) { .quantum_ns = 10, .suspends_at_once = true });
	uint32_t wide;

	for (int i = 0; i < 6; i++)
		slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);
	wide = slice_admit(s, &(struct slice_job) { .cpu_milli = 4000 }, 0);
	idle_along(s, 10000);
	/* A round is at most two slots of small ones and one of its own. */
	assert_true(slice_ran_ns(s, wide, 10000) >= 10000 / 3 - 10);
}

static void cpus_of_what_is_suspended_are_free_only_when_it_is(void **state)
{
	OWN(slice) struct slice *s = machine("priority", 1, (struct slice_config) { 0 });
	uint32_t low, high;
	struct slice_result r;

	low = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);
	assert_int_equal(slice_pass(s, 0).n, 1);
	high = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000, .priority = 1 }, 5);
	r = slice_pass(s, 5);
	assert_int_equal(r.n, 1);
	assert_true(r.changes[0].handle == low && !r.changes[0].run);
	assert_false(slice_is_running(s, high));
	assert_int_equal(slice_pass(s, 6).n, 0);
	slice_suspended(s, low, 7);
	r = slice_pass(s, 7);
	assert_int_equal(r.n, 1);
	assert_true(r.changes[0].handle == high && r.changes[0].run);
	assert_int_equal(slice_ran_ns(s, low, 100), 5);
	slice_leave(s, high, 9);
	r = slice_pass(s, 9);
	assert_true(r.n == 1 && r.changes[0].handle == low && r.changes[0].run);
}

/* Guarantees: who would starve without it runs with it. */
static void aging_and_boosts_end_starvation(void **state)
{
	static const struct {
		const char *policy;
		struct slice_config conf;
		bool runs;
	} cases[] = {
		{ "priority", { 0 }, false },
		{ "priority", { .aging_ns = 50 }, true },
		{ "mlfq", { .levels = 2 }, false },
		{ "mlfq", { .levels = 2, .boost_ns = 500 }, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct slice_config conf = cases[i].conf;
		OWN(slice) struct slice *s = NULL;
		uint32_t weak, strong = 0;
		int64_t now = 0;

		conf.quantum_ns = 10;
		conf.suspends_at_once = true;
		s = machine(cases[i].policy, 1, conf);
		weak = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);
		slice_pass(s, 0);
		slice_pass(s, 15); /* it has sunk to the last level */
		/* A stream of important short ones, one at a time, never ending. */
		for (now = 15; now < 3000; now += 5) {
			if (now > 15)
				slice_leave(s, strong, now);
			strong = slice_admit(
			    s, &(struct slice_job) { .cpu_milli = 1000, .priority = 3 }, now);
			slice_pass(s, now);
		}
		if ((slice_ran_ns(s, weak, now) > 45) != cases[i].runs)
			fail_msg("%s, case %zu: ran %lld", cases[i].policy, i,
				 (long long)slice_ran_ns(s, weak, now));
	}
}

/* Level with it after 100 and admitted first, it runs a quantum, and no longer: 14 times in 1600.
 */
static void an_aged_job_runs_a_quantum(void **state)
{
	OWN(slice)
	struct slice *s = machine(
	    "priority", 1,
	    (struct slice_config) { .quantum_ns = 10, .aging_ns = 50, .suspends_at_once = true });
	uint32_t weak = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);

	slice_admit(s, &(struct slice_job) { .cpu_milli = 1000, .priority = 2 }, 0);
	idle_along(s, 1610);
	assert_int_equal(slice_ran_ns(s, weak, 1600), 140);
}

static void fair_shares_by_weight_and_nobody_gets_more_than_he_can_use(void **state)
{
	OWN(slice) struct slice *s = machine("fair", 4, (struct slice_config) { 0 });
	uint32_t small = slice_admit(s, &(struct slice_job) { .cpu_milli = 500 }, 0);
	uint32_t one = slice_admit(s, &(struct slice_job) { .cpu_milli = 4000, .weight = 1 }, 0);
	uint32_t two = slice_admit(s, &(struct slice_job) { .cpu_milli = 4000, .weight = 2.5 }, 0);

	assert_int_equal(slice_pass(s, 0).n, 3);
	assert_true(slice_rate(s, small) == 500);
	assert_true(slice_rate(s, one) == 1000);
	assert_true(slice_rate(s, two) == 2500);
}

static void srtf_takes_a_new_expectation_and_puts_unknown_ones_last(void **state)
{
	OWN(slice)
	struct slice *s = machine("srtf", 1, (struct slice_config) { .suspends_at_once = true });
	uint32_t unknown = slice_admit(s, &(struct slice_job) { .cpu_milli = 1000 }, 0);
	uint32_t known =
	    slice_admit(s, &(struct slice_job) { .cpu_milli = 1000, .expect_ns = 100 }, 0);

	slice_pass(s, 0);
	assert_true(slice_is_running(s, known) && !slice_is_running(s, unknown));
	slice_expect(s, unknown, 10);
	slice_pass(s, 1);
	assert_true(slice_is_running(s, unknown) && !slice_is_running(s, known));
	assert_err(slice_configure(s, &(struct slice_config) { .policy = "lottery" }), ERR_INVALID);
}

/* Random gangs and events: what runs always fits, and no cpu idles that a waiting one could use. */
static void what_runs_fits_and_cpus_do_not_idle(void **state)
{
	static const char *const policies[] = { "rr", "priority", "srtf", "mlfq", "fcfs" };

	for (uint64_t seed = 1; seed <= 500; seed++) {
		const char *policy = policies[seed % ARRAY_SIZE(policies)];
		OWN(slice)
		struct slice *s = machine(policy, 4,
					  (struct slice_config) { .quantum_ns = 10,
								  .aging_ns = seed % 2 ? 40 : 0,
								  .boost_ns = 300,
								  .suspends_at_once = true });
		uint32_t handles[16];
		int64_t cpus[16], now = 0;
		uint64_t rnd = seed;
		size_t n = 0;

		for (int step = 0; step < 300; step++) {
			int64_t used = 0, least = INT64_MAX;
			struct slice_result r;

			if (n < 16 && rig_random(&rnd, 3)) {
				cpus[n] = 1000 * (1 + (int64_t)rig_random(&rnd, seed % 3 ? 4 : 1));
				handles[n] =
				    slice_admit(s,
						&(struct slice_job) {
						    .cpu_milli = cpus[n],
						    .priority = (int32_t)rig_random(&rnd, 3),
						    .expect_ns = (int64_t)rig_random(&rnd, 90) },
						now);
				n++;
			} else if (n) {
				size_t k = rig_random(&rnd, n);

				slice_leave(s, handles[k], now);
				handles[k] = handles[--n];
				cpus[k] = cpus[n];
			}
			r = slice_pass(s, now);
			for (size_t k = 0; k < n; k++) {
				if (slice_is_running(s, handles[k]))
					used += cpus[k];
				else
					least = cpus[k] < least ? cpus[k] : least;
			}
			if (used > 4000)
				fail_msg("seed %llu: %s runs too many", (unsigned long long)seed,
					 policy);
			/* fcfs leaves gaps before a gang; of single cpus it does not. */
			if (least <= 4000 - used && (strcmp(policy, "fcfs") != 0 || seed % 3 == 0))
				fail_msg("seed %llu: %s idles", (unsigned long long)seed, policy);
			now = r.wake_ns && rig_random(&rnd, 2)
				  ? r.wake_ns
				  : now + (int64_t)rig_random(&rnd, 25);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(textbook_cases_come_out_as_printed),
		cmocka_unit_test(rr_gives_eight_on_two_cpus_an_eighth_each),
		cmocka_unit_test(a_wide_gang_gets_its_turn_among_small_ones),
		cmocka_unit_test(cpus_of_what_is_suspended_are_free_only_when_it_is),
		cmocka_unit_test(aging_and_boosts_end_starvation),
		cmocka_unit_test(an_aged_job_runs_a_quantum),
		cmocka_unit_test(fair_shares_by_weight_and_nobody_gets_more_than_he_can_use),
		cmocka_unit_test(srtf_takes_a_new_expectation_and_puts_unknown_ones_last),
		cmocka_unit_test(what_runs_fits_and_cpus_do_not_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
