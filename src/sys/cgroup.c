/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <dirent.h>
#include <linux/magic.h>

#include "sys/cgroup_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define ROOT        "/sys/fs/cgroup"
#define KILL_ROUNDS 1000
#define PIDS_MAX    512

/*
 * Hierarchies of a v1 host, in the order of joining.  cpuset is made when it is asked
 * for; freezer only where there is no v2 hierarchy beside, which does it better.
 */
static const char *const v1_names[] = {
	"memory", "cpu", "cpuacct", "pids", "devices", "blkio", "unified", "freezer", "cpuset",
};

static const char *const v2_names[] = { "" };

bool cgroup_is_v2(void)
{
	struct statfs fs;

	return statfs(ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool has_unified(void)
{
	return access(ROOT "/unified/cgroup.procs", F_OK) == 0;
}

static size_t hierarchies(const char *const **ret)
{
	bool v2 = cgroup_is_v2();

	*ret = v2 ? v2_names : v1_names;
	return v2 ? ARRAY_SIZE(v2_names) : ARRAY_SIZE(v1_names);
}

char *cgroup_dir(const char *controller, const char *path)
{
	if (cgroup_is_v2())
		controller = "";
	return xasprintf(ROOT "%s%s%s", *controller ? "/" : "", controller, path);
}

/* The hierarchy that freezes, kills and lists: v2 wherever there is one. */
static const char *core_name(void)
{
	return cgroup_is_v2() ? "" : has_unified() ? "unified" : "freezer";
}

struct err *cgroup_file(char buf[PATH_MAX], const char *controller, const char *path,
			const char *file)
{
	int n = snprintf(buf, PATH_MAX, ROOT "%s%s%s/%s", *controller ? "/" : "", controller, path,
			 file);

	if (n >= PATH_MAX)
		return err_new(ERR_INVALID, "cgroup path %s is too long", path);
	return NULL;
}

static struct err *put_text(const char *file, const char *text)
{
	OWN(fd) int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "open %s", file);
	if (write(fd, text, strlen(text)) < 0) {
		if (errno == EINVAL || errno == ERANGE)
			return err_new(ERR_INVALID, "%s does not take %s", file, text);
		return err_sys(errno, "write %s to %s", text, file);
	}
	return NULL;
}

struct err *cgroup_put(const char *controller, const char *path, const char *file, const char *fmt,
		       ...)
{
	char name[PATH_MAX], text[256];
	va_list ap;

	TRY(cgroup_file(name, controller, path, file));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return put_text(name, text);
}

static bool get_text(const char *file, char *buf, size_t size)
{
	OWN(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

bool cgroup_get(const char *controller, const char *path, const char *file, char *buf, size_t size)
{
	char name[PATH_MAX];
	OWN(err) struct err *e = cgroup_file(name, controller, path, file);

	buf[0] = '\0';
	return !e && get_text(name, buf, size);
}

bool cgroup_has(const char *controller, const char *path, const char *file)
{
	char name[PATH_MAX];
	OWN(err) struct err *e = cgroup_file(name, controller, path, file);

	return !e && access(name, F_OK) == 0;
}

bool cgroup_key(const char *text, const char *key, uint64_t *ret)
{
	size_t n = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, n) && p[n] == ' ')
			return sscanf(p + n + 1, "%lu", ret) == 1;
		if (!*p)
			break;
	}
	return false;
}

/* A new v1 cpuset has neither cpus nor memory nodes until it is given its parent's. */
static struct err *inherit_cpuset(const char *dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		OWN(mem) char *own = xasprintf("%s/%s", dir, files[i]);
		OWN(mem) char *up = xasprintf("%s/../%s", dir, files[i]);
		char text[256];

		if (get_text(own, text, sizeof(text)) && text[0] > ' ')
			continue;
		if (!get_text(up, text, sizeof(text)))
			return err_sys(errno, "read %s", up);
		TRY(put_text(own, text));
	}
	return NULL;
}

/* Let the children of @dir have the controllers that it has itself. */
static void enable_controllers(const char *dir)
{
	static const char *const wanted[] = { "+memory", "+cpu", "+pids", "+io", "+cpuset" };
	OWN(mem) char *file = xasprintf("%s/cgroup.subtree_control", dir);

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		OWN(err) struct err *e = put_text(file, wanted[i]);
		/* What is not there is missed when a limit is written. */
	}
}

static int make_one(const char *dir, const char *name)
{
	OWN(err) struct err *e = NULL;

	if (mkdir(dir, 0755) < 0)
		return errno == EEXIST ? 0 : -1;
	if (!strcmp(name, "cpuset"))
		e = inherit_cpuset(dir);
	return e ? -1 : 0;
}

/* Make the parents of @dir below the hierarchy's root, @skip bytes long. */
static void make_parents(const char *dir, size_t skip, const char *name)
{
	OWN(mem) char *p = xstrdup(dir);

	for (char *s = p + skip; s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (s > p + skip)
			make_one(p, name);
		if (!*name)
			enable_controllers(p);
		*s = '/';
	}
}

