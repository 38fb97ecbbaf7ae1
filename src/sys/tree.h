/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_TREE_H
#define SYS_TREE_H

/*
 * Detached mount trees: the calls that glibc 2.36 has, with our errors, and with
 * ERR_NOT_FOUND told from the rest by err_errno().
 * Spec: open_tree(2), move_mount(2), mount_setattr(2).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/**
 * tree_open() - a detached copy of what is mounted at a path
 * @dirfd:     folder that @path is relative to, AT_FDCWD
 * @recursive: with the mounts below
 */
struct err *tree_open(int dirfd, const char *path, bool recursive, int *ret_fd) MUST_USE;

/** tree_attach() - mount a detached tree at a path; links in it are followed */
struct err *tree_attach(int tree, const char *path) MUST_USE;

/**
 * tree_set() - change attributes of a tree or of what is mounted at a path
 * @dirfd, @path: the tree's descriptor and "", or AT_FDCWD and a path
 * @set, @clear:  MOUNT_ATTR_* (linux/mount.h)
 * @propagation:  MS_PRIVATE and the like, or 0
 */
struct err *tree_set(int dirfd, const char *path, bool recursive, uint64_t set, uint64_t clear,
		     uint64_t propagation) MUST_USE;

#endif
