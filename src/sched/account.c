/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/account.h"

#include <stddef.h>
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

double account_slowdown(const struct account *a, int64_t now_ns)
{
	int64_t run = account_run_ns(a, now_ns);

	return run ? (double)(account_turnaround_ns(a, now_ns) - a->paused_ns) / (double)run : 0;
}

/* ---- what was held ---- */

void account_use_add(struct account_use *u, const struct account *a, int64_t from_ns, int64_t to_ns,
		     int64_t now_ns)
{
	int64_t begin = a->admission_ns ? a->admission_ns : a->start_ns, end = end_of(a, now_ns);
	int64_t from = begin > from_ns ? begin : from_ns, to = end < to_ns ? end : to_ns;
	double s;

	if (!begin || to <= from)
		return;
	s = (double)(to - from) / 1e9;
	u->memory_byte_s += s * (double)a->memory_bytes;
	if (a->sliced_ns < end - begin)
		u->cpu_milli_s +=
		    s * (double)a->cpu_milli * (1 - (double)a->sliced_ns / (double)(end - begin));
}

int64_t account_day(int64_t wall_ns, int64_t utc_offset_s)
{
	int64_t s = wall_ns / 1000000000 + utc_offset_s;

	return s >= 0 ? s / 86400 : -((86399 - s) / 86400);
}

/* ---- sums ---- */

#define F(name_, real_)                                                                            \
	{                                                                                          \
		.name = #name_, offsetof(struct account_sums, name_), .is_real = real_             \
	}

const struct account_field account_fields[] = {
	{ "starts", offsetof(struct account_sums, n), false },
	F(running, false),
	{ "T_total_ns", offsetof(struct account_sums, total_run_ns), false },
	{ "T_wait_ns", offsetof(struct account_sums, total_wait_ns), false },
	F(mean_wait_ns, false),
	F(median_wait_ns, false),
	F(p95_wait_ns, false),
	F(p99_wait_ns, false),
	F(max_wait_ns, false),
	F(mean_turnaround_ns, false),
	F(median_turnaround_ns, false),
	F(p95_turnaround_ns, false),
	F(p99_turnaround_ns, false),
	F(max_turnaround_ns, false),
	F(mean_slowdown, true),
	F(median_slowdown, true),
	F(p95_slowdown, true),
	F(p99_slowdown, true),
	F(max_slowdown, true),
	F(mean_bounded_slowdown, true),
	F(p95_bounded_slowdown, true),
	F(max_bounded_slowdown, true),
	F(makespan_ns, false),
	{ .name = NULL },
};

#define A(name)                                                                                    \
	{                                                                                          \
#name, offsetof(struct account, name), false                                       \
	}

const struct account_field account_record_fields[] = {
	A(arrival_ns), A(admission_ns), A(start_ns),     A(finish_ns),     A(paused_ns),
	A(sliced_ns),  A(cpu_milli),    A(memory_bytes), { .name = NULL },
};

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int ascending_real(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Nearest rank: the value that @p per cent do not exceed. */
static size_t rank_of(size_t n, size_t p)
{
	return (n * p + 99) / 100 - 1;
}

/* Sorts @v; mean, median, p95, p99, max into the five from @ret on. */
static void spread(int64_t *v, size_t n, int64_t sum, int64_t *ret)
{
	qsort(v, n, sizeof(*v), ascending);
	ret[0] = sum / (int64_t)n;
	ret[1] = v[rank_of(n, 50)];
	ret[2] = v[rank_of(n, 95)];
	ret[3] = v[rank_of(n, 99)];
	ret[4] = v[n - 1];
}

static void add_one(struct account_sums *s, const struct account *a, int64_t now_ns, int64_t *last)
{
	s->total_wait_ns += account_wait_ns(a, now_ns);
	s->total_run_ns += account_run_ns(a, now_ns);
	s->running += a->start_ns && !a->finish_ns;
	s->first_ns = a->arrival_ns < s->first_ns ? a->arrival_ns : s->first_ns;
	*last = end_of(a, now_ns) > *last ? end_of(a, now_ns) : *last;
}

static void times(struct account_sums *s, const struct account *a, size_t n, int64_t now_ns)
{
	OWN(mem) int64_t *v = xcalloc(n, sizeof(*v));
	int64_t sum = 0, ret[5];

	for (size_t i = 0; i < n; i++)
		v[i] = account_wait_ns(&a[i], now_ns);
	spread(v, n, s->total_wait_ns, ret);
	s->mean_wait_ns = ret[0];
	s->median_wait_ns = ret[1];
	s->p95_wait_ns = ret[2];
	s->p99_wait_ns = ret[3];
	s->max_wait_ns = ret[4];
	for (size_t i = 0; i < n; i++)
		sum += v[i] = account_turnaround_ns(&a[i], now_ns);
	spread(v, n, sum, ret);
	s->mean_turnaround_ns = ret[0];
	s->median_turnaround_ns = ret[1];
	s->p95_turnaround_ns = ret[2];
	s->p99_turnaround_ns = ret[3];
	s->max_turnaround_ns = ret[4];
}

static void ratios(struct account_sums *s, const struct account *a, size_t n, int64_t now_ns)
{
	OWN(mem) double *v = xcalloc(n, sizeof(*v));
	size_t ran = 0;

	for (size_t i = 0; i < n; i++) {
		if (!account_run_ns(&a[i], now_ns))
			continue;
		v[ran++] = account_slowdown(&a[i], now_ns);
		s->mean_slowdown += v[ran - 1];
	}
	if (ran) {
		qsort(v, ran, sizeof(*v), ascending_real);
		s->mean_slowdown /= (double)ran;
		s->median_slowdown = v[rank_of(ran, 50)];
		s->p95_slowdown = v[rank_of(ran, 95)];
		s->p99_slowdown = v[rank_of(ran, 99)];
		s->max_slowdown = v[ran - 1];
	}
	for (size_t i = 0; i < n; i++) {
		v[i] = account_bounded_slowdown(&a[i], now_ns);
		s->mean_bounded_slowdown += v[i] / (double)n;
	}
	qsort(v, n, sizeof(*v), ascending_real);
	s->p95_bounded_slowdown = v[rank_of(n, 95)];
	s->max_bounded_slowdown = v[n - 1];
}

struct account_sums account_sum(const struct account *a, size_t n, int64_t now_ns)
{
	struct account_sums s = { .n = (int64_t)n };
	int64_t last = INT64_MIN;

	if (!n)
		return s;
	s.first_ns = INT64_MAX;
	for (size_t i = 0; i < n; i++)
		add_one(&s, &a[i], now_ns, &last);
	s.makespan_ns = last - s.first_ns;
	times(&s, a, n, now_ns);
	ratios(&s, a, n, now_ns);
	return s;
}
