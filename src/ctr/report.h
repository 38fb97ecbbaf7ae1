/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_REPORT_H
#define CTR_REPORT_H

/*
 * What a starter and the process that it makes tell the shim: packets on a socket
 * that both have (CLOEXEC).  End of file without FAILED means that the exec
 * succeeded.
 */

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define REPORT_TEXT_MAX 700

enum report_type {
	REPORT_PROCESS,     /* pid, limit; descriptors: pidfd [, OOM watch]; text: cgroup path */
	REPORT_LINK,        /* text: name of a link of the host that must be deleted at the end */
	REPORT_TTY,         /* descriptor: the pty's master */
	REPORT_FAILED,      /* kind, text */
	REPORT_STDIN_ENDED, /* what it was sent had ended before the checkpoint */
	REPORT_HELD,   /* text: name of a link of the host whose packets are held from now on */
	REPORT_DUMPED, /* text: JSON, what is to be said of a checkpoint */
};

struct report {
	uint32_t type;
	int32_t kind;  /* FAILED */
	int32_t pid;   /* PROCESS */
	int32_t alone; /* PROCESS: it has its pid namespace, whose end is the end of all */
	int64_t limit; /* PROCESS: memory limit in bytes, 0: none */
	char text[REPORT_TEXT_MAX];
};

/** report_send() - one packet with up to two descriptors (borrowed); -1: none */
struct err *report_send(int sock, const struct report *r, int fd, int fd2) MUST_USE;

/** report_failure() - send an error, which is consumed, as best we can */
void report_failure(int sock, struct err *e);

/**
 * report_recv() - take one packet, without blocking
 * @ret_fds: two descriptors, owned by the caller; -1: none
 * Return: 1 for a packet, 0 at the end, -1 when nothing is there.
 */
int report_recv(int sock, struct report *ret, int ret_fds[2]);

#endif
