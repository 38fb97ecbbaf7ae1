/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SLICE_H
#define SCHED_SLICE_H

/*
 * Scheduling, the short-term one: which admitted jobs run now.  Pure, as alloc.h.
 *
 *	admit -> ready <-> running -> leave
 *	            ^         | suspend asked for
 *	            '--- suspending
 *
 * A gang: a job gets all the cpus it is admitted with, or does not run; the set that runs fits
 * the cpus.  A pass asks for changes.  What is resumed counts as running at once; the cpus of
 * what is to be suspended count as free only when slice_suspended() says so, and the next pass
 * hands them out.
 *
 * Ties: the order of the admit events.  At one instant: what left, what was admitted, one pass.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/defs.h"
#include "util/err.h"

struct slice;

struct slice_config {
	const char *policy;    /* fcfs, rr, priority, srtf, mlfq, fair; NULL: fair */
	int64_t cpu_milli;     /* what there is */
	int64_t quantum_ns;    /* rr, mlfq (level 0); 0: 50 ms */
	bool same_quantum;     /* mlfq: on every level; else doubled per level */
	bool stays_alone;      /* mlfq: nobody waits, nobody sinks (Stallings' feedback) */
	unsigned levels;       /* mlfq; 0: 8 */
	int64_t boost_ns;      /* mlfq: all back to level 0 this often; 0: never */
	int64_t aging_ns;      /* priority: ready this long is worth one step; 0: no aging */
	bool suspends_at_once; /* no slice_suspended(): a simulator */
};

struct slice_job {
	uint64_t tag;
	int64_t number; /* in the event log; 0: none */
	int64_t cpu_milli;
	int32_t priority;  /* larger is more important */
	int64_t expect_ns; /* of cpu time, in total; 0: unknown */
	double weight;     /* fair; 0: 1 */
};

/* A decision. */
struct slice_change {
	uint64_t tag;
	uint32_t handle;
	bool run; /* false: suspend */
};

struct slice_result {
	const struct slice_change *changes; /* suspensions first; borrowed until the next call */
	size_t n;
	int64_t wake_ns; /* make a pass then; 0: not without an event */
};

struct slice *slice_new(void);
void slice_free(struct slice *s);
DEFINE_OWN(slice, slice_free)

/**
 * slice_configure() - also while jobs run
 * Return: NULL, or ERR_INVALID naming the policies.
 */
struct err *slice_configure(struct slice *s, const struct slice_config *c) MUST_USE;

/** slice_policy_check() - is it one? ERR_INVALID naming them */
struct err *slice_policy_check(const char *policy) MUST_USE;

/** slice_policy() - the name of the one in force; static storage */
const char *slice_policy(const struct slice *s);

/** slice_policies() - "fcfs, rr, …" ; static storage */
const char *slice_policies(void);

/** slice_admit() - @j is ready. Return: its handle, valid until slice_leave() */
uint32_t slice_admit(struct slice *s, const struct slice_job *j, int64_t now_ns);

/** slice_leave() - ended, in whatever state */
void slice_leave(struct slice *s, uint32_t handle, int64_t now_ns);

/** slice_suspended() - a suspension that was asked for is done */
void slice_suspended(struct slice *s, uint32_t handle, int64_t now_ns);

/** slice_expect() - a new expectation, of cpu time in total; 0: unknown */
void slice_expect(struct slice *s, uint32_t handle, int64_t expect_ns);

/** slice_pass() - who runs from now; the time never goes back */
struct slice_result slice_pass(struct slice *s, int64_t now_ns);

/* ---- what it was told, and decided: slice_watch.c ---- */

struct record; /* sched/record.h */

#define SLICE_NO_TIME INT64_MIN

/**
 * slice_watch() - from now on @fn is told of whatever decides, and of each decision
 *
 * Given to another one in this order (slice_take()) it decides the same.  Passes that changed
 * nothing are left out; so are weights, which decide nothing.
 * @fn: @at_ns: the time that was given, SLICE_NO_TIME: none; NULL: no more
 */
void slice_watch(struct slice *s, void (*fn)(void *arg, const struct record *r, int64_t at_ns),
		 void *arg);

/** slice_tell_all() - tell @fn all that there is, as if it had just been told */
void slice_tell_all(struct slice *s, int64_t now_ns);

/** slice_record() - the record p: which policy, and its times */
struct record slice_record(const struct slice *s);

/** slice_find() - the handle of @number, or UINT32_MAX */
uint32_t slice_find(const struct slice *s, int64_t number);

/**
 * slice_take() - be told what another told of: p, a, e, l and d, not passes; tags are numbers
 * Return: NULL, ERR_INVALID for a policy that is none, ERR_CORRUPT for what cannot be.
 */
struct err *slice_take(struct slice *s, const struct record *r, int64_t now_ns) MUST_USE;

/** slice_ran_ns() - time it ran until @now_ns */
int64_t slice_ran_ns(const struct slice *s, uint32_t handle, int64_t now_ns);

/** slice_is_running() - counts as running */
bool slice_is_running(const struct slice *s, uint32_t handle);

/**
 * slice_rate() - thousandths of a cpu it gets now: all its cpus while it runs; under fair its
 * part by weight, nobody more than he can use (weighted max-min), as of the last pass
 */
double slice_rate(const struct slice *s, uint32_t handle);

#endif
