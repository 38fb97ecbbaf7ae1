/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * edf: earliest deadline first; ties by arrival.  Without a deadline: last.
 * It orders only: a deadline that cannot be met refuses nobody.
 * A job without one, or with a late one, can be passed over for ever: max_wait_ns bounds it.
 * Source: J. R. Jackson's rule (1955); C. L. Liu, J. W. Layland, JACM 20(1), 1973.
 */
static int64_t key(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns)
{
	return e->deadline_ns ? e->deadline_ns : INT64_MAX;
}

const struct alloc_order alloc_order_edf = {
	.name = "edf",
	.help = "earliest deadline first",
	.kind = ORDER_STATIC,
	.can_pass_for_ever = true,
	.key = key,
};
