/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm/probe_int.h"
#include "util/fd.h"

/*
 * A cpu does hundreds of millions of such instructions a second, under a hypervisor's
 * hypervisor too; a KVM that emulates guest kernel mode does about two millions.
 */
#define RATE_MIN 20000000ULL

#define API_VERSION 12 /* the only one there ever was */

static const char *const names[] = {
	[KVM_USABLE] = "usable",
	[KVM_ABSENT] = "absent",
	[KVM_BROKEN] = "broken",
	[KVM_EMULATED] = "emulated",
};
static_assert(ARRAY_SIZE(names) == KVM_VERDICTS, "a verdict has no name");

const char *kvm_verdict_name(enum kvm_verdict v)
{
	return v < KVM_VERDICTS ? names[v] : "unknown";
}

void probe_set(struct kvm_result *r, enum kvm_verdict v, const char *fmt, ...)
{
	va_list ap;

	r->verdict = v;
	va_start(ap, fmt);
	vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
	va_end(ap);
}

void probe_judge(uint64_t rate, struct kvm_result *ret)
{
	ret->rate = rate;
	if (rate < RATE_MIN)
		probe_set(ret, KVM_EMULATED,
			  "KVM emulates guest kernel mode: %.1f million instructions a second",
			  (double)rate / 1e6);
	else
		probe_set(ret, KVM_USABLE, "the probe guest ran at full speed");
}

/* ---- in the child ---- */

static int make_vm(struct probe_vm *vm)
{
	struct kvm_userspace_memory_region region = { .memory_size = PROBE_MEMORY_BYTES };
	int run_bytes;

	vm->vm = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->vm < 0)
		return -1;
	vm->memory = mmap(NULL, PROBE_MEMORY_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->memory == MAP_FAILED)
		return -1;
	region.userspace_addr = (uintptr_t)vm->memory;
	if (ioctl(vm->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -1;
	vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
	run_bytes = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->vcpu < 0 || run_bytes < 0)
		return -1;
	vm->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	return vm->run == MAP_FAILED ? -1 : 0;
}

/* Everything is released by the child's end. */
static void child(int kvm, int out)
{
	struct kvm_result r = { .verdict = KVM_BROKEN };
	struct probe_vm vm = { .kvm = kvm };
	int version = ioctl(kvm, KVM_GET_API_VERSION, 0);

	if (version != API_VERSION)
		probe_set(&r, KVM_BROKEN, "KVM has API version %d", version);
	else if (make_vm(&vm) < 0)
		probe_set(&r, KVM_BROKEN, "KVM does not make a VM: %s", strerror(errno));
	else
		probe_run(&vm, &r);
	_exit(write(out, &r, sizeof(r)) != sizeof(r));
}

/* ---- in the parent ---- */

static void take_result(int fd, struct kvm_result *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct kvm_result r;
	int n;

	do
		n = poll(&p, 1, KVM_PROBE_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		probe_set(ret, KVM_BROKEN, "the probe guest does not end within %d ms",
			  KVM_PROBE_TIMEOUT_MS);
	else if (read(fd, &r, sizeof(r)) != sizeof(r))
		probe_set(ret, KVM_BROKEN, "the probe ended without an answer");
	else
		*ret = r;
}

static void run_child(int kvm, struct kvm_result *ret)
{
	OWN(fd) int in = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		probe_set(ret, KVM_BROKEN, "pipe: %s", strerror(errno));
		return;
	}
	in = fds[0];
	pid = fork();
	if (!pid)
		child(kvm, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		probe_set(ret, KVM_BROKEN, "fork: %s", strerror(errno));
		return;
	}
	take_result(in, ret);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void kvm_probe(const char *path, struct kvm_result *ret)
{
	OWN(fd) int kvm = -1;

	*ret = (struct kvm_result) { .verdict = KVM_ABSENT };
	if (!probe_is_supported()) {
		probe_set(ret, KVM_BROKEN, "there is no probe guest for this architecture");
		return;
	}
	kvm = open(path, O_RDWR | O_CLOEXEC);
	if (kvm < 0 && errno == ENOENT)
		probe_set(ret, KVM_ABSENT, "%s is absent", path);
	else if (kvm < 0)
		probe_set(ret, KVM_ABSENT, "%s: %s", path, strerror(errno));
	else
		run_child(kvm, ret);
}
