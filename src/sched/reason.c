/* SPDX-License-Identifier: Apache-2.0 */
/* Why one waits, in numbers and in words, and who holds what it waits for. */
#include "sched/alloc.h"
#include "sched/sched_int.h"
#include "util/mem.h"
#include "util/str.h"

/* More holders than this are counted, not named. */
#define HOLDERS_SHOWN 4

bool sched_reason(const struct sched *s, const char *id, struct sched_reason *ret)
{
	struct named *n = sched_find(s, id);
	struct alloc_reason why;

	if (!n || !alloc_reason(s->alloc, n->handle, &why))
		return false;
	if (why.why == WHY_RESOURCE) {
		*ret = (struct sched_reason) { why.what, why.needs, why.free, false };
		return true;
	}
	*ret =
	    (struct sched_reason) { .what = RES_MEMORY,
				    .needs = n->job.demand.v[RES_MEMORY],
				    .free = alloc_free_amounts(s->alloc, ALLOC_NONE).v[RES_MEMORY],
				    .behind = true };
	return true;
}

/* RES_COUNT: jobs. */
static int64_t held_of(const struct sched *s, const struct named *n, enum resource r)
{
	if (r == RES_COUNT)
		return alloc_is_running(s->alloc, n->handle);
	return alloc_is_running(s->alloc, n->handle) ? n->job.demand.v[r] + n->over.v[r] : 0;
}

/* The HOLDERS_SHOWN largest holders of @r, largest first; ties by arrival. @of: NULL: all users */
static size_t holders_of(const struct sched *s, enum resource r, const int64_t *of,
			 const struct named **top)
{
	size_t n = 0;

	for (size_t b = 0; b < s->n_buckets; b++) {
		for (const struct named *j = s->buckets[b]; j; j = j->next) {
			size_t at = n < HOLDERS_SHOWN ? n : HOLDERS_SHOWN;

			if (held_of(s, j, r) <= 0 || (of && j->job.uid != *of))
				continue;
			n++;
			for (; at && (held_of(s, top[at - 1], r) < held_of(s, j, r) ||
				      (held_of(s, top[at - 1], r) == held_of(s, j, r) &&
				       top[at - 1]->handle > j->handle));
			     at--)
				if (at < HOLDERS_SHOWN)
					top[at] = top[at - 1];
			if (at < HOLDERS_SHOWN)
				top[at] = j;
		}
	}
	return n;
}

/* ", held by a, b and 3 more": the largest holders of @r first, of one user or (NULL) of all. */
static void add_holders(const struct sched *s, enum resource r, const int64_t *of, struct str *out,
			const char *(*name_of)(void *arg, const char *id), void *arg)
{
	const struct named *top[HOLDERS_SHOWN];
	size_t holders = holders_of(s, r, of, top);
	size_t named = holders < HOLDERS_SHOWN ? holders : HOLDERS_SHOWN;

	for (size_t i = 0; i < named; i++)
		str_addf(out, "%s%s", i ? ", " : "; held by ", name_of(arg, top[i]->id));
	if (holders > named)
		str_addf(out, " and %zu more", holders - named);
	if (!holders && !of && s->host.v[r] > 0)
		str_adds(out, "; held by the host's own programs");
	for (size_t i = 0; i < named; i++) {
		if (top[i]->job.expect_ns)
			continue;
		str_adds(out, " (no end known)");
		return;
	}
}

static void add_amounts(const struct alloc_reason *why, struct str *out)
{
	char needs[32], left[32];

	str_addf(out, "%s: needs %s, %s free", sched_resource_name(why->what),
		 sched_amount_text(why->what, why->needs, needs),
		 sched_amount_text(why->what, why->free > 0 ? why->free : 0, left));
}

static void add_quota(const struct alloc_reason *why, struct str *out)
{
	char needs[32], left[32], quota[32];

	if (why->what == RES_COUNT) {
		str_addf(out, "quota: instances: %lld at once", (long long)why->quota);
		return;
	}
	str_addf(out, "quota: %s: needs %s, %s left of %s", sched_resource_name(why->what),
		 sched_amount_text(why->what, why->needs, needs),
		 sched_amount_text(why->what, why->free > 0 ? why->free : 0, left),
		 sched_amount_text(why->what, why->quota, quota));
}

char *sched_reason_text(const struct sched *s, const char *id,
			const char *(*name_of)(void *arg, const char *id), void *arg)
{
	OWN(str) struct str out = { 0 };
	struct named *n = sched_find(s, id);
	struct alloc_reason why;
	const char *head;

	if (!n || !alloc_reason(s->alloc, n->handle, &why))
		return xstrdup("");
	if (s->is_draining && why.why != WHY_HELD)
		return xstrdup("drain");
	head = why.head != ALLOC_NONE ? name_of(arg, sched_named(s, why.head)->id) : NULL;
	switch (why.why) {
	case WHY_NEXT:
		return xstrdup("next in line");
	case WHY_HELD:
		return xstrdup("held");
	case WHY_RESOURCE:
		add_amounts(&why, &out);
		add_holders(s, why.what, NULL, &out, name_of, arg);
		break;
	case WHY_BEHIND:
		str_addf(&out, "behind %s, which waits for %s", head,
			 sched_resource_name(why.what));
		break;
	case WHY_MAX_WAIT:
		str_addf(&out,
			 "behind %s, which has waited its max-wait and needs %s; "
			 "hostel queue hold|cancel %s lets others pass",
			 head, sched_resource_name(why.what), head);
		break;
	case WHY_QUOTA:
		add_quota(&why, &out);
		add_holders(s, why.what, &n->job.uid, &out, name_of, arg);
		break;
	}
	return str_take(&out);
}

bool sched_held(const struct sched *s, const char *id, struct amounts *ret)
{
	const struct named *n = sched_find(s, id);

	if (!n || !alloc_is_running(s->alloc, n->handle))
		return false;
	for (int r = 0; r < RES_COUNT; r++)
		ret->v[r] = held_of(s, n, (enum resource)r);
	return true;
}
