/* SPDX-License-Identifier: Apache-2.0 */
/* What is there and what is used: capacity, samples, stats and top. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "sys/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define MIB          (INT64_C(1) << 20)
#define SAMPLE_NS    (3 * INT64_C(1000000000))
#define SAMPLE_SOON  (1 * INT64_C(1000000000))
#define MANAGE_MIN   (128 * MIB)
#define MANAGE_MAX   (4096 * MIB)
#define RESERVE_MIN  (256 * MIB)
#define TOP_PIDS     4096
#define MANAGE_EVERY 20 /* samples */
#define SMAPS_MAX    (4 << 20)
#define GUEST_SLACK  (4 * MIB)

/* ---- capacity ---- */

/* "MemTotal:  16384 kB" in a text of such lines; 0 when it is not there. */
static int64_t kb_field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoll(at + strlen(name), NULL, 10) * 1024 : 0;
}

static int64_t file_kb(const char *path, const char *name)
{
	OWN(mem) char *text = NULL;
	OWN(err) struct err *err = fd_read_file(AT_FDCWD, path, 256 << 10, &text);

	return err ? 0 : kb_field(text, name);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

static int64_t online_cpu_milli(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1000;
	return CPU_COUNT(&set) * INT64_C(1000);
}

static void disk_space(const struct engine *e, int64_t *ret_total, int64_t *ret_used)
{
	struct statvfs st;

	*ret_total = *ret_used = 0;
	if (statvfs(e->c.root, &st) < 0)
		return;
	*ret_total = (int64_t)(st.f_blocks * st.f_frsize);
	*ret_used = *ret_total - (int64_t)(st.f_bavail * st.f_frsize);
}

void queue_init(struct engine *e)
{
	struct amounts total = { 0 };
	int64_t manage, used;

	e->memory_bytes = e->c.memory_total_bytes ? e->c.memory_total_bytes
						  : file_kb("/proc/meminfo", "MemTotal:");
	e->cpu_milli = e->c.cpu_total_milli ? e->c.cpu_total_milli : online_cpu_milli();
	disk_space(e, &e->disk_bytes, &used);
	if (e->c.disk_total_bytes)
		e->disk_bytes = e->c.disk_total_bytes;
	if (!e->c.overcommit_cpu_milli)
		e->c.overcommit_cpu_milli = 4000;
	manage = e->c.manage_memory_bytes ? e->c.manage_memory_bytes
					  : clamp(e->memory_bytes / 16, MANAGE_MIN, MANAGE_MAX);
	e->reserve_bytes = e->c.reserve_memory_bytes >= 0       ? e->c.reserve_memory_bytes
			   : e->memory_bytes / 32 > RESERVE_MIN ? e->memory_bytes / 32
								: RESERVE_MIN;
	e->reserve_bytes += manage;
	total.v[RES_MEMORY] =
	    e->memory_bytes > e->reserve_bytes ? e->memory_bytes - e->reserve_bytes : 0;
	total.v[RES_CPU] = e->cpu_milli * e->c.overcommit_cpu_milli / 1000;
	total.v[RES_DISK] = e->disk_bytes;
	total.v[RES_MANAGE] = manage;
	sched_capacity(e->sched, total);
	engine_queue_dirty(e);
}

/* ---- samples ---- */

static int64_t pss_of(pid_t pid)
{
	OWN(mem) char *path = xasprintf("/proc/%d/smaps_rollup", (int)pid);

	return pid > 0 ? file_kb(path, "\nPss:") : 0;
}

static int64_t cpu_rate_milli(struct instance *i, uint64_t cpu_ns, int64_t now)
{
	int64_t rate = 0;

	if (i->cpu_last_at_ns && now > i->cpu_last_at_ns && cpu_ns >= i->cpu_last_ns)
		rate = (int64_t)(cpu_ns - i->cpu_last_ns) * 1000 / (now - i->cpu_last_at_ns);
	i->cpu_last_ns = cpu_ns;
	i->cpu_last_at_ns = now;
	return rate;
}

static int64_t used_memory(const struct cgroup_stats *st)
{
	return (int64_t)(st->memory > st->memory_inactive_file
			     ? st->memory - st->memory_inactive_file
			     : 0);
}

/* One mapping's lines in smaps: is it the guest's memory, by its size, or a kernel of ours? */
struct mapping {
	int64_t size_bytes, pss_bytes;
	bool is_kernel;
};

/* "7f00-7f10 r--p 00000000 08:01 55   /root/kernels/k/vmlinux" begins one, "Pss:" tells of it. */
static void read_line(const char *line, size_t len, const char *kernels, struct mapping *m)
{
	if (!strncmp(line, "Size:", 5))
		m->size_bytes = strtoll(line + 5, NULL, 10) * 1024;
	else if (!strncmp(line, "Pss:", 4))
		m->pss_bytes = strtoll(line + 4, NULL, 10) * 1024;
	else if (!isupper((unsigned char)*line))
		m->is_kernel = memmem(line, len, kernels, strlen(kernels)) != NULL;
}

/*
 * PSS but for mappings that are about as big as the guest's memory (that is the guest's
 * memory) and of kernels: those are pages of the file cache that all VMs share.
 */
static int64_t beyond_guest(const char *smaps, int64_t guest_bytes, const char *kernels)
{
	struct mapping m = { 0 };
	int64_t sum = 0;

	for (const char *line = smaps; *line;) {
		size_t len = strcspn(line, "\n");

		read_line(line, len, kernels, &m);
		if (!strncmp(line, "Pss:", 4) && !m.is_kernel &&
		    (m.size_bytes < guest_bytes || m.size_bytes >= guest_bytes + GUEST_SLACK))
			sum += m.pss_bytes;
		line += len + (line[len] == '\n');
	}
	return sum;
}

/* Its processes are QEMU alone. */
static int64_t monitor_bytes(const struct instance *i)
{
	OWN(mem) char *cgroup = instance_cgroup(i);
	OWN(mem) char *kernels = engine_path(i->e, "kernels/");
	OWN(mem) char *path = NULL;
	OWN(mem) char *smaps = NULL;
	struct sched_job job = queue_job(i);
	pid_t pid = 0;

	if (cgroup_pids(cgroup, &pid, 1) == 0)
		return 0;
	path = xasprintf("/proc/%d/smaps", (int)pid);
	OWN(err) struct err *err = fd_read_file(AT_FDCWD, path, SMAPS_MAX, &smaps);

	return err ? 0 : beyond_guest(smaps, job.demand.v[RES_MEMORY], kernels);
}

/* Up at once, down slowly: the next VM's estimate shall hold. */
static void learn(struct engine *e, const struct instance *i)
{
	int64_t is = i->manage_bytes * 1000 / queue_manage_most(i);
	int64_t *learned = &e->manage_learned_milli;

	*learned = is > *learned ? is : *learned - (*learned - is) / 8;
}

/* M_i: the shim, and of a VM what QEMU has beyond the guest's memory. */
static int64_t manage_of(const struct instance *i)
{
	int64_t bytes = pss_of(i->shim_pid);

	if (spec_is_vm(i->spec))
		bytes += monitor_bytes(i);
	return bytes > 0 ? bytes : i->manage_bytes;
}

static void measure_manage(struct instance *i)
{
	i->manage_bytes = manage_of(i);
	if (spec_is_vm(i->spec))
		learn(i->e, i);
}

static void sample_one(struct instance *i, int64_t now, int64_t *sum)
{
	OWN(mem) char *path = instance_cgroup(i);
	struct cgroup_stats st = { 0 };
	OWN(err) struct err *err = cgroup_read_stats(path, &st);

	if (err)
		return;
	*sum += used_memory(&st);
	i->measured.v[RES_CPU] = cpu_rate_milli(i, st.cpu_ns, now);
	i->measured.v[RES_MEMORY] = used_memory(&st);
	/* Walks page tables: seldom is enough, it changes little. */
	if (i->samples++ % MANAGE_EVERY == 0)
		measure_manage(i);
	i->measured.v[RES_MANAGE] = i->manage_bytes;
	sched_charge(i->e->sched, i->id, i->measured);
	account_sample(i, &i->measured);
}

/* What the host's own programs use beyond S. A made-up capacity has no host in it. */
static void sample_host(struct engine *e, int64_t instances)
{
	struct amounts host = { 0 };
	int64_t total, used;
	OWN(mem) char *info = NULL;
	OWN(err) struct err *err = fd_read_file(AT_FDCWD, "/proc/meminfo", 16 << 10, &info);

	if (!err && !e->c.memory_total_bytes) {
		used = kb_field(info, "MemTotal:") - kb_field(info, "MemAvailable:");
		host.v[RES_MEMORY] = used - instances - e->reserve_bytes;
	}
	disk_space(e, &total, &used);
	if (!e->c.disk_total_bytes)
		host.v[RES_DISK] = used;
	for (enum resource r = 0; r < RES_COUNT; r++)
		if (host.v[r] < 0)
			host.v[r] = 0;
	host.v[RES_MANAGE] = e->manage_self_bytes = pss_of(getpid());
	sched_host(e->sched, host);
}

static void on_sample(void *arg)
{
	struct engine *e = arg;
	int64_t now = clock_boot_ns(), sum = 0;
	bool any = false;
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		if (i->state == INST_RUNNING)
			sample_one(i, now, &sum);
		any |= i->state != INST_CREATED && i->state != INST_EXITED;
	}
	sample_host(e, sum);
	engine_queue_dirty(e);
	if (any) /* an idle daemon sleeps */
		loop_timer_start(e->sample, SAMPLE_NS);
	e->is_sampling = any;
}

