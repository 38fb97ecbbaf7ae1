/* SPDX-License-Identifier: Apache-2.0 */
/* Copies, to ask what would be: the allocator's for forecasts, the scheduler's for hostel fit. */
#include <assert.h>

#include "sched/alloc_int.h"
#include "sched/sched_int.h"
#include "util/mem.h"

static void *copy_of(const void *p, size_t n, size_t size)
{
	void *copy = xcalloc(n + 1, size);

	if (n)
		memcpy(copy, p, n * size);
	return copy;
}

struct alloc *alloc_copy(const struct alloc *a)
{
	struct alloc *c = xnew(struct alloc);

	assert(!a->nodes);
	*c = *a;
	c->policy = xstrdup(a->policy);
	c->over = a->over ? xstrdup(a->over) : NULL;
	c->all.pool = copy_of(a->all.pool, a->n_entries, a->all.stride);
	c->lengths.all.pool = copy_of(a->lengths.all.pool, a->lengths.cap, a->all.stride);
	c->cap_entries = a->n_entries;
	c->users = copy_of(a->users, a->n_users, sizeof(*a->users));
	c->labels = copy_of(a->labels, a->n_labels, sizeof(*a->labels));
	c->active = copy_of(a->active, a->cap_active, sizeof(*a->active));
	c->due = copy_of(a->due, a->cap_due, sizeof(*a->due));
	c->rank = NULL;
	c->starts = NULL;
	c->ousted = NULL;
	c->n_rank = c->cap_rank = c->n_starts = c->cap_starts = c->n_ousted = c->cap_ousted = 0;
	return c;
}

static struct named *named_copy(const struct named *n, struct alloc *alloc)
{
	struct named *c = xnew(struct named);

	*c = *n;
	c->id = xstrdup(n->id);
	c->job.id = c->id;
	c->next = NULL;
	entry(alloc, c->handle)->tag = (uintptr_t)c;
	return c;
}

struct sched *sched_copy(const struct sched *s)
{
	struct sched *c = xnew(struct sched);

	*c = *s;
	c->watch = NULL;
	c->watch_arg = NULL;
	c->alloc = alloc_copy(s->alloc);
	c->users.v = copy_of(s->users.v, s->users.n, sizeof(*s->users.v));
	c->groups.v = copy_of(s->groups.v, s->groups.n, sizeof(*s->groups.v));
	c->quotas = copy_of(s->quotas, s->n_quotas, sizeof(*s->quotas));
	c->buckets = xcalloc(s->n_buckets, sizeof(struct named *));
	for (size_t i = 0; i < s->n_buckets; i++) {
		struct named **end = &c->buckets[i];

		for (const struct named *n = s->buckets[i]; n; n = n->next) {
			*end = named_copy(n, c->alloc);
			end = &(*end)->next;
		}
	}
	return c;
}

void sched_clear(struct sched *s)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		while (s->buckets[i])
			sched_leave(s, s->buckets[i]->id);
	sched_drain(s, false);
}
