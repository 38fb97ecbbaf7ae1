/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drained host: nothing new is admitted, what runs goes on.  It is kept in the store, over
 * deaths of the daemon and of the host, until it is taken back.  Restart policies wait with the
 * rest: one that ends by itself gives its resources back and stands in the queue.
 */
#include <string.h>
#include <time.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define STORED "drain"

static void put_in_force(struct engine *e)
{
	sched_drain(e->sched, e->drain.on);
	engine_queue_dirty(e);
}

void drain_init(struct engine *e)
{
	OWN(json) json_t *j = store_meta_json(e->store, STORED);

	e->drain = (struct drain) { .on = jx_bool(j, "on", false),
				    .since_ns = jx_int(j, "since_ns", 0),
				    .uid = jx_int(j, "uid", 0) };
	put_in_force(e);
}

static struct err *keep(struct engine *e)
{
	OWN(json)
	json_t *j = json_pack("{s:b, s:I, s:I}", "on", e->drain.on, "since_ns", e->drain.since_ns,
			      "uid", e->drain.uid);

	return store_meta_json_set(e->store, STORED, j);
}

struct err *engine_drain(struct engine *e, bool on, int64_t uid, struct engine_done done)
{
	if (on != e->drain.on) {
		struct drain before = e->drain;
		struct err *err;

		e->drain =
		    (struct drain) { .on = on, .since_ns = on ? clock_wall_ns() : 0, .uid = uid };
		err = keep(e);
		if (err) {
			e->drain = before;
			return err;
		}
		log_info("drain: %s", on ? "on" : "off");
		put_in_force(e);
	}
	engine_dirty(e);
	engine_finish(e, done, NULL, NULL);
	return NULL;
}

char *drain_text(const struct engine *e)
{
	OWN(mem) char *by = engine_user_name(e->drain.uid);
	time_t s = e->drain.since_ns / 1000000000;
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&s, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	return xasprintf("drain: nothing new starts on this host since %s (%s); "
			 "hostel drain --off ends it",
			 when, by);
}

json_t *engine_drain_state(struct engine *e)
{
	int running = 0, waiting = 0;
	json_t *j = json_object(), *names = json_array();
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		if (instance_is_alive(i)) {
			running++;
			json_array_append_new(names, jx_string(i->spec->name));
		}
		waiting += instance_is_waiting(i);
	}
	json_object_set_new(j, "draining", json_boolean(e->drain.on));
	json_object_set_new(j, "running", json_integer(running));
	json_object_set_new(j, "names", names);
	json_object_set_new(j, "waiting", json_integer(waiting));
	if (e->drain.on) {
		OWN(mem) char *text = drain_text(e);
		OWN(mem) char *by = engine_user_name(e->drain.uid);

		json_object_set_new(j, "since_ns", json_integer(e->drain.since_ns));
		jx_set_str(j, "by", by);
		jx_set_str(j, "text", text);
	}
	return j;
}
