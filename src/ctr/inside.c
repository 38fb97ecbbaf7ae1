/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/devices.h"
#include "ctr/process.h"
#include "ctr/report.h"
#include "ctr/rootfs.h"
#include "ctr/start_int.h"
#include "ctr/tty.h"
#include "net/plan.h"
#include "sys/cgroup.h"
#include "sys/tree.h"
#include "util/fd.h"
#include "util/mem.h"

static struct err *make_link(struct run *r, const json_t *net, int own)
{
	struct report m = { .type = REPORT_LINK };
	struct net_link link;

	TRY(net_link_from_plan(net, &link));
	TRY(net_veth_create_at(&link, own));
	if (!link.egress_bps)
		return NULL;
	snprintf(m.text, sizeof(m.text), "%s", link.host_ifname);
	return report_send(r->s->report, &m, -1, -1);
}

/*
 * The pairs are made from the host's side; we go there and come back, so that nobody has to
 * wait for anybody.
 */
struct err *inside_link(struct run *r)
{
	const json_t *net = net_plan_link(r->plan.net, 0);
	OWN(fd) int own = -1;
	OWN(err) struct err *e = NULL;

	if (!net || !(r->ns_new & CLONE_NEWNET))
		return NULL;
	own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(r->host_netns, CLONE_NEWNET) < 0)
		return err_sys(errno, "go to the host's network namespace");
	for (size_t n = 1; net && !e; net = net_plan_link(r->plan.net, n++))
		e = make_link(r, net, own);
	if (setns(own, CLONE_NEWNET) < 0)
		return err_sys(errno, "come back to the network namespace");
	return TAKE(e);
}

struct err *inside_private(struct run *r)
{
	const char *wanted = jx_str(r->plan.lin, "rootfsPropagation", "private");
	bool cut = strstr(wanted, "private") || strstr(wanted, "unbindable");

	/* With rslave what the host mounts later still comes in. */
	if (mount(NULL, "/", NULL, MS_REC | (unsigned long)(cut ? MS_PRIVATE : MS_SLAVE), NULL) < 0)
		return err_sys(errno, "cut mounts off from the host");
	return set_oom_score(r->plan.process);
}

struct err *set_oom_score(const json_t *process)
{
	int64_t adj = jx_int(process, "oomScoreAdj", 0);
	OWN(fd) int fd = -1;
	char text[24];

	if (!adj)
		return NULL;
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%ld", adj);
	if (fd >= 0 && write(fd, text, strlen(text)) > 0)
		return NULL;
	return err_new(ERR_DENIED, "oom_score_adj of %ld is refused by the kernel", adj);
}

struct err *inside_rootfs(struct run *r)
{
	const char *path = jx_str(json_object_get(r->plan.oci, "root"), "path", "rootfs");

	r->root = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", r->s->state_dir, path);
	TRY(ctr_rootfs_mount(r->plan.rootfs, r->disk_fd, r->s->state_dir, r->root));
	if (r->disk_fd >= 0)
		close(TAKE_FD(r->disk_fd));
	return NULL;
}

struct err *inside_join(struct run *r)
{
	if (r->plan.cgroup)
		TRY(cgroup_join(r->plan.cgroup));
	if (r->ns_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(errno, "make a cgroup namespace");
	return NULL;
}

struct err *inside_sources(struct run *r)
{
	const char *bpf = jx_str(r->plan.guest, "seccomp_bpf", NULL);

	if (bpf)
		TRY(ctr_read_bpf(bpf, &r->bpf, &r->bpf_len));
	return ctr_mounts_open(json_object_get(r->plan.oci, "mounts"), r->plan.cgroup, r->ns_cgroup,
			       &r->mounts);
}

struct err *inside_enter(struct run *r)
{
	const char *wanted = jx_str(r->plan.lin, "rootfsPropagation", NULL);

