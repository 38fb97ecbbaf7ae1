/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctr/checkpoint.h"
#include "ctr/report.h"
#include "ctr/start.h"
#include "net/net.h"
#include "sys/cgroup.h"
#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define EXEC_ID_MAX   64
#define OOM_RECENT_NS INT64_C(1000000000)
#define OOM_AGAIN_NS  INT64_C(20000000)
#define OOM_TRIES     20
#define SWEEP_NS      INT64_C(5000000000)
#define KILL_MS       1000
#define REMOVE_MS     500
#define COMM_MAX      32
#define EXECS_NS      INT64_C(5000000000) /* that a checkpoint waits for execs to end */

enum stage {
	STAGE_STARTING, /* a starter is at work; its reports come */
	STAGE_RUNNING,
	STAGE_UNDOING, /* the start failed; a child undoes it */
};

/* The container's first process, or an exec. */
struct proc {
	struct payload *p;
	struct proc *next; /* of the execs */
	enum stage stage;
	char exec_id[EXEC_ID_MAX + 1]; /* "": the first process */
	bool is_tty;
	unsigned short rows, cols;
	pid_t starter, undoer;
	int report; /* -1 once the end was seen */
	struct poll_watch *report_watch;
	pid_t pid; /* 0: not yet */
	int pidfd;
	struct poll_watch *exit_watch;
	struct payload_io io;    /* ours until STARTED is told */
	int master;              /* our own copy, for resize */
	ino_t pipes[DUMP_PIPES]; /* of its stdio; 0: none */
	bool was_killed;         /* by a signal() of ours */
	int fail_kind;
	char *fail_text; /* the start failed */
};

struct payload {
	const struct payload_host *host;
	struct proc init;
	struct proc *execs;
	char *cgroup;      /* NULL: none */
	struct strv links; /* of the host, to be deleted at the end */
	bool alone;
	int64_t limit;
	int oom_fd;
	struct poll_watch *oom_watch;
	uint64_t oom_seen;
	int64_t oom_ns;               /* of the last one */
	struct poll_timer *oom_again; /* look once more: the count comes after the event */
	int oom_tries;
	struct poll_timer *sweep; /* without a pid namespace: orphans come to the shim */
	/* A checkpoint: waiting for execs to end, or on its way or done. */
	struct checkpoint *checkpoint;
	struct poll_timer *execs_limit;
	int checkpoint_fd;
	void (*checkpoint_done)(void *arg, struct err *e, const char *text);
	void *checkpoint_arg;
};

static void on_report(void *arg, short revents);
static void on_exit_of(void *arg, short revents);
static void on_undone(void *arg, short revents);
static void begin_checkpoint(void *arg);

static bool is_init(const struct proc *c)
{
	return c == &c->p->init;
}

static void tell(struct proc *c, struct payload_event ev)
{
	const struct payload_host *h = c->p->host;

	ev.exec_id = is_init(c) ? NULL : c->exec_id;
	h->event(h->arg, &ev);
}

/* ---- objects ---- */

static void proc_init(struct proc *c, struct payload *p, const char *exec_id)
{
	*c = (struct proc) {
		.p = p, .report = -1, .pidfd = -1, .master = -1, .io = PAYLOAD_IO_NONE
	};
	snprintf(c->exec_id, sizeof(c->exec_id), "%s", exec_id ? exec_id : "");
}

static void close_io(struct payload_io *io)
{
	own_fd_release(&io->in);
	if (io->out != io->in)
		own_fd_release(&io->out);
	own_fd_release(&io->err);
	*io = (struct payload_io)PAYLOAD_IO_NONE;
}

static void proc_done(struct proc *c)
{
	if (c->report_watch)
		poll_watch_free(c->report_watch);
	if (c->exit_watch)
		poll_watch_free(c->exit_watch);
	c->report_watch = c->exit_watch = NULL;
	own_fd_release(&c->report);
	own_fd_release(&c->pidfd);
	own_fd_release(&c->master);
	c->report = c->pidfd = c->master = -1;
	close_io(&c->io);
	free(TAKE(c->fail_text));
}

static void exec_free(struct proc *c)
{
	struct proc **at = &c->p->execs;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	proc_done(c);
	free(c);
}

