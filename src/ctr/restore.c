/* SPDX-License-Identifier: Apache-2.0 */
/* A start that brings back what ctr/dump.c wrote: the phases of a fresh one around criu. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/criu.h"
#include "ctr/dump.h"
#include "ctr/report.h"
#include "ctr/start.h"
#include "ctr/start_int.h"
#include "net/plan.h"
#include "sys/cgroup.h"
#include "util/fd.h"
#include "util/mem.h"

#define LOG_ERRORS  2
#define STDIN_MAX   (1 << 20)
#define INHERIT_MAX (DUMP_PIPES + 1)

struct restore {
	struct run run;
	int dir_fd, work_fd, netns;
	json_t *doc;
	struct str opts;
	int fds[INHERIT_MAX];
	size_t n_fds;
};

/* ---- what was written ---- */

static struct err *load(struct restore *t)
{
	const char *dir = t->run.s->restore_dir;

	t->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir_fd < 0)
		return err_new(ERR_NOT_FOUND, "checkpoint %s is not there", dir);
	TRY_MSG(jx_load(t->dir_fd, DUMP_DOC, &t->doc), "checkpoint %s is not whole", dir);
	if (jx_int(t->doc, "version", 0) != DUMP_VERSION ||
	    strcmp(jx_str(t->doc, "kind", ""), "container") != 0)
		return err_new(ERR_UNSUPPORTED,
			       "checkpoint %s is none of a container, or of a later version", dir);
	if (jx_bool(t->doc, "tty", false) != t->run.s->is_tty)
		return err_new(ERR_INVALID, "the checkpoint is of an instance with%s a terminal",
			       t->run.s->is_tty ? "out" : "");
	/* Read only: the log of this try lies beside the instance. */
	t->work_fd = open(t->run.s->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->work_fd < 0)
		return err_sys(errno, "open %s", t->run.s->state_dir);
	return NULL;
}

/* ---- phases ---- */

/* Whoever undoes this kills all in the group: criu, what it made, and us. */
static struct err *phase_guard(struct restore *t)
{
	if (!t->run.plan.cgroup)
		return err_new(ERR_UNSUPPORTED, "it has no cgroup");
	return cgroup_join_core(t->run.plan.cgroup);
}

static bool plan_has_ns(const struct plan *p, const char *type)
{
	const json_t *list = json_object_get(p->lin, "namespaces");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(jx_str(json_array_get(list, i), "type", ""), type) &&
		    !jx_str(json_array_get(list, i), "path", NULL))
			return true;
	return false;
}

static struct err *set_net_sysctls(struct run *r)
{
	json_t *all = json_object_get(r->plan.lin, "sysctl"), *value;
	const char *key;

	/* Others belong to namespaces that criu makes, and fills. */
	json_object_foreach(all, key, value)
	{
		if (!strncmp(key, "net.", 4))
			TRY(set_sysctl(key,
				       json_string_value(value) ? json_string_value(value) : ""));
	}
	return NULL;
}

/*
 * While its sockets are not there yet, whoever sends to them must get no answer, which would be
 * that there is no such connection.
 */
static struct err *set_links_up(const struct run *r, bool on)
{
	const json_t *net;

	for (size_t n = 0; (net = net_plan_link(r->plan.net, n)); n++)
		TRY(net_link_set_up(jx_str(net, "host_ifname", ""), on));
	return NULL;
}

static struct err *phase_network(struct restore *t)
{
	struct run *r = &t->run;

	if (plan_has_ns(&r->plan, "network") != jx_bool(t->doc, "own_net", false))
		return err_new(ERR_INVALID,
			       "the checkpoint is of an instance with%s a network of its own",
			       jx_bool(t->doc, "own_net", false) ? "" : "out");
	if (!jx_bool(t->doc, "own_net", false))
		return NULL;
	r->host_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (r->host_netns < 0 || unshare(CLONE_NEWNET) < 0)
		return err_sys(errno, "make a network namespace");
	r->ns_new = CLONE_NEWNET;
	t->netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (t->netns < 0)
		return err_sys(errno, "open the network namespace");
	TRY(inside_link(r));
	if (setns(r->host_netns, CLONE_NEWNET) < 0)
		return err_sys(errno, "go to the host's network");
	TRY(set_links_up(r, false));
	if (setns(t->netns, CLONE_NEWNET) < 0)
		return err_sys(errno, "come back to the network namespace");
	TRY(inside_network(r));
	TRY(set_net_sysctls(r));
	if (setns(r->host_netns, CLONE_NEWNET) < 0)
		return err_sys(errno, "go to the host's network");
	criu_opt_inherit(&t->opts, DUMP_NET_KEY, t->netns);
	t->fds[t->n_fds++] = t->netns;
	return NULL;
}

