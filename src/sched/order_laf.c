/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * laf: largest area first, area = planned run time in seconds * cpus; ties by arrival.
 * Unknown run times are endless, the largest of all: first.
 * A small job can be passed over for ever: max_wait_ns bounds it.
 * Source: as saf, read backwards; list scheduling by decreasing work packs well.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	if (e->planned_ns == ENDLESS)
		return INT64_MIN;
	return key_of(-(seconds(e->planned_ns) * cpus_of(e)));
}

const struct alloc_order alloc_order_laf = {
	.name = "laf",
	.help = "largest area (planned run time x cpus) first",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
