/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/compact.h"

#include <linux/seccomp.h>
#include <string.h>

#include "util/mem.h"

#define BEYOND 64      /* numbers above the last one that are tried too */
#define NEAR   255     /* how far a conditional jump reaches */
#define TAIL   0xdead0 /* "not here": no SECCOMP_RET_ has such bits */

/* Numbers from @from on, up to the next run, have one answer. */
struct run {
	uint32_t from, answer;
};

struct code {
	struct sock_filter *v;
	size_t n;
};

static void emit(struct code *c, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
	c->v = xrealloc(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct sock_filter) { .code = op, .jt = jt, .jf = jf, .k = k };
}

static void append(struct code *c, const struct code *more)
{
	for (size_t i = 0; i < more->n; i++)
		emit(c, more->v[i].code, more->v[i].jt, more->v[i].jf, more->v[i].k);
}

/* Jump over @distance instructions when the accumulator is @op @k. */
static void emit_far(struct code *c, uint16_t op, uint32_t k, size_t distance)
{
	if (distance <= NEAR) {
		emit(c, (uint16_t)(BPF_JMP | op | BPF_K), (uint8_t)distance, 0, k);
		return;
	}
	emit(c, (uint16_t)(BPF_JMP | op | BPF_K), 0, 1, k);
	emit(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)distance);
}

static uint32_t answer_of(const struct compact *c, const struct compact_abi *abi, uint32_t nr)
{
	struct bpf_call call = { .arch = abi->arch, .nr = nr | abi->bit };
	uint32_t answer = 0;

	if (nr > abi->last && abi->has_later)
		return abi->later;
	return bpf_run(c->full, &call, &answer) == BPF_ANSWERED ? answer : TAIL;
}

static size_t find_runs(const struct compact *c, const struct compact_abi *abi, struct run **ret)
{
	struct run *runs = NULL;
	size_t n = 0;

	for (uint32_t nr = 0; nr <= abi->last + 1; nr++) {
		uint32_t answer = answer_of(c, abi, nr);

		if (n && runs[n - 1].answer == answer)
			continue;
		runs = xrealloc(runs, n + 1, sizeof(*runs));
		runs[n++] = (struct run) { .from = nr | abi->bit, .answer = answer };
	}
	*ret = runs;
	return n;
}

/* A search tree; what is for the tail is a jump whose distance comes later. */
static void emit_tree(struct code *c, const struct run *runs, size_t n)
{
	struct code left = { 0 }, right = { 0 };

	if (n == 1) {
		if (runs[0].answer == TAIL)
			emit(c, BPF_JMP | BPF_JA, 0, 0, TAIL);
		else
			emit(c, BPF_RET | BPF_K, 0, 0, runs[0].answer);
		return;
	}
	emit_tree(&left, runs, n / 2);
	emit_tree(&right, runs + n / 2, n - n / 2);
	emit_far(c, BPF_JGE, runs[n / 2].from, left.n);
	append(c, &left);
	append(c, &right);
	free(left.v);
	free(right.v);
}

/* One set of numbers: skipped when the call is of another. */
static void emit_abi(const struct compact *c, const struct compact_abi *abi, bool is_shared,
		     struct code *out)
{
	struct code tree = { 0 }, body = { 0 };
	OWN(mem) struct run *runs = NULL;
	size_t n = find_runs(c, abi, &runs);

	emit_tree(&tree, runs, n);
	emit(&body, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	if (is_shared && abi->bit) {
		/* Below the bit it is the other's: skip the tree. */
		emit_far(&body, BPF_JGE, abi->bit, 1);
		emit(&body, BPF_JMP | BPF_JA, 0, 0, (uint32_t)tree.n);
	} else if (is_shared) {
		emit_far(&body, BPF_JGE, 0x40000000, tree.n);
	}
	append(&body, &tree);
	emit(out, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit_far(out, BPF_JEQ, abi->arch, 1);
	emit(out, BPF_JMP | BPF_JA, 0, 0, (uint32_t)body.n);
	append(out, &body);
	free(tree.v);
	free(body.v);
}

/* What is left goes to the full filter's answer for it, by way of the tail. */
static void link_tail(struct code *c, const struct bpf_program *tail)
{
	size_t start = c->n;

	for (size_t i = 0; i < start; i++)
		if (c->v[i].code == (BPF_JMP | BPF_JA) && c->v[i].k == TAIL)
			c->v[i].k = (uint32_t)(start - i - 1);
	append(c, &(struct code) { tail->code, tail->n });
}

/* Arguments that tell the usual conditions apart: bits of flags, small numbers, extremes. */
static bool same_for_args(const struct compact *c, const struct bpf_program *p, uint32_t arch,
			  uint32_t nr)
{
	for (int i = -1; i < 130; i++) {
		uint64_t v = i < 0 ? 0 : i < 64 ? UINT64_C(1) << i : (uint64_t)(i - 64) - (i > 128);
		uint64_t args[6] = { v, v, v, v, v, v };
		struct bpf_call call = { .arch = arch, .nr = nr, .args = args };
		uint32_t a = 0, b = 0;

		if (bpf_run(p, &call, &a) != BPF_ANSWERED ||
		    bpf_run(c->full, &call, &b) != BPF_ANSWERED || a != b)
			return false;
	}
	return true;
}

static bool is_same(const struct compact *c, const struct bpf_program *p,
		    const struct compact_abi *abi, uint32_t nr)
{
	struct bpf_call call = { .arch = abi->arch, .nr = nr | abi->bit };
	uint32_t want = answer_of(c, abi, nr), got = 0;

	if (want == TAIL)
		return same_for_args(c, p, abi->arch, nr | abi->bit);
	return bpf_run(p, &call, &got) == BPF_ANSWERED && got == want;
}

static struct err *prove(const struct compact *c, const struct bpf_program *p)
{
	for (size_t i = 0; i < c->n_abis; i++)
		for (uint32_t nr = 0; nr <= c->abis[i].last + BEYOND; nr++)
			if (!is_same(c, p, &c->abis[i], nr))
				return err_new(ERR_UNSUPPORTED, "short filter differs at call %u",
					       nr);
	return NULL;
}

static bool is_shared(const struct compact *c, const struct compact_abi *abi)
{
	for (size_t i = 0; i < c->n_abis; i++)
		if (&c->abis[i] != abi && c->abis[i].arch == abi->arch)
			return true;
	return false;
}

struct err *compact_make(const struct compact *c, struct bpf_program *ret)
{
	struct code code = { 0 };
	struct bpf_program p;
	struct err *e;

	for (size_t i = 0; i < c->n_abis; i++)
		emit_abi(c, &c->abis[i], is_shared(c, &c->abis[i]), &code);
	link_tail(&code, c->tail);
	p = (struct bpf_program) { code.v, code.n };
	e = prove(c, &p);
	if (e)
		free(code.v);
	else
		*ret = p;
	return e;
}
