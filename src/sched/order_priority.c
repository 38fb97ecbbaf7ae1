/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * priority: the largest effective priority first; ties by arrival.
 *
 *	effective = priority + waited / aging_ns	(a real number; aging_ns 0: no aging)
 *
 * All that wait age alike, so two jobs never change places: x stands before y when
 * arrival_x - priority_x * aging < arrival_y - priority_y * aging, an integer key.
 *
 * Guarantee: with aging, nobody who arrives later than (p_max - p) * aging after a job of
 * priority p passes it.  Without, it can be passed over for ever: max_wait_ns bounds it.
 * Source: A. Silberschatz, P. Galvin, G. Gagne, "Operating System Concepts", 10th ed., §5.3.4.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	int64_t lead, k;

	if (!a->conf.aging_ns)
		return -(int64_t)e->priority;
	if (__builtin_mul_overflow(e->priority, a->conf.aging_ns, &lead) ||
	    __builtin_sub_overflow(e->arrival_ns, lead, &k))
		return e->priority > 0 ? INT64_MIN : INT64_MAX;
	return k;
}

const struct alloc_order alloc_order_priority = {
	.name = "priority",
	.help = "largest priority first, with aging",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
