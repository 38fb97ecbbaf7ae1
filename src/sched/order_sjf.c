/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * sjf: shortest job first, by planned run time; ties by arrival.  Unknown: last.
 * A long job can be passed over for ever: max_wait_ns bounds it.
 * Source: R. W. Conway, W. L. Maxwell, L. W. Miller, "Theory of Scheduling", 1967, §8.6.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	return e->planned_ns;
}

const struct alloc_order alloc_order_sjf = {
	.name = "sjf",
	.help = "shortest planned run time first",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
