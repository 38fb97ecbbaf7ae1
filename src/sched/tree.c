/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * Treaps (R. Seidel, C. Aragon, "Randomized search trees", Algorithmica 16, 1996) whose
 * priorities are a hash of the entry's number, so that they are the same everywhere.
 *
 * A TREE_LEAST branch knows the least demand per resource, and per size of cpu demand the
 * least planned time: a search for "fits in this, ends by then" leaves out most branches
 * that hold only one of the two.
 */

#define EMPTY_LANE   INT16_MAX
#define ENDLESS_LANE (INT16_MAX - 1)

/* splitmix64's finaliser: Steele, Lea, Flood, "Fast splittable pseudorandom number generators". */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static bool above(const struct alloc_entry *x, const struct alloc_entry *y)
{
	return mix(x->seq) > mix(y->seq);
}

/* 1 to 8 cpus are told apart, then two sizes per octave. */
static unsigned lane_of(int64_t milli)
{
	static const uint16_t most[LANES - 1] = { 1,  2,  3,  4,  5,  6,   7,  8,
						  12, 16, 24, 32, 64, 128, 256 };
	unsigned lane = 0;

	while (lane < LANES - 1 && milli > most[lane] * 1000)
		lane++;
	return lane;
}

/* Rounded down to nine bits: never more than what it stands for, in order. */
static int16_t short_time(int64_t ns)
{
	int bits;

	if (ns == ENDLESS)
		return ENDLESS_LANE;
	if (ns < 512)
		return (int16_t)(ns > 0 ? ns : 0);
	bits = 63 - __builtin_clzll((uint64_t)ns);
	return (int16_t)(((bits - 8) << 9) | (int)((ns >> (bits - 9)) & 511));
}

static void start_sums(const struct forest *f, enum tree_kind kind, struct alloc_entry *e)
{
	if (kind == TREE_PLAIN)
		return;
	for (unsigned r = 0; r < f->n_res; r++)
		e->v[f->n_res + r] = e->v[r];
	if (kind == TREE_SUM)
		return;
	for (unsigned i = 0; i < LANES; i++)
		e->lanes[i] = EMPTY_LANE;
	e->lanes[lane_of(e->v[RES_CPU])] = short_time(e->planned_ns);
}

/* Branch @c hangs below @e. */
static void add_sums(const struct forest *f, enum tree_kind kind, struct alloc_entry *e,
		     const struct alloc_entry *c)
{
	int64_t *to = e->v + f->n_res;
	const int64_t *from = c->v + f->n_res;

	if (kind == TREE_SUM) {
		for (unsigned r = 0; r < f->n_res; r++)
			to[r] += from[r];
		return;
	}
	for (unsigned r = 0; r < f->n_res; r++)
		to[r] = from[r] < to[r] ? from[r] : to[r];
	for (unsigned i = 0; i < LANES; i++)
		e->lanes[i] = c->lanes[i] < e->lanes[i] ? c->lanes[i] : e->lanes[i];
}

static void pull(const struct forest *f, enum tree_kind kind, struct alloc_entry *e)
{
	if (kind == TREE_PLAIN)
		return;
	start_sums(f, kind, e);
	if (e->left != ALLOC_NONE)
		add_sums(f, kind, e, tree_entry(f, e->left));
	if (e->right != ALLOC_NONE)
		add_sums(f, kind, e, tree_entry(f, e->right));
}

static void split(const struct forest *f, enum tree_kind kind, uint32_t t,
		  const struct alloc_entry *at, uint32_t *left, uint32_t *right)
{
	struct alloc_entry *n;

	if (t == ALLOC_NONE) {
		*left = *right = ALLOC_NONE;
		return;
	}
	n = tree_entry(f, t);
	if (entry_before(n, at)) {
		*left = t;
		split(f, kind, n->right, at, &n->right, right);
	} else {
		*right = t;
		split(f, kind, n->left, at, left, &n->left);
	}
	pull(f, kind, n);
}

static uint32_t merge(const struct forest *f, enum tree_kind kind, uint32_t x, uint32_t y)
{
	struct alloc_entry *ex, *ey;

	if (x == ALLOC_NONE)
		return y;
	if (y == ALLOC_NONE)
		return x;
	ex = tree_entry(f, x);
	ey = tree_entry(f, y);
	if (above(ex, ey)) {
		ex->right = merge(f, kind, ex->right, y);
		pull(f, kind, ex);
		return x;
	}
	ey->left = merge(f, kind, x, ey->left);
	pull(f, kind, ey);
	return y;
}

