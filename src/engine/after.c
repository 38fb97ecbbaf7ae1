/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --after NAME[:ok]: it waits until another one has ended, or has ended with exit code 0; a
 * waiting one whose wish can come true no more is withdrawn.
 *
 * A restart that a policy makes is no end; what is removed has ended.  An instance waits for
 * older ones only, so that no circle can be made.
 */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define OK ":ok"

struct wish {
	char id[65];
	bool wants_ok;
};

/* "ID" or "ID:ok", as after_settle() left it. */
static struct wish wish_of(const char *text)
{
	struct wish w = { .wants_ok = strchr(text, ':') != NULL };

	memccpy(w.id, text, ':', 64);
	w.id[strcspn(w.id, ":")] = '\0';
	return w;
}

struct err *after_settle(struct engine *e, struct spec *s)
{
	for (size_t n = 0; n < s->after.n; n++) {
		size_t len = strlen(s->after.v[n]);
		bool wants_ok = len > 3 && streq(s->after.v[n] + len - 3, OK);
		OWN(mem) char *name = xstrndup(s->after.v[n], wants_ok ? len - 3 : len);
		struct instance *other;

		TRY_MSG(engine_find(e, name, &other), "after");
		free(s->after.v[n]);
		s->after.v[n] = xasprintf("%s%s", other->id, wants_ok ? OK : "");
	}
	return NULL;
}

bool after_has_ended(const struct instance *i)
{
	return i->state == INST_EXITED || (i->state == INST_CREATED && *i->error);
}

/* Of a wish whose instance has ended or is gone (NULL); NULL: it came true. */
static char *failure(const struct wish *w, const struct instance *other)
{
	if (!w->wants_ok)
		return NULL;
	if (!other)
		return xasprintf("withdrawn: nobody knows how %.12s ended, it is gone", w->id);
	if (other->ever_ran && !other->exit_code)
		return NULL;
	return xasprintf("withdrawn: %s, after which it was to run, ended with %d%s%s",
			 other->spec->name, other->exit_code, *other->error ? ": " : "",
			 other->error);
}

/* Wishes that are settled leave the list; the first that failed says why. */
static void look(struct instance *i, const struct instance *ended)
{
	for (size_t n = 0; n < i->after.n;) {
		struct wish w = wish_of(i->after.v[n]);
		struct instance *other = instance_by_id(i->e, w.id);

		if (other && !after_has_ended(other) && other != ended) {
			n++;
			continue;
		}
		if (!i->after_failed)
			i->after_failed = failure(&w, other);
		free(i->after.v[n]);
		i->after.v[n] = i->after.v[--i->after.n];
		i->after.v[i->after.n] = NULL;
	}
}

void after_arrive(struct instance *i)
{
	strv_done(&i->after);
	free(TAKE(i->after_failed));
	strv_copy(&i->after, &i->spec->after);
	look(i, NULL);
}

void after_ended(struct instance *ended)
{
	struct instance *i;

	TAILQ_FOREACH(i, &ended->e->instances, link)
	if (i->after.n && i != ended) {
		look(i, ended);
		if (i->after.n || !instance_is_waiting(i))
			continue;
		/* As with a hold: it could not be admitted before, its place is as it was. */
		i->account.arrival_ns = clock_wall_ns();
		queue_hold(i);
		instance_touch(i);
	}
}

static struct instance *next_failed(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (i->after_failed)
		return i;
	return NULL;
}

void after_pass(struct engine *e)
{
	struct instance *i;

	while ((i = next_failed(e))) {
		OWN(mem) char *why = TAKE(i->after_failed);

		if (instance_is_waiting(i))
			start_withdraw(i, why);
	}
}

char *after_reason(const struct instance *i)
{
	OWN(str) struct str s = { 0 };

	for (size_t n = 0; n < i->after.n; n++) {
		struct wish w = wish_of(i->after.v[n]);
		const struct instance *other = instance_by_id(i->e, w.id);

		str_addf(&s, "%s%s", n ? ", " : "after: waits for the end of ",
			 other ? other->spec->name : w.id);
	}
	return str_take(&s);
}
