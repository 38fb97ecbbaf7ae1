/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/tsc.h"

int64_t tsc_khz(const struct tsc_sample *from, const struct tsc_sample *to)
{
	int64_t ns = to->ns - from->ns;

	if (ns < TSC_SPAN_MIN_NS || to->ticks <= from->ticks)
		return 0;
	return (int64_t)((double)(to->ticks - from->ticks) * 1e6 / (double)ns + 0.5);
}
