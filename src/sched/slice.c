/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/slice.h"

#include "sched/slice_int.h"
#include "util/mem.h"

#define QUANTUM_NS (50 * 1000000LL)
#define LEVELS     8

static const struct slice_policy *const policies[] = {
	&slice_policy_fcfs, &slice_policy_rr,   &slice_policy_priority,
	&slice_policy_srtf, &slice_policy_mlfq, &slice_policy_fair,
};

const char *slice_policies(void)
{
	return "fcfs, rr, priority, srtf, mlfq, fair";
}

const char *slice_policy(const struct slice *s)
{
	return s->policy->name;
}

static const struct slice_policy *policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, name))
			return policies[i];
	return NULL;
}

struct slice *slice_new(void)
{
	struct slice *s = xnew(struct slice);

	s->policy = &slice_policy_fair;
	s->conf = (struct slice_config) { .quantum_ns = QUANTUM_NS, .levels = LEVELS };
	s->free_list = SLICE_NONE;
	return s;
}

void slice_free(struct slice *s)
{
	if (!s)
		return;
	free(s->tasks);
	free(s->line);
	free(s->changes);
	free(s->before);
	free(s->line_before);
	free(s);
}

struct err *slice_policy_check(const char *policy)
{
	if (policy_find(policy))
		return NULL;
	return err_new(ERR_INVALID, "\"%.64s\" schedules nothing; there are %s", policy,
		       slice_policies());
}

static bool is_same(const struct slice_config *a, const struct slice_config *b)
{
	return a->policy == b->policy && a->cpu_milli == b->cpu_milli &&
	       a->quantum_ns == b->quantum_ns && a->aging_ns == b->aging_ns &&
	       a->boost_ns == b->boost_ns;
}

struct err *slice_configure(struct slice *s, const struct slice_config *c)
{
	const char *policy = c->policy ? c->policy : "fair";
	const struct slice_policy *p = policy_find(policy);
	struct slice_config before = s->conf;

	if (!p)
		return slice_policy_check(policy);
	s->policy = p;
	s->conf = *c;
	s->conf.policy = p->name;
	if (!s->conf.quantum_ns)
		s->conf.quantum_ns = QUANTUM_NS;
	if (!s->conf.levels)
		s->conf.levels = LEVELS;
	if (!is_same(&s->conf, &before))
		slice_tell_schedule(s);
	return NULL;
}

/* ---- events ---- */

uint32_t slice_admit(struct slice *s, const struct slice_job *j, int64_t now_ns)
{
	uint32_t h = s->free_list;

	if (h != SLICE_NONE) {
		s->free_list = s->tasks[h].next_free;
	} else {
		if (s->n_tasks == s->cap_tasks) {
			s->cap_tasks = s->cap_tasks * 2 + 64;
			s->tasks = xrealloc(s->tasks, s->cap_tasks, sizeof(struct task));
			s->line = xrealloc(s->line, s->cap_tasks, sizeof(uint32_t));
			s->changes =
			    xrealloc(s->changes, s->cap_tasks * 2, sizeof(struct slice_change));
		}
		h = s->n_tasks++;
	}
	s->tasks[h] = (struct task) {
		.job = *j,
		.state = TASK_READY,
		.stamp = ++s->seq,
		.since_ns = now_ns,
	};
	s->line[s->n_line++] = h;
	slice_tell_task(s, h, now_ns);
	return h;
}

static int64_t held_milli(const struct slice *s)
{
	int64_t held = 0;

	for (size_t i = 0; i < s->n_line; i++)
		if (s->tasks[s->line[i]].state != TASK_READY)
			held += s->tasks[s->line[i]].job.cpu_milli;
	return held;
}

/* It stops running, or waiting, at @now. */
static void set_state(struct task *t, enum task_state state, int64_t now_ns)
{
	if (t->state == TASK_RUNNING) {
		t->ran_ns += now_ns - t->since_ns;
		t->used_ns += now_ns - t->since_ns;
	}
	t->state = state;
	t->since_ns = now_ns;
}

void slice_leave(struct slice *s, uint32_t handle, int64_t now_ns)
{
	for (size_t i = 0; i < s->n_line; i++) {
		if (s->line[i] != handle)
			continue;
		slice_tell_left(s, handle, now_ns);
		memmove(&s->line[i], &s->line[i + 1], (s->n_line - i - 1) * sizeof(uint32_t));
		s->n_line--;
		s->tasks[handle].state = TASK_FREE;
		s->tasks[handle].next_free = s->free_list;
		s->free_list = handle;
		return;
	}
}

void slice_suspended(struct slice *s, uint32_t handle, int64_t now_ns)
{
	if (s->tasks[handle].state != TASK_SUSPENDING)
		return;
	s->tasks[handle].state = TASK_READY;
	slice_tell_stopped(s, handle, now_ns);
}

