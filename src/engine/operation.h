/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_OPERATION_H
#define ENGINE_OPERATION_H

/*
 * Operations: what takes an instance some time, one at a time (a snapshot, a restore).
 *
 *	operation_begin() ─> steps, each a function that is called when the one before is done:
 *		operation_still()	the instance is held still
 *		operation_job()		a worker does something
 *		operation_until_end()	it is ended and over
 *	─> operation_end()
 *
 * All that is half-made lies in op->tmp, which goes with the operation, or with a daemon that dies.
 * What stands still for an operation runs on when the daemon dies: its shim sees to that.
 */

#include "engine/engine_int.h"

struct engine_operation;
typedef void operation_step(struct engine_operation *op, struct err *err, const json_t *result);

enum still {
	STILL_NOT,
	STILL_ANYWAY,  /* it does not run, or its user paused it */
	STILL_WAITS,   /* frozen by its cgroup; not all in it has stopped yet */
	STILL_FROZEN,  /* and now it has */
	STILL_WRITING, /* its shim writes its state */
	STILL_WRITTEN, /* and holds it still */
};

struct engine_operation {
	struct engine *e;
	struct instance *i; /* NULL: none (an import), or it has let go of it */
	const char *what;   /* "a snapshot", as in "… of it is being made"; static */
	struct engine_done done;
	struct engine_watch watch;
	char *tmp; /* folder; NULL: given away */
	struct engine_job *job;
	operation_step *next;
	enum still still;
	struct shim_wait *wait; /* for the shim's answer */
	struct loop_timer *timer;
	int64_t pause_ns, until_ns;
	struct err *cancelled; /* why; it ends as soon as its shim has answered */
	bool is_ending;        /* it was killed by us; op->next waits for its end */
	bool awaits_filevm;    /* op->next waits for the end of the VM for its files */
	struct engine_ticket *ticket;

	/* A new snapshot: */
	char *name;
	json_t *header;
	bool is_stateful, stops;
	json_t *said;             /* by the shim of the state that it wrote */
	operation_step *gathered; /* its disk and state lie in tmp */
	operation_step *made;     /* instead of the operation's end */

	/* A restore, a fork, an import: */
	char *from;         /* name of the snapshot */
	char *as;           /* the new instance's name; NULL: in place, or any */
	char *stage;        /* folder in which a disk is put together */
	uint32_t project;   /* of that disk; 0: none */
	bool keeps_project; /* it is that of an instance that is there */
	bool starts;        /* afterwards */
	bool wants_state;   /* when what there was is kept */
	bool is_backup;
	int fd; /* -1; a backup's */
	json_t *names, *warnings, *told;
	int64_t n;
	char child[65]; /* id of the copy that is being started; "": none */
	TAILQ_ENTRY(engine_operation) link;
};

/**
 * operation_begin() - with a folder of its own
 * @i: NULL: none
 * Return: NULL; ERR_STATE while another is under way, or when it is being removed.
 */
struct err *operation_begin(struct engine *e, struct instance *i, const char *what,
			    const struct engine_watch *watch, struct engine_done done,
			    struct engine_operation **ret) MUST_USE;

/** operation_soon() - @first, in the loop's next turn, and not before its files are at rest */
void operation_soon(struct engine_operation *op, operation_step *first);

/** operation_job() - @job: consumed */
void operation_job(struct engine_operation *op, json_t *job, operation_step *next);

/** operation_job_with() - the same with bulk data at @fd, consumed */
void operation_job_with(struct engine_operation *op, json_t *job, int fd, operation_step *next);

/** operation_tmp() - a new folder: the one before was given away */
struct err *operation_tmp(struct engine_operation *op) MUST_USE;

/** operation_still() - @next when it stands still; with its state written to tmp/state or not */
void operation_still(struct engine_operation *op, bool stateful, operation_step *next);

/** operation_let_go() - it runs on */
void operation_let_go(struct engine_operation *op);

/** operation_until_end() - kill it; @next when it is over; at once if it does not run */
void operation_until_end(struct engine_operation *op, operation_step *next);

/** operation_end() - @err, @result: consumed; @op is gone afterwards */
void operation_end(struct engine_operation *op, struct err *err, json_t *result);

/** operation_drop_child() - half a copy is none */
void operation_drop_child(struct engine_operation *op);

/** operation_release() - the instance is free for others; the operation goes on without it */
void operation_release(struct engine_operation *op);

/** operation_status() - tell who watches */
void operation_status(struct engine_operation *op, const char *text);

#endif
