/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_STATS_H
#define GUEST_STATS_H

/*
 * Stats: what the VM has used, as its own kernel counts it.
 */

#include "json/json.h"

/**
 * guest_stats() - "stats": {"cpu_ns","cpus","memory_bytes","memory_total_bytes","cache_bytes",
 * "pids","rx_bytes","tx_bytes","rx_packets","tx_packets","read_bytes","write_bytes"}
 */
json_t *guest_stats(void);

/** guest_top() - "top": {"Titles":[…],"Processes":[[…]]} as ps -ef shows them */
json_t *guest_top(void);

#endif
