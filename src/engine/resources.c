/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers as documents: queue, resources (docs/numbers.md). */
#include <inttypes.h>
#include <string.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "util/clock.h"
#include "util/mem.h"

/* ---- queue ---- */

struct listing {
	struct engine *e;
	json_t *out;
	size_t at; /* of those listed, whose start comes next */
};

json_t *amounts_json(const struct amounts *a)
{
	json_t *j = json_object();

	json_object_set_new(j, "cpu_milli", json_integer(a->v[RES_CPU]));
	json_object_set_new(j, "memory_bytes", json_integer(a->v[RES_MEMORY]));
	json_object_set_new(j, "disk_bytes", json_integer(a->v[RES_DISK]));
	json_object_set_new(j, "gpus", json_integer(a->v[RES_GPUS]));
	return j;
}

static void list_waiting(void *arg, const char *id, int64_t arrival_ns)
{
	struct listing *l = arg;
	struct instance *i = instance_by_id(l->e, id);
	struct sched_job job;
	json_t *j;

	if (!i)
		return;
	job = queue_job(i);
	j = json_object();
	jx_set_str(j, "id", i->id);
	jx_set_str(j, "name", i->spec->name);
	jx_set_str(j, "kind", instance_kind(i));
	jx_set_str(j, "image", i->spec->image);
	json_object_set_new(j, "uid", json_integer(i->spec->uid));
	json_object_set_new(j, "position", json_integer((int64_t)json_array_size(l->out) + 1));
	jx_set_str(j, "reason", i->reason);
	json_object_set_new(j, "since_ns", json_integer(i->account.arrival_ns));
	json_object_set_new(j, "waiting_ns", json_integer(clock_boot_ns() - arrival_ns));
	json_object_set_new(j, "estimate", estimates_json(i));
	json_object_set_new(j, "survives", json_boolean(i->durable));
	json_object_set_new(j, "held", json_boolean(i->is_held));
	json_object_set_new(j, "place", json_integer(i->queue_place));
	json_object_set_new(j, "demand", amounts_json(&job.demand));
	json_array_append_new(l->out, j);
}

/* When it starts, on the wall clock; null where that cannot be known. */
static void list_start(void *arg, const char *id, int64_t starts_ns)
{
	struct listing *l = arg;
	json_t *j = json_array_get(l->out, l->at);

	if (!streq(jx_str(j, "id", ""), id))
		return;
	l->at++;
	json_object_set_new(j, "expected_start_ns",
			    starts_ns ? json_integer(starts_ns - clock_boot_ns() + clock_wall_ns())
				      : json_null());
}

json_t *engine_queue(struct engine *e)
{
	struct listing l = { .e = e, .out = json_array() };
	int64_t now = clock_boot_ns();

	sched_each_waiting(e->sched, now, list_waiting, &l);
	sched_expected_starts(e->sched, now, list_start, &l);
	return l.out;
}

/* ---- resources ---- */

static json_t *holder_json(const struct instance *i, const struct amounts *held)
{
	json_t *j = amounts_json(held);
	struct sched_job job = queue_job(i);
	json_t *best = json_array();

	jx_set_str(j, "id", i->id);
	jx_set_str(j, "name", i->spec->name);
	jx_set_str(j, "kind", instance_kind(i));
	json_object_set_new(j, "manage_bytes", json_integer(held->v[RES_MANAGE]));
	for (enum resource r = 0; r < RES_MANAGE; r++)
		if (!job.declared[r] && (r == RES_CPU || r == RES_MEMORY))
			json_array_append_new(best, json_string(sched_resource_name(r)));
	json_object_set_new(j, "best_effort", best);
	return j;
}

static json_t *holders_json(struct engine *e, const struct amounts *host)
{
	json_t *out = json_array(), *h = amounts_json(host);
	struct instance *i;
	struct amounts held;

	jx_set_str(h, "name", "host");
	jx_set_str(h, "kind", "host");
	json_object_set_new(h, "manage_bytes", json_integer(host->v[RES_MANAGE]));
	json_array_append_new(out, h);
	TAILQ_FOREACH(i, &e->instances, link)
	if (sched_held(e->sched, i->id, &held))
		json_array_append_new(out, holder_json(i, &held));
	TAILQ_FOREACH(i, &e->instances, link)
	if (filevm_held(i, &held)) {
		json_t *j = amounts_json(&held);

		json_object_set_new(j, "name", json_sprintf("files of %s", i->spec->name));
		jx_set_str(j, "kind", "files");
		json_object_set_new(j, "manage_bytes", json_integer(held.v[RES_MANAGE]));
		json_array_append_new(out, j);
	}
	return out;
}

/* T, its source, S and a of each resource: how R_total comes about. */
static json_t *sources_json(const struct engine *e)
{
	json_t *j = json_object();

	json_object_set_new(j, "memory",
			    json_pack("{s:I, s:s, s:I, s:i}", "T", e->memory_bytes, "source",
				      e->c.memory_total_bytes ? "configuration" : "/proc/meminfo",
				      "S", e->reserve_bytes, "overcommit_milli", 1000));
	json_object_set_new(j, "cpu",
			    json_pack("{s:I, s:s, s:i, s:I}", "T", e->cpu_milli, "source",
				      e->c.cpu_total_milli ? "configuration" : "online cpus", "S",
				      0, "overcommit_milli", e->c.overcommit_cpu_milli));
	json_object_set_new(j, "disk",
			    json_pack("{s:I, s:s, s:i, s:i}", "T", e->disk_bytes, "source",
				      e->c.disk_total_bytes ? "configuration" : "file system", "S",
				      0, "overcommit_milli", 1000));
	return j;
}

json_t *engine_resources(struct engine *e)
{
	struct amounts total, held, host, rest;
	json_t *j = json_object();

	sched_totals(e->sched, &total, &held, &host, &rest);
	json_object_set_new(j, "R_total", amounts_json(&total));
	json_object_set_new(j, "R_free", amounts_json(&rest));
	json_object_set_new(j, "R_held", amounts_json(&held));
	json_object_set_new(j, "M_total", json_integer(total.v[RES_MANAGE]));
	json_object_set_new(j, "M_free", json_integer(rest.v[RES_MANAGE]));
	json_object_set_new(j, "M_held", json_integer(held.v[RES_MANAGE]));
	json_object_set_new(j, "M_0", json_integer(host.v[RES_MANAGE]));
	json_object_set_new(j, "host", amounts_json(&host));
	json_object_set_new(j, "holders", holders_json(e, &host));
	json_object_set_new(j, "sources", sources_json(e));
	jx_set_str(j, "policy", sched_policy(e->sched));
	json_object_set_new(j, "schedule", slicing_json(e));
	return j;
}
