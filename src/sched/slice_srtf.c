/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * srtf: shortest remaining time first, preemptive: expected minus run so far, never below 0;
 * ties by admission.  Unknown: last.  Without gaps: whoever fits runs.
 * A long job can be kept waiting for ever while shorter ones come; there is no guarantee.
 * Source: L. Schrage, "A proof of the optimality of the shortest remaining processing time
 * discipline", Operations Research 16(3), 1968.
 */
static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	int64_t left = t->job.expect_ns - task_ran(t, now_ns);

	if (!t->job.expect_ns)
		return INT64_MAX;
	return left > 0 ? left : 0;
}

const struct slice_policy slice_policy_srtf = {
	.name = "srtf",
	.fills_gaps = true,
	.key = key,
};
