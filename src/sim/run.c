/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run.h"

#include <stdlib.h>
#include <string.h>

#include "sim/run_int.h"
#include "util/mem.h"

static const char *const infos[] = { "est", "act", "tsafrir" };
_Static_assert(ARRAY_SIZE(infos) == SIM_INFO_COUNT, "name every kind");

const char *sim_info_name(enum sim_info i)
{
	return infos[i];
}

void sim_run_done(struct sim_run *r)
{
	sim_result_done(&r->result);
	free(r->slices);
	*r = (struct sim_run) { 0 };
}

static void runner_done(struct runner *s)
{
	alloc_free(s->a);
	predict_free(s->predict);
	heap_done(&s->heap);
	free(s->stints);
	sliced_done(s);
	world_free(s->world);
}

static inline void own_runner_release(struct runner *s)
{
	runner_done(s);
}

/* ---- the machine ---- */

/* Cpus are overcommitted, nothing else. */
static struct amounts times_cpus(struct amounts a, double factor)
{
	double cpus = (double)a.v[RES_CPU] * factor;

	a.v[RES_CPU] = cpus < (double)(INT64_MAX / 4) ? (int64_t)cpus : INT64_MAX / 4;
	return a;
}

static void machine_set(struct runner *s)
{
	const struct sim_config *c = s->c;
	OWN(mem) struct amounts *nodes = xcalloc(c->n_nodes + 1, sizeof(*nodes));
	double factor = sliced_wanted(c) ? c->overcommit : 1;

	for (size_t i = 0; i < c->n_nodes; i++)
		nodes[i] = times_cpus(c->nodes[i], factor);
	if (c->n_nodes)
		alloc_nodes(s->a, nodes, c->n_nodes);
	else
		alloc_capacity(s->a, times_cpus(c->pool, factor));
}

static struct err *runner_init(struct runner *s)
{
	const struct sim_config *c = s->c;
	struct alloc_config conf = {
		.policy = c->policy,
		.resources = s->t->more ? 0 : 1,
		.seq = c->seq,
		.max_wait_ns = c->max_wait_ns,
		.aging_ns = c->aging_ns,
		.turn_ns = c->turn_ns,
		.place = c->place,
	};
	OWN(mem) char *over = NULL;

	TRY(alloc_policy_over(c->policy, &over));
	if (over && !streq(over, s->t->label))
		return err_new(ERR_INVALID, "the trace does not tell of the label \"%.64s\"", over);
	s->by_label = over != NULL;
	s->a = alloc_new(&conf);
	machine_set(s);
	if (c->changes && s->t->n_changes)
		s->world = world_new(s);
	s->predict = predict_new(c->info, s->t);
	if (c->info == SIM_INFO_TSAFRIR || c->turn_ns || sliced_wanted(c))
		s->stints = xcalloc(s->t->n, sizeof(*s->stints));
	return sliced_wanted(c) ? sliced_init(s) : NULL;
}

/* ---- events ---- */

void run_record(struct runner *s, uint32_t job, int64_t from_ns, int64_t to_ns)
{
	struct sim_run *r = s->ret;

	if (r->n_slices < s->c->slices_max)
		r->slices[r->n_slices++] = (struct sim_slice) { from_ns, to_ns, job };
}

void run_arrive(struct runner *s)
{
	uint32_t i = (uint32_t)s->next++, h;
	const struct sim_job *j = &s->t->jobs[i];
	struct alloc_job a = {
		.tag = i,
		.demand.v[RES_CPU] = j->cpu_milli,
		.arrival_ns = j->submit_ns,
		.planned_ns = predict_run(s->predict, j),
		.priority = j->priority,
		.user = j->user,
		.label = j->user,
	};

	if (s->t->more) {
		a.demand.v[RES_MEMORY] = s->t->more[i].memory_bytes;
		a.demand.v[RES_GPUS] = s->t->more[i].gpu_milli;
	}
	if (s->by_label)
		a.label = s->t->more ? s->t->more[i].label : 0;
	a.aside = s->t->is_log && !j->cpu_milli && !a.demand.v[RES_MEMORY] && !a.demand.v[RES_GPUS];
	if (s->stints)
		s->stints[i] = (struct stint) { .left_ns = j->run_ns, .first_ns = a.planned_ns };
	h = alloc_arrive(s->a, &a);
	if (s->world)
		world_arrived(s->world, i, h);
	if (s->c->progress && s->next % 4096 == 0)
		s->c->progress(s->c->arg, s->next, s->t->n);
}

