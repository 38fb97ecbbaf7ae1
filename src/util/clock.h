/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

/*
 * Clocks.  Decisions use CLOCK_BOOTTIME in ns; wall time is for display and
 * for what is stored across boots.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/defs.h"

/** clock_boot_ns() - CLOCK_BOOTTIME now, in ns */
int64_t clock_boot_ns(void);

/** clock_wall_ns() - CLOCK_REALTIME now, in ns since the epoch */
int64_t clock_wall_ns(void);

/**
 * clock_rfc3339() - wall time as Docker writes it, "2026-01-02T03:04:05.000000006Z"
 * @wall_ns: ns since the epoch; 0 gives Docker's zero time "0001-01-01T00:00:00Z"
 * @buf:     at least 36 bytes
 * Return: @buf.
 */
const char *clock_rfc3339(int64_t wall_ns, char *buf);

/**
 * clock_parse_rfc3339() - the way back: "2026-01-02T03:04:05.5Z", also with an offset "+01:00"
 * Return: is it a time (years 1 to 9999, up to nine digits of fraction)?
 */
bool clock_parse_rfc3339(const char *text, int64_t *ret_wall_ns) MUST_USE;

#endif
