/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include <stdio.h>

#include "sched/alloc.h"
#include "sched/record.h"
#include "sched/sched_int.h"
#include "util/mem.h"

/* ---- jobs by id ---- */

/* FNV-1a. */
static uint32_t hash_of(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return h;
}

static struct named **find_link(const struct sched *s, const char *id)
{
	uint32_t h = hash_of(id);
	struct named **link = &s->buckets[h % s->n_buckets];

	while (*link && ((*link)->hash != h || strcmp((*link)->id, id) != 0))
		link = &(*link)->next;
	return link;
}

struct named *sched_find(const struct sched *s, const char *id)
{
	return *find_link(s, id);
}

static void grow(struct sched *s)
{
	size_t n = s->n_buckets * 2;
	struct named **more = xcalloc(n, sizeof(struct named *));

	for (size_t i = 0; i < s->n_buckets; i++) {
		while (s->buckets[i]) {
			struct named *j = s->buckets[i];

			s->buckets[i] = j->next;
			j->next = more[j->hash % n];
			more[j->hash % n] = j;
		}
	}
	free(s->buckets);
	s->buckets = more;
	s->n_buckets = n;
}

static void named_free(struct named *j)
{
	free(j->id);
	free(j);
}

static uint32_t number_of(struct numbers *t, int64_t what)
{
	uint32_t i = 0;

	while (i < t->n && t->v[i] != what)
		i++;
	if (i == t->n) {
		t->v = xrealloc(t->v, ++t->n, sizeof(int64_t));
		t->v[i] = what;
	}
	return i;
}

static uint32_t user_number(struct sched *s, int64_t uid)
{
	return number_of(&s->users, uid);
}

static uint32_t group_number(struct sched *s, const struct sched_job *j)
{
	return number_of(&s->groups, j->group ? j->group : j->uid);
}

/* ---- the watcher ---- */

static void tell(struct sched *s, const struct record *r, const char *id, int64_t at_ns)
{
	if (s->watch)
		s->watch(s->watch_arg, r, id, at_ns);
}

static void tell_words(struct sched *s, char letter, const struct named *n, int64_t word)
{
	struct record r;

	if (!s->watch)
		return;
	r = n ? record_of(letter, 2, (int64_t[]) { (int64_t)n->job.number, word })
	      : record_of(letter, 1, &word);
	tell(s, &r, n ? n->id : NULL, SCHED_NO_TIME);
}

static void tell_at(struct sched *s, char letter, const struct named *n, int64_t word,
		    int64_t at_ns)
{
	struct record r = record_of(letter, 2, (int64_t[]) { (int64_t)n->job.number, word });

	tell(s, &r, n->id, at_ns);
}

static void tell_job(struct sched *s, char letter, const struct named *n, int64_t at_ns,
		     int64_t ago_ns)
{
	struct record r;

	if (!s->watch)
		return;
	r = record_of_job(letter, &n->job, ago_ns);
	tell(s, &r, n->id, at_ns);
}

static void tell_amounts(struct sched *s, char letter, const struct amounts *a, int64_t at_ns)
{
	struct record r;

	if (!s->watch)
		return;
	r = record_of_amounts(letter, a);
	tell(s, &r, NULL, at_ns);
}

static void tell_policy(struct sched *s)
{
	struct record r = record_of_policy(alloc_policy(s->alloc));

	tell(s, &r, NULL, SCHED_NO_TIME);
}

static void tell_quota(struct sched *s, const struct quota *q)
{
	struct record r = record_of_quota(q->uid, q->jobs, &q->most);

	tell(s, &r, NULL, SCHED_NO_TIME);
}

static struct amounts others_hold(const struct sched *s)
{
	struct amounts other;

	for (int r = 0; r < RES_COUNT; r++)
		other.v[r] = s->host.v[r] + s->over.v[r];
	return other;
}

static void tell_others(struct sched *s, int64_t at_ns)
{
	struct amounts other = others_hold(s);

	if (!memcmp(&other, &s->told, sizeof(other)))
		return;
	s->told = other;
	tell_amounts(s, REC_OTHER, &other, at_ns);
}

