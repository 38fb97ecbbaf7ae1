/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc.h"

#include "sched/alloc_int.h"
#include "util/mem.h"

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

void running_add(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	e->state = ENTRY_RUNNING;
	e->key = end_of(e);
	a->n_running++;
	charge(a, e, 1);
	if (keeps_ends(a))
		tree_insert(&a->all, TREE_SUM, &a->ends, h);
}

static void running_remove(struct alloc *a, uint32_t h)
{
	struct alloc_entry *e = entry(a, h);

	if (keeps_ends(a))
		tree_erase(&a->all, TREE_SUM, &a->ends, h);
	a->n_running--;
	e->state = ENTRY_FREE;
	charge(a, e, -1);
}

/* ---- life ---- */

static void set_policy(struct alloc *a, const struct policy_parts *p)
{
	a->order = p->order;
	a->fill = p->fill;
	free(a->over);
	free(a->policy);
	a->over = *p->label ? xstrdup(p->label) : NULL;
	a->policy = xasprintf("%s%s%s/%s", p->order->name, a->over ? ":" : "",
			      a->over ? a->over : "", p->fill->name);
}

struct alloc *alloc_new(const struct alloc_config *c)
{
	struct alloc *a = xnew(struct alloc);
	OWN(err) struct err *err = NULL;
	struct policy_parts parts;

	a->conf = *c;
	a->n_res = c->resources ? c->resources : RES_COUNT;
	a->all.stride = sizeof(struct alloc_entry) + 2 * a->n_res * sizeof(int64_t);
	a->all.n_res = a->n_res;
	lengths_clear(a);
	a->free_list = a->placed = a->queue = a->urgent = a->aside = a->ends = ALLOC_NONE;
	a->head = ALLOC_NONE;
	err = policy_find(c->policy ? c->policy : "fcfs/strict", &parts);
	if (err)
		parts = (struct policy_parts) { alloc_orders[0], alloc_fills[0], "" };
	a->conf.policy = NULL;
	set_policy(a, &parts);
	return a;
}

void alloc_free(struct alloc *a)
{
	if (!a)
		return;
	nodes_free(a->nodes);
	free(a->all.pool);
	lengths_done(&a->lengths);
	free(a->users);
	free(a->labels);
	free(a->active);
	free(a->due);
	free(a->rank);
	free(a->starts);
	free(a->ousted);
	free(a->policy);
	free(a->over);
	free(a);
}

const char *alloc_over(const struct alloc *a)
{
	return a->over;
}

const char *alloc_policy(const struct alloc *a)
{
	return a->policy;
}

/* All entries into the trees that the policy needs. */
static void reindex(struct alloc *a)
{
	a->placed = a->queue = a->urgent = a->aside = a->ends = ALLOC_NONE;
	lengths_clear(a);
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
			tree_insert(&a->all, TREE_SUM, &a->ends, h);
	}
}

struct err *alloc_policy_set(struct alloc *a, const char *policy)
{
	struct policy_parts parts;

	TRY(policy_find(policy, &parts));
	set_policy(a, &parts);
	reindex(a);
	return NULL;
}

void alloc_turn_set(struct alloc *a, int64_t turn_ns)
{
	a->conf.turn_ns = turn_ns;
	reindex(a);
}

void alloc_aging_set(struct alloc *a, int64_t aging_ns)
{
	a->conf.aging_ns = aging_ns;
	reindex(a);
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
		.is_placed = j->place && !j->aside,
		.place = j->place,
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
			a->all.pool = xrealloc(a->all.pool, a->cap_entries, a->all.stride);
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

	e->is_placed = false;
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
	bool is_urgent = e->is_urgent, is_placed = e->is_placed;
	int64_t place = e->place;

	queue_remove(a, handle);
	entry_set(a, e, j);
	e->state = state;
	e->is_urgent = is_urgent && !j->aside;
	e->is_placed = is_placed && !j->aside;
	e->place = place;
	if (state != ENTRY_HELD)
		queue_add(a, handle);
}

void alloc_requeue(struct alloc *a, uint32_t handle, int64_t now_ns)
{
	struct alloc_entry *e = entry(a, handle);

	running_remove(a, handle);
	e->arrival_ns = now_ns;
	e->seq = ++a->seq;
	e->is_ousted = e->is_urgent = e->is_placed = false;
	e->node = ALLOC_NONE;
	a->n_waiting++;
	queue_add(a, handle);
	due_add(a, handle, a->conf.max_wait_ns, false);
}

void alloc_keep(struct alloc *a, uint32_t handle, int64_t now_ns)
{
	struct alloc_entry *e = entry(a, handle);

	if (e->state != ENTRY_RUNNING || !e->is_ousted)
		return;
	running_remove(a, handle);
	e->is_ousted = false;
	e->start_ns = now_ns;
	running_add(a, handle);
}

void alloc_oust(struct alloc *a, uint32_t handle)
{
	entry(a, handle)->is_ousted = true;
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

/* ---- reading ---- */

uint64_t alloc_tag(const struct alloc *a, uint32_t handle)
{
	return entry(a, handle)->tag;
}

bool alloc_is_running(const struct alloc *a, uint32_t handle)
{
	return entry(a, handle)->state == ENTRY_RUNNING;
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
