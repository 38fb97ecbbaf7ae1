/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/testing/exec_payload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json/json.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"

/* A running program: the payload, or an exec. */
struct prog {
	struct payload *payload;
	struct prog *next;
	char *exec_id; /* NULL: the payload */
	pid_t pid;
	int pidfd;
	int master;    /* of the pty, -1: none; a copy */
	int status_fd; /* errno of a failed exec, or end of file */
	struct payload_io io;
	struct poll_watch *started, *ended;
};

struct payload {
	const struct payload_host *host;
	struct prog *progs;
	struct poll_timer *writing; /* of its state; NULL: no */
	void (*done)(void *arg, struct err *e, const char *text);
	void *done_arg;
};

static void tell(struct prog *g, struct payload_event ev)
{
	ev.exec_id = g->exec_id;
	g->payload->host->event(g->payload->host->arg, &ev);
}

static void prog_free(struct prog *g)
{
	for (struct prog **at = &g->payload->progs; *at; at = &(*at)->next) {
		if (*at == g) {
			*at = g->next;
			break;
		}
	}
	poll_watch_free(g->started);
	poll_watch_free(g->ended);
	own_fd_release(&g->pidfd);
	own_fd_release(&g->master);
	own_fd_release(&g->status_fd);
	free(g->exec_id);
	free(g);
}

static void on_ended(void *arg, short revents)
{
	struct prog *g = arg;
	int code = 0;

	(void)revents;
	err_free(spawn_reap(g->pidfd, &code));
	tell(g, (struct payload_event) { .type = g->exec_id ? PAYLOAD_EXEC_EXITED : PAYLOAD_EXITED,
					 .code = code });
	prog_free(g);
}

static void on_started(void *arg, short revents)
{
	struct prog *g = arg;
	int errnum = 0;
	ssize_t n = read(g->status_fd, &errnum, sizeof(errnum));

	(void)revents;
	poll_watch_free(TAKE(g->started));
	if (n > 0) {
		OWN(err) struct err *e = err_sys(errnum, "exec");
		int code;

		err_free(spawn_reap(g->pidfd, &code));
		close(g->io.in);
		if (g->io.out != g->io.in)
			close(g->io.out);
		own_fd_release(&g->io.err);
		tell(g, (struct payload_event) { .type = g->exec_id ? PAYLOAD_EXEC_FAILED
								    : PAYLOAD_START_FAILED,
						 .err_kind = (int)err_kind(e),
						 .text = err_text(e) });
		prog_free(g);
		return;
	}
	g->ended = poll_watch_new(g->payload->host->poller, g->pidfd, POLLIN, on_ended, g);
	tell(g,
	     (struct payload_event) { .type = g->exec_id ? PAYLOAD_EXEC_STARTED : PAYLOAD_STARTED,
				      .io = g->io,
				      .pid = g->pid });
}

/* In the child: becomes the program. */
static void become(const json_t *process, const int fds[3], bool is_tty, int status_fd,
		   const char *restored)
{
	struct strv args = { 0 };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (restored)
		setenv("RESTORED", restored, 1);
	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	if (is_tty)
		ioctl(0, TIOCSCTTY, 0);
	jx_strv(process, "args", &args);
	if (args.n)
		execvp(args.v[0], args.v);
	(void)!write(status_fd, &(int) { args.n ? errno : EINVAL }, sizeof(int));
	_exit(127);
}

static struct err *make_pipes(struct payload_io *io, int inner[3])
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	inner[0] = p[0];
	io->in = p[1];
	for (int i = 1; i < 3; i++) {
		if (pipe2(p, O_CLOEXEC) < 0)
			return err_sys(errno, "pipe");
		*(i == 1 ? &io->out : &io->err) = p[0];
		inner[i] = p[1];
	}
	return NULL;
}

static struct err *make_pty(const struct payload_host *host, struct payload_io *io, int inner[3])
{
	struct winsize ws = { .ws_row = host->rows, .ws_col = host->cols };
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, &ws) < 0)
		return err_sys(errno, "pty");
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	io->in = io->out = master;
	io->err = -1;
	for (int i = 0; i < 3; i++)
		inner[i] = slave;
	return NULL;
}

static struct err *begin(struct payload *p, const char *exec_id, const json_t *process, bool is_tty)
{
	struct prog *g = xnew(struct prog);
	int inner[3], status[2];

