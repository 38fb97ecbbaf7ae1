/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_ALLOC_H
#define SCHED_ALLOC_H

/*
 * Allocation, the long-term scheduler: which waiting job is admitted next, and where.
 * Pure: no I/O, threads or clock; events and the time go in, decisions come out.
 * Engine and simulator link the same objects; sched.h is this with names for the engine.
 *
 *	arrive -> waiting -> (a pass) -> running -> leave
 *
 * A policy is ORDER/FILL ("sjf/easy"), two independent tables (alloc_policies.h):
 * ORDER says who stands where in the queue, FILL what may start when the head does
 * not fit.
 *
 * Time is ns on one monotonic clock (a simulator: seconds * 10^9; formulas that are
 * defined in seconds divide).  Ties: arrival, then the order of the arrive events.
 * Numbers are integers, or doubles with + - * / only: the same events give the same
 * decisions on any machine.
 *
 * At one instant the caller hands in what ended, then what arrived, then makes one pass
 * (`batch`).  With alloc_config.seq a pass may follow each event, and what a running job
 * holds counts as free from its planned end on, whether or not its end was reported.
 *
 * An unknown run time counts as endless: as a holder it never gives anything back that
 * could be planned with, as a candidate it may take only what is left over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/resource.h"
#include "util/defs.h"
#include "util/err.h"
#include "util/str.h"

/* No job; no node. */
#define ALLOC_NONE UINT32_MAX

struct alloc;

/* Which node; ties: the first.  Best fit decreasing: `laf` over best fit, or a sorted batch. */
enum alloc_place {
	PLACE_FIRST_FIT, /* the first node it fits on */
	/* Amounts are measured in parts of the largest node's capacity of that resource. */
	PLACE_BEST_FIT,     /* least left over: sum over resources of what is free after it */
	PLACE_WORST_FIT,    /* most left over */
	PLACE_DOT_PRODUCT,  /* largest sum of need * free */
	PLACE_LEAST_LOADED, /* largest part of its own scarcest resource free after it */
	PLACE_COUNT,
};

struct alloc_config {
	const char *policy; /* NULL: "fcfs/strict"; alloc_new() wants a known one */
	/* How many resources count, from RES_CPU on; 0: all.  1 makes jobs small and fast. */
	unsigned resources;
	bool seq;            /* see above; one pool only */
	int64_t max_wait_ns; /* after it a waiting job becomes the head, and nothing passes it; 0:
				never */
	int64_t aging_ns;    /* priority: waiting this long is worth one step; 0: no aging */
	int64_t turn_ns; /* rr: an allocation lasts this long while others wait; 0: to its end */
	enum alloc_place place;
};

/* An arrival. */
struct alloc_job {
	uint64_t tag;          /* the caller's: comes back in decisions */
	struct amounts demand; /* 0: best effort, never waits for it */
	int64_t arrival_ns;
	int64_t planned_ns;  /* expected run time; 0: unknown */
	int64_t deadline_ns; /* a point in time, for edf; 0: none */
	int64_t max_wait_ns; /* this job's; 0: the configuration's */
	int32_t priority;    /* larger is more important */
	/* Small numbers that the caller gives out from 0: users for drf and quotas, labels for rr.
	 */
	uint32_t user, label;
	bool aside;    /* declares nothing: waits for M only, and behind nobody */
	int64_t place; /* alloc_place() of an earlier life; 0: the policy's */
};

/* Decision: @handle is running on @node from now. */
struct alloc_start {
	uint32_t handle, node;
	uint64_t tag;
};

struct alloc_result {
	const struct alloc_start *starts; /* in order; borrowed until the next call */
	size_t n_starts;
	const uint32_t
	    *ousted; /* rr with a turn: give these back: alloc_requeue() once they are out */
	size_t n_ousted;
	int64_t wake_ns; /* a pass then could decide differently without an event; 0: never */
};

/* ---- life ---- */

struct alloc *alloc_new(const struct alloc_config *c);
void alloc_free(struct alloc *a);
DEFINE_OWN(alloc, alloc_free)

