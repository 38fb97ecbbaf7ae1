/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc.h"

#include <stdio.h>

#include "sched/alloc_int.h"
#include "util/mem.h"

/* ---- policies by name ---- */

static const struct alloc_order *order_find(const char *name, size_t len)
{
	for (size_t i = 0; alloc_orders[i]; i++)
		if (strlen(alloc_orders[i]->name) == len &&
		    !memcmp(alloc_orders[i]->name, name, len))
			return alloc_orders[i];
	return NULL;
}

static const struct alloc_fill *fill_find(const char *name)
{
	for (size_t i = 0; alloc_fills[i]; i++)
		if (!strcmp(alloc_fills[i]->name, name))
			return alloc_fills[i];
	return NULL;
}

/* "sjf/easy", "sjf" = sjf/strict, "easy" = fcfs/easy. */
static struct err *policy_find(const char *text, const struct alloc_order **ret_order,
			       const struct alloc_fill **ret_fill)
{
	const char *slash = strchr(text, '/');
	const struct alloc_order *order =
	    order_find(text, slash ? (size_t)(slash - text) : strlen(text));
	const struct alloc_fill *fill = fill_find(slash ? slash + 1 : "strict");
	OWN(str) struct str known = { 0 };

	if (!slash && !order) {
		order = alloc_orders[0];
		fill = fill_find(text);
	}
	if (order && fill) {
		*ret_order = order;
		*ret_fill = fill;
		return NULL;
	}
	for (size_t i = 0; alloc_orders[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_orders[i]->name);
	str_adds(&known, "; after a slash: ");
	for (size_t i = 0; alloc_fills[i]; i++)
		str_addf(&known, "%s%s", i ? ", " : "", alloc_fills[i]->name);
	return err_new(ERR_INVALID, "\"%.64s\" is no policy; there are %s", text, known.buf);
}

struct err *alloc_policy_check(const char *policy)
{
	const struct alloc_order *order;
	const struct alloc_fill *fill;

	return policy_find(policy, &order, &fill);
}

const char *alloc_policy(const struct alloc *a)
{
	return a->policy;
}

/* ---- parties: users and labels ---- */

static struct party *party(struct party **table, uint32_t *n, uint32_t number)
{
	if (number >= *n) {
		uint32_t more = number + 1 > *n * 2 ? number + 1 : *n * 2;

		*table = xrealloc(*table, more, sizeof(struct party));
		for (; *n < more; ++*n)
			(*table)[*n] = (struct party) { .waiting = ALLOC_NONE,
							.parked = ALLOC_NONE,
							.active_at = ALLOC_NONE,
							.weight = 1 };
	}
	return &(*table)[number];
}

static struct party *user_of(struct alloc *a, uint32_t number)
{
	return party(&a->users, &a->n_users, number);
}

static uint32_t group_number(const struct alloc *a, const struct alloc_entry *e)
{
	return a->order->by_label ? e->label : e->user;
}

static struct party *group_of(struct alloc *a, const struct alloc_entry *e)
{
	if (a->order->by_label)
		return party(&a->labels, &a->n_labels, e->label);
	return user_of(a, e->user);
}

static struct party *group_at(const struct alloc *a, uint32_t number)
{
	return a->order->by_label ? &a->labels[number] : &a->users[number];
}

static void group_activate(struct alloc *a, struct party *g, uint32_t number)
{
	if (a->n_active == a->cap_active) {
		a->cap_active = a->cap_active * 2 + 16;
		a->active = xrealloc(a->active, a->cap_active, sizeof(uint32_t));
	}
	g->active_at = a->n_active;
	g->stamp = ++a->stamp;
	a->active[a->n_active++] = number;
}

static void group_rest(struct alloc *a, struct party *g)
{
	uint32_t last = a->active[--a->n_active];

	a->active[g->active_at] = last;
	group_at(a, last)->active_at = g->active_at;
	g->active_at = ALLOC_NONE;
}

/* ---- queues ---- */

static enum tree_kind queue_kind(const struct alloc *a)
{
	return a->fill->needs_search ? TREE_LEAST : TREE_PLAIN;
}

static void queue_add(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);
	struct party *g;

	e->state = ENTRY_WAITING;
	e->key = 0;
	if (e->is_aside) {
		tree_insert(a, TREE_PLAIN, &a->aside, h);
		return;
	}
	if (e->is_urgent) {
		tree_insert(a, TREE_PLAIN, &a->urgent, h);
		return;
	}
	if (a->order->kind != ORDER_GROUPED) {
		if (a->order->kind == ORDER_STATIC)
			e->key = a->order->key(a, e, 0);
		tree_insert(a, queue_kind(a), &a->queue, h);
		return;
	}
	g = group_of(a, e);
	if (!g->n_waiting++)
		group_activate(a, g, group_number(a, e));
	tree_insert(a, queue_kind(a), &g->waiting, h);
}

