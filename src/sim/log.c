/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/log_int.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sched/alloc.h"
#include "util/mem.h"

/*
 * The event log of hosteld as a workload: what arrived, how long it ran, and when it did.
 *
 * A job runs from its first start to its last end: what restarts of itself keeps what it holds.
 * What was there before the log begins arrives, is admitted and starts with it.
 *
 * Spec: docs/protocols.md, "Event log".
 */

/* Above it is no number of gpus: thousandths of them must not overflow. */
#define GPUS_MAX 1000000

struct open_job {
	struct sim_job job;
	struct sim_more more;
	int64_t arrival_ns, admitted_ns, started_ns, stopped_ns; /* -1: not yet */
	int64_t id;
	uint32_t group;
	bool is_used;
};

struct log {
	struct sim_trace *t;
	int64_t now_ns;
	bool holds, keeps_changes;
	const char *wanted;    /* label */
	struct open_job *open; /* by id, open addressing; size a power of 2 */
	size_t size, used;
};

static inline void own_log_release(struct log *g)
{
	free(g->open);
}

/* ---- lines ---- */

bool log_is_header(const char *line, const char *end)
{
	return (size_t)(end - line) > strlen(RECORD_MAGIC) &&
	       !memcmp(line, RECORD_MAGIC, strlen(RECORD_MAGIC));
}

static struct err *take_header(struct log_cursor *c, const char *line)
{
	int64_t version;

	if (!scan_decimal(line + strlen(RECORD_MAGIC), 1, &version) || version != RECORD_VERSION)
		return err_new(ERR_UNSUPPORTED, "event log of another version than %d",
			       RECORD_VERSION);
	c->file += c->has_begun;
	c->has_begun = true;
	c->line = 1;
	c->now_ns = 0;
	return NULL;
}

static void take_time(struct log_cursor *c, struct log_line *ret)
{
	int64_t delta = ret->record.delta_ns;

	if (ret->result != RECORD_OK && ret->result != RECORD_UNKNOWN)
		return;
	if (delta < 0 || delta > SIM_TIME_MAX - c->now_ns)
		ret->result = RECORD_BAD;
	else
		c->now_ns += delta;
	ret->at_ns = c->now_ns;
}

struct err *log_next(struct log_cursor *c, struct log_line *ret)
{
	char *line, *end;

	*ret = (struct log_line) { 0 };
	for (;;) {
		TRY(lines_next(c->lines, &line, &end));
		ret->is_end = !line || end == c->lines->buf + c->lines->end;
		if (ret->is_end)
			return NULL;
		if (!log_is_header(line, end))
			break;
		TRY(take_header(c, line));
	}
	if (!c->has_begun)
		return err_new(ERR_CORRUPT, "no event log of hostel");
	c->line++;
	ret->result = record_parse(line, end, &ret->record);
	take_time(c, ret);
	return NULL;
}

/* ---- jobs that have not ended ---- */

static struct open_job *slot(struct open_job *open, size_t size, int64_t id)
{
	size_t i = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15ULL >> 20) & (size - 1);

	while (open[i].is_used && open[i].id != id)
		i = (i + 1) & (size - 1);
	return &open[i];
}

static struct open_job *job_open(struct log *g, int64_t id)
{
	struct open_job *o;

	if (g->used * 2 >= g->size) {
		size_t size = g->size * 2 + 64 * !g->size;
		struct open_job *bigger = xcalloc(size, sizeof(*bigger));

		for (size_t i = 0; i < g->size; i++)
			if (g->open[i].is_used)
				*slot(bigger, size, g->open[i].id) = g->open[i];
		free(g->open);
		g->open = bigger;
		g->size = size;
	}
	o = slot(g->open, g->size, id);
	g->used += !o->is_used;
	*o = (struct open_job) { .id = id, .is_used = true };
	return o;
}

static struct open_job *job_find(struct log *g, int64_t id)
{
	struct open_job *o = g->size ? slot(g->open, g->size, id) : NULL;

	/* Ended jobs stay in their slots with arrival -1, so that probing goes past them. */
	return o && o->is_used && o->arrival_ns >= 0 ? o : NULL;
}

/* ---- records ---- */

