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

#include "backend/planner.h"

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
struct err *ctr_plan_oci(const struct spec *s, const struct guest_facts *in,
			 json_t **ret_oci) MUST_USE;

/**
 * ctr_plan_process() - the file that payload_ops.exec() takes: an OCI process object, with
 * "user" as text
 * @s:   of the running instance
 * @in:  of the instance (for its hostname)
 * @ret: new reference
 * Return: NULL, or ERR_INVALID "No exec command specified".
 */
struct err *ctr_plan_process(const struct spec *s, const struct guest_facts *in,
			     const struct guest_exec *x, json_t **ret) MUST_USE;

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

/* The same as tables; guest: of containers and image VMs. */
extern const struct host_planner ctr_host_planner;
extern const struct guest_planner ctr_guest_planner;

#endif
