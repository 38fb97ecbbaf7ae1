/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sched/record.h"
#include "sched/slice.h"
#include "sim/log_int.h"
#include "util/mem.h"

/* Sums of what a log may name stay within an int64_t. */
#define AMOUNT_MAX (INT64_C(1) << 50)
#define ID_MAX     24

struct player {
	struct sim_replay *ret;
	struct sched *sched;
	int64_t now_ns;   /* of the log */
	int64_t ahead_ns; /* the scheduler's clock is so much ahead of it */
	struct strv due;  /* what the last pass decided, of which the log had @n_due so far */
	size_t n_due;
	struct slice *slice;
	int64_t *turn; /* the same of the last turn: who runs, or (below 0) stops */
	size_t n_turn, n_turn_due;
	bool has_state, skips;
};

static void player_done(struct player *p)
{
	sched_free(p->sched);
	strv_done(&p->due);
	slice_free(p->slice);
	free(p->turn);
}

static inline void own_player_release(struct player *p)
{
	player_done(p);
}

void sim_replay_done(struct sim_replay *r)
{
	free(r->difference);
	r->difference = NULL;
}

static int64_t clock_of(const struct player *p)
{
	return p->now_ns + p->ahead_ns;
}

static const char *id_of(int64_t n, char *buf)
{
	snprintf(buf, ID_MAX, "%" PRId64, n);
	return buf;
}

static struct err *impossible(const char *what, const struct record *r)
{
	return err_new(ERR_CORRUPT, "%c %" PRId64 ": %s", r->letter, r->v[0], what);
}

/* ---- what it was told ---- */

static bool is_known(const struct sched *s, const char *id)
{
	struct sched_reason why;
	struct amounts held;

	return sched_reason(s, id, &why) || sched_held(s, id, &held);
}

static struct err *begin(struct player *p, const struct record *r)
{
	sched_free(p->sched);
	p->sched = sched_new();
	slice_free(p->slice);
	p->slice = slice_new();
	p->ahead_ns = r->v[0] - p->now_ns;
	p->has_state = true;
	return NULL;
}

static struct err *take_begin(struct player *p, const struct record *r)
{
	p->ret->begins++;
	return begin(p, r);
}

static struct err *take_copy(struct player *p, const struct record *r)
{
	p->skips = p->has_state;
	return p->skips ? NULL : begin(p, r);
}

static struct err *take_total(struct player *p, const struct record *r)
{
	sched_capacity(p->sched, record_amounts(r));
	return NULL;
}

static struct err *take_other(struct player *p, const struct record *r)
{
	sched_host(p->sched, record_amounts(r));
	return NULL;
}

static struct err *take_policy(struct player *p, const struct record *r)
{
	return sched_policy_set(p->sched, r->policy);
}

static struct err *take_max_wait(struct player *p, const struct record *r)
{
	sched_max_wait(p->sched, r->v[0]);
	return NULL;
}

static struct err *take_aging(struct player *p, const struct record *r)
{
	sched_aging(p->sched, r->v[0]);
	return NULL;
}

static struct err *take_turn_time(struct player *p, const struct record *r)
{
	if (r->v[0] < 0)
		return impossible("a number below 0", r);
	sched_turn(p->sched, r->v[0]);
	return NULL;
}

static struct err *take_spilled(struct player *p, const struct record *r)
{
	char id[ID_MAX];

	id_of(r->v[0], id);
	if (!is_known(p->sched, id))
		return impossible("it is not there", r);
	if (sched_memory(p->sched, id) == SCHED_SPILLING)
		sched_spilled(p->sched, id, r->v[1] == SPILL_FAILED, clock_of(p));
	else
		sched_be_spilled(p->sched, id, r->v[1] == SPILL_UNDER_WAY);
	return NULL;
}

static struct err *take_drain(struct player *p, const struct record *r)
{
	sched_drain(p->sched, r->v[0] != 0);
	return NULL;
}

static struct err *take_circle(struct player *p, const struct record *r)
{
	if (r->v[1] < 0)
		return impossible("no place", r);
	sched_circle(p->sched, r->v[0], (uint64_t)r->v[1]);
	return NULL;
}

static struct err *take_quota(struct player *p, const struct record *r)
{
	if (r->v[1] < 0 || r->v[1] > UINT32_MAX)
		return impossible("no number of instances", r);
	sched_quota(p->sched, r->v[0], record_amounts(r), (uint32_t)r->v[1]);
	return NULL;
}

static struct err *take_job(struct player *p, const struct record *r)
{
	struct sched_job j = record_job(r);
	char id[ID_MAX];
	int64_t at = clock_of(p) - r->v[JOB_AGO];