	TRY(ctr_rootfs_enter(r->root));
	if (ctr_propagation(wanted) && mount(NULL, "/", NULL, ctr_propagation(wanted), NULL) < 0)
		return err_sys(errno, "make the root %s", wanted);
	return NULL;
}

/* Keys of the host's session are none of the container's; a kernel without keys is fine. */
static void new_keyring(void)
{
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses.hostel", 0, 0, 0);
}

struct err *inside_hostname(struct run *r)
{
	new_keyring();
	if (!(r->ns_new & CLONE_NEWUTS))
		return NULL;
	return set_hostname(&r->plan);
}

struct err *set_hostname(const struct plan *p)
{
	const char *host = jx_str(p->oci, "hostname", NULL);
	const char *domain = jx_str(p->oci, "domainname", NULL);

	if (host && sethostname(host, strlen(host)) < 0)
		return err_sys(errno, "set hostname %s", host);
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys(errno, "set domainname %s", domain);
	return NULL;
}

struct err *inside_mounts(struct run *r)
{
	umask(0);
	TRY(ctr_mounts_apply(r->mounts));
	return NULL;
}

struct err *inside_devices(struct run *r)
{
	/* A /dev that was bound from elsewhere has what it has. */
	if (ctr_mounts_has(r->mounts, "/dev", "bind"))
		return NULL;
	return ctr_devices_make(json_object_get(r->plan.lin, "devices"));
}

struct err *inside_console(struct run *r)
{
	int index = 0;

	umask(0022);
	if (!r->s->is_tty)
		return NULL;
	TRY(ctr_tty_open(r->s->report, r->s->rows, r->s->cols, &r->console, &index));
	return ctr_tty_console(index);
}

struct err *inside_network(struct run *r)
{
	struct net_config config;
	const json_t *more;

	if (!(r->ns_new & CLONE_NEWNET))
		return NULL;
	TRY(net_config_from_plan(r->plan.net, &config));
	TRY(net_configure(&config));
	for (size_t n = 1; (more = net_plan_link(r->plan.net, n)); n++) {
		TRY(net_config_from_plan(more, &config));
		TRY(net_configure(&config));
	}
	return NULL;
}

struct err *set_sysctl(const char *key, const char *value)
{
	OWN(mem) char *path = xasprintf("/proc/sys/%s", key);
	OWN(fd) int fd = -1;

	for (char *p = path + strlen("/proc/sys/"); *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_new(ERR_INVALID, "sysctl %s is not there", key);
	if (write(fd, value, strlen(value)) < 0)
		return err_new(ERR_INVALID, "sysctl %s does not take \"%s\"", key, value);
	return NULL;
}

struct err *inside_sysctl(struct run *r)
{
	json_t *all = json_object_get(r->plan.lin, "sysctl");
	json_t *value;
	const char *key;

	json_object_foreach(all, key, value)
	    TRY(set_sysctl(key, json_string_value(value) ? json_string_value(value) : ""));
	return NULL;
}

struct err *inside_masks(struct run *r)
{
	TRY(ctr_make_readonly(json_object_get(r->plan.lin, "readonlyPaths")));
	TRY(ctr_mask(json_object_get(r->plan.lin, "maskedPaths")));
	if (jx_bool(json_object_get(r->plan.oci, "root"), "readonly", false))
		return tree_set(AT_FDCWD, "/", false, MOUNT_ATTR_RDONLY, 0, 0);
	return NULL;
}

struct err *inside_process(struct run *r)
{
	struct strv groups = { 0 };
	struct ctr_process p = {
		.json = r->plan.process,
		.user = jx_str(r->plan.guest, "user", NULL),
		.groups = &groups,
		.in = r->s->in,
		.out = r->s->out,
		.err = r->s->err,
		.make_cwd = true,
		.console = r->console,
		.bpf = r->bpf,
		.bpf_len = r->bpf_len,
	};

	jx_strv(r->plan.guest, "groups", &groups);
	/* Nothing of the host's may be open when a working directory is looked for. */
	ctr_mounts_free(TAKE(r->mounts));
	return ctr_process_exec(&p);
}
