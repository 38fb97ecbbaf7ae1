/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_STARTER_H
#define QEMU_STARTER_H

/*
 * Starter: the child of the shim that reads the plan, makes what is private to the
 * instance and becomes QEMU.  What it has to say goes through a pipe: struct
 * starter_info once the plan is read (of a restored one, with the bytes of its port after it), and,
 * if it fails, struct starter_failure and a text; the pipe's end without a failure means that
 * QEMU's exec succeeded.
 *
 * Phases, in order: read the plan; disks (mke2fs, qemu-img, once); cgroup; tap; open files;
 * drop privileges; exec.  qemu_undo() undoes them by the plan alone.
 */

#include <stdint.h>

#include "qemu/saved.h"
#include "util/err.h"

#define STARTER_TEXT_MAX   512
#define STARTER_CGROUP_MAX 256

enum starter_what { STARTER_INFO = 1, STARTER_FAILURE = 2 };

struct starter_info {
	uint32_t what;
	uint32_t is_agent; /* hostel-guest runs inside */
	uint32_t is_idle;  /* … and nothing else */
	int64_t boot_timeout_ms;
	char cgroup[STARTER_CGROUP_MAX];   /* "": none, or longer than that */
	char in_place[STARTER_CGROUP_MAX]; /* a disk that is written where its user has it; cut */
	uint32_t has_tap;
	struct saved_state saved; /* restored: where the agent's port stands */
};

struct starter_failure {
	uint32_t what;
	uint32_t kind;
	uint32_t text_len;
};

struct starter {
	const char *id, *state_dir;
	/* borrowed: the child's ends */
	int qmp, console, agent;
	int output; /* QEMU's stdout and stderr */
	int report; /* pipe to the shim */
	int start;  /* memfd: the text that hostel-guest gets with START, or of the renewal */
	const char *restore_dir; /* NULL: a fresh start */
};

/** starter_run() - never returns */
_Noreturn void starter_run(const struct starter *s);

/** qemu_undo() - kill, remove cgroup and links, by STATE_DIR/plan.json; idempotent */
struct err *qemu_undo(const char *state_dir) MUST_USE;

#endif
