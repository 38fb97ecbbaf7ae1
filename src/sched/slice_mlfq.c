/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * mlfq: multi-level feedback.  A job starts on level 0; the lowest level with anybody runs, round
 * robin within it, preemptive.  Who has used his quantum of a level (doubled per level, or the
 * same on all) goes one level down, at most to the last; with stays_alone only while others
 * wait.  What was used counts through preemptions.  Every boost_ns all go back to level 0.
 *
 * Guarantee: with a boost, everybody is on level 0 at least every boost_ns, and round robin there.
 * Without, one that has sunk can be kept waiting for ever.
 * Source: R. and A. Arpaci-Dusseau, "Operating Systems: Three Easy Pieces", 1.00, ch. 8, rules
 * 1 to 5; W. Stallings, "Operating Systems", 7th ed., §9.2 "feedback".
 */
static int64_t quantum(const struct slice *s, const struct task *t)
{
	int shift = t->level < 30 ? t->level : 30;

	return s->conf.same_quantum ? s->conf.quantum_ns : s->conf.quantum_ns << shift;
}

/* Quantum followed quantum without a pass. */
static void sink_alone(const struct slice *s, struct task *t, int64_t now_ns)
{
	int64_t used = task_used(t, now_ns), q;

	if (t->state != TASK_RUNNING)
		return;
	for (; used > (q = quantum(s, t)); used -= q)
		if (t->level + 1 < (int32_t)s->conf.levels)
			t->level++;
		else
			used -= (used - 1) / q * q - q;
	task_fresh(t, now_ns, used);
}

static void before(struct slice *s, int64_t now_ns)
{
	if (s->conf.boost_ns && now_ns - s->boosted_ns >= s->conf.boost_ns) {
		s->boosted_ns = now_ns;
		for (size_t i = 0; i < s->n_line; i++) {
			struct task *t = &s->tasks[s->line[i]];

			if (t->level)
				task_fresh(t, now_ns, 0);
			t->level = 0;
		}
	}
	for (size_t i = 0; !s->had_waiting && !s->conf.stays_alone && i < s->n_line; i++)
		sink_alone(s, &s->tasks[s->line[i]], now_ns);
	slice_expire(s, now_ns, quantum, true);
}

static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	return t->level;
}

static int64_t wake(const struct slice *s, const struct task *t, int64_t now_ns)
{
	int64_t boost = s->boosted_ns + s->conf.boost_ns, end;

	if (!s->n_passed)
		return 0;
	if (t->state != TASK_RUNNING)
		return s->conf.boost_ns ? boost : 0;
	end = now_ns + quantum(s, t) - task_used(t, now_ns);
	return s->conf.boost_ns && boost < end ? boost : end;
}

const struct slice_policy slice_policy_mlfq = {
	.name = "mlfq",
	.fills_gaps = true,
	.key = key,
	.before = before,
	.wake = wake,
};