void sched_watch(struct sched *s,
		 void (*fn)(void *arg, const struct record *r, const char *id, int64_t at_ns),
		 void *arg)
{
	s->watch = fn;
	s->watch_arg = arg;
	s->told = (struct amounts) { 0 };
}

static int by_seq(const void *x, const void *y)
{
	const struct named *const *a = x, *const *b = y;

	return (*a)->seq < (*b)->seq ? -1 : 1;
}

static void tell_named(struct sched *s, struct named *n, int64_t now_ns)
{
	n->job.place = alloc_place(s->alloc, n->handle);
	if (alloc_is_running(s->alloc, n->handle))
		tell_job(s, REC_HOLDS, n, now_ns, now_ns - n->start_ns);
	else
		tell_job(s, REC_ARRIVED, n, now_ns, now_ns - n->arrival_ns);
	if (n->memory != SCHED_RESIDENT)
		tell_words(s, REC_SPILLED, n,
			   n->memory == SCHED_SPILLED ? SPILL_DONE : SPILL_UNDER_WAY);
	if (n->is_held)
		tell_words(s, REC_HELD, n, 1);
}

/* Whose turn it is: jobs alone do not tell it. */
static void tell_circle(struct sched *s)
{
	for (uint32_t i = 0; i < s->groups.n; i++) {
		uint64_t stamp;

		if (!alloc_circle(s->alloc, i, &stamp))
			continue;
		tell(s,
		     &(struct record) {
			 .letter = REC_CIRCLE, .n = 2, .v = { s->groups.v[i], (int64_t)stamp } },
		     NULL, SCHED_NO_TIME);
	}
}

void sched_tell_all(struct sched *s, int64_t now_ns)
{
	OWN(mem) struct named **all = xcalloc(s->n + 1, sizeof(*all));
	size_t n = 0;

	tell_amounts(s, REC_TOTAL, &s->total, SCHED_NO_TIME);
	tell_policy(s);
	tell_words(s, REC_MAX_WAIT, NULL, s->max_wait_ns);
	tell_words(s, REC_AGING, NULL, s->aging_ns);
	if (s->turn_ns)
		tell_words(s, REC_ALLOCATION_TURN, NULL, s->turn_ns);
	for (size_t i = 0; i < s->n_quotas; i++)
		tell_quota(s, &s->quotas[i]);
	for (size_t i = 0; i < s->n_buckets; i++)
		for (struct named *j = s->buckets[i]; j; j = j->next)
			all[n++] = j;
	qsort(all, n, sizeof(*all), by_seq);
	for (size_t i = 0; i < n; i++)
		tell_named(s, all[i], now_ns);
	tell_circle(s);
	if (s->is_draining)
		tell_words(s, REC_DRAIN, NULL, 1);
	s->told = (struct amounts) { 0 };
	tell_others(s, now_ns);
}

/* ---- life ---- */

struct sched *sched_new(void)
{
	struct sched *s = xnew(struct sched);

	s->alloc = alloc_new(&(struct alloc_config) { 0 });
	s->n_buckets = 64;
	s->buckets = xcalloc(s->n_buckets, sizeof(struct named *));
	return s;
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_buckets; i++) {
		while (s->buckets[i]) {
			struct named *j = s->buckets[i];

			s->buckets[i] = j->next;
			named_free(j);
		}
	}
	free(s->buckets);
	free(s->users.v);
	free(s->groups.v);
	free(s->quotas);
	alloc_free(s->alloc);
	free(s);
}

struct err *sched_policy_set(struct sched *s, const char *policy)
{
	TRY(alloc_policy_set(s->alloc, policy));
	tell_policy(s);
	return NULL;
}

const char *sched_policy(const struct sched *s)
{
	return alloc_policy(s->alloc);
}

const char *sched_over(const struct sched *s)
{
	return alloc_over(s->alloc);
}

/* ---- events ---- */

/* Readers of a log know by themselves what is kept. */
static void set_other(struct sched *s)
{
	struct amounts other = others_hold(s);

	for (int r = 0; r < RES_COUNT; r++)
		other.v[r] += s->kept.v[r];
	alloc_other(s->alloc, other);
}

