/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/slicing.h"
#include "sys/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define LOOK_NS     (INT64_C(200000)) /* then twice … */
#define LOOK_MAX_NS (20 * INT64_C(1000000))
#define PATIENCE_NS (10 * INT64_C(1000000000))

/* Outlives its operation when that ends before the shim has answered. */
struct shim_wait {
	struct engine_operation *op; /* NULL: it has ended */
};

/* ---- life ---- */

static struct err *check_free(const struct instance *i)
{
	if (i->is_removing)
		return err_new(ERR_STATE, "%s is being removed", i->spec->name);
	if (i->op)
		return err_new(ERR_STATE, "%s: %s is under way", i->spec->name, i->op->what);
	return migrate_is_still(i);
}

struct err *operation_tmp(struct engine_operation *op)
{
	char id[65];

	engine_random_id(id);
	free(op->tmp);
	op->tmp = engine_path(op->e, "tmp/snap-%.24s", id);
	return mkdir(op->tmp, 0700) < 0 ? err_sys(errno, "%s", op->tmp) : NULL;
}

static void operation_free(struct engine_operation *op)
{
	if (op->wait)
		op->wait->op = NULL;
	loop_timer_free(op->timer);
	err_free(op->cancelled);
	json_decref(op->header);
	json_decref(op->said);
	json_decref(op->names);
	json_decref(op->warnings);
	json_decref(op->told);
	own_fd_release(&op->fd);
	free(op->stage);
	free(op->tmp);
	free(op->name);
	free(op->from);
	free(op->as);
	free(op);
}

struct err *operation_begin(struct engine *e, struct instance *i, const char *what,
			    const struct engine_watch *watch, struct engine_done done,
			    struct engine_operation **ret)
{
	struct engine_operation *op;
	struct err *err;

	if (i)
		TRY(check_free(i));
	op = xnew(struct engine_operation);
	op->e = e;
	op->what = what;
	op->done = done;
	if (watch)
		op->watch = *watch;
	op->fd = -1;
	op->names = json_array();
	op->warnings = json_array();
	err = operation_tmp(op);
	if (err) {
		operation_free(op);
		return err;
	}
	op->i = i;
	if (i)
		i->op = op;
	TAILQ_INSERT_TAIL(&e->operations, op, link);
	*ret = op;
	return NULL;
}

void operation_release(struct engine_operation *op)
{
	struct instance *i = TAKE(op->i);

	if (!i)
		return;
	i->op = NULL;
	shimlink_start_again(i);
}

/* A disk for an instance that is there has the project of the one that it has. */
static void throw_away(struct engine_operation *op)
{
	if (op->stage && !op->keeps_project)
		quota_release(op->e, op->stage);
	trash_put_alone(op->e, op->tmp);
}

void operation_end(struct engine_operation *op, struct err *err, json_t *result)
{
	TAILQ_REMOVE(&op->e->operations, op, link);
	engine_job_cancel(op->job);
	operation_let_go(op);
	if (op->tmp)
		throw_away(op);
	if (err && op->i)
		log_info("%.12s (%s): %s: %s", op->i->id, op->i->spec->name, op->what,
			 err_text(err));
	engine_finish(op->e, op->done, err, result);
	operation_release(op);
	operation_free(op);
}

/* The daemon ends: what stands still is let go by its shim. */
void operations_free(struct engine *e)
{
	struct engine_operation *op;

	while ((op = TAILQ_FIRST(&e->operations))) {
		TAILQ_REMOVE(&e->operations, op, link);
		operation_let_go(op);
		if (op->i)
			op->i->op = NULL;
		operation_free(op);
	}
}

const char *operation_text(const struct instance *i)
{
	return i->op ? i->op->what : NULL;
}

/* ---- steps ---- */

static void go_on(struct engine_operation *op, struct err *err, const json_t *result)
{
	operation_step *next = TAKE(op->next);

	next(op, err, result);
}

