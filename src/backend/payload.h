/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKEND_PAYLOAD_H
#define BACKEND_PAYLOAD_H

/*
 * Backend, the shim's half: how a payload (a container's processes, a QEMU with
 * its guest) is started, spoken to and undone.  The shim's core knows descriptors
 * only: whatever the payload writes comes out of payload_io.out and .err, what
 * it reads goes into .in; a VM's backend pumps its agent's frames into socketpairs.
 *
 * Lives in hostel-shim: one payload per process, one thread, the shim's poller.
 * The shim stays for as long as the instance, so a backend keeps no JSON: it forks a
 * child (the starter) that parses the plan, does the phases and becomes or
 * makes the payload.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "sys/poller.h"
#include "util/err.h"

struct payload; /* each backend's own */

/* Descriptors of one process; the receiver of the event owns them. -1: there is none. */
struct payload_io {
	int in;  /* write end, or the pty's master */
	int out; /* read end, or the pty's master (the same descriptor as in) */
	int err; /* read end; -1 with a pty */
};

#define PAYLOAD_IO_NONE                                                                            \
	{                                                                                          \
		.in = -1, .out = -1, .err = -1                                                     \
	}

enum payload_event_type {
	PAYLOAD_STARTED,      /* the payload's exec succeeded; io, pid */
	PAYLOAD_START_FAILED, /* nothing runs any more, all phases are undone; kind, text */
	PAYLOAD_EXITED,       /* the payload and all it left are gone; code, oom, text */
	PAYLOAD_OOM,          /* something in the instance was killed for memory */
	PAYLOAD_EXEC_STARTED, /* exec_id, io, pid */
	PAYLOAD_EXEC_FAILED,  /* exec_id, kind, text */
	PAYLOAD_EXEC_EXITED,  /* exec_id, code */
};

struct payload_event {
	enum payload_event_type type;
	const char *exec_id; /* borrowed; NULL for the payload itself */
	struct payload_io io;
	pid_t pid;        /* on the host; 0 when unknown (inside a VM) */
	int code;         /* exit code, 128 + signal */
	bool oom;         /* the kernel killed its main process for memory */
	int err_kind;     /* enum err_kind of a failure */
	const char *text; /* failure, or a note on the exit ("monitor died"); NULL: none */
};

/* What the shim's core gives a backend; valid for the life of the payload. */
struct payload_host {
	const char *id;
	const char *state_dir; /* instances/ID, holds plan.json */
	const char *run_dir;
	bool is_tty, has_stdin;
	unsigned short rows, cols; /* 0: not known yet */
	/*
	 * Folder that checkpoint() wrote, of this instance or of one that it was copied from; NULL:
	 * a fresh start.  start() then brings that back instead of running the plan's command, in
	 * the plan's own cgroup and network and on its disk, and STARTED says that it runs again.
	 * Read only; it stays where it is.
	 */
	const char *restore_dir;
	struct poller *poller;
	/* Called from the poller, never from inside a call of the ops. */
	void (*event)(void *arg, const struct payload_event *ev);
	void *arg;
};

struct payload_ops {
	const char *name; /* "container", "vm", "machine": the plan's kind */

	/** start() - begin; the outcome comes as STARTED or START_FAILED */
	struct err *(*start)(const struct payload_host *host, struct payload **ret);

	/**
	 * exec() - begin a further process inside
	 * @exec_id: name of the session, up to 64 bytes
	 * @process_fd: file with an OCI process object, extended by "user" (text) as in the plan;
	 *              borrowed
	 */
	struct err *(*exec)(struct payload *p, const char *exec_id, int process_fd, bool is_tty,
			    bool has_stdin);

	/** signal() - to the main process (@exec_id NULL) or to an exec's */
	struct err *(*signal)(struct payload *p, const char *exec_id, int signum);

	/** resize() - of a pty */
	struct err *(*resize)(struct payload *p, const char *exec_id, unsigned short rows,
			      unsigned short cols);

	/**
	 * close_stdin() - the client's input ended.  Optional: NULL means that closing
	 * payload_io.in is all that is needed
	 */
	void (*close_stdin)(struct payload *p, const char *exec_id);

	/** freeze() - stop or let run everything inside */
	struct err *(*freeze)(struct payload *p, bool on);

	/**
	 * checkpoint() - write the state of all that runs inside, and leave it standing still, so
	 * that its disk can be copied in the same state
	 * @dir_fd: empty folder for it, borrowed until done; what lies in it is the backend's own
	 * @done:   called once, from the poller, never from inside the call.  @text: a JSON object
	 * with what there is to say: "frozen_ns", "bytes", "warnings".  An error names what cannot
	 * be written (a device, a socket, a map); the payload runs on then as if nothing was. What
	 * stands still is let go by resume() or killed by signal(); its clients stay attached.
	 * Frozen by its user: it is written all the same, and stays so after resume().  Optional.
	 */
	struct err *(*checkpoint)(struct payload *p, int dir_fd,
				  void (*done)(void *arg, struct err *e, const char *text),
				  void *arg);

	/** resume() - it runs on after a checkpoint.  There when checkpoint() is */
	struct err *(*resume)(struct payload *p);

	/**
	 * unslice() - let its cgroup run, which the daemon's time slicing may have frozen; not
	 * called while freeze() holds it.  Optional
	 */
	void (*unslice)(struct payload *p);

	/**
	 * query() - backend-specific question with a short text answer ("stats", "guest-info",
	 * "qmp:..."); optional
	 */
	struct err *(*query)(struct payload *p, const char *question,
			     void (*answer)(void *arg, struct err *e, const char *text), void *arg);

	/** free() - after EXITED or START_FAILED */
	void (*free)(struct payload *p);

	/**
	 * undo() - remove all that a start made on the host (cgroup, links), by the plan alone
	 * Idempotent; kills what still runs. Called by the daemon too, when the shim died.
	 * Context: may block for up to a second; daemon runs it in a child process
	 * (hostel-shim --undo).
	 */
	struct err *(*undo)(const char *state_dir);
};

#endif
