/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECCOMP_BPF_H
#define SECCOMP_BPF_H

/*
 * Classic BPF as seccomp has it: programs, and what they answer.  Pure.
 * Spec: seccomp(2); kernel Documentation/networking/filter.rst.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_program {
	struct sock_filter *code;
	size_t n;
};

/* One question to a filter. */
struct bpf_call {
	uint32_t arch;
	uint32_t nr;
	const uint64_t *args; /* six; NULL: they are not known */
};

enum bpf_answer {
	BPF_ANSWERED,
	BPF_NEEDS_ARGS, /* it depends on arguments that are not known */
	BPF_BROKEN,     /* no program that we, or the kernel, would run */
};

/** bpf_run() - what a filter answers; @ret: SECCOMP_RET_* */
enum bpf_answer bpf_run(const struct bpf_program *p, const struct bpf_call *call, uint32_t *ret);

#endif