static void end_checkpoint(struct payload *p)
{
	checkpoint_free(TAKE(p->checkpoint));
	if (p->execs_limit)
		poll_timer_free(TAKE(p->execs_limit));
	own_fd_release(&p->checkpoint_fd);
	p->checkpoint_fd = -1;
}

static void stop_oom(struct payload *p)
{
	if (p->oom_watch)
		poll_watch_free(TAKE(p->oom_watch));
	if (p->oom_again)
		poll_timer_free(TAKE(p->oom_again));
}

static void payload_free(struct payload *p)
{
	if (!p)
		return;
	while (p->execs)
		exec_free(p->execs);
	end_checkpoint(p);
	proc_done(&p->init);
	stop_oom(p);
	if (p->sweep)
		poll_timer_free(TAKE(p->sweep));
	own_fd_release(&p->oom_fd);
	free(p->cgroup);
	strv_done(&p->links);
	free(p);
}

static struct proc *find_proc(struct payload *p, const char *exec_id)
{
	if (!exec_id)
		return &p->init;
	for (struct proc *c = p->execs; c; c = c->next)
		if (!strcmp(c->exec_id, exec_id))
			return c;
	return NULL;
}

/* ---- launching ---- */

static ino_t pipe_inode(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Pipes of one process: our ends in @ours, those of the process in @s. */
static struct err *make_pipes(bool has_stdin, struct payload_io *ours, struct ctr_start *s)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	bool ok = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0 &&
		  (!has_stdin || pipe2(in, O_CLOEXEC) == 0);

	*ours = (struct payload_io) { .in = in[1], .out = out[0], .err = err[0] };
	s->in = in[0];
	s->out = out[1];
	s->err = err[1];
	return ok ? NULL : err_sys(errno, "pipe");
}

static void close_ends(struct ctr_start *s)
{
	own_fd_release(&s->in);
	own_fd_release(&s->out);
	own_fd_release(&s->err);
}

static struct err *fork_starter(struct proc *c, struct ctr_start *s,
				void (*run)(const struct ctr_start *s))
{
	int pair[2];

	TRY(sock_pair(SOCK_SEQPACKET, pair));
	c->report = pair[0];
	OWN(fd) int theirs = pair[1];

	s->report = theirs;
	c->starter = fork();
	if (c->starter < 0)
		return err_sys(errno, "fork");
	if (c->starter == 0)
		run(s);
	c->report_watch = poll_watch_new(c->p->host->poller, c->report, POLLIN, on_report, c);
	return NULL;
}

static struct err *launch(struct proc *c, struct ctr_start *s, bool has_stdin,
			  void (*run)(const struct ctr_start *s))
{
	struct err *e = NULL;

	s->state_dir = c->p->host->state_dir;
	s->in = s->out = s->err = -1;
	s->is_tty = c->is_tty;
	s->rows = c->rows;
	s->cols = c->cols;
	if (!c->is_tty)
		e = make_pipes(has_stdin, &c->io, s);
	c->pipes[0] = pipe_inode(s->in);
	c->pipes[1] = pipe_inode(s->out);
	c->pipes[2] = pipe_inode(s->err);
	if (!e)
		e = fork_starter(c, s, run);
	close_ends(s);
	return e;
}

static struct err *ctr_start(const struct payload_host *host, struct payload **ret)
{
	struct payload *p = xnew(struct payload);
	struct ctr_start s = { .process_fd = -1,
			       .init_pidfd = -1,
			       .restore_dir = host->restore_dir };
	struct err *e;

	p->host = host;
	p->oom_fd = p->checkpoint_fd = -1;
	proc_init(&p->init, p, NULL);
	p->init.is_tty = host->is_tty;
	p->init.rows = host->rows;
	p->init.cols = host->cols;
	e = launch(&p->init, &s, host->has_stdin,
		   host->restore_dir ? ctr_restore_run : ctr_start_run);
	if (e) {
		payload_free(p);
		return e;
	}
	*ret = p;
	return NULL;
}

