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
	waits_finish(i, 1U << WAIT_NOT_RUNNING | 1U << WAIT_NEXT_EXIT | 1U << WAIT_EXITED);
}

void waits_running(struct instance *i)
{
	waits_finish(i, 1U << WAIT_RUNNING);
}

void waits_healthy(struct instance *i)
{
	waits_finish(i, 1U << WAIT_HEALTHY);
}

/* Those that wait for it to live. */
static void waits_fail(struct instance *i, const char *why)
{
	struct engine_ticket *t, *next;

	for (t = TAILQ_FIRST(&i->tickets); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->kind == TICKET_WAIT &&
		    (t->until == WAIT_RUNNING || t->until == WAIT_HEALTHY))
			ticket_finish(t, err_new(ERR_STATE, "%s", why), NULL);
	}
}

static bool has_ended(const struct instance *i)
{
	return i->state == INST_EXITED || (i->state == INST_CREATED && *i->error);
}

/* "web has ended with 3", "web: not started: memory: …" */
static char *end_text(const struct instance *i)
{
	if (i->state == INST_EXITED && i->account.start_ns)
		return xasprintf("%s has ended with %d%s%s", i->spec->name, i->exit_code,
				 *i->error ? ": " : "", i->error);
	return xasprintf("%s: %s", i->spec->name, *i->error ? i->error : "it has ended");
}

void waits_over(struct instance *i)
{
	OWN(mem) char *why = end_text(i);

	waits_fail(i, why);
}

void waits_removed(struct instance *i)
{
	OWN(mem) char *why = xasprintf("%s was removed", i->spec->name);

	waits_fail(i, why);
	waits_finish(i, ~0U);
}

/* Has it come true already?  @ret_why: it cannot any more; owned by the caller */
static bool is_reached(const struct instance *i, enum engine_wait until, char **ret_why)
{
	switch (until) {
	case WAIT_NOT_RUNNING:
		return i->state == INST_CREATED || i->state == INST_EXITED;
	case WAIT_EXITED:
		return has_ended(i);
	case WAIT_HEALTHY:
		if (!health_is_checked(i))
			*ret_why = xasprintf("%s has no health check", i->spec->name);
		else if (has_ended(i))
			*ret_why = end_text(i);
		return i->health && i->health_state == HEALTH_HEALTHY;
	case WAIT_RUNNING:
		if (has_ended(i))
			*ret_why = end_text(i);
		return i->state == INST_RUNNING;
	case WAIT_NEXT_EXIT:
	case WAIT_REMOVED:
		break;
	}
	return false;
}

struct engine_ticket *engine_wait(struct engine *e, struct instance *i, enum engine_wait until,
				  struct engine_done done)
{
	struct engine_ticket *t = ticket_new(e, i, TICKET_WAIT, done);
	OWN(mem) char *why = NULL;

	t->until = until;
	if (is_reached(i, until, &why))
		ticket_finish(t, NULL, status_of(i));
	else if (why)
		ticket_finish(t, err_new(ERR_STATE, "%s", why), NULL);
	return t;
}
