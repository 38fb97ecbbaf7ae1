/* SPDX-License-Identifier: Apache-2.0 */
/* Migration: the row that says on which side an instance may run, and what follows from it. */
#include "engine/migrate_int.h"

#include <string.h>

#include "util/log.h"
#include "util/mem.h"

#define TAKEN      "migrated" /* meta: tokens of those that came and are gone from here since */
#define TAKEN_MOST 256
#define AGAIN_NS   (500 * INT64_C(1000000))
#define AGAIN_MOST (30 * INT64_C(1000000000))

/* ---- the row ---- */

void handover_free(struct handover *h)
{
	if (!h)
		return;
	free(h->peer);
	free(h);
}

json_t *handover_json(const struct handover *h)
{
	return json_pack("{s:s, s:s, s:s, s:b}", "state", handover_state_name(h->state), "token",
			 h->token, "peer", h->peer ? h->peer : "", "start_due", h->start_due);
}

struct handover *handover_read(const json_t *j)
{
	struct handover *h;
	enum handover_state state;

	if (!j || !handover_state_by_name(jx_str(j, "state", ""), &state))
		return NULL;
	h = xnew(struct handover);
	h->state = state;
	snprintf(h->token, sizeof(h->token), "%s", jx_str(j, "token", ""));
	h->peer = xstrdup(jx_str(j, "peer", ""));
	h->start_due = jx_bool(j, "start_due", false);
	return h;
}

/* A token that is lost with its row: whoever asks for it later hears that it came. */
static void remember(struct engine *e, const struct handover *h)
{
	OWN(json) json_t *all = NULL;

	if (!h || h->state != HANDOVER_TAKEN)
		return;
	all = store_meta_json(e->store, TAKEN);
	if (!json_is_array(all)) {
		json_decref(all);
		all = json_array();
	}
	json_array_append_new(all, json_string(h->token));
	while (json_array_size(all) > TAKEN_MOST)
		json_array_remove(all, 0);
	err_free(store_meta_json_set(e->store, TAKEN, all));
	engine_dirty(e);
}

void handover_open(struct instance *i, enum handover_state state, const char *token,
		   const char *peer)
{
	remember(i->e, i->handover);
	handover_free(i->handover);
	i->handover = xnew(struct handover);
	i->handover->state = state;
	snprintf(i->handover->token, sizeof(i->handover->token), "%s", token);
	i->handover->peer = xstrdup(peer);
}

/* ---- words ---- */

static const struct {
	enum handover_say say;
	const char *word;
	bool is_source; /* who says it */
} words[] = {
	{ SAY_OFFER, "offer", true },        { SAY_COMMIT, "commit", true },
	{ SAY_ABORT, "abort", true },        { SAY_RECLAIM, "reclaim", true },
	{ SAY_PREPARED, "prepared", false }, { SAY_TAKEN, "taken", false },
	{ SAY_DROPPED, "dropped", false },
};

json_t *handover_word(enum handover_say say, const char *id, const char *token)
{
	for (size_t n = 0; n < ARRAY_SIZE(words); n++)
		if (words[n].say == say)
			return json_pack("{s:s, s:s, s:s}", "say", words[n].word, "id", id, "token",
					 token);
	return NULL;
}

enum handover_event handover_hear(const char *word, bool is_source)
{
	for (size_t n = 0; n < ARRAY_SIZE(words); n++)
		if (streq(words[n].word, word) && words[n].is_source != is_source)
			return handover_heard(words[n].say);
	return HANDOVER_EVENTS;
}

/* ---- steps ---- */

/* Tests let the daemon die in some of them. */
static void crash_in(struct engine *e, enum handover_state state)
{
	static const enum crash_phase phases[HANDOVER_STATES] = {
		[HANDOVER_SENDING] = CRASH_HANDOVER_SENDING,
		[HANDOVER_ABORTING] = CRASH_HANDOVER_ABORTING,
		[HANDOVER_GIVEN] = CRASH_HANDOVER_GIVEN,
		[HANDOVER_GONE] = CRASH_HANDOVER_GONE,
		[HANDOVER_RECEIVING] = CRASH_HANDOVER_RECEIVING,
		[HANDOVER_PREPARED] = CRASH_HANDOVER_PREPARED,
		[HANDOVER_TAKEN] = CRASH_HANDOVER_TAKEN,
		[HANDOVER_ABSENT] = CRASH_HANDOVER_ABSENT,
	};

	if (phases[state])
		crash_point(e, phases[state]);
}

/* Written before anything is said or done; what cannot be written has not happened. */
static struct err *keep(struct instance *i, enum handover_state before)
{
	enum handover_state now = i->handover->state;
	bool is_ending = now == HANDOVER_GONE || now == HANDOVER_ABSENT;
	struct err *err;