static struct err *phase_root(struct restore *t)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(errno, "make a mount namespace");
	TRY(inside_rootfs(&t->run));
	criu_opt_text(&t->opts, CRIU_OPT_ROOT, t->run.root);
	return NULL;
}

static const char *plan_source(const struct plan *p, const char *destination)
{
	const json_t *list = json_object_get(p->oci, "mounts");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);

		if (!strcmp(jx_str(j, "destination", ""), destination) &&
		    !strcmp(jx_str(j, "type", ""), "bind"))
			return jx_str(j, "source", NULL);
	}
	return NULL;
}

/* Path on the host of a mount that came from outside. */
static struct err *find_source(const struct restore *t, const json_t *m, char **ret)
{
	const char *to = jx_str(m, "to", NULL), *cgroup = jx_str(m, "cgroup", NULL);
	const char *source;

	if (cgroup) {
		*ret = cgroup_dir(cgroup, t->run.plan.cgroup);
		return NULL;
	}
	if (!to) {
		*ret = xstrdup(jx_str(m, "host", "/"));
		return NULL;
	}
	source = plan_source(&t->run.plan, to);
	if (!source)
		return err_new(ERR_INVALID,
			       "the checkpoint has a mount at %s, this instance has none", to);
	OWN(mem) char *path = xasprintf("%s%s", source, jx_str(m, "rest", ""));

	/* criu follows no links. */
	*ret = realpath(path, NULL);
	if (!*ret)
		return err_new(ERR_NOT_FOUND, "bind source path does not exist: %s", path);
	return NULL;
}

static struct err *phase_mounts(struct restore *t)
{
	const json_t *list = json_object_get(t->doc, "mounts");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *m = json_array_get(list, i);
		OWN(mem) char *source = NULL;

		TRY(find_source(t, m, &source));
		OWN(mem) char *external = xasprintf("mnt[%s]:%s", jx_str(m, "key", ""), source);

		criu_opt_text(&t->opts, CRIU_OPT_EXTERNAL, external);
	}
	return NULL;
}

/* What it had been sent, and had not read. */
static struct err *fill_stdin(const struct restore *t)
{
	OWN(mem) char *path = xasprintf("/proc/self/fd/%d", t->run.s->in);
	OWN(fd) int from = openat(t->dir_fd, DUMP_STDIN, O_RDONLY | O_CLOEXEC);
	OWN(fd) int to = -1;
	OWN(mem) char *buf = NULL;
	ssize_t n;

	if (from < 0)
		return NULL;
	to = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (to < 0)
		return err_sys(errno, "open its stdin");
	buf = xcalloc(STDIN_MAX, 1);
	n = read(from, buf, STDIN_MAX);
	fcntl(to, F_SETPIPE_SZ, (int)n);
	if (n < 0 || write(to, buf, (size_t)n) != n)
		return err_sys(errno, "fill its stdin");
	return NULL;
}

static struct err *phase_stdio(struct restore *t)
{
	const struct ctr_start *s = t->run.s;
	const int ends[DUMP_PIPES] = { s->in, s->out, s->err };
	const json_t *pipes = json_object_get(t->doc, "pipes");
	struct report ended = { .type = REPORT_STDIN_ENDED };

	for (size_t i = 0; i < DUMP_PIPES; i++) {
		const char *key = json_string_value(json_array_get(pipes, i));

		if (!key || ends[i] < 0)
			continue;
		(void)!fchown(ends[i], (uid_t)jx_int(t->doc, "owner", 0), (gid_t)-1);
		criu_opt_inherit(&t->opts, key, ends[i]);
		t->fds[t->n_fds++] = ends[i];
	}
	if (s->in >= 0)
		TRY(fill_stdin(t));
	if (jx_bool(t->doc, "stdin_ended", false))
		return report_send(s->report, &ended, -1, -1);
	return NULL;
}

/* ---- criu's stages ---- */

static struct err *set_names(const struct run *r)
{
	OWN(mem) char *path = xasprintf("/proc/%d/ns/uts", r->init);
	OWN(fd) int uts = -1;

	if (!plan_has_ns(&r->plan, "uts"))
		return NULL;
	uts = open(path, O_RDONLY | O_CLOEXEC);
	if (uts < 0 || setns(uts, CLONE_NEWUTS) < 0)
		return err_sys(errno, "enter %s", path);
	return set_hostname(&r->plan);
}

