/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_PROTO_H
#define SHIM_PROTO_H

/*
 * Between hosteld and hostel-shim: SOCK_SEQPACKET on RUN_DIR/shim.sock, one message per
 * packet, a fixed header and a body per type, host byte order (same machine).
 *
 * The daemon makes the listening socket and the lock, starts
 *
 *	hostel-shim --id ID --kind container|vm|machine --state-dir DIR --run-dir DIR
 *		[--tty] [--stdin] [--stdin-once] [--log json-file|none]
 *		[--log-max-size BYTES] [--log-max-file N] [--detached] [--bound] [--restore DIR]
 *
 * with descriptor 3 = lock (flock held), 4 = listening socket, 0 = /dev/null, 1 and 2 =
 * STATE_DIR/shim.log, and closes its own copy of both.  Then it connects; the shim says HELLO; the
 * daemon sends ATTACH for every parked client and START.  A daemon that comes back after a
 * crash connects to the same path and reads HELLO: the newest connection is the daemon,
 * an older one is closed.  After HELLO come the EXEC_ events that no daemon heard, and the last
 *ones that one was sent: it may have died before it read them.
 *
 * The daemon may freeze the payload's cgroup itself, for time slicing, and says nothing of it.  A
 * shim that loses its daemon thaws it, unless the user had it frozen (SHIM_FREEZE).
 *
 * With --restore START brings back what a CHECKPOINT wrote to DIR (backend/payload.h).  After a
 * CHECKPOINT the payload stands still until RESUME or a SIGNAL that kills; a shim that loses its
 * daemon meanwhile lets it run on, and makes no attempt to undo what was written.
 *
 * With --bound nothing outlives the daemon: when its connection is lost, the payload gets SIGTERM
 * (SIGKILL while it starts), and the shim ends after it, within 30 s whatever happens.
 *
 * What the shim writes: STATE_DIR/log/ (json-file logs), STATE_DIR/exit.json (renamed into place
 * before EXITED is sent):
 *	{"version":1,"code":137,"oom":false,"text":"","started_ns":…,"finished_ns":…}   wall clock
 * (or STATE_DIR/failed.json, {"version":1,"kind":enum err_kind,"text":"…"}, before FAILED),
 * and "started" empty file in RUN_DIR once the payload's exec succeeded.  After EXITED the shim
 * waits for BYE (or for its daemon to vanish, or 2 s) and ends; the lock is free then.
 *
 * Other modes of the same program:
 *	hostel-shim --undo --kind KIND --state-dir DIR         undo a start by its plan, exit 0
 *	hostel-shim --logs --state-dir DIR [--follow] [--since NS] [--until NS] [--tail N]
 *		[--timestamps] [--stdout] [--stderr] [--raw] [--ready]
 *		logs to descriptor 1, as Docker frames (--raw: as plain bytes, for a tty); follows
 *		until exit.json of this run is there.  With --ready it closes descriptor 3 when it
 *		has opened the log: removing the instance takes nothing of it away any more
 *
 * Compatibility: a type is never reused; a receiver answers an unknown request with
 * REPLY ERR_UNSUPPORTED and ignores an unknown event.
 */

#include <stdint.h>

#define SHIM_PROTO_VERSION 1
#define SHIM_MSG_MAX       (64 * 1024)
#define SHIM_EXEC_ID_MAX   64
#define SHIM_KEYS_MAX      32

