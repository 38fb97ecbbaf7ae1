/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * When can the head start, if all that runs ends as planned?
 */

static bool shadow_of_pool(struct alloc *a, const struct alloc_entry *head, struct want *w)
{
	int64_t when = a->now_ns;
	int64_t back[RES_COUNT] = { 0 }, room[RES_COUNT];

	for (unsigned r = 0; r < a->n_res; r++) {
		int64_t at;

		room[r] = a->total.v[r] - a->used.v[r] - a->other.v[r];
		if (!head->v[r] || head->v[r] <= room[r])
			continue;
		at = tree_key_at_sum(&a->all, a->ends, r, head->v[r] - room[r]);
		if (at == ENDLESS)
			return false;
		when = at > when ? at : when;
	}
	tree_sum_until(&a->all, a->ends, when, back);
	for (unsigned r = 0; r < a->n_res; r++) {
		int64_t extra = room[r] + back[r] - head->v[r];

		w->extra[r] = extra > 0 ? extra : 0;
	}
	w->horizon_ns = when - a->now_ns;
	a->head_starts_ns = when;
	return true;
}

/* Ends in order, each on its node. */
struct walk {
	struct alloc *a;
	const struct alloc_entry *head;
	int64_t *left;    /* by node: free once those seen have ended */
	uint8_t *is_seen; /* by node */
	uint32_t node;
	int64_t when;
};

static void one_end(void *arg, uint32_t h)
{
	struct walk *k = arg;
	const struct alloc *a = k->a;
	const struct alloc_entry *e = entry(a, h);
	int64_t *left = &k->left[(size_t)e->node * a->n_res];
	bool fits = true;

	if (e->key == ENDLESS ||
	    (k->node != ALLOC_NONE && (k->node != e->node || e->key > k->when)))
		return;
	if (!k->is_seen[e->node])
		memcpy(left, nodes_left(a->nodes, e->node), a->n_res * sizeof(int64_t));
	k->is_seen[e->node] = 1;
	for (unsigned r = 0; r < a->n_res; r++) {
		left[r] += e->v[r];
		fits &= k->head->v[r] <= left[r];
	}
	if (k->node != ALLOC_NONE || !fits)
		return;
	k->node = e->node;
	k->when = e->key;
}

static bool shadow_of_nodes(struct alloc *a, const struct alloc_entry *head, struct want *w,
			    uint32_t *ret_node)
{
	size_t n = nodes_count(a->nodes);
	OWN(mem) int64_t *left = xcalloc(n * a->n_res, sizeof(int64_t));
	OWN(mem) uint8_t *is_seen = xcalloc(n, 1);
	struct walk k = {
		.a = a, .head = head, .left = left, .is_seen = is_seen, .node = ALLOC_NONE
	};

	tree_each_fit(&a->all, a->ends, NULL, one_end, &k);
	if (k.node == ALLOC_NONE)
		return false;
	for (unsigned r = 0; r < a->n_res; r++)
		w->extra[r] = left[(size_t)k.node * a->n_res + r] - head->v[r];
	w->horizon_ns = (k.when > a->now_ns ? k.when : a->now_ns) - a->now_ns;
	a->head_starts_ns = a->now_ns + w->horizon_ns;
	*ret_node = k.node;
	return true;
}

bool pass_shadow(struct alloc *a, uint32_t head, struct want *w, uint32_t *ret_node)
{
	pass_free(a, w->free);
	if (a->nodes)
		return shadow_of_nodes(a, entry(a, head), w, ret_node);
	return shadow_of_pool(a, entry(a, head), w);
}
