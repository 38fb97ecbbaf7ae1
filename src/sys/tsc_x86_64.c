/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>
#include <x86intrin.h>

#include "sys/tsc.h"

#define TRIES 8

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The counter is read between two readings of the clock; the closest pair wins. */
struct tsc_sample tsc_sample(void)
{
	struct tsc_sample best = { 0 };
	int64_t width = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = now_ns();
		uint64_t ticks = __rdtsc();
		int64_t after = now_ns();

		if (after - before >= width)
			continue;
		width = after - before;
		best = (struct tsc_sample) { .ticks = ticks, .ns = before + width / 2 };
	}
	return best;
}
