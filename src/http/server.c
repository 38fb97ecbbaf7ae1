/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_int.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/fd.h"
#include "util/mem.h"

#define CONNECTIONS_MAX 4096u
#define RUNS_PER_TURN   8

/* ---- requests: ownership ---- */

void request_ref(struct http_request *r)
{
	r->refs++;
}

static void unlink_request(struct http_request *r)
{
	if (!r->at)
		return;
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	r->at = NULL;
}

static void request_free(struct http_request *r)
{
	if (r->data_free)
		r->data_free(r->data);
	free(r->method);
	free(r->path);
	http_query_done(&r->query);
	strmap_done(&r->headers);
	str_done(&r->body);
	free(r);
}

void request_unref(struct http_request *r)
{
	if (--r->refs == 0)
		request_free(r);
}

static void close_sink(struct http_request *r)
{
	loop_watch_free(TAKE(r->body_watch));
	own_fd_release(&r->body_fd);
	r->body_fd = -1;
}

static void tell_gone(struct http_request *r)
{
	void (*fn)(void *arg) = TAKE(r->on_gone);

	if (fn)
		fn(r->on_gone_arg);
}

/* The connection ended, by whatever end.  libmicrohttpd closes the socket after this. */
static void request_detach(struct http_request *r)
{
	unlink_request(r);
	loop_watch_free(TAKE(r->gone_watch));
	r->conn = NULL;
	r->client_fd = -1;
	tell_gone(r);
	close_sink(r);
	if (r->response)
		MHD_destroy_response(TAKE(r->response));
	if (r->mode == BODY_COLLECTED && !r->body_done && !r->is_answered) {
		r->is_answered = true;
		request_unref(r); /* the handler's: on_body will not come */
	}
	request_unref(r);
}

/* ---- suspension, and clients that go ---- */

void request_suspend(struct http_request *r)
{
	if (r->is_suspended || !r->conn)
		return;
	r->is_suspended = true;
	MHD_suspend_connection(r->conn);
}

void request_resume(struct http_request *r)
{
	if (!r->is_suspended || !r->conn)
		return;
	r->is_suspended = false;
	MHD_resume_connection(r->conn);
	loop_timer_start(r->server->again, 0); /* no descriptor announces it */
}

/* The peer closed, or only will not send any more? */
static bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void on_client(void *arg, int events)
{
	struct http_request *r = arg;

	(void)events;
	loop_watch_free(TAKE(r->gone_watch));
	if (!is_closed(r->client_fd))
		return;
	tell_gone(r);
}

void request_watch_client(struct http_request *r)
{
	if (r->gone_watch || r->client_fd < 0 || !r->server)
		return;
	err_free(loop_watch_new(r->server->loop, r->client_fd, LOOP_HANGUP, on_client, r,
				&r->gone_watch));
}

void http_on_gone(struct http_request *r, void (*fn)(void *arg), void *arg)
{
	r->on_gone = fn;
	r->on_gone_arg = arg;
	request_watch_client(r);
}

/* ---- bodies ---- */

void http_collect_body(struct http_request *r, size_t max,
		       void (*fn)(void *arg, struct http_request *r), void *arg)
{
	r->mode = BODY_COLLECTED;
	r->body_max = max;
	r->on_body = fn;
	r->on_body_arg = arg;
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
	if (ret_len)
		*ret_len = r->body.len;
	return r->body.buf ? r->body.buf : "";
}

void http_body_to(struct http_request *r, int fd)
{
	r->mode = BODY_PIPED;
	r->body_fd = fd;
	fd_set_nonblock(fd, 1);
}

static void on_sink(void *arg, int events)
{
	struct http_request *r = arg;

	(void)events;
	loop_watch_free(TAKE(r->body_watch));
	request_resume(r);
}

