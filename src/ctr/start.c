/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/start.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/report.h"
#include "ctr/start_int.h"
#include "model/plan.h"
#include "net/plan.h"
#include "util/fd.h"
#include "util/mem.h"

#define STACK_BYTES (256 * 1024)

enum side { HOST, INSIDE };

static struct err *host_clone(struct run *r);

/*
 * A start, in order.  The last of the HOST phases makes init, which does those INSIDE
 * while the starter stands still; most need no undo, for they go with init's namespaces.
 */
static const struct phase {
	const char *name;
	enum side side;
	struct err *(*run)(struct run *r);
	struct err *(*undo)(const struct plan *p); /* optional; idempotent */
} phases[] = {
	{ "cgroup", HOST, host_cgroup, undo_cgroup }, /* groups, limits, watch for kills */
	{ "disk", HOST, host_disk, NULL },            /* a limited disk's loop device */
	{ "clone", HOST, host_clone, NULL },         /* init in its namespaces; does what follows */
	{ "link", INSIDE, inside_link, undo_link },  /* veth, one end on the host's bridge */
	{ "private", INSIDE, inside_private, NULL }, /* mounts cut off from the host's */
	{ "rootfs", INSIDE, inside_rootfs, NULL },   /* overlay */
	{ "join", INSIDE, inside_join, NULL },       /* into the cgroup */
	{ "sources", INSIDE, inside_sources, NULL }, /* all that is read on the host */
	{ "enter", INSIDE, inside_enter, NULL },     /* pivot_root */
	{ "hostname", INSIDE, inside_hostname, NULL }, /* names, keyring */
	{ "mounts", INSIDE, inside_mounts, NULL },     /* proc, sys, dev, the user's */
	{ "devices", INSIDE, inside_devices, NULL },   /* nodes in /dev */
	{ "console", INSIDE, inside_console, NULL },   /* pty */
	{ "network", INSIDE, inside_network, NULL },   /* addresses, routes, lo */
	{ "sysctl", INSIDE, inside_sysctl, NULL },     /* in /proc/sys */
	{ "masks", INSIDE, inside_masks, NULL },       /* read-only and hidden paths */
	{ "process", INSIDE, inside_process, NULL },   /* user, limits, rights, exec */
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

	json_object_seed(1); /* our own daemon's document: no need of randomness */
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

struct err *host_cgroup(struct run *r)
{
	TRY(resources_read(r->plan.resources, &r->limits));
	if (!r->plan.cgroup)
		return NULL;
	TRY(cgroup_create(r->plan.cgroup, &r->limits.l));
	/* Without a memory controller nobody dies of its limit. */
	err_free(cgroup_watch_oom(r->plan.cgroup, &r->oom_fd));
	return NULL;
}

struct err *host_disk(struct run *r)
{
	return ctr_disk_attach(r->plan.rootfs, &r->disk_fd);
}

/* Tell the shim whom it is the parent of. */
struct err *tell_process(struct run *r)
{
	struct report m = {
		.type = REPORT_PROCESS,
		.pid = r->init,
		.alone = !!(r->ns_new & CLONE_NEWPID),
		.limit = r->limits.l.memory,
	};

	if (r->plan.cgroup)
		snprintf(m.text, sizeof(m.text), "%s", r->plan.cgroup);
	return report_send(r->s->report, &m, r->pidfd, r->oom_fd);
}

static int init_main(void *arg)
{
	struct run *r = arg;

	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	r->error = run_side(INSIDE, r);
	_exit(127);
}

struct err *clone_shared(struct run *r, int (*fn)(void *), unsigned long flags)
{
	OWN(mem) char *stack = xcalloc(STACK_BYTES, 1);

	r->init =
	    clone(fn, stack + STACK_BYTES,
		  (int)(flags | CLONE_PARENT | CLONE_PIDFD | CLONE_VM | CLONE_VFORK), r, &r->pidfd);
	if (r->init < 0)
		return err_sys(errno, "make a process");
	return NULL;
}

static struct err *host_clone(struct run *r)
{
	TRY(take_namespaces(r));
	r->host_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (r->host_netns < 0)
		return err_sys(errno, "open own network namespace");
	TRY(clone_shared(r, init_main, r->ns_new));
	TRY(tell_process(r));
	return TAKE(r->error);
}

struct err *undo_link(const struct plan *p)
{
	const json_t *net;

	for (size_t n = 0; (net = net_plan_link(p->net, n)); n++)
		if (jx_str(net, "host_ifname", NULL))
			TRY(net_link_delete(jx_str(net, "host_ifname", NULL)));
	return NULL;
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

	/* Nobody of ours touches real-time signals. */
	for (int sig = 1; sig < SIGSYS; sig++)
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
		.oom_fd = -1,
		.pidfd = -1,
		.console = -1,
	};
	struct err *e;

	default_signals();
	/* Nobody in a pid namespace that it joins may look into it, as in exec.c. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	e = start(&r);
	if (e)
		report_failure(s->report, e);
	/* Not exit(): what is in memory is the shim's. */
	_exit(e ? 1 : 0);
}
