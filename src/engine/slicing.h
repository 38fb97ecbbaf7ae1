/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_SLICING_H
#define ENGINE_SLICING_H

/*
 * Scheduling: which admitted instances run now.  sched/slice.h decides; here the decisions
 * are carried out by the freezer, on the cgroup of the instance, of whichever kind.
 *
 *	RUNS ─ not its turn ─> FREEZING ─ all in it stopped ─> FROZEN
 *	  ^________________________ its turn _________________________|
 *
 * In the line stands what runs, declared a demand of cpu and is not paused by its user.  While
 * all of that fits the cpus, or under fair, nobody is frozen.  What does not declare a demand is
 * never frozen: the kernel gives it what is left, by weight.
 *
 * An instance is let run out of its turn, beside those whose turn it is, for as long as
 * something needs it awake: it is being stopped or removed, an exec (a health check is one) runs
 * in it, a VM's agent was asked for files or processes, or it was sent a signal just now.  Its
 * place in line is not touched by that.
 *
 * A container's freezer has one switch for two reasons: what a user paused leaves the line
 * first, and from then on only its shim turns the switch.  VMs are paused by QMP.
 *
 * Context: the loop's thread; nothing here waits.
 */

#include "engine/engine_int.h"

#define SLICING_NUDGE_NS (INT64_C(1000000000))      /* awake after a signal */
#define SLICING_END_NS   (10 * INT64_C(1000000000)) /* after one that asks it to end */

/** slicing_new() - fair; the capacity is known, policy_init() follows */
struct err *slicing_new(struct engine *e) MUST_USE;

/** slicing_free() - whatever time slicing froze is thawed; NULL is fine */
void slicing_free(struct engine *e);

/**
 * slicing_configure() - another policy, also while instances run
 * @p: schedule (fcfs, rr, priority, srtf, mlfq, fair), quantum_ns (0: as it is), age_ns, boost_ns
 * Return: NULL, or ERR_INVALID and nothing is changed.
 */
struct err *slicing_configure(struct engine *e, const struct policy *p) MUST_USE;

/** slicing_check_quantum() - ERR_INVALID "expected 1ms to 1h"; 0 is fine */
struct err *slicing_check_quantum(int64_t quantum_ns) MUST_USE;

/** slicing_check_time() - of age and boost: ERR_INVALID "expected 0 to 1 year" */
struct err *slicing_check_time(int64_t ns) MUST_USE;

const char *slicing_policy(const struct engine *e);
int64_t slicing_quantum_ns(const struct engine *e);

/* For the event log: as slice_watch(), slice_tell_all(), and record p. */
struct record;
void slicing_watch(struct engine *e, void (*fn)(void *arg, const struct record *r, int64_t at_ns),
		   void *arg);
void slicing_tell_all(struct engine *e, int64_t now_ns);
struct record slicing_record(const struct engine *e);

/** slicing_is_on() - may a policy freeze this instance? */
bool slicing_is_on(const struct instance *i);

/**
 * slicing_enter() - it runs: into the line, if it has a demand; repeating it does no harm
 * @is_frozen: its cgroup is frozen, and it is to be thawed when its turn comes
 */
void slicing_enter(struct instance *i, bool is_frozen);

/** slicing_leave() - out of the line; @thaw: what time slicing froze is thawed */
void slicing_leave(struct instance *i, bool thaw);

/** slicing_thaw() - let run what a daemon before us may have frozen */
void slicing_thaw(const struct instance *i);

/** slicing_hold_frozen() - freeze what is not in the line, before its user's pause ends */
void slicing_hold_frozen(struct instance *i);

/** slicing_changed() - what it demands or how important it is */
void slicing_changed(struct instance *i);

/** slicing_expect() - its expected run time is i->expect_now_ns */
void slicing_expect(struct instance *i);

/** slicing_look() - what may need it awake has changed */
void slicing_look(struct instance *i);

/** slicing_nudge() - awake for @ns */
void slicing_nudge(struct instance *i, int64_t ns);

/** slicing_hold() - awake until the returned completion is called, which calls @done */
struct engine_done slicing_hold(struct instance *i, struct engine_done done);

/** slicing_unhold() - what was to call @held failed to begin */
void slicing_unhold(struct engine_done held);

/** slicing_turn() - once per turn of the loop; cheap when nothing changed */
void slicing_turn(struct engine *e);
bool slicing_is_due(const struct engine *e);

/** slicing_is_sliced() - waits for its turn now */
bool slicing_is_sliced(const struct instance *i);

/** slicing_waited_ns() - of the time since it was last thawed, not in its account yet */
int64_t slicing_waited_ns(const struct instance *i);

/** slicing_json() - {"policy","quantum_ns","demand_milli","cpu_milli","sliced"}; new reference */
json_t *slicing_json(const struct engine *e);

#endif
