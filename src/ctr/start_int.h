/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_START_INT_H
#define CTR_START_INT_H

/* Shared by start.c, restore.c, dump.c, inside.c and exec.c only. */

#include "ctr/mounts.h"
#include "backend/resources.h"
#include "ctr/rootfs.h"
#include "ctr/start.h"
#include "json/json.h"
#include "net/net.h"

/* A plan, taken apart; all borrowed from the document. */
struct plan {
	json_t *doc;
	const json_t *host, *rootfs, *net, *resources;
	const json_t *guest, *oci, *lin, *process;
	const char *cgroup;
};

/* Read STATE_DIR/plan.json. */
struct err *plan_load(const char *state_dir, struct plan *ret) MUST_USE;
/* Let go of the document. */
void plan_done(struct plan *p);

static inline void own_plan_release(struct plan *p)
{
	plan_done(p);
}

/* One start, from the starter's first step to the exec. */
struct run {
	const struct ctr_start *s;
	struct plan plan;
	struct resources limits;
	unsigned long ns_new; /* CLONE_NEW* to make */
	bool ns_cgroup;       /* … and a cgroup namespace, once we are in the group */
	int disk_fd;          /* loop device; -1 */
	int oom_fd;           /* see cgroup_watch_oom(); -1 */
	int host_netns;       /* the host's network namespace */
	pid_t init;
	int pidfd;
	struct err *error; /* why init did not execute; in memory that both share */
	const char *root;  /* where the root file system is mounted */
	struct ctr_mounts *mounts;
	void *bpf;
	size_t bpf_len;
	int console; /* slave of the pty; -1 */
};

/* groups with their limits, and a watch for kills */
struct err *host_cgroup(struct run *r) MUST_USE;
/* a limited disk's loop device */
struct err *host_disk(struct run *r) MUST_USE;
/* tell the shim of r->init, whose parent it is or becomes */
struct err *tell_process(struct run *r) MUST_USE;
/* names of the plan, in the caller's own UTS namespace */
struct err *set_hostname(const struct plan *p) MUST_USE;
/* one of linux.sysctl */
struct err *set_sysctl(const char *key, const char *value) MUST_USE;

/* ---- the steps in init, see the table in start.c ---- */

/* make the veth pair, from the host's side */
struct err *inside_link(struct run *r) MUST_USE;
/* cut mounts off from the host */
struct err *inside_private(struct run *r) MUST_USE;
/* mount the root file system */
struct err *inside_rootfs(struct run *r) MUST_USE;
/* into the cgroup, and a namespace rooted there */
struct err *inside_join(struct run *r) MUST_USE;
/* read and open all that lies on the host */
struct err *inside_sources(struct run *r) MUST_USE;
/* pivot_root */
struct err *inside_enter(struct run *r) MUST_USE;
/* addresses and routes */
struct err *inside_network(struct run *r) MUST_USE;
/* names and keyring */
struct err *inside_hostname(struct run *r) MUST_USE;
/* the configuration's mounts */
struct err *inside_mounts(struct run *r) MUST_USE;
/* nodes in /dev */
struct err *inside_devices(struct run *r) MUST_USE;
/* a pty, given to the shim */
struct err *inside_console(struct run *r) MUST_USE;
/* linux.sysctl */
struct err *inside_sysctl(struct run *r) MUST_USE;
/* hidden and read-only paths */
struct err *inside_masks(struct run *r) MUST_USE;
/* become the process; returns only an error */
struct err *inside_process(struct run *r) MUST_USE;

/*
 * Make a process, child of the shim, that shares our memory until it executes or ends:
 * copying would cost more than most phases.  We stand still meanwhile, so that @fn may
 * allocate and leave its error in @r.
 */
struct err *clone_shared(struct run *r, int (*fn)(void *), unsigned long flags) MUST_USE;

/* Undo by the plan alone, idempotent: all in the cgroup, and the group. */
struct err *undo_cgroup(const struct plan *p) MUST_USE;
/* The host's end of the link, and what shapes it. */
struct err *undo_link(const struct plan *p) MUST_USE;

/* Signals as a new program expects them. */
void default_signals(void);

/* oom_score_adj of the calling process; lowering it may need a capability we lack. */
struct err *set_oom_score(const json_t *process) MUST_USE;

#endif
