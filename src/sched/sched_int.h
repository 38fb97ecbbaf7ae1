/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_SCHED_INT_H
#define SCHED_SCHED_INT_H

/* Inside of the scheduler: the allocator's jobs by id. */

#include "sched/alloc.h"
#include "sched/sched.h"

struct named {
	char *id;
	struct sched_job job; /* job.id is @id; what is not declared demands 0 */
	int64_t arrival_ns;
	int64_t start_ns; /* since when it holds its demand */
	uint64_t seq;     /* of its arrival */
	uint32_t handle;
	uint32_t hash;
	bool is_held;
	enum sched_memory memory;
	struct amounts over; /* running: measured beyond the demand */
	struct amounts kept; /* spilled: holds this still */
	struct named *next;  /* of the same bucket */
};

struct quota {
	int64_t uid;
	struct amounts most;
	uint32_t jobs;
};

/* Numbers of any size to those from 0 on. */
struct numbers {
	int64_t *v;
	uint32_t n;
};

struct sched {
	struct alloc *alloc;
	struct amounts total, host, over, kept; /* the last two: sums */
	struct named **buckets;
	size_t n_buckets, n;
	struct numbers users, groups; /* of the allocator */
	struct quota *quotas;
	size_t n_quotas;
	bool is_draining;
	int64_t max_wait_ns, aging_ns, turn_ns;
	uint64_t seq;
	void (*watch)(void *arg, const struct record *r, const char *id, int64_t at_ns);
	void *watch_arg;
	struct amounts told; /* what others hold, as last told */
};

/** sched_find() - NULL: no job has that id */
struct named *sched_find(const struct sched *s, const char *id);

/** sched_named() - whose job of the allocator it is */
static inline struct named *sched_named(const struct sched *s, uint32_t handle)
{
	return (struct named *)(uintptr_t)alloc_tag(s->alloc, handle); // NOLINT
}

#endif
