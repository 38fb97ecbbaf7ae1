/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * hrrn: highest response ratio next, (waited + planned) / planned, largest first, at the time of
 * the pass; ties by arrival.  An unknown run time is endless: 1, the least there is.
 *
 * Guarantee: every ratio grows without bound while a job waits and later ones start at 1:
 * nobody is passed over for ever, but those without a planned time: max_wait_ns bounds them.
 * Source: P. Brinch Hansen, "An analysis of response ratio scheduling", IFIP 1971; W. Stallings,
 * "Operating Systems", 7th ed., §9.2.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	if (e->planned_ns == ENDLESS)
		return key_of(-1);
	return key_of(-((double)(now_ns - e->arrival_ns + e->planned_ns) / (double)e->planned_ns));
}

const struct alloc_order alloc_order_hrrn = {
	.name = "hrrn",
	.help = "highest response ratio first",
	.kind = ORDER_TIMED,
	.key = key,
};
