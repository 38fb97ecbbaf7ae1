/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctr/criu.h"
#include "ctr/mountinfo.h"
#include "ctr/report.h"
#include "ctr/start_int.h"
#include "net/plan.h"
#include "sys/cgroup.h"
#include "sys/path.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define GHOST_MAX   (UINT64_C(1) << 30) /* of a deleted file that is still open */
#define LOG_ERRORS  2
#define PENDING_MAX (1 << 20)

struct work {
	const struct ctr_dump *d;
	struct plan plan;
	struct mount_list own, inside;
	json_t *doc;
	struct str opts;
};

static void work_done(struct work *w)
{
	plan_done(&w->plan);
	mount_list_done(&w->own);
	mount_list_done(&w->inside);
	json_decref(w->doc);
	str_done(&w->opts);
}

/* ---- what cannot be ---- */

static const struct {
	const char *type;
	bool must_be_new;
	const char *text; /* what a path, or its absence, means */
} namespaces[] = {
	{ "pid", true, "it has no process numbers of its own (--pid)" },
	{ "ipc", false, "it shares its IPC namespace with another instance (--ipc)" },
	{ "uts", false, "it shares its hostname with another instance (--uts)" },
	{ "network", false, "it shares the network of another instance (--network container:)" },
};

static const json_t *find_ns(const struct plan *p, const char *type)
{
	const json_t *list = json_object_get(p->lin, "namespaces");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(jx_str(json_array_get(list, i), "type", ""), type))
			return json_array_get(list, i);
	return NULL;
}

static struct err *check_plan(const struct plan *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		const json_t *ns = find_ns(p, namespaces[i].type);

		if ((!ns && namespaces[i].must_be_new) || jx_str(ns, "path", NULL))
			return err_new(ERR_UNSUPPORTED, "%s", namespaces[i].text);
	}
	if (!p->cgroup)
		return err_new(ERR_UNSUPPORTED, "it has no cgroup");
	return NULL;
}

/* ---- mounts from outside ---- */

/* Which of the plan's mounts is this one, or lies it below? */
static const char *find_destination(const struct work *w, const struct mount_line *m,
				    const char **ret_rest)
{
	const json_t *list = json_object_get(w->plan.oci, "mounts");
	const char *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);
		const char *to = jx_str(j, "destination", ""), *at = jx_str(j, "hostel.at", to);
		size_t n = strlen(at);

		if (strcmp(jx_str(j, "type", ""), "bind") != 0 || n < best_len)
			continue;
		if (strncmp(at, m->at, n) != 0 || (m->at[n] && m->at[n] != '/'))
			continue;
		best = to;
		best_len = n;
		*ret_rest = m->at + n;
	}
	return best;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct err *describe(const struct work *w, const struct mount_line *m, json_t *j)
{
	const char *rest = "", *to = find_destination(w, m, &rest);
	const struct mount_line *own;

	if (!strncmp(m->type, "cgroup", 6)) {
		jx_set_str(j, "cgroup", last_part(m->at));
		return NULL;
	}
	if (to) {
		jx_set_str(j, "to", to);
		jx_set_str(j, "rest", rest);
		return NULL;
	}
	own = mount_list_find(&w->own, m, &rest);
	if (!own)
		return err_new(ERR_UNSUPPORTED, "mount %s (%s) comes from nowhere", m->at, m->type);
	OWN(mem) char *host = xasprintf("%s%s", strcmp(own->at, "/") ? own->at : "", rest);

	jx_set_str(j, "host", *host ? host : "/");
	return NULL;
}

static bool is_foreign(const struct work *w, const struct mount_line *m)
{
	const char *rest;

	if (!strncmp(m->type, "cgroup", 6))
		return true;
	for (size_t i = 0; i < w->own.n; i++)
		if (w->own.v[i].major == m->major && w->own.v[i].minor == m->minor)
			return true;
	return find_destination(w, m, &rest) && strcmp(m->type, "overlay") != 0 &&
	       strcmp(m->type, "tmpfs") != 0;
}

