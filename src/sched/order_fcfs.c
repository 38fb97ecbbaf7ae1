/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * fcfs: first come, first served.  By arrival; at one instant, by the order of the events.
 * With a fill that lets nobody pass for ever, everybody starts once those before him ended.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	return 0;
}

const struct alloc_order alloc_order_fcfs = {
	.name = "fcfs",
	.help = "by arrival",
	.kind = ORDER_STATIC,
	.key = key,
};
