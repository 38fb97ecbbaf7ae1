/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

/*
 * A session: this terminal and one process of an instance, from the request to start it
 * to its exit code.  Streams, signals, window size, detach keys, and the wait in the queue.
 */

#include "cli/cli.h"
#include "cli/tty.h"

enum session_end {
	SESSION_ENDED,     /* the process ended, or its streams did */
	SESSION_DETACHED,  /* by keys */
	SESSION_WITHDRAWN, /* by a signal while it waited */
	SESSION_LOST,      /* the daemon went away before the start */
};

struct session {
	struct cli *c;
	const char *resize_path; /* borrowed; "/containers/ID/resize"; NULL: no tty */
	const char *id;          /* whom signals go to; NULL: nobody (exec) */
	bool is_tty;             /* of the process: one raw stream */
	bool is_framed;          /* of the streams when it has no tty */
	bool takes_stdin;
	bool no_stdout, no_stderr; /* of attach */
	bool is_quiet;             /* no line about the queue */
	bool is_console;           /* typed to as a terminal, whatever the instance's streams are */
	struct keys keys;
	/* owned by the session, may be NULL */
	struct hostel_reply *stream; /* attached, after 101 */
	struct hostel_reply *start;  /* lines of the start */
	struct hostel_reply *wait;   /* answer of /wait, its head read */

	/* results */
	bool is_started;
	int signal;         /* SESSION_WITHDRAWN */
	int status;         /* exit code; -1: not known */
	char *start_error;  /* why it did not start */
	char *exit_message; /* note on the exit */

	/* inside */
	struct tty tty;
	int signal_fd;
	bool stdin_ended, stream_ended, shut_done;
	struct str out;                   /* bytes for the process */
	struct str start_text, wait_body; /* of the answers, not yet read */
	struct str reason;                /* of the wait in the queue */
	int64_t asked_ns, shown_ns, ended_ns;
	bool is_line_shown;
	bool wait_lost; /* the daemon went away: ask again soon, before the instance is gone */
	bool wants_removed;
};

/** session_init() - an empty session; signals go to it from now on */
void session_init(struct session *s, struct cli *c);

/** session_keep_signals() - signals are this program's own again (--sig-proxy=false) */
void session_keep_signals(struct session *s);

/** session_run() - until something ends; the terminal is restored */
enum session_end session_run(struct session *s);

/** session_drop() - close the three connections, to ask again */
void session_drop(struct session *s);
void session_done(struct session *s);

/** session_start_code() - docker's exit code for a start error's text: 125, 126 or 127 */
int session_start_code(const char *text);

/** session_send_start() - ask for the start of @id; lines will come in s->start */
struct err *session_send_start(struct session *s, const char *id, const struct args *a,
			       const char *hold) MUST_USE;

/** session_attach() - join the streams of @id */
struct err *session_attach(struct session *s, const char *id, const char *keys) MUST_USE;

/** session_wait() - ask for the exit code: "next-exit", "removed" or "not-running" */
struct err *session_wait(struct session *s, const char *id, const char *condition) MUST_USE;

#endif