void operation_status(struct engine_operation *op, const char *text)
{
	OWN(json) json_t *m = json_object();

	jx_set_str(m, "status", text);
	if (op->watch.fn)
		op->watch.fn(op->watch.arg, m);
}

static void on_soon(void *arg)
{
	struct engine_operation *op = arg;

	loop_timer_free(TAKE(op->timer));
	if (op->i && op->i->filevm) {
		op->awaits_filevm = true;
		filevm_end(op->i);
		return;
	}
	go_on(op, NULL, NULL);
}

void operation_soon(struct engine_operation *op, operation_step *first)
{
	op->next = first;
	op->timer = loop_timer_new(op->e->loop, on_soon, op);
	loop_timer_start(op->timer, 0);
}

void operation_filevm_gone(struct instance *i)
{
	if (!i->op || !i->op->awaits_filevm)
		return;
	i->op->awaits_filevm = false;
	go_on(i->op, NULL, NULL);
}

static void on_job(void *arg, struct err *err, const json_t *result)
{
	struct engine_operation *op = arg;

	op->job = NULL;
	go_on(op, err, result);
}

static void on_progress(void *arg, const json_t *message)
{
	struct engine_operation *op = arg;

	if (op->watch.fn)
		op->watch.fn(op->watch.arg, message);
}

void operation_job_with(struct engine_operation *op, json_t *job, int fd, operation_step *next)
{
	const struct engine_job_io io = { .data_fd = fd, .progress = on_progress, .arg = op };
	struct engine_done done = { on_job, op };
	struct err *err;

	op->next = next;
	err = engine_job_start(op->e, job, &io, done, &op->job);
	if (err)
		engine_finish(op->e, done, err, NULL);
}

void operation_job(struct engine_operation *op, json_t *job, operation_step *next)
{
	operation_job_with(op, job, -1, next);
}

/* ---- standing still ---- */

static void on_look(void *arg)
{
	struct engine_operation *op = arg;
	OWN(mem) char *cgroup = instance_cgroup(op->i);

	if (cgroup_is_frozen(cgroup)) {
		op->still = STILL_FROZEN;
		go_on(op, NULL, NULL);
		return;
	}
	if (clock_boot_ns() > op->until_ns) {
		go_on(op,
		      err_new(ERR_UNAVAILABLE,
			      "%s cannot be held still: something in it waits in "
			      "the kernel",
			      op->i->spec->name),
		      NULL);
		return;
	}
	op->pause_ns = op->pause_ns * 2 < LOOK_MAX_NS ? op->pause_ns * 2 : LOOK_MAX_NS;
	loop_timer_start(op->timer, op->pause_ns);
}

static void freeze(struct engine_operation *op)
{
	OWN(mem) char *cgroup = instance_cgroup(op->i);
	struct err *err = cgroup_freeze_ask(cgroup, true);

	op->still = STILL_WAITS;
	op->pause_ns = LOOK_NS;
	op->until_ns = clock_boot_ns() + PATIENCE_NS;
	op->timer = loop_timer_new(op->e->loop, on_look, op);
	if (err)
		go_on(op, err, NULL);
	else
		loop_timer_start(op->timer, 0);
}

static void on_written(void *arg, struct err *err, const char *text)
{
	struct shim_wait *w = arg;
	struct engine_operation *op = w->op;

	free(w);
	if (!op) {
		err_free(err);
		return;
	}
	op->wait = NULL;
	op->still = err ? STILL_NOT : STILL_WRITTEN;
	if (!err)
		err_free(jx_parse(text, strlen(text), &op->said));
	if (!op->cancelled) {
		go_on(op, err, NULL);
		return;
	}
	err_free(err);
	operation_end(op, TAKE(op->cancelled), NULL);
}

static void write_state(struct engine_operation *op)
{
	OWN(mem) char *path = xasprintf("%s/state", op->tmp);
	int fd = mkdir(path, 0700) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		go_on(op, err_sys(errno, "%s", path), NULL);
		return;
	}
	op->still = STILL_WRITING;
	op->wait = xnew(struct shim_wait);
	op->wait->op = op;
	shim_conn_checkpoint(op->i->conn, fd, (struct shim_done) { on_written, op->wait });
}

