/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/heap.h"

#include <stdlib.h>

#include "util/mem.h"

void heap_done(struct heap *h)
{
	free(h->v);
	*h = (struct heap) { 0 };
}

static inline bool before(const struct event *a, const struct event *b)
{
	return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

uint64_t heap_add(struct heap *h, int64_t at_ns, enum event_kind kind, uint32_t job,
		  uint32_t handle)
{
	struct event e = { at_ns, (uint64_t)kind << 56 | h->number++, job, handle };
	size_t i = h->n++;

	if (i == h->cap) {
		h->cap = h->cap * 2 + 64;
		h->v = xrealloc(h->v, h->cap, sizeof(*h->v));
	}
	for (; i && before(&e, &h->v[(i - 1) / 2]); i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = e;
	return e.order;
}

struct event heap_take(struct heap *h)
{
	struct event first = h->v[0], last = h->v[--h->n];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < h->n) {
		k += k + 1 < h->n && before(&h->v[k + 1], &h->v[k]);
		if (!before(&h->v[k], &last))
			break;
		h->v[i] = h->v[k];
		i = k;
	}
	h->v[i] = last;
	return first;
}
