/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * saf: smallest area first, area = planned run time in seconds * cpus; ties by arrival.
 * Unknown run times are endless: last.
 * A large job can be passed over for ever: max_wait_ns bounds it.
 * Source: D. Carastan-Santos, R. de Camargo, D. Trystram, S. Zrigui, "One can only gain by
 * replacing EASY backfilling", CCGrid 2019.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	if (e->planned_ns == ENDLESS)
		return ENDLESS;
	return key_of(seconds(e->planned_ns) * cpus_of(e));
}

const struct alloc_order alloc_order_saf = {
	.name = "saf",
	.help = "smallest area (planned run time x cpus) first",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
