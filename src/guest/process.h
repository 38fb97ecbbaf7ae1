/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_PROCESS_H
#define GUEST_PROCESS_H

/*
 * Process: how one is started inside a VM: the payload in its own pid and mount
 * namespace with GUEST_ROOT as its root, an exec in those of the payload.
 *
 * Context: pid 1 of a VM; blocks until the exec succeeded or failed (no longer than the
 * program's file takes to load).
 */

#include <stdbool.h>
#include <sys/types.h>

#include "json/json.h"
#include "util/err.h"

struct guest_process {
	const json_t *config;  /* plan's guest object: oci, user, groups; borrowed */
	const json_t *process; /* OCI process object */
	const char *user;
	const json_t *groups;
	const void *bpf; /* seccomp filter; NULL: none */
	size_t bpf_len;
	pid_t join;    /* exec: pid of the payload; 0: this is the payload, or there is none */
	bool in_guest; /* no image: run in hostel-guest's own root */
	bool is_tty, has_stdin;
	unsigned short rows, cols;
};

struct guest_started {
	pid_t pid;
	int in, out, err; /* -1: none; with a tty in and out are two copies of its master */
};

/**
 * guest_process_start() - start it
 * Return: NULL; the errors that a container's start gives for the same reasons; nothing
 *         runs then.
 */
struct err *guest_process_start(const struct guest_process *p, struct guest_started *ret) MUST_USE;

#endif