static void queue_remove(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);
	struct party *g;

	if (e->state == ENTRY_PARKED) {
		tree_erase(a, TREE_PLAIN, &user_of(a, e->user)->parked, h);
	} else if (e->state == ENTRY_HELD) {
		return;
	} else if (e->is_aside) {
		tree_erase(a, TREE_PLAIN, &a->aside, h);
	} else if (e->is_urgent) {
		tree_erase(a, TREE_PLAIN, &a->urgent, h);
	} else if (a->order->kind != ORDER_GROUPED) {
		tree_erase(a, queue_kind(a), &a->queue, h);
	} else {
		g = group_of(a, e);
		tree_erase(a, queue_kind(a), &g->waiting, h);
		if (!--g->n_waiting)
			group_rest(a, g);
	}
}

/* Over its quota: out of the way until the user's jobs give something back. */
static void park(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	queue_remove(a, h);
	e->state = ENTRY_PARKED;
	e->key = 0;
	tree_insert(a, TREE_PLAIN, &user_of(a, e->user)->parked, h);
}

static void unpark(struct alloc *a, struct party *u)
{
	while (u->parked != ALLOC_NONE) {
		uint32_t h = u->parked;
		uint32_t user = entry(a, h)->user;

		tree_erase(a, TREE_PLAIN, &u->parked, h);
		queue_add(a, h);
		u = user_of(a, user);
	}
}

/* The resource of which @e is over its user's quota; RES_COUNT: the number of jobs; -1: none. */
static int over_quota(const struct alloc *a, const struct alloc_entry *e)
{
	const struct party *u;

	if (e->user >= a->n_users)
		return -1;
	u = &a->users[e->user];
	if (!u->has_quota)
		return -1;
	for (unsigned r = 0; r < a->n_res; r++)
		if (u->quota.most.v[r] && e->v[r] && u->held[r] + e->v[r] > u->quota.most.v[r])
			return (int)r;
	return u->quota.running && u->n_running >= u->quota.running ? RES_COUNT : -1;
}

/* ---- max-wait ---- */

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

static void due_add(struct alloc *a, uint32_t h, int64_t max_wait_ns, bool is_own)
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
static void promote(struct alloc *a)
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
static int64_t next_due(struct alloc *a)
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

/* ---- what is held ---- */

static void charge(struct alloc *a, struct alloc_entry *e, int sign)
{
	struct party *u = user_of(a, e->user);

	for (unsigned r = 0; r < a->n_res; r++) {
		a->used.v[r] += sign * e->v[r];
		u->held[r] += sign * e->v[r];
	}
	u->n_running += (uint32_t)sign;
	if (a->nodes)
		nodes_take(a->nodes, e->node, e->v, sign);
	if (sign < 0 && u->parked != ALLOC_NONE)
		unpark(a, u);
}

static int64_t end_of(const struct alloc_entry *e)
{
	int64_t end;

	if (e->planned_ns == ENDLESS || __builtin_add_overflow(e->start_ns, e->planned_ns, &end))
		return ENDLESS;
	return end;
}

static bool keeps_ends(const struct alloc *a)
{
	return a->fill->needs_ends || a->conf.seq || a->conf.turn_ns;
}

static void running_add(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	e->state = ENTRY_RUNNING;
	e->key = end_of(e);
	a->n_running++;
	charge(a, e, 1);
	if (keeps_ends(a))
		tree_insert(a, TREE_SUM, &a->ends, h);
}

static void running_remove(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	if (keeps_ends(a))
		tree_erase(a, TREE_SUM, &a->ends, h);
	a->n_running--;
	e->state = ENTRY_FREE;
	charge(a, e, -1);
}

/* ---- life ---- */

struct alloc *alloc_new(const struct alloc_config *c)
{
	struct alloc *a = xnew(struct alloc);
	OWN(err) struct err *err = NULL;

	a->conf = *c;
	a->n_res = c->resources ? c->resources : RES_COUNT;
	a->stride = sizeof(struct alloc_entry) + 2 * a->n_res * sizeof(int64_t);
	a->free_list = a->queue = a->urgent = a->aside = a->ends = a->head = ALLOC_NONE;
	err = policy_find(c->policy ? c->policy : "fcfs/strict", &a->order, &a->fill);
	if (err) {
		a->order = alloc_orders[0];
		a->fill = alloc_fills[0];
	}
	a->conf.policy = NULL;
	a->policy = xasprintf("%s/%s", a->order->name, a->fill->name);
	return a;
}

