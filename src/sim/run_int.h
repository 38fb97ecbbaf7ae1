/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RUN_INT_H
#define SIM_RUN_INT_H

#include "sched/alloc.h"
#include "sched/slice.h"
#include "sim/heap.h"
#include "sim/predict.h"
#include "sim/run.h"

/* A job whose estimate may be raised, or whose allocation may be taken back. */
struct stint {
	int64_t left_ns;  /* of its run, when this stint began */
	int64_t from_ns;  /* of this stint */
	int64_t first_ns; /* prediction at submission */
	uint64_t end;     /* order of its end event; others are void */
	double rate;      /* of its full speed; sliced runs only */
	uint32_t handle, slicer,
	    slice; /* in the allocator; which slicer, and there; sliced runs only */
};

/* Short-term scheduling of one node, or of the pool. */
struct slicer {
	struct slice *s;
	int64_t wake_ns;
	bool is_dirty;
	uint32_t *members; /* jobs, when rates may change without a change of state */
	uint32_t n, cap;
};

struct runner {
	bool by_label;       /* the policy is over one */
	struct world *world; /* NULL: nothing happens to the host */
	struct sim_trace *t;
	const struct sim_config *c;
	struct sim_run *ret;
	struct alloc *a;
	struct predict *predict;
	struct heap heap;
	struct stint *stints;   /* by job; NULL: jobs run through and estimates hold */
	size_t next;            /* first job that has not arrived */
	int64_t wake_ns;        /* 0: none */
	struct slicer *slicers; /* NULL: what is admitted runs */
	size_t n_slicers;
	bool is_fair;    /* rates change */
	uint32_t *dirty; /* slicers to pass, each once */
	size_t n_dirty;
};

/* ---- run.c ---- */

void run_record(struct runner *s, uint32_t job, int64_t from_ns, int64_t to_ns);
void run_arrive(struct runner *s);
void run_pass(struct runner *s, int64_t now_ns);

/* ---- world.c: what happened to the host ---- */

/** world_new() - before anything has happened; none of its jobs waits */
struct world *world_new(struct runner *s);
/** world_free() - NULL is fine */
void world_free(struct world *w);

/** world_arrived() - @job waits as @handle */
void world_arrived(struct world *w, uint32_t job, uint32_t handle);

/** world_started() - @job waits no more */
void world_started(struct world *w, uint32_t job);

/** world_next_ns() - when something happens next; SIM_NEVER: no more */
int64_t world_next_ns(const struct world *w);

/** world_turn() - what happens until @now_ns */
void world_turn(struct world *w, int64_t now_ns);

/** world_is_drained() - is nobody admitted now? */
bool world_is_drained(const struct world *w);

/** world_lift() - no quotas, drain or use by others any more; false: there was none */
bool world_lift(struct world *w);

/* ---- sliced.c: more is admitted than runs ---- */

bool sliced_wanted(const struct sim_config *c);
struct err *sliced_init(struct runner *s) MUST_USE;
void sliced_done(struct runner *s);

/** sliced_admit() - @job was admitted: it may run from now */
void sliced_admit(struct runner *s, uint32_t job, uint32_t handle, uint32_t node, int64_t now_ns);

/** sliced_leave() - @job has ended */
void sliced_leave(struct runner *s, uint32_t job, int64_t now_ns);

/** sliced_dirty() - slicer @i needs a pass */
void sliced_dirty(struct runner *s, uint32_t i);

/** sliced_pass() - who runs from now */
void sliced_pass(struct runner *s, int64_t now_ns);

#endif
