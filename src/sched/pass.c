/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * A pass, and what it leaves to say about those that wait.
 */

void pass_free(const struct alloc *a, int64_t *ret)
{
	if (a->nodes) {
		nodes_most(a->nodes, ret);
		return;
	}
	for (unsigned r = 0; r < a->n_res; r++)
		ret[r] = room(a, r) > 0 ? room(a, r) : 0;
}

void pass_left(const struct alloc *a, uint32_t node, int64_t *ret)
{
	for (unsigned r = 0; r < a->n_res; r++)
		ret[r] = a->nodes ? nodes_left(a->nodes, node)[r] : room(a, r) - a->soon[r];
}

bool pass_park(struct alloc *a, uint32_t h)
{
	if (over_quota(a, entry(a, h)) < 0)
		return false;
	park(a, h);
	return true;
}

/* The first resource that the pool lacks for @e, or RES_COUNT. */
static enum resource lacks(const struct alloc *a, const struct alloc_entry *e)
{
	for (unsigned r = 0; r < a->n_res; r++)
		if (e->v[r] > 0 && e->v[r] > room(a, r))
			return (enum resource)r;
	return RES_COUNT;
}

uint32_t pass_place(const struct alloc *a, uint32_t h, const struct want *w, uint32_t bound_node)
{
	const struct alloc_entry *e = entry(a, h);
	bool is_free = !w || e->planned_ns <= w->horizon_ns;

	if (!a->nodes)
		return lacks(a, e) == RES_COUNT ? 0 : ALLOC_NONE;
	for (unsigned r = 0; !is_free && r <= a->n_res; r++) {
		if (r == a->n_res)
			is_free = true;
		else if (e->v[r] > w->extra[r])
			break;
	}
	return nodes_place(a->nodes, e->v, is_free ? ALLOC_NONE : bound_node);
}

void pass_start(struct alloc *a, uint32_t h, uint32_t node)
{
	struct alloc_entry *e = entry(a, h);

	if (a->order->kind == ORDER_GROUPED && !e->is_aside)
		group_of(a, e)->stamp = ++a->stamp;
	queue_remove(a, h);
	a->n_waiting--;
	e->is_placed = false;
	e->node = node;
	e->start_ns = a->now_ns;
	running_add(a, h);
	if (a->n_starts == a->cap_starts) {
		a->cap_starts = a->cap_starts * 2 + 16;
		a->starts = xrealloc(a->starts, a->cap_starts, sizeof(struct alloc_start));
	}
	a->starts[a->n_starts++] =
	    (struct alloc_start) { .handle = h, .node = e->node, .tag = e->tag };
}

/* What @e takes of the room, and of what the head leaves over. */
static void want_take(const struct alloc *a, struct want *w, const struct alloc_entry *e,
		      bool takes_extra)
{
	pass_free(a, w->free);
	for (unsigned r = 0; takes_extra && r < a->n_res; r++)
		w->extra[r] -= e->v[r];
}

void pass_fill(struct alloc *a, uint32_t head, struct want *w, uint32_t bound_node, bool by_length)
{
	struct seek s = { .by_length = by_length,
			  .by_rank = !by_length && a->order->kind == ORDER_TIMED };
	struct want loose = *w;

	/* With nodes the bound holds on one of them only: pass_place() sees to it. */
	loose.is_bounded = w->is_bounded && !a->nodes;
	loose.pass = a->pass;
	if (s.by_rank)
		rank_candidates(a, &loose, head);
	entry(a, head)->skipped = a->pass;
	for (;;) {
		uint32_t h = next_candidate(a, &loose, &s), node;
		const struct alloc_entry *e;

		if (h == ALLOC_NONE)
			return;
		e = entry(a, h);
		if (pass_park(a, h))
			continue;
		node = pass_place(a, h, w->is_bounded ? w : NULL, bound_node);
		if (node == ALLOC_NONE) {
			entry(a, h)->skipped = a->pass;
			continue;
		}
		pass_start(a, h, node);
		want_take(a, w, e,
			  w->is_bounded && e->planned_ns > w->horizon_ns &&
			      (!a->nodes || node == bound_node));
		memcpy(loose.free, w->free, sizeof(loose.free));
		memcpy(loose.extra, w->extra, sizeof(loose.extra));
	}
}

/* Strictly in order, as long as it fits.  Return: the head that does not, or ALLOC_NONE. */
static uint32_t start_heads(struct alloc *a)
{
	for (;;) {
		uint32_t h = queue_head(a), node;

		if (h == ALLOC_NONE)
			return h;
		node = over_quota(a, entry(a, h)) < 0 ? pass_place(a, h, NULL, ALLOC_NONE)
						      : ALLOC_NONE;
		if (node == ALLOC_NONE && over_quota(a, entry(a, h)) < 0)
			return h;
		if (a->is_ranked && !entry(a, h)->is_urgent && !entry(a, h)->is_placed)
			rank_pop(a);
		if (node == ALLOC_NONE)
			park(a, h);
		else
			pass_start(a, h, node);
	}
}

/* Those that declare nothing: for them M only. */
static void aside_add(void *arg, uint32_t h)
{
	struct alloc *a = arg;
	struct rank_with w = { .a = a, .except = ALLOC_NONE };

	rank_add(&w, h);
}

static void start_aside(struct alloc *a)
{
	a->n_rank = 0;
	a->is_ranked = false;
	tree_each_fit(&a->all, a->aside, NULL, aside_add, a);
	for (size_t i = 0; i < a->n_rank; i++) {
		uint32_t h = a->rank[i].handle, node = pass_place(a, h, NULL, ALLOC_NONE);

		if (over_quota(a, entry(a, h)) >= 0)
			park(a, h);
		else if (node != ALLOC_NONE)
			pass_start(a, h, node);
	}
	a->n_rank = 0;
}