/* Links in the image may lead a mount elsewhere: note where the plan's mounts are. */
static void note_places(struct work *w)
{
	const json_t *list = json_object_get(w->plan.oci, "mounts");
	OWN(mem) char *path = xasprintf("/proc/%d/root", w->d->pid);
	OWN(fd) int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; root >= 0 && i < json_array_size(list); i++) {
		json_t *j = json_array_get(list, i);
		OWN(fd) int fd = path_open_in_root(root, jx_str(j, "destination", "/"), O_PATH);
		struct statx st;

		if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
			continue;
		for (size_t n = 0; n < w->inside.n; n++)
			if (w->inside.v[n].id == st.stx_mnt_id &&
			    strcmp(w->inside.v[n].at, "/") != 0)
				jx_set_str(j, "hostel.at", w->inside.v[n].at);
	}
}

static struct err *add_mounts(struct work *w)
{
	json_t *list = json_array();
	size_t n = 0;

	json_object_set_new(w->doc, "mounts", list);
	TRY(mount_list_read(0, &w->own));
	TRY(mount_list_read(w->d->pid, &w->inside));
	note_places(w);
	for (size_t i = 0; i < w->inside.n; i++) {
		const struct mount_line *m = &w->inside.v[i];
		char key[16];

		if (!strcmp(m->at, "/") || !is_foreign(w, m))
			continue;
		snprintf(key, sizeof(key), "m%zu", n++);
		OWN(mem) char *external = xasprintf("mnt[%s]:%s", m->at, key);
		json_t *j = json_object();

		json_array_append_new(list, j);
		jx_set_str(j, "key", key);
		jx_set_str(j, "at", m->at);
		TRY(describe(w, m, j));
		criu_opt_text(&w->opts, CRIU_OPT_EXTERNAL, external);
	}
	return NULL;
}

/* ---- network ---- */

static struct err *add_net(struct work *w)
{
	OWN(mem) char *path = xasprintf("/proc/%d/ns/net", w->d->pid);
	OWN(mem) char *external = NULL;
	bool own = find_ns(&w->plan, "network") != NULL;
	struct stat st;

	json_object_set_new(w->doc, "own_net", json_boolean(own));
	criu_opt_number(&w->opts, CRIU_OPT_NETWORK_LOCK, CRIU_LOCK_SKIP);
	if (!own)
		return NULL; /* nobody can hold its packets: open connections are refused */
	if (stat(path, &st) < 0)
		return err_sys(errno, "look at %s", path);
	external = xasprintf("net[%lu]:%s", st.st_ino, DUMP_NET_KEY);
	criu_opt_text(&w->opts, CRIU_OPT_EXTERNAL, external);
	criu_opt_number(&w->opts, CRIU_OPT_TCP_ESTABLISHED, 1);
	return NULL;
}

static struct err *hold_links(const struct work *w)
{
	const json_t *net;

	for (size_t n = 0; (net = net_plan_link(w->plan.net, n)); n++) {
		struct report m = { .type = REPORT_HELD };

		snprintf(m.text, sizeof(m.text), "%s", jx_str(net, "host_ifname", ""));
		TRY(report_send(w->d->report, &m, -1, -1));
		TRY(net_link_hold(m.text, true));
	}
	return NULL;
}

/* ---- stdio ---- */