void sched_capacity(struct sched *s, struct amounts total)
{
	s->total = total;
	alloc_capacity(s->alloc, total);
	tell_amounts(s, REC_TOTAL, &total, SCHED_NO_TIME);
}

void sched_host(struct sched *s, struct amounts used)
{
	s->host = used;
	set_other(s);
}

static bool counts(const struct sched_job *j, int r)
{
	return r == RES_MANAGE || j->declared[r];
}

static const struct quota *quota_of(const struct sched *s, int64_t uid)
{
	for (size_t i = 0; i < s->n_quotas; i++)
		if (s->quotas[i].uid == uid)
			return &s->quotas[i];
	return NULL;
}

static struct err *check_quota(const struct sched *s, const struct sched_job *j)
{
	const struct quota *q = quota_of(s, j->uid);

	for (int r = 0; q && r < RES_COUNT; r++) {
		char needs[32], may[32];

		if (!counts(j, r) || !q->most.v[r] || j->demand.v[r] <= q->most.v[r])
			continue;
		return err_new(ERR_LIMIT, "quota: %s: needs %s, its user may hold %s",
			       sched_resource_name((enum resource)r),
			       sched_amount_text((enum resource)r, j->demand.v[r], needs),
			       sched_amount_text((enum resource)r, q->most.v[r], may));
	}
	return NULL;
}

struct err *sched_check(const struct sched *s, const struct sched_job *j)
{
	for (int r = 0; r < RES_COUNT; r++) {
		char needs[32], has[32];

		if (!counts(j, r) || j->demand.v[r] <= s->total.v[r])
			continue;
		return err_new(ERR_LIMIT, "%s: needs %s, this host has %s",
			       sched_resource_name((enum resource)r),
			       sched_amount_text((enum resource)r, j->demand.v[r], needs),
			       sched_amount_text((enum resource)r, s->total.v[r], has));
	}
	return check_quota(s, j);
}

static bool set_job(struct named *n, const struct sched_job *j)
{
	bool declares_nothing = true;

	n->job = *j;
	n->job.id = n->id;
	for (int r = 0; r < RES_COUNT; r++) {
		if (!counts(j, r))
			n->job.demand.v[r] = 0;
		else if (r != RES_MANAGE)
			declares_nothing = false;
	}
	return declares_nothing;
}

static struct named *named_add(struct sched *s, const struct sched_job *j, int64_t now_ns,
			       struct alloc_job *ret)
{
	struct named *n = xnew(struct named);
	bool declares_nothing;
	struct named **link;

	n->id = xstrdup(j->id);
	n->hash = hash_of(j->id);
	n->arrival_ns = n->start_ns = now_ns;
	n->seq = ++s->seq;
	declares_nothing = set_job(n, j);
	if (++s->n > s->n_buckets)
		grow(s);
	link = &s->buckets[n->hash % s->n_buckets];
	n->next = *link;
	*link = n;
	*ret = (struct alloc_job) {
		.tag = (uintptr_t)n,
		.demand = n->job.demand,
		.arrival_ns = now_ns,
		.planned_ns = j->expect_ns,
		.deadline_ns = j->deadline_ns,
		.max_wait_ns = j->max_wait_ns,
		.priority = (int32_t)j->priority,
		.user = user_number(s, j->uid),
		.aside = declares_nothing,
		.place = j->place,
	};
	ret->label = group_number(s, j);
	return n;
}

void sched_arrive(struct sched *s, const struct sched_job *j, int64_t now_ns)
{
	struct alloc_job job;
	struct named *n = named_add(s, j, now_ns, &job);

	n->handle = alloc_arrive(s->alloc, &job);
	tell_job(s, REC_ARRIVED, n, now_ns, 0);
}

void sched_adopt(struct sched *s, const struct sched_job *j, int64_t now_ns)
{
	struct alloc_job job;
	struct named *n = named_add(s, j, now_ns, &job);

	n->handle = alloc_adopt(s->alloc, &job, now_ns, 0);
	tell_job(s, REC_HOLDS, n, now_ns, 0);
}

