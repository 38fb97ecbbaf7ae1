/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * Those that wait: trees by the order of the policy, one per group when it is grouped; before
 * it those with a place of their own (alloc_move()) and those that have waited their max-wait;
 * beside it those that declare nothing, and that are over their quota.
 */

/* ---- parties: users and labels ---- */

static struct party *party(struct party **table, uint32_t *n, uint32_t number)
{
	if (number >= *n) {
		uint32_t more = number + 1 > *n * 2 ? number + 1 : *n * 2;

		*table = xrealloc(*table, more, sizeof(struct party));
		for (; *n < more; ++*n)
			(*table)[*n] = (struct party) { .waiting = ALLOC_NONE,
							.parked = ALLOC_NONE,
							.active_at = ALLOC_NONE,
							.weight = 1 };
	}
	return &(*table)[number];
}

struct party *user_of(struct alloc *a, uint32_t number)
{
	return party(&a->users, &a->n_users, number);
}

static uint32_t group_number(const struct alloc *a, const struct alloc_entry *e)
{
	return a->order->by_label ? e->label : e->user;
}

struct party *group_of(struct alloc *a, const struct alloc_entry *e)
{
	if (a->order->by_label)
		return party(&a->labels, &a->n_labels, e->label);
	return user_of(a, e->user);
}

static struct party *group_at(const struct alloc *a, uint32_t number)
{
	return a->order->by_label ? &a->labels[number] : &a->users[number];
}

static void group_activate(struct alloc *a, struct party *g, uint32_t number)
{
	if (a->n_active == a->cap_active) {
		a->cap_active = a->cap_active * 2 + 16;
		a->active = xrealloc(a->active, a->cap_active, sizeof(uint32_t));
	}
	g->active_at = a->n_active;
	g->stamp = ++a->stamp;
	a->active[a->n_active++] = number;
}

/* Who waits for his quota stands in no circle until he is let out. */
static bool is_parked(const struct alloc *a, uint32_t label)
{
	for (uint32_t h = 0; h < a->n_entries; h++)
		if (entry(a, h)->state == ENTRY_PARKED && entry(a, h)->label == label)
			return true;
	return false;
}

bool alloc_circle(const struct alloc *a, uint32_t label, uint64_t *ret_stamp)
{
	const struct party *g = label < a->n_labels ? &a->labels[label] : NULL;

	if (!a->order->by_label || !g)
		return false;
	*ret_stamp = g->n_waiting ? g->stamp : 0;
	return g->n_waiting || is_parked(a, label);
}

void alloc_circle_set(struct alloc *a, uint32_t label, uint64_t stamp)
{
	struct party *g = party(&a->labels, &a->n_labels, label);

	g->stamp = stamp ? stamp : g->stamp;
	a->stamp = stamp > a->stamp ? stamp : a->stamp;
	while (!stamp && a->order->by_label && g->n_waiting &&
	       over_quota(a, entry(a, g->waiting)) >= 0) {
		park(a, g->waiting);
		g = party(&a->labels, &a->n_labels, label);
	}
}

static void group_rest(struct alloc *a, struct party *g)
{
	uint32_t last = a->active[--a->n_active];

	a->active[g->active_at] = last;
	group_at(a, last)->active_at = g->active_at;
	g->active_at = ALLOC_NONE;
}

/* ---- queues ---- */

static enum tree_kind queue_kind(const struct alloc *a)
{
	return a->fill->needs_search ? TREE_LEAST : TREE_PLAIN;
}

void queue_add(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);
	struct party *g;

	e->state = ENTRY_WAITING;
	e->key = 0;
	if (e->is_aside) {
		tree_insert(&a->all, TREE_PLAIN, &a->aside, h);
		return;
	}
	if (e->is_placed) {
		e->key = e->place;
		tree_insert(&a->all, queue_kind(a), &a->placed, h);
		return;
	}
	if (e->is_urgent) {
		tree_insert(&a->all, TREE_PLAIN, &a->urgent, h);
		return;
	}
	if (a->fill->needs_lengths)
		lengths_add(a, h);
	if (a->order->kind != ORDER_GROUPED) {
		if (a->order->kind == ORDER_STATIC)
			e->key = a->order->key(a, e, 0);
		tree_insert(&a->all, queue_kind(a), &a->queue, h);
		return;
	}
	g = group_of(a, e);
	if (!g->n_waiting++)
		group_activate(a, g, group_number(a, e));
	tree_insert(&a->all, queue_kind(a), &g->waiting, h);
}

