/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SPAWN_H
#define SYS_SPAWN_H

/*
 * Start a program with exactly the descriptors it is meant to have, without
 * copying the caller's memory (vfork semantics), watched by a pidfd.
 */

#include <sys/types.h>

#include "util/err.h"

#define SPAWN_FDS_MAX 16

struct spawn {
	const char *path;       /* absolute path of the program */
	int program_fd;         /* its file, instead of @path; 0: by @path */
	char *const *argv;      /* NULL-terminated */
	char *const *envp;      /* NULL: a minimal environment (PATH only) */
	const int *fds;         /* fds[i] becomes descriptor i of the program; -1: /dev/null for
				 * 0 to 2, closed above */
	size_t n_fds;           /* at most SPAWN_FDS_MAX; all other descriptors are closed */
	int keep_parent_signal; /* 0, or a signal the program gets when the caller's thread dies
				 * (PR_SET_PDEATHSIG) */
	int new_session;        /* setsid(): out of the caller's process group and terminal */
};

/**
 * spawn_program() - start @s
 * @ret_pid:   pid of the child
 * @ret_pidfd: pidfd (CLOEXEC), readable when the child ended; reap with waitid(P_PIDFD)
 *
 * All signals are unblocked and set to default in the child.
 * Return: NULL, or a system error (the errno of a failed exec included; nothing runs then).
 */
struct err *spawn_program(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd) MUST_USE;

/**
 * spawn_reap() - collect an ended child
 * @pidfd:    of the child
 * @ret_code: exit code, or 128 + signal
 * Context: blocks until the child ends.
 */
struct err *spawn_reap(int pidfd, int *ret_code) MUST_USE;

/**
 * spawn_run() - start a program, wait for it, and take what it printed
 * @s:       fds[1] and fds[2] are replaced: both go to @ret_out (at most 64 KiB are kept)
 * @ret_out: text of stdout and stderr, owned by the caller; may be NULL
 * Return: NULL when it exited with 0; ERR_INTERNAL with the last line of its output otherwise.
 * Context: blocks; for workers and shims, never hosteld.
 */
struct err *spawn_run(const struct spawn *s, char **ret_out) MUST_USE;

#endif