void tree_insert(const struct forest *f, enum tree_kind kind, uint32_t *root, uint32_t h)
{
	struct alloc_entry *e = tree_entry(f, h);
	uint32_t *link = root;

	e->left = e->right = ALLOC_NONE;
	start_sums(f, kind, e);
	while (*link != ALLOC_NONE && above(tree_entry(f, *link), e)) {
		struct alloc_entry *n = tree_entry(f, *link);

		if (kind != TREE_PLAIN)
			add_sums(f, kind, n, e);
		link = entry_before(e, n) ? &n->left : &n->right;
	}
	if (*link != ALLOC_NONE) {
		split(f, kind, *link, e, &e->left, &e->right);
		pull(f, kind, e);
	}
	*link = h;
}

void tree_erase(const struct forest *f, enum tree_kind kind, uint32_t *root, uint32_t h)
{
	struct alloc_entry *e = tree_entry(f, h), *n;

	if (*root == h) {
		*root = merge(f, kind, e->left, e->right);
		return;
	}
	n = tree_entry(f, *root);
	tree_erase(f, kind, entry_before(e, n) ? &n->left : &n->right, h);
	pull(f, kind, n);
}

uint32_t tree_first(const struct forest *f, uint32_t root)
{
	if (root == ALLOC_NONE)
		return root;
	while (tree_entry(f, root)->left != ALLOC_NONE)
		root = tree_entry(f, root)->left;
	return root;
}

static bool fits_in(const int64_t *demand, const int64_t *room, unsigned n)
{
	for (unsigned r = 0; r < n; r++)
		if (demand[r] > room[r])
			return false;
	return true;
}

bool want_matches(const struct forest *f, const struct alloc_entry *e, const struct want *w)
{
	return fits_in(e->v, w->free, f->n_res) &&
	       (!w->is_bounded || e->planned_ns <= w->horizon_ns ||
		fits_in(e->v, w->extra, f->n_res));
}

/* Could branch @e hold what is wanted? */
static bool may_match(const struct forest *f, const struct alloc_entry *e, const struct want *w)
{
	const int64_t *least = e->v + f->n_res;
	unsigned most;
	int16_t by;

	if (!fits_in(least, w->free, f->n_res))
		return false;
	if (!w->is_bounded || fits_in(least, w->extra, f->n_res))
		return true;
	most = lane_of(w->free[RES_CPU]);
	by = short_time(w->horizon_ns);
	for (unsigned i = 0; i <= most; i++)
		if (e->lanes[i] <= by)
			return true;
	return false;
}

static bool is_after(const struct alloc_entry *e, const struct place_in *p)
{
	if (e->key != p->key)
		return e->key > p->key;
	if (e->arrival_ns != p->arrival_ns)
		return e->arrival_ns > p->arrival_ns;
	return e->seq > p->seq;
}

uint32_t tree_next_fit(const struct forest *f, uint32_t root, const struct want *w,
		       const struct place_in *after)
{
	const struct alloc_entry *e;
	uint32_t found;

	if (root == ALLOC_NONE)
		return root;
	e = tree_entry(f, root);
	if (!may_match(f, e, w))
		return ALLOC_NONE;
	if (!after || is_after(e, after)) {
		found = tree_next_fit(f, e->left, w, after);
		if (found != ALLOC_NONE)
			return found;
		if (e->skipped != w->pass && want_matches(f, e, w))
			return root;
		after = NULL;
	}
	return tree_next_fit(f, e->right, w, after);
}

void tree_each_fit(const struct forest *f, uint32_t root, const struct want *w,
		   void (*fn)(void *arg, uint32_t h), void *arg)
{
	const struct alloc_entry *e;

	if (root == ALLOC_NONE)
		return;
	e = tree_entry(f, root);
	if (w && !may_match(f, e, w))
		return;
	tree_each_fit(f, e->left, w, fn, arg);
	if (!w || want_matches(f, e, w))
		fn(arg, root);
	tree_each_fit(f, e->right, w, fn, arg);
}

void tree_sum_until(const struct forest *f, uint32_t root, int64_t key, int64_t *sum)
{
	while (root != ALLOC_NONE) {
		const struct alloc_entry *e = tree_entry(f, root);

		if (e->key > key) {
			root = e->left;
			continue;
		}
		for (unsigned r = 0; r < f->n_res; r++) {
			sum[r] += e->v[r];
			if (e->left != ALLOC_NONE)
				sum[r] += tree_entry(f, e->left)->v[f->n_res + r];
		}
		root = e->right;
	}
}

int64_t tree_key_at_sum(const struct forest *f, uint32_t root, unsigned r, int64_t needs)
{
	int64_t key = ENDLESS;

	while (root != ALLOC_NONE) {
		const struct alloc_entry *e = tree_entry(f, root);
		int64_t left = e->left != ALLOC_NONE ? tree_entry(f, e->left)->v[f->n_res + r] : 0;

		if (needs <= left) {
			root = e->left;
		} else if (needs <= left + e->v[r]) {
			return e->key;
		} else {
			needs -= left + e->v[r];
			root = e->right;
		}
	}
	return key;
}