enum shim_msg_type {
	/* requests, daemon to shim; each is answered by REPLY with the same seq */
	SHIM_START = 1,  /* no body; REPLY says that it begins, STARTED or FAILED come later */
	SHIM_ATTACH = 2, /* struct shim_attach + bytes already read; 1 descriptor: client socket */
	SHIM_EXEC = 3,   /* struct shim_exec; descriptors: process JSON file [, client socket] */
	SHIM_SIGNAL = 4, /* struct shim_signal */
	SHIM_RESIZE = 5, /* struct shim_resize */
	SHIM_FREEZE = 6, /* struct shim_freeze */
	SHIM_QUERY = 7,  /* text; REPLY carries the answer as text */
	SHIM_BYE = 8,    /* the daemon has noted the exit */
	/*
	 * No body; 1 descriptor: an empty folder.  REPLY comes when the state is written, with the
	 * backend's text (backend/payload.h), or with why it could not be: then it runs on.
	 * ERR_STATE while another one is on its way.
	 */
	SHIM_CHECKPOINT = 9,
	SHIM_RESUME = 10, /* no body; after a CHECKPOINT; ERR_STATE without one */
	/* shim to daemon */
	SHIM_HELLO = 64,   /* struct shim_hello, first message on a connection */
	SHIM_REPLY = 65,   /* struct shim_reply + text */
	SHIM_STARTED = 66, /* struct shim_started */
	SHIM_FAILED = 67,  /* struct shim_reply (kind) + text: the start failed, all is undone */
	SHIM_EXITED = 68,  /* struct shim_exited + text */
	SHIM_OOM = 69,
	SHIM_EXEC_STARTED = 70, /* struct shim_exec_event */
	SHIM_EXEC_FAILED = 71,  /* struct shim_exec_event + text */
	SHIM_EXEC_EXITED = 72,  /* struct shim_exec_event */
	SHIM_DETACHED =
	    73, /* struct shim_exec_event: a client used the detach keys (code = its seq) */
	SHIM_ATTACH_ENDED =
	    74, /* struct shim_exec_event: a client went or was cut off (code = its seq) */
};

struct shim_header {
	uint16_t version;
	uint16_t type;
	uint32_t seq; /* of the request; 0 in events */
};

enum shim_stream {
	SHIM_STDIN = 1,
	SHIM_STDOUT = 2,
	SHIM_STDERR = 4,
	SHIM_RAW = 8,        /* no 8-byte frames (tty) */
	SHIM_LOGS = 16,      /* send the log so far first */
	SHIM_NO_STREAM = 32, /* logs only, then end */
	SHIM_TTY = 64,       /* exec: with a pty */
};

struct shim_attach {
	uint32_t streams;  /* set of enum shim_stream */
	uint32_t keys_len; /* detach keys as bytes; 0: none */
	char keys[SHIM_KEYS_MAX];
};

struct shim_exec {
	char exec_id[SHIM_EXEC_ID_MAX + 1];
	struct shim_attach attach; /* of the client socket, when one is passed */
	uint16_t rows, cols;       /* 0: unknown */
};

struct shim_signal {
	char exec_id[SHIM_EXEC_ID_MAX + 1]; /* "": the payload */
	int32_t signum;
};

struct shim_resize {
	char exec_id[SHIM_EXEC_ID_MAX + 1];
	uint16_t rows, cols;
};

enum shim_freeze_how {
	SHIM_THAW,
	SHIM_FROZEN,
	/*
	 * Its user freezes it no longer, but time slicing does, by the same switch: leave that as
	 * it is, and thaw it when the daemon goes.  An older shim takes it for SHIM_FROZEN.
	 */
	SHIM_RELEASE,
};

struct shim_freeze {
	uint32_t on; /* enum shim_freeze_how */
};

enum shim_phase { SHIM_IDLE, SHIM_STARTING, SHIM_RUNNING, SHIM_ENDED };

struct shim_hello {
	uint32_t phase; /* enum shim_phase */
	int32_t shim_pid;
	int32_t payload_pid;
	uint32_t is_frozen; /* by its user */
	int64_t started_ns; /* wall clock; 0: not yet */
	int32_t code;       /* ENDED: exit code */
	uint32_t oom;
};

/* Text follows, not NUL-terminated. */
struct shim_reply {
	int32_t kind; /* enum err_kind, or -1: done */
};

struct shim_started {
	int32_t pid;
	int64_t started_ns;
};

/* Text follows: a note. */
struct shim_exited {
	int32_t code;
	uint32_t oom;
	int64_t finished_ns;
};

/* Text follows. */
struct shim_exec_event {
	char exec_id[SHIM_EXEC_ID_MAX + 1];
	int32_t code; /* exit code; enum err_kind for FAILED */
	int32_t pid;
};

#endif