static void start_stint(struct runner *s, uint32_t i, uint32_t handle, int64_t now_ns)
{
	struct sim_job *j = &s->t->jobs[i];
	struct stint *st = &s->stints[i];

	if (st->left_ns == j->run_ns)
		j->start_ns = now_ns;
	st->from_ns = now_ns;
	st->end = heap_add(&s->heap, now_ns + st->left_ns, EVENT_ENDS, i, handle);
	if (s->c->info == SIM_INFO_TSAFRIR && st->first_ns > 0 && st->first_ns < j->run_ns &&
	    !s->c->turn_ns)
		heap_add(&s->heap, now_ns + st->first_ns, EVENT_EXPIRES, i, handle);
}

static void start(struct runner *s, const struct alloc_start *d, int64_t now_ns)
{
	uint32_t i = (uint32_t)d->tag;
	struct sim_job *j = &s->t->jobs[i];

	if (s->world)
		world_started(s->world, i);
	if (s->slicers) {
		sliced_admit(s, i, d->handle, d->node, now_ns);
		return;
	}
	if (s->stints) {
		start_stint(s, i, d->handle, now_ns);
		return;
	}
	j->start_ns = now_ns;
	heap_add(&s->heap, now_ns + j->run_ns, EVENT_ENDS, i, d->handle);
}

/* The allocation is taken back (a turn is over): the job goes to the tail with what is left. */
static void oust(struct runner *s, uint32_t handle, int64_t now_ns)
{
	uint32_t i = (uint32_t)alloc_tag(s->a, handle);
	struct stint *st = &s->stints[i];

	run_record(s, i, st->from_ns, now_ns);
	st->left_ns -= now_ns - st->from_ns;
	st->end = 0;
	s->ret->result.preemptions++;
	alloc_requeue(s->a, handle, now_ns);
}

void run_pass(struct runner *s, int64_t now_ns)
{
	struct alloc_result r;
	uint64_t waiting;

	s->wake_ns = 0;
	if (s->world && world_is_drained(s->world))
		return;
	for (;;) {
		OWN(mem) uint32_t *out = NULL;
		size_t n;

		r = alloc_pass(s->a, now_ns);
		s->ret->result.passes++;
		for (size_t i = 0; i < r.n_starts; i++)
			start(s, &r.starts[i], now_ns);
		n = r.n_ousted;
		if (!n)
			break;
		out = xcalloc(n, sizeof(*out));
		memcpy(out, r.ousted, n * sizeof(*out));
		for (size_t i = 0; i < n; i++)
			oust(s, out[i], now_ns);
	}
	s->wake_ns = r.wake_ns;
	waiting = alloc_waiting(s->a);
	if (waiting > s->ret->result.queue_max)
		s->ret->result.queue_max = waiting;
}

static void end_job(struct runner *s, const struct event *e)
{
	struct sim_job *j = &s->t->jobs[e->job];

	j->end_ns = e->at_ns;
	run_record(s, e->job, s->stints ? s->stints[e->job].from_ns : j->start_ns, e->at_ns);
	predict_learn(s->predict, j);
	if (s->slicers)
		sliced_leave(s, e->job, e->at_ns);
	alloc_leave(s->a, e->handle);
}

static void expire(struct runner *s, const struct event *e)
{
	struct stint *st = &s->stints[e->job];
	const struct sim_job *j = &s->t->jobs[e->job];
	int64_t planned = predict_raise(j, st->first_ns, e->at_ns - j->start_ns);

	alloc_replan(s->a, e->handle, planned);
	if (planned < j->run_ns)
		heap_add(&s->heap, j->start_ns + planned, EVENT_EXPIRES, e->job, e->handle);
}

/* Ends of stints that did not last are void. */
static bool is_void(const struct runner *s, const struct event *e)
{
	return s->stints && event_kind(e) == EVENT_ENDS && s->stints[e->job].end != e->order;
}

