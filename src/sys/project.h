/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_PROJECT_H
#define SYS_PROJECT_H

/*
 * Project quota: files that carry a project's number count together against its limit.
 * ext4 (mounted with prjquota, made with -O quota,project) and XFS (pquota) have it; a
 * folder that carries a number gives it to all that is made below it.
 *
 * Context: needs CAP_SYS_ADMIN; a few system calls, none blocks for long.
 * Spec: quotactl(2), ioctl_fsgetxattr (linux/fs.h), linux/dqblk_xfs.h; Linux 5.14 for
 * quotactl_fd().
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct project_usage {
	int64_t used_bytes;
	int64_t limit_bytes; /* 0: none */
};

/** project_is_enforced() - does the file system that holds @fd keep to limits of projects? */
bool project_is_enforced(int fd);

/** project_get() - number that a file or folder carries; 0: none, or not known there */
uint32_t project_get(int fd);

/** project_put() - give a folder a number, for itself and all that will be made below it */
struct err *project_put(int dir_fd, uint32_t id) MUST_USE;

/** project_limit() - set or, with 0, lift a project's limit; @fd: anything on its file system */
struct err *project_limit(int fd, uint32_t id, int64_t bytes) MUST_USE;

/** project_usage() - of a project; a number that was never used has used nothing */
struct err *project_usage(int fd, uint32_t id, struct project_usage *ret) MUST_USE;

#endif
