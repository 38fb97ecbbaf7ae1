/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKEND_RESOURCES_H
#define BACKEND_RESOURCES_H

/*
 * Limits of an instance's cgroup, for every backend: from a spec to OCI linux.resources
 * (the plan's host.resources), and from those to what sys/cgroup.h takes.
 *
 * Spec: OCI runtime 1.2 config-linux.md#control-groups.
 */

#include "json/json.h"
#include "model/spec.h"
#include "sys/cgroup.h"

/**
 * resources_from_spec() - the OCI linux.resources of a spec; devices are left out
 * @ret: new reference
 * Return: NULL, or ERR_INVALID for a throttle whose device is no block device of this host.
 * Context: stats the devices of throttles.
 */
struct err *resources_from_spec(const struct spec *s, json_t **ret) MUST_USE;

/**
 * resources_cpu_shares() - weight against others, in the kernel's unit (1024 is the usual one)
 * As said; else by priority: each step, up to 20, is worth a quarter more, or a fifth less.
 * Return: 0 when neither is said.  Pure.
 */
int64_t resources_cpu_shares(const struct spec *s);

struct resources {
	struct cgroup_limits l; /* what cgroup_create() and cgroup_set() take */
	struct cgroup_device *devices;
	struct cgroup_throttle *throttles;
	struct cgroup_weight *weights;
};

/**
 * resources_read() - translate for the kernel.  Pure
 * @j:   linux.resources, or NULL for none; borrowed for as long as @ret is used
 * @ret: owned by the caller, resources_done(); on failure too
 * Return: NULL, or ERR_INVALID for a device rule that is none.
 */
struct err *resources_read(const json_t *j, struct resources *ret) MUST_USE;

/** resources_done() - free what it holds */
void resources_done(struct resources *r);

static inline void own_resources_release(struct resources *r)
{
	resources_done(r);
}

#endif
