/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/msg.h"
#include "sys/sock.h"
#include "util/mem.h"

#define REQUEST_FDS_MAX 2

/* A request from the moment it is made until it is answered. */
struct request {
	struct request *next;
	uint32_t seq;
	struct shim_done done;
	struct err *refused; /* could not even be sent */
	bool is_sent;
	int fds[REQUEST_FDS_MAX];
	size_t n_fds;
	size_t len;
	char *bytes; /* until sent */
};

struct shim_conn {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *soon; /* delivers what may not be delivered from inside a call */
	int fd;
	uint32_t next_seq;
	struct request *requests; /* in order of seq */
	const struct shim_events *events;
	void *arg;
	bool is_lost;
	bool is_busy;   /* inside a callback: close() only marks */
	bool is_closed; /* by the owner */
};

static void request_free(struct request *r)
{
	for (size_t i = 0; i < r->n_fds; i++)
		own_fd_release(&r->fds[i]);
	err_free(r->refused);
	free(r->bytes);
	free(r);
}

static void conn_free(struct shim_conn *c)
{
	loop_watch_free(c->watch);
	loop_timer_free(c->soon);
	own_fd_release(&c->fd);
	for (struct request *r = c->requests, *next; r; r = next) {
		next = r->next;
		request_free(r);
	}
	free(c);
}

void shim_conn_close(struct shim_conn *c)
{
	if (!c)
		return;
	c->is_closed = true;
	if (!c->is_busy)
		conn_free(c);
}

/* Takes the request with @seq out of the list; NULL when there is none. */
static struct request *take_request(struct shim_conn *c, uint32_t seq)
{
	for (struct request **at = &c->requests; *at; at = &(*at)->next) {
		struct request *r = *at;

		if (r->seq != seq)
			continue;
		*at = r->next;
		return r;
	}
	return NULL;
}

/* Consumes @r and @e. */
static void complete(struct request *r, struct err *e, const char *text)
{
	if (r->done.fn)
		r->done.fn(r->done.arg, e, text);
	else
		err_free(e);
	request_free(r);
}

static void lose(struct shim_conn *c)
{
	c->is_lost = true;
	loop_watch_free(TAKE(c->watch));
	own_fd_release(&c->fd);
	c->fd = -1;
	while (c->requests && !c->is_closed) {
		struct request *r = c->requests;

		c->requests = r->next;
		complete(r, err_new(ERR_UNAVAILABLE, "the supervisor has gone"), "");
	}
	if (!c->is_closed && c->events->lost)
		c->events->lost(c->arg);
}

/* ---- what comes ---- */

static void on_reply(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	struct request *r = take_request(c, m->seq);
	int kind = m->body.reply.kind;
	struct err *e = NULL;

	if (!r)
		return;
	if (kind >= 0)
		e = err_new(kind < ERR_KINDS ? (enum err_kind)kind : ERR_INTERNAL, "%s", text);
	complete(r, e, text);
}

static void on_hello(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	(void)text;
	if (c->events->hello)
		c->events->hello(c->arg, &m->body.hello);
}

static void on_started(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	(void)text;
	if (c->events->started)
		c->events->started(c->arg, &m->body.started);
}

static void on_failed(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	int kind = m->body.reply.kind;

	if (kind < 0 || kind >= ERR_KINDS)
		kind = ERR_INTERNAL;
	if (c->events->failed)
		c->events->failed(c->arg, (enum err_kind)kind, text);
}

static void on_exited(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	if (c->events->exited)
		c->events->exited(c->arg, &m->body.exited, text);
}

static void on_oom(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	(void)m;
	(void)text;
	if (c->events->oom)
		c->events->oom(c->arg);
}

static void on_exec(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	if (c->events->exec)
		c->events->exec(c->arg, (enum shim_msg_type)m->type, &m->body.exec_event, text);
}

static void on_client(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	(void)text;
	if (c->events->client)
		c->events->client(c->arg, (enum shim_msg_type)m->type, m->body.exec_event.exec_id,
				  (uint32_t)m->body.exec_event.code);
}