/* One of our pipes, as the container's first process has it; -1: it has it no more. */
static int open_stdio(const struct ctr_dump *d, int n)
{
	OWN(mem) char *path = xasprintf("/proc/%d/fd/%d", d->pid, n);
	OWN(fd) int fd = open(path, (n ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != d->pipes[n] || !S_ISFIFO(st.st_mode))
		return -1;
	return TAKE_FD(fd);
}

/* What was written to its stdin, and not read by it yet; it stays there too. */
static struct err *save_stdin(const struct work *w, int fd)
{
	OWN(fd) int from = -1;
	OWN(fd) int to = -1;
	OWN(mem) char *buf = NULL;
	int len = 0;
	ssize_t n;

	if (ioctl(fd, FIONREAD, &len) < 0 || len <= 0)
		return NULL;
	TRY(fd_pipe(&from, &to));
	buf = xcalloc(PENDING_MAX, 1);
	fcntl(to, F_SETPIPE_SZ, PENDING_MAX);
	n = tee(fd, to, PENDING_MAX, SPLICE_F_NONBLOCK);
	if (n > 0)
		n = read(from, buf, PENDING_MAX);
	if (n < 0)
		return err_sys(errno, "read what it was sent");
	return fd_write_file(w->d->dir_fd, DUMP_STDIN, buf, (size_t)n, 0600);
}

static struct err *add_stdio(struct work *w)
{
	json_t *pipes = json_array();
	struct stat st = { 0 };

	json_object_set_new(w->doc, "pipes", pipes);
	for (int n = 0; n < DUMP_PIPES; n++) {
		OWN(mem) char *key = xasprintf("pipe:[%lu]", w->d->pipes[n]);
		OWN(fd) int fd = w->d->pipes[n] ? open_stdio(w->d, n) : -1;
		struct pollfd p = { .fd = fd };

		json_array_append_new(pipes, w->d->pipes[n] ? json_string(key) : json_null());
		if (fd >= 0)
			fstat(fd, &st);
		if (n || fd < 0)
			continue;
		poll(&p, 1, 0);
		json_object_set_new(w->doc, "stdin_ended", json_boolean(p.revents & POLLHUP));
		TRY(save_stdin(w, fd));
	}
	json_object_set_new(w->doc, "owner", json_integer(st.st_uid));
	return NULL;
}

/* ---- all of it ---- */

static int64_t folder_bytes(int dir_fd)
{
	DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *ent;
	int64_t sum = 0;

	while (dir && (ent = readdir(dir))) {
		struct stat st;

		if (fstatat(dir_fd, ent->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += st.st_size;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void add_basics(struct work *w)
{
	OWN(mem) char *freezer = cgroup_freezer_dir(w->plan.cgroup);

	json_object_set_new(w->doc, "version", json_integer(DUMP_VERSION));
	jx_set_str(w->doc, "kind", "container");
	json_object_set_new(w->doc, "tty", json_boolean(w->d->is_tty));
	criu_opt_number(&w->opts, CRIU_OPT_IMAGES_FD, (uint64_t)w->d->dir_fd);
	criu_opt_number(&w->opts, CRIU_OPT_PID, (uint64_t)w->d->pid);
	criu_opt_number(&w->opts, CRIU_OPT_LEAVE_RUNNING, 1);
	criu_opt_number(&w->opts, CRIU_OPT_FILE_LOCKS, 1);
	criu_opt_number(&w->opts, CRIU_OPT_LOG_LEVEL, LOG_ERRORS);
	criu_opt_text(&w->opts, CRIU_OPT_LOG_FILE, DUMP_LOG);
	criu_opt_number(&w->opts, CRIU_OPT_CGROUPS, CRIU_CGROUPS_IGNORE);
	criu_opt_number(&w->opts, CRIU_OPT_GHOST_LIMIT, GHOST_MAX);
	/* Frozen before and after: nothing inside runs between the two. */
	criu_opt_text(&w->opts, CRIU_OPT_FREEZE_CGROUP, freezer);
	criu_opt_number(&w->opts, CRIU_OPT_TIMEOUT, DUMP_TIME_NS / 1000000000);
	if (w->d->is_tty)
		criu_opt_number(&w->opts, CRIU_OPT_ORPHAN_PTS, 1);
}

static struct err *run_criu(struct work *w)
{
	const char *program = jx_str(w->plan.host, "criu", NULL);
	struct criu_run c = {
		.program = program,
		.type = CRIU_DUMP,
		.opts = &w->opts,
		.work_fd = w->d->dir_fd,
		.log = DUMP_LOG,
		.timeout_ns = DUMP_TIME_NS,
	};

	/* What it mounts on the way goes with this namespace, even if it is killed. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(errno, "make a mount namespace");
	return criu_run(&c, NULL);
}

static struct err *dump(struct work *w)
{
	struct report done = { .type = REPORT_DUMPED };

	TRY(plan_load(w->d->state_dir, &w->plan));
	TRY(check_plan(&w->plan));
	w->doc = json_object();
	add_basics(w);
	TRY(add_mounts(w));
	TRY(add_net(w));
	TRY(add_stdio(w));
	TRY(hold_links(w));
	TRY(run_criu(w));
	TRY(jx_save(w->d->dir_fd, DUMP_DOC, w->doc, 0600));
	snprintf(done.text, sizeof(done.text), "{\"frozen_ns\":%ld,\"bytes\":%ld,\"warnings\":[]}",
		 clock_boot_ns() - w->d->frozen_ns, folder_bytes(w->d->dir_fd));
	return report_send(w->d->report, &done, -1, -1);
}

_Noreturn void ctr_dump_run(const struct ctr_dump *d)
{
	struct work w = { .d = d };
	struct err *e;

	default_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	e = dump(&w);
	if (e)
		report_failure(d->report, e);
	work_done(&w);
	_exit(e ? 1 : 0);
}
