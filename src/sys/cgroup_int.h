/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CGROUP_INT_H
#define SYS_CGROUP_INT_H

/* Shared by the cgroup*.c files only. */

#include "sys/cgroup.h"

#include <limits.h>

/* Path of @file of the group in a hierarchy, in @buf. */
struct err *cgroup_file(char buf[PATH_MAX], const char *controller, const char *path,
			const char *file) MUST_USE;

/* Write a formatted value; EINVAL is ERR_INVALID naming file and value. */
struct err *cgroup_put(const char *controller, const char *path, const char *file, const char *fmt,
		       ...) PRINTF(4, 5) MUST_USE;

/* Text of a file, at most size - 1 bytes; false when it is not there. */
bool cgroup_get(const char *controller, const char *path, const char *file, char *buf, size_t size);

/* Does the group have this file? */
bool cgroup_has(const char *controller, const char *path, const char *file);

/* Value of a "key value" line; false when there is none. */
bool cgroup_key(const char *text, const char *key, uint64_t *ret);

/* Set every limit that @l says; @is_new: the group was just made. */
struct err *cgroup_put_limits(const char *path, const struct cgroup_limits *l, bool is_new);

/* The device rules, v1 or v2. */
struct err *cgroup_put_devices(const char *path, const struct cgroup_limits *l);

#endif
