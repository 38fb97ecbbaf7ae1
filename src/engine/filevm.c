/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a VM that does not run.  The host never mounts a disk that a guest wrote, so
 * hostel-guest is booted alone on it, under a supervisor of its own that ends with this
 * daemon, and jobs go through it as through a running VM's.
 *
 *	WAITING ─(M is free)→ PREPARING ─(image, initramfs are there)→ BOOTING ─→ READY
 *	READY ─(no job for IDLE_NS, or a start waits)→ ENDING ─(supervisor gone)→ freed
 *	anything ─(failure, kill)→ ENDING
 *
 * While there is one, its supervisor holds the instance's lock; a removal waits, so does a
 * start, but not for ever.
 * Its memory is M, what managing costs: it stands in no queue behind instances, and one may
 * always run, so that a small M_total forbids none; further ones wait for M.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine_int.h"
#include "model/plan.h"
#include "sys/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define MIB         (INT64_C(1) << 20)
#define GUEST_BYTES (96 * MIB)
#define IDLE_NS     (2 * INT64_C(1000000000))  /* docker cp asks twice */
#define START_NS    (10 * INT64_C(1000000000)) /* a start waits so long for jobs */
#define END_NS      (30 * INT64_C(1000000000))
#define LOCK_NS     (20 * INT64_C(1000000))
#define LOCK_TRIES  1750 /* 35 s */
#define KILL_MS     500
#define FOLDER      "files"

enum phase { FVM_WAITING, FVM_PREPARING, FVM_BOOTING, FVM_READY, FVM_ENDING };

struct op {
	struct filevm *vm;
	json_t *job; /* NULL: it runs */
	struct engine_job_io io;
	struct engine_done done;
	TAILQ_ENTRY(op) link;
};
TAILQ_HEAD(op_list, op);

struct filevm {
	struct engine *e;
	struct instance *i;
	enum phase phase;
	char *state_dir, *cgroup;
	char *holder; /* in sched's books and in its texts; NULL: it holds nothing */
	struct engine_job *prep;
	bool is_initramfs; /* what prep makes */
	bool is_orphan;    /* of a daemon that died: only its lock tells when it is gone */
	int lock_tries;
	bool is_told; /* its end came from its supervisor, which has undone all */
	struct shim_conn *conn;
	struct loop_child *child, *undo;
	struct loop_timer *timer, *start_timer;
	struct op_list waiting, active;
	TAILQ_ENTRY(filevm) link;
};

static void proceed(struct filevm *v);
static void over(struct filevm *v);

/* ---- jobs ---- */

static void op_free(struct op_list *list, struct op *o)
{
	TAILQ_REMOVE(list, o, link);
	json_decref(o->job);
	own_fd_release(&o->io.data_fd);
	free(o);
}

static void fail_waiting(struct filevm *v, enum err_kind kind, const char *text)
{
	struct op *o;

	while ((o = TAILQ_FIRST(&v->waiting))) {
		engine_finish(v->e, o->done, err_new(kind, "%s", text), NULL);
		op_free(&v->waiting, o);
	}
}

static void on_timer(void *arg);

static void arm(struct filevm *v, int64_t ns)
{
	if (!v->timer)
		v->timer = loop_timer_new(v->e->loop, on_timer, v);
	loop_timer_start(v->timer, ns);
}

static bool is_at_rest(const struct filevm *v)
{
	return TAILQ_EMPTY(&v->waiting) && TAILQ_EMPTY(&v->active);
}

static void end(struct filevm *v, int signum)
{
	if (v->is_orphan || (v->phase == FVM_ENDING && signum != SIGKILL))
		return;
	v->phase = FVM_ENDING;
	if (v->conn)
		shim_conn_signal(v->conn, NULL, signum, (struct shim_done) { NULL, NULL });
	arm(v, END_NS);
}

static bool is_wanted(const struct instance *i)
{
	return i->start_wanted || i->is_removing || i->op;
}

