/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * easy: the head that does not fit has a reservation at its shadow, the earliest time at which
 * enough is planned to be free (with nodes: on one of them, there only); extra is what is left
 * over then.  In queue order, a job starts now if it fits and either is planned to end by the
 * shadow or fits in extra, which it then reduces.
 *
 * A head whose shadow cannot be known (what it needs is held by jobs without an end) has no
 * reservation: anything that fits passes it, until its max-wait.
 *
 * Guarantee: with planned times that hold, the head starts no later than its first shadow.
 *
 * Source: D. Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995; A. Mu'alem, D. Feitelson,
 * TPDS 12(6), 2001.
 */
void fill_easy_with(struct alloc *a, uint32_t head, bool by_length)
{
	struct want w = { .is_bounded = true };
	uint32_t node = ALLOC_NONE;

	if (!pass_shadow(a, head, &w, &node)) {
		w.is_bounded = false;
		pass_free(a, w.free);
	}
	pass_fill(a, head, &w, node, by_length);
}

static void rest(struct alloc *a, uint32_t head)
{
	fill_easy_with(a, head, false);
}

const struct alloc_fill alloc_fill_easy = {
	.name = "easy",
	.help = "backfill that does not delay the head's reservation",
	.needs_ends = true,
	.needs_search = true,
	.rest = rest,
};
