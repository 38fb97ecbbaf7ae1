/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * wfp3: (waited / planned)^3 * cpus, largest first, at the time of the pass; ties by arrival.
 * An unknown run time is endless: 0.
 *
 * Guarantee: with planned times and cpus bounded, a job's value grows with the cube of its wait
 * while that of later ones starts at 0: nobody is passed over for ever, but those without a
 * planned time: max_wait_ns bounds them.
 * Source: W. Tang, Z. Lan, N. Desai, D. Buettner, "Fault-aware, utility-based job scheduling on
 * Blue Gene/P systems", Cluster 2009.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	double x;

	if (e->planned_ns == ENDLESS)
		return 0;
	x = seconds(now_ns - e->arrival_ns) / seconds(e->planned_ns);
	return key_of(-(x * x * x * cpus_of(e)));
}

const struct alloc_order alloc_order_wfp3 = {
	.name = "wfp3",
	.help = "largest (waited / planned)^3 x cpus first",
	.kind = ORDER_TIMED,
	.key = key,
};