	g->payload = p;
	g->exec_id = xstrdup(exec_id);
	g->master = -1;
	TRY(is_tty ? make_pty(p->host, &g->io, inner) : make_pipes(&g->io, inner));
	if (pipe2(status, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	g->pid = fork();
	if (g->pid == 0)
		become(process, inner, is_tty, status[1], p->host->restore_dir);
	close(status[1]);
	for (int i = 0; i < (is_tty ? 1 : 3); i++)
		close(inner[i]);
	g->status_fd = status[0];
	g->pidfd = (int)syscall(SYS_pidfd_open, g->pid, 0);
	if (is_tty)
		g->master = fcntl(g->io.in, F_DUPFD_CLOEXEC, 0);
	g->next = p->progs;
	p->progs = g;
	g->started = poll_watch_new(p->host->poller, g->status_fd, POLLIN, on_started, g);
	return NULL;
}

static struct err *exec_start(const struct payload_host *host, struct payload **ret)
{
	OWN(mem) char *path = xasprintf("%s/plan.json", host->state_dir);
	OWN(json) json_t *plan = NULL;
	const json_t *process;
	struct payload *p;

	TRY(jx_load(AT_FDCWD, path, &plan));
	process = json_object_get(plan, "exec");
	if (!process)
		process = json_object_get(json_object_get(json_object_get(plan, "guest"), "oci"),
					  "process");
	if (jx_str(process, "fail", NULL))
		return err_new(ERR_LIMIT, "%s", jx_str(process, "fail", ""));
	p = xnew(struct payload);
	p->host = host;
	*ret = p;
	return begin(p, NULL, process, host->is_tty);
}

static struct err *exec_exec(struct payload *p, const char *exec_id, int process_fd, bool is_tty,
			     bool has_stdin)
{
	OWN(mem) char *path = xasprintf("/proc/self/fd/%d", process_fd);
	OWN(json) json_t *process = NULL;

	(void)has_stdin;
	TRY(jx_load(AT_FDCWD, path, &process));
	return begin(p, exec_id, process, is_tty);
}

static struct err *find(struct payload *p, const char *exec_id, struct prog **ret)
{
	for (struct prog *g = p->progs; g; g = g->next) {
		if (streq(g->exec_id, exec_id)) {
			*ret = g;
			return NULL;
		}
	}
	return err_new(ERR_NOT_FOUND, "no such process");
}

static struct err *exec_signal(struct payload *p, const char *exec_id, int signum)
{
	struct prog *g;

	TRY(find(p, exec_id, &g));
	return kill(g->pid, signum) < 0 ? err_sys(errno, "kill") : NULL;
}

static struct err *exec_resize(struct payload *p, const char *exec_id, unsigned short rows,
			       unsigned short cols)
{
	struct winsize ws = { .ws_row = rows, .ws_col = cols };
	struct prog *g;

	TRY(find(p, exec_id, &g));
	return ioctl(g->master, TIOCSWINSZ, &ws) < 0 ? err_sys(errno, "resize") : NULL;
}

static struct err *exec_freeze(struct payload *p, bool on)
{
	return exec_signal(p, NULL, on ? SIGSTOP : SIGCONT);
}

static struct err *exec_query(struct payload *p, const char *question,
			      void (*answer)(void *arg, struct err *e, const char *text), void *arg)
{
	(void)p;
	if (streq(question, "fail"))
		answer(arg, err_new(ERR_NOT_FOUND, "no answer"), NULL);
	else
		answer(arg, NULL, question);
	return NULL;
}

static void on_written(void *arg)
{
	struct payload *p = arg;

	poll_timer_free(TAKE(p->writing));
	p->done(p->done_arg, NULL, "{\"bytes\":5}");
}

/* Its state is a file that says so; one that is there already stands for what cannot be written. */
static struct err *exec_checkpoint(struct payload *p, int dir_fd,
				   void (*done)(void *arg, struct err *e, const char *text),
				   void *arg)
{
	if (faccessat(dir_fd, "state", F_OK, 0) == 0)
		return err_new(ERR_UNSUPPORTED, "the device /dev/x is open");
	TRY(fd_write_file(dir_fd, "state", "state", 5, 0600));
	TRY(exec_freeze(p, true));
	p->done = done;
	p->done_arg = arg;
	p->writing = poll_timer_new(p->host->poller, 1, on_written, p);
	return NULL;
}

static struct err *exec_resume(struct payload *p)
{
	return exec_freeze(p, false);
}

static void exec_free(struct payload *p)
{
	if (!p)
		return;
	while (p->progs)
		prog_free(p->progs);
	poll_timer_free(p->writing);
	free(p);
}

static struct err *exec_undo(const char *state_dir)
{
	OWN(mem) char *path = xasprintf("%s/undone", state_dir);

	return fd_write_file(AT_FDCWD, path, "", 0, 0600);
}

const struct payload_ops exec_payload_ops = { .name = "exec",
					      .start = exec_start,
					      .exec = exec_exec,
					      .signal = exec_signal,
					      .resize = exec_resize,
					      .freeze = exec_freeze,
					      .query = exec_query,
					      .checkpoint = exec_checkpoint,
					      .resume = exec_resume,
					      .free = exec_free,
					      .undo = exec_undo };
