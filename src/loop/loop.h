/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

/*
 * The event loop of hosteld and of the workers, on libuv.  One thread; every
 * callback runs on it and must not block.  Handles (watch, timer, child) are
 * long-lived objects owned by the caller; free stops them at once, and no
 * callback comes after it (libuv's own closing is hidden behind it).
 */

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct loop;
struct loop_watch;
struct loop_timer;
struct loop_child;
struct loop_signal;
struct loop_alarm;

enum loop_events {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* delivered with READ when the peer closed */
};

struct err *loop_new(struct loop **ret) MUST_USE;
void loop_free(struct loop *l);

/** loop_run() - run until loop_stop() or nothing is left to wait for */
void loop_run(struct loop *l);

/** loop_step() - one turn; @block: wait for an event. For tests and for foreign loops */
void loop_step(struct loop *l, int block);

/** loop_stop() - make loop_run() return after this turn */
void loop_stop(struct loop *l);

/**
 * loop_on_turn() - call @fn at the end of every loop turn in which something happened
 * One slot: the engine's pass (commit the turn's transaction, one scheduling pass).
 */
void loop_on_turn(struct loop *l, void (*fn)(void *arg), void *arg);

/**
 * loop_watch_new() - watch a descriptor (borrowed; it must outlive the watch)
 * @events: set of enum loop_events
 * @fn:     called with the events that are there; level-triggered
 */
struct err *loop_watch_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events),
			   void *arg, struct loop_watch **ret) MUST_USE;

/** loop_watch_set() - change the set of events; 0 pauses */
void loop_watch_set(struct loop_watch *w, int events);
void loop_watch_free(struct loop_watch *w);

/** loop_timer_new() - a stopped timer */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);

/** loop_timer_start() - fire once after @delay_ns (rounded up to ms), replacing an older start */
void loop_timer_start(struct loop_timer *t, int64_t delay_ns);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/** loop_alarm_new() - a stopped alarm: a timer to the precision of the kernel's, for time slices */
struct err *loop_alarm_new(struct loop *l, void (*fn)(void *arg), void *arg,
			   struct loop_alarm **ret) MUST_USE;

/**
 * loop_alarm_at() - fire once at @boot_ns (CLOCK_BOOTTIME), replacing an older time
 * @boot_ns: past: at the next turn; 0: stop it
 */
void loop_alarm_at(struct loop_alarm *a, int64_t boot_ns);
void loop_alarm_free(struct loop_alarm *a);

/**
 * loop_child_new() - be told when a child (by pidfd) ended
 * @pidfd: consumed
 * @fn:    called once with the exit code (128 + signal); the child is reaped; call
 *         loop_child_free() there or later
 */
struct err *loop_child_new(struct loop *l, int pidfd, void (*fn)(void *arg, int code), void *arg,
			   struct loop_child **ret) MUST_USE;

/** loop_child_free() - stop watching; the child itself goes on and is not reaped */
void loop_child_free(struct loop_child *c);

/** loop_signal_new() - call @fn on the loop when the process gets @signum */
struct err *loop_signal_new(struct loop *l, int signum, void (*fn)(void *arg, int signum),
			    void *arg, struct loop_signal **ret) MUST_USE;
void loop_signal_free(struct loop_signal *s);

DEFINE_OWN(loop, loop_free)
DEFINE_OWN(loop_watch, loop_watch_free)
DEFINE_OWN(loop_timer, loop_timer_free)

#endif