static void on_op_done(void *arg, struct err *err, const json_t *result)
{
	struct op *o = arg;
	struct filevm *v = o->vm;
	struct engine_done done = o->done;

	op_free(&v->active, o);
	done.fn(done.arg, err, result);
	if (v->phase == FVM_ENDING && !v->child && !v->undo && is_at_rest(v))
		over(v);
	else if (v->phase == FVM_READY && is_at_rest(v))
		is_wanted(v->i) ? end(v, SIGTERM) : arm(v, IDLE_NS);
}

static void run_ops(struct filevm *v)
{
	struct op *o;

	while ((o = TAILQ_FIRST(&v->waiting))) {
		struct engine_done done = { on_op_done, o };
		struct err *err;

		TAILQ_REMOVE(&v->waiting, o, link);
		TAILQ_INSERT_TAIL(&v->active, o, link);
		err = files_ask_vm(v->e, v->conn, TAKE(o->job), &o->io, done);
		o->io.data_fd = -1; /* consumed */
		if (err)
			engine_finish(v->e, done, err, NULL);
	}
}

/* ---- the end ---- */

static void filevm_drop(struct filevm *v)
{
	while (!TAILQ_EMPTY(&v->waiting))
		op_free(&v->waiting, TAILQ_FIRST(&v->waiting));
	while (!TAILQ_EMPTY(&v->active))
		op_free(&v->active, TAILQ_FIRST(&v->active));
	if (v->holder)
		sched_leave(v->e->sched, v->holder);
	engine_job_cancel(v->prep);
	shim_conn_close(v->conn);
	loop_child_free(v->child);
	loop_child_free(v->undo);
	loop_timer_free(v->timer);
	loop_timer_free(v->start_timer);
	TAILQ_REMOVE(&v->e->filevms, v, link);
	free(v->holder);
	free(v->state_dir);
	free(v->cgroup);
	free(v);
}

/* Those that wait for M. */
static void wake_others(struct engine *e)
{
	struct filevm *v, *next;

	for (v = TAILQ_FIRST(&e->filevms); v; v = next) {
		next = TAILQ_NEXT(v, link);
		if (v->phase == FVM_WAITING)
			proceed(v);
	}
}

static void go_on(struct instance *i)
{
	if (i->is_removing)
		remove_now(i);
	else if (i->op)
		operation_filevm_gone(i);
	else
		shimlink_start_again(i);
}

/* Nothing of it is left.  A job that came while it ended gets a new one. */
static void over(struct filevm *v)
{
	struct instance *i = v->i;
	struct engine *e = v->e;

	shim_conn_close(TAKE(v->conn));
	if (!TAILQ_EMPTY(&v->active))
		return; /* their workers see the end of their connections */
	trash_put(e, v->state_dir);
	if (!TAILQ_EMPTY(&v->waiting) && !is_wanted(i)) {
		loop_timer_free(TAKE(v->timer));
		v->phase = FVM_WAITING;
		v->is_told = v->is_orphan = false;
		proceed(v);
		return;
	}
	fail_waiting(v, ERR_STATE,
		     i->is_removing ? "the container is being removed"
				    : "the container is starting");
	i->filevm = NULL;
	filevm_drop(v);
	engine_queue_dirty(e);
	wake_others(e);
	go_on(i);
}

static void on_undone(void *arg, int code)
{
	struct filevm *v = arg;

	if (code)
		log_warn("%.12s: undo of its files' VM ended with %d", v->i->id, code);
	loop_child_free(TAKE(v->undo));
	over(v);
}

/* Its supervisor is gone and did not say that all is undone. */
static void undo(struct filevm *v)
{
	struct err *err;
	int pidfd;

	v->phase = FVM_ENDING;
	err = shimlink_run_undo(v->e, "vm", v->state_dir, &pidfd);
	if (!err)
		err = loop_child_new(v->e->loop, pidfd, on_undone, v, &v->undo);
	if (!err)
		return;
	log_error("%.12s: undo: %s", v->i->id, err_text(err));
	err_free(err);
	over(v);
}

