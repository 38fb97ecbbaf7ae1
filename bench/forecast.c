/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forecast POLICY QUEUED UNKNOWN STEPS: what it costs to ask a scheduler with so many in the queue
 * when each will start (hostel queue), and for a copy of it with one pass (hostel fit).  A machine
 * of 64 cpus and 256 GiB is full; of the jobs UNKNOWN percent have no expected run time.  Prints
 * the median and the longest of both in us, and of how many the start is known.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "sched/sched.h"
#include "util/mem.h"

#define SEC 1000000000LL
#define GIB (1LL << 30)

static uint64_t next(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % below;
}

static void arrive(struct sched *s, uint64_t *random, unsigned number, unsigned unknown)
{
	char id[24];
	struct sched_job j = {
		.id = id,
		.number = number + 1,
		.demand.v = { [RES_CPU] = 250 * (int64_t)(1 + next(random, 32)),
			      [RES_MEMORY] = GIB / 4 * (int64_t)(1 + next(random, 64)),
			      [RES_MANAGE] = 200 * 1024 },
		.declared = { [RES_CPU] = true, [RES_MEMORY] = true },
		.priority = (int64_t)next(random, 10),
		.uid = (int64_t)next(random, 50),
	};

	j.expect_ns = next(random, 100) < unknown ? 0 : SEC * (int64_t)(1 + next(random, 10000));
	snprintf(id, sizeof(id), "job-%u", number);
	sched_arrive(s, &j, SEC + number * (SEC / 100));
}

static void nobody(void *arg, const char *id)
{
	(void)arg, (void)id;
}

static void count(void *arg, const char *id, int64_t starts_ns)
{
	(void)id;
	*(uint64_t *)arg += starts_ns != 0;
}

static void each(void *arg, const char *id, int64_t arrival_ns)
{
	(void)id, (void)arrival_ns;
	++*(uint64_t *)arg;
}

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

static int by_size(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return a < b ? -1 : a > b;
}

static void print(const char *what, int64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_size);
	printf("%s %.0f %.0f ", what, (double)v[n / 2] / 1e3, (double)v[n - 1] / 1e3);
}

int main(int argc, char **argv)
{
	unsigned queued = argc > 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	unsigned unknown = argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	size_t steps = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	int64_t *asks = xcalloc(steps + 1, sizeof(int64_t)),
		*copies = xcalloc(steps + 1, sizeof(int64_t));
	OWN(sched) struct sched *s = sched_new();
	uint64_t random = 42, waiting = 0, known = 0;
	int64_t now = SEC;
	unsigned number = 0;

	if (!steps || (s && sched_policy_set(s, argv[1])))
		return 2;
	sched_capacity(
	    s, (struct amounts) {
		   .v = { [RES_CPU] = 64000, [RES_MEMORY] = 256 * GIB, [RES_MANAGE] = 64 * GIB } });
	while (waiting < queued) {
		for (uint64_t i = waiting; i < queued; i++)
			arrive(s, &random, number++, unknown);
		now = SEC + number * (SEC / 100);
		sched_pass(s, now, nobody, NULL);
		waiting = 0;
		sched_each_waiting(s, now, each, &waiting);
	}
	for (size_t i = 0; i < steps; i++) {
		int64_t from = cpu_ns();
		struct sched *c;

		known = 0;
		sched_expected_starts(s, now, count, &known);
		asks[i] = cpu_ns() - from;
		from = cpu_ns();
		c = sched_copy(s);
		sched_pass(c, now, nobody, NULL);
		sched_free(c);
		copies[i] = cpu_ns() - from;
	}
	print("forecast", asks, steps);
	print("copy", copies, steps);
	printf("known %" PRIu64 " of %" PRIu64 "\n", known, waiting);
	free(asks);
	free(copies);
	return 0;
}
