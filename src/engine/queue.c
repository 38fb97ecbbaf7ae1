/* SPDX-License-Identifier: Apache-2.0 */
/* Between the engine and sched: demands go in, decisions come out and are carried out. */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/mem.h"

#define IMAGE_VM_MEMORY (INT64_C(512) << 20)
#define MACHINE_MEMORY  (INT64_C(2) << 30)
#define MACHINE_CPUS    2000
#define MARGIN_MILLI    60 /* of an M_i that was learned */

/* ---- demand ---- */

int64_t spec_demand_cpu_milli(const struct spec *s)
{
	if (s->vcpus && spec_is_vm(s) && !s->cpu_milli)
		return s->vcpus * INT64_C(1000);
	if (s->cpu_milli)
		return s->cpu_milli;
	if (s->cpu_quota_us > 0)
		return s->cpu_quota_us * 1000 / (s->cpu_period_us ? s->cpu_period_us : 100000);
	if (s->kind == SPEC_MACHINE)
		return MACHINE_CPUS;
	return s->kind == SPEC_IMAGE_VM ? 1000 : 0;
}

int64_t spec_demand_memory_bytes(const struct spec *s)
{
	if (!spec_is_vm(s) && s->memory_reservation_bytes)
		return s->memory_reservation_bytes;
	if (s->memory_bytes)
		return s->memory_bytes;
	if (s->kind == SPEC_MACHINE)
		return MACHINE_MEMORY;
	return s->kind == SPEC_IMAGE_VM ? IMAGE_VM_MEMORY : 0;
}

int64_t queue_manage_most(const struct instance *i)
{
	const struct host_facts f = { .memory_bytes = spec_demand_memory_bytes(i->spec),
				      .cpu_milli = spec_demand_cpu_milli(i->spec),
				      .has_kvm = i->e->has_kvm };

	return planner_of(i->e, i->spec)->host->manage_bytes(i->spec, &f);
}

/* As those that run are measured, and a little more. */
static int64_t manage_estimate(const struct instance *i)
{
	int64_t most = queue_manage_most(i), learned = i->e->manage_learned_milli;

	return spec_is_vm(i->spec) && learned ? most * (learned + MARGIN_MILLI) / 1000 : most;
}

/* A default that the user did not say is capped by what the host has. */
static int64_t capped(const struct instance *i, enum resource r, int64_t demand, bool is_said)
{
	struct amounts total;

	sched_totals(i->e->sched, &total, NULL, NULL, NULL);
	return !is_said && total.v[r] > 0 && demand > total.v[r] ? total.v[r] : demand;
}

/* Its value's number; below 2^60, as readers of the event log bound numbers, and never 0. */
static int64_t group_of(const struct instance *i)
{
	const char *label = sched_over(i->e->sched), *value;

	if (!label)
		return 0;
	value = strmap_get(&i->spec->labels, label);
	return (int64_t)(hash_text(HASH_START, value ? value : "") >> 4 | 1);
}

struct sched_job queue_job(const struct instance *i)
{
	const struct spec *s = i->spec;
	struct sched_job j = {
		.id = i->id,
		.number = (uint64_t)i->event_number,
		.priority = s->priority,
		.expect_ns = i->expect.ns,
		.deadline_ns = hints_deadline_boot(i),
		.max_wait_ns = s->max_wait_ns,
		.uid = s->uid,
		.group = group_of(i),
		.place = i->queue_place,
	};

	j.demand.v[RES_CPU] = capped(i, RES_CPU, spec_demand_cpu_milli(s),
				     s->vcpus || s->cpu_milli || s->cpu_quota_us > 0);
	j.demand.v[RES_MEMORY] = capped(i, RES_MEMORY, spec_demand_memory_bytes(s),
					s->memory_bytes || s->memory_reservation_bytes);
	j.demand.v[RES_DISK] = s->disk_bytes;
	j.demand.v[RES_GPUS] = s->gpus;
	j.demand.v[RES_MANAGE] = i->manage_bytes ? i->manage_bytes : manage_estimate(i);
	for (enum resource r = 0; r < RES_COUNT; r++)
		j.declared[r] = j.demand.v[r] > 0;
	return j;
}

void queue_regroup(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		struct sched_job j = queue_job(i);

		if (instance_is_waiting(i) && !i->has_allocation)
			sched_resize(e->sched, i->id, &j);
	}
}

