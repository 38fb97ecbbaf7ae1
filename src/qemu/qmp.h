/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_QMP_H
#define QEMU_QMP_H

/*
 * Qmp: QEMU's monitor, as little of it as the shim needs, without a JSON parser (the
 * shim stays small): commands, one line back for each, and the names of events.
 *
 *	GREETING -> (qmp_capabilities) -> READY -> commands, in order
 *
 * Context: the poller's thread; no call blocks.
 * Spec: QEMU 7.2 docs/interop/qmp-spec.txt.
 */

#include <stdbool.h>

#include "sys/poller.h"
#include "util/err.h"

enum qmp_line_type { QMP_OTHER, QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_line {
	enum qmp_line_type type;
	/*
	 * event's name, error's description, "status" of what is returned; cut.  A return that has
	 * an "error-desc" (query-migrate) gives "failed: " and that
	 */
	char text[160];
	int version; /* GREETING: 7002 is 7.2; else 0 */
};

/** qmp_parse() - one line of QEMU's; pure.  What it does not know is QMP_OTHER. */
struct qmp_line qmp_parse(const char *line);

struct qmp;

struct qmp_ops {
	void (*ready)(void *arg); /* QEMU runs its main loop: all devices are made */
	void (*event)(void *arg, const char *name);
};

/** qmp_new() - @fd: consumed */
struct qmp *qmp_new(struct poller *poller, int fd, const struct qmp_ops *ops, void *arg);
void qmp_free(struct qmp *q);

/**
 * qmp_command() - send a command without arguments
 * @done: told how it went, from the poller; @e is owned by it; NULL: nobody cares. Not called
 *        when the monitor dies first.
 */
void qmp_command(struct qmp *q, const char *name,
		 void (*done)(void *arg, struct err *e, const char *text), void *arg);

/** qmp_execute() - the same with arguments; @arguments: a JSON object as text */
void qmp_execute(struct qmp *q, const char *name, const char *arguments,
		 void (*done)(void *arg, struct err *e, const char *text), void *arg);

/**
 * qmp_pass_fd() - give QEMU a descriptor, which later commands call @name
 * @fd: borrowed
 * Return: NULL; ERR_UNAVAILABLE when QEMU takes no commands at the moment: @done is not called.
 */
struct err *qmp_pass_fd(struct qmp *q, const char *name, int fd,
			void (*done)(void *arg, struct err *e, const char *text),
			void *arg) MUST_USE;

/** qmp_version() - of QEMU, 7002 is 7.2; 0 before it is ready */
int qmp_version(const struct qmp *q);

#endif