static void set_over(struct sched *s, struct named *n, struct amounts over)
{
	for (int r = 0; r < RES_COUNT; r++)
		s->over.v[r] += over.v[r] - n->over.v[r];
	n->over = over;
	set_other(s);
}

void sched_leave(struct sched *s, const char *id)
{
	struct named **link = find_link(s, id), *n = *link;

	if (!n)
		return;
	for (int r = 0; r < RES_COUNT; r++)
		s->kept.v[r] -= n->kept.v[r];
	set_over(s, n, (struct amounts) { 0 });
	tell_words(s, alloc_is_running(s->alloc, n->handle) ? REC_ENDED : REC_WITHDRAWN, n, 0);
	alloc_leave(s->alloc, n->handle);
	*link = n->next;
	s->n--;
	named_free(n);
}

/* Disk and M: its supervisor lives on, and its memory lies on the disk. */
static struct amounts kept_part(const struct named *n)
{
	struct amounts kept = { 0 };

	kept.v[RES_DISK] = n->job.demand.v[RES_DISK];
	kept.v[RES_MANAGE] = n->job.demand.v[RES_MANAGE];
	return kept;
}

/* What it waits for is what it gave back; what it kept is held beside. */
static void set_kept(struct sched *s, struct named *n, bool is_spilled)
{
	struct amounts kept = is_spilled ? kept_part(n) : (struct amounts) { 0 };
	struct amounts wants = n->job.demand;

	for (int r = 0; r < RES_COUNT; r++) {
		wants.v[r] -= kept.v[r];
		s->kept.v[r] += kept.v[r] - n->kept.v[r];
	}
	n->kept = kept;
	alloc_resize(s->alloc, n->handle, &wants);
	set_other(s);
}

void sched_charge(struct sched *s, const char *id, struct amounts measured)
{
	struct named *n = sched_find(s, id);
	struct amounts over = { 0 };

	if (!n || !alloc_is_running(s->alloc, n->handle))
		return;
	for (int r = 0; r < RES_COUNT; r++)
		if (r == RES_MANAGE || !n->job.declared[r])
			over.v[r] = measured.v[r] - n->job.demand.v[r];
	set_over(s, n, over);
}

void sched_resize(struct sched *s, const char *id, const struct sched_job *j)
{
	struct named *n = sched_find(s, id);
	struct alloc_job job;
	bool declares_nothing;

	if (!n)
		return;
	declares_nothing = set_job(n, j);
	set_over(s, n, (struct amounts) { 0 });
	tell_job(s, REC_RESIZED, n, SCHED_NO_TIME, 0);
	if (alloc_is_running(s->alloc, n->handle)) {
		alloc_resize(s->alloc, n->handle, &n->job.demand);
		return;
	}
	job = (struct alloc_job) {
		.tag = (uintptr_t)n,
		.demand = n->job.demand,
		.arrival_ns = n->arrival_ns,
		.planned_ns = j->expect_ns,
		.deadline_ns = j->deadline_ns,
		.max_wait_ns = j->max_wait_ns,
		.priority = (int32_t)j->priority,
		.user = user_number(s, j->uid),
		.label = group_number(s, j),
		.aside = declares_nothing,
	};
	alloc_change(s->alloc, n->handle, &job);
	if (n->memory == SCHED_SPILLED)
		set_kept(s, n, true);
}

void sched_max_wait(struct sched *s, int64_t max_wait_ns)
{
	s->max_wait_ns = max_wait_ns;
	alloc_max_wait_set(s->alloc, max_wait_ns);
	tell_words(s, REC_MAX_WAIT, NULL, max_wait_ns);
}

void sched_aging(struct sched *s, int64_t aging_ns)
{
	s->aging_ns = aging_ns;
	alloc_aging_set(s->alloc, aging_ns);
	tell_words(s, REC_AGING, NULL, aging_ns);
}

void sched_turn(struct sched *s, int64_t turn_ns)
{
	if (s->turn_ns == turn_ns)
		return;
	s->turn_ns = turn_ns;
	alloc_turn_set(s->alloc, turn_ns);
	tell_words(s, REC_ALLOCATION_TURN, NULL, turn_ns);
}