static void take_event(struct runner *s)
{
	struct event e = heap_take(&s->heap);

	if (is_void(s, &e))
		return;
	if (event_kind(&e) == EVENT_SLICE)
		sliced_dirty(s, e.job);
	else if (event_kind(&e) == EVENT_EXPIRES)
		expire(s, &e);
	else
		end_job(s, &e);
}

static bool has_event(const struct runner *s, int64_t now_ns)
{
	return s->heap.n && s->heap.v[0].at_ns == now_ns;
}

static bool has_arrival(const struct runner *s, int64_t now_ns)
{
	return s->next < s->t->n && s->t->jobs[s->next].submit_ns == now_ns;
}

static void instant_batch(struct runner *s, int64_t now_ns)
{
	while (has_event(s, now_ns))
		take_event(s);
	while (has_arrival(s, now_ns))
		run_arrive(s);
	if (s->world)
		world_turn(s->world, now_ns);
	run_pass(s, now_ns);
	if (s->slicers)
		sliced_pass(s, now_ns);
}

/* A raised estimate alone is no reason for a pass: so are the published tables (EASY++ of SC'15).
 */
static void instant_seq(struct runner *s, int64_t now_ns)
{
	if (s->wake_ns == now_ns)
		run_pass(s, now_ns);
	while (has_event(s, now_ns) && event_kind(&s->heap.v[0]) == EVENT_EXPIRES)
		take_event(s);
	while (has_arrival(s, now_ns)) {
		run_arrive(s);
		run_pass(s, now_ns);
	}
	while (has_event(s, now_ns)) {
		take_event(s);
		run_pass(s, now_ns);
	}
}

/* The next instant at which anything happens; SIM_NEVER: none */
static int64_t next_instant(const struct runner *s)
{
	int64_t at = SIM_NEVER;

	if (s->next < s->t->n)
		at = s->t->jobs[s->next].submit_ns;
	if (s->heap.n && s->heap.v[0].at_ns < at)
		at = s->heap.v[0].at_ns;
	if (s->wake_ns && s->wake_ns < at)
		at = s->wake_ns;
	if (s->world && world_next_ns(s->world) < at)
		at = world_next_ns(s->world);
	return at;
}

static struct err *run_to_completion(struct runner *s)
{
	int64_t now_ns, last_ns = 0;

	for (;;) {
		now_ns = next_instant(s);
		if (now_ns == SIM_NEVER) {
			if (!alloc_waiting(s->a) || !s->world || !world_lift(s->world))
				break;
			now_ns = last_ns;
		}
		last_ns = now_ns;
		if (now_ns > 2 * SIM_TIME_MAX)
			return err_new(ERR_LIMIT, "the simulated time goes beyond 146 years");
		if (s->c->seq)
			instant_seq(s, now_ns);
		else
			instant_batch(s, now_ns);
	}
	if (alloc_waiting(s->a))
		return err_new(ERR_STATE, "%zu jobs never start under %s", alloc_waiting(s->a),
			       s->c->policy);
	return NULL;
}

static int64_t cpus_of(const struct sim_config *c)
{
	int64_t sum = c->n_nodes ? 0 : c->pool.v[RES_CPU];

	for (size_t i = 0; i < c->n_nodes; i++)
		sum += c->nodes[i].v[RES_CPU];
	return sum;
}

struct err *sim_label_of(const char *policies, char **ret)
{
	OWN(mem) char *copy = xstrdup(policies);
	char *save = NULL;

	*ret = NULL;
	for (char *p = strtok_r(copy, ", ", &save); p && !*ret; p = strtok_r(NULL, ", ", &save))
		TRY(alloc_policy_over(p, ret));
	return NULL;
}

struct err *sim_run(struct sim_trace *t, const struct sim_config *c, struct sim_run *ret)
{
	OWN(runner) struct runner s = { .t = t, .c = c, .ret = ret };

	TRY(runner_init(&s));
	if (c->slices_max)
		ret->slices = xcalloc(c->slices_max, sizeof(*ret->slices));
	TRY(run_to_completion(&s));
	ret->result.policy = xstrdup(c->policy);
	ret->result.rule = xstrdup(alloc_policy(s.a));
	ret->result.info = sim_info_name(c->info);
	ret->result.events = c->seq ? "seq" : "batch";
	ret->result.schedule = c->schedule ? c->schedule : "fcfs";
	sim_result_sum(t, cpus_of(c), &ret->result);
	return NULL;
}
