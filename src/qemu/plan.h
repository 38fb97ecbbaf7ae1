/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_PLAN_H
#define QEMU_PLAN_H

/*
 * Qemu, plan half that needs a look at files: what host.vm (model/plan.h) has when the
 * engine did not say it: board, kernel command line, formats of disks, firmware.
 *
 * The starter calls it, and a daemon that wants to show the whole plan may call it before:
 * what is there is left alone.
 */

#include "json/json.h"
#include "qemu/disk.h"
#include "util/err.h"

/* Borrowed. */
struct qemu_facts {
	const char *state_dir;
	const char *ovmf_code, *ovmf_vars; /* NULL: not installed */
	int64_t tsc_khz;                   /* true rate of the host's TSC; 0: not known */
	/* looks at a disk; a parameter so that the rest is pure */
	struct err *(*probe)(const char *path, struct qemu_disk_info *ret);
};

/**
 * qemu_plan_complete() - fill in what is missing in plan's host.vm
 * @plan: the whole plan; changed
 * Return: NULL; ERR_UNSUPPORTED naming what this host cannot do (microvm without a known
 *         TSC rate, UEFI without OVMF, a disk with a file below it, a strange format);
 *         ERR_INVALID for a machine type that we do not know; ERR_UNAVAILABLE for a VM with
 *         hostel-guest but without its initramfs.
 */
struct err *qemu_plan_complete(json_t *plan, const struct qemu_facts *f) MUST_USE;

/** qemu_facts_of_host() - OVMF and qemu_disk_probe(); the TSC is not measured */
struct qemu_facts qemu_facts_of_host(const char *state_dir);

#endif