static struct err *create_in(const char *name, const char *path)
{
	OWN(mem) char *dir = xasprintf(ROOT "%s%s%s", *name ? "/" : "", name, path);
	size_t root_len = strlen(dir) - strlen(path);

	if (make_one(dir, name) == 0 && (*name || cgroup_has(name, path, "memory.max")))
		return NULL;
	dir[root_len] = '\0';
	if (access(dir, F_OK) < 0)
		return NULL; /* this host has no such hierarchy */
	dir[root_len] = '/';
	make_parents(dir, root_len, name);
	if (make_one(dir, name) < 0)
		return err_sys(errno, "make cgroup %s", dir);
	return NULL;
}

static bool is_wanted(const char *name, const struct cgroup_limits *l, bool unified)
{
	if (!strcmp(name, "cpuset"))
		return l->cpuset_cpus || l->cpuset_mems;
	if (!strcmp(name, "freezer"))
		return !unified;
	return true;
}

struct err *cgroup_create(const char *path, const struct cgroup_limits *l)
{
	const char *const *names;
	size_t n = hierarchies(&names);
	bool unified = has_unified();

	for (size_t i = 0; i < n; i++)
		if (is_wanted(names[i], l, unified))
			TRY(create_in(names[i], path));
	TRY(cgroup_put_limits(path, l, true));
	return cgroup_put_devices(path, l);
}

struct err *cgroup_set(const char *path, const struct cgroup_limits *l)
{
	pid_t pids[PIDS_MAX];

	if (!cgroup_is_v2() && (l->cpuset_cpus || l->cpuset_mems) &&
	    !cgroup_has("cpuset", path, "tasks")) {
		TRY(create_in("cpuset", path));
		size_t n = cgroup_pids(path, pids, PIDS_MAX);

		for (size_t i = 0; i < n && i < PIDS_MAX; i++) {
			OWN(err)
			struct err *e = cgroup_put("cpuset", path, "cgroup.procs", "%d", pids[i]);
		}
	}
	return cgroup_put_limits(path, l, false);
}

/*
 * One thread alone that moves itself by "tasks" spares the kernel its global lock;
 * v2 has that file for threaded groups only.
 */
struct err *cgroup_join(const char *path)
{
	const char *const *names;
	size_t n = hierarchies(&names);

	for (size_t i = 0; i < n; i++) {
		bool v2 = !*names[i] || !strcmp(names[i], "unified");
		OWN(err)
		struct err *e = cgroup_put(names[i], path, v2 ? "cgroup.procs" : "tasks", "0");

		if (e && err_errno(e) != ENOENT)
			return err_push(TAKE(e), __func__, "join cgroup %s", path);
	}
	return NULL;
}

struct err *cgroup_join_core(const char *path)
{
	const char *core = core_name();

	TRY_MSG(cgroup_put(core, path, "cgroup.procs", "0"), "join cgroup %s", path);
	return NULL;
}

char *cgroup_freezer_dir(const char *path)
{
	return cgroup_dir(core_name(), path);
}

struct err *cgroup_add(const char *path, pid_t pid)
{
	const char *const *names;
	size_t n = hierarchies(&names);

	for (size_t i = 0; i < n; i++) {
		OWN(err) struct err *e = cgroup_put(names[i], path, "cgroup.procs", "%d", pid);

		if (e && err_errno(e) != ENOENT)
			return err_push(TAKE(e), __func__, "put %d into cgroup %s", pid, path);
	}
	return NULL;
}

static size_t read_pids(const char *dir, pid_t *pids, size_t max)
{
	char name[PATH_MAX];
	size_t n = 0;
	int pid;

	snprintf(name, sizeof(name), "%s/cgroup.procs", dir);
	FILE *f = fopen(name, "re");

	while (f && fscanf(f, "%d", &pid) == 1)
		if (n++ < max)
			pids[n - 1] = pid;
	if (f)
		fclose(f);
	return n;
}

size_t cgroup_pids(const char *path, pid_t *pids, size_t max)
{
	OWN(mem) char *dir = cgroup_dir(core_name(), path);

	return read_pids(dir, pids, max);
}

static void sleep_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	nanosleep(&ts, NULL);
}

static bool is_frozen(const char *core, const char *path)
{
	char text[512];
	uint64_t v = 0;

	if (!strcmp(core, "freezer"))
		return cgroup_get(core, path, "freezer.state", text, sizeof(text)) &&
		       !strncmp(text, "FROZEN", 6);
	return cgroup_get(core, path, "cgroup.events", text, sizeof(text)) &&
	       cgroup_key(text, "frozen", &v) && v;
}

bool cgroup_is_frozen(const char *path)
{
	return is_frozen(core_name(), path);
}

struct err *cgroup_freeze_ask(const char *path, bool on)
{
	const char *core = core_name();

