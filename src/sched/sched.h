/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

/*
 * Scheduler: who gets resources next.  The allocator (alloc.h) with names for the engine:
 * jobs by id, best effort and its measurement, reasons for people.  Pure: no I/O, threads or
 * clock; events and the time go in, decisions come out.
 *
 * A decision is a request: what it takes counts as taken at once; what it frees
 * counts as free only when the event says so.
 *
 *	R_free = R_total - sum of R_i over admitted jobs - host        (per resource)
 *	M_free = M_total - sum of M_i                                  (RES_MANAGE)
 *
 * A resource that a job does not declare is best effort: it counts 0 at admission and is
 * charged with what is measured later, so R_free may go below zero.  A job that declares
 * nothing waits for M only, and behind nobody.
 *
 * Time is any monotonic clock in ns.  Ties are broken by arrival, then by sequence
 * number, so that the same events give the same decisions on any machine.
 * Spec: DESIGN "The numbers, defined"; docs/numbers.md.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sched/resource.h"
#include "util/err.h"
#include "util/str.h"

struct sched_job {
	const char *id;           /* copied */
	uint64_t number;          /* in the event log; 0: none */
	struct amounts demand;    /* RES_MANAGE: estimate of M_i; others 0 where not declared */
	bool declared[RES_COUNT]; /* RES_MANAGE is always taken as declared */
	int64_t priority;
	int64_t expect_ns;   /* 0: unknown */
	int64_t deadline_ns; /* a point in time, for edf; 0: none */
	int64_t max_wait_ns; /* 0: what sched_max_wait() set */
	int64_t uid;
	int64_t
	    group; /* whom order `rr` serves in turn: a number of its label's value; 0: its user */
	int64_t place; /* sched_place() of an earlier life; 0: the policy's */
};

struct sched;

/* ---- life ---- */

struct sched *sched_new(void); /* fcfs/strict, everything 0 */
void sched_free(struct sched *s);
DEFINE_OWN(sched, sched_free)

/**
 * sched_policy_set() - "fcfs", "sjf/easy": as alloc_policy_set()
 * Return: NULL, or ERR_INVALID naming what there is.
 */
struct err *sched_policy_set(struct sched *s, const char *policy) MUST_USE;

/** sched_policy() - "fcfs/strict"; borrowed */
const char *sched_policy(const struct sched *s);

/**
 * sched_over() - the label of "rr:LABEL"; NULL: none; borrowed
 *
 * After a change of it the groups of those that wait are to be told, by sched_resize().
 */
const char *sched_over(const struct sched *s);

/* ---- events ---- */

/** sched_capacity() - R_total per resource, M_total in RES_MANAGE; evicts nobody */
void sched_capacity(struct sched *s, struct amounts total);

/** sched_host() - what the host's own programs use beyond S */
void sched_host(struct sched *s, struct amounts used);

/**
 * sched_check() - could @j ever be admitted?
 * Return: NULL, or ERR_LIMIT "memory: needs 64 GiB, this host has 22.6 GiB", "quota: memory:
 *         needs 4 GiB, its user may hold 2 GiB".
 */
struct err *sched_check(const struct sched *s, const struct sched_job *j) MUST_USE;

/** sched_arrive() - @j joins the queue at @now_ns; its id must be new */
void sched_arrive(struct sched *s, const struct sched_job *j, int64_t now_ns);

/** sched_adopt() - @j holds its demand already (recovery; a restart that kept its allocation) */
void sched_adopt(struct sched *s, const struct sched_job *j, int64_t now_ns);

/** sched_leave() - withdrawn, ended, or failed to start: out of queue and sums; unknown is fine */
void sched_leave(struct sched *s, const char *id);

/** sched_charge() - what an admitted job is measured to use: best-effort resources and M_i */
void sched_charge(struct sched *s, const char *id, struct amounts measured);

/** sched_resize() - an admitted or waiting job's declared demand changed */
void sched_resize(struct sched *s, const char *id, const struct sched_job *j);

/** sched_max_wait() - after it a waiting job is the head, and nothing passes it; 0: never */
void sched_max_wait(struct sched *s, int64_t max_wait_ns);

/**
 * sched_turn() - order `rr`: an allocation lasts this long while others wait, then it is to be
 * spilled, and its holder stands at the tail; 0: it lasts to the end
 */
void sched_turn(struct sched *s, int64_t turn_ns);

/**
 * sched_spilled() - what was to be spilled is out: it keeps its disk and its M_i, and waits for the
 * rest
 *
 * Unless it fails: then it keeps all, for another turn.
 */
void sched_spilled(struct sched *s, const char *id, bool has_failed, int64_t now_ns);

/** sched_aging() - order `priority`: waiting this long is worth one step; 0: no aging */
void sched_aging(struct sched *s, int64_t aging_ns);

/** sched_replan() - a new expectation of a job's run time in total; 0: unknown */
void sched_replan(struct sched *s, const char *id, int64_t expect_ns);

/** sched_drain() - nothing is admitted while this is on; what runs goes on */
void sched_drain(struct sched *s, bool on);

/** sched_circle() - order `rr`: the place of a user among those with something waiting, as the
 * record I has it; 0: none, since all that waits is over its quota */
void sched_circle(struct sched *s, int64_t group, uint64_t stamp);

/** sched_hold() - a waiting job is passed over until it is released, and blocks nobody */
void sched_hold(struct sched *s, const char *id, bool on);