static struct err *ctr_exec(struct payload *p, const char *exec_id, int process_fd, bool is_tty,
			    bool has_stdin)
{
	struct ctr_start s = { .process_fd = process_fd,
			       .init_pidfd = p->init.pidfd,
			       .init_pid = p->init.pid };
	struct proc *c;
	struct err *e;

	if (p->init.stage != STAGE_RUNNING || p->init.pidfd < 0)
		return err_new(ERR_STATE, "container is not running");
	if (p->checkpoint || p->execs_limit)
		return err_new(ERR_STATE, "container stands still for a checkpoint");
	if (strlen(exec_id) > EXEC_ID_MAX || find_proc(p, exec_id))
		return err_new(ERR_EXISTS, "exec %s exists", exec_id);
	c = xnew(struct proc);
	proc_init(c, p, exec_id);
	c->is_tty = is_tty;
	c->next = p->execs;
	p->execs = c;
	e = launch(c, &s, has_stdin, ctr_exec_run);
	if (e)
		exec_free(c);
	return e;
}

/* ---- reports of a start ---- */

static void watch_oom(struct payload *p);

static void take_process(struct proc *c, const struct report *r, int fds[2])
{
	struct payload *p = c->p;

	c->pid = r->pid;
	c->pidfd = TAKE_FD(fds[0]);
	if (!is_init(c))
		return;
	p->alone = r->alone;
	p->limit = r->limit;
	if (r->text[0])
		str_set(&p->cgroup, r->text);
	p->oom_fd = TAKE_FD(fds[1]);
}

static void take_tty(struct proc *c, int fds[2])
{
	struct winsize size = { .ws_row = c->rows, .ws_col = c->cols };

	c->io.in = c->io.out = TAKE_FD(fds[0]);
	c->master = fcntl(c->io.in, F_DUPFD_CLOEXEC, 0);
	if (size.ws_row && size.ws_col)
		ioctl(c->io.in, TIOCSWINSZ, &size);
}

static void take_report(struct proc *c, const struct report *r, int fds[2])
{
	if (r->type == REPORT_PROCESS)
		take_process(c, r, fds);
	if (r->type == REPORT_TTY)
		take_tty(c, fds);
	if (r->type == REPORT_STDIN_ENDED && !c->is_tty && c->io.in >= 0)
		close(TAKE_FD(c->io.in));
	if (r->type == REPORT_LINK)
		strv_add(&c->p->links, r->text);
	if (r->type == REPORT_FAILED && !c->fail_text) {
		c->fail_kind = r->kind;
		c->fail_text = xstrdup(r->text);
	}
	own_fd_release(&fds[0]);
	own_fd_release(&fds[1]);
}

static int reap(pid_t pid, int pidfd)
{
	siginfo_t si = { 0 };
	int r;

	do
		r = waitid(pidfd >= 0 ? P_PIDFD : P_PID, (id_t)(pidfd >= 0 ? pidfd : pid), &si,
			   WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return 255;
	return si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
}

static void start_failed(struct proc *c)
{
	struct payload_event ev = { .io = PAYLOAD_IO_NONE,
				    .err_kind = c->fail_kind,
				    .text = c->fail_text };

	ev.type = is_init(c) ? PAYLOAD_START_FAILED : PAYLOAD_EXEC_FAILED;
	tell(c, ev);
	/* The payload may be gone by now; an exec is still ours. */
}

static pid_t fork_undo(const char *state_dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct err *e = ctr_undo(state_dir);

		_exit(e ? 1 : 0);
	}
	return pid;
}

static void fail_exec(struct proc *c)
{
	if (c->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
		reap(c->pid, c->pidfd);
	}
	start_failed(c);
	exec_free(c);
}

/* Rare, so it may cost a child: the plan says what there is to undo. */
static void fail_init(struct proc *c)
{
	c->stage = STAGE_UNDOING;
	if (c->pidfd >= 0) {
		syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
		reap(c->pid, c->pidfd);
		close(TAKE_FD(c->pidfd));
	}
	c->undoer = fork_undo(c->p->host->state_dir);
	c->pidfd = c->undoer > 0 ? (int)syscall(SYS_pidfd_open, c->undoer, 0) : -1;
	if (c->pidfd < 0) {
		start_failed(c);
		return;
	}
	c->exit_watch = poll_watch_new(c->p->host->poller, c->pidfd, POLLIN, on_undone, c);
}

static void on_undone(void *arg, short revents)
{
	struct proc *c = arg;

	(void)revents;
	reap(c->undoer, c->pidfd);
	poll_watch_free(TAKE(c->exit_watch));
	start_failed(c);
}