void queue_remove(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);
	struct party *g;

	if (a->fill->needs_lengths && e->state == ENTRY_WAITING && !e->is_aside && !e->is_placed &&
	    !e->is_urgent)
		lengths_remove(a, h);
	if (e->state == ENTRY_PARKED) {
		tree_erase(&a->all, TREE_PLAIN, &user_of(a, e->user)->parked, h);
	} else if (e->state == ENTRY_HELD) {
		return;
	} else if (e->is_aside) {
		tree_erase(&a->all, TREE_PLAIN, &a->aside, h);
	} else if (e->is_placed) {
		tree_erase(&a->all, queue_kind(a), &a->placed, h);
	} else if (e->is_urgent) {
		tree_erase(&a->all, TREE_PLAIN, &a->urgent, h);
	} else if (a->order->kind != ORDER_GROUPED) {
		tree_erase(&a->all, queue_kind(a), &a->queue, h);
	} else {
		g = group_of(a, e);
		tree_erase(&a->all, queue_kind(a), &g->waiting, h);
		if (!--g->n_waiting)
			group_rest(a, g);
	}
}

/* Over its quota: out of the way until the user's jobs give something back. */
void park(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	queue_remove(a, h);
	e->state = ENTRY_PARKED;
	e->key = 0;
	tree_insert(&a->all, TREE_PLAIN, &user_of(a, e->user)->parked, h);
}

void unpark(struct alloc *a, struct party *u)
{
	while (u->parked != ALLOC_NONE) {
		uint32_t h = u->parked;
		uint32_t user = entry(a, h)->user;

		tree_erase(&a->all, TREE_PLAIN, &u->parked, h);
		queue_add(a, h);
		u = user_of(a, user);
	}
}

/* The resource of which @e is over its user's quota; RES_COUNT: the number of jobs; -1: none. */
int over_quota(const struct alloc *a, const struct alloc_entry *e)
{
	const struct party *u;

	if (e->user >= a->n_users)
		return -1;
	u = &a->users[e->user];
	if (!u->has_quota)
		return -1;
	for (unsigned r = 0; r < a->n_res; r++)
		if (u->quota.most.v[r] && e->v[r] && u->held[r] + e->v[r] > u->quota.most.v[r])
			return (int)r;
	return u->quota.running && u->n_running >= u->quota.running ? RES_COUNT : -1;
}

/* ---- the order of the queue ---- */

static bool rank_before(const struct alloc *a, const struct ranked *x, const struct ranked *y)
{
	const struct alloc_entry *ex, *ey;

	if (x->key != y->key)
		return x->key < y->key;
	ex = entry(a, x->handle);
	ey = entry(a, y->handle);
	return ex->arrival_ns != ey->arrival_ns ? ex->arrival_ns < ey->arrival_ns
						: ex->seq < ey->seq;
}

static void rank_sift(struct alloc *a, size_t i)
{
	struct ranked d = a->rank[i];

	for (size_t c; (c = 2 * i + 1) < a->n_rank; i = c) {
		if (c + 1 < a->n_rank && rank_before(a, &a->rank[c + 1], &a->rank[c]))
			c++;
		if (!rank_before(a, &a->rank[c], &d))
			break;
		a->rank[i] = a->rank[c];
	}
	a->rank[i] = d;
}

static void rank_heapify(struct alloc *a)
{
	for (size_t i = a->n_rank / 2; i-- > 0;)
		rank_sift(a, i);
}

uint32_t rank_pop(struct alloc *a)
{
	uint32_t h = a->rank[0].handle;

	a->rank[0] = a->rank[--a->n_rank];
	if (a->n_rank)
		rank_sift(a, 0);
	return h;
}

void rank_add(void *arg, uint32_t h)
{
	struct rank_with *w = arg;
	struct alloc *a = w->a;

	if (h == w->except)
		return;
	if (a->n_rank == a->cap_rank) {
		a->cap_rank = a->cap_rank * 2 + 64;
		a->rank = xrealloc(a->rank, a->cap_rank, sizeof(struct ranked));
	}
	a->rank[a->n_rank++] =
	    (struct ranked) { .key = w->by ? w->by->key(a, entry(a, h), a->now_ns) : 0,
			      .handle = h };
}

/* The timed order, of this pass. */
static void rank_timed(struct alloc *a)
{
	struct rank_with arg = { .a = a, .by = a->order, .except = ALLOC_NONE };

	a->n_rank = 0;
	tree_each_fit(&a->all, a->queue, NULL, rank_add, &arg);
	rank_heapify(a);
	a->is_ranked = true;
}

void rank_candidates(struct alloc *a, const struct want *w, uint32_t except)
{
	struct rank_with arg = { .a = a, .by = a->order, .except = except };

	a->n_rank = 0;
	tree_each_fit(&a->all, a->queue, w, rank_add, &arg);
	rank_heapify(a);
}

