/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_NODES_H
#define SIM_NODES_H

/*
 * A list of nodes as CSV: a column "cpu" or "cpu_milli", and "memory", "memory_mib", "gpu" where
 * there are such (Alibaba's openb_node_list is of this kind).
 */

#include "sched/alloc.h"
#include "util/source.h"

/**
 * sim_nodes_read() - Return: NULL, or ERR_CORRUPT with the line; the source's errors.
 * @ret: @ret_n nodes, owned by the caller (free()); RES_GPUS in thousandths
 */
struct err *sim_nodes_read(struct source in, struct amounts **ret, size_t *ret_n) MUST_USE;

#endif