static void fail(struct filevm *v, enum err_kind kind, const char *text)
{
	log_info("%.12s (%s): its files' VM: %s", v->i->id, v->i->spec->name, text);
	/* The words of a missing file are the request's, not these. */
	fail_waiting(v, kind == ERR_NOT_FOUND || kind == ERR_INVALID ? ERR_INTERNAL : kind, text);
	v->phase = FVM_ENDING;
}

/* ---- what its supervisor tells ---- */

static void on_started(void *arg, const struct shim_started *s)
{
	struct filevm *v = arg;

	(void)s;
	if (v->phase != FVM_BOOTING)
		return;
	v->phase = FVM_READY;
	loop_timer_free(TAKE(v->timer));
	run_ops(v);
}

static void on_failed(void *arg, enum err_kind kind, const char *text)
{
	struct filevm *v = arg;

	v->is_told = true;
	shim_conn_bye(v->conn);
	fail(v, kind, text);
}

static void on_exited(void *arg, const struct shim_exited *x, const char *note)
{
	struct filevm *v = arg;

	(void)x;
	v->is_told = true;
	shim_conn_bye(v->conn);
	if (v->phase != FVM_ENDING)
		log_warn("%.12s: its files' VM ended: %s", v->i->id, *note ? note : "by itself");
	v->phase = FVM_ENDING;
}

static void on_lost(void *arg)
{
	struct filevm *v = arg;

	shim_conn_close(TAKE(v->conn)); /* its child's end follows */
}

static const struct shim_events shim_events = {
	.started = on_started, .failed = on_failed, .exited = on_exited, .lost = on_lost
};

static void on_child_end(void *arg, int code)
{
	struct filevm *v = arg;

	(void)code;
	loop_child_free(TAKE(v->child));
	if (v->conn)
		shim_conn_poll(v->conn);
	if (v->phase != FVM_ENDING)
		fail(v, ERR_UNAVAILABLE, "supervisor died");
	if (v->is_told)
		over(v);
	else
		undo(v);
}

/* ---- the start ---- */

static json_t *memory_limit(int64_t bytes)
{
	return json_pack("{s:{s:I}}", "memory", "limit", (json_int_t)bytes);
}

/* Guest and QEMU, which has one vcpu here, whatever the instance has. */
static int64_t holds_bytes(const struct filevm *v)
{
	const struct host_facts f = { .memory_bytes = GUEST_BYTES, .has_kvm = v->e->has_kvm };
	struct spec s = *v->i->spec;

	s.vcpus = 1;
	return GUEST_BYTES + planner_of(v->e, &s)->host->manage_bytes(&s, &f);
}

static struct err *write_plan(struct filevm *v)
{
	OWN(mem) char *path = xasprintf("%s/plan.json", v->state_dir);
	struct host_facts facts = { .state_dir = v->state_dir };
	OWN(strv) struct strv texts = { 0 };
	OWN(json) json_t *rootfs = NULL;
	OWN(json) json_t *vm = NULL;
	OWN(json) json_t *plan = NULL;

	TRY(plan_rootfs(v->i, &rootfs));
	json_object_set_new(rootfs, "readonly", json_false());
	TRY(vm_facts_alone(v->i, GUEST_BYTES, &facts, &texts));
	TRY(planner_of(v->e, v->i->spec)->host->machine(v->i->spec, &facts, &vm));
	json_object_set_new(vm, "vcpus", json_integer(1));
	plan = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:O, s:{s:s}, s:o, s:O}, s:{s:b}}",
			 "version", PLAN_VERSION, "id", v->i->id, "name", v->i->spec->name, "kind",
			 "vm", "state_dir", v->state_dir, "run_dir", v->i->run_dir, "host",
			 "cgroup", v->cgroup, "rootfs", rootfs, "net", "mode", "none", "resources",
			 memory_limit(holds_bytes(v)), "vm", vm, "guest", "alone", 1);
	return jx_save(AT_FDCWD, path, plan, 0600);
}

