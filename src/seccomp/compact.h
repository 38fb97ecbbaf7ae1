/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECCOMP_COMPACT_H
#define SECCOMP_COMPACT_H

/*
 * A shorter filter of the same effect.  The kernel checks, translates and tries a filter
 * at each load, which costs a container's start about a millisecond for the thousand
 * instructions that libseccomp makes of Docker's profile.  System calls that are answered
 * without a look at their arguments are ranges of numbers: a search tree over these is a
 * third of that.  The few others go to a small filter behind it.
 */

#include "seccomp/bpf.h"
#include "util/err.h"

/* One set of system call numbers. */
struct compact_abi {
	uint32_t arch; /* AUDIT_ARCH_* */
	uint32_t bit;  /* set in all its numbers */
	uint32_t last; /* without the bit; above it are only numbers that no rule names */
	bool has_later;
	uint32_t later; /* answer for these; !has_later: what the full filter says */
};

struct compact {
	const struct compact_abi *abis;
	size_t n_abis;
	const struct bpf_program *full; /* the filter to be shortened */
	const struct bpf_program *tail; /* answers as it, where arguments count */
};

/**
 * compact_make() - build it, and prove it on every number of every set
 * @ret: code is owned by the caller
 * Return: NULL; ERR_UNSUPPORTED when the two would differ: take the full one then.
 */
struct err *compact_make(const struct compact *c, struct bpf_program *ret) MUST_USE;

#endif
