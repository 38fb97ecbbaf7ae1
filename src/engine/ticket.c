/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_int.h"
#include "util/mem.h"

struct engine_ticket *ticket_new(struct engine *e, struct instance *i, enum ticket_kind kind,
				 struct engine_done done)
{
	struct engine_ticket *t = xnew(struct engine_ticket);

	t->e = e;
	t->i = i;
	t->kind = kind;
	t->done = done;
	if (i) {
		t->list = &i->tickets;
		TAILQ_INSERT_TAIL(t->list, t, link);
	}
	return t;
}

static void ticket_free(struct engine_ticket *t)
{
	if (t->list)
		TAILQ_REMOVE(t->list, t, link);
	loop_timer_free(t->timer);
	err_free(t->err);
	json_decref(t->result);
	free(t);
}

void ticket_finish(struct engine_ticket *t, struct err *err, json_t *result)
{
	if (t->list)
		TAILQ_REMOVE(t->list, t, link);
	loop_timer_free(TAKE(t->timer));
	t->i = NULL;
	t->on_reason = NULL;
	t->err = err;
	t->result = result;
	t->list = &t->e->outbox;
	TAILQ_INSERT_TAIL(t->list, t, link);
	engine_dirty(t->e); /* delivered after the commit, whatever it is */
}

void engine_finish(struct engine *e, struct engine_done done, struct err *err, json_t *result)
{
	ticket_finish(ticket_new(e, NULL, TICKET_OTHER, done), err, result);
}

bool outbox_flush(struct engine *e)
{
	struct engine_ticket *t = TAILQ_FIRST(&e->outbox);
	bool any = t != NULL;

	while ((t = TAILQ_FIRST(&e->outbox))) {
		OWN(json) json_t *result = TAKE(t->result);
		struct engine_done done = t->done;
		struct err *err = TAKE(t->err);

		ticket_free(t);
		if (done.fn)
			done.fn(done.arg, err, result);
		else
			err_free(err);
	}
	return any;
}

void engine_cancel(struct engine_ticket *t)
{
	struct instance *i = t->i;
	bool is_held = i && t->kind == TICKET_START && t->list == &i->tickets;

	ticket_free(t);
	if (!is_held || !instance_is_waiting(i) || i->durable)
		return;
	TAILQ_FOREACH(t, &i->tickets, link)
	if (t->kind == TICKET_START)
		return;
	start_withdraw(i, "withdrawn: the client that waited is gone");
}

void engine_on_reason(struct engine_ticket *t, void (*fn)(void *arg, const char *reason), void *arg)
{
	t->on_reason = fn;
	t->reason_arg = arg;
}

void tickets_fail(struct instance *i, enum ticket_kind kind, enum err_kind why, const char *text)
{
	struct engine_ticket *t, *next;

	for (t = TAILQ_FIRST(&i->tickets); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->kind == kind)
			ticket_finish(t, err_new(why, "%s", text), NULL);
	}
}

void tickets_succeed(struct instance *i, enum ticket_kind kind)
{
	struct engine_ticket *t, *next;

	for (t = TAILQ_FIRST(&i->tickets); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->kind == kind)
			ticket_finish(t, NULL, NULL);
	}
}

/* ---- waits ---- */

static json_t *status_of(const struct instance *i)
{
	json_t *j = json_object();

	json_object_set_new(j, "StatusCode", json_integer(i->exit_code));
	if (*i->error)
		jx_set_str(j, "Note", i->error);
	return j;
}

static void waits_finish(struct instance *i, unsigned untils)
{
	struct engine_ticket *t, *next;

	for (t = TAILQ_FIRST(&i->tickets); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->kind == TICKET_WAIT && untils & (1U << t->until))
			ticket_finish(t, NULL, status_of(i));
	}
}

void waits_exited(struct instance *i)
{
	waits_finish(i, 1U << WAIT_NOT_RUNNING | 1U << WAIT_NEXT_EXIT);
}

void waits_running(struct instance *i)
{
	waits_finish(i, 1U << WAIT_RUNNING);
}

void waits_removed(struct instance *i)
{
	waits_finish(i, ~0U);
}

struct engine_ticket *engine_wait(struct engine *e, struct instance *i, enum engine_wait until,
				  struct engine_done done)
{
	struct engine_ticket *t = ticket_new(e, i, TICKET_WAIT, done);
	bool is_over = i->state == INST_CREATED || i->state == INST_EXITED;

	t->until = until;
	if ((until == WAIT_NOT_RUNNING && is_over) ||
	    (until == WAIT_RUNNING && i->state == INST_RUNNING))
		ticket_finish(t, NULL, status_of(i));
	return t;
}
