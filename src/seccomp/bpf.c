/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/bpf.h"

#include <linux/seccomp.h>
#include <string.h>

#define ARGS offsetof(struct seccomp_data, args)

static enum bpf_answer load(const struct bpf_call *call, uint32_t at, uint32_t *ret)
{
	struct seccomp_data d = { .nr = (int)call->nr, .arch = call->arch };

	if (at % sizeof(*ret) || at > sizeof(d) - sizeof(*ret))
		return BPF_BROKEN;
	if (at >= ARGS && !call->args)
		return BPF_NEEDS_ARGS;
	if (call->args)
		memcpy(d.args, call->args, sizeof(d.args));
	memcpy(ret, (const char *)&d + at, sizeof(*ret));
	return BPF_ANSWERED;
}

static bool is_true(uint16_t code, uint32_t a, uint32_t k)
{
	if (BPF_OP(code) == BPF_JEQ)
		return a == k;
	if (BPF_OP(code) == BPF_JGT)
		return a > k;
	if (BPF_OP(code) == BPF_JGE)
		return a >= k;
	return a & k;
}

static bool is_jump(uint16_t code)
{
	return BPF_CLASS(code) == BPF_JMP && BPF_SRC(code) == BPF_K && BPF_OP(code) <= BPF_JSET;
}

enum bpf_answer bpf_run(const struct bpf_program *p, const struct bpf_call *call, uint32_t *ret)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < p->n; pc++) {
		const struct sock_filter *i = &p->code[pc];

		if (i->code == (BPF_LD | BPF_W | BPF_ABS)) {
			enum bpf_answer r = load(call, i->k, &a);

			if (r != BPF_ANSWERED)
				return r;
		} else if (i->code == (BPF_ALU | BPF_AND | BPF_K)) {
			a &= i->k;
		} else if (i->code == (BPF_JMP | BPF_JA)) {
			pc += i->k;
		} else if (is_jump(i->code)) {
			pc += is_true(i->code, a, i->k) ? i->jt : i->jf;
		} else if (i->code == (BPF_RET | BPF_K)) {
			*ret = i->k;
			return BPF_ANSWERED;
		} else {
			return BPF_BROKEN;
		}
	}
	return BPF_BROKEN;
}
