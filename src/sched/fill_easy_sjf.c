/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * easy-sjf: easy, but those behind the head are tried shortest planned run time first, ties by
 * arrival.  The head and what starts before it stay in the order of the policy.
 *
 * Guarantee: as easy, for the head; among those behind nobody is passed over for ever as long
 * as the order itself brings each to the head.
 * Source: D. Tsafrir, Y. Etsion, D. Feitelson, "Backfilling using system-generated predictions
 * rather than user runtime estimates", TPDS 18(6), 2007.
 */
static void rest(struct alloc *a, uint32_t head)
{
	fill_easy_with(a, head, true);
}

const struct alloc_fill alloc_fill_easy_sjf = {
	.name = "easy-sjf",
	.help = "easy, shortest candidates first",
	.needs_ends = true,
	.needs_search = true,
	.needs_lengths = true,
	.rest = rest,
};
