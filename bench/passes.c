/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passes POLICY QUEUED RESOURCES STEPS: what one pass of the allocator costs with so many in
 * the queue.  A machine of 64 cpus and 256 GiB is full; now one more arrives, now one ends (and
 * arrivals make up for what started), each followed by a pass, which alone is timed.  One in ten
 * has no expected run time.  Prints the median, 99th percentile and longest of both sorts of
 * pass in us, and how many were started.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "sched/alloc.h"
#include "util/mem.h"

#define SEC 1000000000LL
#define GIB (1LL << 30)

struct load {
	struct alloc *a;
	uint64_t random;
	int64_t now_ns;
	uint32_t *running; /* handles */
	size_t n_running;
	uint64_t started;
};

static uint64_t next(struct load *l, uint64_t below)
{
	l->random = l->random * 6364136223846793005u + 1442695040888963407u;
	return (l->random >> 33) % below;
}

static void arrive(struct load *l)
{
	struct alloc_job j = {
		.demand.v = { 250 * (int64_t)(1 + next(l, 32)),
			      GIB / 4 * (int64_t)(1 + next(l, 64)), 0, 0,
			      (int64_t)(64 * next(l, 8)), 200 * 1024 },
		.arrival_ns = l->now_ns,
		.planned_ns = next(l, 10) ? SEC * (int64_t)(1 + next(l, 10000)) : 0,
		.deadline_ns = l->now_ns + SEC * (int64_t)next(l, 100000),
		.priority = (int32_t)next(l, 10),
		.user = (uint32_t)next(l, 50),
		.label = (uint32_t)next(l, 50),
	};

	alloc_arrive(l->a, &j);
}

/* Return: ns of one pass. */
static int64_t pass(struct load *l)
{
	struct timespec from, to;
	struct alloc_result r;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	r = alloc_pass(l->a, l->now_ns);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	for (size_t i = 0; i < r.n_starts; i++)
		l->running[l->n_running++] = r.starts[i].handle;
	l->started += r.n_starts;
	return (to.tv_sec - from.tv_sec) * SEC + to.tv_nsec - from.tv_nsec;
}

static int by_size(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return a < b ? -1 : a > b;
}

static void print(const char *what, int64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	printf("%s %.1f %.1f %.1f ", what, (double)v[n / 2] / 1e3, (double)v[n * 99 / 100] / 1e3,
	       (double)v[n - 1] / 1e3);
}

int main(int argc, char **argv)
{
	struct alloc_config conf = { .policy = argv[1] };
	size_t queued = argc > 4 ? strtoul(argv[2], NULL, 10) : 0;
	size_t steps = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	struct load l = { .random = 42, .now_ns = SEC };
	int64_t *arrivals = xcalloc(steps + 1, sizeof(int64_t)),
		*ends = xcalloc(steps + 1, sizeof(int64_t));

	if (!steps || alloc_policy_check(argv[1]))
		return 2;
	conf.resources = (unsigned)strtoul(argv[3], NULL, 10);
	l.a = alloc_new(&conf);
	l.running = xcalloc(queued + 100 * steps + 10000, sizeof(uint32_t));
	alloc_capacity(
	    l.a, (struct amounts) { .v = { 64000, 256 * GIB, 1LL << 60, 8, 1 << 20, 64 * GIB } });
	while (alloc_waiting(l.a) < queued) {
		for (size_t i = alloc_waiting(l.a); i < queued; i++, l.now_ns += SEC / 10)
			arrive(&l);
		pass(&l);
	}
	for (size_t i = 0; i < steps; i++) {
		size_t out = next(&l, l.n_running);

		l.now_ns += SEC / 10;
		arrive(&l);
		arrivals[i] = pass(&l);
		l.now_ns += SEC / 10;
		alloc_leave(l.a, l.running[out]);
		l.running[out] = l.running[--l.n_running];
		ends[i] = pass(&l);
		while (alloc_waiting(l.a) < queued)
			arrive(&l);
	}
	print("arrival", arrivals, steps);
	print("end", ends, steps);
	printf("started %" PRIu64 "\n", l.started);
	alloc_free(l.a);
	return 0;
}