/* So long before now, but not before the log. */
static int64_t ago(const struct log *g, int64_t ns)
{
	return ns <= 0 ? g->now_ns : ns >= g->now_ns ? 0 : g->now_ns - ns;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The largest capacity it ever had: whatever ran must fit. */
static enum sim_bad take_total(struct log *g, const struct record *r)
{
	struct sim_machine_hint *h = &g->t->hint;
	struct amounts a = record_amounts(r);

	if (a.v[RES_GPUS] > GPUS_MAX || a.v[RES_CPU] > SIM_TIME_MAX)
		return SIM_BAD_NUMBER;
	for (int k = 0; k < RES_COUNT; k++)
		if (a.v[k] < 0)
			return SIM_BAD_NEGATIVE;
	h->cpu_milli = larger(h->cpu_milli, a.v[RES_CPU]);
	h->memory_bytes = larger(h->memory_bytes, a.v[RES_MEMORY]);
	h->gpu_milli = larger(h->gpu_milli, a.v[RES_GPUS] * 1000);
	return SIM_BAD_COUNT;
}

/* Groups are told for the label of the policy in force only. */
static enum sim_bad take_policy(struct log *g, const struct record *r)
{
	char *over = NULL;
	OWN(err) struct err *err = alloc_policy_over(r->policy, &over);

	if (!err && over && (!g->wanted || streq(g->wanted, over))) {
		free(g->t->label);
		g->t->label = TAKE(over);
	}
	free(over);
	str_set(&g->t->policy, r->policy);
	return SIM_BAD_COUNT;
}

static enum sim_bad take_limit(struct log *g, const struct record *r)
{
	int64_t *to = r->letter == REC_AGING ? &g->t->hint.aging_ns : &g->t->hint.max_wait_ns;

	if (r->v[0] < 0 || r->v[0] > SIM_TIME_MAX)
		return SIM_BAD_NUMBER;
	*to = r->v[0];
	return SIM_BAD_COUNT;
}

static enum sim_bad check_job(const struct record *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->v[i] < 0 && i != JOB_PRIORITY && i != JOB_DEADLINE)
			return SIM_BAD_NEGATIVE;
	if (r->v[JOB_GPUS] > GPUS_MAX || r->v[JOB_CPU] > UINT32_MAX ||
	    r->v[JOB_EXPECT] > SIM_TIME_MAX || r->v[JOB_MEMORY] > SIM_TIME_MAX)
		return SIM_BAD_NUMBER;
	return SIM_BAD_COUNT;
}

static void set_job(struct open_job *o, const struct record *r)
{
	o->more = (struct sim_more) { .memory_bytes = r->v[JOB_MEMORY],
				      .gpu_milli = r->v[JOB_GPUS] * 1000 };
	o->group = (uint32_t)(r->v[JOB_GROUP] ^ r->v[JOB_GROUP] >> 32);
	o->job.number = (uint32_t)r->v[JOB_N];
	o->job.user = (uint32_t)r->v[JOB_UID];
	o->job.priority = (int32_t)r->v[JOB_PRIORITY];
	o->job.cpu_milli = (uint32_t)r->v[JOB_CPU];
	o->job.est_ns = r->v[JOB_EXPECT] ? r->v[JOB_EXPECT] : SIM_NEVER;
}

static enum sim_bad take_job(struct log *g, const struct record *r)
{
	enum sim_bad bad = check_job(r);
	struct open_job *o;

	if (bad != SIM_BAD_COUNT)
		return bad;
	o = job_find(g, r->v[JOB_N]);
	if (!o && r->letter == REC_RESIZED)
		return SIM_BAD_COUNT;
	if (!o) {
		o = job_open(g, r->v[JOB_N]);
		o->arrival_ns = ago(g, r->v[JOB_AGO]);
		o->admitted_ns = o->started_ns = r->letter == REC_HOLDS ? o->arrival_ns : -1;
		o->stopped_ns = -1;
	}
	set_job(o, r);
	return SIM_BAD_COUNT;
}

static enum sim_bad take_mark(struct log *g, const struct record *r)
{
	struct open_job *o = job_find(g, r->v[0]);

	/* It arrived before the log begins. */
	if (!o)
		return SIM_BAD_COUNT;
	if (r->letter == REC_ADMITTED && o->admitted_ns < 0)
		o->admitted_ns = g->now_ns;
	else if (r->letter == REC_STARTED && o->started_ns < 0)
		o->started_ns = larger(ago(g, r->v[1]), o->arrival_ns);
	else if (r->letter == REC_AGAIN)
		o->stopped_ns = ago(g, r->v[2]);
	return SIM_BAD_COUNT;
}

/* Only since its release could it have been admitted. */
static enum sim_bad take_held(struct log *g, const struct record *r)
{
	struct open_job *o = job_find(g, r->v[0]);

	if (o && !r->v[1] && o->admitted_ns < 0)
		o->arrival_ns = g->now_ns;
	return SIM_BAD_COUNT;
}

/* ---- what happens to the host ---- */

#define CHANGE_MOST (INT64_C(1) << 50)

static enum sim_bad take_change(struct log *g, const struct record *r)
{
	struct sim_change c = { .at_ns = g->now_ns, .amounts = record_amounts(r) };

