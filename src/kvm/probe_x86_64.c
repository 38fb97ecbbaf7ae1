/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Spec: KVM api.rst 4.10 (KVM_RUN), 4.12, 4.13 (registers), 5 (kvm_run);
 * Intel SDM volume 3, 9.8.5 (entering IA-32e mode).
 */

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm/probe_int.h"
#include "util/clock.h"
#include "util/defs.h"

#define REAL_CODE 0x1000
#define PML4      0x2000
#define PDPT      0x3000
#define PD        0x4000
#define GDT       0x5000
#define LONG_CODE 0x8000
#define SCRATCH   0x30000
#define STACK_TOP 0x20000

#define ROUNDS       100000
#define ROUND_LENGTH 4 /* instructions */

#define PORT 0x80

#define CR0_PE   (1ULL << 0)
#define CR0_MP   (1ULL << 1)
#define CR0_PG   (1ULL << 31)
#define CR4_PAE  (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)

extern const unsigned char kvm_guest_real[], kvm_guest_real_end[];
extern const unsigned char kvm_guest_long[], kvm_guest_long_end[];

bool probe_is_supported(void)
{
	return true;
}

static void put64(unsigned char *memory, size_t at, uint64_t v)
{
	memcpy(memory + at, &v, sizeof(v));
}

static void load(unsigned char *memory)
{
	memcpy(memory + REAL_CODE, kvm_guest_real, (size_t)(kvm_guest_real_end - kvm_guest_real));
	memcpy(memory + LONG_CODE, kvm_guest_long, (size_t)(kvm_guest_long_end - kvm_guest_long));
	/* One page of 2 MiB, mapped where it is: present, writable, (PD) large. */
	put64(memory, PML4, PDPT | 3);
	put64(memory, PDPT, PD | 3);
	put64(memory, PD, 0x83);
	put64(memory, GDT + 0x08, 0x00af9b000000ffffULL); /* code, long mode */
	put64(memory, GDT + 0x10, 0x00cf93000000ffffULL); /* data */
}

/* Run until the guest says its next byte; 0 when it stops in any other way. */
static char next_byte(struct probe_vm *vm)
{
	const struct kvm_run *r = vm->run;
	int n;

	do
		n = ioctl(vm->vcpu, KVM_RUN, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || r->exit_reason != KVM_EXIT_IO || r->io.direction != KVM_EXIT_IO_OUT ||
	    r->io.port != PORT || r->io.size != 1)
		return 0;
	return *((const char *)r + r->io.data_offset);
}

static const char *step_name(char step)
{
	static const struct {
		char step;
		const char *name;
	} steps[] = {
		{ 'R', "real mode" },          { 'B', "entering long mode" },
		{ 'L', "a loop at ring 0" },   { 'c', "cpuid" },
		{ 'm', "MSR and swapgs" },     { 'f', "floating point" },
		{ 'p', "page table changes" }, { 'i', "iret" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].step == step)
			return steps[i].name;
	return "its start";
}

static void broken(struct probe_vm *vm, char step, struct kvm_result *ret)
{
	probe_set(ret, KVM_BROKEN, "the probe guest fails at %s (exit reason %u)", step_name(step),
		  vm->run->exit_reason);
}

static int set_real(struct probe_vm *vm)
{
	struct kvm_regs regs = { .rip = REAL_CODE, .rflags = 2, .rsp = STACK_TOP - 0x10010 };
	struct kvm_sregs s;

	if (ioctl(vm->vcpu, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cs.base = 0;
	s.cs.selector = 0;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &s) < 0)
		return -1;
	return ioctl(vm->vcpu, KVM_SET_REGS, &regs);
}

static int set_long(struct probe_vm *vm)
{
	const struct kvm_segment code = {
		.limit = ~0U, .selector = 0x08, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	const struct kvm_segment data = {
		.limit = ~0U, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
	};
	struct kvm_regs regs = {
		.rip = LONG_CODE, .rflags = 2, .rsp = STACK_TOP, .rdi = ROUNDS, .rsi = SCRATCH
	};
	struct kvm_sregs s;

	if (ioctl(vm->vcpu, KVM_GET_SREGS, &s) < 0)
		return -1;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt = (struct kvm_dtable) { .base = GDT, .limit = 0x17 };
	s.cr3 = PML4;
	s.cr4 = CR4_PAE;
	s.cr0 = CR0_PE | CR0_MP | CR0_PG;
	s.efer = EFER_LME | EFER_LMA;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &s) < 0)
		return -1;
	return ioctl(vm->vcpu, KVM_SET_REGS, &regs);
}

/* The guest would not take SSE nor cpuid leaves for granted without this. */
static int set_cpuid(struct probe_vm *vm)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} c = { .head.nent = 256 };

	if (ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, &c) < 0)
		return -1;
	return ioctl(vm->vcpu, KVM_SET_CPUID2, &c);
}

/* Long mode: time the loop, then walk through the steps. */
static void run_long(struct probe_vm *vm, struct kvm_result *ret)
{
	char step = next_byte(vm);
	int64_t start = clock_boot_ns(), ns;

	if (step != 'B') {
		broken(vm, 'B', ret);
		return;
	}
	if (next_byte(vm) != 'L') {
		broken(vm, 'L', ret);
		return;
	}
	ns = clock_boot_ns() - start;
	ret->rate = (uint64_t)ROUNDS * ROUND_LENGTH * 1000000000ULL / (uint64_t)(ns ? ns : 1);
	step = 'L';
	for (char next; step != 'E'; step = next) {
		next = next_byte(vm);
		if (!next) {
			broken(vm, step, ret);
			return;
		}
	}
	probe_judge(ret->rate, ret);
}

void probe_run(struct probe_vm *vm, struct kvm_result *ret)
{
	load(vm->memory);
	if (set_cpuid(vm) < 0 || set_real(vm) < 0) {
		probe_set(ret, KVM_BROKEN, "setting up the probe guest: %s", strerror(errno));
		return;
	}
	if (next_byte(vm) != 'R') {
		broken(vm, 'R', ret);
		return;
	}
	if (set_long(vm) < 0) {
		probe_set(ret, KVM_BROKEN, "setting up long mode: %s", strerror(errno));
		return;
	}
	run_long(vm, ret);
}
