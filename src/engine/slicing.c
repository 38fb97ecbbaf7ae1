/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/slicing.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "backend/resources.h"
#include "sched/record.h"
#include "sched/slice.h"
#include "sys/cgroup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define MS             INT64_C(1000000)
#define QUANTUM_NS     (50 * MS)
#define QUANTUM_MIN_NS MS
#define QUANTUM_MAX_NS (3600 * 1000 * MS)
#define TIME_MAX_NS    (365 * 24 * QUANTUM_MAX_NS)
#define LOOK_NS        (MS / 20) /* FREEZING: look again after this, then twice … */
#define LOOK_MAX_NS    (MS)
#define SETTLE_NS      (20 * MS) /* what sleeps in the kernel uses no cpu: do not wait for it */
#define SAVE_NS        (10 * 1000 * MS)
#define ROUNDS         8

enum phase { RUNS, FREEZING, FROZEN };

struct slicing_member {
	struct instance *i;
	char *cgroup;
	uint32_t handle;
	int64_t cpu_milli;
	enum phase phase;
	int64_t asked_ns; /* not RUNS: since when */
	int64_t look_ns;  /* FREEZING: time between two looks */
	int64_t awake_until_ns, saved_ns;
	int64_t ran_before_ns; /* it stood in line */
	unsigned holds;
	bool has_exec;
	bool is_stuck; /* its cgroup cannot be frozen */
	TAILQ_ENTRY(slicing_member) link;
};

struct slicing {
	struct slice *slice;
	struct slice_config conf;
	struct loop_alarm *alarm;
	bool is_due;
	bool is_prompt; /* a real-time thread */
	TAILQ_HEAD(, slicing_member) line;
};

/* ---- policy ---- */

static void due(struct engine *e)
{
	if (e->slicing)
		e->slicing->is_due = true;
}

static bool freezes(const struct engine *e)
{
	return e->slicing && !streq(e->slicing->conf.policy, "fair");
}

/*
 * Whoever hands out cpus must get one when a turn ends, though all are busy: before the others,
 * as a real-time thread, for the microseconds that it needs.  Its children are usual ones again.
 * Where that is not allowed (rt_runtime 0 in a cgroup), turns end some milliseconds late.
 */
static void be_prompt(bool on)
{
	const struct sched_param p = { .sched_priority = on };

	if (sched_setscheduler(0, (on ? SCHED_RR : SCHED_OTHER) | SCHED_RESET_ON_FORK, &p) < 0)
		log_debug("time slicing: not a real-time thread: %s", strerrordesc_np(errno));
}

struct err *slicing_check_quantum(int64_t quantum_ns)
{
	if (quantum_ns && (quantum_ns < QUANTUM_MIN_NS || quantum_ns > QUANTUM_MAX_NS))
		return err_new(ERR_INVALID, "expected 1ms to 1h");
	return NULL;
}

struct err *slicing_check_time(int64_t ns)
{
	if (ns < 0 || ns > TIME_MAX_NS)
		return err_new(ERR_INVALID, "expected 0 to 1 year");
	return NULL;
}

static bool is_other(const struct slice_config *a, const struct slice_config *b)
{
	return a->policy != b->policy || a->quantum_ns != b->quantum_ns ||
	       a->aging_ns != b->aging_ns || a->boost_ns != b->boost_ns;
}

struct err *slicing_configure(struct engine *e, const struct policy *p)
{
	struct slicing *s = e->slicing;
	struct slice_config c = s->conf;
	bool is_news;

	TRY_MSG(slicing_check_quantum(p->quantum_ns), "quantum");
	TRY_MSG(slicing_check_time(p->age_ns), "age");
	TRY_MSG(slicing_check_time(p->boost_ns), "boost");
	c.policy = p->schedule;
	c.quantum_ns = p->quantum_ns ? p->quantum_ns : c.quantum_ns;
	c.aging_ns = p->age_ns;
	c.boost_ns = p->boost_ns;
	TRY(slice_configure(s->slice, &c));
	c.policy = slice_policy(s->slice); /* ours to keep */
	is_news = is_other(&c, &s->conf);
	s->conf = c;
	if (freezes(e) != s->is_prompt) {
		s->is_prompt = !s->is_prompt;
		be_prompt(s->is_prompt);
		eventlog_turns(e, s->is_prompt);
	}
	if (is_news)
		eventlog_scheduled(e);
	due(e);
	return NULL;
}