/**
 * sched_quota() - what a user's admitted jobs may hold together; 0: no limit, @jobs too
 *
 * Declared demands count; what is best effort counts as a job only.
 */
void sched_quota(struct sched *s, int64_t uid, struct amounts most, uint32_t jobs);

/** sched_be_spilled() - a job that arrived here, or holds its demand, is spilled; or it is under
 * way */
void sched_be_spilled(struct sched *s, const char *id, bool is_under_way);

enum sched_where { SCHED_FIRST, SCHED_LAST, SCHED_BEFORE, SCHED_AFTER };

/**
 * sched_move() - somebody says where a waiting job stands
 *
 * It and all who stand before it there now keep that order, before all others and whatever the
 * policy's order says, until they are admitted or leave: alloc_move() says it exactly.
 * @other: for BEFORE and AFTER; NULL else
 * Return: NULL; ERR_STATE when one of the two does not wait, or behind nobody (it declares
 *         nothing); ERR_INVALID for a job before or after itself.
 */
struct err *sched_move(struct sched *s, const char *id, enum sched_where where, const char *other,
		       int64_t now_ns) MUST_USE;

/** sched_place() - its own place in the queue, 1 and up; 0: it stands where the policy says */
int64_t sched_place(const struct sched *s, const char *id);
/* ---- what it was told, and decided ---- */

struct record; /* sched/record.h */

#define SCHED_NO_TIME INT64_MIN

/**
 * sched_watch() - from now on @fn is told of whatever decides, and of each decision
 *
 * Given to another scheduler in this order it decides the same.  What cannot change a decision
 * is left out: passes with nobody waiting, and what others hold (host, charges) until a pass.
 * @fn: @id: of the job, NULL: none; @at_ns: the time that was given, SCHED_NO_TIME: none
 *      A job that leaves is E when it held something, W when it waited.
 */
void sched_watch(struct sched *s,
		 void (*fn)(void *arg, const struct record *r, const char *id, int64_t at_ns),
		 void *arg);

/**
 * sched_tell_all() - tell @fn all that there is, as if it had just been told
 */
void sched_tell_all(struct sched *s, int64_t now_ns);

/* ---- what would be ---- */

/**
 * sched_copy() - another scheduler that knows what @s knows, and would decide as it does
 *
 * It is not watched, and what it is told @s never hears of.
 */
struct sched *sched_copy(const struct sched *s);

/** sched_clear() - as if nobody were there: all jobs leave, and it is not drained */
void sched_clear(struct sched *s);

/* ---- decisions ---- */

/*
 * What a pass decides, called in order; the functions must not call back into the scheduler.
 *
 *	waiting ── admit ──> holds its demand ── spill ──> is being spilled
 *	                     ^                             | sched_spilled()
 *	                     '── unspill ── waits, spilled <'
 */
struct sched_decisions {
	void (*admit)(void *arg, const char *id);   /* it counts as admitted already */
	void (*spill)(void *arg, const char *id);   /* it holds all until sched_spilled() */
	void (*unspill)(void *arg, const char *id); /* as admit, of one that was spilled */
};

/**
 * sched_pass() - one scheduling pass
 * @d: spill and unspill may be NULL where sched_turn() was never told
 * Return: the time at which a pass could decide differently without an event; 0: never.
 */
int64_t sched_pass(struct sched *s, int64_t now_ns, const struct sched_decisions *d, void *arg);

/* ---- reading ---- */

struct sched_reason {
	enum resource what;
	int64_t needs, free; /* free may be below zero */
	bool behind; /* it would fit; it waits for those before it, or for its user's quota */
};

/** sched_reason() - why a waiting job waits; false when @id does not wait */
bool sched_reason(const struct sched *s, const char *id, struct sched_reason *ret);

/**
 * sched_reason_text() - for people: "memory: needs 4 GiB, 1.2 GiB free; held by db, web (no end
 * known)"
 * @name_of: display name of a job's id; returns borrowed text
 * Return: text owned by the caller.
 */
char *sched_reason_text(const struct sched *s, const char *id,
			const char *(*name_of)(void *arg, const char *id), void *arg);

/** sched_totals() - all outputs may be NULL. @ret_held: sum over admitted jobs, host excluded */
void sched_totals(const struct sched *s, struct amounts *ret_total, struct amounts *ret_held,
		  struct amounts *ret_host, struct amounts *ret_free);

/** sched_held() - what an admitted job holds now; false when it is not admitted */
bool sched_held(const struct sched *s, const char *id, struct amounts *ret);

enum sched_memory { SCHED_RESIDENT, SCHED_SPILLING, SCHED_SPILLED };

/** sched_memory() - where a job's memory is, as far as was decided; unknown: resident */
enum sched_memory sched_memory(const struct sched *s, const char *id);

/**
 * sched_expected_starts() - when those that wait will start, in the order of the policy
 * @fn: @starts_ns on the clock of @now_ns; 0: it cannot be known, because an end cannot, or
 *      because nothing is admitted (drain)
 */
void sched_expected_starts(struct sched *s, int64_t now_ns,
			   void (*fn)(void *arg, const char *id, int64_t starts_ns), void *arg);

/** sched_each_waiting() - in the order of the policy at @now_ns */
void sched_each_waiting(struct sched *s, int64_t now_ns,
			void (*fn)(void *arg, const char *id, int64_t arrival_ns), void *arg);

#endif
