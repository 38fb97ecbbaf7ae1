/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * drf: weighted dominant resource fairness.  A user's dominant share is the largest of his
 * running jobs' sums over the capacity of each resource, divided by his weight; the smallest
 * share first, anew after each start; equal shares: by the arrival of their first jobs.
 * Within a user by arrival.
 *
 * Guarantee: nothing starts for a user while another with a smaller share has something waiting
 * that could start; a user with nothing running is passed by none who has something.
 * Source: A. Ghodsi, M. Zaharia, B. Hindman, A. Konwinski, S. Shenker, I. Stoica, "Dominant
 * resource fairness", NSDI 2011, algorithm 1 and §4.3.
 */
static int64_t group_key(const struct alloc *a, const struct party *g)
{
	double share = 0;

	for (unsigned r = 0; r < a->n_res; r++) {
		double x = a->total.v[r] > 0 ? (double)g->held[r] / (double)a->total.v[r] : 0;

		share = x > share ? x : share;
	}
	return key_of(share / g->weight);
}

const struct alloc_order alloc_order_drf = {
	.name = "drf",
	.help = "smallest dominant share of a user first",
	.kind = ORDER_GROUPED,
	.group_key = group_key,
};
