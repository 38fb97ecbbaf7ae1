/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_PAYLOAD_H
#define QEMU_PAYLOAD_H

/*
 * Qemu, payload half: a VM under QEMU in hostel-shim.
 *
 *	shim ── fork ──> starter: plan, disks, cgroup, tap ── exec ──> QEMU
 *	  │  QMP, console, agent: socket pairs
 *	  │  output: QEMU's own words, for when it fails
 *	  └─ sessions: the payload's and every exec's streams, pumped from the agent's port
 *
 * An image VM, and a machine with nothing but the default kernel, has hostel-guest inside:
 * its streams, signals and exit code are the process's.  Any other machine has its serial
 * console as its stream; signals that ask for an end press its power button.
 *
 *	STARTING ─(guest: STARTED, or QEMU runs)→ RUNNING ─(QEMU gone)→ UNDOING → OVER
 *	    └─(failure, time-out: QEMU killed)→ UNDOING → OVER
 */

#include "backend/payload.h"

extern const struct payload_ops qemu_payload_ops;    /* kind "vm" */
extern const struct payload_ops machine_payload_ops; /* kind "machine" */

#endif
