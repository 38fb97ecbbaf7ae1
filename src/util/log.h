/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

/*
 * The log sink: one line on stderr per message, "level: text".  Library modules
 * never log above debug; main functions, request handlers and event callbacks
 * do, once, with the instance id and the error chain.
 */

#include "util/defs.h"

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/** log_set() - program name shown first, and the most detailed level printed */
void log_set(const char *program, enum log_level level);

/** log_line() - behind the macros below */
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
