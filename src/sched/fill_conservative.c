/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "sched/profile.h"
#include "util/mem.h"

/*
 * conservative: a reservation for everyone.  Every pass plans afresh: what runs ends as planned,
 * then each waiting job in order gets the earliest slot in which it fits for its whole planned
 * run; those whose slot is now start.  With nodes: the earliest slot of any node, ties: the
 * first node.
 *
 * A job for which there is no such slot (jobs without an end hold what it needs) has no
 * reservation: others may pass it, until its max-wait.
 *
 * Guarantee: with planned times that hold, and an order in which later ones stand behind (fcfs),
 * nobody starts later than the first slot he got.
 *
 * Planning stops where nobody further back could start now beside what is planned so far; so a
 * pass costs jobs planned * steps, in the worst case the square of the queue.
 * Source: A. Mu'alem, D. Feitelson, TPDS 12(6), 2001.
 */

struct plan {
	struct alloc *a;
	struct profile *nodes; /* one for the pool */
	size_t n;
};

static void one_end(void *arg, uint32_t h)
{
	struct plan *p = arg;
	const struct alloc *a = p->a;
	const struct alloc_entry *e = entry(a, h);
	/* One that outlives its planned end is about to end, but it has not. */
	int64_t soonest = a->now_ns + !a->conf.seq;

	if (e->key != ENDLESS)
		profile_gain(&p->nodes[a->nodes ? e->node : 0], e->key > soonest ? e->key : soonest,
			     e->v);
}

static void plan_start(struct plan *p, struct alloc *a)
{
	p->a = a;
	p->n = a->nodes ? nodes_count(a->nodes) : 1;
	p->nodes = xcalloc(p->n, sizeof(struct profile));
	for (size_t i = 0; i < p->n; i++) {
		int64_t room[RES_COUNT];

		pass_left(a, (uint32_t)i, room);
		profile_start(&p->nodes[i], a->n_res, a->now_ns, room);
	}
	tree_each_fit(&a->all, a->ends, NULL, one_end, p);
}

static void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		profile_done(&p->nodes[i]);
	free(p->nodes);
}

/* The earliest slot of @e; @ret_node: where. */
static int64_t slot_of(const struct plan *p, const struct alloc_entry *e, uint32_t *ret_node)
{
	int64_t best = INT64_MAX;

	for (size_t i = 0; i < p->n; i++) {
		int64_t at;

		if (best == p->a->now_ns)
			break;
		at = profile_earliest(&p->nodes[i], e->v, e->planned_ns);
		if (at < best) {
			best = at;
			*ret_node = (uint32_t)i;
		}
	}
	return best;
}

/* Could @e start now beside all that is planned so far?  What is planned later only takes away. */
static bool fits_now(const struct plan *p, const struct alloc_entry *e)
{
	for (size_t i = 0; i < p->n; i++)
		if (profile_fits_first(&p->nodes[i], e->v, e->planned_ns))
			return true;
	return false;
}

static void plan_one(struct plan *p, uint32_t h, bool is_head)
{
	struct alloc *a = p->a;
	const struct alloc_entry *e = entry(a, h);
	uint32_t node = 0;
	int64_t at;

	if (pass_park(a, h))
		return;
	at = slot_of(p, e, &node);
	if (is_head)
		a->head_starts_ns = at == INT64_MAX ? 0 : at;
	if (at == INT64_MAX)
		return;
	profile_reserve(&p->nodes[node], at, e->planned_ns, e->v);
	if (at == a->now_ns)
		pass_start(a, h, node);
}

static void rest(struct alloc *a, uint32_t head)
{
	struct plan p = { 0 };
	OWN(mem) uint32_t *queue = NULL;
	size_t n = 0, next = 0;

	plan_start(&p, a);
	queue = pass_queue(a, &n);
	/* All up to the next one that could start now have to be planned, if there is one. */
	for (size_t i = 0; i < n; i++) {
		for (next = next > i ? next : i; next < n && !fits_now(&p, entry(a, queue[next]));)
			next++;
		if (next == n && i)
			break;
		plan_one(&p, queue[i], queue[i] == head);
	}
	plan_done(&p);
}

const struct alloc_fill alloc_fill_conservative = {
	.name = "conservative",
	.help = "a reservation for everyone",
	.needs_ends = true,
	.look_part = 1,
	.rest = rest,
};