static struct err *spawn_shim(struct filevm *v, int lock)
{
	char *argv[] = { (char[]) { "hostel-shim" },
			 (char[]) { "--id" },
			 v->i->id,
			 (char[]) { "--kind" },
			 (char[]) { "vm" },
			 (char[]) { "--state-dir" },
			 v->state_dir,
			 (char[]) { "--run-dir" },
			 v->i->run_dir,
			 (char[]) { "--log" },
			 (char[]) { "none" },
			 (char[]) { "--detached" },
			 (char[]) { "--bound" },
			 NULL };
	int pidfd;
	pid_t pid;

	TRY(shimlink_run(v->i, argv, lock, &pid, &pidfd));
	return loop_child_new(v->e->loop, pidfd, on_child_end, v, &v->child);
}

static struct err *boot(struct filevm *v)
{
	OWN(fd) int lock = -1;

	if (mkdir(v->state_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "%s", v->state_dir);
	TRY(write_plan(v));
	TRY(shimlink_lock(v->i, &lock));
	if (lock < 0)
		return err_new(ERR_UNAVAILABLE, "a supervisor of it still runs");
	TRY(spawn_shim(v, lock));
	v->phase = FVM_BOOTING;
	TRY(shim_conn_open(v->e->loop, v->i->run_dir, &shim_events, v, &v->conn));
	shim_conn_start(v->conn, (struct shim_done) { NULL, NULL });
	return NULL;
}

static void try_boot(struct filevm *v)
{
	struct err *err = boot(v);

	if (!err)
		return;
	fail(v, err_kind(err), err_text(err));
	err_free(err);
	if (!v->child)
		over(v); /* else it ends for want of a daemon */
}

static void on_prepared(void *arg, struct err *err, const json_t *result)
{
	struct filevm *v = arg;

	v->prep = NULL;
	if (!err && v->is_initramfs)
		vm_initramfs_made(v->i, jx_str(result, "path", ""));
	if (err) {
		fail(v, err_kind(err), err_text(err));
		err_free(err);
		over(v);
		return;
	}
	proceed(v);
}

/* False when nothing is missing. */
static bool prepare(struct filevm *v)
{
	json_t *job = prep_vm_job(v->i, &v->is_initramfs);
	struct engine_done done = { on_prepared, v };
	struct err *err;

	if (!job)
		return false;
	err = job_simple(v->e, job, done, &v->prep);
	if (err)
		engine_finish(v->e, done, err, NULL);
	return true;
}

/* One may always run. */
static bool takes_memory(struct filevm *v)
{
	struct sched_job j = { .demand.v[RES_MANAGE] = holds_bytes(v) };
	struct amounts rest;
	bool is_alone = true;
	const struct filevm *other;

	if (v->holder)
		return true;
	TAILQ_FOREACH(other, &v->e->filevms, link)
	is_alone &= other->holder == NULL;
	sched_totals(v->e->sched, NULL, NULL, NULL, &rest);
	if (!is_alone && rest.v[RES_MANAGE] < j.demand.v[RES_MANAGE])
		return false;
	v->holder = xasprintf("files of %s", v->i->spec->name);
	j.id = v->holder;
	j.number = (uint64_t)eventlog_number(v->e);
	sched_adopt(v->e->sched, &j, clock_boot_ns());
	return true;
}

static void proceed(struct filevm *v)
{
	if (v->phase == FVM_WAITING && takes_memory(v))
		v->phase = FVM_PREPARING;
	if (v->phase == FVM_PREPARING && !prepare(v))
		try_boot(v);
}

/* ---- for others ---- */

/* A daemon's death has told it to end; what is left of it after that time is killed. */
static void look_for_orphan(struct filevm *v)
{
	OWN(fd) int lock = -1;
	OWN(err) struct err *err = shimlink_lock(v->i, &lock);

	if (!err && lock < 0 && v->lock_tries++ < LOCK_TRIES)
		arm(v, LOCK_NS);
	else
		undo(v);
}

static void on_timer(void *arg)
{
	struct filevm *v = arg;

	if (v->is_orphan) {
		look_for_orphan(v);
		return;
	}
	if (v->phase == FVM_READY)
		end(v, SIGTERM);
	else if (v->phase == FVM_ENDING)
		end(v, SIGKILL);
}

static struct filevm *filevm_new(struct instance *i)
{
	struct filevm *v = xnew(struct filevm);
	OWN(mem) char *cgroup = instance_cgroup(i);

