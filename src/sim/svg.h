/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SVG_H
#define SIM_SVG_H

/*
 * Charts as self-contained SVG (no script, font or style from elsewhere), readable from ten jobs
 * to millions: what is too many to draw one by one is drawn by interval.
 *
 * Context: prints to a stream; the caller looks at its error flag.
 */

#include <stdio.h>

#include "sim/run.h"

/**
 * sim_svg_gantt() - who ran when
 * Few jobs: one row of bars per processor, or per job when jobs were sliced.  Many: how busy each
 * part of the machine was, and beneath it how many jobs waited.
 */
void sim_svg_gantt(FILE *out, const struct sim_trace *t, const struct sim_run *r,
		   int64_t cpu_milli);

/* Waiting over time and its distribution, of one policy; small whatever the trace. */
#define SIM_CURVE_POINTS 240

struct sim_curve {
	char name[64];
	double
	    by_time[SIM_CURVE_POINTS]; /* mean wait of those submitted in the interval; <0: none */
	double quantile[SIM_CURVE_POINTS + 1]; /* wait at 0, 1/n … 1 */
	double first_s, last_s;                /* submissions */
};

/** sim_curve_fill() - after a run. Context: needs 8 bytes per job while it works */
void sim_curve_fill(struct sim_curve *c, const struct sim_trace *t, const char *name);

/** sim_svg_plot() - wait-time curves of @n policies */
void sim_svg_plot(FILE *out, const struct sim_curve *c, size_t n);

#endif
