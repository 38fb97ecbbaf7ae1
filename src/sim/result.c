/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/result.h"

#include <stdlib.h>

#include "util/mem.h"

#define TAU_NS (10 * SIM_SECOND)

__extension__ typedef __int128 wide;

void sim_result_done(struct sim_result *r)
{
	free(r->policy);
	free(r->rule);
	*r = (struct sim_result) { 0 };
}

/* ---- order statistics ---- */

static void swap(double *a, double *b)
{
	double x = *a;

	*a = *b;
	*b = x;
}

/* The @k-th smallest of @v, by Hoare's selection; those below it then stand before it. */
static double select_nth(double *v, size_t n, size_t k)
{
	size_t low = 0, high = n - 1;

	while (low < high) {
		size_t i = low, j = high, mid = low + (high - low) / 2;
		double pivot;

		/* Median of three keeps sorted input quick. */
		if (v[mid] < v[low])
			swap(&v[mid], &v[low]);
		if (v[high] < v[low])
			swap(&v[high], &v[low]);
		if (v[high] < v[mid])
			swap(&v[high], &v[mid]);
		pivot = v[mid];
		while (i <= j) {
			while (v[i] < pivot)
				i++;
			while (v[j] > pivot)
				j--;
			if (i > j)
				break;
			swap(&v[i], &v[j]);
			i++;
			if (!j--)
				break;
		}
		if (k <= j && j != SIZE_MAX)
			high = j;
		else if (k >= i)
			low = i;
		else
			break;
	}
	return v[k];
}

/* All but the mean.  Each selection leaves the larger ones behind it, where the next looks. */
static void fill_dist(double *v, size_t n, struct sim_dist *ret)
{
	static const size_t ranks[] = { 50, 95, 99, 100 };
	double *to[] = { &ret->median, &ret->p95, &ret->p99, &ret->max };
	size_t from = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++) {
		size_t k = (n * ranks[i] + 99) / 100 - 1;

		*to[i] = select_nth(v + from, n - from, k - from);
		from = k;
	}
}

/* ---- quantities of a job ---- */

static double seconds(int64_t ns)
{
	return (double)ns / SIM_SECOND;
}

static double wait_of(const struct sim_job *j)
{
	return seconds(j->end_ns - j->submit_ns - j->run_ns);
}

static double turnaround_of(const struct sim_job *j)
{
	return seconds(j->end_ns - j->submit_ns);
}

static double slowdown_of(const struct sim_job *j)
{
	return (double)(j->end_ns - j->submit_ns) / (double)j->run_ns;
}

static double bounded_of(const struct sim_job *j)
{
	int64_t run = j->run_ns > TAU_NS ? j->run_ns : TAU_NS;
	double s = (double)(j->end_ns - j->submit_ns) / (double)run;

	return s > 1 ? s : 1;
}

/* Times are summed as integers, so that a mean does not depend on the order. */
static double mean_seconds(wide sum_ns, size_t n)
{
	return (double)sum_ns / SIM_SECOND / (double)n;
}

static void fill_dists(const struct sim_trace *t, struct sim_result *r)
{
	static double (*const of[])(const struct sim_job *j) = { wait_of, turnaround_of,
								 slowdown_of, bounded_of };
	struct sim_dist *to[] = { &r->wait_s, &r->turnaround_s, &r->slowdown,
				  &r->bounded_slowdown };
	OWN(mem) double *v = xcalloc(t->n, sizeof(*v));

	for (size_t k = 0; k < ARRAY_SIZE(of); k++) {
		double sum = 0;

		for (size_t i = 0; i < t->n; i++) {
			v[i] = of[k](&t->jobs[i]);
			sum += v[i];
		}
		to[k]->mean = sum / (double)t->n;
		fill_dist(v, t->n, to[k]);
	}
}

/* ---- users and classes ---- */

struct user {
	double run, turnaround;
};

/* Jain's index: (sum x)^2 / (n sum x^2) */
static void fill_users(const struct sim_trace *t, struct sim_result *r)
{
	OWN(mem) struct user *users = xcalloc(t->n_users, sizeof(*users));
	double sum = 0, squares = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct user *u = &users[t->jobs[i].user];

		u->run += seconds(t->jobs[i].run_ns);
		u->turnaround += turnaround_of(&t->jobs[i]);
	}
	for (size_t i = 0; i < t->n_users; i++) {
		double x = users[i].run / users[i].turnaround;

		sum += x;
		squares += x * x;
	}
	r->users = t->n_users;
	r->jain = squares > 0 ? sum * sum / ((double)t->n_users * squares) : 1;
}

static struct sim_class *class_of(struct sim_result *r, int32_t priority)
{
	size_t i = 0;

	while (i < r->n_classes && r->classes[i].priority < priority)
		i++;
	if (i < r->n_classes && r->classes[i].priority == priority)
		return &r->classes[i];
	if (r->n_classes == SIM_CLASSES_MAX)
		return NULL;
	for (size_t k = r->n_classes++; k > i; k--)
		r->classes[k] = r->classes[k - 1];
	r->classes[i] = (struct sim_class) { .priority = priority };
	return &r->classes[i];
}

static void fill_classes(const struct sim_trace *t, struct sim_result *r)
{
	r->n_classes = 0;
	for (size_t i = 0; i < t->n; i++) {
		struct sim_class *c = class_of(r, t->jobs[i].priority);

		if (!c) {
			r->n_classes = 0;
			return;
		}
		c->jobs++;
		c->wait_s += wait_of(&t->jobs[i]);
		c->turnaround_s += turnaround_of(&t->jobs[i]);
	}
	for (size_t i = 0; i < r->n_classes; i++) {
		r->classes[i].wait_s /= (double)r->classes[i].jobs;
		r->classes[i].turnaround_s /= (double)r->classes[i].jobs;
	}
	if (r->n_classes == 1)
		r->n_classes = 0;
}

void sim_result_sum(const struct sim_trace *t, int64_t cpu_milli, struct sim_result *ret)
{
	int64_t first = t->jobs[0].submit_ns, last = 0;
	wide run = 0, turnaround = 0, area = 0;

	for (size_t i = 0; i < t->n; i++) {
		const struct sim_job *j = &t->jobs[i];

		last = j->end_ns > last ? j->end_ns : last;
		run += j->run_ns;
		turnaround += j->end_ns - j->submit_ns;
		area += (wide)j->run_ns * j->cpu_milli;
	}
	ret->jobs = t->n;
	ret->dropped = t->dropped;
	fill_dists(t, ret);
	ret->wait_s.mean = mean_seconds(turnaround - run, t->n);
	ret->turnaround_s.mean = mean_seconds(turnaround, t->n);
	ret->makespan_s = seconds(last - first);
	ret->run_total_s = (double)run / SIM_SECOND;
	ret->wait_total_s = (double)(turnaround - run) / SIM_SECOND;
	ret->utilisation = (double)area / ((double)cpu_milli * (double)(last - first));
	fill_users(t, ret);
	fill_classes(t, ret);
}