	i->is_removing |= is_ending;
	instance_touch(i);
	err = engine_commit(i->e);
	if (err) {
		i->handover->state = before;
		i->is_removing = i->is_removing && !is_ending;
		return err;
	}
	instance_save_run(i);
	crash_in(i->e, now);
	return NULL;
}

static void ignore(void *arg, struct err *err, const json_t *result)
{
	struct engine *e = arg;

	if (err)
		log_warn("migration: %s", err_text(err));
	err_free(err);
	engine_dirty(e);
}

/* It ran before: it runs again on the side that has it. */
static void start_due(struct instance *i)
{
	bool is_up = instance_is_alive(i) || instance_is_waiting(i), already = false;
	struct err *err = NULL;

	i->handover->start_due = false;
	instance_touch(i);
	if (!is_up)
		err = engine_start(i->e, i, HOLD_QUEUE, (struct engine_done) { ignore, i->e },
				   &already, NULL);
	if (err)
		log_warn("%.12s: %s", i->id, err_text(err));
	err_free(err);
}

static void follow(struct instance *i)
{
	enum handover_state state = i->handover->state;

	if (state == HANDOVER_GONE || state == HANDOVER_ABSENT) {
		if (instance_is_alive(i)) /* cannot be: it stood still before */
			err_free(engine_kill(i->e, i, "KILL"));
		else
			remove_now(i);
		return;
	}
	if (!handover_may_run(state) && instance_is_alive(i) && handover_has_it(state)) {
		/* Two ran it, by hand: this side's is kept, and stands still. */
		i->manual_stop = true;
		err_free(engine_kill(i->e, i, "KILL"));
	}
	/* A recovery comes back for it: on_again(). */
	if (state != HANDOVER_SENDING && handover_may_run(state) && i->handover->start_due &&
	    !i->e->is_recovering)
		start_due(i);
	if (state == HANDOVER_HERE) {
		handover_free(TAKE(i->handover));
		instance_touch(i);
		instance_save_run(i);
	}
}

struct err *handover_do(struct instance *i, enum handover_event ev, enum handover_say *ret_say)
{
	enum handover_state before = i->handover->state;
	struct handover_step s = handover_step(before, ev);

	if (s.is_refused)
		return err_new(ERR_STATE, "%s: that makes no sense while its migration is %s",
			       i->spec->name, handover_state_name(before));
	if (s.next != before) {
		i->handover->state = s.next;
		TRY(keep(i, before));
		log_info("%.12s (%s): migration: %s, was %s", i->id, i->spec->name,
			 handover_state_name(s.next), handover_state_name(before));
		if (handover_has_to_say(s.next))
			migrate_later(i->e);
		follow(i);
	}
	*ret_say = s.say;
	return NULL;
}

/* ---- what others ask ---- */

bool migrate_forbids(const struct instance *i)
{
	return i->handover && !handover_may_run(i->handover->state);
}

struct err *migrate_is_still(const struct instance *i)
{
	enum handover_state state = i->handover ? i->handover->state : HANDOVER_HERE;
	const char *name = i->spec->name, *peer = i->handover ? i->handover->peer : "";

	if (state == HANDOVER_SENDING)
		return err_new(ERR_STATE, "%s is being moved to %s", name, peer);
	if (state == HANDOVER_RECEIVING)
		return err_new(ERR_STATE, "%s is being moved here by %s", name, peer);
	if (handover_is_doubtful(state))
		return err_new(ERR_STATE,
			       "%s is in doubt between this host and %s: it goes on when the two "
			       "can talk, or by hostel migrate resolve %s --here or --there",
			       name, peer, name);
	if (!handover_may_run(state))
		return err_new(ERR_STATE,
			       "%s was left to %s: what is here is kept, and does not run "
			       "(hostel migrate resolve %s --here, or rm -f)",
			       name, peer, name);
	return NULL;
}

const char *migrate_view(const struct instance *i, const char **ret_state, const char **ret_peer)
{
	const struct handover *h = i->handover;

	*ret_state = h ? handover_state_name(h->state) : NULL;
	*ret_peer = h ? h->peer : NULL;
	if (!h)
		return NULL;
	if (h->state == HANDOVER_SENDING || h->state == HANDOVER_RECEIVING)
		return "migrating";
	if (handover_is_doubtful(h->state))
		return "in doubt";
	return handover_may_run(h->state) ? NULL : "elsewhere";
}

void migrate_removed(struct instance *i)
{
	if (!i->handover)
		return;
	remember(i->e, i->handover);
	if (i->handover->state == HANDOVER_GONE || i->handover->state == HANDOVER_ABSENT)
		volumes_drop(i);
}