void measure_soon(struct engine *e)
{
	if (e->is_sampling)
		return;
	e->is_sampling = true;
	loop_timer_start(e->sample, SAMPLE_SOON);
}

void measure_start(struct engine *e)
{
	e->sample = loop_timer_new(e->loop, on_sample, e);
	on_sample(e);
}

/* ---- stats ---- */

static json_t *cpu_json(const struct cgroup_stats *st)
{
	return json_pack(
	    "{s:{s:I, s:I, s:I}, s:I, s:I, s:{s:I, s:I, s:I}}", "cpu_usage", "total_usage",
	    (json_int_t)st->cpu_ns, "usage_in_kernelmode", (json_int_t)st->cpu_system_ns,
	    "usage_in_usermode", (json_int_t)st->cpu_user_ns, "system_cpu_usage",
	    (json_int_t)host_cpu_ns(), "online_cpus", (json_int_t)(online_cpu_milli() / 1000),
	    "throttling_data", "periods", (json_int_t)st->periods, "throttled_periods",
	    (json_int_t)st->throttled_periods, "throttled_time", (json_int_t)st->throttled_ns);
}

static json_t *memory_json(const struct engine *e, const struct cgroup_stats *st)
{
	json_int_t limit =
	    st->memory_limit == UINT64_MAX ||
		    st->memory_limit > (uint64_t)file_kb("/proc/meminfo", "MemTotal:")
		? file_kb("/proc/meminfo", "MemTotal:")
		: (json_int_t)st->memory_limit;

	return json_pack("{s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I, s:I}}", "usage",
			 (json_int_t)st->memory, "max_usage", (json_int_t)st->memory_max, "limit",
			 limit, "failcnt", (json_int_t)st->memory_failures, "stats",
			 "inactive_file", (json_int_t)st->memory_inactive_file,
			 "total_inactive_file", (json_int_t)st->memory_inactive_file, "anon",
			 (json_int_t)st->memory_anon, "file", (json_int_t)st->memory_file, "cache",
			 (json_int_t)st->memory_file);
}