/* Is a child that has ended one of those we wait for by name? */
static bool is_known(const struct payload *p, pid_t pid)
{
	if (pid == p->init.pid || pid == p->init.starter || pid == p->init.undoer)
		return true;
	for (const struct proc *c = p->execs; c; c = c->next)
		if (pid == c->pid || pid == c->starter)
			return true;
	return false;
}

/*
 * In a pid namespace the first process inherits orphans.  Without one we do, being the
 * nearest subreaper: collect them, but never a child whose end somebody waits for.
 */
static void sweep(void *arg)
{
	struct payload *p = arg;
	siginfo_t si;

	poll_timer_free(TAKE(p->sweep));
	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || !si.si_pid ||
		    is_known(p, si.si_pid))
			break;
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
	}
	p->sweep = poll_timer_new(p->host->poller, SWEEP_NS, sweep, p);
}

static void started(struct proc *c)
{
	struct payload_event ev = { .io = c->io, .pid = c->pid };

	ev.type = is_init(c) ? PAYLOAD_STARTED : PAYLOAD_EXEC_STARTED;
	c->stage = STAGE_RUNNING;
	c->io = (struct payload_io)PAYLOAD_IO_NONE;
	c->exit_watch = poll_watch_new(c->p->host->poller, c->pidfd, POLLIN, on_exit_of, c);
	if (is_init(c)) {
		watch_oom(c->p);
		if (!c->p->alone)
			c->p->sweep = poll_timer_new(c->p->host->poller, SWEEP_NS, sweep, c->p);
	}
	tell(c, ev);
}

/* All that could have reported has ended or executed the payload. */
static void end_of_reports(struct proc *c)
{
	int code;

	poll_watch_free(TAKE(c->report_watch));
	close(TAKE_FD(c->report));
	code = reap(c->starter, -1);
	if (!c->fail_text && (code || c->pidfd < 0)) {
		c->fail_kind = ERR_INTERNAL;
		c->fail_text = code == 128 + SIGKILL
				   ? xstrdup("killed while it was being started: out of memory?")
				   : xasprintf("starter ended with %d", code);
	}
	if (!c->fail_text)
		started(c);
	else if (is_init(c))
		fail_init(c);
	else
		fail_exec(c);
}

static void on_report(void *arg, short revents)
{
	struct proc *c = arg;
	struct report r;
	int fds[2], n;

	(void)revents;
	while ((n = report_recv(c->report, &r, fds)) > 0)
		take_report(c, &r, fds);
	if (n == 0)
		end_of_reports(c);
}

/* ---- out of memory ---- */

/* Has the kernel killed someone since we looked last? */
static bool note_oom(struct payload *p)
{
	struct payload_event ev = { .type = PAYLOAD_OOM, .io = PAYLOAD_IO_NONE };
	uint64_t kills = p->cgroup ? cgroup_oom_kills(p->cgroup) : 0;

	if (kills <= p->oom_seen)
		return false;
	p->oom_seen = kills;
	p->oom_ns = clock_boot_ns();
	tell(&p->init, ev);
	return true;
}

static void look_again(void *arg)
{
	struct payload *p = arg;

	if (p->oom_again)
		poll_timer_free(TAKE(p->oom_again));
	if (!note_oom(p) && p->oom_tries-- > 0)
		p->oom_again = poll_timer_new(p->host->poller, OOM_AGAIN_NS, look_again, p);
}

static void on_oom(void *arg, short revents)
{
	struct payload *p = arg;
	uint64_t count;

	if (revents & POLLIN)
		(void)!read(p->oom_fd, &count, sizeof(count));
	p->oom_tries = OOM_TRIES;
	look_again(p);
}

static void watch_oom(struct payload *p)
{
	bool v2 = cgroup_is_v2();

	if (p->oom_fd < 0)
		return;
	p->oom_watch = poll_watch_new(p->host->poller, p->oom_fd, v2 ? POLLPRI : POLLIN, on_oom, p);
}

/*
 * Did the kernel kill the first process for memory?  It died by a SIGKILL that we did
 * not send, and the group's last victim is of just now.
 */
