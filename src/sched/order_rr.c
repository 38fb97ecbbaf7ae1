/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * rr: round robin over users, or ("rr:LABEL") over a label (the number in alloc_job.label).  Those
 * with something waiting stand in a circle; each start sends its user to the tail; who has nothing
 * waiting leaves, and joins at the tail.  Within a user by arrival.
 *
 * With alloc_config.turn_ns an allocation lasts one turn while others wait: the pass then asks
 * for it back, and alloc_requeue() puts it at the tail, the textbook's round robin.
 *
 * Guarantee: between two starts of one user every other user with something waiting gets one,
 * so with n users a user's next job is at most n - 1 starts away; within a user nobody passes.
 * Source: J. Nagle, RFC 970; A. Tanenbaum, H. Bos, "Modern Operating Systems", 4th ed., §2.4.3.
 */
static int64_t group_key(const struct alloc *a, const struct party *g)
{
	return (int64_t)g->stamp;
}

const struct alloc_order alloc_order_rr = {
	.name = "rr",
	.help = "round robin over users or labels",
	.kind = ORDER_GROUPED,
	.by_label = true,
	.has_turns = true,
	.group_key = group_key,
};
