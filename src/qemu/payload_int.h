/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_PAYLOAD_INT_H
#define QEMU_PAYLOAD_INT_H

/* Shared by payload.c, session.c, checkpoint.c and restore.c only. */

#include <stdint.h>

#include "agent/port.h"
#include "backend/payload.h"
#include "qemu/qmp.h"
#include "qemu/starter.h"

#define EXEC_ID_MAX 64
#define TAIL_BYTES  2048

/* One process inside: session 0 is the payload. */
struct session {
	struct session *next;
	struct payload *payload;
	uint16_t id;
	char exec_id[EXEC_ID_MAX + 1];
	bool is_tty, has_stdin, is_started, is_over;
	struct agent_source *in;
	struct agent_sink *out, *err;
};

struct query {
	struct query *next;
	uint16_t id;
	void (*answer)(void *arg, struct err *e, const char *text);
	void *arg;
};

/* The last bytes of something. */
struct tail {
	char bytes[TAIL_BYTES];
	size_t len;
};

enum payload_state { VM_STARTING, VM_RUNNING, VM_UNDOING, VM_OVER };

struct vm_checkpoint;

struct payload {
	struct payload_host host;
	char *id, *state_dir, *restore_dir;
	enum payload_state state;

	pid_t pid; /* the starter, then QEMU */
	int pidfd;
	struct poll_watch *on_end;
	pid_t undo_pid;

	int report;
	struct poll_watch *report_watch;
	struct str report_text;
	struct starter_info info;

	int output, console;
	struct poll_watch *output_watch, *console_watch;
	struct tail *output_tail, *console_tail; /* kept until it runs */

	struct qmp *qmp;
	struct agent_port *port;
	int start_fd; /* memfd with the text of START */
	struct session *sessions;
	struct query *queries;
	uint16_t last_id;

	struct poll_timer *boot_timer, *kill_timer, *event_timer;
	bool is_frozen, is_killed, has_code, is_bye;

	struct vm_checkpoint *checkpoint; /* on its way */
	bool is_still;                    /* since one was written */
	bool is_loaded;                   /* restored: QEMU has the state */

	/* how it ends */
	struct str failure; /* START_FAILED: why */
	int failure_kind;
	int code;
	bool oom;
	const char *note;
	char oom_text[200]; /* from the guest, cleaned */
};

/* checkpoint.c */

struct err *vm_checkpoint(struct payload *p, int dir_fd,
			  void (*done)(void *arg, struct err *e, const char *text), void *arg);
struct err *vm_resume(struct payload *p);

/** vm_checkpoint_event() - QEMU says that its migration has a new state */
void vm_checkpoint_event(struct payload *p);

/** vm_checkpoint_lost() - QEMU is gone: whoever waits for its state is told */
void vm_checkpoint_lost(struct payload *p);

/* restore.c */

/** vm_restore() - QEMU, made for it, is ready: bring the state back and let it run */
void vm_restore(struct payload *p);
void vm_restore_event(struct payload *p);

/* session.c */

/** vm_open_streams() - of a session that runs inside, both ends */
struct err *vm_open_streams(struct session *s, struct payload_io *io) MUST_USE;

/** vm_ask() - a question to hostel-guest; @answer: as payload_ops.query */
uint16_t vm_ask(struct payload *p, const char *question,
		void (*answer)(void *arg, struct err *e, const char *text), void *arg);
void vm_send_signal(struct payload *p, uint16_t session, int signum);
void vm_send_time(struct payload *p);

/** vm_open_port() - begin to speak with hostel-guest; @fd: consumed */
void vm_open_port(struct payload *p, int fd);

/** vm_send_text() - a START's JSON from a file, in pieces */
struct err *vm_send_text(struct payload *p, uint16_t session, int fd) MUST_USE;
void vm_send_start(struct payload *p, const struct session *s, uint32_t flags);

struct session *vm_session_new(struct payload *p, const char *exec_id);
struct session *vm_session_find(struct payload *p, const char *exec_id);
uint16_t vm_next_id(struct payload *p);

/** vm_peek_id() - what vm_next_id() will give */
uint16_t vm_peek_id(struct payload *p);

/** vm_end_sessions() - the machine is gone: tell what became of every exec, free it all */
void vm_end_sessions(struct payload *p);

/* payload.c */

/** vm_started() - the payload runs */
void vm_started(struct payload *p, const struct payload_io *io);

/** vm_fail() - the start failed, or the peer went mad: kill QEMU, report when it is gone */
void vm_fail(struct payload *p, int kind, const char *text);

/** vm_bye() - hostel-guest has everything on disk: QEMU may go */
void vm_bye(struct payload *p);
void vm_send_event(struct payload *p, const struct payload_event *ev);

#endif