void alloc_free(struct alloc *a)
{
	if (!a)
		return;
	nodes_free(a->nodes);
	free(a->pool);
	free(a->users);
	free(a->labels);
	free(a->active);
	free(a->due);
	free(a->rank);
	free(a->starts);
	free(a->ousted);
	free(a->policy);
	free(a);
}

/* All entries into the trees that the policy needs. */
static void reindex(struct alloc *a)
{
	a->queue = a->urgent = a->aside = a->ends = ALLOC_NONE;
	a->n_active = 0;
	for (uint32_t i = 0; i < a->n_users + a->n_labels; i++) {
		struct party *p = i < a->n_users ? &a->users[i] : &a->labels[i - a->n_users];

		p->waiting = ALLOC_NONE;
		p->active_at = ALLOC_NONE;
		p->n_waiting = 0;
	}
	for (uint32_t h = 0; h < a->n_entries; h++) {
		struct alloc_entry *e = entry(a, h);

		if (e->state == ENTRY_WAITING)
			queue_add(a, h);
		else if (e->state == ENTRY_RUNNING && keeps_ends(a))
			tree_insert(a, TREE_SUM, &a->ends, h);
	}
}

struct err *alloc_policy_set(struct alloc *a, const char *policy)
{
	const struct alloc_order *order;
	const struct alloc_fill *fill;

	TRY(policy_find(policy, &order, &fill));
	a->order = order;
	a->fill = fill;
	free(a->policy);
	a->policy = xasprintf("%s/%s", order->name, fill->name);
	reindex(a);
	return NULL;
}

/* ---- the machine ---- */

void alloc_capacity(struct alloc *a, struct amounts total)
{
	a->total = total;
}

void alloc_nodes(struct alloc *a, const struct amounts *caps, size_t n)
{
	nodes_free(a->nodes);
	a->nodes = nodes_new(caps, n, a->n_res, a->conf.place);
	a->total = (struct amounts) { 0 };
	for (size_t i = 0; i < n; i++)
		for (unsigned r = 0; r < a->n_res; r++)
			a->total.v[r] += caps[i].v[r];
}

void alloc_other(struct alloc *a, struct amounts used)
{
	a->other = used;
}

void alloc_weight(struct alloc *a, uint32_t user, double weight)
{
	user_of(a, user)->weight = weight;
}

void alloc_quota(struct alloc *a, uint32_t user, const struct alloc_quota *q)
{
	struct party *u = user_of(a, user);

	u->quota = *q;
	u->has_quota = q->running != 0;
	for (int r = 0; r < RES_COUNT; r++)
		u->has_quota |= q->most.v[r] != 0;
	unpark(a, u);
}

/* ---- events ---- */

bool alloc_fits_ever(const struct alloc *a, const struct amounts *demand, enum resource *ret_what)
{
	for (unsigned r = 0; r < a->n_res; r++) {
		if (demand->v[r] <= a->total.v[r])
			continue;
		if (ret_what)
			*ret_what = (enum resource)r;
		return false;
	}
	if (!a->nodes || nodes_ever(a->nodes, demand->v))
		return true;
	if (ret_what)
		*ret_what = RES_CPU;
	return false;
}

static void entry_set(const struct alloc *a, struct alloc_entry *e, const struct alloc_job *j)
{
	*e = (struct alloc_entry) {
		.tag = j->tag,
		.arrival_ns = j->arrival_ns,
		.planned_ns = j->planned_ns ? j->planned_ns : ENDLESS,
		.deadline_ns = j->deadline_ns,
		.seq = e->seq,
		.user = j->user,
		.label = j->label,
		.node = ALLOC_NONE,
		.priority = j->priority,
		.is_aside = j->aside,
	};
	memcpy(e->v, j->demand.v, a->n_res * sizeof(int64_t));
}

static uint32_t entry_new(struct alloc *a, const struct alloc_job *j)
{
	uint32_t h = a->free_list;

	if (h != ALLOC_NONE) {
		a->free_list = entry(a, h)->left;
	} else {
		if (a->n_entries == a->cap_entries) {
			a->cap_entries = a->cap_entries + a->cap_entries / 2 + 64;
			a->pool = xrealloc(a->pool, a->cap_entries, a->stride);
		}
		h = a->n_entries++;
	}
	entry(a, h)->seq = ++a->seq;
	entry_set(a, entry(a, h), j);
	return h;
}

