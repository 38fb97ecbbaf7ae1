/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/account.h"

#include <stdlib.h>

#include "util/mem.h"

#define TAU_NS (10LL * 1000000000)

static int64_t end_of(const struct account *a, int64_t now_ns)
{
	return a->finish_ns ? a->finish_ns : now_ns;
}

int64_t account_turnaround_ns(const struct account *a, int64_t now_ns)
{
	return end_of(a, now_ns) - a->arrival_ns;
}

int64_t account_run_ns(const struct account *a, int64_t now_ns)
{
	int64_t t;

	if (!a->start_ns)
		return 0;
	t = end_of(a, now_ns) - a->start_ns - a->paused_ns - a->sliced_ns;
	return t > 0 ? t : 0;
}

int64_t account_wait_ns(const struct account *a, int64_t now_ns)
{
	int64_t w = account_turnaround_ns(a, now_ns) - account_run_ns(a, now_ns) - a->paused_ns;

	return w > 0 ? w : 0;
}

double account_bounded_slowdown(const struct account *a, int64_t now_ns)
{
	int64_t run = account_run_ns(a, now_ns);
	double s = (double)(account_turnaround_ns(a, now_ns) - a->paused_ns) /
		   (double)(run > TAU_NS ? run : TAU_NS);

	return s > 1 ? s : 1;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t percentile(const int64_t *sorted, size_t n, size_t p)
{
	return sorted[(n * p + 99) / 100 - 1];
}

struct account_sums account_sum(const struct account *a, size_t n, int64_t now_ns)
{
	OWN(mem) int64_t *waits = NULL;
	struct account_sums s = { .n = n };
	int64_t first = INT64_MAX, last = 0;

	if (!n)
		return s;
	waits = xcalloc(n, sizeof(*waits));
	for (size_t i = 0; i < n; i++) {
		waits[i] = account_wait_ns(&a[i], now_ns);
		s.total_wait_ns += waits[i];
		s.total_run_ns += account_run_ns(&a[i], now_ns);
		s.running += a[i].start_ns && !a[i].finish_ns;
		s.mean_bounded_slowdown += account_bounded_slowdown(&a[i], now_ns) / (double)n;
		first = a[i].arrival_ns < first ? a[i].arrival_ns : first;
		last = end_of(&a[i], now_ns) > last ? end_of(&a[i], now_ns) : last;
	}
	qsort(waits, n, sizeof(*waits), ascending);
	s.mean_wait_ns = s.total_wait_ns / (int64_t)n;
	s.median_wait_ns = percentile(waits, n, 50);
	s.p95_wait_ns = percentile(waits, n, 95);
	s.max_wait_ns = waits[n - 1];
	s.makespan_ns = last - first;
	return s;
}
