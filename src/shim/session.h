/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SESSION_H
#define SHIM_SESSION_H

/*
 * Session: one process's standard streams and the clients attached to them; the
 * payload has one, each exec has one.
 *
 * Output: read, logged (the payload's), then handed to every client.  A client has at most
 * CLIENT_BUFFER_MAX of buffer.  When one is full, reading stops, as a pipe would,
 * unless another client is attached: then the slow one is cut off after
 * CLIENT_SLOW_NS.  A session that is never held back cuts it off at once.
 *
 * Input: of all clients, mixed; waits in a small buffer while the process does
 * not read.  The end of a client's input ends the process's when ends_input says so.
 *
 * Context: the shim's one thread; never blocks on a client or the process.
 */

#include <stdbool.h>
#include <stdint.h>

#include "backend/payload.h"
#include "shim/linger.h"
#include "shim/log_write.h"
#include "shim/proto.h"
#include "shim/scratch.h"
#include "sys/poller.h"

#define CLIENT_BUFFER_MAX (1024 * 1024)
#define CLIENT_SLOW_NS    INT64_C(10000000000)

struct session;

struct session_config {
	struct poller *poller;
	struct scratch *scratch;
	struct lingerers *lingerers;
	const char *exec_id; /* "": the payload; copied */
	bool is_tty;
	bool ends_input;        /* process's stdin ends with the last client that gives input */
	bool is_held_back;      /* may wait for slow clients */
	struct log_writer *log; /* borrowed; NULL: no log */
	const char *log_dir;    /* borrowed */
	/* A client has gone: by detach keys, or in any other way. */
	void (*client_ended)(void *arg, struct session *s, uint32_t seq, bool detached);
	/* The process's stdin was closed. */
	void (*input_closed)(void *arg, struct session *s);
	void *arg;
};

/** session_new() - of a process that does not run yet; clients may attach already */
struct session *session_new(const struct session_config *c);

/** session_free() - close everything at once; NULL is fine */
void session_free(struct session *s);

/** session_exec_id() - "" for the payload; borrowed */
const char *session_exec_id(const struct session *s);

/**
 * session_attach() - one more client
 * @fd:    its socket, consumed
 * @seq:   its number
 * @early: input of it that was read already, borrowed
 */
void session_attach(struct session *s, int fd, uint32_t seq, const struct shim_attach *a,
		    const char *early, size_t early_len);

/** session_start() - the process runs; @io's descriptors are consumed */
void session_start(struct session *s, const struct payload_io *io);

/** session_say() - tell every client @text, as a line of output that no process wrote */
void session_say(struct session *s, const char *text);

/**
 * session_finish() - the process has ended: take what it left in its pipes, complete the
 * log, and end every client when it was given all of that
 */
void session_finish(struct session *s);

#endif
