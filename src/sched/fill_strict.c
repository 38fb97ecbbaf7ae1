/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/* strict: nothing passes a head that does not fit. */
const struct alloc_fill alloc_fill_strict = {
	.name = "strict",
	.help = "nothing passes the head",
};
