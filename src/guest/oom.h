/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_OOM_H
#define GUEST_OOM_H

/*
 * What the VM's own kernel kills for memory: that it did, and whom.
 * Context: hostel-guest's loop; never blocks.
 */

#include <stdbool.h>
#include <stdint.h>

struct guest_oom {
	int64_t kills;   /* of /proc/vmstat, when last asked */
	int kmsg;        /* the kernel's log from the start of the payload on; -1: none */
	char victim[16]; /* comm of the last one killed; "" */
};

/** guest_oom_init() - from now on; close @o->kmsg, or end */
void guest_oom_init(struct guest_oom *o);

/** guest_oom_happened() - was a process killed since this was last asked?  Then @o->victim is set
 */
bool guest_oom_happened(struct guest_oom *o);

/**
 * guest_oom_victim() - the name in one record of the kernel's log; pure
 * @record: "3,741,9022,-;Out of memory: Killed process 77 (sh) total-vm:…"
 * @ret:    16 bytes; left alone when it is no such record
 * Spec: Documentation/ABI/testing/dev-kmsg, mm/oom_kill.c of Linux
 */
bool guest_oom_victim(const char *record, char *ret);

#endif