const char *slicing_policy(const struct engine *e)
{
	return e->slicing->conf.policy;
}

int64_t slicing_quantum_ns(const struct engine *e)
{
	return e->slicing->conf.quantum_ns;
}

/* ---- the event log ---- */

void slicing_watch(struct engine *e, void (*fn)(void *arg, const struct record *r, int64_t at_ns),
		   void *arg)
{
	slice_watch(e->slicing->slice, fn, arg);
}

void slicing_tell_all(struct engine *e, int64_t now_ns)
{
	slice_tell_all(e->slicing->slice, now_ns);
}

struct record slicing_record(const struct engine *e)
{
	return slice_record(e->slicing->slice);
}

/* A gang wider than the host would never run. */
static int64_t demand_of(const struct instance *i)
{
	struct sched_job job = queue_job(i);
	int64_t cpu = job.demand.v[RES_CPU];

	return cpu < i->e->cpu_milli ? cpu : i->e->cpu_milli;
}

bool slicing_is_on(const struct instance *i)
{
	return freezes(i->e) && demand_of(i) > 0;
}

/* Of the time that it has still to run: what it ran before it stood in line is over. */
static int64_t expected(const struct instance *i)
{
	int64_t ran = i->slicing ? i->slicing->ran_before_ns : hints_ran_ns(i);

	if (!i->expect_now_ns)
		return 0;
	return i->expect_now_ns > ran ? i->expect_now_ns - ran : 1;
}

static struct slice_job job_of(const struct instance *i)
{
	int64_t shares = resources_cpu_shares(i->spec), p = i->spec->priority;

	return (struct slice_job) {
		.tag = (uintptr_t)i,
		.number = i->event_number,
		.cpu_milli = demand_of(i),
		.priority = (int32_t)(p < INT32_MIN   ? INT32_MIN
				      : p > INT32_MAX ? INT32_MAX
						      : p),
		.expect_ns = expected(i),
		.weight = shares > 0 ? (double)shares / 1024 : 0,
	};
}

/* ---- the freezer ---- */

static void note_thawed(struct slicing_member *m, int64_t now)
{
	if (m->phase == RUNS)
		return;
	m->i->account.sliced_ns += now - m->asked_ns;
	inst_freeze_set(&m->i->freeze, FREEZE_SLICE, false);
	m->phase = RUNS;
	/* A crash may forget some of it, but not much. */
	if (now - m->saved_ns > SAVE_NS) {
		m->saved_ns = now;
		instance_touch(m->i);
	}
}

static void note_asked(struct slicing_member *m, int64_t now)
{
	inst_freeze_set(&m->i->freeze, FREEZE_SLICE, true);
	m->phase = FREEZING;
	m->asked_ns = now;
	m->look_ns = LOOK_NS;
}

static bool ask_group(const struct instance *i, const char *cgroup, bool on)
{
	OWN(err) struct err *err = cgroup_freeze_ask(cgroup, on);

	/* It may have ended a moment ago. */
	if (err && err_errno(err) != ENOENT && err_errno(err) != ENODEV)
		log_warn("%.12s: time slicing: %s", i->id, err_text(err));
	return !err;
}

static bool ask(const struct slicing_member *m, bool on)
{
	return ask_group(m->i, m->cgroup, on);
}

void slicing_thaw(const struct instance *i)
{
	OWN(mem) char *cgroup = instance_cgroup(i);

	ask_group(i, cgroup, false);
}

static void freeze(struct slicing_member *m, int64_t now)
{
	if (ask(m, true))
		note_asked(m, now);
	else
		m->is_stuck = true;
}

static void thaw(struct slicing_member *m, int64_t now)
{
	ask(m, false);
	note_thawed(m, now);
}