static bool died_of_memory(struct payload *p, int code)
{
	note_oom(p);
	return code == 128 + SIGKILL && !p->init.was_killed && p->oom_ns &&
	       clock_boot_ns() - p->oom_ns < OOM_RECENT_NS;
}

static char *oom_text(const struct payload *p, const char *comm)
{
	char size[24];

	if (p->limit <= 0)
		return xasprintf("out of memory: the kernel killed %s, for the host has none left",
				 comm);
	return xasprintf("out of memory: the kernel killed %s (main process) at the limit of %s; "
			 "raise it with --memory",
			 comm, num_bytes_text(p->limit, size));
}

/* ---- the end ---- */

static void exec_ended(struct proc *c)
{
	struct payload_event ev = { .type = PAYLOAD_EXEC_EXITED,
				    .io = PAYLOAD_IO_NONE,
				    .code = reap(c->pid, c->pidfd) };

	struct payload *p = c->p;

	tell(c, ev);
	exec_free(c);
	if (!p->execs && p->execs_limit)
		begin_checkpoint(p);
}

/* Those of a pid namespace die with its first process; others are killed by group. */
static void end_others(struct payload *p)
{
	if (p->cgroup)
		err_free(cgroup_kill(p->cgroup, KILL_MS));
	for (struct proc *c = p->execs, *next; c; c = next) {
		next = c->next;
		if (c->stage == STAGE_RUNNING)
			exec_ended(c);
	}
}

/* Name of a process that ended but is not reaped yet. */
static void read_comm(pid_t pid, char comm[COMM_MAX])
{
	char path[48];
	OWN(fd) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, comm, COMM_MAX - 1);
	comm[n < 0 ? 0 : n] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
}

/* It has ended. */
static void stop_checkpoint(struct payload *p)
{
	struct err *e = NULL;

	if (p->checkpoint && checkpoint_is_busy(p->checkpoint)) {
		checkpoint_abort(p->checkpoint); /* frees it, see on_written() */
	} else if (p->execs_limit) {
		e = err_new(ERR_STATE, "it ended");
		end_checkpoint(p);
		p->checkpoint_done(p->checkpoint_arg, e, NULL);
	}
}

static void init_ended(struct proc *c)
{
	struct payload *p = c->p;
	struct payload_event ev = { .type = PAYLOAD_EXITED, .io = PAYLOAD_IO_NONE };
	char comm[COMM_MAX] = "";
	OWN(mem) char *text = NULL;
	struct err *e;

	read_comm(c->pid, comm);
	ev.code = reap(c->pid, c->pidfd);
	stop_checkpoint(p);
	ev.oom = died_of_memory(p, ev.code);
	if (ev.oom)
		ev.text = text = oom_text(p, comm);
	end_others(p);
	stop_oom(p);
	e = p->cgroup ? cgroup_remove(p->cgroup, REMOVE_MS) : NULL;
	if (e && !ev.text)
		ev.text = text = xstrdup(err_text(e));
	err_free(e);
	for (size_t n = 0; n < p->links.n; n++)
		err_free(net_link_delete(p->links.v[n]));
	tell(c, ev);
}

static void on_exit_of(void *arg, short revents)
{
	struct proc *c = arg;

	(void)revents;
	poll_watch_free(TAKE(c->exit_watch));
	if (is_init(c))
		init_ended(c);
	else
		exec_ended(c);
}

/* ---- requests ---- */

static struct err *ctr_signal(struct payload *p, const char *exec_id, int signum)
{
	struct proc *c = find_proc(p, exec_id);

	if (!c)
		return err_new(ERR_NOT_FOUND, "no exec %s", exec_id);
	if (c->pidfd < 0 || c->stage == STAGE_UNDOING)
		return err_new(ERR_STATE, "not running");
	c->was_killed |= signum == SIGKILL;
	if (syscall(SYS_pidfd_send_signal, c->pidfd, signum, NULL, 0) < 0)
		return err_sys(errno, "send signal %d", signum);
	/* All at once: a v1 freezer lets nobody die, and no other is to run on for a moment. */
	if (is_init(c) && signum == SIGKILL && p->checkpoint && !checkpoint_is_busy(p->checkpoint))
		return cgroup_kill(p->cgroup, 0);
	return NULL;
}

