/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/poller.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "util/clock.h"
#include "util/mem.h"

#define FIRED       INT64_MAX
#define WAIT_MAX_NS (INT_MAX / 2 * INT64_C(1000000))
#define ALWAYS      (POLLERR | POLLHUP | POLLNVAL)

struct poll_watch {
	struct poller *poller;
	struct poll_watch *next;
	int fd;
	short events;
	bool is_dead; /* freed while a round is under way */
	void (*fn)(void *arg, short revents);
	void *arg;
};

struct poll_timer {
	struct poller *poller;
	struct poll_timer *next;
	int64_t due_ns;
	bool is_dead;
	void (*fn)(void *arg);
	void *arg;
};

struct poller {
	struct poll_watch *watches;
	struct poll_timer *timers;
	struct pollfd *fds;
	struct poll_watch **owners;
	size_t cap;
	bool in_round;
};

struct poller *poller_new(void)
{
	return xnew(struct poller);
}

static void sweep(struct poller *p)
{
	for (struct poll_watch **at = &p->watches; *at;) {
		struct poll_watch *w = *at;

		if (!w->is_dead) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		free(w);
	}
	for (struct poll_timer **at = &p->timers; *at;) {
		struct poll_timer *t = *at;

		if (!t->is_dead) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		free(t);
	}
}

void poller_free(struct poller *p)
{
	if (!p)
		return;
	for (struct poll_watch *w = p->watches; w; w = w->next)
		w->is_dead = true;
	for (struct poll_timer *t = p->timers; t; t = t->next)
		t->is_dead = true;
	sweep(p);
	free(p->fds);
	free(p->owners);
	free(p);
}

struct poll_watch *poll_watch_new(struct poller *p, int fd, short events,
				  void (*fn)(void *arg, short revents), void *arg)
{
	struct poll_watch *w = xnew(struct poll_watch);

	*w = (struct poll_watch) {
		.poller = p, .next = p->watches, .fd = fd, .events = events, .fn = fn, .arg = arg
	};
	p->watches = w;
	return w;
}

void poll_watch_set(struct poll_watch *w, short events)
{
	w->events = events;
}

void poll_watch_free(struct poll_watch *w)
{
	if (!w)
		return;
	w->is_dead = true;
	if (!w->poller->in_round)
		sweep(w->poller);
}

struct poll_timer *poll_timer_new(struct poller *p, int64_t delay_ns, void (*fn)(void *arg),
				  void *arg)
{
	struct poll_timer *t = xnew(struct poll_timer);

	*t = (struct poll_timer) { .poller = p,
				   .next = p->timers,
				   .due_ns = clock_boot_ns() + delay_ns,
				   .fn = fn,
				   .arg = arg };
	p->timers = t;
	return t;
}

void poll_timer_free(struct poll_timer *t)
{
	if (!t)
		return;
	t->is_dead = true;
	if (!t->poller->in_round)
		sweep(t->poller);
}

static nfds_t collect(struct poller *p)
{
	nfds_t n = 0;

	for (struct poll_watch *w = p->watches; w; w = w->next)
		n += w->events != 0;
	if (n > p->cap) {
		p->cap = n + 8;
		p->fds = xrealloc(p->fds, p->cap, sizeof(*p->fds));
		p->owners = xrealloc(p->owners, p->cap, sizeof(struct poll_watch *));
	}
	n = 0;
	for (struct poll_watch *w = p->watches; w; w = w->next) {
		if (!w->events)
			continue;
		p->fds[n] = (struct pollfd) { .fd = w->fd, .events = w->events };
		p->owners[n++] = w;
	}
	return n;
}

static int timeout_ms(const struct poller *p, int64_t limit_ns)
{
	int64_t wait_ns = limit_ns;
	int64_t now = p->timers ? clock_boot_ns() : 0;

	for (const struct poll_timer *t = p->timers; t; t = t->next) {
		int64_t left = t->due_ns > now ? t->due_ns - now : 0;

		if (t->due_ns != FIRED && (wait_ns < 0 || left < wait_ns))
			wait_ns = left;
	}
	if (wait_ns < 0)
		return -1;
	return wait_ns > WAIT_MAX_NS ? INT_MAX : (int)((wait_ns + 999999) / 1000000);
}

static void fire_timers(struct poller *p)
{
	int64_t now = p->timers ? clock_boot_ns() : 0;

	for (struct poll_timer *t = p->timers; t; t = t->next) {
		if (t->is_dead || t->due_ns > now)
			continue;
		t->due_ns = FIRED; /* once; the owner frees it */
		t->fn(t->arg);
	}
}

void poller_step(struct poller *p, int64_t timeout_ns)
{
	nfds_t n = collect(p);
	int ready = poll(p->fds, n, timeout_ms(p, timeout_ns));

	p->in_round = true;
	for (nfds_t i = 0; ready > 0 && i < n; i++) {
		struct poll_watch *w = p->owners[i];

		short wanted = w->is_dead || !w->events ? 0 : (short)(w->events | ALWAYS);

		/* An earlier callback of this round may have changed what it waits for. */
		if (p->fds[i].revents & wanted)
			w->fn(w->arg, p->fds[i].revents & wanted);
	}
	fire_timers(p);
	p->in_round = false;
	sweep(p);
}
