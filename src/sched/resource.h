/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_RESOURCE_H
#define SCHED_RESOURCE_H

/*
 * What is handed out: one amount per resource.  Context: pure.
 */

#include <stdint.h>

/* A user of one resource only counts the first: RES_CPU stands first. */
enum resource {
	RES_CPU,    /* thousandths of a cpu */
	RES_MEMORY, /* bytes */
	RES_DISK,   /* bytes */
	RES_GPUS,
	RES_PIDS,
	RES_MANAGE, /* bytes: M, what managing costs */
	RES_COUNT,
};

struct amounts {
	int64_t v[RES_COUNT];
};

/** sched_resource_name() - "cpu", "memory", …; static storage */
const char *sched_resource_name(enum resource r);

/** sched_amount_text() - "1.5 GiB", "0.5 cpus", "2"; @buf at least 32 bytes; returns @buf */
const char *sched_amount_text(enum resource r, int64_t amount, char *buf);

#endif