static void settle(struct slicing_member *m, int64_t now)
{
	if (m->phase != FREEZING)
		return;
	if (cgroup_is_frozen(m->cgroup) || now - m->asked_ns >= SETTLE_NS)
		m->phase = FROZEN;
	else if (m->look_ns < LOOK_MAX_NS)
		m->look_ns *= 2;
}

/* ---- the pass ---- */

static bool is_awake(const struct slicing_member *m, int64_t now)
{
	const struct instance *i = m->i;

	return i->state != INST_RUNNING || i->is_removing || m->has_exec || m->holds ||
	       m->is_stuck || now < m->awake_until_ns;
}

static void carry_out(struct slicing *s, struct slicing_member *m, int64_t now)
{
	bool is_chosen = slice_is_running(s->slice, m->handle);
	bool may_run = is_chosen || is_awake(m, now);

	if (may_run && m->phase != RUNS)
		thaw(m, now);
	else if (!may_run && m->phase == RUNS)
		freeze(m, now);
}

/* What was to give its cpus up has done so, or goes on beside those that have them now. */
static void give_up(struct slicing *s, struct slicing_member *m, int64_t now)
{
	settle(m, now);
	if (slice_is_running(s->slice, m->handle))
		return;
	if (m->phase == FROZEN || is_awake(m, now))
		slice_suspended(s->slice, m->handle, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* When is there something to do without an event? */
static int64_t next_look(const struct slicing_member *m, int64_t now)
{
	if (m->phase == FREEZING)
		return now + m->look_ns;
	return m->awake_until_ns > now ? m->awake_until_ns : 0;
}

void slicing_turn(struct engine *e)
{
	struct slicing *s = e->slicing;
	struct slicing_member *m;
	struct slice_result r = { .n = 1 };
	int64_t now = clock_boot_ns(), wake;

	if (!s || !s->is_due)
		return;
	s->is_due = false;
	/* What is suspended at once makes room at once. */
	for (int n = 0; n < ROUNDS && r.n; n++) {
		TAILQ_FOREACH(m, &s->line, link)
		give_up(s, m, now);
		r = slice_pass(s->slice, now);
		TAILQ_FOREACH(m, &s->line, link)
		carry_out(s, m, now);
	}
	wake = r.wake_ns;
	TAILQ_FOREACH(m, &s->line, link)
	wake = earlier(wake, next_look(m, now));
	loop_alarm_at(s->alarm, wake);
}

bool slicing_is_due(const struct engine *e)
{
	return e->slicing && e->slicing->is_due;
}

/* ---- the line ---- */

void slicing_enter(struct instance *i, bool is_frozen)
{
	struct slicing *s = i->e->slicing;
	struct slice_job job = job_of(i);
	struct slicing_member *m;
	int64_t now = clock_boot_ns();

	if (!s || i->slicing)
		return;
	if (!job.cpu_milli) {
		if (is_frozen)
			slicing_thaw(i);
		return;
	}
	m = xnew(struct slicing_member);
	m->i = i;
	m->cgroup = instance_cgroup(i);
	m->cpu_milli = job.cpu_milli;
	m->saved_ns = now;
	m->ran_before_ns = hints_ran_ns(i);
	m->has_exec = execs_need(i);
	m->handle = slice_admit(s->slice, &job, now);
	if (is_frozen)
		note_asked(m, now);
	i->slicing = m;
	TAILQ_INSERT_TAIL(&s->line, m, link);
	due(i->e);
}

void slicing_leave(struct instance *i, bool thaw_it)
{
	struct slicing *s = i->e->slicing;
	struct slicing_member *m = TAKE(i->slicing);
	int64_t now = clock_boot_ns();

	if (!m)
		return;
	if (thaw_it && m->phase != RUNS)
		ask(m, false);
	note_thawed(m, now);
	slice_leave(s->slice, m->handle, now);
	TAILQ_REMOVE(&s->line, m, link);
	free(m->cgroup);
	free(m);
	due(i->e);
}

void slicing_hold_frozen(struct instance *i)
{
	OWN(mem) char *cgroup = instance_cgroup(i);

	ask_group(i, cgroup, true);
}

void slicing_changed(struct instance *i)
{
	struct slicing *s = i->e->slicing;
	struct slicing_member *m = i->slicing;
	struct slice_job job = job_of(i);
	int64_t now = clock_boot_ns();

	if (!m && i->state == INST_RUNNING && !i->freeze.reasons)
		slicing_enter(i, false);
	if (!m)
		return;
	if (!job.cpu_milli) {
		slicing_leave(i, true);
		return;
	}
	m->ran_before_ns = hints_ran_ns(i);
	job.expect_ns = expected(i);
	slice_leave(s->slice, m->handle, now);
	m->handle = slice_admit(s->slice, &job, now);
	m->cpu_milli = job.cpu_milli;
	due(i->e);
}

void slicing_expect(struct instance *i)
{
	if (!i->slicing)
		return;
	slice_expect(i->e->slicing->slice, i->slicing->handle, expected(i));
	due(i->e);
}

/* ---- what keeps one awake ---- */

void slicing_look(struct instance *i)
{
	if (!i->slicing)
		return;
	i->slicing->has_exec = execs_need(i);
	due(i->e);
}

void slicing_nudge(struct instance *i, int64_t ns)
{
	int64_t until = clock_boot_ns() + ns;

	if (!i->slicing)
		return;
	if (until > i->slicing->awake_until_ns)
		i->slicing->awake_until_ns = until;
	due(i->e);
}

struct hold {
	struct engine *e;
	char id[65];
	struct engine_done done;
};

static void let_go(struct hold *h)
{
	struct instance *i = instance_by_id(h->e, h->id);

	/* It may be another run's by now. */
	if (i && i->slicing && i->slicing->holds)
		i->slicing->holds--;
	due(h->e);
	free(h);
}

static void on_held_done(void *arg, struct err *err, const json_t *result)
{
	struct hold *h = arg;
	struct engine_done done = h->done;

	let_go(h);
	done.fn(done.arg, err, result);
}

struct engine_done slicing_hold(struct instance *i, struct engine_done done)
{
	struct hold *h;

	if (!i->slicing)
		return done;
	h = xnew(struct hold);
	h->e = i->e;
	h->done = done;
	memcpy(h->id, i->id, sizeof(h->id));
	i->slicing->holds++;
	due(i->e);
	return (struct engine_done) { on_held_done, h };
}

void slicing_unhold(struct engine_done held)
{
	if (held.fn == on_held_done)
		let_go(held.arg);
}

/* ---- reading ---- */

bool slicing_is_sliced(const struct instance *i)
{
	return i->slicing && i->slicing->phase != RUNS;
}

int64_t slicing_waited_ns(const struct instance *i)
{
	return slicing_is_sliced(i) ? clock_boot_ns() - i->slicing->asked_ns : 0;
}

json_t *slicing_json(const struct engine *e)
{
	const struct slicing *s = e->slicing;
	const struct slicing_member *m;
	json_int_t demand = 0, sliced = 0;

	TAILQ_FOREACH(m, &s->line, link)
	{
		demand += m->cpu_milli;
		sliced += m->phase != RUNS;
	}
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "policy", s->conf.policy, "quantum_ns",
			 (json_int_t)s->conf.quantum_ns, "demand_milli", demand, "cpu_milli",
			 (json_int_t)s->conf.cpu_milli, "sliced", sliced);
}

/* ---- life ---- */

static void on_alarm(void *arg)
{
	due(arg);
}

struct err *slicing_new(struct engine *e)
{
	struct slicing *s = xnew(struct slicing);

	s->slice = slice_new();
	s->conf = (struct slice_config) { .policy = "fair",
					  .cpu_milli = e->cpu_milli,
					  .quantum_ns = QUANTUM_NS };
	TAILQ_INIT(&s->line);
	e->slicing = s;
	TRY(loop_alarm_new(e->loop, on_alarm, e, &s->alarm));
	return slice_configure(s->slice, &s->conf);
}

void slicing_free(struct engine *e)
{
	struct slicing *s = e->slicing;

	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->line))
		slicing_leave(TAILQ_FIRST(&s->line)->i, true);
	eventlog_turns(e, false);
	loop_alarm_free(s->alarm);
	slice_free(s->slice);
	free(TAKE(e->slicing));
}
