/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECCOMP_RULE_H
#define SECCOMP_RULE_H

/*
 * Names of a profile as libseccomp's numbers, and the question whether a rule
 * applies here.  Pure.
 */

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"

/* What rules are asked about. */
struct rule_context {
	const struct strv *caps;
	const char *arch; /* Docker's name of the native one, "amd64" */
	unsigned kernel_major, kernel_minor;
};

/**
 * rule_action() - "SCMP_ACT_ERRNO" and the like
 * @errnum: for ERRNO and TRACE
 * Return: NULL, or ERR_INVALID.
 */
struct err *rule_action(const char *name, unsigned errnum, uint32_t *ret) MUST_USE;

/** rule_arg() - one object of "args" */
struct err *rule_arg(const json_t *j, struct scmp_arg_cmp *ret) MUST_USE;

/** rule_applies() - do its "includes" and "excludes" let it count? */
bool rule_applies(const json_t *rule, const struct rule_context *c);

#endif
