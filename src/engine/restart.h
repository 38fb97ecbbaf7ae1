/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_RESTART_H
#define ENGINE_RESTART_H

/* Restart policies: whether, and after how long.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "model/spec.h"

#define RESTART_FIRST_NS (100 * INT64_C(1000000))
#define RESTART_MAX_NS   (60 * INT64_C(1000000000))
#define RESTART_GOOD_NS  (10 * INT64_C(1000000000)) /* it ran this long: no back-off */

struct restart_case {
	enum spec_restart policy;
	int max;   /* on-failure:N; 0: without end */
	int count; /* restarts so far */
	int exit_code;
	bool stopped_by_user; /* stop, or a kill that a user asked for */
	bool at_boot;         /* the daemon starts: "always" forgets that a user stopped it */
};

/** restart_wanted() - shall it run again? */
bool restart_wanted(const struct restart_case *c);

/**
 * restart_delay_ns() - the next back-off
 * @last_ns: the one before; 0: there was none
 * @ran_ns:  how long it ran
 */
int64_t restart_delay_ns(int64_t last_ns, int64_t ran_ns);

#endif
