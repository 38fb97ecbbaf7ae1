/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LOG_INT_H
#define SIM_LOG_INT_H

/*
 * Lines of an event log, or of several that stand one behind the other: what its two readers, of
 * a workload and of decisions, share.
 */

#include "sched/record.h"
#include "sim/read_int.h"

struct log_cursor {
	struct lines *lines;
	uint64_t file, line; /* of the line last given: files from 0, lines of it from 1 */
	int64_t now_ns;
	bool has_begun;
};

struct log_line {
	bool is_end;
	enum record_result result;
	struct record record;
	int64_t at_ns; /* since the log's time 0, within SIM_TIME_MAX */
};

/** log_is_header() - does the line name this format? */
bool log_is_header(const char *line, const char *end);

/**
 * log_next() - the next line with a record
 *
 * A delta below 0 or beyond all bounds makes it RECORD_BAD.  A last line without its newline is
 * the end.
 * Return: NULL; ERR_UNSUPPORTED for another version, ERR_CORRUPT when the first line is no header;
 * the source's errors.
 */
struct err *log_next(struct log_cursor *c, struct log_line *ret) MUST_USE;

#endif
