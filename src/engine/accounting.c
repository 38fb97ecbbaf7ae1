/* SPDX-License-Identifier: Apache-2.0 */
/* One record per start (docs/numbers.md): what it held, how long it waited and ran. */
#include <string.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "util/clock.h"
#include "util/mem.h"

/* 10 to 17 ms of the loop, on slow cores. */
#define PAGE_MOST 250

/* ---- one record ---- */

void account_reset(struct instance *i)
{
	i->account = (struct account) { .arrival_ns = clock_wall_ns() };
	memset(&i->used, 0, sizeof(i->used));
}

void account_sample(struct instance *i, const struct amounts *measured)
{
	for (enum resource r = 0; r < RES_COUNT; r++)
		i->used.sum.v[r] += measured->v[r];
	i->used.n++;
}

/* Of what was declared the demand, else what it used on average. */
static int64_t held(const struct instance *i, const struct sched_job *job, enum resource r)
{
	if (job->declared[r])
		return job->demand.v[r];
	return i->used.n ? i->used.sum.v[r] / i->used.n : 0;
}

/* Its account, with a pause that goes on counted up to now. */
static struct account account_now(const struct instance *i, int64_t now)
{
	struct account a = i->account;
	struct sched_job job = queue_job(i);

	if (i->paused_at_ns && !a.finish_ns && now > i->paused_at_ns)
		a.paused_ns += now - i->paused_at_ns;
	a.sliced_ns += slicing_waited_ns(i);
	if (a.admission_ns || a.start_ns) {
		a.cpu_milli = held(i, &job, RES_CPU);
		a.memory_bytes = held(i, &job, RES_MEMORY);
	}
	return a;
}

static void set_time(json_t *j, const char *name, int64_t ns)
{
	json_object_set_new(j, name, ns ? json_integer(ns) : json_null());
}

/* What follows from the times; of a record that has ended it was written with it. */
static void set_results(json_t *j, const struct account *a, int64_t now)
{
	json_object_set_new(j, "T_ns", json_integer(account_run_ns(a, now)));
	json_object_set_new(j, "waiting_ns", json_integer(account_wait_ns(a, now)));
	json_object_set_new(j, "turnaround_ns", json_integer(account_turnaround_ns(a, now)));
	json_object_set_new(j, "slowdown",
			    account_run_ns(a, now) ? json_real(account_slowdown(a, now))
						   : json_null());
	json_object_set_new(j, "bounded_slowdown", json_real(account_bounded_slowdown(a, now)));
}

static bool has_results(const json_t *j)
{
	static const char *const names[] = { "T_ns", "waiting_ns", "turnaround_ns", "slowdown",
					     "bounded_slowdown" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!json_object_get(j, names[i]))
			return false;
	return true;
}

static json_t *record_json(const struct instance *i, const struct account *a, int64_t now)
{
	json_t *j = json_object();

	jx_set_str(j, "id", i->id);
	jx_set_str(j, "name", i->spec->name);
	jx_set_str(j, "kind", instance_kind(i));
	jx_set_str(j, "image", i->spec->image);
	json_object_set_new(j, "uid", json_integer(i->spec->uid));
	set_time(j, "arrival_ns", a->arrival_ns);
	set_time(j, "admission_ns", a->admission_ns);
	set_time(j, "start_ns", a->start_ns);
	set_time(j, "finish_ns", a->finish_ns);
	json_object_set_new(j, "paused_ns", json_integer(a->paused_ns));
	json_object_set_new(j, "sliced_ns", json_integer(a->sliced_ns));
	json_object_set_new(j, "cpu_milli", json_integer(a->cpu_milli));
	json_object_set_new(j, "memory_bytes", json_integer(a->memory_bytes));
	set_results(j, a, now);
	return j;
}

json_t *account_json(const struct instance *i)
{
	int64_t now = clock_wall_ns();
	struct account a = account_now(i, now);

	return record_json(i, &a, now);
}

/* ---- a page of them ---- */

struct page {
	const struct engine_accounts *which;
	int64_t now;
	struct account *v;
	size_t n, max;
	json_t *out;
	size_t read; /* of the store's */
	int64_t last_seq;
	bool any_since; /* one of the store's had not ended before `since` */
};

/* Did it exist in the window? */
static bool is_wanted(const struct page *p, const struct account *a)
{
	const struct engine_accounts *w = p->which;

	return (!w->since_ns || !a->finish_ns || a->finish_ns >= w->since_ns) &&
	       (!w->until_ns || a->arrival_ns < w->until_ns);
}

static void add_record(struct page *p, json_t *j, const struct account *a)
{
	if (p->n == p->max) {
		p->max = p->max ? 2 * p->max : 64;
		p->v = xrealloc(p->v, p->max, sizeof(*p->v));
	}
	p->v[p->n++] = *a;
	json_array_append_new(p->out, j);
}

static struct err *read_record(void *arg, int64_t seq, const char *instance, const json_t *doc)
{
	struct page *p = arg;
	struct account a = { 0 };
	json_t *j;

	(void)instance;
	for (const struct account_field *f = account_record_fields; f->name; f++)
		*account_slot(&a, f) = jx_int(doc, f->name, 0);
	p->read++;
	p->last_seq = seq;
	p->any_since |= a.finish_ns >= p->which->since_ns;
	if (!is_wanted(p, &a))
		return NULL;
	j = json_incref((json_t *)(uintptr_t)doc); /* it is of this call only */
	if (!a.finish_ns || !has_results(j))       /* records of an older hostel lack some */
		set_results(j, &a, p->now);
	add_record(p, j, &a);
	return NULL;
}

static void add_alive(struct engine *e, struct page *p)
{
	struct instance *i;

	TAILQ_FOREACH_REVERSE(i, &e->instances, instance_list, link)
	if (instance_is_alive(i) || (instance_is_waiting(i) && !i->not_before_ns)) {
		struct account a = account_now(i, p->now);

		if (is_wanted(p, &a))
			add_record(p, record_json(i, &a, p->now), &a);
	}
}

static json_t *sums_json(const struct page *p)
{
	struct account_sums s = account_sum(p->v, p->n, p->now);
	json_t *j = json_object();

	for (const struct account_field *f = account_fields; f->name; f++) {
		const char *at = (const char *)&s + f->offset;

		json_object_set_new(j, f->name,
				    f->is_real ? json_real(*(const double *)(const void *)at)
					       : json_integer(*(const int64_t *)(const void *)at));
	}
	return j;
}

json_t *engine_accounting(struct engine *e, const struct engine_accounts *which)
{
	int64_t limit = which->limit > 0 && which->limit < PAGE_MOST ? which->limit : PAGE_MOST;
	struct page p = { .which = which, .now = clock_wall_ns(), .out = json_array() };
	json_t *j = json_object();
	struct amounts total;

	if (!which->before)
		add_alive(e, &p);
	err_free(store_each_account(e->store, which->before, limit, read_record, &p));
	sched_totals(e->sched, &total, NULL, NULL, NULL);
	json_object_set_new(j, "starts", p.out);
	json_object_set_new(j, "next",
			    p.read == (size_t)limit && p.any_since ? json_integer(p.last_seq)
								   : json_null());
	json_object_set_new(j, "now_ns", json_integer(p.now));
	set_time(j, "since_ns", which->since_ns);
	set_time(j, "until_ns", which->until_ns);
	json_object_set_new(j, "R_total", amounts_json(&total));
	json_object_set_new(j, "sums", sums_json(&p));
	free(p.v);
	return j;
}