uint32_t alloc_arrive(struct alloc *a, const struct alloc_job *j)
{
	uint32_t h = entry_new(a, j);

	a->n_waiting++;
	queue_add(a, h);
	due_add(a, h, j->max_wait_ns ? j->max_wait_ns : a->conf.max_wait_ns, j->max_wait_ns != 0);
	return h;
}

uint32_t alloc_adopt(struct alloc *a, const struct alloc_job *j, int64_t start_ns, uint32_t node)
{
	uint32_t h = entry_new(a, j);
	struct alloc_entry *e = entry(a, h);

	e->start_ns = start_ns;
	e->node = a->nodes ? node : 0;
	running_add(a, h);
	return h;
}

void alloc_leave(struct alloc *a, uint32_t handle)
{
	if (entry(a, handle)->state == ENTRY_RUNNING) {
		running_remove(a, handle);
	} else {
		queue_remove(a, handle);
		a->n_waiting--;
	}
	if (a->head == handle)
		a->head = ALLOC_NONE;
	entry(a, handle)->state = ENTRY_FREE;
	entry(a, handle)->left = a->free_list;
	a->free_list = handle;
}

/* Change @handle where it stands. */
static void change(struct alloc *a, uint32_t h, const int64_t *demand, int64_t planned_ns)
{
	struct alloc_entry *e = entry(a, h);
	uint8_t state = e->state;

	if (state == ENTRY_RUNNING)
		running_remove(a, h);
	else
		queue_remove(a, h);
	e->planned_ns = planned_ns;
	memmove(e->v, demand, a->n_res * sizeof(int64_t));
	if (state == ENTRY_RUNNING)
		running_add(a, h);
	else if (state != ENTRY_HELD)
		queue_add(a, h);
}

void alloc_replan(struct alloc *a, uint32_t handle, int64_t planned_ns)
{
	change(a, handle, entry(a, handle)->v, planned_ns ? planned_ns : ENDLESS);
}

void alloc_resize(struct alloc *a, uint32_t handle, const struct amounts *demand)
{
	change(a, handle, demand->v, entry(a, handle)->planned_ns);
}

void alloc_change(struct alloc *a, uint32_t handle, const struct alloc_job *j)
{
	struct alloc_entry *e = entry(a, handle);
	uint8_t state = e->state;
	bool is_urgent = e->is_urgent;

	queue_remove(a, handle);
	entry_set(a, e, j);
	e->state = state;
	e->is_urgent = is_urgent && !j->aside;
	if (state != ENTRY_HELD)
		queue_add(a, handle);
}

void alloc_requeue(struct alloc *a, uint32_t handle, int64_t now_ns)
{
	struct alloc_entry *e = entry(a, handle);

	running_remove(a, handle);
	e->arrival_ns = now_ns;
	e->seq = ++a->seq;
	e->is_ousted = false;
	e->node = ALLOC_NONE;
	a->n_waiting++;
	queue_add(a, handle);
	due_add(a, handle, a->conf.max_wait_ns, false);
}

void alloc_hold(struct alloc *a, uint32_t handle, bool on)
{
	struct alloc_entry *e = entry(a, handle);

	if (e->state == ENTRY_RUNNING || on == (e->state == ENTRY_HELD))
		return;
	if (!on) {
		queue_add(a, handle);
		return;
	}
	queue_remove(a, handle);
	e->state = ENTRY_HELD;
}

/* ---- the order of the queue ---- */

static bool rank_before(const struct alloc *a, const struct ranked *x, const struct ranked *y)
{
	const struct alloc_entry *ex, *ey;

	if (x->key != y->key)
		return x->key < y->key;
	ex = entry(a, x->handle);
	ey = entry(a, y->handle);
	return ex->arrival_ns != ey->arrival_ns ? ex->arrival_ns < ey->arrival_ns
						: ex->seq < ey->seq;
}

static void rank_sift(struct alloc *a, size_t i)
{
	struct ranked d = a->rank[i];

	for (size_t c; (c = 2 * i + 1) < a->n_rank; i = c) {
		if (c + 1 < a->n_rank && rank_before(a, &a->rank[c + 1], &a->rank[c]))
			c++;
		if (!rank_before(a, &a->rank[c], &d))
			break;
		a->rank[i] = a->rank[c];
	}
	a->rank[i] = d;
}

static void rank_heapify(struct alloc *a)
{
	for (size_t i = a->n_rank / 2; i-- > 0;)
		rank_sift(a, i);
}

static uint32_t rank_pop(struct alloc *a)
{
	uint32_t h = a->rank[0].handle;

	a->rank[0] = a->rank[--a->n_rank];
	if (a->n_rank)
		rank_sift(a, 0);
	return h;
}

