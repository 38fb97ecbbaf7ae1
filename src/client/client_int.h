/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLIENT_CLIENT_INT_H
#define CLIENT_CLIENT_INT_H

/* What the files of libhostel share. */

#include <stdbool.h>

#include "client/buf.h"
#include "client/head.h"
#include "hostel/hostel.h"
#include "util/defs.h"

struct hostel {
	char *socket;
	int idle_fd; /* a connection that is ready for the next request; -1: none */
	int status;
	char error[1024];
};

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_END };

struct hostel_reply {
	struct hostel *h;
	int fd;
	bool is_head_request, is_no_reuse;
	bool may_repeat;    /* on an old connection, of which nothing has come yet */
	struct buf request; /* what to ask again then */
	bool has_head, is_ended;
	struct head head;
	enum body_kind body;
	int64_t left; /* BODY_LENGTH */
	struct chunk chunk;
	const char *span; /* decoded bytes not yet taken, inside of in */
	size_t span_len;
	size_t at, end;    /* bytes of in not yet decoded */
	size_t body_limit; /* bytes of an error's body still to be kept */
	int frame_stream;  /* of hostel_frame_read() */
	uint32_t frame_left;
	char *header_value; /* last answer of hostel_reply_header() */
	char in[HEAD_BYTES_MAX + 8192];
};

/** client_fail() - set the handle's error; Return: @code */
int client_fail(struct hostel *h, int code, const char *fmt, ...) PRINTF(3, 4);

/** client_code() - enum hostel_result of an HTTP status; 0 below 400 */
int client_code(int status);

/** client_callf() - hostel_call() with a path that may have failed to be built (consumed) */
int client_call_buf(struct hostel *h, const char *method, struct buf *path, const char *body,
		    char **ret_body);

/** client_ok() - @rc, but for 0: the reply's head says whether it is an error */
static inline void own_reply_release(struct hostel_reply **slot)
{
	hostel_reply_close(*slot);
}

#endif
