/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_READ_INT_H
#define SIM_READ_INT_H

#include "sim/lines.h"
#include "sim/trace.h"

/* A format of traces. */
struct sim_format {
	const char *name;
	/* Is this the first line of such a file? */
	bool (*is_it)(const char *line, const char *end);
	struct err *(*read)(struct lines *l, const struct sim_limits *limits, struct sim_trace *t);
};

extern const struct sim_format sim_format_swf, sim_format_csv, sim_format_log;

#endif
