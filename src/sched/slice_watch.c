/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/record.h"
#include "sched/slice_int.h"
#include "util/mem.h"

/*
 * Time slicing as records of the event log, and back.
 *
 * A pass is told when it changed anything that the next one reads: then a reader that makes the
 * told ones only has the same state, and decides the same.
 */

/* What a log of any origin may say, so that sums and products do not overflow. */
#define QUANTUM_MOST (INT64_C(1) << 50)
#define CPU_MOST     (INT64_C(1) << 42)

/* ---- telling ---- */

static void tell(struct slice *s, const struct record *r, int64_t at_ns)
{
	s->watch(s->watch_arg, r, at_ns);
}

void slice_watch(struct slice *s, void (*fn)(void *arg, const struct record *r, int64_t at_ns),
		 void *arg)
{
	s->watch = fn;
	s->watch_arg = arg;
}

struct record slice_record(const struct slice *s)
{
	struct record r = record_of_policy(s->policy->name);

	r.letter = REC_SCHEDULE;
	r.n = SCHEDULE_SEQ;
	r.v[SCHEDULE_CPU] = s->conf.cpu_milli;
	r.v[SCHEDULE_QUANTUM] = s->conf.quantum_ns;
	r.v[SCHEDULE_AGE] = s->conf.aging_ns;
	r.v[SCHEDULE_BOOST] = s->conf.boost_ns;
	return r;
}

void slice_tell_schedule(struct slice *s)
{
	struct record r;

	if (!s->watch)
		return;
	r = slice_record(s);
	tell(s, &r, SLICE_NO_TIME);
}

static struct record record_of_task(const struct task *t)
{
	struct record r = { .letter = REC_TASK, .n = TASK_STATE };

	r.v[TASK_N] = t->job.number;
	r.v[TASK_CPU] = t->job.cpu_milli;
	r.v[TASK_PRIORITY] = t->job.priority;
	r.v[TASK_EXPECT] = t->job.expect_ns;
	return r;
}

void slice_tell_task(struct slice *s, uint32_t h, int64_t now_ns)
{
	struct record r;

	if (!s->watch)
		return;
	r = record_of_task(&s->tasks[h]);
	tell(s, &r, now_ns);
}

static void tell_words(struct slice *s, char letter, unsigned n, const int64_t *v, int64_t at_ns)
{
	struct record r = record_of(letter, n, v);

	tell(s, &r, at_ns);
}

void slice_tell_expect(struct slice *s, uint32_t h)
{
	const struct slice_job *j = &s->tasks[h].job;

	if (s->watch)
		tell_words(s, REC_TASK_EXPECT, 2, (int64_t[]) { j->number, j->expect_ns },
			   SLICE_NO_TIME);
}

void slice_tell_left(struct slice *s, uint32_t h, int64_t now_ns)
{
	if (s->watch)
		tell_words(s, REC_TASK_LEFT, 1, &s->tasks[h].job.number, now_ns);
}

void slice_tell_stopped(struct slice *s, uint32_t h, int64_t now_ns)
{
	if (s->watch)
		tell_words(s, REC_STOPPED, 1, &s->tasks[h].job.number, now_ns);
}

/* ---- passes ---- */

void slice_note(struct slice *s)
{
	if (!s->watch)
		return;
	if (s->cap_before < s->n_tasks) {
		s->cap_before = s->cap_tasks;
		s->before = xrealloc(s->before, s->cap_before, sizeof(struct task));
		s->line_before = xrealloc(s->line_before, s->cap_before, sizeof(uint32_t));
	}
	if (s->n_tasks)
		memcpy(s->before, s->tasks, s->n_tasks * sizeof(struct task));
	if (s->n_line)
		memcpy(s->line_before, s->line, s->n_line * sizeof(uint32_t));
	s->seq_before = s->seq;
	s->boosted_before_ns = s->boosted_ns;
	s->had_waiting_before = s->had_waiting;
}

static bool is_as_before(const struct slice *s)
{
	if (s->n_changes || s->seq != s->seq_before || s->boosted_ns != s->boosted_before_ns ||
	    s->had_waiting != s->had_waiting_before)
		return false;
	for (size_t i = 0; i < s->n_line; i++) {
		const struct task *t = &s->tasks[s->line[i]], *b = &s->before[s->line[i]];

		if (s->line[i] != s->line_before[i] || t->state != b->state ||
		    t->level != b->level || t->boost != b->boost || t->stamp != b->stamp ||
		    t->since_ns != b->since_ns || t->ran_ns != b->ran_ns ||
		    t->used_ns != b->used_ns)
			return false;
	}
	return true;
}

void slice_tell_pass(struct slice *s, int64_t now_ns)
{
	struct record r = { .letter = REC_TURN };

	if (!s->watch || is_as_before(s))
		return;
	for (size_t i = 0; i < s->n_changes; i++) {
		const struct slice_change *c = &s->changes[i];
		int64_t n = s->tasks[c->handle].job.number;

		if (r.n == RECORD_WORDS) {
			tell(s, &r, now_ns);
			r = (struct record) { .letter = REC_TURN_MORE };
		}
		r.v[r.n++] = c->run ? n : -n;
	}
	tell(s, &r, now_ns);
}

