/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/cgroup_int.h"

/* How a limit that is one number is written; both versions in one table. */
struct number {
	size_t offset;
	const char *v1, *v1_file;
	const char *v2_file;
	const char *v1_none, *v2_none; /* for -1 */
	bool optional;                 /* a kernel without the file is fine */
};

#define NUMBER(member) .offset = offsetof(struct cgroup_limits, member)

static const struct number numbers[] = {
	{ NUMBER(memory_reservation), "memory", "memory.soft_limit_in_bytes", "memory.low", "-1",
	  "0", false },
	{ NUMBER(cpu_shares), "cpu", "cpu.shares", NULL, "1024", NULL, false },
	{ NUMBER(pids), "pids", "pids.max", "pids.max", "max", "max", false },
	{ NUMBER(blkio_weight), "blkio", "blkio.bfq.weight", "io.bfq.weight", "100", "100", true },
	{ NUMBER(blkio_weight), "blkio", "blkio.weight", NULL, "100", NULL, true },
};

static struct err *put_number(const char *path, const struct number *n, int64_t value, bool v2)
{
	const char *name = v2 ? "" : n->v1;
	const char *file = v2 ? n->v2_file : n->v1_file;
	const char *none = v2 ? n->v2_none : n->v1_none;

	if (!value || !file || (n->optional && !cgroup_has(name, path, file)))
		return NULL;
	if (value < 0)
		return cgroup_put(name, path, file, "%s", none);
	return cgroup_put(name, path, file, "%ld", value);
}

static struct err *put_v1_swap(const char *path, int64_t swap)
{
	OWN(err) struct err *e = NULL;

	if (!swap)
		return NULL;
	e = cgroup_put("memory", path, "memory.memsw.limit_in_bytes", "%ld", swap);
	/* Without swap accounting there is no such file, and nothing to limit. */
	return !e || err_errno(e) == ENOENT ? NULL : TAKE(e);
}

static struct err *put_v1_memory(const char *path, const struct cgroup_limits *l)
{
	OWN(err) struct err *e = NULL;

	if (l->memory)
		e = cgroup_put("memory", path, "memory.limit_in_bytes", "%ld", l->memory);
	if (e && l->memory_swap) {
		/* It is above the old sum: raise that first. */
		TRY(put_v1_swap(path, l->memory_swap));
		TRY(cgroup_put("memory", path, "memory.limit_in_bytes", "%ld", l->memory));
	} else if (e) {
		return TAKE(e);
	}
	TRY(put_v1_swap(path, l->memory_swap));
	if (l->swappiness >= 0)
		TRY(cgroup_put("memory", path, "memory.swappiness", "%ld", l->swappiness));
	if (l->oom_kill_disable)
		TRY(cgroup_put("memory", path, "memory.oom_control", "1"));
	return NULL;
}

static struct err *put_v2_memory(const char *path, const struct cgroup_limits *l)
{
	if (l->memory > 0)
		TRY(cgroup_put("", path, "memory.max", "%ld", l->memory));
	if (l->memory < 0)
		TRY(cgroup_put("", path, "memory.max", "max"));
	if (!cgroup_has("", path, "memory.swap.max"))
		return NULL;
	if (l->memory_swap < 0)
		return cgroup_put("", path, "memory.swap.max", "max");
	if (l->memory_swap > 0 && l->memory >= 0)
		return cgroup_put("", path, "memory.swap.max", "%ld",
				  l->memory_swap > l->memory ? l->memory_swap - l->memory : 0);
	return NULL;
}

static struct err *put_v1_cpu(const char *path, const struct cgroup_limits *l)
{
	if (l->cpu_period_us)
		TRY(cgroup_put("cpu", path, "cpu.cfs_period_us", "%ld", l->cpu_period_us));
	if (l->cpu_quota_us)
		TRY(cgroup_put("cpu", path, "cpu.cfs_quota_us", "%ld", l->cpu_quota_us));
	return NULL;
}

