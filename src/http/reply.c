/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

#define BACKLOG_MAX (4u << 20)
#define BLOCK_BYTES (32u << 10)

/* ---- plain replies ---- */

void request_answer(struct http_request *r, int status, struct MHD_Response *response)
{
	r->is_answered = true;
	r->status = status;
	if (response && r->conn) {
		for (size_t i = 0; i < r->headers.n; i++)
			MHD_add_response_header(response, r->headers.v[i].key,
						r->headers.v[i].value);
		r->response = response;
		request_resume(r);
	} else if (response) {
		MHD_destroy_response(response);
	}
	request_unref(r);
}

/* The watch for a client that goes must not outlive the handler that asked for it. */
static void forget_gone(struct http_request *r)
{
	r->on_gone = NULL;
	loop_watch_free(TAKE(r->gone_watch));
}

void http_reply(struct http_request *r, int status, const char *type, const void *data, size_t len)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);

	if (type)
		MHD_add_response_header(response, "Content-Type", type);
	forget_gone(r);
	request_answer(r, status, response);
}

void http_drop(struct http_request *r)
{
	forget_gone(r);
	r->drop = true;
	request_resume(r);
	r->is_answered = true;
	request_unref(r);
}

/* ---- a body from a descriptor ---- */

/* The response holds it until it is destroyed; one that is held, its caller too. */
struct http_source {
	struct http_request *r; /* holds a reference */
	int fd;                 /* -1: at its end */
	struct loop_watch *watch;
	bool is_gone, is_sent;
	bool is_held; /* the end of @fd is not the end: http_source_end() has yet to come */
	bool is_broken;
	void (*on_gone)(void *arg);
	void *arg;
};

static void source_ready(void *arg, int events)
{
	struct http_source *s = arg;

	(void)events;
	loop_watch_free(TAKE(s->watch));
	request_resume(s->r);
}

static void source_lost(struct http_source *s)
{
	void (*fn)(void *arg) = TAKE(s->on_gone);

	s->is_gone = true;
	source_ready(s, 0);
	if (fn)
		fn(s->arg);
}

static void source_gone(void *arg)
{
	source_lost(arg);
}