void sched_spilled(struct sched *s, const char *id, bool has_failed, int64_t now_ns)
{
	struct named *n = sched_find(s, id);

	if (!n || n->memory != SCHED_SPILLING)
		return;
	n->memory = has_failed ? SCHED_RESIDENT : SCHED_SPILLED;
	if (has_failed) {
		alloc_keep(s->alloc, n->handle, now_ns);
		n->start_ns = now_ns;
	} else {
		set_over(s, n, (struct amounts) { 0 });
		alloc_requeue(s->alloc, n->handle, now_ns);
		n->arrival_ns = now_ns;
		n->seq = ++s->seq;
		set_kept(s, n, true);
	}
	tell_at(s, REC_SPILLED, n, has_failed ? SPILL_FAILED : SPILL_DONE, now_ns);
}

void sched_be_spilled(struct sched *s, const char *id, bool is_under_way)
{
	struct named *n = sched_find(s, id);
	bool is_running = n && alloc_is_running(s->alloc, n->handle);

	if (!n || n->memory != SCHED_RESIDENT || is_running != is_under_way)
		return;
	n->memory = is_under_way ? SCHED_SPILLING : SCHED_SPILLED;
	if (is_under_way)
		alloc_oust(s->alloc, n->handle);
	else
		set_kept(s, n, true);
}

enum sched_memory sched_memory(const struct sched *s, const char *id)
{
	const struct named *n = sched_find(s, id);

	return n ? n->memory : SCHED_RESIDENT;
}

void sched_replan(struct sched *s, const char *id, int64_t expect_ns)
{
	struct named *n = sched_find(s, id);

	if (!n)
		return;
	n->job.expect_ns = expect_ns;
	alloc_replan(s->alloc, n->handle, expect_ns);
	tell_words(s, REC_REPLANNED, n, expect_ns);
}

void sched_hold(struct sched *s, const char *id, bool on)
{
	struct named *n = sched_find(s, id);

	if (!n || alloc_is_running(s->alloc, n->handle) || n->is_held == on)
		return;
	n->is_held = on;
	alloc_hold(s->alloc, n->handle, on);
	tell_words(s, REC_HELD, n, on);
}

void sched_drain(struct sched *s, bool on)
{
	if (s->is_draining == on)
		return;
	s->is_draining = on;
	tell_words(s, REC_DRAIN, NULL, on);
}

void sched_circle(struct sched *s, int64_t group, uint64_t stamp)
{
	alloc_circle_set(s->alloc, number_of(&s->groups, group), stamp);
}

void sched_quota(struct sched *s, int64_t uid, struct amounts most, uint32_t jobs)
{
	size_t i = 0;

	while (i < s->n_quotas && s->quotas[i].uid != uid)
		i++;
	if (i == s->n_quotas)
		s->quotas = xrealloc(s->quotas, ++s->n_quotas, sizeof(struct quota));
	s->quotas[i] = (struct quota) { .uid = uid, .most = most, .jobs = jobs };
	alloc_quota(s->alloc, user_number(s, uid),
		    &(struct alloc_quota) { .most = most, .running = jobs });
	tell_quota(s, &s->quotas[i]);
}

/* A job that has a place in the queue, or can have one. */
static struct err *find_mobile(const struct sched *s, const char *id, const struct named **ret)
{
	*ret = sched_find(s, id);
	if (!*ret || alloc_is_running(s->alloc, (*ret)->handle))
		return err_new(ERR_STATE, "it does not wait in the queue");
	if (!alloc_can_move(s->alloc, (*ret)->handle))
		return err_new(ERR_STATE, "it declares no demand, so it waits behind nobody");
	return NULL;
}