	j.id = id_of(r->v[JOB_N], id);
	for (int k = 0; k < RES_COUNT; k++)
		if (j.demand.v[k] < 0)
			return impossible("a demand below 0", r);
	if (j.place < 0 || j.expect_ns < 0 || j.max_wait_ns < 0)
		return impossible("a number below 0", r);
	if ((r->letter == REC_RESIZED) != is_known(p->sched, id))
		return impossible(
		    r->letter == REC_RESIZED ? "it is not there" : "it is there already", r);
	if (r->letter == REC_ARRIVED)
		sched_arrive(p->sched, &j, at);
	else if (r->letter == REC_HOLDS)
		sched_adopt(p->sched, &j, at);
	else
		sched_resize(p->sched, id, &j);
	return NULL;
}

static struct err *take_one(struct player *p, const struct record *r)
{
	char id[ID_MAX];

	id_of(r->v[0], id);
	if (!is_known(p->sched, id))
		return impossible("it is not there", r);
	if (r->letter == REC_HELD)
		sched_hold(p->sched, id, r->v[1] != 0);
	else if (r->letter == REC_REPLANNED)
		sched_replan(p->sched, id, r->v[1]);
	else
		sched_leave(p->sched, id);
	return NULL;
}

static struct err *take_move(struct player *p, const struct record *r)
{
	char id[ID_MAX], other[ID_MAX];
	bool has_other = r->v[1] == SCHED_BEFORE || r->v[1] == SCHED_AFTER;

	if (r->v[1] < SCHED_FIRST || r->v[1] > SCHED_AFTER)
		return impossible("no place", r);
	return sched_move(p->sched, id_of(r->v[0], id), (enum sched_where)r->v[1],
			  has_other ? id_of(r->v[2], other) : NULL, clock_of(p));
}

/* ---- what it decided ---- */

/* Their letters, and of whom. */
static void note(struct player *p, char letter, const char *id)
{
	strv_addf(&p->due, "%c %s", letter, id);
}

static void note_admit(void *arg, const char *id)
{
	note(arg, REC_ADMITTED, id);
}

static void note_spill(void *arg, const char *id)
{
	note(arg, REC_SPILL, id);
}

static void note_unspill(void *arg, const char *id)
{
	note(arg, REC_UNSPILL, id);
}

static struct err *take_pass(struct player *p, const struct record *r)
{
	strv_done(&p->due);
	p->n_due = 0;
	sched_pass(p->sched, clock_of(p),
		   &(struct sched_decisions) { note_admit, note_spill, note_unspill }, p);
	p->ret->passes++;
	return NULL;
}

static const char *verb(char letter)
{
	return letter == REC_SPILL ? "spills" : letter == REC_UNSPILL ? "unspills" : "admits";
}

static struct err *take_decision(struct player *p, const struct record *r)
{
	const char *due = p->n_due < p->due.n ? p->due.v[p->n_due] : NULL;
	char id[ID_MAX];

	if (due && *due == r->letter && !strcmp(due + 2, id_of(r->v[0], id))) {
		p->n_due++;
		p->ret->decisions++;
	} else {
		p->ret->difference =
		    xasprintf("the log %s %" PRId64 ", the replay %s%s%s", verb(r->letter), r->v[0],
			      due && *due != r->letter ? verb(*due) : "",
			      due && *due != r->letter ? " " : "", due ? due + 2 : "nobody");
	}
	return NULL;
}

/* ---- time slicing ---- */

static struct err *take_slicing(struct player *p, const struct record *r)
{
	TRY_MSG(slice_take(p->slice, r, clock_of(p)), "%c", r->letter);
	return NULL;
}

static void take_turn_words(struct player *p, const struct record *r)
{
	for (unsigned i = 0; i < r->n && !p->ret->difference; i++) {
		bool is_due = p->n_turn_due < p->n_turn;

		if (is_due && p->turn[p->n_turn_due] == r->v[i]) {
			p->n_turn_due++;
			p->ret->switches++;
			continue;
		}
		p->ret->difference = xasprintf(
		    "the log lets %" PRId64 " %s, the replay %s", r->v[i] < 0 ? -r->v[i] : r->v[i],
		    r->v[i] < 0 ? "stop" : "run", is_due ? "another one" : "nobody");
	}
}

static struct err *take_turn(struct player *p, const struct record *r)
{
	struct slice_result got = slice_pass(p->slice, clock_of(p));

	free(p->turn);
	p->turn = xcalloc(got.n + 1, sizeof(*p->turn));
	p->n_turn = got.n;
	p->n_turn_due = 0;
	for (size_t i = 0; i < got.n; i++)
		p->turn[i] =
		    got.changes[i].run ? (int64_t)got.changes[i].tag : -(int64_t)got.changes[i].tag;
	p->ret->turns++;
	take_turn_words(p, r);
	return NULL;
}

