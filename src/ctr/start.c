/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/report.h"
#include "ctr/start_int.h"
#include "model/plan.h"
#include "net/plan.h"
#include "util/fd.h"
#include "util/mem.h"

enum side { HOST, INSIDE };

static struct err *host_cgroup(struct run *r);
static struct err *host_disk(struct run *r);
static struct err *host_clone(struct run *r);
static struct err *host_link(struct run *r);

/*
 * A start, in order.  What is INSIDE is run by init, from "clone" on, beside the rest of
 * what is HOST; it needs no undo, for it goes with init's namespaces.
 */
static const struct phase {
	const char *name;
	enum side side;
	struct err *(*run)(struct run *r);
	struct err *(*undo)(const struct plan *p); /* optional; idempotent */
} phases[] = {
	{ "cgroup", HOST, host_cgroup, undo_cgroup }, { "disk", HOST, host_disk, NULL },
	{ "clone", HOST, host_clone, NULL },          { "link", HOST, host_link, undo_link },

	{ "private", INSIDE, inside_private, NULL },  { "rootfs", INSIDE, inside_rootfs, NULL },
	{ "join", INSIDE, inside_join, NULL },        { "sources", INSIDE, inside_sources, NULL },
	{ "enter", INSIDE, inside_enter, NULL },      { "hostname", INSIDE, inside_hostname, NULL },
	{ "mounts", INSIDE, inside_mounts, NULL },    { "devices", INSIDE, inside_devices, NULL },
	{ "console", INSIDE, inside_console, NULL },  { "network", INSIDE, inside_network, NULL },
	{ "sysctl", INSIDE, inside_sysctl, NULL },    { "masks", INSIDE, inside_masks, NULL },
	{ "process", INSIDE, inside_process, NULL },
};

static struct err *run_side(enum side side, struct run *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		if (phases[i].side == side)
			TRY(phases[i].run(r));
	return NULL;
}

struct err *ctr_undo(const char *state_dir)
{
	OWN(plan) struct plan p = { 0 };
	struct err *first = NULL;

	TRY(plan_load(state_dir, &p));
	for (size_t i = ARRAY_SIZE(phases); i-- > 0;) {
		struct err *e = phases[i].undo ? phases[i].undo(&p) : NULL;

		if (e && first)
			err_free(e);
		else if (e)
			first = err_push(e, __func__, "undo %s", phases[i].name);
	}
	return first;
}

/* ---- plan ---- */

struct err *plan_load(const char *state_dir, struct plan *ret)
{
	OWN(mem) char *path = xasprintf("%s/plan.json", state_dir);
	OWN(json) json_t *doc = NULL;

	TRY(jx_load(AT_FDCWD, path, &doc));
	if (jx_int(doc, "version", 0) != PLAN_VERSION)
		return err_new(ERR_UNSUPPORTED, "%s has version %ld, we know %d", path,
			       jx_int(doc, "version", 0), PLAN_VERSION);
	*ret = (struct plan) {
		.host = json_object_get(doc, "host"),
		.guest = json_object_get(doc, "guest"),
	};
	ret->rootfs = json_object_get(ret->host, "rootfs");
	ret->net = json_object_get(ret->host, "net");
	ret->net_mode = jx_str(ret->net, "mode", "none");
	ret->cgroup = jx_str(ret->host, "cgroup", NULL);
	ret->oci = json_object_get(ret->guest, "oci");
	ret->lin = json_object_get(ret->oci, "linux");
	ret->process = json_object_get(ret->oci, "process");
	ret->resources = json_object_get(ret->lin, "resources");
	ret->doc = TAKE(doc);
	return NULL;
}

void plan_done(struct plan *p)
{
	json_decref(p->doc);
	*p = (struct plan) { 0 };
}

/* ---- namespaces ---- */

static const struct {
	const char *name;
	unsigned long flag;
} ns_types[] = {
	{ "mount", CLONE_NEWNS },  { "uts", CLONE_NEWUTS },     { "ipc", CLONE_NEWIPC },
	{ "pid", CLONE_NEWPID },   { "network", CLONE_NEWNET }, { "cgroup", CLONE_NEWCGROUP },
	{ "user", CLONE_NEWUSER },
};

static unsigned long ns_flag(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_types); i++)
		if (!strcmp(ns_types[i].name, type))
			return ns_types[i].flag;
	return 0;
}

static struct err *join_ns(const char *path, unsigned long flag)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_new(ERR_NOT_FOUND, "namespace %s has gone", path);
	if (setns(fd, (int)flag) < 0)
		return err_sys(errno, "join namespace %s", path);
	return NULL;
}

