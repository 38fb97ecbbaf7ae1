/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "sim/run_int.h"
#include "util/mem.h"

/*
 * What happened to the host while the jobs of an event log ran, told to the allocator when it
 * did: use by others, quotas, drains, moves in the queue of what waits here too.
 */

struct numbered {
	uint32_t number, job;
};

struct world {
	struct runner *s;
	size_t next;
	bool is_drained, is_lifted;
	uint32_t *handles;         /* by job; ALLOC_NONE: it does not wait */
	struct numbered *numbered; /* jobs by number */
};

static int by_number(const void *x, const void *y)
{
	const struct numbered *a = x, *b = y;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return a->job < b->job ? -1 : 1;
}

struct world *world_new(struct runner *s)
{
	struct world *w = xnew(struct world);
	size_t n = s->t->n;

	w->s = s;
	w->handles = xcalloc(n + 1, sizeof(*w->handles));
	w->numbered = xcalloc(n + 1, sizeof(*w->numbered));
	for (size_t i = 0; i < n; i++) {
		w->handles[i] = ALLOC_NONE;
		w->numbered[i] = (struct numbered) { s->t->jobs[i].number, (uint32_t)i };
	}
	qsort(w->numbered, n, sizeof(*w->numbered), by_number);
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	free(w->handles);
	free(w->numbered);
	free(w);
}

void world_arrived(struct world *w, uint32_t job, uint32_t handle)
{
	w->handles[job] = handle;
}

void world_started(struct world *w, uint32_t job)
{
	w->handles[job] = ALLOC_NONE;
}

int64_t world_next_ns(const struct world *w)
{
	const struct sim_trace *t = w->s->t;

	return w->next < t->n_changes && !w->is_lifted ? t->changes[w->next].at_ns : SIM_NEVER;
}

bool world_is_drained(const struct world *w)
{
	return w->is_drained;
}

/* ---- what happens ---- */

/* The handle of one that waits and can be moved; else ALLOC_NONE. */
static uint32_t find(const struct world *w, uint32_t number)
{
	size_t from = 0, to = w->s->t->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (w->numbered[mid].number < number)
			from = mid + 1;
		else
			to = mid;
	}
	if (from == w->s->t->n || w->numbered[from].number != number)
		return ALLOC_NONE;
	from = w->handles[w->numbered[from].job];
	return from != ALLOC_NONE && alloc_can_move(w->s->a, (uint32_t)from) ? (uint32_t)from
									     : ALLOC_NONE;
}

static void happen_other(struct world *w, const struct sim_change *c)
{
	alloc_other(w->s->a, c->amounts);
}

static void happen_quota(struct world *w, const struct sim_change *c)
{
	alloc_quota(w->s->a, c->user,
		    &(struct alloc_quota) { .most = c->amounts, .running = c->count });
}

static void happen_drain(struct world *w, const struct sim_change *c)
{
	w->is_drained = c->count != 0;
}

static void happen_move(struct world *w, const struct sim_change *c)
{
	uint32_t h = find(w, c->number), other = ALLOC_NONE;

	if (h == ALLOC_NONE || c->count > ALLOC_AFTER)
		return;
	if (c->count == ALLOC_BEFORE || c->count == ALLOC_AFTER) {
		other = find(w, c->other);
		if (other == ALLOC_NONE || other == h)
			return;
	}
	alloc_move(w->s->a, h, (enum alloc_where)c->count, other, c->at_ns);
}

void world_turn(struct world *w, int64_t now_ns)
{
	static void (*const happen[])(struct world * w, const struct sim_change *c) = {
		[SIM_OTHER] = happen_other,
		[SIM_QUOTA] = happen_quota,
		[SIM_DRAIN] = happen_drain,
		[SIM_MOVE] = happen_move,
	};

	while (world_next_ns(w) <= now_ns) {
		const struct sim_change *c = &w->s->t->changes[w->next++];

		happen[c->kind](w, c);
	}
}

bool world_lift(struct world *w)
{
	if (w->is_lifted)
		return false;
	w->is_lifted = true;
	w->is_drained = false;
	alloc_other(w->s->a, (struct amounts) { 0 });
	for (uint32_t u = 0; u < w->s->t->users.n; u++)
		alloc_quota(w->s->a, u, &(struct alloc_quota) { 0 });
	return true;
}