/* Requests, and events of a newer shim, have no row. */
static void dispatch(struct shim_conn *c, const struct shim_msg *m, const char *text)
{
	static void (*const handlers[])(struct shim_conn *, const struct shim_msg *,
					const char *) = {
		[SHIM_HELLO] = on_hello,         [SHIM_REPLY] = on_reply,
		[SHIM_STARTED] = on_started,     [SHIM_FAILED] = on_failed,
		[SHIM_EXITED] = on_exited,       [SHIM_OOM] = on_oom,
		[SHIM_EXEC_STARTED] = on_exec,   [SHIM_EXEC_FAILED] = on_exec,
		[SHIM_EXEC_EXITED] = on_exec,    [SHIM_DETACHED] = on_client,
		[SHIM_ATTACH_ENDED] = on_client,
	};

	if (m->type < ARRAY_SIZE(handlers) && handlers[m->type])
		handlers[m->type](c, m, text);
}

/* One packet. Returns false when there is none left, or the connection is lost. */
static bool receive(struct shim_conn *c)
{
	int fds[SOCK_MSG_FDS_MAX];
	char buf[SHIM_MSG_MAX];
	struct shim_msg m;
	size_t len = 0;
	OWN(err) struct err *e = sock_recv_msg(c->fd, buf, sizeof(buf), MSG_DONTWAIT, &len, fds);
	OWN(mem) char *text = NULL;

	if (e && err_errno(e) == EAGAIN)
		return false;
	if (e || len == 0 || shim_msg_parse(buf, len, &m) == SHIM_PARSE_BAD) {
		lose(c);
		return false;
	}
	for (size_t i = 0; i < SOCK_MSG_FDS_MAX; i++)
		own_fd_release(&fds[i]); /* a shim sends none */
	text = xstrndup(m.tail_len ? m.tail : "", m.tail_len);
	dispatch(c, &m, text);
	return !c->is_closed && !c->is_lost;
}

/* Sends what waits, in order. Returns false when the socket is full. */
static bool flush(struct shim_conn *c)
{
	for (struct request *r = c->requests; r; r = r->next) {
		struct err *e;

		if (r->is_sent || r->refused)
			continue;
		e = sock_send_msg(c->fd, r->bytes, r->len, r->fds, r->n_fds);
		if (e && err_errno(e) == EAGAIN) {
			err_free(e);
			return false;
		}
		r->is_sent = true;
		r->refused = e; /* the reading side will meet the broken connection itself */
		for (size_t i = 0; i < r->n_fds; i++)
			own_fd_release(&r->fds[i]);
		r->n_fds = 0;
		free(TAKE(r->bytes));
	}
	return true;
}

static void deliver_refused(struct shim_conn *c)
{
	for (struct request **at = &c->requests; *at && !c->is_closed;) {
		struct request *r = *at;

		if (!r->refused) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		complete(r, TAKE(r->refused), "");
		at = &c->requests; /* the callback may have changed the list */
	}
}

/* Ends a round of callbacks; frees the connection when one of them closed it. */
static void leave(struct shim_conn *c)
{
	c->is_busy = false;
	if (c->is_closed)
		conn_free(c);
}

static void on_soon(void *arg)
{
	struct shim_conn *c = arg;

	c->is_busy = true;
	deliver_refused(c);
	leave(c);
}

static void on_socket(void *arg, int events)
{
	struct shim_conn *c = arg;

	c->is_busy = true;
	if (events & LOOP_READ)
		while (receive(c))
			;
	if (!c->is_closed && !c->is_lost) {
		bool all = flush(c);

		loop_watch_set(c->watch, all ? LOOP_READ : LOOP_READ | LOOP_WRITE);
		deliver_refused(c);
	}
	leave(c);
}

void shim_conn_poll(struct shim_conn *c)
{
	if (!c->is_busy && !c->is_lost)
		on_socket(c, LOOP_READ);
}

struct err *shim_conn_open(struct loop *l, const char *run_dir, const struct shim_events *events,
			   void *arg, struct shim_conn **ret)
{
	OWN(mem) char *path = xasprintf("%s/shim.sock", run_dir);
	OWN(shim_conn) struct shim_conn *c = xnew(struct shim_conn);

	c->loop = l;
	c->fd = -1;
	c->events = events;
	c->arg = arg;
	c->soon = loop_timer_new(l, on_soon, c);
	TRY(sock_connect_unix(path, SOCK_SEQPACKET, &c->fd));
	fd_set_nonblock(c->fd, 1);
	TRY(loop_watch_new(l, c->fd, LOOP_READ, on_socket, c, &c->watch));
	*ret = TAKE(c);
	return NULL;
}

static struct request *request_new(struct shim_conn *c, struct shim_done done)
{
	struct request *r = xnew(struct request);
	struct request **at = &c->requests;

