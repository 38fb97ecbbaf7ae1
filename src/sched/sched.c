/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include <inttypes.h>
#include <stdio.h>

#include "sched/sched_int.h"
#include "util/mem.h"
#include "util/num.h"

/* More holders than this are counted, not named. */
#define HOLDERS_SHOWN 4

struct sched {
	const struct sched_order *order;
	const struct sched_fill *fill;
	char *policy;
	struct amounts total, host, held;
	struct sched_entry **jobs; /* admitted and waiting, in order of arrival events */
	size_t n_jobs, cap;
	uint64_t seq;
};

static const struct sched_order *const orders[] = { &sched_order_fcfs };

static const struct sched_fill fills[] = {
	{ .name = "strict", .head_blocks = true }, /* nothing passes the head */
	{ .name = "list", .head_blocks = false },  /* anything that fits */
};

static const char *const names[] = { "cpu", "memory", "disk", "gpus", "management memory" };
_Static_assert(ARRAY_SIZE(names) == RES_COUNT, "name every resource");

const struct sched_order *sched_order_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(orders[i]->name, name))
			return orders[i];
	return NULL;
}

const struct sched_fill *sched_fill_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fills); i++)
		if (!strcmp(fills[i].name, name))
			return &fills[i];
	return NULL;
}

const char *sched_resource_name(enum resource r)
{
	return names[r];
}

const char *sched_amount_text(enum resource r, int64_t amount, char *buf)
{
	switch (r) {
	case RES_CPU:
		if (amount % 1000 == 0)
			snprintf(buf, 32, "%" PRId64 " cpu%s", amount / 1000,
				 amount == 1000 ? "" : "s");
		else
			snprintf(buf, 32, "%.*f cpus", amount % 100 ? 3 : 1, (double)amount / 1000);
		return buf;
	case RES_GPUS:
		snprintf(buf, 32, "%" PRId64, amount);
		return buf;
	case RES_MEMORY:
	case RES_DISK:
	case RES_MANAGE:
	case RES_COUNT:
		break;
	}
	return num_bytes_text(amount, buf);
}

struct sched *sched_new(void)
{
	struct sched *s = xnew(struct sched);

	s->order = orders[0];
	s->fill = &fills[0];
	s->policy = xasprintf("%s/%s", s->order->name, s->fill->name);
	return s;
}

static void entry_free(struct sched_entry *e)
{
	free(e->id);
	free(e);
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_jobs; i++)
		entry_free(s->jobs[i]);
	free(s->jobs);
	free(s->policy);
	free(s);
}

struct err *sched_policy_set(struct sched *s, const char *policy)
{
	const char *slash = strchr(policy, '/');
	OWN(mem) char *name = xstrndup(policy, slash ? (size_t)(slash - policy) : strlen(policy));
	const struct sched_order *order = sched_order_find(name);
	const struct sched_fill *fill = sched_fill_find(slash ? slash + 1 : "strict");

	if (!order || !fill)
		return err_new(ERR_INVALID,
			       "\"%.64s\" is no policy; there are fcfs/strict and fcfs/list",
			       policy);
	s->order = order;
	s->fill = fill;
	free(s->policy);
	s->policy = xasprintf("%s/%s", order->name, fill->name);
	return NULL;
}

const char *sched_policy(const struct sched *s)
{
	return s->policy;
}

void sched_capacity(struct sched *s, struct amounts total)
{
	s->total = total;
}

void sched_host(struct sched *s, struct amounts used)
{
	s->host = used;
}

static int64_t free_of(const struct sched *s, enum resource r)
{
	return s->total.v[r] - s->held.v[r] - s->host.v[r];
}

static bool counts(const struct sched_job *j, enum resource r)
{
	return r == RES_MANAGE || j->declared[r];
}

struct err *sched_check(const struct sched *s, const struct sched_job *j)
{
	for (int r = 0; r < RES_COUNT; r++) {
		char needs[32], has[32];

		if (!counts(j, (enum resource)r) || j->demand.v[r] <= s->total.v[r])
			continue;
		return err_new(ERR_LIMIT, "%s: needs %s, this host has %s", names[r],
			       sched_amount_text((enum resource)r, j->demand.v[r], needs),
			       sched_amount_text((enum resource)r, s->total.v[r], has));
	}
	return NULL;
}

static struct sched_entry *find(const struct sched *s, const char *id)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (!strcmp(s->jobs[i]->id, id))
			return s->jobs[i];
	return NULL;
}

