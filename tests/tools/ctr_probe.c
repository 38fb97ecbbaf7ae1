/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static program that tests run inside instances: one verb per question, the answer
 * on one line.
 *
 *	try CALL [ARG]    result of a system call: "ok" or the name of its errno
 *	id                "uid gid groups…"
 *	hog MIB [PATH]    touch memory, then say "survived"
 *	forks N           how many children could be alive at once
 *	fill PATH MIB     write to a file until it fails: "MiB written, errno"
 *	read PATH [N]     N bytes of a file, directly from its disk when it is a device
 *	tty               "rows cols ttyname"
 *	exit N | kill N   end so
 *	trap              print the names of signals that come, end with TERM
 *	fds               open descriptors
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/defs.h"

static long number(const char *s)
{
	return s ? strtol(s, NULL, 0) : 0;
}

static long do_open(const char *a)
{
	return open(a, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

static long do_write(const char *a)
{
	return open(a, O_WRONLY | O_NONBLOCK | O_NOCTTY);
}

static long do_mknod(const char *a)
{
	int major, minor;
	char type;

	if (sscanf(a, "%c:%d:%d", &type, &major, &minor) != 3)
		return -1;
	unlink("/tmp/node");
	if (mknod("/tmp/node", (type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(major, minor)) < 0)
		return -1;
	return open("/tmp/node", O_RDONLY | O_NONBLOCK);
}

static long do_socket(const char *a)
{
	return socket((int)number(a), SOCK_STREAM, 0);
}

static long do_raw(const char *a)
{
	(void)a;
	return socket(AF_INET, SOCK_RAW, 1);
}

static long do_unshare(const char *a)
{
	return unshare((int)number(a));
}

static long do_mount(const char *a)
{
	return mount("none", a ? a : "/tmp", "tmpfs", 0, NULL);
}

static long do_personality(const char *a)
{
	return personality((unsigned long)number(a));
}

static long do_syscall(const char *a)
{
	return syscall(number(a), 0, 0, 0, 0, 0, 0);
}

static long do_chown(const char *a)
{
	return chown(a, 1, 1);
}

static long do_sethostname(const char *a)
{
	return sethostname(a, strlen(a));
}

static long do_settime(const char *a)
{
	struct timespec ts = { .tv_sec = -1 };

	(void)a;
	return clock_settime(CLOCK_REALTIME, &ts);
}

static const struct {
	const char *name;
	long (*fn)(const char *arg);
} calls[] = {
	{ "open", do_open },
	{ "write", do_write },
	{ "mknod", do_mknod },
	{ "socket", do_socket },
	{ "raw", do_raw },
	{ "unshare", do_unshare },
	{ "mount", do_mount },
	{ "personality", do_personality },
	{ "syscall", do_syscall },
	{ "chown", do_chown },
	{ "hostname", do_sethostname },
	{ "settime", do_settime },
};

static int verb_try(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (argc > 2 && !strcmp(calls[i].name, argv[2]))
			puts(calls[i].fn(argc > 3 ? argv[3] : NULL) >= 0 ? "ok"
									 : strerrorname_np(errno));
	return 0;
}

static int verb_id(int argc, char **argv)
{
	gid_t groups[64];
	int n = getgroups(64, groups);

	(void)argc;
	(void)argv;
	printf("%u %u", getuid(), getgid());
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	puts("");
	return 0;
}

static int verb_hog(int argc, char **argv)
{
	size_t bytes = (size_t)number(argc > 2 ? argv[2] : "1") << 20;
	char *p = malloc(bytes);

	if (!p)
		return 3;
	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = (char)(i >> 12 | 1);
	printf("survived %d\n", p[bytes / 2]);
	return 0;
}

static int verb_forks(int argc, char **argv)
{
	long n = number(argc > 2 ? argv[2] : "10"), made = 0;

	while (made < n) {
		pid_t pid = fork();

		if (pid == 0) {
			pause();
			_exit(0);
		}
		if (pid < 0)
			break;
		made++;
	}
	printf("%ld %s\n", made, made < n ? strerrorname_np(errno) : "ok");
	return 0;
}

static int verb_fill(int argc, char **argv)
{
	static char block[1 << 20];
	int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	long mib = number(argc > 3 ? argv[3] : "1"), done = 0;
	ssize_t n = 0;

	memset(block, 'x', sizeof(block));
	while (done < mib && (n = write(fd, block, sizeof(block))) == (ssize_t)sizeof(block))
		done++;
	if (n > 0 && fsync(fd) < 0)
		n = -1;
	printf("%ld %s\n", done,
	       done < mib || n < 0 ? strerrorname_np(errno ? errno : ENOSPC) : "ok");
	return 0;
}

static int verb_read(int argc, char **argv)
{
	void *buf = NULL;
	long left = number(argc > 3 ? argv[3] : "4096"), total = 0;
	int fd = open(argv[2], O_RDONLY | O_DIRECT);

	if (fd < 0 || posix_memalign(&buf, 4096, 1 << 16)) {
		puts(strerrorname_np(errno));
		return 1;
	}
	while (left > 0) {
		ssize_t n = read(fd, buf, left > 1 << 16 ? 1 << 16 : (size_t)left);

		if (n <= 0)
			break;
		left -= n;
		total += n;
	}
	printf("%ld\n", total);
	return 0;
}

static int verb_tty(int argc, char **argv)
{
	struct winsize w = { 0 };

	(void)argc;
	(void)argv;
	if (ioctl(0, TIOCGWINSZ, &w) < 0)
		return puts("no tty"), 0;
	printf("%d %d %s\n", w.ws_row, w.ws_col, ttyname(0) ? ttyname(0) : "?");
	return 0;
}

static int verb_exit(int argc, char **argv)
{
	return (int)number(argc > 2 ? argv[2] : "0");
}

static int verb_kill(int argc, char **argv)
{
	kill(getpid(), (int)number(argc > 2 ? argv[2] : "9"));
	return 77; /* pid 1 does not hear its own signals */
}

static void on_signal(int sig)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%s\n", sigabbrev_np(sig));

	(void)!write(1, text, (size_t)n);
	if (sig == SIGTERM)
		_exit(15);
}

static int verb_trap(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGCHLD && sig != SIGSEGV)
			signal(sig, on_signal);
	(void)!write(1, "ready\n", 6);
	for (;;)
		pause();
	return 0;
}

static int verb_fds(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	puts("");
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} verbs[] = {
	{ "try", verb_try },   { "id", verb_id },     { "hog", verb_hog }, { "forks", verb_forks },
	{ "fill", verb_fill }, { "read", verb_read }, { "tty", verb_tty }, { "exit", verb_exit },
	{ "kill", verb_kill }, { "trap", verb_trap }, { "fds", verb_fds },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (argc > 1 && !strcmp(verbs[i].name, argv[1]))
			return verbs[i].fn(argc, argv);
	puts("probe: unknown verb");
	return 99;
}