struct rank_with {
	struct alloc *a;
	const struct alloc_order *by;
	uint32_t except;
};

static void rank_add(void *arg, uint32_t h)
{
	struct rank_with *w = arg;
	struct alloc *a = w->a;

	if (h == w->except)
		return;
	if (a->n_rank == a->cap_rank) {
		a->cap_rank = a->cap_rank * 2 + 64;
		a->rank = xrealloc(a->rank, a->cap_rank, sizeof(struct ranked));
	}
	a->rank[a->n_rank++] =
	    (struct ranked) { .key = w->by ? w->by->key(a, entry(a, h), a->now_ns) : 0,
			      .handle = h };
}

static void each_queued(struct alloc *a, const struct want *w, struct rank_with *arg)
{
	if (a->order->kind != ORDER_GROUPED) {
		tree_each_fit(a, a->queue, w, rank_add, arg);
		return;
	}
	for (uint32_t i = 0; i < a->n_active; i++)
		tree_each_fit(a, group_at(a, a->active[i])->waiting, w, rank_add, arg);
}

/* The timed order, of this pass. */
static void rank_timed(struct alloc *a)
{
	struct rank_with arg = { .a = a, .by = a->order, .except = ALLOC_NONE };

	a->n_rank = 0;
	tree_each_fit(a, a->queue, NULL, rank_add, &arg);
	rank_heapify(a);
	a->is_ranked = true;
}

/* Candidates in an order of their own. */
static void rank_candidates(struct alloc *a, const struct want *w, uint32_t except,
			    const struct alloc_order *by)
{
	struct rank_with arg = { .a = a, .by = by, .except = except };

	a->n_rank = 0;
	each_queued(a, w, &arg);
	rank_heapify(a);
}

/* Of all groups, the first by key of those with something in @w (NULL: anything). */
static uint32_t grouped_first(struct alloc *a, const struct want *w)
{
	uint32_t best = ALLOC_NONE;
	int64_t best_key = 0;

	for (uint32_t i = 0; i < a->n_active; i++) {
		const struct party *g = group_at(a, a->active[i]);
		uint32_t h = w ? tree_next_fit(a, g->waiting, w, NULL) : tree_first(a, g->waiting);
		int64_t key;

		if (h == ALLOC_NONE)
			continue;
		key = a->order->group_key(a, g);
		if (best == ALLOC_NONE || key < best_key ||
		    (key == best_key && entry_before(entry(a, h), entry(a, best)))) {
			best = h;
			best_key = key;
		}
	}
	return best;
}

static uint32_t queue_head(struct alloc *a)
{
	uint32_t h = tree_first(a, a->urgent);

	if (h != ALLOC_NONE)
		return h;
	switch (a->order->kind) {
	case ORDER_STATIC:
		return tree_first(a, a->queue);
	case ORDER_TIMED:
		if (!a->is_ranked)
			rank_timed(a);
		return a->n_rank ? a->rank[0].handle : ALLOC_NONE;
	case ORDER_GROUPED:
		break;
	}
	return grouped_first(a, NULL);
}

static int order_of(const void *x, const void *y, void *arg)
{
	return rank_before(arg, x, y) ? -1 : rank_before(arg, y, x) ? 1 : 0;
}

static int by_group(const void *x, const void *y, void *arg)
{
	struct alloc *a = arg;
	const struct party *g = group_at(a, *(const uint32_t *)x),
			   *h = group_at(a, *(const uint32_t *)y);
	int64_t kg = a->order->group_key(a, g), kh = a->order->group_key(a, h);

	if (kg != kh)
		return kg < kh ? -1 : 1;
	return entry_before(entry(a, tree_first(a, g->waiting)),
			    entry(a, tree_first(a, h->waiting)))
		   ? -1
		   : 1;
}

struct listing {
	uint32_t *v;
	size_t n;
};

static void list_add(void *arg, uint32_t h)
{
	struct listing *l = arg;

	l->v[l->n++] = h;
}

static void list_timed(struct alloc *a, struct listing *l)
{
	struct rank_with arg = { .a = a, .by = a->order, .except = ALLOC_NONE };

	a->n_rank = 0;
	tree_each_fit(a, a->queue, NULL, rank_add, &arg);
	qsort_r(a->rank, a->n_rank, sizeof(*a->rank), order_of, a);
	for (size_t i = 0; i < a->n_rank; i++)
		list_add(l, a->rank[i].handle);
	a->n_rank = 0;
	a->is_ranked = false;
}

