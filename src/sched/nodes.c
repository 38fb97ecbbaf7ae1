/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * Nodes: what is free on each, and a binary tree over them with the largest free
 * amount per resource of each branch, so that full parts of the machine are left out.
 */

struct nodes {
	size_t n, leaves; /* leaves: a power of two */
	unsigned n_res;
	enum alloc_place place;
	int64_t largest[RES_COUNT]; /* capacity of any node: what amounts are measured by */
	int64_t *cap;               /* n * n_res */
	int64_t *most;              /* 2 * leaves * n_res; node i is at leaves + i */
};

static int64_t *at(const struct nodes *m, size_t i)
{
	return &m->most[i * m->n_res];
}

static void pull(struct nodes *m, size_t i)
{
	for (unsigned r = 0; r < m->n_res; r++) {
		int64_t x = at(m, 2 * i)[r], y = at(m, 2 * i + 1)[r];

		at(m, i)[r] = x > y ? x : y;
	}
}

struct nodes *nodes_new(const struct amounts *caps, size_t n, unsigned n_res,
			enum alloc_place place)
{
	struct nodes *m = xnew(struct nodes);

	m->n = n;
	m->n_res = n_res;
	m->place = place;
	for (m->leaves = 1; m->leaves < n;)
		m->leaves *= 2;
	m->cap = xcalloc(n * n_res, sizeof(int64_t));
	m->most = xcalloc(2 * m->leaves * n_res, sizeof(int64_t));
	for (size_t i = 0; i < m->leaves; i++)
		for (unsigned r = 0; r < n_res; r++)
			at(m, m->leaves + i)[r] = i < n ? caps[i].v[r] : -1;
	for (size_t i = 0; i < n; i++) {
		memcpy(&m->cap[i * n_res], caps[i].v, n_res * sizeof(int64_t));
		for (unsigned r = 0; r < n_res; r++)
			if (caps[i].v[r] > m->largest[r])
				m->largest[r] = caps[i].v[r];
	}
	for (size_t i = m->leaves; i-- > 1;)
		pull(m, i);
	return m;
}

void nodes_free(struct nodes *m)
{
	if (!m)
		return;
	free(m->cap);
	free(m->most);
	free(m);
}

size_t nodes_count(const struct nodes *m)
{
	return m->n;
}

const int64_t *nodes_left(const struct nodes *m, uint32_t node)
{
	return at(m, m->leaves + node);
}

void nodes_take(struct nodes *m, uint32_t node, const int64_t *demand, int sign)
{
	size_t i = m->leaves + node;

	for (unsigned r = 0; r < m->n_res; r++)
		at(m, i)[r] -= sign * demand[r];
	for (i /= 2; i; i /= 2)
		pull(m, i);
}

static bool fits(const struct nodes *m, const int64_t *demand, const int64_t *left)
{
	for (unsigned r = 0; r < m->n_res; r++)
		if (demand[r] > left[r])
			return false;
	return true;
}

void nodes_most(const struct nodes *m, int64_t *ret)
{
	for (unsigned r = 0; r < m->n_res; r++)
		ret[r] = at(m, 1)[r] > 0 ? at(m, 1)[r] : 0;
}

/* Sum over resources of what would be left, in parts of the largest node. */
static double left_over(const struct nodes *m, const int64_t *d, const int64_t *left)
{
	double sum = 0;

	for (unsigned r = 0; r < m->n_res; r++)
		if (m->largest[r] > 0)
			sum += (double)(left[r] - d[r]) / (double)m->largest[r];
	return sum;
}

static double dot(const struct nodes *m, const int64_t *d, const int64_t *left)
{
	double sum = 0;

	for (unsigned r = 0; r < m->n_res; r++) {
		double most = m->largest[r] > 0 ? (double)m->largest[r] : 1;

		sum += (double)d[r] / most * ((double)left[r] / most);
	}
	return sum;
}

/* Of the node's own capacity. */
static double scarcest(const struct nodes *m, const int64_t *d, const int64_t *left,
		       const int64_t *cap)
{
	double least = 1;

	for (unsigned r = 0; r < m->n_res; r++) {
		double x = cap[r] > 0 ? (double)(left[r] - d[r]) / (double)cap[r] : 1;

		least = x < least ? x : least;
	}
	return least;
}

/*
 * The node with the largest score; ties: the first.
 * Sources: D. Knuth, TAOCP 1, §2.5 (first, best, worst fit); R. Panigrahy, K. Talwar, L. Uyeda,
 * U. Wieder, "Heuristics for vector bin packing", 2011 (dot product).
 */
static double score(const struct nodes *m, const int64_t *demand, size_t node)
{
	const int64_t *left = at(m, m->leaves + node);

	switch (m->place) {
	case PLACE_BEST_FIT:
		return -left_over(m, demand, left);
	case PLACE_WORST_FIT:
		return left_over(m, demand, left);
	case PLACE_DOT_PRODUCT:
		return dot(m, demand, left);
	case PLACE_LEAST_LOADED:
		return scarcest(m, demand, left, &m->cap[node * m->n_res]);
	case PLACE_FIRST_FIT:
	case PLACE_COUNT:
		break;
	}
	return 0;
}

struct search {
	const int64_t *demand;
	uint32_t barred, found;
	double best;
};

/* Return: true when nothing better can come. */
static bool descend(const struct nodes *m, size_t i, struct search *s)
{
	double x;

	if (!fits(m, s->demand, at(m, i)))
		return false;
	if (i < m->leaves)
		return descend(m, 2 * i, s) || descend(m, 2 * i + 1, s);
	if (i - m->leaves == s->barred || i - m->leaves >= m->n)
		return false;
	x = score(m, s->demand, i - m->leaves);
	if (s->found == ALLOC_NONE || x > s->best) {
		s->found = (uint32_t)(i - m->leaves);
		s->best = x;
	}
	return m->place == PLACE_FIRST_FIT;
}

uint32_t nodes_place(const struct nodes *m, const int64_t *demand, uint32_t barred)
{
	struct search s = { .demand = demand, .barred = barred, .found = ALLOC_NONE };

	descend(m, 1, &s);
	return s.found;
}
