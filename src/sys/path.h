/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_PATH_H
#define SYS_PATH_H

/*
 * Paths in trees that others wrote.
 */

#include <stdint.h>

#include "util/err.h"

/**
 * path_open_in_root() - open a path as if @root_fd were the root directory (openat2)
 * @flags: of open(2); O_CLOEXEC is added
 * Absolute paths, symbolic links and ".." stay inside; magic links are refused.
 * Return: a descriptor, or -1 and errno.
 */
int path_open_in_root(int root_fd, const char *path, int flags);

/**
 * path_open_beneath() - as path_open_in_root(), but neither links nor mounts are followed
 * Return: a descriptor, or -1 and errno (EXDEV for what leaves, ELOOP for a link).
 */
int path_open_beneath(int root_fd, const char *path, int flags);

/**
 * path_remove_tree() - remove a file or a whole tree; what is not there is fine
 * @dir_fd, @name: one component below an open folder
 *
 * Never crosses a mount (ERR_UNAVAILABLE, EBUSY or EXDEV), never follows a link, takes off
 * immutable and append-only flags, and needs no more descriptors for a deeper tree.
 */
struct err *path_remove_tree(int dir_fd, const char *name) MUST_USE;

/** path_remove() - path_remove_tree() of a path whose folders we trust */
struct err *path_remove(const char *path) MUST_USE;

#endif
