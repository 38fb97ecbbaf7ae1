/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SLICE_INT_H
#define SCHED_SLICE_INT_H

#include "sched/slice.h"

#define SLICE_NONE UINT32_MAX

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_SUSPENDING };

struct task {
	struct slice_job job;
	enum task_state state;
	bool is_chosen;
	uint64_t seq, stamp; /* of its admission; of its place in line */
	int64_t key;
	int64_t since_ns; /* in this state */
	int64_t ran_ns;   /* until since_ns */
	int64_t used_ns;  /* of its quantum, until since_ns */
	int32_t level, boost;
	double rate;
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
};

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
