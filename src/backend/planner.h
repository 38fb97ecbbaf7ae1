/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKEND_PLANNER_H
#define BACKEND_PLANNER_H

/*
 * Backend, the daemon's half: from a spec and what the engine decided to the parts of a
 * plan (model/plan.h).  A plan has a host half (what holds the payload: cgroup,
 * machine) and a guest half (the processes inside); one table serves each, since an
 * image VM runs the same processes as a container.  hosteld's main function names the
 * planners, one per kind; the engine picks by kind and names no backend.
 *
 * Context: hosteld's loop; allocates, starts nothing, reads no file but for device nodes
 * that the spec names (stat).
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "model/spec.h"
#include "util/err.h"

/* What the engine decided for the host half. Borrowed; NULL and 0 mean that there is none. */
struct host_facts {
	const char *state_dir;                /* instances/ID */
	int64_t memory_bytes;                 /* R_i: of the guest; 0: not to be changed */
	int64_t cpu_milli;                    /* R_i */
	const char *kernel, *initrd, *append; /* bundle or the user's; NULL: boots its disk */
	bool has_agent;                       /* hostel-guest is inside */
	bool has_kvm;                         /* a probe showed that it can be used */
	int64_t tsc_khz;                      /* of the host; 0: not known */
};

/* What the engine decided for the guest half. Borrowed; NULL means that there is none. */
struct guest_facts {
	const char *id;
	const char *hostname; /* NULL: the spec's, else the first 12 digits of the id */
	const char *cgroup;   /* "/hostel/ID" */
	const char *rootfs;   /* "/…/instances/ID/rootfs"; NULL: "rootfs" */
	const char *hosts;    /* file to be bound to /etc/hosts */
	const char *hostname_file;
	const char *resolv; /* … to /etc/resolv.conf */
	const char *init;   /* static init for --init; bound to /sbin/docker-init */
	/* Resolved source on the host of spec->mounts[i]: a path that exists; for a tmpfs NULL. */
	const char *const *mount_sources;
	/* Namespaces of others, "/proc/PID/ns/…", for the modes "container:NAME". */
	const char *net_ns, *ipc_ns, *pid_ns;
	int cgroup_version; /* 1 or 2; 0: as this host */
};

/* What a further process in an instance gets; Docker's exec. Borrowed. */
struct guest_exec {
	const struct strv *cmd, *env; /* env: added to that of the instance */
	const char *user;             /* NULL or "": as the instance's own */
	const char *workdir;          /* NULL or "": as the instance's own */
	bool tty, privileged;
};

struct host_planner {
	const char *name;

	/**
	 * resources() - the plan's host.resources: limits of the cgroup that holds the payload
	 * @ret: new reference
	 * Return: NULL, or ERR_INVALID naming the wrong option.
	 */
	struct err *(*resources)(const struct spec *s, const struct host_facts *f, json_t **ret);

	/**
	 * manage_bytes() - the most that M_i is known to become: what it counts before anything
	 * was measured, and what a VM's cgroup has beyond the guest's memory
	 */
	int64_t (*manage_bytes)(const struct spec *s, const struct host_facts *f);

	/**
	 * machine() - the plan's host.vm; NULL: the payload has no machine of its own
	 * @ret: new reference
	 */
	struct err *(*machine)(const struct spec *s, const struct host_facts *f, json_t **ret);
};

struct guest_planner {
	const char *name;

	/**
	 * oci() - the plan's guest.oci
	 * @s:   with its image's defaults merged in; of kind container or image VM
	 * @ret: new reference.  It has no process.user and no linux.seccomp: the plan has
	 *       "user", "groups" and "seccomp_bpf" beside it
	 * Return: NULL; ERR_INVALID naming the wrong option.
	 */
	struct err *(*oci)(const struct spec *s, const struct guest_facts *f, json_t **ret);

	/**
	 * process() - the file that payload_ops.exec() takes: an OCI process object, with
	 * "user" as text
	 * @ret: new reference
	 * Return: NULL, or ERR_INVALID "No exec command specified".
	 */
	struct err *(*process)(const struct spec *s, const struct guest_facts *f,
			       const struct guest_exec *x, json_t **ret);

	/** caps() - names of the capabilities that its processes have; the seccomp job takes them
	 */
	struct err *(*caps)(const struct spec *s, struct strv *ret);

	/**
	 * seccomp() - which filter a spec asks for: NULL for none, "default", or the text
	 * (JSON) or path that --security-opt seccomp= gave; borrowed from @s
	 */
	const char *(*seccomp)(const struct spec *s);
};

/* One way to run a kind of instance. */
struct planner {
	enum spec_kind kind;
	const char *payload; /* payload_ops.name in the shim's table */
	const struct host_planner *host;
	const struct guest_planner *guest;
};

#endif