void operation_still(struct engine_operation *op, bool stateful, operation_step *next)
{
	struct instance *i = op->i;
	bool is_paused = i->freeze.reasons & (1U << FREEZE_USER);

	op->next = next;
	if (i->state != INST_RUNNING || (is_paused && !stateful)) {
		op->still = STILL_ANYWAY;
		go_on(op, NULL, NULL);
		return;
	}
	/* Time slicing lets it alone for as long. */
	inst_freeze_set(&i->freeze, FREEZE_OPERATION, true);
	slicing_leave(i, true);
	if (stateful)
		write_state(op);
	else
		freeze(op);
}

static void thaw(const struct instance *i)
{
	OWN(mem) char *cgroup = instance_cgroup(i);
	OWN(err) struct err *err = cgroup_freeze_ask(cgroup, false);

	if (err && err_kind(err) != ERR_NOT_FOUND)
		log_warn("%.12s: thaw: %s", i->id, err_text(err));
}

void operation_let_go(struct engine_operation *op)
{
	struct instance *i = op->i;
	enum still was = op->still;

	loop_timer_free(TAKE(op->timer));
	op->still = STILL_NOT;
	if (!i || was == STILL_NOT || was == STILL_ANYWAY)
		return;
	inst_freeze_set(&i->freeze, FREEZE_OPERATION, false);
	if (was == STILL_WAITS || was == STILL_FROZEN)
		thaw(i);
	else if (was == STILL_WRITTEN && i->conn)
		shim_conn_resume(i->conn, (struct shim_done) { NULL, NULL });
	if (i->state == INST_RUNNING && !(i->freeze.reasons & (1U << FREEZE_USER)))
		slicing_enter(i, false);
}

/* ---- its end ---- */

void operation_until_end(struct engine_operation *op, operation_step *next)
{
	struct err *err;

	op->next = next;
	if (!instance_is_alive(op->i)) {
		go_on(op, NULL, NULL);
		return;
	}
	op->is_ending = true;
	err = engine_kill(op->e, op->i, "KILL");
	if (err) {
		op->is_ending = false;
		go_on(op, err, NULL);
		return;
	}
	/* What stands still dies of it, or does when it is let go. */
	if (op->i)
		operation_let_go(op);
}

void operation_run_ended(struct instance *i)
{
	struct engine_operation *op = i->op;

	if (!op)
		return;
	if (op->is_ending) {
		op->is_ending = false;
		go_on(op, NULL, NULL);
		return;
	}
	if (op->still == STILL_NOT || op->still == STILL_ANYWAY)
		return;
	op->still = STILL_NOT;
	operation_end(op, err_new(ERR_STATE, "%s ended meanwhile", i->spec->name), NULL);
}

/* ---- cancelling ---- */

static void nobody(void *arg, struct err *err, const json_t *result)
{
	err_free(err);
}

void operation_drop_child(struct engine_operation *op)
{
	struct instance *i = *op->child ? instance_by_id(op->e, op->child) : NULL;

	if (i)
		err_free(
		    engine_remove(op->e, i, true, true, (struct engine_done) { nobody, NULL }));
	*op->child = '\0';
}

void engine_operation_cancel(struct engine_operation *op)
{
	struct err *why = err_new(ERR_STATE, "%s was cancelled", op->what);

	if (op->ticket)
		engine_cancel(TAKE(op->ticket));
	operation_drop_child(op);
	if (op->still != STILL_WRITING) {
		operation_end(op, why, NULL);
		return;
	}
	err_free(op->cancelled);
	op->cancelled = why;
}

void operation_give_way(struct instance *i)
{
	if (i->op && !i->op->is_ending)
		engine_operation_cancel(i->op);
}

struct err *engine_operation_stop(struct instance *i)
{
	if (!i->op)
		return err_new(ERR_STATE, "%s: nothing is under way", i->spec->name);
	engine_operation_cancel(i->op);
	return NULL;
}