	if (!g->keeps_changes)
		return SIM_BAD_COUNT;
	if (r->v[0] < -CHANGE_MOST || r->v[1] < -CHANGE_MOST)
		return SIM_BAD_NEGATIVE;
	for (int k = 0; k < RES_COUNT; k++)
		if (c.amounts.v[k] > CHANGE_MOST || c.amounts.v[k] < -CHANGE_MOST)
			return SIM_BAD_NUMBER;
	c.amounts.v[RES_GPUS] *= 1000;
	if (r->letter == REC_OTHER) {
		c.kind = SIM_OTHER;
	} else if (r->letter == REC_QUOTA) {
		c.kind = SIM_QUOTA;
		c.user = sim_trace_user(g->t, (uint32_t)r->v[0]);
		c.count = (uint32_t)r->v[1];
	} else if (r->letter == REC_MOVED) {
		c.kind = SIM_MOVE;
		c.number = (uint32_t)r->v[0];
		c.count = (uint32_t)r->v[1];
		c.other = (uint32_t)r->v[2];
	} else {
		c.kind = SIM_DRAIN;
		c.count = r->letter == REC_DRAIN && r->v[0];
	}
	sim_trace_change(g->t, &c);
	return SIM_BAD_COUNT;
}

static enum sim_bad close_job(struct log *g, struct open_job *o, int64_t end_ns)
{
	bool by_start = o->started_ns >= 0 && !(g->holds && o->admitted_ns >= 0);
	int64_t from = by_start ? o->started_ns : o->admitted_ns;

	o->job.submit_ns = o->arrival_ns;
	o->arrival_ns = -1;
	if (from < 0 || end_ns <= from)
		return SIM_DROP_RUN;
	o->job.start_ns = from;
	o->job.end_ns = end_ns;
	o->job.run_ns = end_ns - from;
	if (o->job.est_ns != SIM_NEVER && o->job.run_ns > o->job.est_ns)
		o->job.est_ns = o->job.run_ns;
	if (g->t->label)
		o->more.label = sim_trace_label(g->t, o->group);
	sim_trace_add(g->t, &o->job, &o->more);
	return SIM_BAD_COUNT;
}

static enum sim_bad take_end(struct log *g, const struct record *r)
{
	struct open_job *o = job_find(g, r->v[0]);

	return o ? close_job(g, o, ago(g, r->v[2])) : SIM_BAD_COUNT;
}

static enum sim_bad take_withdrawal(struct log *g, const struct record *r)
{
	struct open_job *o = job_find(g, r->v[0]);

	if (!o)
		return SIM_BAD_COUNT;
	/* Between two runs of it. */
	if (o->stopped_ns >= 0)
		return close_job(g, o, o->stopped_ns);
	o->arrival_ns = -1;
	return SIM_DROP_RUN;
}

static const struct {
	char letter;
	enum sim_bad (*take)(struct log *g, const struct record *r);
} takers[] = {
	{ REC_TOTAL, take_total },
	{ REC_POLICY, take_policy },
	{ REC_MAX_WAIT, take_limit },
	{ REC_AGING, take_limit },
	{ REC_ARRIVED, take_job },
	{ REC_HOLDS, take_job },
	{ REC_RESIZED, take_job },
	{ REC_ADMITTED, take_mark },
	{ REC_STARTED, take_mark },
	{ REC_AGAIN, take_mark },
	{ REC_HELD, take_held },
	{ REC_ENDED, take_end },
	{ REC_WITHDRAWN, take_withdrawal },
	{ REC_OTHER, take_change },
	{ REC_QUOTA, take_change },
	{ REC_MOVED, take_change },
	{ REC_DRAIN, take_change },
	{ REC_BEGIN, take_change }, /* not drained until it says so */
};

static enum sim_bad take_line(struct log *g, const struct log_line *line)
{
	static const enum sim_bad bads[] = {
		[RECORD_OK] = SIM_BAD_COUNT,      [RECORD_EMPTY] = SIM_BAD_COUNT,
		[RECORD_UNKNOWN] = SIM_BAD_COUNT, [RECORD_SHORT] = SIM_BAD_SHORT,
		[RECORD_BAD] = SIM_BAD_NUMBER,
	};

	if (line->result == RECORD_BAD && line->record.delta_ns < 0)
		return SIM_BAD_NEGATIVE;
	if (line->result != RECORD_OK)
		return bads[line->result];
	g->now_ns = line->at_ns;
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		if (takers[i].letter == line->record.letter)
			return takers[i].take(g, &line->record);
	return SIM_BAD_COUNT;
}

static struct err *read_log(struct lines *l, const struct sim_limits *limits, struct sim_trace *t)
{
	OWN(log)
	struct log g = { .t = t,
			 .holds = limits->holds,
			 .keeps_changes = limits->changes,
			 .wanted = limits->label };
	struct log_cursor c = { .lines = l };
	struct log_line line;

	t->is_log = true;
	str_set(&t->label, NULL); /* until a policy is over it */
	for (;;) {
		enum sim_bad bad;

		TRY(log_next(&c, &line));
		if (line.is_end)
			break;
		bad = take_line(&g, &line);
		if (bad != SIM_BAD_COUNT)
			sim_trace_count(t, bad, l->number);
	}
	for (size_t i = 0; i < g.size; i++)
		if (g.open[i].is_used && g.open[i].arrival_ns >= 0)
			sim_trace_count(t, SIM_DROP_OPEN, l->number);
	return NULL;
}

const struct sim_format sim_format_log = { .name = "log",
					   .is_it = log_is_header,
					   .read = read_log };