static json_t *io_entry(const char *op, uint64_t value)
{
	return json_pack("{s:i, s:i, s:s, s:I}", "major", 0, "minor", 0, "op", op, "value",
			 (json_int_t)value);
}

static json_t *io_json(const struct cgroup_stats *st)
{
	return json_pack("{s:[o, o], s:[o, o]}", "io_service_bytes_recursive",
			 io_entry("read", st->read_bytes), io_entry("write", st->write_bytes),
			 "io_serviced_recursive", io_entry("read", st->read_ops),
			 io_entry("write", st->write_ops));
}

static json_t *link_json(const struct instance *i, int index)
{
	struct net_stats n = { 0 };
	char ifname[IFNAMSIZ];

	net_ifname_at(i->id, (unsigned)index, ifname);
	err_free(net_link_stats(ifname, &n));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rx_bytes",
			 (json_int_t)n.rx_bytes, "rx_packets", (json_int_t)n.rx_packets,
			 "rx_errors", (json_int_t)n.rx_errors, "rx_dropped",
			 (json_int_t)n.rx_dropped, "tx_bytes", (json_int_t)n.tx_bytes, "tx_packets",
			 (json_int_t)n.tx_packets, "tx_errors", (json_int_t)n.tx_errors,
			 "tx_dropped", (json_int_t)n.tx_dropped);
}

