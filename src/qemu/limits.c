/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/limits.h"

static void add_throttles(const json_t *io, struct qemu_limits *l)
{
	static const struct {
		const char *name;
		enum cgroup_io what;
	} kinds[] = {
		{ "throttleReadBpsDevice", CGROUP_READ_BPS },
		{ "throttleWriteBpsDevice", CGROUP_WRITE_BPS },
		{ "throttleReadIOPSDevice", CGROUP_READ_IOPS },
		{ "throttleWriteIOPSDevice", CGROUP_WRITE_IOPS },
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		json_t *t;
		size_t i;

		json_array_foreach(json_object_get(io, kinds[k].name), i, t)
		{
			if (l->limits.n_throttles == QEMU_THROTTLES_MAX)
				return;
			l->throttles[l->limits.n_throttles++] = (struct cgroup_throttle) {
				.what = kinds[k].what,
				.major = (unsigned)jx_int(t, "major", 0),
				.minor = (unsigned)jx_int(t, "minor", 0),
				.rate = (uint64_t)jx_int(t, "rate", 0),
			};
		}
	}
}

void qemu_limits(const json_t *resources, struct qemu_limits *ret)
{
	const json_t *memory = json_object_get(resources, "memory");
	const json_t *cpu = json_object_get(resources, "cpu");
	const json_t *io = json_object_get(resources, "blockIO");

	*ret = (struct qemu_limits) { .limits = CGROUP_LIMITS_NONE };
	ret->limits.memory = jx_int(memory, "limit", 0);
	ret->limits.memory_swap = jx_int(memory, "swap", 0);
	ret->limits.memory_reservation = jx_int(memory, "reservation", 0);
	ret->limits.cpu_shares = jx_int(cpu, "shares", 0);
	ret->limits.cpu_quota_us = jx_int(cpu, "quota", 0);
	ret->limits.cpu_period_us = jx_int(cpu, "period", 0);
	ret->limits.cpuset_cpus = jx_str(cpu, "cpus", NULL);
	ret->limits.cpuset_mems = jx_str(cpu, "mems", NULL);
	ret->limits.blkio_weight = jx_int(io, "weight", 0);
	add_throttles(io, ret);
	ret->limits.throttles = ret->throttles;
}
