/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/resources.h"

#include <string.h>

#include "util/mem.h"

static struct err *read_device(const json_t *j, struct cgroup_device *d)
{
	const char *type = jx_str(j, "type", "a"), *access = jx_str(j, "access", "rwm");

	if (!strchr("abcup", type[0]) || strlen(type) != 1 || strlen(access) > 3)
		return err_new(ERR_INVALID, "device rule of type %s, access %s", type, access);
	d->allow = jx_bool(j, "allow", false);
	d->type = type[0] == 'u' ? 'c' : type[0];
	d->major = jx_int(j, "major", -1);
	d->minor = jx_int(j, "minor", -1);
	strcpy(d->access, access);
	return NULL;
}

static struct err *read_devices(const json_t *list, struct ctr_limits *c)
{
	size_t n = json_array_size(list);

	c->devices = xcalloc(n + 1, sizeof(*c->devices));
	for (size_t i = 0; i < n; i++)
		TRY(read_device(json_array_get(list, i), &c->devices[i]));
	c->l.devices = c->devices;
	c->l.n_devices = n;
	return NULL;
}

static void read_throttles(const json_t *io, struct ctr_limits *c)
{
	static const char *const keys[] = {
		[CGROUP_READ_BPS] = "throttleReadBpsDevice",
		[CGROUP_WRITE_BPS] = "throttleWriteBpsDevice",
		[CGROUP_READ_IOPS] = "throttleReadIOPSDevice",
		[CGROUP_WRITE_IOPS] = "throttleWriteIOPSDevice",
	};
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		const json_t *list = json_object_get(io, keys[k]);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *j = json_array_get(list, i);

			c->throttles = xrealloc(c->throttles, n + 1, sizeof(*c->throttles));
			c->throttles[n++] = (struct cgroup_throttle) {
				.what = (enum cgroup_io)k,
				.major = (unsigned)jx_int(j, "major", 0),
				.minor = (unsigned)jx_int(j, "minor", 0),
				.rate = (uint64_t)jx_int(j, "rate", 0),
			};
		}
	}
	c->l.throttles = c->throttles;
	c->l.n_throttles = n;
}

static void read_weights(const json_t *io, struct ctr_limits *c)
{
	const json_t *list = json_object_get(io, "weightDevice");
	size_t n = json_array_size(list);

	c->weights = xcalloc(n + 1, sizeof(*c->weights));
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);

		c->weights[i] = (struct cgroup_weight) {
			.major = (unsigned)jx_int(j, "major", 0),
			.minor = (unsigned)jx_int(j, "minor", 0),
			.weight = (unsigned)jx_int(j, "weight", 0),
		};
	}
	c->l.weights = c->weights;
	c->l.n_weights = n;
}

struct err *ctr_limits_read(const json_t *resources, struct ctr_limits *ret)
{
	const json_t *memory = json_object_get(resources, "memory");
	const json_t *cpu = json_object_get(resources, "cpu");
	const json_t *io = json_object_get(resources, "blockIO");

	*ret = (struct ctr_limits){
		.l = {
			.memory = jx_int(memory, "limit", 0),
			.memory_swap = jx_int(memory, "swap", 0),
			.memory_reservation = jx_int(memory, "reservation", 0),
			.swappiness = jx_int(memory, "swappiness", -1),
			.oom_kill_disable = jx_bool(memory, "disableOOMKiller", false),
			.cpu_shares = jx_int(cpu, "shares", 0),
			.cpu_quota_us = jx_int(cpu, "quota", 0),
			.cpu_period_us = jx_int(cpu, "period", 0),
			.cpuset_cpus = jx_str(cpu, "cpus", NULL),
			.cpuset_mems = jx_str(cpu, "mems", NULL),
			.pids = jx_int(json_object_get(resources, "pids"), "limit", 0),
			.blkio_weight = jx_int(io, "weight", 0),
		},
	};
	read_throttles(io, ret);
	read_weights(io, ret);
	return read_devices(json_object_get(resources, "devices"), ret);
}

void ctr_limits_done(struct ctr_limits *c)
{
	free(c->devices);
	free(c->throttles);
	free(c->weights);
	*c = (struct ctr_limits) { .l = CGROUP_LIMITS_NONE };
}
