/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVM_PROBE_INT_H
#define KVM_PROBE_INT_H

/* What is particular to an architecture: probe_x86_64.c, or probe_none.c for the others. */

#include <linux/kvm.h>
#include <stddef.h>

#include "kvm/kvm.h"

#define PROBE_MEMORY_BYTES (2UL << 20)

struct probe_vm {
	int kvm, vm, vcpu;
	unsigned char *memory; /* PROBE_MEMORY_BYTES at guest address 0 */
	struct kvm_run *run;
};

/** probe_run() - run the guests on @vm and fill in the verdict */
void probe_run(struct probe_vm *vm, struct kvm_result *ret);

/** probe_is_supported() - is there a guest for this architecture? */
bool probe_is_supported(void);

/** probe_set() - fill in a verdict with a formatted reason; keeps the rate */
void probe_set(struct kvm_result *r, enum kvm_verdict v, const char *fmt, ...) PRINTF(3, 4);

/** probe_judge() - the verdict on a measured rate (instructions per second).  Pure. */
void probe_judge(uint64_t rate, struct kvm_result *ret);

#endif
