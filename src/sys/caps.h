/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CAPS_H
#define SYS_CAPS_H

/*
 * Capabilities: names, sets as bit masks, and putting them on the calling process.
 * Spec: capabilities(7).
 */

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define CAPS_COUNT 41 /* CAP_CHECKPOINT_RESTORE is the last one known */
#define CAPS_ALL   ((UINT64_C(1) << CAPS_COUNT) - 1)

struct caps {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/** caps_name() - "CAP_CHOWN" for 0; NULL out of range; static storage */
const char *caps_name(int cap);

/**
 * caps_parse() - number of a name
 * @name: "CAP_NET_ADMIN", "net_admin", in any case
 * Return: number, or -1.
 */
int caps_parse(const char *name);

/** caps_own() - permitted set of the calling process */
struct err *caps_own(uint64_t *ret) MUST_USE;

/** caps_drop_bounding() - leave only @keep in the bounding set; needs CAP_SETPCAP */
struct err *caps_drop_bounding(uint64_t keep) MUST_USE;

/** caps_apply() - set permitted, effective, inheritable and ambient sets (not bounding) */
struct err *caps_apply(const struct caps *c) MUST_USE;

#endif