static struct err *on_stage(void *arg, const char *name, pid_t pid, int fd)
{
	struct restore *t = arg;
	struct report tty = { .type = REPORT_TTY };

	/* The first process is there, alone and empty: all that follows is its child. */
	if (!strcmp(name, "setup-namespaces")) {
		t->run.init = pid;
		return cgroup_add(t->run.plan.cgroup, pid);
	}
	if (!strcmp(name, "orphan-pts-master"))
		return report_send(t->run.s->report, &tty, fd, -1);
	if (!strcmp(name, "post-restore"))
		return set_names(&t->run);
	return NULL;
}

static struct err *phase_criu(struct restore *t)
{
	struct criu_run c = {
		.program = jx_str(t->run.plan.host, "criu", NULL),
		.type = CRIU_RESTORE,
		.opts = &t->opts,
		.work_fd = t->work_fd,
		.log = RESTORE_LOG,
		.fds = t->fds,
		.n_fds = t->n_fds,
		.timeout_ns = DUMP_TIME_NS,
		.stage = on_stage,
		.arg = t,
	};

	criu_opt_number(&t->opts, CRIU_OPT_IMAGES_FD, (uint64_t)t->dir_fd);
	criu_opt_number(&t->opts, CRIU_OPT_WORK_FD, (uint64_t)t->work_fd);
	criu_opt_number(&t->opts, CRIU_OPT_LOG_LEVEL, LOG_ERRORS);
	criu_opt_text(&t->opts, CRIU_OPT_LOG_FILE, RESTORE_LOG);
	criu_opt_number(&t->opts, CRIU_OPT_CGROUPS, CRIU_CGROUPS_IGNORE);
	criu_opt_number(&t->opts, CRIU_OPT_FILE_LOCKS, 1);
	criu_opt_number(&t->opts, CRIU_OPT_TCP_ESTABLISHED, 1);
	criu_opt_number(&t->opts, CRIU_OPT_NETWORK_LOCK, CRIU_LOCK_SKIP);
	criu_opt_number(&t->opts, CRIU_OPT_NOTIFY, 1);
	criu_opt_number(&t->opts, CRIU_OPT_SIBLING, 1);
	if (t->run.s->is_tty)
		criu_opt_number(&t->opts, CRIU_OPT_ORPHAN_PTS, 1);
	return criu_run(&c, &t->run.init);
}

static struct err *phase_tell(struct restore *t)
{
	struct run *r = &t->run;

	r->pidfd = (int)syscall(SYS_pidfd_open, r->init, 0);
	if (r->pidfd < 0)
		return err_sys(errno, "watch process %d", r->init);
	r->ns_new |= CLONE_NEWPID;
	if (t->netns >= 0)
		TRY(set_links_up(r, true));
	return tell_process(r);
}

static struct err *phase_cgroup(struct restore *t)
{
	return host_cgroup(&t->run);
}

static struct err *phase_disk(struct restore *t)
{
	return host_disk(&t->run);
}

/* In order; undone as a fresh start is (start.c). */
static const struct {
	const char *name;
	struct err *(*run)(struct restore *t);
} phases[] = {
	{ "cgroup", phase_cgroup },   /* groups, limits, watch for kills */
	{ "guard", phase_guard },     /* where all of criu's can be killed */
	{ "disk", phase_disk },       /* a limited disk's loop device */
	{ "network", phase_network }, /* namespace, veth, addresses */
	{ "root", phase_root },       /* mounts of our own, overlay */
	{ "mounts", phase_mounts },   /* where the binds lead now */
	{ "stdio", phase_stdio },     /* pipes */
	{ "criu", phase_criu },       /* processes, and all the rest */
	{ "tell", phase_tell },       /* the shim whom it is the parent of */
};

static struct err *restore(struct restore *t)
{
	TRY(plan_load(t->run.s->state_dir, &t->run.plan));
	TRY(load(t));
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		TRY(phases[i].run(t));
	return NULL;
}

_Noreturn void ctr_restore_run(const struct ctr_start *s)
{
	struct restore t = {
		.run = { .s = s,
			 .limits = { .l = CGROUP_LIMITS_NONE },
			 .disk_fd = -1,
			 .oom_fd = -1,
			 .pidfd = -1,
			 .console = -1 },
		.dir_fd = -1,
		.work_fd = -1,
		.netns = -1,
	};
	struct err *e;

	default_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What criu leaves when it is killed is ours, and ends with the group. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	e = restore(&t);
	if (e)
		report_failure(s->report, e);
	_exit(e ? 1 : 0);
}
