/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm/probe_int.h"

bool probe_is_supported(void)
{
	return false;
}

void probe_run(struct probe_vm *vm, struct kvm_result *ret)
{
	(void)vm;
	probe_set(ret, KVM_BROKEN, "there is no probe guest for this architecture");
}
