/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own price of a container: cgroups, clone3 with all namespaces, overlay, the
 * usual mounts, pivot_root, exec, wait, cleanup; nothing else.  No engine can be faster.
 *
 *	floor LOWER WORKDIR CGROUP_PARENT ROUNDS PROGRAM
 *
 * Prints the nanoseconds of each round, a line each.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const controllers[] = { "cpu",     "cpuacct", "cpuset", "memory",
					   "devices", "freezer", "blkio",  "pids" };
#define N_CONTROLLERS (sizeof(controllers) / sizeof(controllers[0]))

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void must(int r, const char *what)
{
	if (r < 0)
		err(1, "%s", what);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd, path);
	must((int)write(fd, text, strlen(text)), path);
	close(fd);
}

static void copy_file(const char *from, const char *to)
{
	char buf[256] = "";
	int fd = open(from, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	must(fd, from);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n > 0)
		write_file(to, buf);
}

static void make_cgroups(const char *parent, pid_t pid)
{
	char dir[256], path[320], up[320], text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < N_CONTROLLERS; i++) {
		snprintf(dir, sizeof(dir), "/sys/fs/cgroup/%s%s/f", controllers[i], parent);
		must(mkdir(dir, 0755), dir);
		if (!strcmp(controllers[i], "cpuset"))
			for (int k = 0; k < 2; k++) {
				snprintf(up, sizeof(up), "/sys/fs/cgroup/cpuset%s/cpuset.%s",
					 parent, k ? "mems" : "cpus");
				snprintf(path, sizeof(path), "%s/cpuset.%s", dir,
					 k ? "mems" : "cpus");
				copy_file(up, path);
			}
		snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
		write_file(path, text);
	}
}

static void remove_cgroups(const char *parent)
{
	char dir[256];

	for (size_t i = 0; i < N_CONTROLLERS; i++) {
		snprintf(dir, sizeof(dir), "/sys/fs/cgroup/%s%s/f", controllers[i], parent);
		while (rmdir(dir) < 0 && errno == EBUSY)
			usleep(100);
	}
}

static void child(const char *lower, const char *work, const char *program, int go)
{
	static const struct {
		const char *type, *dir, *data;
	} mounts[] = {
		{ "proc", "proc", NULL },
		{ "tmpfs", "dev", "mode=755,size=64k" },
		{ "devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620" },
		{ "tmpfs", "dev/shm", "mode=1777,size=65536k" },
		{ "mqueue", "dev/mqueue", NULL },
		{ "sysfs", "sys", NULL },
	};
	char opts[1024], c;
	char *argv[] = { strdup(program), NULL };

	must((int)read(go, &c, 1), "wait for parent");
	must(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	snprintf(opts, sizeof(opts), "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, work,
		 work);
	must(mount("overlay", work, "overlay", 0, opts), "overlay");
	must(chdir(work), work);
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].dir, 0755);
		must(mount(mounts[i].type, mounts[i].dir, mounts[i].type, MS_NOSUID | MS_NOEXEC,
			   mounts[i].data),
		     mounts[i].dir);
	}
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "detach");
	must(chdir("/"), "/");
	execv(program, argv);
	err(1, "exec %s", program);
}

static void one(const char *lower, const char *work, const char *parent, const char *program)
{
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
					    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
				   .exit_signal = SIGCHLD };
	char path[512];
	int go[2], status = 0;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/upper", work);
	must(mkdir(path, 0755), path);
	snprintf(path, sizeof(path), "%s/work", work);
	must(mkdir(path, 0755), path);
	must(pipe2(go, O_CLOEXEC), "pipe");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	must(pid, "clone3");
	if (pid == 0)
		child(lower, work, program, go[0]);
	make_cgroups(parent, pid);
	must((int)write(go[1], "x", 1), "go");
	must(waitpid(pid, &status, 0), "wait");
	if (status)
		errx(1, "the program ended with %x", (unsigned)status);
	close(go[0]);
	close(go[1]);
	remove_cgroups(parent);
}

int main(int argc, char **argv)
{
	int rounds;

	if (argc != 6)
		errx(2, "usage: floor LOWER WORKDIR CGROUP_PARENT ROUNDS PROGRAM");
	rounds = atoi(argv[4]);
	for (int i = 0; i < rounds; i++) {
		char work[256], clean[600];
		int64_t begin;

		snprintf(work, sizeof(work), "%s/%d", argv[2], i);
		must(mkdir(work, 0755), work);
		begin = now_ns();
		one(argv[1], work, argv[3], argv[5]);
		printf("%lld\n", (long long)(now_ns() - begin));
		snprintf(clean, sizeof(clean), "rm -rf %s", work);
		if (system(clean))
			errx(1, "%s", clean);
	}
	return 0;
}