struct err *sched_move(struct sched *s, const char *id, enum sched_where where, const char *other,
		       int64_t now_ns)
{
	static const enum alloc_where places[] = {
		[SCHED_FIRST] = ALLOC_FIRST,
		[SCHED_LAST] = ALLOC_LAST,
		[SCHED_BEFORE] = ALLOC_BEFORE,
		[SCHED_AFTER] = ALLOC_AFTER,
	};
	const struct named *n, *o = NULL;

	TRY(find_mobile(s, id, &n));
	if (other)
		TRY(find_mobile(s, other, &o));
	if (n == o)
		return err_new(ERR_INVALID, "it cannot stand before or after itself");
	alloc_move(s->alloc, n->handle, places[where], o ? o->handle : ALLOC_NONE, now_ns);
	if (s->watch)
		tell(s,
		     &(struct record) {
			 .letter = REC_MOVED,
			 .n = 3,
			 .v = { (int64_t)n->job.number, where, o ? (int64_t)o->job.number : 0 } },
		     n->id, now_ns);
	return NULL;
}

int64_t sched_place(const struct sched *s, const char *id)
{
	const struct named *n = sched_find(s, id);

	return n ? alloc_place(s->alloc, n->handle) : 0;
}

/* ---- decisions ---- */

static void start(struct sched *s, struct named *n, bool is_told, const struct sched_decisions *d,
		  void *arg)
{
	bool was_spilled = n->memory == SCHED_SPILLED;

	n->memory = SCHED_RESIDENT;
	if (was_spilled)
		set_kept(s, n, false);
	if (is_told)
		tell_words(s, was_spilled ? REC_UNSPILL : REC_ADMITTED, n, 0);
	(was_spilled ? d->unspill : d->admit)(arg, n->id);
}

int64_t sched_pass(struct sched *s, int64_t now_ns, const struct sched_decisions *d, void *arg)
{
	bool is_told = s->watch && alloc_waiting(s->alloc);
	struct alloc_result r;

	if (s->is_draining)
		return 0;
	if (is_told) {
		tell_others(s, now_ns);
		tell(s, &(struct record) { .letter = REC_PASS }, NULL, now_ns);
	}
	r = alloc_pass(s->alloc, now_ns);
	for (size_t i = 0; i < r.n_starts; i++) {
		struct named *n = sched_named(s, r.starts[i].handle);

		n->start_ns = now_ns;
		start(s, n, is_told, d, arg);
	}
	for (size_t i = 0; i < r.n_ousted; i++) {
		struct named *n = sched_named(s, r.ousted[i]);

		n->memory = SCHED_SPILLING;
		if (is_told)
			tell_words(s, REC_SPILL, n, 0);
		d->spill(arg, n->id);
	}
	return r.wake_ns;
}

/* ---- reading ---- */

void sched_totals(const struct sched *s, struct amounts *ret_total, struct amounts *ret_held,
		  struct amounts *ret_host, struct amounts *ret_free)
{
	struct amounts left = alloc_free_amounts(s->alloc, ALLOC_NONE);

	if (ret_total)
		*ret_total = s->total;
	if (ret_host)
		*ret_host = s->host;
	for (int r = 0; ret_held && r < RES_COUNT; r++)
		ret_held->v[r] = s->total.v[r] - left.v[r] - s->host.v[r];
	if (ret_free)
		*ret_free = left;
}

void sched_expected_starts(struct sched *s, int64_t now_ns,
			   void (*fn)(void *arg, const char *id, int64_t starts_ns), void *arg)
{
	size_t n = 0;
	OWN(mem) uint32_t *q = alloc_queue(s->alloc, now_ns, &n);
	OWN(mem) int64_t *starts = xcalloc(n + 1, sizeof(int64_t));

	if (n && !s->is_draining)
		alloc_forecast(s->alloc, now_ns, q, n, starts);
	for (size_t i = 0; i < n; i++)
		fn(arg, sched_named(s, q[i])->id, starts[i]);
}

void sched_each_waiting(struct sched *s, int64_t now_ns,
			void (*fn)(void *arg, const char *id, int64_t arrival_ns), void *arg)
{
	size_t n = 0;
	OWN(mem) uint32_t *q = alloc_queue(s->alloc, now_ns, &n);

	for (size_t i = 0; i < n; i++)
		fn(arg, sched_named(s, q[i])->id, sched_named(s, q[i])->arrival_ns);
}