static ssize_t source_wait(struct http_source *s)
{
	struct err *e =
	    loop_watch_new(s->r->server->loop, s->fd, LOOP_READ, source_ready, s, &s->watch);

	if (e) {
		err_free(e);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	request_suspend(s->r);
	return 0;
}

static ssize_t source_end(struct http_source *s)
{
	own_fd_release(&s->fd);
	s->fd = -1;
	if (s->is_held) {
		request_suspend(s->r);
		return 0;
	}
	return s->is_broken ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t source_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct http_source *s = arg;
	ssize_t n;

	(void)pos;
	if (s->is_gone || s->r->drop)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (s->fd < 0)
		return source_end(s);
	do
		n = read(s->fd, buf, max);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return source_end(s);
	return errno == EAGAIN ? source_wait(s) : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void source_maybe_free(struct http_source *s)
{
	if (s->is_held || !s->is_sent)
		return;
	request_unref(s->r);
	free(s);
}

static void source_sent(void *arg)
{
	struct http_source *s = arg;

	s->r->on_gone = NULL;
	loop_watch_free(TAKE(s->watch));
	own_fd_release(&s->fd);
	s->fd = -1;
	if (s->is_held && !s->is_gone)
		source_lost(s); /* the connection broke while a write was under way */
	s->is_sent = true;
	source_maybe_free(s);
}

static struct MHD_Response *response_from(MHD_ContentReaderCallback read_fn, void *arg,
					  MHD_ContentReaderFreeCallback free_fn, const char *type)
{
	struct MHD_Response *response =
	    MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_fn, arg, free_fn);

	MHD_add_response_header(response, "Content-Type", type);
	return response;
}

static struct http_source *source_new(struct http_request *r, int fd)
{
	struct http_source *s = xnew(struct http_source);

	fd_set_nonblock(fd, 1);
	s->r = r;
	s->fd = fd;
	request_ref(r);
	return s;
}

void http_reply_fd(struct http_request *r, const char *type, int fd)
{
	struct http_source *s = source_new(r, fd);

	if (r->conn)
		http_on_gone(r, source_gone, s);
	request_answer(r, 200, response_from(source_read, s, source_sent, type));
}

struct http_source *http_reply_fd_held(struct http_request *r, const char *type, int fd,
				       void (*on_gone)(void *arg), void *arg)
{
	struct http_source *s = source_new(r, fd);

	s->is_held = true;
	s->on_gone = r->conn ? on_gone : NULL;
	s->arg = arg;
	s->is_gone = !r->conn;
	if (r->conn)
		http_on_gone(r, source_gone, s);
	request_answer(r, 200, response_from(source_read, s, source_sent, type));
	return s;
}

void http_source_end(struct http_source *s, bool is_whole)
{
	s->is_held = false;
	s->is_broken = !is_whole;
	s->on_gone = NULL;
	request_resume(s->r);
	source_maybe_free(s);
}

/* ---- a body that the caller writes ---- */

/* Two hold it: the caller until http_stream_end(), the response until it is destroyed. */
struct http_stream {
	struct http_request *r; /* holds a reference */
	struct str pending;
	bool is_ended, is_gone, is_sent;
	void (*on_gone)(void *arg);
	void *arg;
};

static void stream_lost(struct http_stream *s)
{
	void (*fn)(void *arg) = TAKE(s->on_gone);

	s->is_gone = true;
	str_done(&s->pending);
	if (s->is_ended)
		return;
	request_resume(s->r);
	if (fn)
		fn(s->arg);
}

static void stream_gone(void *arg)
{
	stream_lost(arg);
}

static ssize_t stream_read(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct http_stream *s = arg;
	size_t n = s->pending.len < max ? s->pending.len : max;

	(void)pos;
	if (s->is_gone || s->r->drop)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n) {
		memcpy(buf, s->pending.buf, n);
		str_drop(&s->pending, n);
		return (ssize_t)n;
	}
	if (s->is_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	request_suspend(s->r);
	return 0;
}

static void stream_maybe_free(struct http_stream *s)
{
	if (!s->is_ended || !s->is_sent)
		return;
	str_done(&s->pending);
	request_unref(s->r);
	free(s);
}

static void stream_sent(void *arg)
{
	struct http_stream *s = arg;

	s->r->on_gone = NULL;
	if (!s->is_ended && !s->is_gone)
		stream_lost(s); /* the connection broke while a write was under way */
	s->is_sent = true;      /* not before: the end may come from there */
	stream_maybe_free(s);
}

struct http_stream *http_reply_stream(struct http_request *r, const char *type,
				      void (*on_gone)(void *arg), void *arg)
{
	struct http_stream *s = xnew(struct http_stream);

	s->r = r;
	s->on_gone = on_gone;
	s->arg = arg;
	request_ref(r);
	if (r->conn)
		http_on_gone(r, stream_gone, s);
	else
		s->on_gone = NULL; /* gone before: the caller finds out by nothing happening */
	s->is_gone = !r->conn;
	request_answer(r, 200, response_from(stream_read, s, stream_sent, type));
	return s;
}

void http_stream_write(struct http_stream *s, const void *data, size_t len)
{
	if (s->is_gone || !len)
		return;
	if (s->pending.len + len > BACKLOG_MAX) {
		s->r->drop = true;
		stream_lost(s);
		return;
	}
	str_add(&s->pending, data, len);
	request_resume(s->r);
}

void http_stream_end(struct http_stream *s)
{
	s->is_ended = true;
	s->on_gone = NULL;
	request_resume(s->r);
	stream_maybe_free(s);
}

/* ---- giving the connection away ---- */

static void on_upgrade(void *arg, struct MHD_Connection *conn, void *request, const char *pre,
		       size_t len, MHD_socket sock, struct MHD_UpgradeResponseHandle *handle)
{
	struct http_request *r = request;
	int fd = fcntl(sock, F_DUPFD_CLOEXEC, 0);

	(void)arg;
	(void)conn;
	if (fd >= 0)
		r->upgrade(r->upgrade_arg, fd, pre, len);
	MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
	loop_timer_start(r->server->again, 0); /* it closes its own descriptor then */
}

void http_upgrade(struct http_request *r, const char *protocol, const char *type,
		  void (*fn)(void *arg, int fd, const void *pre, size_t len), void *arg)
{
	struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, NULL);

	r->upgrade = fn;
	r->upgrade_arg = arg;
	MHD_add_response_header(response, "Upgrade", protocol);
	MHD_add_response_header(response, "Content-Type", type);
	forget_gone(r);
	request_answer(r, 101, response);
}
