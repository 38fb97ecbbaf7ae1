/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/resource.h"

#include <inttypes.h>
#include <stdio.h>

#include "util/defs.h"
#include "util/num.h"

static const char *const names[] = { "cpu", "memory", "disk", "gpus", "pids", "management memory" };
_Static_assert(ARRAY_SIZE(names) == RES_COUNT, "name every resource");

const char *sched_resource_name(enum resource r)
{
	return names[r];
}

const char *sched_amount_text(enum resource r, int64_t amount, char *buf)
{
	switch (r) {
	case RES_CPU:
		if (amount % 1000 == 0)
			snprintf(buf, 32, "%" PRId64 " cpu%s", amount / 1000,
				 amount == 1000 ? "" : "s");
		else
			snprintf(buf, 32, "%.*f cpus", amount % 100 ? 3 : 1, (double)amount / 1000);
		return buf;
	case RES_GPUS:
	case RES_PIDS:
		snprintf(buf, 32, "%" PRId64, amount);
		return buf;
	case RES_MEMORY:
	case RES_DISK:
	case RES_MANAGE:
	case RES_COUNT:
		break;
	}
	return num_bytes_text(amount, buf);
}
