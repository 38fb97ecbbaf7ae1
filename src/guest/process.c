/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "guest/root.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

/* First of a pair is ours, second the process's. */
struct stdio {
	int in[2], out[2], err[2], report[2];
	int master, slave;
};

static void close_pair(int pair[2])
{
	own_fd_release(&pair[0]);
	own_fd_release(&pair[1]);
}

static void own_stdio_release(struct stdio *s)
{
	close_pair(s->in);
	close_pair(s->out);
	close_pair(s->err);
	close_pair(s->report);
	own_fd_release(&s->master);
	own_fd_release(&s->slave);
}

/* @reader: 0 when we read, 1 when the process does. */
static struct err *make_pipe(int pair[2], int reader)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	pair[reader] = p[0];
	pair[!reader] = p[1];
	return NULL;
}

static struct err *open_pty(struct stdio *s, const struct guest_process *p)
{
	struct winsize size = { .ws_row = p->rows, .ws_col = p->cols };
	int unlock = 0;

	s->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->master < 0 || ioctl(s->master, TIOCSPTLCK, &unlock) < 0)
		return err_sys(errno, "open a pty");
	s->slave = ioctl(s->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->slave < 0)
		return err_sys(errno, "open a pty");
	(void)ioctl(s->master, TIOCSWINSZ, &size);
	return NULL;
}

static struct err *open_stdio(struct stdio *s, const struct guest_process *p)
{
	int null;

	TRY(make_pipe(s->report, 0));
	if (p->is_tty)
		return open_pty(s, p);
	TRY(make_pipe(s->out, 0));
	TRY(make_pipe(s->err, 0));
	if (p->has_stdin)
		return make_pipe(s->in, 1);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->in[1] = null;
	return null < 0 ? err_sys(errno, "open /dev/null") : NULL;
}

/* ---- in the child ---- */

static void fail(int report, const char *text)
{
	(void)!write(report, text, strlen(text));
	_exit(127);
}

static void use_stdio(const struct stdio *s, bool is_tty)
{
	int in = is_tty ? s->slave : s->in[1];
	int out = is_tty ? s->slave : s->out[1];
	int err = is_tty ? s->slave : s->err[1];

	setsid();
	if (is_tty)
		(void)ioctl(s->slave, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
}

static struct err *enter_root(const struct guest_process *p)
{
	if (p->in_guest)
		return NULL;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", GUEST_ROOT "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
	    mount("/sys", GUEST_ROOT "/sys", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount("/dev", GUEST_ROOT "/dev", NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    chroot(GUEST_ROOT) < 0 || chdir("/") < 0)
		return err_sys(errno, "enter the root");
	return NULL;
}

static void child(const struct guest_process *p, const struct stdio *s)
{
	struct strv argv = { 0 }, envp = { 0 };
	const char *cwd = jx_str(p->process, "cwd", "/");
	struct err *e = p->join ? NULL : enter_root(p);
	sigset_t none;

	if (e)
		fail(s->report[1], err_text(e));
	use_stdio(s, p->is_tty);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	jx_strv(p->process, "args", &argv);
	jx_strv(p->process, "env", &envp);
	if (chdir(cwd) < 0)
		fail(s->report[1], "chdir");
	environ = envp.v;
	if (argv.n)
		execvp(argv.v[0], argv.v);
	e = err_new(ERR_NOT_FOUND, "exec: \"%s\": %s", argv.n ? argv.v[0] : "",
		    errno == ENOENT && !strchr(argv.n ? argv.v[0] : "/", '/')
			? "executable file not found in $PATH"
		    : errno == ENOENT ? "no such file or directory"
				      : "permission denied");
	fail(s->report[1], err_text(e));
}

/* ---- in pid 1 ---- */

static struct err *join(pid_t pid)
{
	OWN(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 || setns(fd, CLONE_NEWPID | CLONE_NEWNS) < 0)
		return err_sys(errno, "join the payload");
	return NULL;
}

/* An exec's process is a grandchild: the one between joins the namespaces, with CLONE_PARENT. */
static pid_t spawn(const struct guest_process *p, const struct stdio *s)
{
	unsigned long flags = SIGCHLD | (p->in_guest ? 0 : CLONE_NEWPID | CLONE_NEWNS);
	pid_t pid;

	if (!p->join) {
		pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
		if (!pid)
			child(p, s);
		return pid;
	}
	pid = fork();
	if (!pid) {
		struct err *e = join(p->join);

		if (e)
			fail(s->report[1], err_text(e));
		pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		if (!pid)
			child(p, s);
		dprintf(s->report[1], "%c%d ", 0, pid);
		_exit(0);
	}
	return pid;
}

/* What came on the report pipe: "\0PID " of a grandchild first, an error's text, or nothing. */
static struct err *read_report(int fd, pid_t *pid)
{
	char buf[512];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(buf) - 1 && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	if (len && !buf[0]) {
		char *end;

		(void)waitpid(*pid, NULL, 0);
		*pid = (pid_t)strtol(buf + 1, &end, 10);
		memmove(buf, end + 1, strlen(end + 1) + 1);
	}
	if (buf[0])
		return err_new(ERR_NOT_FOUND, "%s", buf);
	return NULL;
}

struct err *guest_process_start(const struct guest_process *p, struct guest_started *ret)
{
	OWN(stdio) struct stdio s = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1, -1 };
	struct err *e;
	pid_t pid;

	TRY(open_stdio(&s, p));
	pid = spawn(p, &s);
	if (pid < 0)
		return err_sys(errno, "start a process");
	own_fd_release(&s.report[1]);
	e = read_report(s.report[0], &pid);
	if (e) {
		(void)waitpid(pid, NULL, 0);
		return e;
	}
	*ret = (struct guest_started) { .pid = pid, .in = -1, .out = -1, .err = -1 };
	if (p->is_tty) {
		ret->in = fcntl(s.master, F_DUPFD_CLOEXEC, 3);
		ret->out = TAKE_FD(s.master);
		return NULL;
	}
	ret->in = p->has_stdin ? TAKE_FD(s.in[0]) : -1;
	ret->out = TAKE_FD(s.out[0]);
	ret->err = TAKE_FD(s.err[0]);
	return NULL;
}
