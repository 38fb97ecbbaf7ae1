/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"
#include "util/mem.h"

/*
 * When those that wait will start: a copy of the allocator is driven by its own policy, what
 * runs ends as planned, nobody else arrives.  A job's start is known when it comes to pass and
 * that of everyone before it does, too: one before it that waits for an end that nobody knows
 * could take its room at any moment.  One that has outlived its plan has no known end.
 */

/*
 * Passes, fewer where many wait, so that the cost is bounded: as if this many times one that waits
 * were looked at (bench/forecast.py).
 */
#define PASSES_MOST 256
#define LOOKS_MOST  65536
#define PART_TIMED  4 /* all are ordered anew */
#define PART_FEW    32

static size_t looks_of(const struct alloc *a)
{
	unsigned part = a->fill->look_part ? a->fill->look_part : PART_FEW;

	if (a->order->kind == ORDER_TIMED && part > PART_TIMED)
		part = PART_TIMED;
	return a->n_waiting / part;
}

/* What runs, by handle: its planned end, ENDLESS when that is not known. */
struct run {
	uint32_t handle;
	int64_t end_ns;
};

struct runs {
	struct run *v;
	size_t n, max;
};

static void runs_add(struct runs *r, const struct alloc *a, uint32_t h, int64_t now_ns)
{
	const struct alloc_entry *e = entry(a, h);
	int64_t end;

	if (e->planned_ns == ENDLESS || __builtin_add_overflow(e->start_ns, e->planned_ns, &end) ||
	    end <= now_ns)
		return;
	if (r->n == r->max) {
		r->max = r->max * 2 + 16;
		r->v = xrealloc(r->v, r->max, sizeof(*r->v));
	}
	r->v[r->n++] = (struct run) { h, end };
}

static int64_t next_end(const struct runs *r)
{
	int64_t end = ENDLESS;

	for (size_t i = 0; i < r->n; i++)
		end = r->v[i].end_ns < end ? r->v[i].end_ns : end;
	return end;
}

static void end_all(struct runs *r, struct alloc *c, int64_t now_ns)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].end_ns > now_ns)
			r->v[n++] = r->v[i];
		else
			alloc_leave(c, r->v[i].handle);
	}
	r->n = n;
}

/* One that outlived its plan ends nobody knows when: no policy shall count on it. */
static void runs_of(struct runs *r, struct alloc *c, int64_t now_ns)
{
	for (uint32_t h = 0; h < c->n_entries; h++) {
		size_t before = r->n;

		if (entry(c, h)->state != ENTRY_RUNNING)
			continue;
		runs_add(r, c, h, now_ns);
		if (r->n == before && entry(c, h)->planned_ns != ENDLESS)
			alloc_replan(c, h, 0);
	}
}

static void one_pass(struct alloc *c, struct runs *r, int64_t now_ns, int64_t *start_of,
		     int64_t *ret_wake)
{
	struct alloc_result res = alloc_pass(c, now_ns);

	for (size_t i = 0; i < res.n_starts; i++) {
		start_of[res.starts[i].handle] = now_ns;
		runs_add(r, c, res.starts[i].handle, now_ns);
	}
	*ret_wake = res.wake_ns > now_ns ? res.wake_ns : ENDLESS;
}

static bool blocks_nobody(const struct alloc *a, uint32_t h)
{
	const struct alloc_entry *e = entry(a, h);

	return e->is_aside || e->state == ENTRY_HELD || e->state == ENTRY_PARKED;
}

void alloc_forecast(const struct alloc *a, int64_t now_ns, const uint32_t *queue, size_t n,
		    int64_t *ret_starts_ns)
{
	OWN(alloc) struct alloc *c = a->nodes ? NULL : alloc_copy(a);
	OWN(mem) int64_t *start_of = xcalloc(a->n_entries + 1, sizeof(int64_t));
	struct runs runs = { 0 };
	int64_t wake = 0, t = now_ns;
	size_t looks = 0;
	bool is_open = false;

	if (c)
		runs_of(&runs, c, now_ns);
	for (int i = 0; c && i < PASSES_MOST && c->n_waiting && t != ENDLESS; i++) {
		int64_t end;

		looks += looks_of(c);
		if (i && looks > LOOKS_MOST)
			break;
		end_all(&runs, c, t);
		one_pass(c, &runs, t, start_of, &wake);
		end = next_end(&runs);
		t = end < wake ? end : wake;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t at = start_of[queue[i]];

		ret_starts_ns[i] = entry(a, queue[i])->is_aside || !is_open ? at : 0;
		is_open |= !at && !blocks_nobody(a, queue[i]);
	}
	free(runs.v);
}