/* Of all groups, the first by key of those with something in @w (NULL: anything). */
static uint32_t grouped_first(struct alloc *a, const struct want *w)
{
	uint32_t best = ALLOC_NONE;
	int64_t best_key = 0;

	for (uint32_t i = 0; i < a->n_active; i++) {
		const struct party *g = group_at(a, a->active[i]);
		uint32_t h = w ? tree_next_fit(&a->all, g->waiting, w, NULL)
			       : tree_first(&a->all, g->waiting);
		int64_t key;

		if (h == ALLOC_NONE)
			continue;
		key = a->order->group_key(a, g);
		if (best == ALLOC_NONE || key < best_key ||
		    (key == best_key && entry_before(entry(a, h), entry(a, best)))) {
			best = h;
			best_key = key;
		}
	}
	return best;
}

uint32_t queue_head(struct alloc *a)
{
	uint32_t h = tree_first(&a->all, a->placed);

	if (h == ALLOC_NONE)
		h = tree_first(&a->all, a->urgent);
	if (h != ALLOC_NONE)
		return h;
	switch (a->order->kind) {
	case ORDER_STATIC:
		return tree_first(&a->all, a->queue);
	case ORDER_TIMED:
		if (!a->is_ranked)
			rank_timed(a);
		return a->n_rank ? a->rank[0].handle : ALLOC_NONE;
	case ORDER_GROUPED:
		break;
	}
	return grouped_first(a, NULL);
}

static int order_of(const void *x, const void *y, void *arg)
{
	return rank_before(arg, x, y) ? -1 : rank_before(arg, y, x) ? 1 : 0;
}

static int by_group(const void *x, const void *y, void *arg)
{
	struct alloc *a = arg;
	const struct party *g = group_at(a, *(const uint32_t *)x),
			   *h = group_at(a, *(const uint32_t *)y);
	int64_t kg = a->order->group_key(a, g), kh = a->order->group_key(a, h);

	if (kg != kh)
		return kg < kh ? -1 : 1;
	return entry_before(entry(a, tree_first(&a->all, g->waiting)),
			    entry(a, tree_first(&a->all, h->waiting)))
		   ? -1
		   : 1;
}

struct listing {
	uint32_t *v;
	size_t n;
};

static void list_add(void *arg, uint32_t h)
{
	struct listing *l = arg;

	l->v[l->n++] = h;
}

static void list_timed(struct alloc *a, struct listing *l)
{
	struct rank_with arg = { .a = a, .by = a->order, .except = ALLOC_NONE };

	a->n_rank = 0;
	tree_each_fit(&a->all, a->queue, NULL, rank_add, &arg);
	qsort_r(a->rank, a->n_rank, sizeof(*a->rank), order_of, a);
	for (size_t i = 0; i < a->n_rank; i++)
		list_add(l, a->rank[i].handle);
	a->n_rank = 0;
	a->is_ranked = false;
}

static void list_groups(struct alloc *a, struct listing *l)
{
	OWN(mem) uint32_t *groups = xcalloc(a->n_active + 1, sizeof(uint32_t));

	memcpy(groups, a->active, a->n_active * sizeof(uint32_t));
	qsort_r(groups, a->n_active, sizeof(uint32_t), by_group, a);
	for (uint32_t i = 0; i < a->n_active; i++)
		tree_each_fit(&a->all, group_at(a, groups[i])->waiting, NULL, list_add, l);
}

/* Without those that have a place. */
static void list_policy(struct alloc *a, struct listing *l)
{
	tree_each_fit(&a->all, a->urgent, NULL, list_add, l);
	if (a->order->kind == ORDER_STATIC)
		tree_each_fit(&a->all, a->queue, NULL, list_add, l);
	else if (a->order->kind == ORDER_TIMED)
		list_timed(a, l);
	else
		list_groups(a, l);
}

uint32_t *pass_queue(struct alloc *a, size_t *ret_n)
{
	struct listing l = { .v = xcalloc(a->n_waiting + 1, sizeof(uint32_t)) };

	tree_each_fit(&a->all, a->placed, NULL, list_add, &l);
	list_policy(a, &l);
	*ret_n = l.n;
	return l.v;
}

/* It waits, but stands in no tree of the queue. */
static bool is_out(const struct alloc_entry *e)
{
	return e->state == ENTRY_PARKED || e->state == ENTRY_HELD;
}

static int by_place(const void *x, const void *y, void *arg)
{
	const struct alloc *a = arg;
	const struct alloc_entry *ex = entry(a, *(const uint32_t *)x),
				 *ey = entry(a, *(const uint32_t *)y);

	if (ex->place != ey->place)
		return ex->place < ey->place ? -1 : 1;
	return entry_before(ex, ey) ? -1 : 1;
}