static struct err *take_turn_more(struct player *p, const struct record *r)
{
	take_turn_words(p, r);
	return NULL;
}

static bool is_turn_told(struct player *p)
{
	int64_t n;

	if (p->n_turn_due == p->n_turn)
		return true;
	n = p->turn[p->n_turn_due];
	p->ret->difference = xasprintf("before it the replay lets %" PRId64 " %s, the log nobody",
				       n < 0 ? -n : n, n < 0 ? "stop" : "run");
	return false;
}

/* A pass is over when something else follows. */
static bool is_all_told(struct player *p)
{
	if (p->n_due == p->due.n)
		return true;
	p->ret->difference = xasprintf("before it the replay %s %s, the log nobody",
				       verb(*p->due.v[p->n_due]), p->due.v[p->n_due] + 2);
	return false;
}

static const struct {
	char letter;
	struct err *(*take)(struct player *p, const struct record *r);
} takers[] = {
	{ REC_BEGIN, take_begin },         { REC_COPY, take_copy },
	{ REC_TOTAL, take_total },         { REC_OTHER, take_other },
	{ REC_POLICY, take_policy },       { REC_MAX_WAIT, take_max_wait },
	{ REC_AGING, take_aging },         { REC_QUOTA, take_quota },
	{ REC_ARRIVED, take_job },         { REC_HOLDS, take_job },
	{ REC_RESIZED, take_job },         { REC_HELD, take_one },
	{ REC_REPLANNED, take_one },       { REC_ENDED, take_one },
	{ REC_WITHDRAWN, take_one },       { REC_MOVED, take_move },
	{ REC_PASS, take_pass },           { REC_ADMITTED, take_decision },
	{ REC_SPILL, take_decision },      { REC_UNSPILL, take_decision },
	{ REC_SPILLED, take_spilled },     { REC_ALLOCATION_TURN, take_turn_time },
	{ REC_DRAIN, take_drain },         { REC_CIRCLE, take_circle },
	{ REC_SCHEDULE, take_slicing },    { REC_TASK, take_slicing },
	{ REC_TASK_EXPECT, take_slicing }, { REC_TASK_LEFT, take_slicing },
	{ REC_STOPPED, take_slicing },     { REC_TURN, take_turn },
	{ REC_TURN_MORE, take_turn_more },
};

static bool is_bounded(const struct record *r)
{
	/* Times and amounts; uids and numbers are names. */
	for (unsigned i = 0; i < r->n; i++)
		if (r->v[i] > SIM_TIME_MAX || r->v[i] < -SIM_TIME_MAX)
			return false;
	if (r->letter == REC_ARRIVED || r->letter == REC_HOLDS || r->letter == REC_RESIZED) {
		for (unsigned i = JOB_CPU; i <= JOB_MANAGE; i++)
			if (r->v[i] > AMOUNT_MAX)
				return false;
		return r->v[JOB_PIDS] <= AMOUNT_MAX && r->v[JOB_PLACE] <= AMOUNT_MAX;
	}
	return true;
}

static bool is_decision(char letter)
{
	return letter == REC_ADMITTED || letter == REC_SPILL || letter == REC_UNSPILL;
}

static struct err *take_record(struct player *p, const struct record *r)
{
	if (p->skips) {
		p->skips = r->letter != REC_COPIED;
		return NULL;
	}
	if ((!is_decision(r->letter) && !is_all_told(p)) ||
	    (r->letter != REC_TURN_MORE && !is_turn_told(p)))
		return NULL;
	if (!is_bounded(r))
		return impossible("a number beyond all bounds", r);
	for (size_t i = 0; i < ARRAY_SIZE(takers); i++)
		if (takers[i].letter == r->letter)
			return takers[i].take(p, r);
	return NULL;
}

static struct err *take_line(struct player *p, const struct log_line *line)
{
	if (line->result == RECORD_UNKNOWN || line->result == RECORD_EMPTY)
		return NULL;
	if (line->result != RECORD_OK)
		return err_new(ERR_CORRUPT, "no record");
	p->now_ns = line->at_ns;
	p->ret->records++;
	return take_record(p, &line->record);
}

struct err *sim_replay_read(struct source in, struct sim_replay *ret)
{
	OWN(player) struct player p = { .ret = ret, .sched = sched_new(), .slice = slice_new() };
	OWN(lines) struct lines l = { 0 };
	struct log_cursor at = { .lines = &l };
	struct log_line line;

	lines_init(&l, in);
	while (!ret->difference) {
		TRY(log_next(&at, &line));
		if (line.is_end)
			break;
		ret->file = at.file;
		ret->line = at.line;
		TRY_MSG(take_line(&p, &line), "line %" PRIu64, at.line);
	}
	return NULL;
}
