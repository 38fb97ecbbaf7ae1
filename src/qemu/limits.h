/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_LIMITS_H
#define QEMU_LIMITS_H

/* The plan's host.resources (OCI linux.resources) as limits of QEMU's cgroup. */

#include "json/json.h"
#include "sys/cgroup.h"

#define QEMU_THROTTLES_MAX 16

struct qemu_limits {
	struct cgroup_limits limits; /* strings are borrowed from the JSON */
	struct cgroup_throttle throttles[QEMU_THROTTLES_MAX];
};

/**
 * qemu_limits() - @resources: NULL means no limits
 * Devices are not restricted: QEMU has no privileges, and opens none.
 */
void qemu_limits(const json_t *resources, struct qemu_limits *ret);

#endif
