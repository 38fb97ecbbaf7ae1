/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user does with the queue: holding back, letting go, cancelling and moving those that
 * wait.  A hold and a place are of one start: they end when it is admitted or withdrawn.
 */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

/* ---- who waits ---- */

static struct err *check_waits(const struct instance *i)
{
	if (instance_is_waiting(i) && !i->has_allocation)
		return NULL;
	if (instance_is_waiting(i))
		return err_new(ERR_STATE,
			       "%s is about to be restarted; it does not wait in the queue",
			       i->spec->name);
	return err_new(ERR_STATE, "%s is %s; it does not wait in the queue", i->spec->name,
		       inst_state_name(i->state));
}

/* Answered once it is written. */
static void done_after_commit(struct instance *i, struct engine_done done)
{
	engine_queue_dirty(i->e);
	engine_dirty(i->e);
	engine_finish(i->e, done, NULL, NULL);
}

/* ---- hold ---- */

char *queue_hold_text(const struct instance *i)
{
	OWN(mem) char *by = engine_user_name(i->held_by);

	return xasprintf("held by %s; hostel queue release %s lets it start in its turn", by,
			 i->spec->name);
}

struct err *engine_queue_hold(struct engine *e, struct instance *i, int64_t uid,
			      struct engine_done done)
{
	TRY(check_waits(i));
	if (!i->is_held) {
		i->is_held = true;
		i->held_by = uid;
		queue_hold(i);
		instance_touch(i);
	}
	done_after_commit(i, done);
	return NULL;
}

struct err *engine_queue_release(struct engine *e, struct instance *i, struct engine_done done)
{
	TRY(check_waits(i));
	if (!i->is_held)
		return err_new(ERR_STATE, "%s is not held", i->spec->name);
	i->is_held = false;
	/* It could not have been admitted before (docs/numbers.md); its place is as it was. */
	i->account.arrival_ns = clock_wall_ns();
	queue_hold(i);
	instance_touch(i);
	done_after_commit(i, done);
	return NULL;
}

/* ---- cancel ---- */

struct err *engine_queue_cancel(struct engine *e, struct instance *i, int64_t uid,
				struct engine_done done)
{
	OWN(mem) char *by = engine_user_name(uid);
	OWN(mem) char *why = xasprintf("withdrawn: cancelled in the queue by %s", by);

	if (!instance_is_waiting(i))
		return check_waits(i);
	i->manual_stop = true;
	start_withdraw(i, why);
	engine_finish(e, done, NULL, NULL);
	return NULL;
}

/* ---- move ---- */

/* A move may give others places too. */
static void take_places(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		int64_t place = sched_place(e->sched, i->id);

		if (place == i->queue_place)
			continue;
		i->queue_place = place;
		instance_touch(i);
	}
}

static struct err *check_moves(const struct instance *i)
{
	struct sched_job job = queue_job(i);

	TRY(check_waits(i));
	for (enum resource r = 0; r < RES_MANAGE; r++)
		if (job.declared[r])
			return NULL;
	return err_new(ERR_STATE, "%s declares no demand, so it waits behind nobody",
		       i->spec->name);
}

struct err *engine_queue_move(struct engine *e, struct instance *i, enum engine_where where,
			      struct instance *other, struct engine_done done)
{
	static const enum sched_where places[] = {
		[QUEUE_FIRST] = SCHED_FIRST,
		[QUEUE_LAST] = SCHED_LAST,
		[QUEUE_BEFORE] = SCHED_BEFORE,
		[QUEUE_AFTER] = SCHED_AFTER,
	};

	TRY(check_moves(i));
	if (other)
		TRY(check_moves(other));
	if (i == other)
		return err_new(ERR_INVALID, "%s cannot stand before or after itself",
			       i->spec->name);
	TRY_MSG(
	    sched_move(e->sched, i->id, places[where], other ? other->id : NULL, clock_boot_ns()),
	    "%s", i->spec->name);
	take_places(e);
	done_after_commit(i, done);
	return NULL;
}