/* ---- arrivals and departures ---- */

static void arrive(struct instance *i, int64_t at_ns)
{
	struct sched_job j;

	if (!i->manage_bytes)
		i->manage_bytes = manage_estimate(i);
	/* What a daemon before us put into the queue is still that start. */
	if (!i->e->is_recovering || !i->event_number)
		i->event_number = eventlog_number(i->e);
	estimates_guess(i);
	j = queue_job(i);
	sched_arrive(i->e->sched, &j, at_ns);
	queue_hold(i);
}

void queue_arrive(struct instance *i)
{
	i->queued_ns = clock_wall_ns();
	account_reset(i);
	i->account.arrival_ns = i->queued_ns;
	arrive(i, clock_boot_ns());
}

void queue_arrive_again(struct instance *i)
{
	int64_t now = clock_boot_ns();
	int64_t at = i->queued_ns + i->e->boot_offset_ns;

	if (!i->queued_ns) { /* written by an older hosteld */
		i->queued_ns = clock_wall_ns();
		at = now;
	}
	arrive(i, at < now ? at : now);
}

void queue_leave(struct instance *i)
{
	i->has_allocation = false;
	free(TAKE(i->reason));
	i->is_held = false;
	i->queue_place = 0;
	sched_leave(i->e->sched, i->id);
	i->event_number = 0;
	engine_queue_dirty(i->e);
}

void queue_hold(struct instance *i)
{
	sched_hold(i->e->sched, i->id, i->is_held || i->after.n);
	engine_queue_dirty(i->e);
}

void queue_adopt(struct instance *i)
{
	int64_t now = clock_boot_ns(), ran = 0;
	struct sched_job j;

	if (!i->manage_bytes)
		i->manage_bytes = manage_estimate(i);
	if (!i->event_number)
		i->event_number = eventlog_number(i->e);
	estimates_guess(i);
	j = queue_job(i);
	if (i->account.start_ns)
		ran = clock_wall_ns() - i->account.start_ns;
	sched_adopt(i->e->sched, &j, now > ran && ran > 0 ? now - ran : now);
	i->has_allocation = true;
}

/* ---- the pass ---- */

static void note_admitted(void *arg, const char *id)
{
	strv_add(arg, id);
}

static void admit(struct instance *i)
{
	i->has_allocation = true;
	i->queue_place = 0;
	free(TAKE(i->reason));
	i->account.admission_ns = clock_wall_ns();
	hold_notice_stop(i);
	if (instance_step(i, EV_ADMITTED) == ACT_SPAWN)
		start_admitted(i);
}

static const char *name_of(void *arg, const char *id)
{
	struct instance *i = instance_by_id(arg, id);

	return i ? i->spec->name : id;
}

static void tell_reason(struct instance *i)
{
	struct engine_ticket *t;

	TAILQ_FOREACH(t, &i->tickets, link)
	if (t->kind == TICKET_START && t->on_reason)
		t->on_reason(t->reason_arg, i->reason);
}

static char *reason_of(const struct instance *i)
{
	if (i->is_held)
		return queue_hold_text(i);
	if (i->after.n)
		return after_reason(i);
	if (i->e->drain.on)
		return drain_text(i->e);
	return sched_reason_text(i->e->sched, i->id, name_of, i->e);
}

static void update_reason(struct instance *i)
{
	char *text = reason_of(i);
	bool is_new = !streq(text, i->reason);

	free(i->reason);
	i->reason = text;
	if (is_new && text)
		tell_reason(i);
}

/* Never asked for while policy.c lets nobody say --turn: there is no backend for spill yet. */
static const struct sched_decisions decisions = { .admit = note_admitted };

void queue_pass(struct engine *e)
{
	OWN(strv) struct strv admitted = { 0 };
	struct instance *i;
	int64_t now = clock_boot_ns(), wake;

	e->queue_dirty = false;
	after_pass(e);
	wake = sched_pass(e->sched, now, &decisions, &admitted);
	for (size_t n = 0; n < admitted.n; n++) {
		i = instance_by_id(e, admitted.v[n]);
		if (i)
			admit(i);
	}
	TAILQ_FOREACH(i, &e->instances, link)
	if (instance_is_waiting(i) && !i->has_allocation)
		update_reason(i);
	hold_after_pass(e);
	if (wake)
		loop_timer_start(e->wake, wake - now);
}
