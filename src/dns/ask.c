/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define PATIENCE_NS INT64_C(2000000000)
#define PREFIX      2 /* bytes that hold the length, over TCP */
#define MESSAGE_MAX 65535

struct ask {
	struct loop *loop;
	void (*fn)(void *arg, const uint8_t *reply, size_t len);
	void *arg;
	struct dns_question q;
	struct dns_upstream servers[DNS_UPSTREAMS_MAX];
	size_t n_servers, tries;
	bool is_tcp, is_sent;
	uint8_t *query; /* with the length before it, and an id of our own */
	size_t len;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct str in; /* TCP: what has come of the reply */
};

static void close_socket(struct ask *a)
{
	loop_watch_free(TAKE(a->watch));
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->is_sent = false;
	str_done(&a->in);
}

void ask_free(struct ask *a)
{
	if (!a)
		return;
	close_socket(a);
	loop_timer_free(a->timer);
	free(a->query);
	free(a);
}

static void next_server(struct ask *a);

/* A server that cannot be asked is left at once, but not from inside the caller's call. */
static void give_up(struct ask *a)
{
	close_socket(a);
	loop_timer_start(a->timer, 0);
}

/* Return: was it the one? Then @a is gone. */
static bool take_reply(struct ask *a, uint8_t *reply, size_t len)
{
	if (!dns_is_reply(reply, len, a->query + PREFIX, &a->q))
		return false;
	reply[0] = (uint8_t)(a->q.id >> 8);
	reply[1] = (uint8_t)a->q.id;
	a->fn(a->arg, reply, len);
	return true;
}

/* ---- UDP ---- */

static void on_datagram(void *arg, int events)
{
	struct ask *a = arg;
	uint8_t buf[DNS_REPLY_MAX];
	ssize_t n = recv(a->fd, buf, sizeof(buf), 0);

	(void)events;
	if (n > 0)
		take_reply(a, buf, (size_t)n); /* not ours? The right one may still come */
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		give_up(a); /* refused */
}

static bool send_datagram(struct ask *a)
{
	return send(a->fd, a->query + PREFIX, a->len, MSG_NOSIGNAL) >= 0;
}

/* ---- TCP ---- */

static void read_stream(struct ask *a)
{
	uint8_t buf[4096], *in;
	ssize_t n = recv(a->fd, buf, sizeof(buf), 0);
	size_t want;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		give_up(a);
		return;
	}
	str_add(&a->in, buf, (size_t)n);
	in = (uint8_t *)(void *)a->in.buf;
	want = a->in.len < PREFIX ? MESSAGE_MAX : (size_t)(in[0] << 8 | in[1]);
	if (a->in.len >= PREFIX + want && !take_reply(a, in + PREFIX, want))
		give_up(a);
}

static void on_stream(void *arg, int events)
{
	struct ask *a = arg;
	size_t size = PREFIX + a->len;

	if (a->is_sent) {
		read_stream(a);
	} else if (events & LOOP_WRITE) {
		a->is_sent = true; /* a few hundred bytes fit a new connection's buffer */
		if (send(a->fd, a->query, size, MSG_NOSIGNAL) == (ssize_t)size)
			loop_watch_set(a->watch, LOOP_READ);
		else
			give_up(a);
	}
}

/* ---- both ---- */

static bool open_socket(struct ask *a, const struct dns_upstream *to)
{
	int type = a->is_tcp ? SOCK_STREAM : SOCK_DGRAM;
	struct err *e = NULL;
	int r;

	a->fd = socket(to->address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return false;
	r = connect(a->fd, (const struct sockaddr *)&to->address, to->len);
	if (r < 0 && !(a->is_tcp && errno == EINPROGRESS))
		return false;
	if (!a->is_tcp && !send_datagram(a))
		return false;
	e = loop_watch_new(a->loop, a->fd, a->is_tcp ? LOOP_WRITE : LOOP_READ,
			   a->is_tcp ? on_stream : on_datagram, a, &a->watch);
	err_free(e);
	return !e;
}

static void next_server(struct ask *a)
{
	/* A lone server is asked twice: a datagram may get lost. */
	size_t max = a->n_servers == 1 && !a->is_tcp ? 2 : a->n_servers;
	size_t at = a->tries++;

	close_socket(a);
	if (at >= max) {
		a->fn(a->arg, NULL, 0);
		return;
	}
	if (open_socket(a, &a->servers[at % a->n_servers])) {
		loop_timer_start(a->timer, PATIENCE_NS);
		return;
	}
	give_up(a);
}

static void on_time(void *arg)
{
	next_server(arg);
}

struct ask *ask_new(struct loop *l, const struct ask_what *w,
		    void (*fn)(void *arg, const uint8_t *reply, size_t len), void *arg)
{
	struct ask *a = xnew(struct ask);

	*a = (struct ask) { .loop = l, .fn = fn, .arg = arg, .q = *w->q, .is_tcp = w->is_tcp };
	a->fd = -1;
	a->len = w->len;
	a->n_servers = w->n_servers < DNS_UPSTREAMS_MAX ? w->n_servers : DNS_UPSTREAMS_MAX;
	memcpy(a->servers, w->servers, a->n_servers * sizeof(*w->servers));
	a->query = xcalloc(1, PREFIX + w->len);
	a->query[0] = (uint8_t)(w->len >> 8);
	a->query[1] = (uint8_t)w->len;
	memcpy(a->query + PREFIX, w->query, w->len);
	if (getrandom(a->query + PREFIX, 2, 0) != 2)
		abort(); /* cannot fail for so few */
	a->timer = loop_timer_new(l, on_time, a);
	loop_timer_start(a->timer, 0);
	return a;
}
