/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * rr: round robin.  One line; who has used his quantum goes to its tail if anybody waits, else
 * he has a fresh one.  An arrival at the same instant stands before him.  From the front of the
 * line whoever fits the cpus runs; one who runs past another that did not fit gives way as soon
 * as that one fits without him.
 *
 * Guarantee: with n in line, each runs a quantum at least every n quanta (unit gangs on m cpus:
 * every ceil(n / m)).
 * Source: A. Silberschatz, P. Galvin, G. Gagne, "Operating System Concepts", 10th ed., §5.3.3;
 * gangs: J. Ousterhout, "Scheduling techniques for concurrent systems", ICDCS 1982.
 */

static bool has_waiting(const struct slice *s)
{
	for (size_t i = 0; i < s->n_line; i++)
		if (s->tasks[s->line[i]].state == TASK_READY)
			return true;
	return false;
}

void slice_expire(struct slice *s, int64_t now_ns,
		  int64_t (*quantum)(const struct slice *s, const struct task *t), bool demote)
{
	bool waits = has_waiting(s);
	size_t n = s->n_line;

	for (size_t i = 0; i < n; i++) {
		struct task *t = &s->tasks[s->line[i]];
		int64_t q = quantum(s, t), used = task_used(t, now_ns);

		if (t->state != TASK_RUNNING || used < q)
			continue;
		/* Alone, quantum followed quantum. */
		if (!s->had_waiting && (!waits || used % q)) {
			task_fresh(t, now_ns, waits ? used % q : used);
			continue;
		}
		task_fresh(t, now_ns, 0);
		t->stamp = ++s->seq;
		if (demote && t->level + 1 < (int32_t)s->conf.levels)
			t->level++;
	}
}

static int64_t quantum(const struct slice *s, const struct task *t)
{
	return s->conf.quantum_ns;
}

static void before(struct slice *s, int64_t now_ns)
{
	slice_expire(s, now_ns, quantum, false);
}

static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	return 0;
}

static int64_t wake(const struct slice *s, const struct task *t, int64_t now_ns)
{
	if (!s->n_passed || t->state != TASK_RUNNING)
		return 0;
	return now_ns + s->conf.quantum_ns - task_used(t, now_ns);
}

const struct slice_policy slice_policy_rr = {
	.name = "rr",
	.fills_gaps = true,
	.key = key,
	.before = before,
	.wake = wake,
};
