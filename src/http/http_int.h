/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_HTTP_INT_H
#define HTTP_HTTP_INT_H

/* Shared by server.c (connections, requests, bodies) and reply.c. */

#include <microhttpd.h>

#include "http/http.h"
#include "http/query.h"

struct http_server {
	struct MHD_Daemon *mhd;
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *again; /* libmicrohttpd has work left that no descriptor announces */
	void (*on_request)(void *arg, struct http_request *r);
	void *arg;
	struct http_request *first; /* those with a connection */
	bool is_closing;
};

enum body_mode { BODY_DROPPED, BODY_COLLECTED, BODY_PIPED };

struct http_request {
	struct http_server *server;      /* NULL once the server is gone */
	struct MHD_Connection *conn;     /* NULL once the connection is gone */
	struct http_request *next, **at; /* in server->first */
	int refs;                        /* libmicrohttpd's, the handler's, a stream's */
	bool has_begun, body_done, is_suspended, is_answered;
	int client_fd; /* borrowed from libmicrohttpd; -1 once gone */

	char *method, *path;
	struct http_query query;
	uid_t uid;
	void *data;
	void (*data_free)(void *data);

	enum body_mode mode;
	struct str body;
	size_t body_max, body_seen;
	void (*on_body)(void *arg, struct http_request *r);
	void *on_body_arg;
	int body_fd; /* BODY_PIPED; -1: nobody reads any more */
	struct loop_watch *body_watch;

	struct loop_watch *gone_watch;
	void (*on_gone)(void *arg);
	void *on_gone_arg;

	struct strmap headers; /* of the reply */
	int status;
	struct MHD_Response *response; /* waiting to be queued */
	bool drop;
	void (*upgrade)(void *arg, int fd, const void *pre, size_t len);
	void *upgrade_arg;
};

/** request_ref() - one more owner */
void request_ref(struct http_request *r);
/** request_unref() - one owner less; the last one frees it */
void request_unref(struct http_request *r);

/** request_suspend() - no callback of libmicrohttpd for it until request_resume() */
void request_suspend(struct http_request *r);
/** request_resume() - let libmicrohttpd go on with it; idempotent */
void request_resume(struct http_request *r);

/** request_watch_client() - call on_gone when the client's connection ends; idempotent */
void request_watch_client(struct http_request *r);

/** request_answer() - the handler's part ends: @response (consumed, may be NULL) goes out */
void request_answer(struct http_request *r, int status, struct MHD_Response *response);

#endif