static void list_groups(struct alloc *a, struct listing *l)
{
	OWN(mem) uint32_t *groups = xcalloc(a->n_active + 1, sizeof(uint32_t));

	memcpy(groups, a->active, a->n_active * sizeof(uint32_t));
	qsort_r(groups, a->n_active, sizeof(uint32_t), by_group, a);
	for (uint32_t i = 0; i < a->n_active; i++)
		tree_each_fit(a, group_at(a, groups[i])->waiting, NULL, list_add, l);
}

static void list_queue(struct alloc *a, struct listing *l)
{
	tree_each_fit(a, a->urgent, NULL, list_add, l);
	if (a->order->kind == ORDER_STATIC)
		tree_each_fit(a, a->queue, NULL, list_add, l);
	else if (a->order->kind == ORDER_TIMED)
		list_timed(a, l);
	else
		list_groups(a, l);
}

uint32_t *pass_queue(struct alloc *a, size_t *ret_n)
{
	struct listing l = { .v = xcalloc(a->n_waiting + 1, sizeof(uint32_t)) };

	list_queue(a, &l);
	*ret_n = l.n;
	return l.v;
}

uint32_t *alloc_queue(struct alloc *a, int64_t now_ns, size_t *ret_n)
{
	struct listing l = { .v = xcalloc(a->n_waiting + 1, sizeof(uint32_t)) };

	a->now_ns = now_ns;
	list_queue(a, &l);
	tree_each_fit(a, a->aside, NULL, list_add, &l);
	for (uint32_t h = 0; h < a->n_entries; h++)
		if (entry(a, h)->state == ENTRY_PARKED || entry(a, h)->state == ENTRY_HELD)
			list_add(&l, h);
	*ret_n = l.n;
	return l.v;
}

/* ---- a pass ---- */

static int64_t room(const struct alloc *a, unsigned r)
{
	return a->total.v[r] - a->used.v[r] - a->other.v[r] + a->soon[r];
}

void pass_free(const struct alloc *a, int64_t *ret)
{
	if (a->nodes) {
		nodes_most(a->nodes, ret);
		return;
	}
	for (unsigned r = 0; r < a->n_res; r++)
		ret[r] = room(a, r) > 0 ? room(a, r) : 0;
}

void pass_left(const struct alloc *a, uint32_t node, int64_t *ret)
{
	for (unsigned r = 0; r < a->n_res; r++)
		ret[r] = a->nodes ? nodes_left(a->nodes, node)[r] : room(a, r) - a->soon[r];
}

bool pass_park(struct alloc *a, uint32_t h)
{
	if (over_quota(a, entry(a, h)) < 0)
		return false;
	park(a, h);
	return true;
}

/* The first resource that the pool lacks for @e, or RES_COUNT. */
static enum resource lacks(const struct alloc *a, const struct alloc_entry *e)
{
	for (unsigned r = 0; r < a->n_res; r++)
		if (e->v[r] > 0 && e->v[r] > room(a, r))
			return (enum resource)r;
	return RES_COUNT;
}

uint32_t pass_place(const struct alloc *a, uint32_t h, const struct want *w, uint32_t bound_node)
{
	const struct alloc_entry *e = entry(a, h);
	bool is_free = !w || e->planned_ns <= w->horizon_ns;

	if (!a->nodes)
		return lacks(a, e) == RES_COUNT ? 0 : ALLOC_NONE;
	for (unsigned r = 0; !is_free && r <= a->n_res; r++) {
		if (r == a->n_res)
			is_free = true;
		else if (e->v[r] > w->extra[r])
			break;
	}
	return nodes_place(a->nodes, e->v, is_free ? ALLOC_NONE : bound_node);
}

void pass_start(struct alloc *a, uint32_t h, uint32_t node)
{
	struct alloc_entry *e = entry(a, h);

	if (a->order->kind == ORDER_GROUPED && !e->is_aside)
		group_of(a, e)->stamp = ++a->stamp;
	queue_remove(a, h);
	a->n_waiting--;
	e->node = node;
	e->start_ns = a->now_ns;
	running_add(a, h);
	if (a->n_starts == a->cap_starts) {
		a->cap_starts = a->cap_starts * 2 + 16;
		a->starts = xrealloc(a->starts, a->cap_starts, sizeof(struct alloc_start));
	}
	a->starts[a->n_starts++] =
	    (struct alloc_start) { .handle = h, .node = e->node, .tag = e->tag };
}

static uint32_t next_candidate(struct alloc *a, const struct want *w, bool by_rank,
			       struct place_in *after, bool *has_after)
{
	uint32_t h;