void slice_expect(struct slice *s, uint32_t handle, int64_t expect_ns)
{
	if (s->tasks[handle].job.expect_ns == expect_ns)
		return;
	s->tasks[handle].job.expect_ns = expect_ns;
	slice_tell_expect(s, handle);
}

/* ---- a pass ---- */

int64_t task_used(const struct task *t, int64_t now_ns)
{
	return t->used_ns + (t->state == TASK_RUNNING ? now_ns - t->since_ns : 0);
}

int64_t task_ran(const struct task *t, int64_t now_ns)
{
	return t->ran_ns + (t->state == TASK_RUNNING ? now_ns - t->since_ns : 0);
}

void task_fresh(struct task *t, int64_t now_ns, int64_t used_ns)
{
	t->used_ns = used_ns - (t->state == TASK_RUNNING ? now_ns - t->since_ns : 0);
}

/* The line by key, then stamp: nearly sorted already. */
static void sort_line(struct slice *s)
{
	for (size_t i = 1; i < s->n_line; i++) {
		uint32_t h = s->line[i];
		const struct task *t = &s->tasks[h];
		size_t at = i;

		for (; at; at--) {
			const struct task *o = &s->tasks[s->line[at - 1]];

			if (o->key < t->key || (o->key == t->key && o->stamp < t->stamp))
				break;
			s->line[at] = s->line[at - 1];
		}
		s->line[at] = h;
	}
}

/* Who should run: in line, whoever fits into what is left; without gaps if the policy says so. */
static void choose(struct slice *s)
{
	int64_t left = s->conf.cpu_milli;
	bool is_closed = false;

	s->n_passed = 0;
	for (size_t i = 0; i < s->n_line; i++) {
		struct task *t = &s->tasks[s->line[i]];

		t->is_chosen = s->policy->all_run || (!is_closed && t->job.cpu_milli <= left);
		if (t->is_chosen)
			left -= t->job.cpu_milli;
		else
			s->n_passed++;
		is_closed |= !t->is_chosen && !s->policy->fills_gaps;
	}
}

static void add_change(struct slice *s, uint32_t h, bool run)
{
	s->changes[s->n_changes++] =
	    (struct slice_change) { .tag = s->tasks[h].job.tag, .handle = h, .run = run };
}

static void suspend_others(struct slice *s, int64_t now_ns)
{
	for (size_t i = 0; i < s->n_line; i++) {
		struct task *t = &s->tasks[s->line[i]];

		if (t->is_chosen || t->state != TASK_RUNNING)
			continue;
		set_state(t, s->conf.suspends_at_once ? TASK_READY : TASK_SUSPENDING, now_ns);
		t->boost = 0;
		add_change(s, s->line[i], false);
	}
}

static void run_chosen(struct slice *s, int64_t now_ns)
{
	int64_t left = s->conf.cpu_milli - held_milli(s);

	for (size_t i = 0; i < s->n_line; i++) {
		struct task *t = &s->tasks[s->line[i]];

		if (!t->is_chosen || t->state != TASK_READY)
			continue;
		if (!s->policy->all_run && t->job.cpu_milli > left)
			return;
		left -= t->job.cpu_milli;
		if (s->policy->dispatch)
			s->policy->dispatch(s, t, now_ns);
		set_state(t, TASK_RUNNING, now_ns);
		add_change(s, s->line[i], true);
	}
}

struct slice_result slice_pass(struct slice *s, int64_t now_ns)
{
	int64_t wake = 0;

	s->n_changes = 0;
	slice_note(s);
	if (s->policy->before)
		s->policy->before(s, now_ns);
	for (size_t i = 0; i < s->n_line; i++) {
		struct task *t = &s->tasks[s->line[i]];

		t->key = s->policy->key(s, t, now_ns);
	}
	sort_line(s);
	choose(s);
	suspend_others(s, now_ns);
	run_chosen(s, now_ns);
	s->had_waiting = s->n_passed != 0;
	for (size_t i = 0; s->policy->wake && i < s->n_line; i++) {
		int64_t at = s->policy->wake(s, &s->tasks[s->line[i]], now_ns);

		wake = at && (!wake || at < wake) ? at : wake;
	}
	if (s->policy->after)
		s->policy->after(s);
	slice_tell_pass(s, now_ns);
	return (struct slice_result) { .changes = s->changes, .n = s->n_changes, .wake_ns = wake };
}

/* ---- reading ---- */

int64_t slice_ran_ns(const struct slice *s, uint32_t handle, int64_t now_ns)
{
	return task_ran(&s->tasks[handle], now_ns);
}

bool slice_is_running(const struct slice *s, uint32_t handle)
{
	return s->tasks[handle].state == TASK_RUNNING;
}

double slice_rate(const struct slice *s, uint32_t handle)
{
	const struct task *t = &s->tasks[handle];

	if (s->policy->all_run)
		return t->rate;
	return t->state == TASK_RUNNING ? (double)t->job.cpu_milli : 0;
}