static json_t *networks_json(const struct instance *i)
{
	json_t *j;

	if (!spec_has_own_network(i->spec))
		return NULL;
	j = json_object();
	/* What does not run has used nothing. */
	if (!i->n_ends)
		json_object_set_new(j, "eth0", link_json(i, 0));
	for (size_t k = 0; k < i->n_ends; k++) {
		char name[16];

		snprintf(name, sizeof(name), "eth%d", i->ends[k].index);
		json_object_set_new(j, name, link_json(i, i->ends[k].index));
	}
	return j;
}

static json_t *stats_json(struct instance *i, const struct cgroup_stats *st)
{
	json_t *j = json_object(), *pids = json_object();
	char now[40];

	jx_set_str(j, "id", i->id);
	json_object_set_new(j, "name", json_sprintf("/%s", i->spec->name));
	json_object_set_new(j, "read", json_string(clock_rfc3339(clock_wall_ns(), now)));
	json_object_set_new(j, "num_procs", json_integer(0));
	json_object_set_new(pids, "current", json_integer((json_int_t)st->pids));
	if (st->pids_limit != UINT64_MAX)
		json_object_set_new(pids, "limit", json_integer((json_int_t)st->pids_limit));
	json_object_set_new(j, "pids_stats", pids);
	json_object_set_new(j, "cpu_stats", cpu_json(st));
	json_object_set_new(j, "memory_stats", memory_json(i->e, st));
	json_object_set_new(j, "blkio_stats", io_json(st));
	json_object_set_new(j, "networks", networks_json(i));
	return j;
}

struct err *engine_stats(struct engine *e, struct instance *i, struct engine_done done)
{
	OWN(mem) char *path = instance_cgroup(i);
	struct cgroup_stats st = { 0 };

	/* What does not run has used nothing, as in Docker. */
	if (i->state == INST_RUNNING || i->state == INST_STOPPING)
		err_free(cgroup_read_stats(path, &st));
	engine_finish(e, done, NULL, stats_json(i, &st));
	return NULL;
}

/* ---- top ---- */

struct process {
	int64_t uid, pid, ppid, cpu_ticks, start_ticks;
	int tty;
	char *command;
};

static char *command_of(pid_t pid, const char *comm)
{
	OWN(mem) char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return xasprintf("[%s]", comm);
	while (n > 0 && !buf[n - 1])
		n--;
	for (ssize_t k = 0; k < n; k++)
		if (!buf[k])
			buf[k] = ' ';
	return xstrndup(buf, (size_t)n);
}

