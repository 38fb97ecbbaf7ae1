/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * list: whatever fits starts, in order (R. L. Graham's list scheduling, "Bounds for certain
 * multiprocessing anomalies", 1966, on a queue).  A large job can be passed over for ever:
 * max_wait_ns bounds it.
 */
static void rest(struct alloc *a, uint32_t head)
{
	struct want w = { .is_bounded = false };

	pass_free(a, w.free);
	pass_fill(a, head, &w, ALLOC_NONE, false);
}

const struct alloc_fill alloc_fill_list = {
	.name = "list",
	.help = "anything that fits",
	.can_pass_for_ever = true,
	.needs_search = true,
	.rest = rest,
};
