/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/reaper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Those that a fault of ours raises, or nobody can hold back. */
static const int not_ours[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

static _Noreturn void become(char **argv, const char *who, const sigset_t *mask)
{
	int errnum;

	/* A group of its own that has the terminal, so that Ctrl-C reaches it once. */
	setpgid(0, 0);
	if (isatty(STDIN_FILENO)) {
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(STDIN_FILENO, getpid());
		signal(SIGTTOU, SIG_DFL);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	errnum = errno;
	fprintf(stderr, "%s: %s: %s\n", who, argv[0], strerror(errnum));
	_exit(errnum == ENOENT ? 127 : 126);
}

/* Collect all that has ended; returns the exit code once @child has, else -1. */
static int reap(pid_t child)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code;
}

int reaper_run(char **argv, const char *who)
{
	sigset_t all, before;
	int code = -1;
	pid_t child;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++)
		sigdelset(&all, not_ours[i]);
	sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child < 0) {
		fprintf(stderr, "%s: fork: %s\n", who, strerror(errno));
		return 125;
	}
	if (child == 0)
		become(argv, who, &before);
	while (code < 0) {
		int sig = sigwaitinfo(&all, NULL);

		if (sig == SIGCHLD)
			code = reap(child);
		else if (sig > 0)
			kill(child, sig);
	}
	return code;
}