	v->e = i->e;
	v->i = i;
	v->state_dir = xasprintf("%s/" FOLDER, i->state_dir);
	v->cgroup = xasprintf("%s-" FOLDER, cgroup);
	TAILQ_INIT(&v->waiting);
	TAILQ_INIT(&v->active);
	TAILQ_INSERT_TAIL(&i->e->filevms, v, link);
	i->filevm = v;
	return v;
}

void filevm_job(struct instance *i, json_t *job, const struct engine_job_io *io,
		struct engine_done done)
{
	struct filevm *v = i->filevm ? i->filevm : filevm_new(i);
	struct op *o = xnew(struct op);

	*o = (struct op) { .vm = v, .job = job, .io = *io, .done = done };
	TAILQ_INSERT_TAIL(&v->waiting, o, link);
	if (v->phase == FVM_READY) {
		loop_timer_free(TAKE(v->timer));
		run_ops(v);
	} else if (v->phase == FVM_WAITING) {
		proceed(v);
	}
}

/* Nobody waits for a client that does not read; a start that outlives its client does. */
static void on_start_timer(void *arg)
{
	struct filevm *v = arg;
	struct instance *i = v->i;
	OWN(mem) char *why = NULL;

	loop_timer_free(TAKE(v->start_timer));
	if (!i->start_wanted || i->durable || is_at_rest(v))
		return;
	why = xasprintf("container %s is busy: its files are being copied", i->spec->name);
	start_failed(i, ERR_UNAVAILABLE, why);
}

void filevm_end(struct instance *i)
{
	struct filevm *v = i->filevm;

	if (v && v->phase == FVM_READY && is_at_rest(v)) {
		end(v, SIGTERM);
	} else if (v && i->start_wanted && !v->start_timer) {
		v->start_timer = loop_timer_new(v->e->loop, on_start_timer, v);
		loop_timer_start(v->start_timer, START_NS);
	}
}

void filevm_kill(struct instance *i)
{
	struct filevm *v = i->filevm;

	if (!v)
		return;
	i->is_removing = true;
	fail_waiting(v, ERR_STATE, "the container is being removed");
	if (v->is_orphan)
		return;
	if (v->phase > FVM_PREPARING) {
		end(v, SIGKILL);
		return;
	}
	engine_job_cancel(TAKE(v->prep));
	v->phase = FVM_ENDING;
	over(v);
}

void filevm_recover(struct instance *i)
{
	OWN(mem) char *folder = xasprintf("%s/" FOLDER, i->state_dir);
	struct filevm *v;

	if (!spec_is_vm(i->spec) || access(folder, F_OK) < 0)
		return;
	v = filevm_new(i);
	v->phase = FVM_ENDING;
	v->is_orphan = true;
	arm(v, 0);
}

void filevm_free(struct instance *i)
{
	struct filevm *v = TAKE(i->filevm);

	if (!v)
		return;
	/* All that it wrote is on disk. */
	if (v->phase == FVM_READY && is_at_rest(v)) {
		err_free(cgroup_kill(v->cgroup, KILL_MS));
		err_free(cgroup_remove(v->cgroup, KILL_MS));
		trash_put(v->e, v->state_dir);
	}
	filevm_drop(v);
}

bool filevm_held(const struct instance *i, struct amounts *ret)
{
	return i->filevm && i->filevm->holder && sched_held(i->e->sched, i->filevm->holder, ret);
}
