/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_SESSION_INT_H
#define SHIM_SESSION_INT_H

/*
 * What session.c (the process's side) and client.c (the clients' side) share.
 */

#include "shim/keys.h"
#include "shim/log_read.h"
#include "shim/session.h"
#include "util/str.h"

#define SESSION_INPUT_MAX (64 * 1024)

struct client {
	struct session *session;
	struct client *next;
	uint32_t seq;
	uint32_t streams; /* set of enum shim_stream */
	int fd;
	bool is_socket;
	bool has_input_ended; /* EOF read */
	bool is_gone;         /* hung up: reads no more; input may still wait in the socket */
	bool is_dead;         /* ended; swept when the session is done with its list */
	struct poll_watch *watch;
	struct keys keys;
	struct str out; /* from out_at on, waits for the socket */
	size_t out_at;
	int64_t full_since_ns;     /* boot clock; 0: not full */
	struct log_reader *replay; /* the log so far is being sent */
};

struct session {
	struct session_config config;
	char exec_id[SHIM_EXEC_ID_MAX + 1];
	int in, out[2];
	struct poll_watch *in_watch, *out_watch[2];
	bool has_started, has_finished;
	bool is_input_ending; /* close it when the buffer is empty */
	struct str input;
	struct client *clients;
	struct poll_timer *slow;
};

/* ---- client.c ---- */

/** client_new() - add to @s's list; @fd consumed */
struct client *client_new(struct session *s, int fd, uint32_t seq, const struct shim_attach *a);

/** client_send() - output for it, framed as it asked; may end it (never held back, and full) */
void client_send(struct client *c, int stream, const char *data, size_t len);

/** client_is_full() - no room for another piece of output */
bool client_is_full(const struct client *c);

enum client_end {
	CLIENT_FINISHED, /* give it all that waits, then the end */
	CLIENT_DETACHED, /* the same, because of its detach keys */
	CLIENT_CUT,      /* at once: it is gone or too slow */
};

/** client_end() - mark it dead and tell; swept later */
void client_end(struct client *c, enum client_end how);

/** client_finish() - the process has ended: the rest of a replay too, then client_end() */
void client_finish(struct client *c);

/** client_free() - release; it is in no list any more */
void client_free(struct client *c);

/** client_update() - watch its socket for what is wanted now */
void client_update(struct client *c);

/** client_take_input() - bytes from it, through the detach keys, to the process */
void client_take_input(struct client *c, const char *data, size_t len);

/* ---- session.c ---- */

/** session_wants_input() - has it room for bytes from clients? */
bool session_wants_input(const struct session *s);

/** session_put_input() - bytes for the process */
void session_put_input(struct session *s, const char *data, size_t len);

/** session_input_ended() - no more input from one of the clients */
void session_input_ended(struct session *s);

/** session_update() - after any change of a client: sweep the dead, wait or read on */
void session_update(struct session *s);

#endif
