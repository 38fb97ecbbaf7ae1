/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_POLLER_H
#define SYS_POLLER_H

/*
 * The event loop of small programs that stay (shim, guest): poll(2) over a
 * handful of descriptors and one-shot timers, a few KB of memory.  hosteld and
 * the workers use loop/loop.h instead.
 *
 * Context: one thread; callbacks may add and free any watch, their own too.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/defs.h"

/* Wait for hang-up and errors only: an event that no descriptor ever has. */
#define POLLER_ERRORS_ONLY 0x400

struct poller;
struct poll_watch;
struct poll_timer;

/** poller_new() - without any watch */
struct poller *poller_new(void);

/** poller_free() - with all watches and timers that are left */
void poller_free(struct poller *p);

/**
 * poll_watch_new() - watch a descriptor (borrowed)
 * @events: POLLIN, POLLOUT (poll.h) or POLLER_ERRORS_ONLY; 0 pauses, POLLHUP and POLLERR are
 *          always delivered unless paused
 * @fn:     called with revents
 */
struct poll_watch *poll_watch_new(struct poller *p, int fd, short events,
				  void (*fn)(void *arg, short revents), void *arg);

/** poll_watch_set() - change what it waits for, from now on */
void poll_watch_set(struct poll_watch *w, short events);

/** poll_watch_free() - no callback comes after it; NULL is fine */
void poll_watch_free(struct poll_watch *w);

/** poll_timer_new() - call @fn once after @delay_ns; poll_timer_free() in any state */
struct poll_timer *poll_timer_new(struct poller *p, int64_t delay_ns, void (*fn)(void *arg),
				  void *arg);

/** poll_timer_free() - fired or not; NULL is fine */
void poll_timer_free(struct poll_timer *t);

/** poller_step() - wait for one round of events (at most @timeout_ns; negative: no limit) */
void poller_step(struct poller *p, int64_t timeout_ns);

#endif
