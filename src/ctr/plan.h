/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_PLAN_H
#define CTR_PLAN_H

/*
 * Ctr, plan half: from a spec to a complete OCI runtime configuration.  Runs in
 * hosteld; the payload half (ctr/payload.h) applies it, for an image VM hostel-guest
 * does, inside.
 *
 * Context: hosteld's loop; reads no file but for the device nodes that the spec names
 * (stat) and allocates.
 * Spec: OCI runtime 1.2 config.md, config-linux.md.
 */

#include "json/json.h"
#include "model/spec.h"

/* What the engine decided. Borrowed; NULL means that there is none. */
struct ctr_plan_in {
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

/**
 * ctr_plan_oci() - the OCI config.json of an instance: the plan's guest.oci
 * @s:       with its image's defaults merged in; of kind container or image VM
 * @in:      what the engine decided
 * @ret_oci: new reference.  It has no process.user and no linux.seccomp: the plan has "user",
 *           "groups" and "seccomp_bpf" beside it
 *
 * For an image VM what a machine of its own cannot have is left out: bind mounts and
 * volumes, paths of namespaces, cgroups, host devices.
 * Return: NULL; ERR_INVALID naming the wrong option (an unknown capability, a bad device
 *         cgroup rule, a device that does not exist on the host).
 */
struct err *ctr_plan_oci(const struct spec *s, const struct ctr_plan_in *in,
			 json_t **ret_oci) MUST_USE;

/**
 * ctr_plan_resources() - the OCI linux.resources of a spec alone (update, host.resources)
 * @ret: new reference
 * Return: as ctr_plan_oci().
 */
struct err *ctr_plan_resources(const struct spec *s, json_t **ret) MUST_USE;

/** What a further process in an instance gets; Docker's exec. Borrowed. */
struct ctr_exec_in {
	const struct strv *cmd, *env; /* env: added to that of the instance */
	const char *user;             /* NULL or "": as the instance's own */
	const char *workdir;          /* NULL or "": as the instance's own */
	bool tty, privileged;
};

/**
 * ctr_plan_process() - the file that payload_ops.exec() takes: an OCI process object, with
 * "user" as text
 * @s:   of the running instance
 * @in:  of the instance (for its hostname)
 * @ret: new reference
 * Return: NULL, or ERR_INVALID "No exec command specified".
 */
struct err *ctr_plan_process(const struct spec *s, const struct ctr_plan_in *in,
			     const struct ctr_exec_in *x, json_t **ret) MUST_USE;

/**
 * ctr_plan_caps() - names of the capabilities that the instance's processes have; the
 * seccomp job takes them
 * Return: NULL, or ERR_INVALID for an unknown name in cap_add or cap_drop.
 */
struct err *ctr_plan_caps(const struct spec *s, struct strv *ret) MUST_USE;

/**
 * ctr_plan_seccomp() - which filter a spec asks for
 * Return: NULL for none (privileged, unconfined); else "default", or the text (JSON)
 *         or path that --security-opt seccomp= gave; borrowed from @s.
 */
const char *ctr_plan_seccomp(const struct spec *s);

#endif
