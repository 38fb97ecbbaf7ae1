/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_RESOURCES_H
#define CTR_RESOURCES_H

/*
 * OCI linux.resources as limits of a cgroup.  Pure.
 * Spec: OCI runtime 1.2 config-linux.md#control-groups.
 */

#include "json/json.h"
#include "sys/cgroup.h"

struct ctr_limits {
	struct cgroup_limits l; /* what cgroup_create() and cgroup_set() take */
	struct cgroup_device *devices;
	struct cgroup_throttle *throttles;
	struct cgroup_weight *weights;
};

/**
 * ctr_limits_read() - translate
 * @resources: linux.resources, or NULL for none; borrowed for as long as @ret is used
 * @ret:       owned by the caller, ctr_limits_done()
 */
struct err *ctr_limits_read(const json_t *resources, struct ctr_limits *ret) MUST_USE;

/** ctr_limits_done() - free what it holds */
void ctr_limits_done(struct ctr_limits *c);

#endif
