/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/profile.h"

#include "util/mem.h"

static int64_t *room_at(const struct profile *p, size_t i)
{
	return &p->room[i * p->n_res];
}

static void reserve_step(struct profile *p)
{
	if (p->n < p->cap)
		return;
	p->cap = p->cap * 2 + 32;
	p->times = xrealloc(p->times, p->cap, sizeof(int64_t));
	p->room = xrealloc(p->room, p->cap, p->n_res * sizeof(int64_t));
}

void profile_start(struct profile *p, unsigned n_res, int64_t now_ns, const int64_t *room)
{
	p->n = 0;
	p->n_res = n_res;
	reserve_step(p);
	p->n = 1;
	p->times[0] = now_ns;
	memcpy(p->room, room, n_res * sizeof(int64_t));
}

void profile_done(struct profile *p)
{
	free(p->times);
	free(p->room);
	*p = (struct profile) { 0 };
}

void profile_gain(struct profile *p, int64_t when_ns, const int64_t *demand)
{
	size_t last = p->n - 1;

	if (when_ns > p->times[last]) {
		reserve_step(p);
		p->times[++last] = when_ns;
		memcpy(room_at(p, last), room_at(p, last - 1), p->n_res * sizeof(int64_t));
		p->n++;
	}
	for (unsigned r = 0; r < p->n_res; r++)
		room_at(p, last)[r] += demand[r];
}

static bool fits(const struct profile *p, size_t i, const int64_t *demand)
{
	for (unsigned r = 0; r < p->n_res; r++)
		if (demand[r] > 0 && demand[r] > room_at(p, i)[r])
			return false;
	return true;
}

static int64_t add(int64_t t, int64_t ns)
{
	int64_t sum;

	return __builtin_add_overflow(t, ns, &sum) ? INT64_MAX : sum;
}

int64_t profile_earliest(const struct profile *p, const int64_t *demand, int64_t ns)
{
	size_t from = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (i > from && p->times[i] >= add(p->times[from], ns))
			return p->times[from];
		if (!fits(p, i, demand))
			from = i + 1;
	}
	return from < p->n ? p->times[from] : INT64_MAX;
}

bool profile_fits_first(const struct profile *p, const int64_t *demand, int64_t ns)
{
	int64_t end = add(p->times[0], ns);

	for (size_t i = 0; i < p->n && (!i || p->times[i] < end); i++)
		if (!fits(p, i, demand))
			return false;
	return true;
}

/* A step begins at @when. Return: its number, or n when it is never. */
static size_t cut(struct profile *p, int64_t when)
{
	size_t i = p->n;

	if (when == INT64_MAX)
		return i;
	while (i && p->times[i - 1] > when)
		i--;
	if (i && p->times[i - 1] == when)
		return i - 1;
	reserve_step(p);
	memmove(&p->times[i + 1], &p->times[i], (p->n - i) * sizeof(int64_t));
	memmove(room_at(p, i + 1), room_at(p, i), (p->n - i) * p->n_res * sizeof(int64_t));
	p->times[i] = when;
	memcpy(room_at(p, i), room_at(p, i - 1), p->n_res * sizeof(int64_t));
	p->n++;
	return i;
}

void profile_reserve(struct profile *p, int64_t from_ns, int64_t ns, const int64_t *demand)
{
	size_t from = cut(p, from_ns), to = cut(p, add(from_ns, ns));

	for (size_t i = from; i < to; i++)
		for (unsigned r = 0; r < p->n_res; r++)
			room_at(p, i)[r] -= demand[r];
}
