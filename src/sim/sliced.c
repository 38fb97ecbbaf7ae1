/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/run_int.h"
#include "util/mem.h"

/*
 * More is admitted than the cpus hold: sched/slice.h says who runs, one slicer per node.  A job
 * makes progress at a rate of its full speed: 1 or 0 under the policies that freeze, its part of
 * the cpus under fair.
 */

bool sliced_wanted(const struct sim_config *c)
{
	return c->overcommit > 1;
}

static int64_t cpus_of(const struct sim_config *c, size_t i)
{
	return c->n_nodes ? c->nodes[i].v[RES_CPU] : c->pool.v[RES_CPU];
}

struct err *sliced_init(struct runner *s)
{
	const struct sim_config *c = s->c;
	struct slice_config conf = {
		.policy = c->schedule ? c->schedule : "fcfs",
		.quantum_ns = c->quantum_ns,
		.aging_ns = c->age_ns,
		.boost_ns = c->boost_ns,
		.suspends_at_once = true,
	};

	if (c->seq)
		return err_new(ERR_INVALID, "time slicing goes with --events batch only");
	if (c->turn_ns)
		return err_new(ERR_INVALID, "--turn gives allocations back, it does not go with "
					    "time slicing");
	s->is_fair = streq(conf.policy, "fair");
	s->n_slicers = c->n_nodes ? c->n_nodes : 1;
	s->slicers = xcalloc(s->n_slicers, sizeof(*s->slicers));
	s->dirty = xcalloc(s->n_slicers, sizeof(*s->dirty));
	for (size_t i = 0; i < s->n_slicers; i++) {
		conf.cpu_milli = cpus_of(c, i);
		s->slicers[i].s = slice_new();
		TRY(slice_configure(s->slicers[i].s, &conf));
	}
	return NULL;
}

void sliced_done(struct runner *s)
{
	for (size_t i = 0; i < s->n_slicers; i++) {
		slice_free(s->slicers[i].s);
		free(s->slicers[i].members);
	}
	free(s->slicers);
	free(s->dirty);
}

void sliced_dirty(struct runner *s, uint32_t i)
{
	if (!s->slicers[i].is_dirty)
		s->dirty[s->n_dirty++] = i;
	s->slicers[i].is_dirty = true;
}

void sliced_admit(struct runner *s, uint32_t job, uint32_t handle, uint32_t node, int64_t now_ns)
{
	const struct sim_job *j = &s->t->jobs[job];
	struct stint *st = &s->stints[job];
	struct slice_job a = { .tag = job,
			       .cpu_milli = j->cpu_milli,
			       .priority = j->priority,
			       .expect_ns = st->first_ns };
	struct slicer *w;

	st->slicer = s->n_slicers > 1 ? node : 0;
	st->handle = handle;
	w = &s->slicers[st->slicer];
	st->slice = slice_admit(w->s, &a, now_ns);
	if (w->n == w->cap) {
		w->cap = w->cap * 2 + 16;
		w->members = xrealloc(w->members, w->cap, sizeof(*w->members));
	}
	w->members[w->n++] = job;
	sliced_dirty(s, st->slicer);
}

void sliced_leave(struct runner *s, uint32_t job, int64_t now_ns)
{
	struct stint *st = &s->stints[job];
	struct slicer *w = &s->slicers[st->slicer];
	uint32_t i = 0;

	slice_leave(w->s, st->slice, now_ns);
	while (w->members[i] != job)
		i++;
	w->members[i] = w->members[--w->n];
	sliced_dirty(s, st->slicer);
}

/* What a job has done since its rate was set; its rate is @rate from now. */
static void set_rate(struct runner *s, uint32_t job, double rate, int64_t now_ns)
{
	struct stint *st = &s->stints[job];
	struct sim_job *j = &s->t->jobs[job];
	int64_t done = (int64_t)((double)(now_ns - st->from_ns) * st->rate + 0.5);

	if (st->rate == rate)
		return;
	if (st->rate > 0 && now_ns > st->from_ns)
		run_record(s, job, st->from_ns, now_ns);
	if (st->rate > 0)
		st->left_ns -= done;
	else if (!st->end)
		j->start_ns = now_ns;
	st->rate = rate;
	st->from_ns = now_ns;
	st->end = UINT64_MAX; /* none; 0: it never ran */
	if (rate > 0)
		st->end = heap_add(&s->heap, now_ns + (int64_t)((double)st->left_ns / rate + 0.5),
				   EVENT_ENDS, job, st->handle);
}

static void apply_changes(struct runner *s, const struct slice_result *r, int64_t now_ns)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct slice_change *c = &r->changes[i];

		set_rate(s, (uint32_t)c->tag, c->run, now_ns);
		s->ret->result.preemptions += !c->run;
	}
}

/* Under fair the rates of all may change with one that comes or goes. */
static void apply_rates(struct runner *s, const struct slicer *w, int64_t now_ns)
{
	for (uint32_t i = 0; i < w->n; i++) {
		uint32_t job = w->members[i];
		const struct stint *st = &s->stints[job];
		double full = (double)s->t->jobs[job].cpu_milli;
		double rate = full > 0 ? slice_rate(w->s, st->slice) / full : 1;

		set_rate(s, job, rate < 1 ? rate : 1, now_ns);
	}
}

static void pass_one(struct runner *s, uint32_t i, int64_t now_ns)
{
	struct slicer *w = &s->slicers[i];
	struct slice_result r = slice_pass(w->s, now_ns);

	w->is_dirty = false;
	if (s->is_fair)
		apply_rates(s, w, now_ns);
	else
		apply_changes(s, &r, now_ns);
	if (r.wake_ns && r.wake_ns != w->wake_ns)
		heap_add(&s->heap, r.wake_ns, EVENT_SLICE, i, 0);
	w->wake_ns = r.wake_ns;
}

void sliced_pass(struct runner *s, int64_t now_ns)
{
	for (size_t i = 0; i < s->n_dirty; i++)
		pass_one(s, s->dirty[i], now_ns);
	s->n_dirty = 0;
}
