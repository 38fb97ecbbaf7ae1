/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SCHED_INT_H
#define SCHED_SCHED_INT_H

#include "sched/sched.h"

struct sched_entry {
	char *id;
	struct sched_job job; /* job.id is @id */
	uint64_t seq;         /* order of arrival events: the last tie-breaker */
	int64_t arrival_ns;
	bool is_admitted;
	bool declares_nothing; /* but M */
	struct amounts held;   /* admitted: declared demand, or measured use */
};

extern const struct sched_order sched_order_fcfs;

#endif
