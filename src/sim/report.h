/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

/*
 * Results as documents: JSON and CSV with numbers that read back exactly, the jobs as SWF.
 *
 * Context: prints to a stream; the caller looks at its error flag.
 */

#include <stdio.h>

#include "sim/result.h"

/** sim_report_json() - an array of one object per result */
void sim_report_json(FILE *out, const struct sim_trace *t, const struct sim_result *r, size_t n);

/** sim_report_csv() - a line of names, a line per result */
void sim_report_csv(FILE *out, const struct sim_trace *t, const struct sim_result *r, size_t n);

/** sim_report_swf() - the jobs as they were run: the wait column is what the simulation says */
void sim_report_swf(FILE *out, const struct sim_trace *t, const struct sim_result *r);

/** sim_number_text() - the shortest text that reads back as @x; @buf at least 32 bytes */
const char *sim_number_text(double x, char *buf);

#endif
