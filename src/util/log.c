/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* style: the log sink is the one writable file-scope state of the tree */
static struct {
	const char *program;
	enum log_level level;
} sink = { .program = "hostel", .level = LOG_INFO };

void log_set(const char *program, enum log_level level)
{
	sink.program = program;
	sink.level = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char line[2048];
	va_list ap;
	int n;

	if (level > sink.level)
		return;
	n = snprintf(line, sizeof(line), "%s: %s: ", sink.program, names[level]);
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n);
}
