/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"

struct loop {
	uv_loop_t uv;
	uv_check_t check;     /* after the descriptors of a turn */
	uv_prepare_t prepare; /* after its timers, which may have changed something too */
	void (*turn)(void *arg);
	void *turn_arg;
};

struct loop_watch {
	uv_poll_t uv;
	void (*fn)(void *arg, int events);
	void *arg;
};

struct loop_timer {
	uv_timer_t uv;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_child {
	struct loop_watch *watch;
	int pidfd;
	void (*fn)(void *arg, int code);
	void *arg;
};

struct loop_alarm {
	struct loop_watch *watch;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	void (*fn)(void *arg, int signum);
	void *arg;
};

static struct err *uv_err(int status, const char *what)
{
	return err_sys(-status, "%s", what); /* libuv's codes are negated errnos on Linux */
}

static void free_handle(uv_handle_t *h)
{
	free(h->data);
}

static void turn(struct loop *l)
{
	if (l->turn)
		l->turn(l->turn_arg);
}

static void on_check(uv_check_t *c)
{
	turn(c->data);
}

static void on_prepare(uv_prepare_t *p)
{
	turn(p->data);
}

struct err *loop_new(struct loop **ret)
{
	struct loop *l = xnew(struct loop);
	int r = uv_loop_init(&l->uv);

	if (r < 0) {
		free(l);
		return uv_err(r, "event loop");
	}
	uv_check_init(&l->uv, &l->check);
	l->check.data = l;
	uv_check_start(&l->check, on_check);
	uv_unref((uv_handle_t *)&l->check);
	uv_prepare_init(&l->uv, &l->prepare);
	l->prepare.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_unref((uv_handle_t *)&l->prepare);
	*ret = l;
	return NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT); /* closing callbacks free their objects */
	if (uv_loop_close(&l->uv) == UV_EBUSY)
		uv_run(&l->uv, UV_RUN_NOWAIT);
	free(l);
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_step(struct loop *l, int block)
{
	uv_run(&l->uv, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

void loop_on_turn(struct loop *l, void (*fn)(void *arg), void *arg)
{
	l->turn = fn;
	l->turn_arg = arg;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct loop_watch *w = h->data;
	int set = 0;

	if (status < 0) /* EBADF or the like: let the reader meet the error itself */
		set = LOOP_READ | LOOP_HANGUP;
	if (events & UV_READABLE)
		set |= LOOP_READ;
	if (events & UV_WRITABLE)
		set |= LOOP_WRITE;
	if (events & UV_DISCONNECT)
		set |= LOOP_READ | LOOP_HANGUP;
	w->fn(w->arg, set);
}

struct err *loop_watch_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events),
			   void *arg, struct loop_watch **ret)
{
	struct loop_watch *w = xnew(struct loop_watch);
	int r = uv_poll_init(&l->uv, &w->uv, fd);

	if (r < 0) {
		free(w);
		return uv_err(r, "watch descriptor");
	}
	w->uv.data = w;
	w->fn = fn;
	w->arg = arg;
	loop_watch_set(w, events);
	*ret = w;
	return NULL;
}

void loop_watch_set(struct loop_watch *w, int events)
{
	int set = 0;

	if (events & LOOP_READ)
		set |= UV_READABLE;
	if (events & LOOP_WRITE)
		set |= UV_WRITABLE;
	if (events & LOOP_HANGUP)
		set |= UV_DISCONNECT;
	if (set)
		uv_poll_start(&w->uv, set, on_poll);
	else
		uv_poll_stop(&w->uv);
}

void loop_watch_free(struct loop_watch *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->uv, free_handle);
}

static void on_timer(uv_timer_t *h)
{
	struct loop_timer *t = h->data;

	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = xnew(struct loop_timer);

	uv_timer_init(&l->uv, &t->uv);
	t->uv.data = t;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void loop_timer_start(struct loop_timer *t, int64_t delay_ns)
{
	uint64_t ms = delay_ns <= 0 ? 0 : ((uint64_t)delay_ns + 999999) / 1000000;

	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, on_timer, ms, 0);
}

void loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, free_handle);
}

static void on_alarm(void *arg, int events)
{
	struct loop_alarm *a = arg;
	uint64_t times;

	(void)events;
	if (read(a->fd, &times, sizeof(times)) == (ssize_t)sizeof(times)) /* else it was moved */
		a->fn(a->arg);
}

struct err *loop_alarm_new(struct loop *l, void (*fn)(void *arg), void *arg,
			   struct loop_alarm **ret)
{
	struct loop_alarm *a = xnew(struct loop_alarm);
	struct err *e = NULL;

	a->fn = fn;
	a->arg = arg;
	a->fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (a->fd < 0)
		e = err_sys(errno, "timerfd");
	else
		e = loop_watch_new(l, a->fd, LOOP_READ, on_alarm, a, &a->watch);
	if (e) {
		loop_alarm_free(a);
		return e;
	}
	*ret = a;
	return NULL;
}

void loop_alarm_at(struct loop_alarm *a, int64_t boot_ns)
{
	const struct itimerspec at = { .it_value = { .tv_sec = boot_ns / 1000000000,
						     .tv_nsec = boot_ns % 1000000000 } };

	/* Cannot fail for a time that is not negative. */
	(void)timerfd_settime(a->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void loop_alarm_free(struct loop_alarm *a)
{
	if (!a)
		return;
	loop_watch_free(a->watch);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

static void on_child(void *arg, int events)
{
	struct loop_child *c = arg;
	int code = -1;

	(void)events;
	loop_watch_free(TAKE(c->watch));
	/* Cannot fail for a child of ours that ended; -1 then says that it is unknown. */
	err_free(spawn_reap(c->pidfd, &code));
	c->fn(c->arg, code);
}

struct err *loop_child_new(struct loop *l, int pidfd, void (*fn)(void *arg, int code), void *arg,
			   struct loop_child **ret)
{
	struct loop_child *c = xnew(struct loop_child);
	struct err *e = loop_watch_new(l, pidfd, LOOP_READ, on_child, c, &c->watch);

	if (e) {
		close(pidfd);
		free(c);
		return e;
	}
	c->pidfd = pidfd;
	c->fn = fn;
	c->arg = arg;
	*ret = c;
	return NULL;
}

void loop_child_free(struct loop_child *c)
{
	if (!c)
		return;
	loop_watch_free(c->watch);
	close(c->pidfd);
	free(c);
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct loop_signal *s = h->data;

	s->fn(s->arg, signum);
}

struct err *loop_signal_new(struct loop *l, int signum, void (*fn)(void *arg, int signum),
			    void *arg, struct loop_signal **ret)
{
	struct loop_signal *s = xnew(struct loop_signal);
	int r;

	uv_signal_init(&l->uv, &s->uv);
	s->uv.data = s;
	s->fn = fn;
	s->arg = arg;
	r = uv_signal_start(&s->uv, on_signal, signum);
	if (r < 0) {
		loop_signal_free(s);
		return uv_err(r, "watch signal");
	}
	*ret = s;
	return NULL;
}

void loop_signal_free(struct loop_signal *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->uv, free_handle);
}