json_t *migrate_peers(struct engine *e)
{
	OWN(json) json_t *all = engine_trust(e);
	json_t *out = json_array(), *row;
	size_t n;

	json_array_foreach(all, n, row) json_array_append(out, json_object_get(row, "certificate"));
	return out;
}

/* ---- connections ---- */

struct migration *migration_new(struct engine *e, bool is_source)
{
	struct migration *m = xnew(struct migration);

	m->e = e;
	m->number = ++e->n_migrations;
	m->is_source = is_source;
	m->got = json_object();
	TAILQ_INSERT_TAIL(e->migrations, m, link);
	return m;
}

void migration_free(struct migration *m)
{
	if (!m)
		return;
	TAILQ_REMOVE(m->e->migrations, m, link);
	carrier_free(m->carrier);
	loop_timer_free(m->timer);
	engine_job_cancel(m->job);
	if (m->staging)
		trash_put(m->e, m->staging);
	json_decref(m->offer);
	json_decref(m->offered);
	json_decref(m->got);
	strv_done(&m->trees);
	free(m->staging);
	free(m->peer);
	free(m);
}

struct instance *migration_instance(const struct migration *m)
{
	struct instance *i = *m->id ? instance_by_id(m->e, m->id) : NULL;

	return i && i->handover && streq(i->handover->token, m->token) ? i : NULL;
}

struct migration *migration_of(const struct engine *e, const struct instance *i)
{
	struct migration *m;

	TAILQ_FOREACH(m, e->migrations, link)
	if (!m->is_check && streq(m->id, i->id))
		return m;
	return NULL;
}

/* ---- again ---- */

static void on_again(void *arg)
{
	struct engine *e = arg;
	struct instance *i, *next;
	bool is_open = false;

	for (i = TAILQ_FIRST(&e->instances); i; i = next) {
		next = TAILQ_NEXT(i, link);
		if (!i->handover || i->handover->state == HANDOVER_SENDING)
			continue;
		if (i->handover->start_due && handover_may_run(i->handover->state))
			start_due(i);
		if (!handover_has_to_say(i->handover->state))
			continue;
		is_open = true;
		if (!migration_of(e, i))
			migrate_again(i);
	}
	if (!is_open) {
		e->migrate_delay_ns = 0;
		return;
	}
	e->migrate_delay_ns = e->migrate_delay_ns ? e->migrate_delay_ns * 2 : AGAIN_NS;
	if (e->migrate_delay_ns > AGAIN_MOST)
		e->migrate_delay_ns = AGAIN_MOST;
	loop_timer_start(e->migrate_timer, e->migrate_delay_ns);
}

void migrate_later(struct engine *e)
{
	e->migrate_delay_ns = AGAIN_NS;
	loop_timer_start(e->migrate_timer, e->migrate_delay_ns);
}

/* ---- by hand ---- */

struct err *engine_migrate_resolve(struct engine *e, struct instance *i, bool here,
				   struct engine_done done)
{
	enum handover_say say;

	if (!i->handover ||
	    (handover_may_run(i->handover->state) && i->handover->state != HANDOVER_RECLAIMED &&
	     i->handover->state != HANDOVER_SEIZED))
		return err_new(ERR_STATE, "%s is not in doubt", i->spec->name);
	TRY(handover_do(i, here ? HANDOVER_HAND_HERE : HANDOVER_HAND_THERE, &say));
	migrate_later(e);
	engine_finish(e, done, NULL, NULL);
	return NULL;
}

/* ---- life ---- */

void migrate_recover(struct engine *e)
{
	struct instance *i, *next;
	enum handover_say say;

	e->migrate_timer = loop_timer_new(e->loop, on_again, e);
	e->migrations = xnew(struct migration_list);
	TAILQ_INIT(e->migrations);
	for (i = TAILQ_FIRST(&e->instances); i; i = next) {
		OWN(err) struct err *err = NULL;

		next = TAILQ_NEXT(i, link);
		if (i->handover)
			err = handover_do(i, HANDOVER_RECOVER, &say);
		if (err)
			log_error("recovery: %s", err_text(err));
	}
	loop_timer_start(e->migrate_timer, 0);
}

struct err *migrate_init(struct engine *e)
{
	return migrate_listen(e);
}

void migrate_free(struct engine *e)
{
	struct migration *m;

	migrate_close_doors(e);
	while (e->migrations && (m = TAILQ_FIRST(e->migrations))) {
		if (m->done.fn)
			engine_finish(e, m->done, err_new(ERR_UNAVAILABLE, "hosteld ends"), NULL);
		migration_free(m);
	}
	free(TAKE(e->migrations));
	loop_timer_free(TAKE(e->migrate_timer));
}
