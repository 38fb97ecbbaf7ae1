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

/* ---- users and classes ---- */

struct user {
	double run, turnaround;
};

/* Jain's index: (sum x)^2 / (n sum x^2) */
static void fill_fairness(const struct user *users, size_t n, struct sim_result *r)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++) {
		double x = users[i].run / users[i].turnaround;

		sum += x;
		squares += x * x;
	}
	r->users = n;
	r->jain = squares > 0 ? sum * sum / ((double)n * squares) : 1;
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

static void settle_classes(struct sim_result *r, bool too_many)
{
	if (r->n_classes == 1 || too_many)
		r->n_classes = 0;
	for (size_t i = 0; i < r->n_classes; i++) {
		r->classes[i].wait_s /= (double)r->classes[i].jobs;
		r->classes[i].turnaround_s /= (double)r->classes[i].jobs;
	}
}

/* ---- all jobs, looked at once ---- */

enum quantity { WAIT, TURNAROUND, SLOWDOWN, BOUNDED, QUANTITIES };

struct sums {
	struct user *users;
	double *v[QUANTITIES];
	double slowdown, bounded;
	wide run, turnaround, area;
	int64_t last_ns;
	bool too_many_classes;
};

static void sums_done(struct sums *s)
{
	free(s->users);
	for (size_t i = 0; i < QUANTITIES; i++)
		free(s->v[i]);
}

static inline void own_sums_release(struct sums *s)
{
	sums_done(s);
}

static void add_job(struct sums *s, const struct sim_job *j, size_t i, struct sim_result *r)
{
	int64_t turnaround = j->end_ns - j->submit_ns;
	struct user *u = &s->users[j->user];
	struct sim_class *c = s->too_many_classes ? NULL : class_of(r, j->priority);

	s->v[WAIT][i] = seconds(turnaround - j->run_ns);
	s->v[TURNAROUND][i] = seconds(turnaround);
	s->v[SLOWDOWN][i] = slowdown_of(j);
	s->v[BOUNDED][i] = bounded_of(j);
	s->slowdown += s->v[SLOWDOWN][i];
	s->bounded += s->v[BOUNDED][i];
	s->run += j->run_ns;
	s->turnaround += turnaround;
	s->area += (wide)j->run_ns * j->cpu_milli;
	s->last_ns = j->end_ns > s->last_ns ? j->end_ns : s->last_ns;
	u->run += seconds(j->run_ns);
	u->turnaround += s->v[TURNAROUND][i];
	s->too_many_classes = !c;
	if (!c)
		return;
	c->jobs++;
	c->wait_s += s->v[WAIT][i];
	c->turnaround_s += s->v[TURNAROUND][i];
}

void sim_result_sum(const struct sim_trace *t, int64_t cpu_milli, struct sim_result *ret)
{
	OWN(sums) struct sums s = { .users = xcalloc(t->users.n, sizeof(struct user)) };
	struct sim_dist *to[] = { &ret->wait_s, &ret->turnaround_s, &ret->slowdown,
				  &ret->bounded_slowdown };
	int64_t span;

	for (size_t i = 0; i < QUANTITIES; i++) {
		s.v[i] = xcalloc(t->n, sizeof(double));
		mem_huge(s.v[i], t->n * sizeof(double));
	}
	ret->n_classes = 0;
	for (size_t i = 0; i < t->n; i++)
		add_job(&s, &t->jobs[i], i, ret);
	for (size_t i = 0; i < QUANTITIES; i++)
		fill_dist(s.v[i], t->n, to[i]);
	span = s.last_ns - t->jobs[0].submit_ns;
	ret->jobs = t->n;
	ret->dropped = t->dropped;
	ret->wait_s.mean = mean_seconds(s.turnaround - s.run, t->n);
	ret->turnaround_s.mean = mean_seconds(s.turnaround, t->n);
	ret->slowdown.mean = s.slowdown / (double)t->n;
	ret->bounded_slowdown.mean = s.bounded / (double)t->n;
	ret->makespan_s = seconds(span);
	ret->run_total_s = (double)s.run / SIM_SECOND;
	ret->wait_total_s = (double)(s.turnaround - s.run) / SIM_SECOND;
	ret->utilisation = (double)s.area / ((double)cpu_milli * (double)span);
	fill_fairness(s.users, t->users.n, ret);
	settle_classes(ret, s.too_many_classes);
}
