/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * priority: the largest effective priority first, preemptive; ties by admission.
 *
 *	effective = priority + boost
 *	boost     = floor(ready since / aging_ns) while ready, kept for one quantum of running
 *
 * Guarantee: with aging, a ready job of priority p is above all of priority q after
 * (q - p + 1) * aging_ns, and then runs at least a quantum unless others have aged more.
 * Without aging it can be kept waiting for ever.
 * Source: A. Silberschatz, P. Galvin, G. Gagne, "Operating System Concepts", 10th ed., §5.3.4.
 */
static int32_t boost_of(const struct slice *s, const struct task *t, int64_t now_ns)
{
	int64_t steps;

	if (!s->conf.aging_ns)
		return 0;
	if (t->state == TASK_RUNNING)
		return task_used(t, now_ns) < s->conf.quantum_ns ? t->boost : 0;
	steps = (now_ns - t->since_ns) / s->conf.aging_ns;
	return steps < INT32_MAX ? (int32_t)steps : INT32_MAX;
}

static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	return -((int64_t)t->job.priority + boost_of(s, t, now_ns));
}

static void dispatch(struct slice *s, struct task *t, int64_t now_ns)
{
	t->boost = boost_of(s, t, now_ns);
	task_fresh(t, now_ns, 0);
}

static int64_t wake(const struct slice *s, const struct task *t, int64_t now_ns)
{
	int64_t left;

	if (!s->conf.aging_ns || !s->n_passed)
		return 0;
	if (t->state != TASK_RUNNING)
		return t->since_ns +
		       ((now_ns - t->since_ns) / s->conf.aging_ns + 1) * s->conf.aging_ns;
	left = s->conf.quantum_ns - task_used(t, now_ns);
	return t->boost && left > 0 ? now_ns + left : 0;
}

const struct slice_policy slice_policy_priority = {
	.name = "priority",
	.fills_gaps = true,
	.key = key,
	.dispatch = dispatch,
	.wake = wake,
};
