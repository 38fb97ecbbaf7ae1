/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/stats.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define PROC_MAX (1024u * 1024)

static char *read_proc(const char *path)
{
	char *text = NULL;
	struct err *e = fd_read_file(AT_FDCWD, path, PROC_MAX, &text);

	err_free(e);
	return e ? xstrdup("") : text;
}

/* The number after "key" at the start of a line; 0 when it is not there. */
static int64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static void add_cpu(json_t *j)
{
	OWN(mem) char *text = read_proc("/proc/stat");
	long long user = 0, nice = 0, sys = 0, idle = 0, wait = 0, irq = 0, soft = 0;
	long hz = sysconf(_SC_CLK_TCK);

	(void)sscanf(text, "cpu %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &sys, &idle,
		     &wait, &irq, &soft);
	json_object_set_new(j, "cpu_ns",
			    json_integer((user + nice + sys + irq + soft) * (1000000000ll / hz)));
	json_object_set_new(j, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
}

static void add_memory(json_t *j)
{
	OWN(mem) char *text = read_proc("/proc/meminfo");
	int64_t total = number_after(text, "MemTotal:") * 1024;
	int64_t available = number_after(text, "MemAvailable:") * 1024;

	json_object_set_new(j, "memory_total_bytes", json_integer(total));
	json_object_set_new(j, "memory_bytes", json_integer(total - available));
	json_object_set_new(j, "cache_bytes", json_integer(number_after(text, "\nCached:") * 1024));
}

static void add_disks(json_t *j)
{
	OWN(mem) char *text = read_proc("/proc/diskstats");
	unsigned long long in = 0, out = 0, sectors_in, sectors_out;
	char *save = NULL, name[33];

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (sscanf(l, "%*u %*u %32s %*u %*u %llu %*u %*u %*u %llu", name, &sectors_in,
			   &sectors_out) == 3) {
			in += sectors_in * 512;
			out += sectors_out * 512;
		}
	json_object_set_new(j, "read_bytes", json_integer((json_int_t)in));
	json_object_set_new(j, "write_bytes", json_integer((json_int_t)out));
}

static void add_links(json_t *j)
{
	OWN(mem) char *text = read_proc("/proc/net/dev");
	unsigned long long sum[4] = { 0 }, v[4];
	static const char *const names[] = { "rx_bytes", "rx_packets", "tx_bytes", "tx_packets" };
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		const char *colon = strchr(l, ':');

		if (!colon || strstr(l, " lo:") ||
		    sscanf(colon + 1, "%llu %llu %*u %*u %*u %*u %*u %*u %llu %llu", &v[0], &v[1],
			   &v[2], &v[3]) != 4)
			continue;
		for (int i = 0; i < 4; i++)
			sum[i] += v[i];
	}
	for (int i = 0; i < 4; i++)
		json_object_set_new(j, names[i], json_integer((json_int_t)sum[i]));
}

/* Calls @fn for every process that has a command line (kernel threads have none). */
static void each_process(void (*fn)(void *arg, const char *pid, const struct str *cmdline),
			 void *arg)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		OWN(str) struct str cmd = { 0 };
		char path[300], buf[4096];
		ssize_t n;
		int fd;

		if (!isdigit((unsigned char)e->d_name[0]) || !strcmp(e->d_name, "1"))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd >= 0 ? read(fd, buf, sizeof(buf)) : -1;
		own_fd_release(&fd);
		if (n <= 0)
			continue;
		for (ssize_t i = 0; i < n - 1; i++)
			buf[i] = buf[i] ? buf[i] : ' ';
		str_add(&cmd, buf, (size_t)n);
		fn(arg, e->d_name, &cmd);
	}
	if (d)
		closedir(d);
}

static void count(void *arg, const char *pid, const struct str *cmdline)
{
	(*(int *)arg)++;
}

json_t *guest_stats(void)
{
	json_t *j = json_object();
	int n = 0;

	add_cpu(j);
	add_memory(j);
	add_disks(j);
	add_links(j);
	each_process(count, &n);
	json_object_set_new(j, "pids", json_integer(n));
	return j;
}

struct stat_line {
	int ppid;
	long long ticks;
};

static struct stat_line read_stat(const char *pid)
{
	struct stat_line s = { 0 };
	char path[64];
	long long user = 0, sys = 0;
	OWN(mem) char *text = NULL;
	const char *after;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	text = read_proc(path);
	after = strrchr(text, ')');
	if (after)
		(void)sscanf(after + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld",
			     &s.ppid, &user, &sys);
	s.ticks = user + sys;
	return s;
}

/* An answer is one frame. */
#define TOP_ROWS 100
#define TOP_CMD  70

static void add_row(void *arg, const char *pid, const struct str *cmdline)
{
	struct stat_line s = read_stat(pid);
	long long secs = s.ticks / sysconf(_SC_CLK_TCK);
	char path[64], uid[16], ppid[16], cpu[32];
	struct stat st = { 0 };
	char cmd[TOP_CMD];
	json_t *row;
	const char *cells[] = { uid, pid, ppid, "0", "-", "?", cpu, cmd };

	if (json_array_size(arg) >= TOP_ROWS)
		return;
	row = json_array();
	snprintf(cmd, sizeof(cmd), "%s", cmdline->buf);

	snprintf(path, sizeof(path), "/proc/%s", pid);
	(void)stat(path, &st);
	snprintf(uid, sizeof(uid), "%u", st.st_uid);
	snprintf(ppid, sizeof(ppid), "%d", s.ppid);
	snprintf(cpu, sizeof(cpu), "%02lld:%02lld:%02lld", secs / 3600, secs / 60 % 60, secs % 60);
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		json_array_append_new(row, jx_string(cells[i]));
	json_array_append_new(arg, row);
}

json_t *guest_top(void)
{
	static const char *const titles[] = { "UID",   "PID", "PPID", "C",
					      "STIME", "TTY", "TIME", "CMD" };
	json_t *j = json_object(), *head = json_array(), *rows = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		json_array_append_new(head, json_string(titles[i]));
	each_process(add_row, rows);
	json_object_set_new(j, "Titles", head);
	json_object_set_new(j, "Processes", rows);
	return j;
}