/**
 * alloc_policy_set() - "sjf/easy"; one word is an order with the fill strict, or a short name
 * (`easy` = fcfs/easy, `easy-sjf` = fcfs/easy-sjf, `list` = fcfs/list, `conservative`).
 * "rr:LABEL/easy": over the numbers in alloc_job.label, which the caller gives out for the values
 * of that label; "rr": he does so for users.
 *
 * Return: NULL, or ERR_INVALID naming what there is.
 */
struct err *alloc_policy_set(struct alloc *a, const char *policy) MUST_USE;

/** alloc_policy_check() - is it one? */
struct err *alloc_policy_check(const char *policy) MUST_USE;

/** alloc_policy_over() - the label of "rr:LABEL/FILL", owned by the caller; NULL: of users */
struct err *alloc_policy_over(const char *policy, char **ret) MUST_USE;

/** alloc_over() - the same of the policy in force; borrowed */
const char *alloc_over(const struct alloc *a);

/** alloc_policy() - "fcfs/strict"; borrowed */
const char *alloc_policy(const struct alloc *a);

/** alloc_max_wait_set() - for jobs that arrive from now on, and those that wait without their own
 */
void alloc_max_wait_set(struct alloc *a, int64_t max_wait_ns);

/** alloc_turn_set() - rr: an allocation lasts this long while others wait; 0: to its end */
void alloc_turn_set(struct alloc *a, int64_t turn_ns);

/** alloc_aging_set() - for those that wait, too */
void alloc_aging_set(struct alloc *a, int64_t aging_ns);

/* ---- the machine ---- */

/** alloc_capacity() - one pool: a job's cpus may come from anywhere; evicts nobody */
void alloc_capacity(struct alloc *a, struct amounts total);

/**
 * alloc_nodes() - @n nodes; a job lives on one of them; before the first arrival
 * @caps: copied
 */
void alloc_nodes(struct alloc *a, const struct amounts *caps, size_t n);

/** alloc_other() - held by others than jobs (pool only): the host's own programs; may be negative
 */
void alloc_other(struct alloc *a, struct amounts used);

/** alloc_weight() - of a user, for drf: with 2 he may hold twice as much; 1 unless set; > 0 */
void alloc_weight(struct alloc *a, uint32_t user, double weight);

struct alloc_quota {
	struct amounts most; /* 0: no limit */
	uint32_t running;    /* jobs at once; 0: no limit */
};

/** alloc_quota() - what a user's running jobs may hold together */
void alloc_quota(struct alloc *a, uint32_t user, const struct alloc_quota *q);

/* ---- events ---- */

/** alloc_arrive() - @j joins the queue. Return: its handle, valid until alloc_leave() */
uint32_t alloc_arrive(struct alloc *a, const struct alloc_job *j);

/** alloc_adopt() - @j runs already, since @start_ns on @node (recovery) */
uint32_t alloc_adopt(struct alloc *a, const struct alloc_job *j, int64_t start_ns, uint32_t node);

/** alloc_leave() - ended, failed to start, or withdrawn */
void alloc_leave(struct alloc *a, uint32_t handle);

/** alloc_replan() - a new expectation, in total run time; 0: unknown. Waiting or running */
void alloc_replan(struct alloc *a, uint32_t handle, int64_t planned_ns);

/** alloc_requeue() - an ousted job is out: it waits again, behind all its label's and others' */
void alloc_requeue(struct alloc *a, uint32_t handle, int64_t now_ns);

/** alloc_keep() - an ousted job cannot be taken out: it has another turn from @now_ns on */
void alloc_keep(struct alloc *a, uint32_t handle, int64_t now_ns);

/** alloc_oust() - as if a pass had asked for it back */
void alloc_oust(struct alloc *a, uint32_t handle);

/** alloc_resize() - a new demand, waiting or running */
void alloc_resize(struct alloc *a, uint32_t handle, const struct amounts *demand);

/** alloc_change() - a waiting job became another one; its place by arrival stays */
void alloc_change(struct alloc *a, uint32_t handle, const struct alloc_job *j);

/** alloc_hold() - a waiting job is passed over until it is released; it blocks nobody */
void alloc_hold(struct alloc *a, uint32_t handle, bool on);

enum alloc_where { ALLOC_FIRST, ALLOC_LAST, ALLOC_BEFORE, ALLOC_AFTER };

