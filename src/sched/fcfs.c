/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched_int.h"

/*
 * fcfs: first come, first served.  By arrival; at one instant, by the order of
 * the events.
 */
static int compare(const struct sched_entry *a, const struct sched_entry *b, int64_t now_ns)
{
	(void)now_ns;
	if (a->arrival_ns != b->arrival_ns)
		return a->arrival_ns < b->arrival_ns ? -1 : 1;
	return a->seq < b->seq ? -1 : 1;
}

const struct sched_order sched_order_fcfs = { .name = "fcfs", .compare = compare };