	if (!strcmp(core, "freezer"))
		return cgroup_put(core, path, "freezer.state", on ? "FROZEN" : "THAWED");
	return cgroup_put(core, path, "cgroup.freeze", on ? "1" : "0");
}

struct err *cgroup_freeze(const char *path, bool on)
{
	const char *core = core_name();

	TRY(cgroup_freeze_ask(path, on));
	for (int i = 0; i < 50 && is_frozen(core, path) != on; i++)
		sleep_ms(2);
	return NULL;
}

/* Signal all in @dir and below; returns how many there were. */
static size_t kill_tree(const char *dir)
{
	pid_t pids[PIDS_MAX];
	size_t n = read_pids(dir, pids, PIDS_MAX);
	DIR *d = opendir(dir);
	struct dirent *ent;

	for (size_t i = 0; i < n && i < PIDS_MAX; i++)
		if (pids[i] > 0) /* 0: of a pid namespace that we do not see */
			kill(pids[i], SIGKILL);
	while (d && (ent = readdir(d))) {
		if (ent->d_type != DT_DIR || ent->d_name[0] == '.')
			continue;
		OWN(mem) char *sub = xasprintf("%s/%s", dir, ent->d_name);

		n += kill_tree(sub);
	}
	if (d)
		closedir(d);
	return n;
}

static bool is_populated(const char *core, const char *path)
{
	char text[512];
	uint64_t v = 1;

	if (!strcmp(core, "freezer"))
		return cgroup_pids(path, NULL, 0) > 0;
	return cgroup_get(core, path, "cgroup.events", text, sizeof(text)) &&
	       cgroup_key(text, "populated", &v) && v;
}

struct err *cgroup_kill(const char *path, int timeout_ms)
{
	const char *core = core_name();
	OWN(mem) char *dir = cgroup_dir(core, path);
	bool at_once = cgroup_has(core, path, "cgroup.kill");
	int64_t end = clock_boot_ns() + timeout_ms * INT64_C(1000000);

	while (is_populated(core, path)) {
		if (at_once)
			TRY(cgroup_put(core, path, "cgroup.kill", "1"));
		else
			kill_tree(dir);
		if (!strcmp(core, "freezer")) {
			/* A v1 freezer lets nobody die before he thaws. */
			OWN(err) struct err *e = cgroup_put(core, path, "freezer.state", "THAWED");
		}
		if (!is_populated(core, path))
			break;
		if (clock_boot_ns() >= end)
			return timeout_ms
				   ? err_new(ERR_UNAVAILABLE, "processes of %s do not end", path)
				   : NULL;
		sleep_ms(1);
	}
	return NULL;
}

static int remove_tree(const char *dir)
{
	DIR *d;
	struct dirent *ent;

	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -1;
	d = opendir(dir);
	while (d && (ent = readdir(d))) {
		if (ent->d_type != DT_DIR || ent->d_name[0] == '.')
			continue;
		OWN(mem) char *sub = xasprintf("%s/%s", dir, ent->d_name);

		remove_tree(sub);
	}
	if (d)
		closedir(d);
	return rmdir(dir) == 0 || errno == ENOENT ? 0 : -1;
}

struct err *cgroup_remove(const char *path, int timeout_ms)
{
	const char *const *names;
	size_t n = hierarchies(&names);
	int64_t end = clock_boot_ns() + timeout_ms * INT64_C(1000000);

	for (size_t i = 0; i < n; i++) {
		OWN(mem) char *dir = xasprintf(ROOT "%s%s%s", *names[i] ? "/" : "", names[i], path);

		while (remove_tree(dir) < 0) {
			if (errno != EBUSY || clock_boot_ns() >= end)
				return err_sys(errno, "remove cgroup %s", dir);
			sleep_ms(1);
		}
	}
	return NULL;
}

static struct err *watch_oom_v1(const char *path, int *ret_fd)
{
	char name[PATH_MAX];
	OWN(fd) int control = -1;
	OWN(fd) int event = -1;

	TRY(cgroup_file(name, "memory", path, "memory.oom_control"));
	control = open(name, O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return err_sys(errno, "open %s", name);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return err_sys(errno, "eventfd");
	TRY(cgroup_put("memory", path, "cgroup.event_control", "%d %d", event, control));
	*ret_fd = TAKE_FD(event);
	return NULL;
}

struct err *cgroup_watch_oom(const char *path, int *ret_fd)
{
	char name[PATH_MAX];
	int fd;

	if (!cgroup_is_v2())
		return watch_oom_v1(path, ret_fd);
	TRY(cgroup_file(name, "", path, "memory.events"));
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "open %s", name);
	*ret_fd = fd;
	return NULL;
}

uint64_t cgroup_oom_kills(const char *path)
{
	char text[512];
	uint64_t v = 0;

	cgroup_get("memory", path, "memory.oom_control", text, sizeof(text));
	if (!cgroup_key(text, "oom_kill", &v)) {
		cgroup_get("", path, "memory.events", text, sizeof(text));
		cgroup_key(text, "oom_kill", &v);
	}
	return v;
}