static void set_job(struct sched_entry *e, const struct sched_job *j)
{
	e->job = *j;
	e->job.id = e->id;
	e->declares_nothing = true;
	for (int r = 0; r < RES_MANAGE; r++)
		if (j->declared[r])
			e->declares_nothing = false;
		else
			e->job.demand.v[r] = 0;
}

static struct sched_entry *entry_add(struct sched *s, const struct sched_job *j, int64_t now_ns)
{
	struct sched_entry *e = xnew(struct sched_entry);

	e->id = xstrdup(j->id);
	e->seq = ++s->seq;
	e->arrival_ns = now_ns;
	set_job(e, j);
	if (s->n_jobs == s->cap) {
		s->cap = s->cap * 2 + 16;
		s->jobs = xrealloc(s->jobs, s->cap, sizeof(struct sched_entry *));
	}
	s->jobs[s->n_jobs++] = e;
	return e;
}

static void take(struct sched *s, struct sched_entry *e)
{
	e->is_admitted = true;
	e->held = e->job.demand;
	for (int r = 0; r < RES_COUNT; r++)
		s->held.v[r] += e->held.v[r];
}

static void release(struct sched *s, struct sched_entry *e)
{
	for (int r = 0; r < RES_COUNT; r++)
		s->held.v[r] -= e->held.v[r];
	e->held = (struct amounts) { 0 };
	e->is_admitted = false;
}

void sched_arrive(struct sched *s, const struct sched_job *j, int64_t now_ns)
{
	entry_add(s, j, now_ns);
}

void sched_adopt(struct sched *s, const struct sched_job *j, int64_t now_ns)
{
	take(s, entry_add(s, j, now_ns));
}

void sched_leave(struct sched *s, const char *id)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct sched_entry *e = s->jobs[i];

		if (strcmp(e->id, id))
			continue;
		if (e->is_admitted)
			release(s, e);
		memmove(&s->jobs[i], &s->jobs[i + 1], (s->n_jobs - i - 1) * sizeof(*s->jobs));
		s->n_jobs--;
		entry_free(e);
		return;
	}
}

void sched_charge(struct sched *s, const char *id, struct amounts measured)
{
	struct sched_entry *e = find(s, id);

	if (!e || !e->is_admitted)
		return;
	for (int r = 0; r < RES_COUNT; r++) {
		if (r != RES_MANAGE && e->job.declared[r])
			continue;
		s->held.v[r] += measured.v[r] - e->held.v[r];
		e->held.v[r] = measured.v[r];
	}
}

void sched_resize(struct sched *s, const char *id, const struct sched_job *j)
{
	struct sched_entry *e = find(s, id);
	bool admitted = e && e->is_admitted;

	if (!e)
		return;
	if (admitted)
		release(s, e);
	set_job(e, j);
	if (admitted)
		take(s, e);
}

/* The first resource that @e lacks, or RES_COUNT. */
static enum resource lacks(const struct sched *s, const struct sched_entry *e)
{
	for (int r = 0; r < RES_COUNT; r++)
		if (counts(&e->job, (enum resource)r) && e->job.demand.v[r] > 0 &&
		    e->job.demand.v[r] > free_of(s, (enum resource)r))
			return (enum resource)r;
	return RES_COUNT;
}

/* Waiting entries in the order of the policy; freed by the caller. */
static struct sched_entry **sorted_queue(const struct sched *s, int64_t now_ns, size_t *ret_n)
{
	struct sched_entry **q = xcalloc(s->n_jobs + 1, sizeof(struct sched_entry *));
	size_t n = 0;

	/* Insertion: the list is in arrival order already, so this is linear for fcfs. */
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct sched_entry *e = s->jobs[i];
		size_t at = n;

		if (e->is_admitted)
			continue;
		while (at > 0 && s->order->compare(e, q[at - 1], now_ns) < 0) {
			q[at] = q[at - 1];
			at--;
		}
		q[at] = e;
		n++;
	}
	*ret_n = n;
	return q;
}

int64_t sched_pass(struct sched *s, int64_t now_ns, void (*admit)(void *arg, const char *id),
		   void *arg)
{
	size_t n = 0;
	OWN(mem) struct sched_entry **q = sorted_queue(s, now_ns, &n);
	bool blocked = false;

	for (size_t i = 0; i < n; i++) {
		struct sched_entry *e = q[i];

		if (lacks(s, e) != RES_COUNT) {
			/* One that declares nothing holds nobody up but for M. */
			blocked |= s->fill->head_blocks && !e->declares_nothing;
			continue;
		}
		if (blocked && !e->declares_nothing)
			continue;
		take(s, e);
		admit(arg, e->id);
	}
	return 0;
}

