/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_HEALTH_RULES_H
#define ENGINE_HEALTH_RULES_H

/* Health checks: what is asked for, and what a result means.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "json/json.h"

struct health_rules {
	struct strv cmd;
	int64_t interval_ns, timeout_ns, start_period_ns, start_interval_ns;
	int retries;
};

/**
 * health_rules_read() - from Docker's Healthcheck object
 * @doc: NULL: there is none
 * @ret: its cmd is owned by the caller
 * Return: false when nothing is to be checked (no test, NONE); @ret is untouched then.
 */
bool health_rules_read(const json_t *doc, struct health_rules *ret);

/** health_next() - state after a check that ended with @code; @streak: failures in a row, updated
 */
enum health_state health_next(const struct health_rules *r, enum health_state state, int code,
			      int64_t since_start_ns, int *streak);

/** health_delay_ns() - until the next check */
int64_t health_delay_ns(const struct health_rules *r, enum health_state state,
			int64_t since_start_ns);

#endif