static void wait_for_sink(struct http_request *r)
{
	struct err *e =
	    loop_watch_new(r->server->loop, r->body_fd, LOOP_WRITE, on_sink, r, &r->body_watch);

	if (e) {
		err_free(e);
		close_sink(r);
		return;
	}
	request_suspend(r);
}

/*
 * Returns how many of @n bytes were taken.  Less than all only together with suspension:
 * libmicrohttpd calls again for the rest when it is resumed, and not before.
 */
static size_t pipe_body(struct http_request *r, const char *data, size_t n)
{
	size_t taken = 0;

	while (taken < n && r->body_fd >= 0) {
		ssize_t done = write(r->body_fd, data + taken, n - taken);

		if (done >= 0) {
			taken += (size_t)done;
		} else if (errno == EAGAIN) {
			wait_for_sink(r);
			break;
		} else if (errno != EINTR) {
			close_sink(r); /* the reader ended: it had enough, or failed and says so */
		}
	}
	return r->body_fd < 0 ? n : taken;
}

static size_t collect_body(struct http_request *r, const char *data, size_t n)
{
	if (r->body_seen > r->body_max)
		str_done(&r->body);
	else
		str_add(&r->body, data, n);
	return n;
}

static size_t take_body(struct http_request *r, const char *data, size_t n)
{
	if (r->mode == BODY_PIPED)
		return pipe_body(r, data, n);
	r->body_seen += n;
	return r->mode == BODY_COLLECTED ? collect_body(r, data, n) : n;
}

static void refuse_body(struct http_request *r)
{
	static const char text[] = "{\"message\":\"the request body is too large\"}\n";

	http_reply(r, 413, "application/json", text, sizeof(text) - 1);
}

static void finish_body(struct http_request *r)
{
	if (r->body_done)
		return;
	r->body_done = true;
	close_sink(r);
	if (r->mode != BODY_COLLECTED || r->is_answered)
		return;
	if (r->body_seen > r->body_max)
		refuse_body(r);
	else
		r->on_body(r->on_body_arg, r);
}

/* ---- libmicrohttpd's callbacks ---- */

static int connection_fd(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* The request line has come: nothing but the target is known yet. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *conn)
{
	struct http_server *s = arg;
	struct http_request *r = xnew(struct http_request);
	size_t len = strcspn(uri, "?");
	struct ucred cred = { .uid = (uid_t)-1 };

	r->server = s;
	r->conn = conn;
	r->refs = 1;
	r->client_fd = connection_fd(conn);
	r->body_fd = -1;
	r->path = xstrndup(uri, len);
	if (uri[len])
		http_query_parse(uri + len + 1, &r->query);
	err_free(sock_peer_cred(r->client_fd, &cred));
	r->uid = cred.uid;
	r->next = s->first;
	r->at = &s->first;
	if (s->first)
		s->first->at = &r->next;
	s->first = r;
	return r;
}

static void begin(struct http_request *r, const char *method)
{
	r->has_begun = true;
	r->method = xstrdup(method);
	request_ref(r);
	r->server->on_request(r->server->arg, r);
}

static enum MHD_Result queue_answer(struct http_request *r)
{
	struct MHD_Response *response = TAKE(r->response);
	enum MHD_Result done;

	if (r->drop)
		return MHD_NO;
	done = MHD_queue_response(r->conn, (unsigned)r->status, response);
	MHD_destroy_response(response);
	return done;
}

/*
 * Called when the headers are in, for each piece of the body, at its end, and again
 * after each resume.  An answer is queued only once the body is read, so that the
 * connection can be used again.
 */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *conn, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **slot)
{
	struct http_request *r = *slot;

	(void)arg;
	(void)conn;
	(void)url;
	(void)version;
	if (!r->has_begun && !r->server->is_closing) {
		begin(r, method);
		return MHD_YES;
	}
	if (r->drop || r->server->is_closing)
		return MHD_NO;
	if (*size) {
		*size -= take_body(r, data, *size);
		/* A refused body is still read a while, so that the client sees the answer. */
		return r->mode == BODY_COLLECTED && r->body_seen / 4 > r->body_max ? MHD_NO
										   : MHD_YES;
	}
	finish_body(r);
	if (r->response || r->drop)
		return queue_answer(r);
	request_suspend(r);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *conn, void **slot,
			 enum MHD_RequestTerminationCode why)
{
	struct http_request *r = *slot;