/* Those that have a place, the held ones and those over their quota too. */
static void list_placed(struct alloc *a, struct listing *l)
{
	tree_each_fit(&a->all, a->placed, NULL, list_add, l);
	for (uint32_t h = 0; h < a->n_entries; h++)
		if (is_out(entry(a, h)) && entry(a, h)->is_placed)
			list_add(l, h);
	qsort_r(l->v, l->n, sizeof(uint32_t), by_place, a);
}

uint32_t *alloc_queue(struct alloc *a, int64_t now_ns, size_t *ret_n)
{
	struct listing l = { .v = xcalloc(a->n_waiting + 1, sizeof(uint32_t)) };

	a->now_ns = now_ns;
	list_placed(a, &l);
	list_policy(a, &l);
	tree_each_fit(&a->all, a->aside, NULL, list_add, &l);
	for (uint32_t h = 0; h < a->n_entries; h++)
		if (is_out(entry(a, h)) && !entry(a, h)->is_placed)
			list_add(&l, h);
	*ret_n = l.n;
	return l.v;
}

/* ---- places that somebody chose ---- */

bool alloc_can_move(const struct alloc *a, uint32_t handle)
{
	const struct alloc_entry *e = entry(a, handle);

	return !e->is_aside && (e->state == ENTRY_WAITING || is_out(e));
}

/* Where @handle goes in the queue without it; the length of it: last. */
static size_t place_for(const uint32_t *queue, size_t n, enum alloc_where where, uint32_t other)
{
	size_t i = 0;

	if (where == ALLOC_FIRST || where == ALLOC_LAST)
		return where == ALLOC_FIRST ? 0 : n;
	while (i < n && queue[i] != other)
		i++;
	return i < n && where == ALLOC_AFTER ? i + 1 : i;
}

static void place_set(struct alloc *a, uint32_t h, size_t at)
{
	struct alloc_entry *e = entry(a, h);
	uint8_t state = e->state;

	if (state == ENTRY_WAITING)
		queue_remove(a, h);
	e->is_placed = true;
	e->place = (int64_t)at + 1;
	if (state == ENTRY_WAITING)
		queue_add(a, h);
}

/* Take out of a queue what cannot be moved, and @h. */
static size_t without(const struct alloc *a, uint32_t *queue, size_t n, uint32_t h)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (queue[i] != h && alloc_can_move(a, queue[i]))
			queue[kept++] = queue[i];
	return kept;
}

void alloc_move(struct alloc *a, uint32_t handle, enum alloc_where where, uint32_t other,
		int64_t now_ns)
{
	size_t n = 0, at, fixed;
	OWN(mem) uint32_t *queue = NULL;

	if (!alloc_can_move(a, handle))
		return;
	queue = alloc_queue(a, now_ns, &n);
	n = without(a, queue, n, handle);
	at = place_for(queue, n, where, other);
	for (fixed = at; fixed < n && entry(a, queue[fixed])->is_placed; fixed++)
		;
	for (size_t i = 0; i < fixed; i++)
		place_set(a, queue[i], i < at ? i : i + 1);
	place_set(a, handle, at);
}

int64_t alloc_place(const struct alloc *a, uint32_t handle)
{
	const struct alloc_entry *e = entry(a, handle);

	return e->is_placed ? e->place : 0;
}

/* The next in a tree after where the search is. */
static uint32_t search_tree(const struct forest *f, uint32_t root, const struct want *w,
			    struct seek *s)
{
	uint32_t h = tree_next_fit(f, root, w, s->has_after ? &s->after : NULL);

	if (h != ALLOC_NONE) {
		const struct alloc_entry *e = tree_entry(f, h);

		s->after = (struct place_in) { e->key, e->arrival_ns, e->seq };
		s->has_after = true;
	}
	return h;
}

uint32_t next_candidate(struct alloc *a, const struct want *w, struct seek *s)
{
	uint32_t h;

	if (!s->is_past_placed) {
		h = search_tree(&a->all, a->placed, w, s);
		if (h != ALLOC_NONE)
			return h;
		s->is_past_placed = true;
		s->has_after = false;
	}
	if (s->by_length) {
		do
			h = search_tree(&a->lengths.all, a->lengths.root, w, s);
		while (h != ALLOC_NONE && entry(a, h)->skipped == w->pass);
		return h;
	}
	if (s->by_rank) {
		while (a->n_rank) {
			h = rank_pop(a);
			if (want_matches(&a->all, entry(a, h), w))
				return h;
		}
		return ALLOC_NONE;
	}
	if (a->order->kind == ORDER_GROUPED)
		return grouped_first(a, w);
	return search_tree(&a->all, a->queue, w, s);
}
