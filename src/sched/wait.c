/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * max-wait: when it is over, a job stands before all others.  A heap by that time; what it names
 * may have started or left since.
 */

static bool due_before(const struct due *x, const struct due *y)
{
	return x->at_ns != y->at_ns ? x->at_ns < y->at_ns : x->seq < y->seq;
}

static void due_sift_up(struct alloc *a, size_t i)
{
	struct due d = a->due[i];

	for (; i && due_before(&d, &a->due[(i - 1) / 2]); i = (i - 1) / 2)
		a->due[i] = a->due[(i - 1) / 2];
	a->due[i] = d;
}

static void due_sift_down(struct alloc *a, size_t i)
{
	struct due d = a->due[i];

	for (size_t c; (c = 2 * i + 1) < a->n_due; i = c) {
		if (c + 1 < a->n_due && due_before(&a->due[c + 1], &a->due[c]))
			c++;
		if (!due_before(&a->due[c], &d))
			break;
		a->due[i] = a->due[c];
	}
	a->due[i] = d;
}

void due_add(struct alloc *a, uint32_t h, int64_t max_wait_ns, bool is_own)
{
	struct alloc_entry *e = entry(a, h);

	if (!max_wait_ns || e->is_aside)
		return;
	if (a->n_due == a->cap_due) {
		a->cap_due = a->cap_due * 2 + 64;
		a->due = xrealloc(a->due, a->cap_due, sizeof(struct due));
	}
	a->due[a->n_due++] = (struct due) {
		.at_ns = e->arrival_ns + max_wait_ns, .seq = e->seq, .handle = h, .is_own = is_own
	};
	due_sift_up(a, a->n_due - 1);
}

/* Does it still wait? */
static bool due_holds(const struct alloc *a, const struct due *d)
{
	const struct alloc_entry *e = entry(a, d->handle);

	return e->seq == d->seq && !e->is_urgent &&
	       (e->state == ENTRY_WAITING || e->state == ENTRY_PARKED || e->state == ENTRY_HELD);
}

static void due_pop(struct alloc *a)
{
	a->due[0] = a->due[--a->n_due];
	if (a->n_due)
		due_sift_down(a, 0);
}

/* Those that have waited long enough stand before all others from now on. */
void promote(struct alloc *a)
{
	for (; a->n_due && a->due[0].at_ns <= a->now_ns; due_pop(a)) {
		uint32_t h = a->due[0].handle;
		struct alloc_entry *e = entry(a, h);

		if (!due_holds(a, &a->due[0]))
			continue;
		if (e->state != ENTRY_WAITING) {
			e->is_urgent = true;
			continue;
		}
		queue_remove(a, h);
		e->is_urgent = true;
		queue_add(a, h);
	}
}

/* When the next one has waited long enough; 0: never. */
int64_t next_due(struct alloc *a)
{
	while (a->n_due && !due_holds(a, &a->due[0]))
		due_pop(a);
	return a->n_due ? a->due[0].at_ns : 0;
}

void alloc_max_wait_set(struct alloc *a, int64_t max_wait_ns)
{
	size_t n = 0;

	a->conf.max_wait_ns = max_wait_ns;
	for (size_t i = 0; i < a->n_due; i++)
		if (a->due[i].is_own)
			a->due[n++] = a->due[i];
	a->n_due = n;
	for (size_t i = 1; i < n; i++)
		due_sift_up(a, i);
	for (uint32_t h = 0; h < a->n_entries; h++) {
		struct alloc_entry *e = entry(a, h);

		if (e->state == ENTRY_FREE || e->state == ENTRY_RUNNING || e->is_urgent)
			continue;
		for (size_t i = 0; i <= n; i++) {
			if (i == n)
				due_add(a, h, max_wait_ns, false);
			else if (a->due[i].handle == h && a->due[i].seq == e->seq)
				break;
		}
	}
}
