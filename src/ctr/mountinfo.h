/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_MOUNTINFO_H
#define CTR_MOUNTINFO_H

/* What is mounted in a process' mount namespace.  Spec: proc(5), /proc/PID/mountinfo. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct mount_line {
	uint64_t id;
	unsigned major, minor; /* of the file system */
	char *root;            /* which part of it is mounted */
	char *at;              /* where */
	char *type;            /* "tmpfs" */
};

struct mount_list {
	struct mount_line *v;
	size_t n;
};

/**
 * mount_list_parse() - take the text apart
 * Return: NULL, or ERR_CORRUPT.  Pure.
 */
struct err *mount_list_parse(const char *text, struct mount_list *ret) MUST_USE;

/** mount_list_read() - of a process; 0: of the caller */
struct err *mount_list_read(pid_t pid, struct mount_list *ret) MUST_USE;

/**
 * mount_list_find() - a mount that shows a part of a file system
 * @of: which one
 * @ret_rest: what is to be added to its "at": points into @of->root
 * Return: NULL when nothing shows it; borrowed.
 */
const struct mount_line *mount_list_find(const struct mount_list *l, const struct mount_line *of,
					 const char **ret_rest);

/** mount_list_done() - free all */
void mount_list_done(struct mount_list *l);

static inline void own_mount_list_release(struct mount_list *l)
{
	mount_list_done(l);
}

#endif
