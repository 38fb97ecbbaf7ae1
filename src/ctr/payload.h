/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_PAYLOAD_H
#define CTR_PAYLOAD_H

/*
 * Ctr, payload half: a container in hostel-shim.
 *
 *	shim ── fork ──> starter: reads the plan, makes cgroup and links
 *	  │                 └─ clone3(CLONE_PARENT) ──> init: mounts, pivot_root, user, exec
 *	  └── parent of init (and of every exec), waits by pidfd
 *
 * Starter and init share a socket with the shim (ctr/report.h); its end of file without
 * an error on it means that the exec succeeded.
 */

#include "backend/payload.h"

extern const struct payload_ops ctr_payload_ops; /* kind "container" */

#endif