	if (by_rank) {
		while (a->n_rank) {
			h = rank_pop(a);
			if (want_matches(a, entry(a, h), w))
				return h;
		}
		return ALLOC_NONE;
	}
	if (a->order->kind == ORDER_GROUPED)
		return grouped_first(a, w);
	h = tree_next_fit(a, a->queue, w, *has_after ? after : NULL);
	if (h != ALLOC_NONE) {
		const struct alloc_entry *e = entry(a, h);

		*after = (struct place_in) { e->key, e->arrival_ns, e->seq };
		*has_after = true;
	}
	return h;
}

/* What @e takes of the room, and of what the head leaves over. */
static void want_take(const struct alloc *a, struct want *w, const struct alloc_entry *e,
		      bool takes_extra)
{
	pass_free(a, w->free);
	for (unsigned r = 0; takes_extra && r < a->n_res; r++)
		w->extra[r] -= e->v[r];
}

void pass_fill(struct alloc *a, uint32_t head, struct want *w, uint32_t bound_node,
	       const struct alloc_order *by)
{
	bool by_rank = by || a->order->kind == ORDER_TIMED, has_after = false;
	struct want loose = *w;
	struct place_in after;

	/* With nodes the bound holds on one of them only: pass_place() sees to it. */
	loose.is_bounded = w->is_bounded && !a->nodes;
	if (by_rank)
		rank_candidates(a, &loose, head, by ? by : a->order);
	entry(a, head)->skipped = a->pass;
	for (;;) {
		uint32_t h = next_candidate(a, &loose, by_rank, &after, &has_after), node;
		const struct alloc_entry *e;

		if (h == ALLOC_NONE)
			return;
		e = entry(a, h);
		if (pass_park(a, h))
			continue;
		node = pass_place(a, h, w->is_bounded ? w : NULL, bound_node);
		if (node == ALLOC_NONE) {
			entry(a, h)->skipped = a->pass;
			continue;
		}
		pass_start(a, h, node);
		want_take(a, w, e,
			  w->is_bounded && e->planned_ns > w->horizon_ns &&
			      (!a->nodes || node == bound_node));
		memcpy(loose.free, w->free, sizeof(loose.free));
		memcpy(loose.extra, w->extra, sizeof(loose.extra));
	}
}

/* Strictly in order, as long as it fits.  Return: the head that does not, or ALLOC_NONE. */
static uint32_t start_heads(struct alloc *a)
{
	for (;;) {
		uint32_t h = queue_head(a), node;

		if (h == ALLOC_NONE)
			return h;
		node = over_quota(a, entry(a, h)) < 0 ? pass_place(a, h, NULL, ALLOC_NONE)
						      : ALLOC_NONE;
		if (node == ALLOC_NONE && over_quota(a, entry(a, h)) < 0)
			return h;
		if (a->is_ranked && !entry(a, h)->is_urgent)
			rank_pop(a);
		if (node == ALLOC_NONE)
			park(a, h);
		else
			pass_start(a, h, node);
	}
}

/* Those that declare nothing: for them M only. */
static void aside_add(void *arg, uint32_t h)
{
	struct alloc *a = arg;
	struct rank_with w = { .a = a, .except = ALLOC_NONE };

	rank_add(&w, h);
}

static void start_aside(struct alloc *a)
{
	a->n_rank = 0;
	a->is_ranked = false;
	tree_each_fit(a, a->aside, NULL, aside_add, a);
	for (size_t i = 0; i < a->n_rank; i++) {
		uint32_t h = a->rank[i].handle, node = pass_place(a, h, NULL, ALLOC_NONE);

		if (over_quota(a, entry(a, h)) >= 0)
			park(a, h);
		else if (node != ALLOC_NONE)
			pass_start(a, h, node);
	}
	a->n_rank = 0;
}

/* Those that had their turn while others wait; and when the next one will have had it. */
struct turns {
	struct alloc *a;
	int64_t next_ns;
};

static void one_turn(void *arg, uint32_t h)
{
	struct turns *t = arg;
	struct alloc *a = t->a;
	struct alloc_entry *e = entry(a, h);
	int64_t over = e->start_ns + a->conf.turn_ns;

	if (e->is_ousted)
		return;
	if (over > a->now_ns) {
		t->next_ns = !t->next_ns || over < t->next_ns ? over : t->next_ns;
		return;
	}
	e->is_ousted = true;
	if (a->n_ousted == a->cap_ousted) {
		a->cap_ousted = a->cap_ousted * 2 + 16;
		a->ousted = xrealloc(a->ousted, a->cap_ousted, sizeof(uint32_t));
	}
	a->ousted[a->n_ousted++] = h;
}

