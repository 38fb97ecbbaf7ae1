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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(textbook_cases_come_out_as_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