bool sched_reason(const struct sched *s, const char *id, struct sched_reason *ret)
{
	const struct sched_entry *e = find(s, id);
	enum resource r;

	if (!e || e->is_admitted)
		return false;
	r = lacks(s, e);
	if (r != RES_COUNT) {
		*ret = (struct sched_reason) { .what = r,
					       .needs = e->job.demand.v[r],
					       .free = free_of(s, r) };
		return true;
	}
	*ret = (struct sched_reason) { .what = RES_MEMORY,
				       .needs = e->job.demand.v[RES_MEMORY],
				       .free = free_of(s, RES_MEMORY),
				       .behind = true };
	return true;
}

/* ", held by a, b and 3 more": the largest holders of @r first. */
static void add_holders(const struct sched *s, enum resource r, struct str *out,
			const char *(*name_of)(void *arg, const char *id), void *arg)
{
	OWN(mem) bool *shown = xcalloc(s->n_jobs + 1, sizeof(bool));
	size_t holders = 0, named = 0;

	for (size_t i = 0; i < s->n_jobs; i++)
		holders += s->jobs[i]->held.v[r] > 0;
	for (; named < holders && named < HOLDERS_SHOWN; named++) {
		size_t best = s->n_jobs;

		for (size_t i = 0; i < s->n_jobs; i++)
			if (!shown[i] && s->jobs[i]->held.v[r] > 0 &&
			    (best == s->n_jobs || s->jobs[i]->held.v[r] > s->jobs[best]->held.v[r]))
				best = i;
		shown[best] = true;
		str_addf(out, "%s%s", named ? ", " : "; held by ", name_of(arg, s->jobs[best]->id));
	}
	if (holders > named)
		str_addf(out, " and %zu more", holders - named);
	if (!holders && s->host.v[r] > 0)
		str_adds(out, "; held by the host's own programs");
	else if (holders)
		str_adds(out, " (no end known)");
}

/* The waiting job that stands in the way of @e. */
static const struct sched_entry *head_before(const struct sched *s, const struct sched_entry *e)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct sched_entry *o = s->jobs[i];

		if (!o->is_admitted && o != e && !o->declares_nothing &&
		    s->order->compare(o, e, 0) < 0 && lacks(s, o) != RES_COUNT)
			return o;
	}
	return NULL;
}

char *sched_reason_text(const struct sched *s, const char *id,
			const char *(*name_of)(void *arg, const char *id), void *arg)
{
	OWN(str) struct str out = { 0 };
	struct sched_reason why;
	char needs[32], left[32];

	if (!sched_reason(s, id, &why))
		return xstrdup("");
	if (why.behind) {
		const struct sched_entry *head = head_before(s, find(s, id));

		if (!head)
			return xstrdup("next in line");
		str_addf(&out, "behind %s, which waits for %s", name_of(arg, head->id),
			 names[lacks(s, head)]);
		return str_take(&out);
	}
	str_addf(&out, "%s: needs %s, %s free", names[why.what],
		 sched_amount_text(why.what, why.needs, needs),
		 sched_amount_text(why.what, why.free > 0 ? why.free : 0, left));
	add_holders(s, why.what, &out, name_of, arg);
	return str_take(&out);
}

void sched_totals(const struct sched *s, struct amounts *ret_total, struct amounts *ret_held,
		  struct amounts *ret_host, struct amounts *ret_free)
{
	if (ret_total)
		*ret_total = s->total;
	if (ret_held)
		*ret_held = s->held;
	if (ret_host)
		*ret_host = s->host;
	for (int r = 0; ret_free && r < RES_COUNT; r++)
		ret_free->v[r] = free_of(s, (enum resource)r);
}

bool sched_held(const struct sched *s, const char *id, struct amounts *ret)
{
	const struct sched_entry *e = find(s, id);

	if (!e || !e->is_admitted)
		return false;
	*ret = e->held;
	return true;
}

void sched_each_waiting(struct sched *s, int64_t now_ns,
			void (*fn)(void *arg, const char *id, int64_t arrival_ns), void *arg)
{
	size_t n = 0;
	OWN(mem) struct sched_entry **q = sorted_queue(s, now_ns, &n);

	for (size_t i = 0; i < n; i++)
		fn(arg, q[i]->id, q[i]->arrival_ns);
}
