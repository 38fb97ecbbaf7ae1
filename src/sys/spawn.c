/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define STACK_BYTES (64 * 1024)
#define OUT_MAX     (64 * 1024)

struct child_args {
	const struct spawn *s;
	char *const *envp;
	sigset_t old_mask;
	volatile int errnum; /* the child shares our memory: written before it dies */
};

static void default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL);
}

/* The program's own file goes behind the others, and is closed by exec. */
static int place_program(int fd, size_t n)
{
	return !fd || dup3(fd, (int)n, O_CLOEXEC) >= 0 ? 0 : -1;
}

/* Put fds[i] on i.  Sources are first moved above all targets so that none is overwritten. */
static int place_fds(const int *fds, size_t n, int program_fd)
{
	int high[SPAWN_FDS_MAX];

	if (program_fd)
		program_fd = fcntl(program_fd, F_DUPFD_CLOEXEC, SPAWN_FDS_MAX + 1);
	if (program_fd < 0)
		return -1;

	for (size_t i = 0; i < n; i++) {
		high[i] = fds[i] < 0 && i > 2 ? -1
			  : fds[i] < 0        ? open("/dev/null", O_RDWR | O_CLOEXEC)
					      : fds[i];
		if (high[i] < 0 && (fds[i] >= 0 || i <= 2))
			return -1;
		if (high[i] >= 0) {
			high[i] = fcntl(high[i], F_DUPFD_CLOEXEC, SPAWN_FDS_MAX + 1);
			if (high[i] < 0)
				return -1;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (high[i] < 0)
			close((int)i);
		else if (dup2(high[i], (int)i) < 0)
			return -1;
	}
	if (place_program(program_fd, n) < 0)
		return -1;
	return (int)syscall(SYS_close_range, n + (program_fd ? 1 : 0), ~0U, 0);
}

static int child_main(void *arg)
{
	struct child_args *a = arg;
	const struct spawn *s = a->s;

	default_signals();
	if (s->new_session)
		setsid();
	if (s->keep_parent_signal)
		prctl(PR_SET_PDEATHSIG, s->keep_parent_signal);
	if (place_fds(s->fds, s->n_fds, s->program_fd) < 0) {
		a->errnum = errno;
		_exit(127);
	}
	sigemptyset(&a->old_mask);
	sigprocmask(SIG_SETMASK, &a->old_mask, NULL);
	if (s->program_fd)
		execveat((int)s->n_fds, "", s->argv, a->envp, AT_EMPTY_PATH);
	else
		execve(s->path, s->argv, a->envp);
	a->errnum = errno;
	_exit(127);
}

struct err *spawn_program(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
	static const char *const minimal[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL
	};
	struct child_args args = { .s = s,
				   .envp = s->envp ? s->envp : (char *const *)(uintptr_t)minimal };
	OWN(mem) char *stack = xcalloc(STACK_BYTES, 1);
	int pidfd = -1;
	sigset_t all;
	pid_t pid;

	if (s->n_fds < 3 || s->n_fds > SPAWN_FDS_MAX)
		return err_new(ERR_INTERNAL, "spawn %s with %zu descriptors", s->path, s->n_fds);
	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &args.old_mask);
	sigset_t restore = args.old_mask;

	pid = clone(child_main, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
		    &args, &pidfd);
	int clone_errno = errno;

	sigprocmask(SIG_SETMASK, &restore, NULL);
	if (pid < 0)
		return err_sys(clone_errno, "start %s", s->path);
	if (args.errnum) {
		waitpid(pid, NULL, 0);
		close(pidfd);
		return err_sys(args.errnum, "start %s", s->path);
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return NULL;
}

struct err *spawn_reap(int pidfd, int *ret_code)
{
	siginfo_t si = { 0 };
	int r;

	do
		r = waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(errno, "wait for child");
	*ret_code = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
	return NULL;
}

static void collect(int fd, struct str *out)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && out->len < OUT_MAX)
			str_add(out, buf, (size_t)n);
}

/* The last line that is not empty, in place. */
static const char *last_line(struct str *out)
{
	const char *nl;

	while (out->len && strchr("\r\n ", out->buf[out->len - 1]))
		out->buf[--out->len] = '\0';
	nl = out->buf ? strrchr(out->buf, '\n') : NULL;
	return nl ? nl + 1 : out->buf ? out->buf : "no output";
}

struct err *spawn_run(const struct spawn *s, char **ret_out)
{
	int fds[SPAWN_FDS_MAX];
	struct spawn own = *s;
	OWN(fd) int pidfd = -1;
	OWN(fd) int out_read = -1;
	OWN(str) struct str out = { 0 };
	int pipe_fds[2], code = 0;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	out_read = pipe_fds[0];
	memcpy(fds, s->fds, s->n_fds * sizeof(int));
	fds[1] = fds[2] = pipe_fds[1];
	own.fds = fds;

	struct err *e = spawn_program(&own, &pid, &pidfd);

	close(pipe_fds[1]);
	TRY(e);
	collect(out_read, &out);
	TRY(spawn_reap(pidfd, &code));
	if (code)
		return err_new(ERR_INTERNAL, "%s exited with %d: %s", s->argv[0], code,
			       last_line(&out));
	if (ret_out)
		*ret_out = str_take(&out);
	return NULL;
}
