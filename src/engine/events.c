/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

/* Kept for those who ask for the past; labels may be long. */
#define EVENTS_KEPT       1024
#define EVENTS_KEPT_BYTES (4u << 20)

static void past_free(struct past_event *p)
{
	free(p->action);
	free(p->id);
	free(p->text);
	free(p);
}

static void drop_oldest(struct engine *e)
{
	struct past_event *p = TAILQ_FIRST(&e->events);

	TAILQ_REMOVE(&e->events, p, link);
	e->n_events--;
	e->event_bytes -= strlen(p->text);
	past_free(p);
}

static bool has_too_many(const struct engine *e)
{
	return e->n_events > EVENTS_KEPT || (e->n_events > 1 && e->event_bytes > EVENTS_KEPT_BYTES);
}

void event_emit(struct engine *e, const char *type, const char *action, const char *id,
		json_t *attributes)
{
	OWN(json) json_t *a = attributes ? attributes : json_object();
	struct past_event *p = xnew(struct past_event);

	p->seq = ++e->event_seq;
	p->time_ns = clock_wall_ns();
	p->type = type;
	p->action = xstrdup(action);
	p->id = xstrdup(id);
	p->text = jx_text(a);
	TAILQ_INSERT_TAIL(&e->events, p, link);
	e->n_events++;
	e->event_bytes += strlen(p->text);
	engine_dirty(e); /* told after the commit */
}

/* Docker's attributes: image, name, and all labels. */
void instance_emit(struct instance *i, const char *action, json_t *more)
{
	json_t *a = jx_from_map(&i->spec->labels);

	if (i->spec->image)
		jx_set_str(a, "image", i->spec->image);
	jx_set_str(a, "name", i->spec->name);
	if (more) {
		json_object_update(a, more);
		json_decref(more);
	}
	event_emit(i->e, "container", action, i->id, a);
}

struct engine_subscription *
engine_subscribe(struct engine *e, void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	struct engine_subscription *s = xnew(struct engine_subscription);

	s->e = e;
	s->fn = fn;
	s->arg = arg;
	s->seen = e->event_seq;
	TAILQ_INSERT_TAIL(&e->subscriptions, s, link);
	return s;
}

void engine_unsubscribe(struct engine_subscription *s)
{
	if (!s)
		return;
	TAILQ_REMOVE(&s->e->subscriptions, s, link);
	free(s);
}

static void deliver(const struct past_event *p,
		    void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	OWN(json) json_t *a = NULL;

	err_free(jx_parse(p->text, strlen(p->text), &a)); /* our own text */
	fn(arg, &(struct engine_event) { .seq = p->seq,
					 .time_ns = p->time_ns,
					 .type = p->type,
					 .action = p->action,
					 .id = p->id,
					 .attributes = a });
}

/* One event to each subscriber that has not seen it; a callback may end any subscription. */
static void deliver_all(struct engine *e, const struct past_event *p)
{
	struct engine_subscription *s;

	for (bool again = true; again;) {
		again = false;
		TAILQ_FOREACH(s, &e->subscriptions, link)
		if (s->seen < p->seq) {
			s->seen = p->seq;
			deliver(p, s->fn, s->arg);
			again = true;
			break;
		}
	}
}

static bool is_behind(struct engine *e)
{
	struct engine_subscription *s;

	TAILQ_FOREACH(s, &e->subscriptions, link)
	if (s->seen < e->event_seq)
		return true;
	return false;
}

void events_flush(struct engine *e)
{
	struct past_event *p;

	if (is_behind(e))
		TAILQ_FOREACH(p, &e->events, link)
	deliver_all(e, p);
	e->told_seq = e->event_seq;
	/* Not before: whoever listens hears all. */
	while (has_too_many(e))
		drop_oldest(e);
}

void engine_past_events(struct engine *e, int64_t since_ns, int64_t until_ns,
			void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	struct past_event *p;

	TAILQ_FOREACH(p, &e->events, link)
	if (p->time_ns >= since_ns && (!until_ns || p->time_ns <= until_ns))
		deliver(p, fn, arg);
}

void events_free(struct engine *e)
{
	while (e->n_events)
		drop_oldest(e);
	while (!TAILQ_EMPTY(&e->subscriptions))
		engine_unsubscribe(TAILQ_FIRST(&e->subscriptions));
}
