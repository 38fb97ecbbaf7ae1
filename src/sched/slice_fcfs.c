/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * fcfs: in the order of admission, to completion; nobody passes one that does not fit.
 * Guarantee: each runs once those before it have ended.
 * Source: A. Silberschatz, P. Galvin, G. Gagne, "Operating System Concepts", 10th ed., §5.3.1.
 */
static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	return t->state == TASK_READY;
}

const struct slice_policy slice_policy_fcfs = { .name = "fcfs", .key = key };