/* ---- all that there is ---- */

static void tell_copy(struct slice *s, const struct task *t, int64_t now_ns)
{
	struct record r = record_of_task(t);

	r.n = TASK_WORDS;
	r.v[TASK_STATE] = t->state;
	r.v[TASK_STAMP] = (int64_t)t->stamp;
	r.v[TASK_SINCE] = t->since_ns;
	r.v[TASK_RAN] = t->ran_ns;
	r.v[TASK_USED] = t->used_ns;
	r.v[TASK_LEVEL] = t->level;
	r.v[TASK_BOOST] = t->boost;
	tell(s, &r, now_ns);
}

void slice_tell_all(struct slice *s, int64_t now_ns)
{
	struct record r = slice_record(s);

	r.n = SCHEDULE_WORDS;
	r.v[SCHEDULE_SEQ] = (int64_t)s->seq;
	r.v[SCHEDULE_BOOSTED] = s->boosted_ns;
	r.v[SCHEDULE_HAD_WAITING] = s->had_waiting;
	tell(s, &r, now_ns);
	for (size_t i = 0; i < s->n_line; i++)
		tell_copy(s, &s->tasks[s->line[i]], now_ns);
}

/* ---- being told ---- */

uint32_t slice_find(const struct slice *s, int64_t number)
{
	for (size_t i = 0; i < s->n_line; i++)
		if (s->tasks[s->line[i]].job.number == number)
			return s->line[i];
	return SLICE_NONE;
}

static struct err *take_schedule(struct slice *s, const struct record *r)
{
	struct slice_config c = s->conf;

	c.policy = r->policy;
	c.cpu_milli = r->v[SCHEDULE_CPU];
	c.quantum_ns = r->v[SCHEDULE_QUANTUM];
	c.aging_ns = r->v[SCHEDULE_AGE];
	c.boost_ns = r->v[SCHEDULE_BOOST];
	if (c.cpu_milli < 0 || c.quantum_ns <= 0 || c.quantum_ns > QUANTUM_MOST || c.aging_ns < 0 ||
	    c.boost_ns < 0)
		return err_new(ERR_CORRUPT, "a number beyond all bounds");
	TRY(slice_configure(s, &c));
	if (r->n <= SCHEDULE_SEQ)
		return NULL;
	s->seq = (uint64_t)r->v[SCHEDULE_SEQ];
	s->boosted_ns = r->v[SCHEDULE_BOOSTED];
	s->had_waiting = r->v[SCHEDULE_HAD_WAITING] != 0;
	return NULL;
}

static struct err *take_task(struct slice *s, const struct record *r, int64_t now_ns)
{
	const int64_t *v = r->v;
	struct slice_job job = {
		.tag = (uint64_t)v[TASK_N],
		.number = v[TASK_N],
		.cpu_milli = v[TASK_CPU],
		.priority = (int32_t)v[TASK_PRIORITY],
		.expect_ns = v[TASK_EXPECT],
	};
	uint64_t seq = s->seq;
	struct task *t;
	uint32_t h;

	if (v[TASK_CPU] < 0 || v[TASK_CPU] > CPU_MOST || v[TASK_EXPECT] < 0 ||
	    v[TASK_STATE] < (v[TASK_STAMP] ? TASK_READY : TASK_FREE) ||
	    v[TASK_STATE] > TASK_SUSPENDING || v[TASK_LEVEL] < 0 ||
	    v[TASK_LEVEL] >= (int64_t)s->conf.levels || v[TASK_PRIORITY] != job.priority)
		return err_new(ERR_CORRUPT, "a number beyond all bounds");
	if (slice_find(s, job.number) != SLICE_NONE)
		return err_new(ERR_CORRUPT, "it is there already");
	h = slice_admit(s, &job, now_ns);
	if (!v[TASK_STAMP])
		return NULL;
	s->seq = seq;
	t = &s->tasks[h];
	t->state = (enum task_state)v[TASK_STATE];
	t->stamp = (uint64_t)v[TASK_STAMP];
	t->since_ns = v[TASK_SINCE];
	t->ran_ns = v[TASK_RAN];
	t->used_ns = v[TASK_USED];
	t->level = (int32_t)v[TASK_LEVEL];
	t->boost = (int32_t)v[TASK_BOOST];
	return NULL;
}

static struct err *take_one(struct slice *s, const struct record *r, int64_t now_ns)
{
	uint32_t h = slice_find(s, r->v[0]);

	if (h == SLICE_NONE)
		return err_new(ERR_CORRUPT, "it is not there");
	if (r->letter == REC_TASK_EXPECT)
		slice_expect(s, h, r->v[1]);
	else if (r->letter == REC_TASK_LEFT)
		slice_leave(s, h, now_ns);
	else
		slice_suspended(s, h, now_ns);
	return NULL;
}

struct err *slice_take(struct slice *s, const struct record *r, int64_t now_ns)
{
	if (r->letter == REC_SCHEDULE)
		return take_schedule(s, r);
	if (r->letter == REC_TASK)
		return take_task(s, r, now_ns);
	return take_one(s, r, now_ns);
}