static struct err *ctr_resize(struct payload *p, const char *exec_id, unsigned short rows,
			      unsigned short cols)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };
	struct proc *c = find_proc(p, exec_id);

	if (!c)
		return err_new(ERR_NOT_FOUND, "no exec %s", exec_id);
	c->rows = rows;
	c->cols = cols;
	if (c->master >= 0 && ioctl(c->master, TIOCSWINSZ, &size) < 0)
		return err_sys(errno, "resize the terminal");
	return NULL;
}

static struct err *ctr_freeze(struct payload *p, bool on)
{
	if (!p->cgroup)
		return err_new(ERR_UNSUPPORTED, "no cgroup to freeze");
	if (p->checkpoint) {
		checkpoint_set_frozen(p->checkpoint, on);
		return NULL;
	}
	return cgroup_freeze(p->cgroup, on);
}

static void ctr_unslice(struct payload *p)
{
	if (p->checkpoint)
		checkpoint_set_frozen(p->checkpoint, false);
	else if (p->cgroup)
		err_free(cgroup_freeze_ask(p->cgroup, false));
}

/* ---- checkpoint ---- */

static void on_written(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;
	OWN(mem) char *kept = text ? xstrdup(text) : NULL;

	if (e)
		end_checkpoint(p);
	p->checkpoint_done(p->checkpoint_arg, e, kept);
}

static void fail_checkpoint(struct payload *p, struct err *e)
{
	end_checkpoint(p);
	p->checkpoint_done(p->checkpoint_arg, e, NULL);
}

/* Its sessions are not of its first process' making: nobody could speak to them afterwards. */
static void execs_remain(void *arg)
{
	struct payload *p = arg;
	const struct proc *c = p->execs;
	char comm[COMM_MAX] = "";

	read_comm(c->pid, comm);
	fail_checkpoint(p, err_new(ERR_STATE, "exec %.12s (%s) runs in it: end it first",
				   c->exec_id, comm[0] ? comm : "starting"));
}

static void begin_checkpoint(void *arg)
{
	struct payload *p = arg;
	struct checkpoint_config c = {
		.poller = p->host->poller,
		.cgroup = p->cgroup,
		.dump = { .state_dir = p->host->state_dir,
			  .dir_fd = p->checkpoint_fd,
			  .pid = p->init.pid,
			  .is_tty = p->init.is_tty },
		.done = on_written,
		.arg = p,
	};
	struct err *e;

	poll_timer_free(TAKE(p->execs_limit));
	memcpy(c.dump.pipes, p->init.pipes, sizeof(c.dump.pipes));
	e = checkpoint_begin(&c, &p->checkpoint);
	if (e)
		fail_checkpoint(p, e);
}

static struct err *ctr_checkpoint(struct payload *p, int dir_fd,
				  void (*done)(void *arg, struct err *e, const char *text),
				  void *arg)
{
	if (!p->alone || !p->cgroup)
		return err_new(ERR_UNSUPPORTED, "%s",
			       p->alone ? "it has no cgroup to be frozen by"
					: "it has no process numbers of its own (--pid)");
	if (p->checkpoint || p->execs_limit)
		return err_new(ERR_STATE, "its state is being written already");
	p->checkpoint_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (p->checkpoint_fd < 0)
		return err_sys(errno, "keep the checkpoint's folder");
	p->checkpoint_done = done;
	p->checkpoint_arg = arg;
	p->execs_limit = p->execs ? poll_timer_new(p->host->poller, EXECS_NS, execs_remain, p)
				  : poll_timer_new(p->host->poller, 0, begin_checkpoint, p);
	return NULL;
}

static struct err *ctr_resume(struct payload *p)
{
	OWN(err) struct err *e = NULL;

	if (!p->checkpoint || checkpoint_is_busy(p->checkpoint))
		return err_new(ERR_STATE, "it does not stand still");
	e = checkpoint_release(p->checkpoint);
	end_checkpoint(p);
	return TAKE(e);
}

const struct payload_ops ctr_payload_ops = {
	.name = "container",
	.start = ctr_start,
	.exec = ctr_exec,
	.signal = ctr_signal,
	.resize = ctr_resize,
	.freeze = ctr_freeze,
	.checkpoint = ctr_checkpoint,
	.resume = ctr_resume,
	.unslice = ctr_unslice,
	.free = payload_free,
	.undo = ctr_undo,
};
