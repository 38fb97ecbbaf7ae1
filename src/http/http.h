/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

/*
 * HTTP/1.1 server on a unix socket: libmicrohttpd, whose epoll descriptor is one watch of
 * the loop.
 *
 * A request:  headers in ─ on_request ─> body (collected, or into a descriptor, or dropped)
 *             ─> reply, at once or later (the connection is suspended meanwhile)
 *
 * on_request may reply, or ask for the body, or keep the request and reply later.  Each
 * request is answered by exactly one http_reply…() or http_drop(); the request is the
 * caller's until then and must not be touched afterwards.  A client may be gone long
 * before: a reply to it goes nowhere and is no error.
 *
 * Thread rule: the loop's thread; nothing blocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loop/loop.h"
#include "util/err.h"
#include "util/str.h"

#define HTTP_HEADER_MAX (64 * 1024) /* request line and headers; more is answered 431 */

struct http_server;
struct http_request;
struct http_stream;
struct http_source;

struct http_config {
	struct loop *loop;
	int listen_fd; /* consumed, on failure too */
	void (*on_request)(void *arg, struct http_request *r);
	void *arg;
};

/**
 * http_server_new() - answer requests from now on; SIGPIPE is ignored from now on too
 * Return: NULL, or ERR_INTERNAL.
 */
struct err *http_server_new(const struct http_config *c, struct http_server **ret) MUST_USE;

/** http_server_free() - close every connection; requests not yet answered may be answered still */
void http_server_free(struct http_server *s);

/* ---- the request ---- */

/** http_method() - "GET"; borrowed while the request is the caller's, as all below */
const char *http_method(const struct http_request *r);

/** http_path() - path as sent, percent-encoded, without the query */
const char *http_path(const struct http_request *r);

/** http_query() - first decoded value of a query key, or NULL */
const char *http_query(const struct http_request *r, const char *key);

/** http_query_all() - append every value of @key */
void http_query_all(const struct http_request *r, const char *key, struct strv *l);

/** http_header() - value of a request header, or NULL; any case */
const char *http_header(const struct http_request *r, const char *name);

/** http_wants_upgrade() - did the client ask for "Connection: Upgrade"? */
bool http_wants_upgrade(const struct http_request *r);

/** http_peer_uid() - uid of the process that connected (SO_PEERCRED) */
uid_t http_peer_uid(const struct http_request *r);

/** http_set_data() - hang @data on the request; @free_fn runs after the reply is through */
void http_set_data(struct http_request *r, void *data, void (*free_fn)(void *data));

/**
 * http_on_gone() - call @fn once when the client's connection ends before the reply
 * A client that only shut down its sending side is still there.  The request still must be
 * answered or dropped, in @fn or later.
 */
void http_on_gone(struct http_request *r, void (*fn)(void *arg), void *arg);

/* ---- its body ---- */

/**
 * http_collect_body() - keep the body in memory, then call @fn (from on_request only)
 * @max: longer ones are answered 413 here, and @fn is not called; nor when the client goes
 */
void http_collect_body(struct http_request *r, size_t max,
		       void (*fn)(void *arg, struct http_request *r), void *arg);

/** http_body() - what was collected; NUL-terminated, "" when empty */
const char *http_body(const struct http_request *r, size_t *ret_len);

/**
 * http_body_to() - send the body into a pipe or socket as it comes (from on_request only)
 * @fd: consumed, made non-blocking; closed when the body ends, and when nobody reads any more
 *      the rest is dropped.  When the client goes first, http_on_gone()'s function runs before
 *      @fd is closed.
 */
void http_body_to(struct http_request *r, int fd);

/* ---- the reply ---- */

/** http_add_header() - one more header of the reply to come */
void http_add_header(struct http_request *r, const char *name, const char *value);

/** http_reply() - a whole body from memory (copied); @type NULL: no body, no Content-Type */
void http_reply(struct http_request *r, int status, const char *type, const void *data, size_t len);

/** http_reply_fd() - 200 at once, then what comes from @fd (consumed) until its end */
void http_reply_fd(struct http_request *r, const char *type, int fd);

/**
 * http_reply_fd_held() - as http_reply_fd(), for a descriptor whose end does not say that all came
 * After the end of @fd the reply waits for http_source_end().
 * @on_gone: called once when the client went; may be NULL.  http_source_end() must come all the
 *           same.  The request's data (http_set_data()) lives until then.
 */
struct http_source *http_reply_fd_held(struct http_request *r, const char *type, int fd,
				       void (*on_gone)(void *arg), void *arg);

/**
 * http_source_end() - the verdict on what came; @s is dead afterwards
 * @is_whole: the reply ends as it should; if not, the connection is cut without the last chunk,
 *            so that no client takes the part for the whole
 */
void http_source_end(struct http_source *s, bool is_whole);

/**
 * http_reply_stream() - 200 at once, then what the caller writes, as it comes
 * @on_gone: called once when the client went; may be NULL.  The stream must be ended all the
 *           same.  The request's data (http_set_data()) lives until then.
 */
struct http_stream *http_reply_stream(struct http_request *r, const char *type,
				      void (*on_gone)(void *arg), void *arg);

/** http_stream_write() - queue bytes; a client with over 4 MiB unread is cut off */
void http_stream_write(struct http_stream *s, const void *data, size_t len);

/** http_stream_end() - no more; @s is dead afterwards */
void http_stream_end(struct http_stream *s);

/**
 * http_upgrade() - answer 101 and give the connection away
 * @protocol: value of the Upgrade header
 * @type:     value of Content-Type
 * @fn:       called once after the answer was sent: @fd is a descriptor of the client's socket
 *            (non-blocking) that @fn owns, @pre the bytes already read; not called when
 *            the client goes first
 */
void http_upgrade(struct http_request *r, const char *protocol, const char *type,
		  void (*fn)(void *arg, int fd, const void *pre, size_t len), void *arg);

/** http_drop() - close the connection without an answer */
void http_drop(struct http_request *r);

#endif