static bool read_process(pid_t pid, struct process *p)
{
	OWN(mem) char *stat_path = xasprintf("/proc/%d/stat", (int)pid);
	OWN(mem) char *status_path = xasprintf("/proc/%d/status", (int)pid);
	OWN(mem) char *text = NULL;
	OWN(mem) char *status = NULL;
	OWN(err) struct err *a = fd_read_file(AT_FDCWD, stat_path, 4096, &text);
	OWN(err) struct err *b = fd_read_file(AT_FDCWD, status_path, 16384, &status);
	char *close_at = a ? NULL : strrchr(text, ')'), *open_at = a ? NULL : strchr(text, '(');
	const char *uid = b ? NULL : strstr(status, "\nUid:");
	long long ppid, utime, stime, start;
	int tty;

	if (!close_at || !open_at || !uid)
		return false;
	if (sscanf(close_at + 2,
		   "%*c %lld %*d %*d %d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d %*d %*d "
		   "%lld",
		   &ppid, &tty, &utime, &stime, &start) != 5)
		return false;
	*close_at = '\0';
	*p = (struct process) { .uid = strtoll(uid + 5, NULL, 10),
				.pid = pid,
				.ppid = ppid,
				.cpu_ticks = utime + stime,
				.start_ticks = start,
				.tty = tty,
				.command = command_of(pid, open_at + 1) };
	return true;
}

static json_t *process_json(const struct process *p)
{
	int64_t hz = sysconf(_SC_CLK_TCK), s = p->cpu_ticks / hz;
	int64_t started = (clock_wall_ns() - clock_boot_ns()) / 1000000000 + p->start_ticks / hz;
	char when[16], used[32];
	time_t t = (time_t)started;
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%H:%M", &tm);
	snprintf(used, sizeof(used), "%02" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600,
		 s / 60 % 60, s % 60);
	return json_pack("[o, o, o, s, s, s, s, o]",
			 p->uid ? json_sprintf("%" PRId64, p->uid) : json_string("root"),
			 json_sprintf("%" PRId64, p->pid), json_sprintf("%" PRId64, p->ppid), "0",
			 when, p->tty ? "pts/0" : "?", used, jx_string(p->command));
}

struct err *engine_top(struct engine *e, struct instance *i, const char *ps_args,
		       struct engine_done done)
{
	OWN(mem) char *path = instance_cgroup(i);
	OWN(mem) pid_t *pids = xcalloc(TOP_PIDS, sizeof(*pids));
	json_t *rows = json_array();
	size_t n;

	if (i->state != INST_RUNNING && i->state != INST_STOPPING) {
		json_decref(rows);
		return err_new(ERR_STATE, "container %s is not running", i->id);
	}
	if (spec_is_vm(i->spec)) {
		json_decref(rows);
		return vm_top(i, done);
	}
	n = cgroup_pids(path, pids, TOP_PIDS);
	for (size_t k = 0; k < n && k < TOP_PIDS; k++) {
		struct process p;

		if (!read_process(pids[k], &p))
			continue;
		json_array_append_new(rows, process_json(&p));
		free(p.command);
	}
	engine_finish(e, done, NULL,
		      json_pack("{s:[s, s, s, s, s, s, s, s], s:o}", "Titles", "UID", "PID", "PPID",
				"C", "STIME", "TTY", "TIME", "CMD", "Processes", rows));
	return NULL;
}

uint64_t host_cpu_ns(void)
{
	OWN(mem) char *text = NULL;
	OWN(err) struct err *err = fd_read_file(AT_FDCWD, "/proc/stat", 1 << 20, &text);
	unsigned long long t[8] = { 0 }, sum = 0;

	if (err || sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2],
			  &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
		return 0;
	for (size_t n = 0; n < ARRAY_SIZE(t); n++)
		sum += t[n];
	return sum * (1000000000ULL / (unsigned long long)sysconf(_SC_CLK_TCK));
}
