/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * Those that wait in the queue, shortest planned run time first, ties by arrival: a second tree
 * beside the one of the order, so that easy-sjf finds its candidates without looking at all.
 * Its entries are copies of what a search reads.
 */

void lengths_clear(struct alloc *a)
{
	a->lengths.root = ALLOC_NONE;
}

void lengths_done(struct lengths *l)
{
	free(l->all.pool);
	*l = (struct lengths) { .root = ALLOC_NONE };
}

void lengths_add(struct alloc *a, uint32_t h)
{
	struct lengths *l = &a->lengths;
	const struct alloc_entry *e = entry(a, h);
	struct alloc_entry *copy;

	if (h >= l->cap) {
		l->cap = a->cap_entries;
		l->all = (struct forest) {
			.pool = xrealloc(l->all.pool, l->cap, a->all.stride),
			.stride = a->all.stride,
			.n_res = a->n_res,
		};
	}
	copy = tree_entry(&l->all, h);
	*copy = (struct alloc_entry) {
		.key = e->planned_ns,
		.planned_ns = e->planned_ns,
		.arrival_ns = e->arrival_ns,
		.seq = e->seq,
	};
	memcpy(copy->v, e->v, a->n_res * sizeof(int64_t));
	tree_insert(&l->all, TREE_LEAST, &l->root, h);
}

void lengths_remove(struct alloc *a, uint32_t h)
{
	tree_erase(&a->lengths.all, TREE_LEAST, &a->lengths.root, h);
}