	r->seq = ++c->next_seq;
	r->done = done;
	while (*at)
		at = &(*at)->next;
	*at = r;
	return r;
}

static void add_fd(struct request *r, int fd)
{
	if (fd >= 0)
		r->fds[r->n_fds++] = fd;
}

/* Encodes @m as request @r and sends it, now or when there is room. */
static uint32_t submit(struct shim_conn *c, struct request *r, struct shim_msg *m)
{
	m->seq = r->seq;
	if (c->is_lost)
		r->refused = err_new(ERR_UNAVAILABLE, "the supervisor has gone");
	else if (m->tail_len > shim_msg_room(m->type))
		r->refused =
		    err_new(ERR_LIMIT, "%zu bytes are too many for one message", m->tail_len);
	if (!r->refused) {
		r->bytes = xcalloc(1, shim_msg_len(m));
		r->len = shim_msg_build(m, r->bytes);
		if (!flush(c))
			loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
	}
	if (r->refused)
		loop_timer_start(c->soon, 0);
	return r->seq;
}

void shim_conn_start(struct shim_conn *c, struct shim_done done)
{
	submit(c, request_new(c, done), &(struct shim_msg) { .type = SHIM_START });
}

uint32_t shim_conn_attach(struct shim_conn *c, const struct shim_attach *a,
			  const struct shim_client *client, struct shim_done done)
{
	struct request *r = request_new(c, done);

	add_fd(r, client->fd);
	return submit(c, r,
		      &(struct shim_msg) { .type = SHIM_ATTACH,
					   .body.attach = *a,
					   .tail = client->early,
					   .tail_len = client->early_len });
}

uint32_t shim_conn_exec(struct shim_conn *c, const struct shim_exec *x, int process_fd,
			const struct shim_client *client, struct shim_done done)
{
	struct request *r = request_new(c, done);

	add_fd(r, process_fd);
	add_fd(r, client->fd);
	return submit(c, r,
		      &(struct shim_msg) { .type = SHIM_EXEC,
					   .body.exec = *x,
					   .tail = client->early,
					   .tail_len = client->early_len });
}

static void put_id(char slot[SHIM_EXEC_ID_MAX + 1], const char *exec_id)
{
	snprintf(slot, SHIM_EXEC_ID_MAX + 1, "%s", exec_id ? exec_id : "");
}

void shim_conn_signal(struct shim_conn *c, const char *exec_id, int signum, struct shim_done done)
{
	struct shim_msg m = { .type = SHIM_SIGNAL, .body.signal.signum = signum };

	put_id(m.body.signal.exec_id, exec_id);
	submit(c, request_new(c, done), &m);
}

void shim_conn_resize(struct shim_conn *c, const char *exec_id, uint16_t rows, uint16_t cols,
		      struct shim_done done)
{
	struct shim_msg m = { .type = SHIM_RESIZE, .body.resize = { .rows = rows, .cols = cols } };

	put_id(m.body.resize.exec_id, exec_id);
	submit(c, request_new(c, done), &m);
}

void shim_conn_freeze(struct shim_conn *c, bool on, struct shim_done done)
{
	submit(c, request_new(c, done),
	       &(struct shim_msg) { .type = SHIM_FREEZE, .body.freeze.on = on });
}

void shim_conn_release(struct shim_conn *c, struct shim_done done)
{
	submit(c, request_new(c, done),
	       &(struct shim_msg) { .type = SHIM_FREEZE, .body.freeze.on = SHIM_RELEASE });
}

void shim_conn_query(struct shim_conn *c, const char *question, struct shim_done done)
{
	submit(c, request_new(c, done),
	       &(struct shim_msg) {
		   .type = SHIM_QUERY, .tail = question, .tail_len = strlen(question) });
}

void shim_conn_checkpoint(struct shim_conn *c, int dir_fd, struct shim_done done)
{
	struct request *r = request_new(c, done);

	add_fd(r, dir_fd);
	submit(c, r, &(struct shim_msg) { .type = SHIM_CHECKPOINT });
}

void shim_conn_resume(struct shim_conn *c, struct shim_done done)
{
	submit(c, request_new(c, done), &(struct shim_msg) { .type = SHIM_RESUME });
}

void shim_conn_bye(struct shim_conn *c)
{
	submit(c, request_new(c, (struct shim_done) { NULL, NULL }),
	       &(struct shim_msg) { .type = SHIM_BYE });
}
