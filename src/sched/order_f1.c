/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * f1: log10(planned) * cpus + 870 * log10(arrival), smallest first, times in seconds,
 * log10 of less than one second taken as 0; ties by arrival.  Unknown run times: last.
 * The second term grows without bound, so nobody is passed over for ever; but slowly:
 * max_wait_ns bounds it in time.
 * Source: D. Carastan-Santos, R. de Camargo, "Obtaining dynamic scheduling policies with
 * simulation and machine learning", SC'17, table 3.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	if (e->planned_ns == ENDLESS)
		return ENDLESS;
	return key_of(own_log10(seconds(e->planned_ns)) * cpus_of(e) +
		      870 * own_log10(seconds(e->arrival_ns)));
}

const struct alloc_order alloc_order_f1 = {
	.name = "f1",
	.help = "smallest log10(planned) x cpus + 870 log10(arrival) first",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
