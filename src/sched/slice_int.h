/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SLICE_INT_H
#define SCHED_SLICE_INT_H

#include "sched/slice.h"

#define SLICE_NONE UINT32_MAX

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_SUSPENDING };

struct task {
	struct slice_job job;
	enum task_state state;
	int32_t level, boost;
	uint64_t stamp;   /* of its place in line */
	int64_t since_ns; /* in this state */
	int64_t ran_ns;   /* until since_ns */
	int64_t used_ns;  /* of its quantum, until since_ns */
	/* What each pass finds anew: */
	int64_t key;
	double rate;
	bool is_chosen;
	uint32_t next_free;
};

/* The smallest key first, then the smallest stamp.  One file each. */
struct slice_policy {
	const char *name;
	bool all_run;    /* nobody is ever suspended */
	bool fills_gaps; /* who fits runs, though one before him does not fit */
	int64_t (*key)(const struct slice *s, const struct task *t, int64_t now_ns);
	void (*before)(struct slice *s, int64_t now_ns); /* before the keys; may be NULL */
	void (*dispatch)(struct slice *s, struct task *t,
			 int64_t now_ns); /* it is resumed; may be NULL */
	void (*after)(struct slice *s);   /* may be NULL */
	/* When @t makes a pass necessary; 0: never; may be NULL. */
	int64_t (*wake)(const struct slice *s, const struct task *t, int64_t now_ns);
};

extern const struct slice_policy slice_policy_fcfs, slice_policy_rr, slice_policy_priority,
    slice_policy_srtf, slice_policy_mlfq, slice_policy_fair;

struct slice {
	const struct slice_policy *policy;
	struct slice_config conf;
	struct task *tasks;
	uint32_t n_tasks, cap_tasks, free_list;
	uint32_t *line; /* all admitted */
	size_t n_line;
	uint64_t seq;     /* of admissions and stamps */
	size_t n_passed;  /* not chosen by this pass */
	bool had_waiting; /* after the pass before */
	int64_t boosted_ns;
	struct slice_change *changes;
	size_t n_changes;
	/* slice_watch(); what there was before a pass */
	void (*watch)(void *arg, const struct record *r, int64_t at_ns);
	void *watch_arg;
	struct task *before;
	uint32_t *line_before;
	size_t cap_before;
	uint64_t seq_before;
	int64_t boosted_before_ns;
	bool had_waiting_before;
};

/* slice_watch.c: nothing when nobody watches. */
void slice_tell_schedule(struct slice *s);
void slice_tell_task(struct slice *s, uint32_t h, int64_t now_ns);
void slice_tell_expect(struct slice *s, uint32_t h);
void slice_tell_left(struct slice *s, uint32_t h, int64_t now_ns);
void slice_tell_stopped(struct slice *s, uint32_t h, int64_t now_ns);

/** slice_note() - before a pass; slice_tell_pass() - after it, unless all is as it was */
void slice_note(struct slice *s);
void slice_tell_pass(struct slice *s, int64_t now_ns);

/** task_used() - of its quantum; task_ran() - in all */
int64_t task_used(const struct task *t, int64_t now_ns);
int64_t task_ran(const struct task *t, int64_t now_ns);

/** task_fresh() - @used_ns of its quantum are used now */
void task_fresh(struct task *t, int64_t now_ns, int64_t used_ns);

/**
 * slice_expire() - those that used up @quantum: to the tail with a fresh one
 * @quantum: of a task
 * @demote: levels down for each; up to the last
 */
void slice_expire(struct slice *s, int64_t now_ns,
		  int64_t (*quantum)(const struct slice *s, const struct task *t), bool demote);

#endif
