/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_ACCOUNT_H
#define SCHED_ACCOUNT_H

/*
 * Accounting: one record per start, and what follows from many.  Pure.
 *
 *	turnaround = finish - arrival
 *	T_i        = time actually running (up to now if it still runs)
 *	waiting    = turnaround - T_i - paused     (time sliced out counts as waiting)
 *	T_total = sum of T_i, T_wait = sum of waiting
 *
 * Spec: docs/numbers.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times in ns on one clock; 0: not yet. */
struct account {
	int64_t arrival_ns; /* when it could first have been admitted */
	int64_t admission_ns;
	int64_t start_ns;
	int64_t finish_ns;
	int64_t paused_ns; /* stopped by its user's pause, up to now */
	int64_t sliced_ns; /* descheduled by the scheduler while running */
	/* Held from admission to finish; what was not declared: as measured, on average. */
	int64_t cpu_milli, memory_bytes;
};

/** account_turnaround_ns() - finish (or @now_ns) minus arrival */
int64_t account_turnaround_ns(const struct account *a, int64_t now_ns);

/** account_run_ns() - T_i; 0 when it never started */
int64_t account_run_ns(const struct account *a, int64_t now_ns);

/** account_wait_ns() - turnaround - T_i - paused, never negative */
int64_t account_wait_ns(const struct account *a, int64_t now_ns);

/** account_bounded_slowdown() - max(1, turnaround without pause / max(T_i, 10 s)) */
double account_bounded_slowdown(const struct account *a, int64_t now_ns);

/** account_slowdown() - turnaround without pause / T_i; 0 when it never ran */
double account_slowdown(const struct account *a, int64_t now_ns);

/* An integral over time, of what was held or of what there was. */
struct account_use {
	double cpu_milli_s, memory_byte_s;
};

/**
 * account_use_add() - add what @a held within [@from_ns, @to_ns): memory from admission to finish
 * (or @now_ns), cpu without the time that it was sliced out, spread evenly
 */
void account_use_add(struct account_use *u, const struct account *a, int64_t from_ns, int64_t to_ns,
		     int64_t now_ns);

/** account_day() - the local day of a wall clock time, as days since the epoch */
int64_t account_day(int64_t wall_ns, int64_t utc_offset_s);

struct account_sums {
	int64_t n, running;
	int64_t total_run_ns;  /* T_total */
	int64_t total_wait_ns; /* T_wait */
	int64_t mean_wait_ns, median_wait_ns, p95_wait_ns, p99_wait_ns, max_wait_ns;
	int64_t mean_turnaround_ns, median_turnaround_ns, p95_turnaround_ns, p99_turnaround_ns,
	    max_turnaround_ns;
	/* Of those that ran. */
	double mean_slowdown, median_slowdown, p95_slowdown, p99_slowdown, max_slowdown;
	double mean_bounded_slowdown, p95_bounded_slowdown, max_bounded_slowdown;
	int64_t first_ns, makespan_ns; /* first arrival; last finish (or now) minus first arrival */
};

/** account_sum() - over @n records; percentiles are nearest-rank */
struct account_sums account_sum(const struct account *a, size_t n, int64_t now_ns);

/* The members of sums, and of an account, by their names in documents. */
struct account_field {
	const char *name;
	size_t offset;
	bool is_real; /* double, else int64_t */
};
extern const struct account_field account_fields[]; /* name NULL at the end */
extern const struct account_field account_record_fields[];

/** account_slot() - the member that a row of account_record_fields is about */
static inline int64_t *account_slot(struct account *a, const struct account_field *f)
{
	return (int64_t *)(void *)((char *)a + f->offset);
}

#endif