	(void)arg;
	(void)conn;
	(void)why;
	*slot = NULL;
	if (r)
		request_detach(r);
}

/* Targets are decoded by http/query.h, from the bytes as sent. */
static size_t keep_escapes(void *arg, struct MHD_Connection *conn, char *text)
{
	(void)arg;
	(void)conn;
	return strlen(text);
}

/* ---- the server ---- */

static bool has_work_left(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(s->mhd, &ms) == MHD_YES && ms == 0;
}

static void run(struct http_server *s)
{
	for (int i = 0; i < RUNS_PER_TURN; i++) {
		MHD_run(s->mhd);
		if (!has_work_left(s))
			return;
	}
	loop_timer_start(s->again, 0);
}

static void on_epoll(void *arg, int events)
{
	(void)events;
	run(arg);
}

static void on_again(void *arg)
{
	run(arg);
}

static struct err *start_mhd(struct http_server *s, int listen_fd)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;

	s->mhd = MHD_start_daemon(
	    flags, 0, NULL, NULL, on_access, s, MHD_OPTION_LISTEN_SOCKET, listen_fd,
	    MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	    MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, s, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
	return s->mhd ? NULL : err_new(ERR_INTERNAL, "libmicrohttpd does not start");
}

struct err *http_server_new(const struct http_config *c, struct http_server **ret)
{
	struct http_server *s = xnew(struct http_server);
	struct err *e = start_mhd(s, c->listen_fd);

	/* A worker that ends early must cost its request, not the daemon. */
	signal(SIGPIPE, SIG_IGN);
	if (e) {
		close(c->listen_fd);
		free(s);
		return e;
	}
	s->loop = c->loop;
	s->on_request = c->on_request;
	s->arg = c->arg;
	s->again = loop_timer_new(s->loop, on_again, s);
	e = loop_watch_new(s->loop, MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
			   LOOP_READ, on_epoll, s, &s->watch);
	if (e) {
		http_server_free(s);
		return e;
	}
	*ret = s;
	return NULL;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	s->is_closing = true;
	/* libmicrohttpd wants no suspended connection when it stops. */
	for (struct http_request *r = s->first; r; r = r->next) {
		r->drop = true;
		request_resume(r);
	}
	for (int i = 0; s->first && i < RUNS_PER_TURN; i++)
		MHD_run(s->mhd);
	loop_watch_free(s->watch);
	loop_timer_free(s->again);
	MHD_stop_daemon(s->mhd);
	free(s);
}

/* ---- what a handler asks ---- */

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_query(const struct http_request *r, const char *key)
{
	return http_query_find(&r->query, key);
}

void http_query_all(const struct http_request *r, const char *key, struct strv *l)
{
	for (size_t i = 0; i < r->query.keys.n; i++)
		if (streq(r->query.keys.v[i], key))
			strv_add(l, r->query.values.v[i]);
}

const char *http_header(const struct http_request *r, const char *name)
{
	return r->conn ? MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name) : NULL;
}

bool http_wants_upgrade(const struct http_request *r)
{
	const char *connection = http_header(r, "Connection");

	return connection && strcasestr(connection, "upgrade") && http_header(r, "Upgrade");
}

uid_t http_peer_uid(const struct http_request *r)
{
	return r->uid;
}

void http_set_data(struct http_request *r, void *data, void (*free_fn)(void *data))
{
	r->data = data;
	r->data_free = free_fn;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	strmap_set(&r->headers, name, value);
}
