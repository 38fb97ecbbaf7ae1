/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/ask.h"
#include "guest/root.h"
#include "util/fd.h"

#define UPPER GUEST_DISK "/upper"
#define WORK  GUEST_DISK "/work"
#define ROOT  "/run/files"

/* ---- a root that nobody else has put together ---- */

static struct err *make_folder(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? err_sys(errno, "mkdir %s", path) : NULL;
}

static struct err *mount_root(bool with_upper)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(errno, "mounts of my own");
	TRY(make_folder(ROOT));
	if (with_upper) {
		TRY(make_folder(UPPER));
		TRY(make_folder(WORK));
	}
	if (access(UPPER, F_OK) < 0) {
		if (mount(GUEST_IMAGE, ROOT, NULL, MS_BIND, NULL) < 0)
			return err_sys(errno, "bind the image");
		return NULL;
	}
	if (mount("overlay", ROOT, "overlay", 0,
		  "lowerdir=" GUEST_IMAGE ",upperdir=" UPPER ",workdir=" WORK) < 0)
		return err_sys(errno, "mount root file system");
	return NULL;
}

static struct err *enter(void *arg, bool with_upper, bool without_mounts)
{
	pid_t payload = *(const pid_t *)arg;

	if (payload)
		return files_enter_process(payload, without_mounts);
	TRY(mount_root(with_upper));
	if (chroot(ROOT) < 0 || chdir("/") < 0)
		return err_sys(errno, "chroot");
	return NULL;
}

static struct err *layers(void *arg, int *ret_lower, int *ret_upper)
{
	*ret_lower = open(GUEST_IMAGE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_lower < 0)
		return err_new(ERR_UNSUPPORTED,
			       "a VM without an image has nothing to compare with");
	*ret_upper = open(UPPER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_upper < 0 && errno != ENOENT)
		return err_sys(errno, UPPER);
	return NULL;
}

/* What was put is on the disk when that is told: the VM may be ended by force then. */
static void settle(void *arg)
{
	OWN(fd) int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!*(const pid_t *)arg && fd >= 0)
		(void)syncfs(fd);
}

/* ---- the child ---- */

enum { CHILD_IN, CHILD_OUT, CHILD_ERR, CHILD_FDS };

/* Nobody may wait for the end of a pipe of which a child of another request has a copy. */
static void keep_only(int pipes[3][2])
{
	(void)dup2(pipes[0][0], CHILD_IN);
	(void)dup2(pipes[1][1], CHILD_OUT);
	(void)dup2(pipes[2][1], CHILD_ERR);
	(void)syscall(SYS_close_range, CHILD_FDS, ~0u, 0);
}

static _Noreturn void child(pid_t payload)
{
	const struct files_server s = { .in = CHILD_IN,
					.out = CHILD_OUT,
					.enter = enter,
					.layers = layers,
					.settle = settle,
					.arg = &payload };
	struct rlimit l;

	/* Trees are walked with one descriptor a level. */
	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
	files_serve(&s);
	_exit(0);
}

static void close_pipes(int pipes[3][2])
{
	for (size_t i = 0; i < 3; i++) {
		own_fd_release(&pipes[i][0]);
		own_fd_release(&pipes[i][1]);
	}
}

static struct err *open_pipes(int pipes[3][2])
{
	for (size_t i = 0; i < 3; i++)
		if (pipe2(pipes[i], O_CLOEXEC) < 0)
			return err_sys(errno, "pipe"); /* above 2: pid 1 has its console there */
	return NULL;
}

static struct err *start(pid_t payload, int pipes[3][2], pid_t *ret_pid, int *ret_pidfd)
{
	TRY(open_pipes(pipes));
	*ret_pid = fork();
	if (*ret_pid < 0)
		return err_sys(errno, "fork");
	if (!*ret_pid) {
		keep_only(pipes);
		child(payload);
	}
	*ret_pidfd = (int)syscall(SYS_pidfd_open, *ret_pid, 0);
	if (*ret_pidfd < 0) {
		(void)kill(*ret_pid, SIGKILL);
		return err_sys(errno, "pidfd");
	}
	return NULL;
}

struct err *guest_files_start(pid_t payload, struct payload_io *ret_io, pid_t *ret_pid,
			      int *ret_pidfd)
{
	int pipes[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct err *e = start(payload, pipes, ret_pid, ret_pidfd);

	if (!e) {
		ret_io->in = TAKE_FD(pipes[0][1]);
		ret_io->out = TAKE_FD(pipes[1][0]);
		ret_io->err = TAKE_FD(pipes[2][0]);
	}
	close_pipes(pipes);
	return e;
}
