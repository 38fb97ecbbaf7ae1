/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QEMU_PLANNER_H
#define QEMU_PLANNER_H

/*
 * Qemu, plan half in the daemon: host.resources and host.vm of a VM that QEMU runs.
 * What needs a look at files (formats of disks, firmware) is added by the starter,
 * qemu/plan.h.
 */

#include "backend/planner.h"

extern const struct host_planner qemu_host_planner;

#endif