static int64_t oust(struct alloc *a)
{
	struct turns t = { .a = a };

	if (a->conf.turn_ns && a->order->has_turns && a->head != ALLOC_NONE)
		tree_each_fit(a, a->ends, NULL, one_turn, &t);
	return t.next_ns;
}

static void ready(struct alloc *a, int64_t now_ns)
{
	a->now_ns = now_ns;
	a->pass++;
	a->n_starts = a->n_ousted = 0;
	a->is_ranked = false;
	a->head_starts_ns = 0;
	memset(a->soon, 0, sizeof(a->soon));
	if (a->conf.seq)
		tree_sum_until(a, a->ends, now_ns, a->soon);
}

static int64_t sooner(int64_t x, int64_t y)
{
	return !x || (y && y < x) ? y : x;
}

struct alloc_result alloc_pass(struct alloc *a, int64_t now_ns)
{
	int64_t turn;

	ready(a, now_ns);
	promote(a);
	a->head = start_heads(a);
	if (a->head != ALLOC_NONE && !entry(a, a->head)->is_urgent && a->fill->rest)
		a->fill->rest(a, a->head);
	if (a->aside != ALLOC_NONE)
		start_aside(a);
	turn = oust(a);
	return (struct alloc_result) {
		.starts = a->starts,
		.n_starts = a->n_starts,
		.ousted = a->ousted,
		.n_ousted = a->n_ousted,
		.wake_ns = sooner(next_due(a), turn),
	};
}

/* ---- reading ---- */

static bool reason_resource(const struct alloc *a, const struct alloc_entry *e,
			    struct alloc_reason *ret)
{
	enum resource r = lacks(a, e);

	if (a->nodes && r == RES_COUNT && nodes_place(a->nodes, e->v, ALLOC_NONE) == ALLOC_NONE)
		r = RES_CPU;
	if (r == RES_COUNT)
		return false;
	ret->why = WHY_RESOURCE;
	ret->what = r;
	ret->needs = e->v[r];
	ret->free = room(a, r);
	return true;
}

static void reason_quota(const struct alloc *a, const struct alloc_entry *e, int r,
			 struct alloc_reason *ret)
{
	const struct party *u = &a->users[e->user];

	ret->why = WHY_QUOTA;
	ret->what = (enum resource)r;
	ret->needs = r < RES_COUNT ? e->v[r] : 1;
	ret->free = r < RES_COUNT ? u->quota.most.v[r] - u->held[r]
				  : (int64_t)u->quota.running - u->n_running;
}

static void reason_head(const struct alloc *a, uint32_t h, struct alloc_reason *ret)
{
	struct alloc_reason of_head = { 0 };
	const struct alloc_entry *head;

	if (a->head == ALLOC_NONE || a->head == h || entry(a, h)->is_aside)
		return;
	head = entry(a, a->head);
	if (!reason_resource(a, head, &of_head))
		return;
	*ret = of_head;
	ret->why = head->is_urgent ? WHY_MAX_WAIT : WHY_BEHIND;
	ret->head = a->head;
}

bool alloc_reason(const struct alloc *a, uint32_t handle, struct alloc_reason *ret)
{
	const struct alloc_entry *e = entry(a, handle);
	int quota = over_quota(a, e);

	if (e->state == ENTRY_RUNNING || e->state == ENTRY_FREE)
		return false;
	*ret = (struct alloc_reason) { .why = WHY_NEXT, .head = ALLOC_NONE };
	if (e->state == ENTRY_HELD)
		ret->why = WHY_HELD;
	else if (quota >= 0)
		reason_quota(a, e, quota, ret);
	else if (!reason_resource(a, e, ret))
		reason_head(a, handle, ret);
	if (handle == a->head)
		ret->starts_ns = a->head_starts_ns;
	return true;
}

uint64_t alloc_tag(const struct alloc *a, uint32_t handle)
{
	return entry(a, handle)->tag;
}

bool alloc_is_running(const struct alloc *a, uint32_t handle)
{
	return entry(a, handle)->state == ENTRY_RUNNING;
}

int64_t alloc_planned_end(const struct alloc *a, uint32_t handle)
{
	return end_of(entry(a, handle));
}

struct amounts alloc_free_amounts(const struct alloc *a, uint32_t node)
{
	struct amounts left = { 0 };

	for (unsigned r = 0; r < a->n_res; r++)
		left.v[r] = a->nodes && node != ALLOC_NONE
				? nodes_left(a->nodes, node)[r]
				: a->total.v[r] - a->used.v[r] - a->other.v[r];
	return left;
}

size_t alloc_waiting(const struct alloc *a)
{
	return a->n_waiting;
}