/* Those of others are joined by the starter, so that init is born in them. */
static struct err *take_namespaces(struct run *r)
{
	const json_t *list = json_object_get(r->plan.lin, "namespaces");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);
		const char *path = jx_str(j, "path", NULL);
		unsigned long flag = ns_flag(jx_str(j, "type", ""));

		if (!flag || flag == CLONE_NEWUSER || (path && flag == CLONE_NEWNS))
			return err_new(ERR_UNSUPPORTED, "namespace of type %s",
				       jx_str(j, "type", "(none)"));
		if (path)
			TRY(join_ns(path, flag));
		else if (flag == CLONE_NEWCGROUP)
			r->ns_cgroup = true;
		else
			r->ns_new |= flag;
	}
	if (!(r->ns_new & CLONE_NEWNS))
		return err_new(ERR_INVALID, "a container needs a mount namespace");
	return NULL;
}

/* ---- phases on the host ---- */

static struct err *host_cgroup(struct run *r)
{
	TRY(ctr_limits_read(r->plan.resources, &r->limits));
	if (!r->plan.cgroup)
		return NULL;
	return cgroup_create(r->plan.cgroup, &r->limits.l);
}

static struct err *host_disk(struct run *r)
{
	return ctr_disk_attach(r->plan.rootfs, &r->disk_fd);
}

static _Noreturn void init_run(struct run *r)
{
	struct err *e;

	close(r->go[1]);
	syscall(SYS_close_range, 3, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
	e = run_side(INSIDE, r);
	report_failure(r->s->report, e);
	_exit(127);
}

/* Tell the shim whom it is the parent of. */
static struct err *tell_process(struct run *r)
{
	struct report m = {
		.type = REPORT_PROCESS,
		.pid = r->init,
		.alone = !!(r->ns_new & CLONE_NEWPID),
		.limit = r->limits.l.memory,
	};
	OWN(fd) int oom = -1;

	if (r->plan.cgroup) {
		snprintf(m.text, sizeof(m.text), "%s", r->plan.cgroup);
		err_free(cgroup_watch_oom(r->plan.cgroup, &oom));
	}
	return report_send(r->s->report, &m, r->pidfd, oom);
}

static struct err *host_clone(struct run *r)
{
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&r->pidfd,
	};
	long pid;

	TRY(take_namespaces(r));
	args.flags |= r->ns_new;
	if (pipe2(r->go, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return err_sys(errno, "make the container's first process");
	if (pid == 0)
		init_run(r);
	r->init = (pid_t)pid;
	close(r->go[0]);
	return tell_process(r);
}

static struct err *host_link(struct run *r)
{
	struct report m = { .type = REPORT_LINK };
	struct net_link link;

	if (!streq(r->plan.net_mode, "bridge"))
		return NULL;
	TRY(net_link_from_plan(r->plan.net, &link));
	TRY(net_veth_create(&link, r->init));
	if (write(r->go[1], "g", 1) != 1)
		return NULL; /* init has failed and said why */
	if (!link.egress_bps)
		return NULL;
	snprintf(m.text, sizeof(m.text), "%s", link.host_ifname);
	return report_send(r->s->report, &m, -1, -1);
}

struct err *undo_link(const struct plan *p)
{
	const char *name = jx_str(p->net, "host_ifname", NULL);

	return name && streq(p->net_mode, "bridge") ? net_link_delete(name) : NULL;
}

struct err *undo_cgroup(const struct plan *p)
{
	if (!p->cgroup)
		return NULL;
	TRY(cgroup_kill(p->cgroup, 1000));
	return cgroup_remove(p->cgroup, 500);
}

/* ---- the starter ---- */

void default_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static struct err *start(struct run *r)
{
	TRY(plan_load(r->s->state_dir, &r->plan));
	if (!r->plan.process)
		return err_new(ERR_INVALID, "plan of %s has no process", r->s->state_dir);
	return run_side(HOST, r);
}

_Noreturn void ctr_start_run(const struct ctr_start *s)
{
	struct run r = {
		.s = s,
		.limits = { .l = CGROUP_LIMITS_NONE },
		.disk_fd = -1,
		.go = { -1, -1 },
		.pidfd = -1,
		.console = -1,
	};
	struct err *e;

	default_signals();
	e = start(&r);
	if (e)
		report_failure(s->report, e);
	/* Not exit(): what is in memory is the shim's. */
	_exit(e ? 1 : 0);
}
