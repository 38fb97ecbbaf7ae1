/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_PROCESS_H
#define CTR_PROCESS_H

/*
 * Becoming the process of an OCI process object: the last steps of a start and of an
 * exec, in the process itself, inside all its namespaces.
 * Spec: OCI runtime 1.2 config.md#process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ctr/user.h"
#include "json/json.h"
#include "util/err.h"

struct ctr_process {
	const json_t *json;        /* the process object; borrowed */
	const char *user;          /* text; NULL: numbers of json's "user" object */
	const struct strv *groups; /* text of --group-add; NULL: none */
	int in, out, err;          /* become 0, 1, 2; -1: /dev/null; borrowed */
	bool make_cwd;   /* make a missing working directory: of a start, not of an exec */
	int console;     /* slave of a pty for all three; -1: none */
	const void *bpf; /* seccomp filter; NULL: none; borrowed */
	size_t bpf_len;  /* bytes */
};

/**
 * ctr_process_exec() - become it; returns only when that failed
 *
 * In this order: user looked up, session and stdio, working directory (made when
 * missing and @p says so), rlimits, bounding set, ids, seccomp, capabilities, search, execve.  All
 * descriptors above 2 must be CLOEXEC or harmless.
 * Return: an error in the words of runc where docker's client looks for them.
 */
struct err *ctr_process_exec(const struct ctr_process *p) MUST_USE;

/** ctr_read_bpf() - load a filter's bytes; @ret: owned by the caller */
struct err *ctr_read_bpf(const char *path, void **ret, size_t *ret_len) MUST_USE;

#endif
