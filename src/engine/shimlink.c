/* SPDX-License-Identifier: Apache-2.0 */
/* The shim of an instance: lock, spawn, connection, what it tells, and undo when it died. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "shim/record.h"
#include "sys/sock.h"
#include "sys/spawn.h"
#include "sys/tree.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define LOCK_RETRY_NS (5 * INT64_C(1000000))
#define LOCK_TRIES    200 /* one second: then what is left is killed by its cgroup */
#define SUPERVISOR    "supervisor died"

/* ---- lock ---- */

struct err *shimlink_lock(struct instance *i, int *ret_fd)
{
	OWN(mem) char *path = xasprintf("%s/lock", i->run_dir);
	OWN(fd) int fd = -1;

	if (mkdir(i->run_dir, 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "%s", i->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sys(errno, "%s", path);
		*ret_fd = -1;
		return NULL;
	}
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

/* ---- spawn ---- */

static int64_t log_number(const struct instance *i, const char *opt, int64_t fallback)
{
	const char *text = strmap_get(&i->spec->log_opts, opt);
	int64_t n = fallback;

	if (streq(text, "-1"))
		n = 0; /* no limit */
	else if (text && streq(opt, "max-size"))
		err_free(num_parse_bytes(text, &n));
	else if (text)
		err_free(num_parse_i64(text, 1, 1000, &n));
	return n;
}

static void shim_argv(const struct instance *i, struct strv *argv)
{
	const struct spec *s = i->spec;
	OWN(mem) char *restore = snapshot_restore_dir(i);

	strv_addf(argv, "hostel-shim");
	strv_add(argv, "--id");
	strv_add(argv, i->id);
	strv_add(argv, "--kind");
	strv_add(argv, planner_of(i->e, s)->payload);
	strv_add(argv, "--state-dir");
	strv_add(argv, i->state_dir);
	strv_add(argv, "--run-dir");
	strv_add(argv, i->run_dir);
	strv_add(argv, "--log");
	strv_add(argv, s->log_driver && *s->log_driver ? s->log_driver : "json-file");
	strv_add(argv, "--log-max-size");
	strv_addf(argv, "%" PRId64, log_number(i, "max-size", 10 << 20));
	strv_add(argv, "--log-max-file");
	strv_addf(argv, "%" PRId64, log_number(i, "max-file", 3));
	if (s->tty)
		strv_add(argv, "--tty");
	if (s->open_stdin)
		strv_add(argv, "--stdin");
	if (s->stdin_once)
		strv_add(argv, "--stdin-once");
	if (TAILQ_EMPTY(&i->parked))
		strv_add(argv, "--detached");
	if (restore) {
		strv_add(argv, "--restore");
		strv_add(argv, restore);
	}
}

/* Lives until the process is reaped, longer than its instance when that is removed. */
struct shim_child {
	struct engine *e;
	struct instance *i; /* NULL: removed */
	struct loop_child *child;
	TAILQ_ENTRY(shim_child) link;
};

static void shim_child_free(struct shim_child *c)
{
	TAILQ_REMOVE(&c->e->shims, c, link);
	loop_child_free(c->child);
	free(c);
}

void shimlink_free_all(struct engine *e)
{
	while (!TAILQ_EMPTY(&e->shims))
		shim_child_free(TAILQ_FIRST(&e->shims));
}

static void on_shim_end(void *arg, int code);

static struct err *watch_shim(struct instance *i, int pidfd)
{
	struct shim_child *c = xnew(struct shim_child);
	struct err *err;

	shimlink_orphan(i); /* the last run's has let the lock go, but was not reaped yet */
	c->i = i;
	c->e = i->e;
	TAILQ_INSERT_TAIL(&c->e->shims, c, link);
	err = loop_child_new(i->e->loop, pidfd, on_shim_end, c, &c->child);
	if (err) {
		shim_child_free(c);
		return err;
	}
	i->shim = c;
	return NULL;
}

void shimlink_orphan(struct instance *i)
{
	if (i->shim)
		i->shim->i = NULL;
	i->shim = NULL;
}

void shimlink_forget_run(struct instance *i)
{
	OWN(mem) char *run = xasprintf("%s/run.json", i->state_dir);

	i->is_over = false;
	instance_touch(i);
	unlink(run);
	record_clear(i->state_dir, i->run_dir);
}

static struct err *open_log(const struct instance *i, int *ret_fd)
{
	OWN(mem) char *path = xasprintf("%s/shim.log", i->state_dir);

	*ret_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? err_sys(errno, "%s", path) : NULL;
}

/*
 * The shim's file, by a mount of its own that is read-only and has no place in the tree.  What
 * enters an instance is a child of the shim: if that is made to execute /proc/self/exe, those
 * inside reach the host's file by /proc/PID/exe, and must find no way to write it
 * (CVE-2019-5736).
 */
static struct err *open_program(struct engine *e)
{
	OWN(mem) char *path = xasprintf("%s/hostel-shim", e->c.libexec);
	OWN(fd) int fd = -1;

	if (e->shim_fd)
		return NULL;
	TRY(tree_open(AT_FDCWD, path, false, &fd));
	TRY(tree_set(fd, "", false, MOUNT_ATTR_RDONLY, 0, 0));
	e->shim_fd = TAKE_FD(fd);
	return NULL;
}

struct err *shimlink_run(struct instance *i, char *const *argv, int lock, pid_t *ret_pid,
			 int *ret_pidfd)
{
	OWN(mem) char *sock = xasprintf("%s/shim.sock", i->run_dir);
	OWN(fd) int log = -1;
	OWN(fd) int listener = -1;

	TRY(open_log(i, &log));
	TRY(sock_listen_unix(sock, SOCK_SEQPACKET, 0600, &listener));
	TRY_MSG(open_program(i->e), "supervisor");
	TRY_MSG(spawn_program(&(struct spawn) { .path = argv[0],
						.program_fd = i->e->shim_fd,
						.argv = argv,
						.fds = (int[]) { -1, log, log, lock, listener },
						.n_fds = 5,
						.new_session = 1 },
			      ret_pid, ret_pidfd),
		"supervisor");
	return NULL;
}

struct err *shimlink_spawn(struct instance *i)
{
	OWN(strv) struct strv argv = { 0 };
	OWN(fd) int lock = -1;
	int pidfd;
	pid_t pid;

	i->lock_tries = 0;
	TRY(shimlink_lock(i, &lock));
	if (lock < 0)
		return err_new(ERR_UNAVAILABLE, "another supervisor of it still runs");
	shim_argv(i, &argv);
	TRY(shimlink_run(i, argv.v, lock, &pid, &pidfd));
	i->shim_alive = true;
	i->samples = 0;
	i->shim_pid = pid;
	return watch_shim(i, pidfd);
}

/* ---- the end of a shim ---- */

/* In its shim's place: whoever follows the log waits for it. */
static void write_record(const struct instance *i, const char *note)
{
	OWN(err)
	struct err *err = record_write_exit(
	    i->state_dir, &(struct exit_record) { .code = 137,
						  .text = note,
						  .started_ns = i->started_ns,
						  .finished_ns = clock_wall_ns() });

	if (err)
		log_warn("%.12s: %s", i->id, err_text(err));
}

static void died_done(struct instance *i, const char *note)
{
	if (i->requeue) {
		i->requeue = false;
		i->is_over = true;
		instance_step(i, EV_EXITED);
		exits_again(i, 0);
		return;
	}
	if (i->state == INST_STARTING && !i->is_started_sent) {
		start_failed(i, ERR_INTERNAL, note);
		return;
	}
	write_record(i, note);
	exits_note(
	    i, &(struct exit_note) { .code = 137, .finished_ns = clock_wall_ns(), .text = note });
}

void shimlink_start_again(struct instance *i)
{
	if (!i->start_wanted)
		return;
	i->start_wanted = false;
	if (i->state == INST_STARTING)
		start_admitted(i);
}

static void on_undone(void *arg, int code)
{
	struct instance *i = arg;
	OWN(mem) char *note = TAKE(i->undo_note);

	if (code)
		log_warn("%.12s: undo ended with %d", i->id, code);
	loop_child_free(TAKE(i->undo));
	i->is_undoing = false;
	if (instance_is_alive(i) && !i->is_over)
		died_done(i, note);
	shimlink_start_again(i);
}

struct err *shimlink_run_undo(struct engine *e, const char *kind, const char *state_dir,
			      int *ret_pidfd)
{
	OWN(mem) char *path = xasprintf("%s/hostel-shim", e->c.libexec);
	OWN(strv) struct strv argv = { 0 };
	pid_t pid;

	strv_add(&argv, path);
	strv_add(&argv, "--undo");
	strv_add(&argv, "--kind");
	strv_add(&argv, kind);
	strv_add(&argv, "--state-dir");
	strv_add(&argv, state_dir);
	return spawn_program(&(struct spawn) { .path = path,
					       .argv = argv.v,
					       .fds = (int[]) { -1, STDERR_FILENO, STDERR_FILENO },
					       .n_fds = 3 },
			     &pid, ret_pidfd);
}

void shimlink_undo(struct instance *i, const char *note)
{
	struct err *err;
	int pidfd;

	if (i->is_undoing)
		return;
	shimlink_drop(i);
	str_set(&i->undo_note, note);
	err = shimlink_run_undo(i->e, planner_of(i->e, i->spec)->payload, i->state_dir, &pidfd);
	if (!err)
		err = loop_child_new(i->e->loop, pidfd, on_undone, i, &i->undo);
	i->is_undoing = true;
	if (err) {
		log_error("%.12s: undo: %s", i->id, err_text(err));
		err_free(err);
		on_undone(i, 0);
	}
}

/* Nobody speaks for it any more: its exit record, or else undo and report. */
static void take_over(struct instance *i)
{
	if (exits_from_file(i))
		return;
	shimlink_undo(i, SUPERVISOR);
}

/* Held by another; what we take here is let go again at once: a start takes it anew. */
static bool lock_is_held(struct instance *i)
{
	OWN(fd) int fd = -1;
	OWN(err) struct err *err = shimlink_lock(i, &fd);

	return !err && fd < 0;
}

static void on_lock_retry(void *arg)
{
	struct instance *i = arg;

	if (lock_is_held(i) && ++i->lock_tries < LOCK_TRIES) {
		loop_timer_start(i->lock_timer, LOCK_RETRY_NS);
		return;
	}
	loop_timer_free(TAKE(i->lock_timer));
	i->shim_alive = false;
	if (instance_is_alive(i) && !i->is_over)
		take_over(i);
	shimlink_start_again(i);
}

void shimlink_wait(struct instance *i)
{
	if (i->lock_timer || i->state == INST_REMOVED)
		return;
	i->lock_tries = 0;
	i->lock_timer = loop_timer_new(i->e->loop, on_lock_retry, i);
	loop_timer_start(i->lock_timer, 0);
}

bool shimlink_is_gone(struct instance *i)
{
	/* Not known of: it outlived the daemon that noted its end. */
	if (!i->shim_alive && !i->filevm && i->lock_tries < LOCK_TRIES && lock_is_held(i)) {
		i->shim_alive = true;
		shimlink_wait(i);
	}
	return !i->shim_alive && !i->is_undoing;
}

static void on_shim_end(void *arg, int code)
{
	struct shim_child *c = arg;
	struct instance *i = c->i;

	shim_child_free(c);
	if (!i)
		return;
	i->shim = NULL;
	if (code && instance_is_alive(i))
		log_warn("%.12s: its supervisor ended with %d", i->id, code);
	/* What it said last is read before: it waits in the socket. */
	if (!i->conn)
		shimlink_wait(i);
}

static void on_lost(void *arg)
{
	struct instance *i = arg;

	shim_conn_close(TAKE(i->conn));
	shimlink_wait(i);
}

/* ---- what it tells ---- */

void shimlink_started(struct instance *i, pid_t pid, int64_t started_ns)
{
	if (instance_step(i, EV_STARTED) == ACT_REFUSE)
		return;
	crash_point(i->e, CRASH_STARTED);
	i->pid = pid;
	i->started_ns = started_ns;
	i->finished_ns = 0;
	i->account.start_ns = started_ns;
	eventlog_started(i);
	i->ever_ran = true;
	i->oom = false;
	i->exit_code = 0;
	update_started(i);
	snapshot_restore_over(i);
	instance_emit(i, "start", NULL);
	health_start(i);
	hints_started(i);
	slicing_enter(i, false);
	if (i->restart_event)
		instance_emit(i, "restart", NULL);
	i->restart_event = false;
	tickets_succeed(i, TICKET_START);
	waits_running(i);
	crash_after_commit(i->e, CRASH_RUNNING);
	measure_soon(i->e);
	if (i->state == INST_STOPPING)
		stop_resume(i);
}

static void on_started(void *arg, const struct shim_started *s)
{
	struct instance *i = arg;

	if (!i->is_over)
		shimlink_started(i, s->pid, s->started_ns);
}

static void on_failed(void *arg, enum err_kind kind, const char *text)
{
	struct instance *i = arg;

	shimlink_bye(i);
	if (!i->is_over)
		start_failed(i, kind, text);
}

static void on_exited(void *arg, const struct shim_exited *x, const char *note)
{
	struct instance *i = arg;

	crash_point(i->e, CRASH_EXITED);
	shimlink_bye(i);
	if (i->is_over)
		return;
	exits_note(
	    i, &(struct exit_note) {
		   .code = x->code, .oom = x->oom, .finished_ns = x->finished_ns, .text = note });
}

static void on_oom(void *arg)
{
	instance_emit(arg, "oom", NULL);
}

static void on_exec(void *arg, enum shim_msg_type type, const struct shim_exec_event *ev,
		    const char *text)
{
	exec_event(arg, type, ev, text);
}

static void on_client(void *arg, enum shim_msg_type type, const char *exec_id, uint32_t seq)
{
	if (type == SHIM_DETACHED)
		instance_emit(arg, *exec_id ? "exec_detach" : "detach", NULL);
}

/* Of interest after a crash of ours only: what did it do meanwhile? */
static void on_hello(void *arg, const struct shim_hello *h)
{
	struct instance *i = arg;

	if (!i->is_recovered)
		return;
	i->is_recovered = false;
	recover_hello(i, h);
}

static const struct shim_events shim_events = {
	.hello = on_hello,
	.started = on_started,
	.failed = on_failed,
	.exited = on_exited,
	.oom = on_oom,
	.exec = on_exec,
	.client = on_client,
	.lost = on_lost,
};

struct err *shimlink_connect(struct instance *i)
{
	i->is_started_sent = false;
	return shim_conn_open(i->e->loop, i->run_dir, &shim_events, i, &i->conn);
}

void shimlink_bye(struct instance *i)
{
	if (i->on_bye || !i->conn)
		return;
	i->on_bye = true;
	TAILQ_INSERT_TAIL(&i->e->bye, i, bye_link);
	engine_dirty(i->e);
}

void shimlink_drop(struct instance *i)
{
	if (i->on_bye)
		TAILQ_REMOVE(&i->e->bye, i, bye_link);
	i->on_bye = false;
	shim_conn_close(TAKE(i->conn));
}
