/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

/*
 * Kvm: can this host run a stock kernel under KVM?  Some hosts open /dev/kvm and
 * yet emulate every instruction of a guest's kernel mode, at a few million a second, or
 * fail on the first one they do not know; so a small guest of ours is run and
 * timed, the answer of the ioctl alone is not trusted.
 *
 * Context: blocks for up to KVM_PROBE_TIMEOUT_MS; forks a child that runs the guest, so
 * call it once, early or from a worker.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define KVM_PROBE_TIMEOUT_MS 2000

enum kvm_verdict {
	KVM_USABLE,   /* runs a stock kernel at native speed */
	KVM_ABSENT,   /* no /dev/kvm, or no permission */
	KVM_BROKEN,   /* an ioctl failed, or the guest stopped where it must not */
	KVM_EMULATED, /* guest kernel mode works, but is emulated instruction by instruction */
	KVM_VERDICTS,
};

struct kvm_result {
	enum kvm_verdict verdict;
	uint64_t rate;    /* guest kernel-mode instructions per second; 0: not measured */
	char reason[160]; /* for hostel info: "/dev/kvm is absent" */
};

/** kvm_probe() - always gives a verdict; @path: "/dev/kvm" */
void kvm_probe(const char *path, struct kvm_result *ret);

/** kvm_verdict_name() - "usable", "absent", "broken", "emulated"; static storage */
const char *kvm_verdict_name(enum kvm_verdict v);

#endif
