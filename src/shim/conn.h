/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_CONN_H
#define SHIM_CONN_H

/*
 * The daemon's end of the connection to one shim (shim/proto.h).
 *
 * Requests are queued and sent without ever blocking; each has a completion
 * that is called once: with the shim's answer, or with ERR_UNAVAILABLE when the
 * connection is lost first.  Events come decoded, by a table of functions.
 * Completions and events are never called from inside a call made here.
 *
 * Context: the loop's thread.  Callbacks may call everything here,
 * shim_conn_close() too.
 */

#include <stdbool.h>

#include "loop/loop.h"
#include "shim/proto.h"
#include "util/err.h"

struct shim_conn;

/* What a shim tells; members may be NULL.  Texts are NUL-terminated and borrowed. */
struct shim_events {
	void (*hello)(void *arg, const struct shim_hello *h);
	void (*started)(void *arg, const struct shim_started *s);
	void (*failed)(void *arg, enum err_kind kind, const char *text); /* all is undone */
	void (*exited)(void *arg, const struct shim_exited *x, const char *note);
	void (*oom)(void *arg);
	/* @type: EXEC_STARTED, EXEC_FAILED (code is an enum err_kind), EXEC_EXITED */
	void (*exec)(void *arg, enum shim_msg_type type, const struct shim_exec_event *ev,
		     const char *text);
	/* @type: DETACHED or ATTACH_ENDED; @seq: what shim_conn_attach() returned, or
	 * shim_conn_exec() for an exec's client */
	void (*client)(void *arg, enum shim_msg_type type, const char *exec_id, uint32_t seq);
	/* The connection is gone: the shim ended, or a newer daemon took it.  All open requests
	 * were completed before; shim_conn_close() is still to be called. */
	void (*lost)(void *arg);
};

/* Completion of a request; fn may be NULL. */
struct shim_done {
	/* @e: NULL on success, owned by the callee. @text: answer of a query, else ""; borrowed */
	void (*fn)(void *arg, struct err *e, const char *text);
	void *arg;
};

/**
 * shim_conn_open() - connect to RUN_DIR/shim.sock
 * @run_dir: of the instance
 * @events:  static; @arg is given to each of them
 * Return: NULL; ERR_NOT_FOUND or ERR_UNAVAILABLE when no shim listens there; a system error.
 */
struct err *shim_conn_open(struct loop *l, const char *run_dir, const struct shim_events *events,
			   void *arg, struct shim_conn **ret) MUST_USE;

/** shim_conn_close() - drop the connection; completions that wait are forgotten, not called */
void shim_conn_close(struct shim_conn *c);

/* OWN(shim_conn) */
DEFINE_OWN(shim_conn, shim_conn_close)

/** shim_conn_start() - begin; the outcome is an event, the completion says only that it begins */
void shim_conn_start(struct shim_conn *c, struct shim_done done);

/* A client's socket, handed over with what was read from it already, beyond its request. */
struct shim_client {
	int fd; /* consumed; -1: nobody is attached (exec only) */
	const void *early;
	size_t early_len;
};

/**
 * shim_conn_attach() - hand a client's socket over
 * @a: streams and detach keys
 * Return: the client's number in the client event.  Early bytes that do not fit one message
 *         (about 64 KB) fail the completion with ERR_LIMIT.
 */
uint32_t shim_conn_attach(struct shim_conn *c, const struct shim_attach *a,
			  const struct shim_client *client, struct shim_done done);

/**
 * shim_conn_exec() - begin a further process
 * @x:          its name, size, and how its client is attached
 * @process_fd: file with the OCI process object (see backend/payload.h), consumed
 * Return: the client's number.
 */
uint32_t shim_conn_exec(struct shim_conn *c, const struct shim_exec *x, int process_fd,
			const struct shim_client *client, struct shim_done done);

/** shim_conn_signal() - to the payload (@exec_id NULL) or to an exec's process */
void shim_conn_signal(struct shim_conn *c, const char *exec_id, int signum, struct shim_done done);

/** shim_conn_resize() - of a pty; before the start too */
void shim_conn_resize(struct shim_conn *c, const char *exec_id, uint16_t rows, uint16_t cols,
		      struct shim_done done);

/** shim_conn_freeze() - stop or let run everything inside */
void shim_conn_freeze(struct shim_conn *c, bool on, struct shim_done done);

/** shim_conn_release() - what its user froze stays frozen, but not for him: SHIM_RELEASE */
void shim_conn_release(struct shim_conn *c, struct shim_done done);

/** shim_conn_query() - ask the backend (backend/payload.h), answer as text */
void shim_conn_query(struct shim_conn *c, const char *question, struct shim_done done);

/**
 * shim_conn_checkpoint() - have its state written to a folder, and leave it standing still
 * @dir_fd: consumed
 * @done:   when it is written or failed; the text is the backend's (backend/payload.h)
 */
void shim_conn_checkpoint(struct shim_conn *c, int dir_fd, struct shim_done done);

/** shim_conn_resume() - let it run on after that */
void shim_conn_resume(struct shim_conn *c, struct shim_done done);

/**
 * shim_conn_poll() - take the events that are there already, without waiting for the loop
 * For questions whose answer may lie in the socket: a client that saw its stream end asks at once.
 */
void shim_conn_poll(struct shim_conn *c);

/** shim_conn_bye() - the exit (or failure) is noted: the shim may end */
void shim_conn_bye(struct shim_conn *c);

#endif
