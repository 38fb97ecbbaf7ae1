/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_TSC_H
#define SYS_TSC_H

/*
 * The rate of the cpu's time stamp counter.  The kernel knows it but does not tell, so two
 * samples are compared: the longer they are apart, the better.  A guest under TCG counts with
 * it, and measures it badly itself when the host is busy.
 */

#include <stdint.h>

struct tsc_sample {
	uint64_t ticks;
	int64_t ns; /* CLOCK_MONOTONIC */
};

/** tsc_sample() - counter and clock at one moment, to within a microsecond or so */
struct tsc_sample tsc_sample(void);

/**
 * tsc_khz() - rate of the counter between two samples
 * Return: kHz; 0 when they are less than TSC_SPAN_MIN_NS apart, or without such a counter.
 */
int64_t tsc_khz(const struct tsc_sample *from, const struct tsc_sample *to);

#define TSC_SPAN_MIN_NS 5000000

#endif
