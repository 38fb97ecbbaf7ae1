/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a start, and for how long (DESIGN "Who waits where"). */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define NOTICE_FIRST_NS (300 * INT64_C(1000000))
#define NOTICE_EACH_NS  (200 * INT64_C(1000000))
#define HOLD_DEFAULT_NS (10 * INT64_C(1000000000))

static enum engine_hold settle_hold(struct instance *i, enum engine_hold hold)
{
	if (hold != HOLD_AUTO)
		return hold;
	if (i->spec->queue_wait || i->e->c.queue_wait_default)
		return HOLD_QUEUE;
	return streams_parked(i) ? HOLD_CLIENT : HOLD_LIMITED;
}

/* ---- time-outs ---- */

static void on_hold_timeout(void *arg)
{
	struct engine_ticket *t = arg;
	struct instance *i = t->i;
	OWN(mem) char *why = NULL;

	if (!i || !instance_is_waiting(i))
		return;
	why = xasprintf("not started: %s%s, or label hostel.queue=wait",
			i->reason ? i->reason : "it waits in the queue",
			i->is_held || i->e->drain.on ? "" : "; free some, lower -m");
	if (i->durable)
		ticket_finish(t, err_new(ERR_INTERNAL, "%s", why), NULL);
	else
		start_withdraw(i, why);
}

static void arm_timeout(struct engine_ticket *t)
{
	const struct spec *s = t->i->spec;
	int64_t ns = t->e->c.hold_timeout_ns ? t->e->c.hold_timeout_ns : HOLD_DEFAULT_NS;

	if (s->no_wait)
		ns = 0;
	else if (s->wait_timeout_ns)
		ns = s->wait_timeout_ns;
	else if (t->hold != HOLD_LIMITED)
		return;
	t->timer = loop_timer_new(t->e->loop, on_hold_timeout, t);
	loop_timer_start(t->timer, ns);
}

/* ---- a parked client is told, and watched for Ctrl-C ---- */

/* A client of /hostel/v1/ is told on the connection that it waits on, not among the output. */
static bool is_told_otherwise(const struct instance *i)
{
	const struct engine_ticket *t;

	TAILQ_FOREACH(t, &i->tickets, link)
	if (t->kind == TICKET_START && t->on_reason)
		return true;
	return false;
}

static void on_notice(void *arg)
{
	struct instance *i = arg;

	if (!instance_is_waiting(i) || !i->reason)
		return;
	streams_parked(i);
	if (streams_withdrawn(i)) {
		start_withdraw(i, "withdrawn by its client");
		return;
	}
	if (!is_told_otherwise(i))
		streams_tell(i, i->reason);
	loop_timer_start(i->notice_timer, NOTICE_EACH_NS);
}

static void notice_start(struct instance *i)
{
	if (i->notice_timer || TAILQ_EMPTY(&i->parked))
		return;
	i->notice_timer = loop_timer_new(i->e->loop, on_notice, i);
	loop_timer_start(i->notice_timer, NOTICE_FIRST_NS);
}

void hold_notice_stop(struct instance *i)
{
	loop_timer_free(TAKE(i->notice_timer));
}

static void hold_one(struct instance *i, struct engine_ticket *t)
{
	if (t->hold == HOLD_QUEUE) {
		json_t *result = json_object();

		json_object_set_new(result, "queued", json_true());
		jx_set_str(result, "reason", i->reason);
		crash_after_commit(i->e, CRASH_QUEUED);
		ticket_finish(t, NULL, result);
		return;
	}
	t->is_seen_waiting = true;
	crash_after_commit(i->e, CRASH_QUEUED);
	arm_timeout(t);
}

/* A pass left these in the queue: the ones that may wait, wait from now on. */
void hold_after_pass(struct engine *e)
{
	struct engine_ticket *t, *next;
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		if (!instance_is_waiting(i) || i->has_allocation)
			continue;
		notice_start(i);
		for (t = TAILQ_FIRST(&i->tickets); t; t = next) {
			next = TAILQ_NEXT(t, link);
			if (t->kind == TICKET_START && !t->is_seen_waiting)
				hold_one(i, t);
		}
	}
}

/* ---- start and withdrawal ---- */

static void refuse(struct instance *i, const char *why)
{
	str_set(&i->error, why);
	i->exit_code = 128;
	streams_close(i);
	waits_exited(i);
	waits_over(i);
	tickets_fail(i, TICKET_START, ERR_INTERNAL, why);
	after_ended(i);
	if (i->spec->auto_remove)
		remove_now(i);
}

struct err *start_request(struct instance *i)
{
	struct sched_job job = queue_job(i);
	struct err *err = sched_check(i->e->sched, &job);

	if (!err)
		err = vm_check(i->e, i->spec);
	if (err) {
		OWN(err) struct err *gone = err;
		OWN(mem) char *why = xasprintf("not started: %s", err_text(gone));
		struct err *refused = err_new(ERR_INTERNAL, "%s", why);

		refuse(i, why);
		instance_touch(i);
		return refused;
	}
	if (instance_step(i, EV_START) != ACT_ENQUEUE)
		return err_new(ERR_STATE, "%s is %s", i->spec->name, inst_state_name(i->state));
	i->manual_stop = false;
	i->prep_done = 0;
	str_set(&i->error, "");
	after_arrive(i);
	queue_arrive(i);
	return NULL;
}

void start_withdraw(struct instance *i, const char *why)
{
	if (instance_step(i, EV_STOP) != ACT_WITHDRAW)
		return;
	loop_timer_free(TAKE(i->backoff_timer));
	hold_notice_stop(i);
	i->not_before_ns = 0;
	i->durable = false;
	queue_leave(i);
	claim_release(i);
	snapshot_restore_over(i);
	refuse(i, why);
}

/* Back-off is over at once when somebody asks. */
static void start_hurry(struct instance *i)
{
	if (i->not_before_ns && i->backoff_timer)
		loop_timer_start(i->backoff_timer, 0);
}

struct err *engine_start(struct engine *e, struct instance *i, enum engine_hold hold,
			 struct engine_done done, bool *ret_already,
			 struct engine_ticket **ret_ticket)
{
	bool is_new = i->state == INST_CREATED || i->state == INST_EXITED;
	struct engine_ticket *t;

	if (ret_already)
		*ret_already = false;
	if (i->is_removing)
		return err_new(ERR_STATE, "container is marked for removal and cannot be started");
	TRY(migrate_is_still(i));
	if (i->state == INST_RUNNING || i->state == INST_STOPPING) {
		if (!ret_already)
			return err_new(ERR_STATE, "%s is already started", i->spec->name);
		*ret_already = true;
		return NULL;
	}
	if (is_new) {
		i->durable = false;
		TRY(start_request(i));
	}
	t = ticket_new(e, i, TICKET_START, done);
	t->hold = settle_hold(i, hold);
	if (t->hold == HOLD_QUEUE)
		i->durable = true;
	start_hurry(i);
	instance_touch(i);
	engine_queue_dirty(e);
	if (ret_ticket)
		*ret_ticket = t;
	return NULL;
}
