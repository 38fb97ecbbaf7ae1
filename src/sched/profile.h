/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_PROFILE_H
#define SCHED_PROFILE_H

/*
 * What is planned to be free from now on, as steps: step i lasts from its time to the next
 * one's, the last for ever.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile {
	size_t n, cap;
	unsigned n_res;
	int64_t *times;
	int64_t *room; /* n * n_res */
};

/** profile_start() - one step from @now_ns with @room; reuses memory */
void profile_start(struct profile *p, unsigned n_res, int64_t now_ns, const int64_t *room);

/** profile_done() - frees what it holds */
void profile_done(struct profile *p);

/** profile_gain() - @demand is given back at @when_ns, no earlier than any gain before */
void profile_gain(struct profile *p, int64_t when_ns, const int64_t *demand);

/**
 * profile_earliest() - the first time from which @demand fits for @ns (INT64_MAX: for ever)
 * Return: INT64_MAX when there is none.
 */
int64_t profile_earliest(const struct profile *p, const int64_t *demand, int64_t ns);

/** profile_fits_first() - does @demand fit from the first step on for @ns? */
bool profile_fits_first(const struct profile *p, const int64_t *demand, int64_t ns);

/** profile_reserve() - @demand is taken from @from_ns for @ns */
void profile_reserve(struct profile *p, int64_t from_ns, int64_t ns, const int64_t *demand);

#endif