/**
 * alloc_move() - somebody says where a waiting job stands
 *
 * The order of the queue as it is now becomes fixed from its head to the place that @handle
 * gets: @handle and all who stand before it there have a place of their own from now on.
 * Those with a place stand before all others, in the order of their places, whatever the order
 * of the policy says and whoever arrives later, until they are admitted or leave; a new policy
 * leaves them where they are.  So ALLOC_FIRST fixes one job, ALLOC_LAST the whole queue as it
 * is now, and those that arrive later stand behind it.  One that has waited its max-wait stands
 * behind those with a place and before all others; one that has a place keeps it, and nothing
 * passes it when it is the head.  A held job, or one over its quota, may be moved: it has its
 * place when it may start again.  What the fill lets pass a head passes one with a place too;
 * of the candidates, those with a place are tried first.
 *
 * @other: for ALLOC_BEFORE and ALLOC_AFTER; waits and can be moved, not @handle
 */
void alloc_move(struct alloc *a, uint32_t handle, enum alloc_where where, uint32_t other,
		int64_t now_ns);

/** alloc_can_move() - it waits, and behind somebody: what declares nothing has no place */
bool alloc_can_move(const struct alloc *a, uint32_t handle);

/** alloc_place() - its own place, 1 and up; 0: it stands where the policy says */
int64_t alloc_place(const struct alloc *a, uint32_t handle);

/**
 * alloc_circle() - order `rr`: where @label stands in the circle
 * @ret_stamp: the smallest is next; 0: it waits for its quota, and stands in none
 * Return: false when it has nothing waiting, or the order has no circle.
 */
bool alloc_circle(const struct alloc *a, uint32_t label, uint64_t *ret_stamp);

/** alloc_circle_set() - the same, of another allocator whose jobs arrived here */
void alloc_circle_set(struct alloc *a, uint32_t label, uint64_t stamp);

/* ---- decisions ---- */

/** alloc_pass() - one scheduling pass; the time never goes back */
struct alloc_result alloc_pass(struct alloc *a, int64_t now_ns);

/* ---- reading ---- */

enum alloc_why {
	WHY_NEXT,     /* the next pass starts it */
	WHY_RESOURCE, /* it lacks @what itself */
	WHY_BEHIND,   /* it would fit; it waits for @head, which lacks @what */
	WHY_MAX_WAIT, /* the same, and @head has waited its max-wait: nothing passes it */
	WHY_QUOTA,    /* of its user, @what (RES_COUNT: number of jobs) */
	WHY_HELD,
};

struct alloc_reason {
	enum alloc_why why;
	enum resource what;
	int64_t needs, free;
	int64_t quota;     /* QUOTA: what its user may hold together */
	uint32_t head;     /* ALLOC_NONE unless BEHIND or MAX_WAIT */
	int64_t starts_ns; /* reserved for it by the last pass; 0: none known */
};

/** alloc_reason() - why @handle waits; false when it does not */
bool alloc_reason(const struct alloc *a, uint32_t handle, struct alloc_reason *ret);

/** alloc_tag() - of a handle */
uint64_t alloc_tag(const struct alloc *a, uint32_t handle);

bool alloc_is_running(const struct alloc *a, uint32_t handle);

/** alloc_free_amounts() - R_free; of @node when there are nodes (ALLOC_NONE: the sum) */
struct amounts alloc_free_amounts(const struct alloc *a, uint32_t node);

/** alloc_waiting() - how many wait */
size_t alloc_waiting(const struct alloc *a);

/**
 * alloc_queue() - those that wait, in the order of the policy at @now_ns
 * Return: @ret_n handles, owned by the caller (free()).
 */
uint32_t *alloc_queue(struct alloc *a, int64_t now_ns, size_t *ret_n);

/**
 * alloc_forecast() - when those that wait will start, if all that runs ends as planned and nobody
 * arrives
 * @queue, @n:      of alloc_queue()
 * @ret_starts_ns:  one each; 0: it cannot be known, since somebody's end cannot, or it is too far
 *                  off (256 passes).  One pool only.
 */
void alloc_forecast(const struct alloc *a, int64_t now_ns, const uint32_t *queue, size_t n,
		    int64_t *ret_starts_ns);

#endif
