/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice_int.h"

/*
 * fair: all admitted run; the kernel shares the cpus by weight (cpu.shares, cpu.weight).  The
 * rates are what it then gives: weighted max-min, nobody more than the cpus he is admitted with.
 * Guarantee: everybody makes progress at no less than his part by weight.
 * Source: D. Bertsekas, R. Gallager, "Data Networks", 2nd ed., §6.5.2 (progressive filling).
 */
static int64_t key(const struct slice *s, const struct task *t, int64_t now_ns)
{
	return 0;
}

static double weight_of(const struct task *t)
{
	return t->job.weight > 0 ? t->job.weight : 1;
}

/* Those that want less than their part are served in full; the others share what is left. */
static void after(struct slice *s)
{
	double left = (double)s->conf.cpu_milli, weights = 0;
	bool is_settled = false;

	for (size_t i = 0; i < s->n_line; i++) {
		s->tasks[s->line[i]].rate = -1;
		weights += weight_of(&s->tasks[s->line[i]]);
	}
	while (!is_settled) {
		double per_weight = weights > 0 && left > 0 ? left / weights : 0;

		is_settled = true;
		for (size_t i = 0; i < s->n_line; i++) {
			struct task *t = &s->tasks[s->line[i]];

			if (t->rate >= 0 || (double)t->job.cpu_milli > per_weight * weight_of(t))
				continue;
			t->rate = (double)t->job.cpu_milli;
			left -= t->rate;
			weights -= weight_of(t);
			is_settled = false;
		}
	}
	for (size_t i = 0; i < s->n_line; i++)
		if (s->tasks[s->line[i]].rate < 0)
			s->tasks[s->line[i]].rate =
			    left > 0 ? left / weights * weight_of(&s->tasks[s->line[i]]) : 0;
}

const struct slice_policy slice_policy_fair = {
	.name = "fair",
	.all_run = true,
	.key = key,
	.after = after,
};
