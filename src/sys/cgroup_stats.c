/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/cgroup_int.h"

#define TEXT_MAX  4096
#define UNLIMITED (UINT64_C(1) << 62) /* v1 shows no limit as a number beyond this */

/* A file that holds one number, or "max". */
static uint64_t number(const char *name, const char *path, const char *file)
{
	char text[64];
	uint64_t v;

	if (!cgroup_get(name, path, file, text, sizeof(text)))
		return 0;
	if (!strncmp(text, "max", 3))
		return UINT64_MAX;
	v = strtoull(text, NULL, 10);
	return v >= UNLIMITED ? UINT64_MAX : v;
}

static void stats_v1_cpu(const char *path, struct cgroup_stats *s)
{
	uint64_t tick_ns = 1000000000ul / (uint64_t)sysconf(_SC_CLK_TCK);
	char text[TEXT_MAX];

	s->cpu_ns = number("cpuacct", path, "cpuacct.usage");
	cgroup_get("cpuacct", path, "cpuacct.stat", text, sizeof(text));
	cgroup_key(text, "user", &s->cpu_user_ns);
	cgroup_key(text, "system", &s->cpu_system_ns);
	s->cpu_user_ns *= tick_ns;
	s->cpu_system_ns *= tick_ns;
	cgroup_get("cpu", path, "cpu.stat", text, sizeof(text));
	cgroup_key(text, "nr_periods", &s->periods);
	cgroup_key(text, "nr_throttled", &s->throttled_periods);
	cgroup_key(text, "throttled_time", &s->throttled_ns);
}

static void stats_v1_memory(const char *path, struct cgroup_stats *s)
{
	char text[TEXT_MAX];

	s->memory = number("memory", path, "memory.usage_in_bytes");
	s->memory_max = number("memory", path, "memory.max_usage_in_bytes");
	s->memory_limit = number("memory", path, "memory.limit_in_bytes");
	s->memory_failures = number("memory", path, "memory.failcnt");
	cgroup_get("memory", path, "memory.stat", text, sizeof(text));
	cgroup_key(text, "total_inactive_file", &s->memory_inactive_file);
	cgroup_key(text, "total_rss", &s->memory_anon);
	cgroup_key(text, "total_cache", &s->memory_file);
}

/* Sum of "8:0 Read 123" lines. */
static void sum_blkio(const char *text, uint64_t *reads, uint64_t *writes)
{
	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		uint64_t v;
		char what[16];

		p += *p == '\n';
		if (sscanf(p, "%*u:%*u %15s %lu", what, &v) != 2)
			continue;
		if (!strcmp(what, "Read"))
			*reads += v;
		if (!strcmp(what, "Write"))
			*writes += v;
	}
}

static void stats_v1_io(const char *path, struct cgroup_stats *s)
{
	char text[TEXT_MAX];

	cgroup_get("blkio", path, "blkio.throttle.io_service_bytes_recursive", text, sizeof(text));
	sum_blkio(text, &s->read_bytes, &s->write_bytes);
	cgroup_get("blkio", path, "blkio.throttle.io_serviced_recursive", text, sizeof(text));
	sum_blkio(text, &s->read_ops, &s->write_ops);
}

static void stats_v2_cpu(const char *path, struct cgroup_stats *s)
{
	char text[TEXT_MAX];

	cgroup_get("", path, "cpu.stat", text, sizeof(text));
	cgroup_key(text, "usage_usec", &s->cpu_ns);
	cgroup_key(text, "user_usec", &s->cpu_user_ns);
	cgroup_key(text, "system_usec", &s->cpu_system_ns);
	cgroup_key(text, "throttled_usec", &s->throttled_ns);
	cgroup_key(text, "nr_periods", &s->periods);
	cgroup_key(text, "nr_throttled", &s->throttled_periods);
	s->cpu_ns *= 1000;
	s->cpu_user_ns *= 1000;
	s->cpu_system_ns *= 1000;
	s->throttled_ns *= 1000;
}

static void stats_v2_memory(const char *path, struct cgroup_stats *s)
{
	char text[TEXT_MAX];

	s->memory = number("", path, "memory.current");
	s->memory_max = number("", path, "memory.peak");
	s->memory_limit = number("", path, "memory.max");
	cgroup_get("", path, "memory.stat", text, sizeof(text));
	cgroup_key(text, "inactive_file", &s->memory_inactive_file);
	cgroup_key(text, "anon", &s->memory_anon);
	cgroup_key(text, "file", &s->memory_file);
	cgroup_get("", path, "memory.events", text, sizeof(text));
	cgroup_key(text, "max", &s->memory_failures);
}

/* Sum of "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …" lines. */
static void stats_v2_io(const char *path, struct cgroup_stats *s)
{
	char text[TEXT_MAX];

	cgroup_get("", path, "io.stat", text, sizeof(text));
	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		uint64_t rb, wb, rn, wn;

		p += *p == '\n';
		if (sscanf(p, "%*u:%*u rbytes=%lu wbytes=%lu rios=%lu wios=%lu", &rb, &wb, &rn,
			   &wn) != 4)
			continue;
		s->read_bytes += rb;
		s->write_bytes += wb;
		s->read_ops += rn;
		s->write_ops += wn;
	}
}

struct err *cgroup_read_stats(const char *path, struct cgroup_stats *ret)
{
	bool v2 = cgroup_is_v2();
	const char *pids = v2 ? "" : "pids";
	struct cgroup_stats s = { 0 };

	if (!cgroup_has(pids, path, "cgroup.procs"))
		return err_new(ERR_NOT_FOUND, "no cgroup %s", path);
	(v2 ? stats_v2_cpu : stats_v1_cpu)(path, &s);
	(v2 ? stats_v2_memory : stats_v1_memory)(path, &s);
	(v2 ? stats_v2_io : stats_v1_io)(path, &s);
	s.pids = number(pids, path, "pids.current");
	s.pids_limit = number(pids, path, "pids.max");
	s.oom_kills = cgroup_oom_kills(path);
	*ret = s;
	return NULL;
}