/* 1024, the usual one of v1, is v2's usual 100, so that those who say nothing count as much. */
static int64_t v2_weight(int64_t shares)
{
	int64_t w = shares * 100 / 1024;

	return w < 1 ? 1 : w > 10000 ? 10000 : w;
}

static struct err *put_v2_cpu(const char *path, const struct cgroup_limits *l)
{
	int64_t period = l->cpu_period_us > 0 ? l->cpu_period_us : 100000;

	if (l->cpu_quota_us > 0)
		TRY(cgroup_put("", path, "cpu.max", "%ld %ld", l->cpu_quota_us, period));
	if (l->cpu_quota_us < 0)
		TRY(cgroup_put("", path, "cpu.max", "max %ld", period));
	if (l->cpu_shares > 1)
		TRY(cgroup_put("", path, "cpu.weight", "%ld", v2_weight(l->cpu_shares)));
	return NULL;
}

static struct err *put_cpuset(const char *path, const struct cgroup_limits *l, const char *name)
{
	if (l->cpuset_cpus && *l->cpuset_cpus)
		TRY(cgroup_put(name, path, "cpuset.cpus", "%s", l->cpuset_cpus));
	if (l->cpuset_mems && *l->cpuset_mems)
		TRY(cgroup_put(name, path, "cpuset.mems", "%s", l->cpuset_mems));
	return NULL;
}

static struct err *put_throttle(const char *path, const struct cgroup_throttle *t, bool v2)
{
	static const char *const v1_files[] = {
		[CGROUP_READ_BPS] = "blkio.throttle.read_bps_device",
		[CGROUP_WRITE_BPS] = "blkio.throttle.write_bps_device",
		[CGROUP_READ_IOPS] = "blkio.throttle.read_iops_device",
		[CGROUP_WRITE_IOPS] = "blkio.throttle.write_iops_device",
	};
	static const char *const v2_keys[] = {
		[CGROUP_READ_BPS] = "rbps",
		[CGROUP_WRITE_BPS] = "wbps",
		[CGROUP_READ_IOPS] = "riops",
		[CGROUP_WRITE_IOPS] = "wiops",
	};

	if (v2)
		return cgroup_put("", path, "io.max", "%u:%u %s=%lu", t->major, t->minor,
				  v2_keys[t->what], t->rate);
	return cgroup_put("blkio", path, v1_files[t->what], "%u:%u %lu", t->major, t->minor,
			  t->rate);
}

static struct err *put_weight(const char *path, const struct cgroup_weight *w, bool v2)
{
	const char *name = v2 ? "" : "blkio";
	const char *file = v2 ? "io.bfq.weight" : "blkio.bfq.weight_device";

	if (!cgroup_has(name, path, file))
		return NULL;
	return cgroup_put(name, path, file, "%u:%u %u", w->major, w->minor, w->weight);
}

static struct err *put_io(const char *path, const struct cgroup_limits *l, bool v2)
{
	for (size_t i = 0; i < l->n_throttles; i++)
		TRY_MSG(put_throttle(path, &l->throttles[i], v2), "limit device %u:%u",
			l->throttles[i].major, l->throttles[i].minor);
	for (size_t i = 0; i < l->n_weights; i++)
		TRY(put_weight(path, &l->weights[i], v2));
	return NULL;
}

struct err *cgroup_put_limits(const char *path, const struct cgroup_limits *l, bool is_new)
{
	bool v2 = cgroup_is_v2();

	TRY(v2 ? put_v2_memory(path, l) : put_v1_memory(path, l));
	TRY(v2 ? put_v2_cpu(path, l) : put_v1_cpu(path, l));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const char *base = (const char *)l;
		const int64_t *value = (const int64_t *)(const void *)(base + numbers[i].offset);

		TRY(put_number(path, &numbers[i], *value, v2));
	}
	TRY(put_cpuset(path, l, v2 ? "" : "cpuset"));
	return put_io(path, l, v2);
}