/* Those that had their turn while others wait; and when the next one will have had it. */
struct turns {
	struct alloc *a;
	int64_t next_ns;
};

static void one_turn(void *arg, uint32_t h)
{
	struct turns *t = arg;
	struct alloc *a = t->a;
	struct alloc_entry *e = entry(a, h);
	int64_t over = e->start_ns + a->conf.turn_ns;

	if (e->is_ousted || e->is_aside)
		return;
	if (over > a->now_ns) {
		t->next_ns = !t->next_ns || over < t->next_ns ? over : t->next_ns;
		return;
	}
	e->is_ousted = true;
	if (a->n_ousted == a->cap_ousted) {
		a->cap_ousted = a->cap_ousted * 2 + 16;
		a->ousted = xrealloc(a->ousted, a->cap_ousted, sizeof(uint32_t));
	}
	a->ousted[a->n_ousted++] = h;
}

/* Whose turn began first; a copy of what there is (sched_tell_all()) has no other order. */
static int by_start(const void *x, const void *y, void *arg)
{
	const struct alloc_entry *ex = entry(arg, *(const uint32_t *)x),
				 *ey = entry(arg, *(const uint32_t *)y);

	if (ex->start_ns != ey->start_ns)
		return ex->start_ns < ey->start_ns ? -1 : 1;
	return ex->seq < ey->seq ? -1 : 1;
}

static int64_t oust(struct alloc *a)
{
	struct turns t = { .a = a };

	if (a->conf.turn_ns && a->order->has_turns && a->head != ALLOC_NONE)
		tree_each_fit(&a->all, a->ends, NULL, one_turn, &t);
	if (a->n_ousted > 1)
		qsort_r(a->ousted, a->n_ousted, sizeof(uint32_t), by_start, a);
	return t.next_ns;
}

static void ready(struct alloc *a, int64_t now_ns)
{
	a->now_ns = now_ns;
	a->pass++;
	a->n_starts = a->n_ousted = 0;
	a->is_ranked = false;
	a->head_starts_ns = 0;
	memset(a->soon, 0, sizeof(a->soon));
	if (a->conf.seq)
		tree_sum_until(&a->all, a->ends, now_ns, a->soon);
}

static int64_t sooner(int64_t x, int64_t y)
{
	return !x || (y && y < x) ? y : x;
}

struct alloc_result alloc_pass(struct alloc *a, int64_t now_ns)
{
	int64_t turn;

	ready(a, now_ns);
	promote(a);
	a->head = start_heads(a);
	/* The head may have a place before one that has waited its max-wait. */
	if (a->head != ALLOC_NONE && !entry(a, a->head)->is_urgent && a->urgent == ALLOC_NONE &&
	    a->fill->rest)
		a->fill->rest(a, a->head);
	if (a->aside != ALLOC_NONE)
		start_aside(a);
	turn = oust(a);
	return (struct alloc_result) {
		.starts = a->starts,
		.n_starts = a->n_starts,
		.ousted = a->ousted,
		.n_ousted = a->n_ousted,
		.wake_ns = sooner(next_due(a), turn),
	};
}

/* ---- reasons ---- */

static bool reason_resource(const struct alloc *a, const struct alloc_entry *e,
			    struct alloc_reason *ret)
{
	enum resource r = lacks(a, e);

	if (a->nodes && r == RES_COUNT && nodes_place(a->nodes, e->v, ALLOC_NONE) == ALLOC_NONE)
		r = RES_CPU;
	if (r == RES_COUNT)
		return false;
	ret->why = WHY_RESOURCE;
	ret->what = r;
	ret->needs = e->v[r];
	ret->free = room(a, r);
	return true;
}

static void reason_quota(const struct alloc *a, const struct alloc_entry *e, int r,
			 struct alloc_reason *ret)
{
	const struct party *u = &a->users[e->user];

	ret->why = WHY_QUOTA;
	ret->what = (enum resource)r;
	ret->needs = r < RES_COUNT ? e->v[r] : 1;
	ret->quota = r < RES_COUNT ? u->quota.most.v[r] : (int64_t)u->quota.running;
	ret->free = r < RES_COUNT ? u->quota.most.v[r] - u->held[r]
				  : (int64_t)u->quota.running - u->n_running;
}

static void reason_head(const struct alloc *a, uint32_t h, struct alloc_reason *ret)
{
	struct alloc_reason of_head = { 0 };
	const struct alloc_entry *head;

	if (a->head == ALLOC_NONE || a->head == h || entry(a, h)->is_aside)
		return;
	head = entry(a, a->head);
	if (!reason_resource(a, head, &of_head))
		return;
	*ret = of_head;
	ret->why = head->is_urgent ? WHY_MAX_WAIT : WHY_BEHIND;
	ret->head = a->head;
}

bool alloc_reason(const struct alloc *a, uint32_t handle, struct alloc_reason *ret)
{
	const struct alloc_entry *e = entry(a, handle);
	int quota = over_quota(a, e);

	if (e->state == ENTRY_RUNNING || e->state == ENTRY_FREE)
		return false;
	*ret = (struct alloc_reason) { .why = WHY_NEXT, .head = ALLOC_NONE };
	if (e->state == ENTRY_HELD)
		ret->why = WHY_HELD;
	else if (quota >= 0)
		reason_quota(a, e, quota, ret);
	else if (!reason_resource(a, e, ret))
		reason_head(a, handle, ret);
	if (handle == a->head)
		ret->starts_ns = a->head_starts_ns;
	return true;
}
