/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and restart policy of an existing instance. */
#include <string.h>

#include "backend/resources.h"
#include "engine/engine_int.h"
#include "json/fields.h"
#include "sys/cgroup.h"
#include "util/mem.h"

#define F(json, type, member) JSON_FIELD(struct spec, json, type, member)

static const struct json_field fields[] = {
	F("Memory", JF_I64, memory_bytes),
	F("MemoryReservation", JF_I64, memory_reservation_bytes),
	F("MemorySwap", JF_I64, memory_swap_bytes),
	F("CpuShares", JF_I64, cpu_shares),
	F("CpuPeriod", JF_I64, cpu_period_us),
	F("CpuQuota", JF_I64, cpu_quota_us),
	F("CpusetCpus", JF_STR, cpuset_cpus),
	F("CpusetMems", JF_STR, cpuset_mems),
	F("PidsLimit", JF_I64, pids_limit),
	F("BlkioWeight", JF_I64, blkio_weight),
};

static const char *const policies[] = {
	[RESTART_NO] = "no",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_ALWAYS] = "always",
	[RESTART_UNLESS_STOPPED] = "unless-stopped",
};

/* Clients send every member; 0 and "" mean "leave it". */
static json_t *said_only(const json_t *update)
{
	json_t *j = json_object(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)update, key, value)
	{
		bool is_zero = json_is_integer(value) && json_integer_value(value) == 0;
		bool is_empty = json_is_string(value) && !*json_string_value(value);

		if (!is_zero && !is_empty)
			json_object_set(j, key, value);
	}
	return j;
}

static struct err *read_policy(struct spec *s, const json_t *policy)
{
	const char *name = jx_str(policy, "Name", "");

	if (!*name)
		return NULL;
	for (size_t n = 0; n < ARRAY_SIZE(policies); n++)
		if (streq(policies[n], name)) {
			s->restart = (enum spec_restart)n;
			s->restart_max = (int)jx_int(policy, "MaximumRetryCount", 0);
			return NULL;
		}
	return err_new(ERR_INVALID, "invalid restart policy: unknown policy '%.64s'", name);
}

static struct err *updated(const struct instance *i, const json_t *update, struct spec **ret)
{
	OWN(json) json_t *said = said_only(update);
	OWN(json) json_t *old = spec_to_json(i->spec);
	OWN(spec) struct spec *s = NULL;
	int64_t nano;

	TRY(spec_from_json(old, &s));
	TRY(json_read_fields(fields, ARRAY_SIZE(fields), said, s));
	nano = jx_int(said, "NanoCpus", jx_int(said, "NanoCPUs", 0));
	if (nano)
		s->cpu_milli = nano / 1000000;
	TRY(read_policy(s, json_object_get(said, "RestartPolicy")));
	if (s->auto_remove && s->restart != RESTART_NO)
		return err_new(ERR_INVALID,
			       "Restart policy cannot be updated because AutoRemove is "
			       "enabled for the container");
	TRY(spec_check(s));
	TRY(host_check(s));
	*ret = TAKE(s);
	return NULL;
}

/* To the cgroup, as a start would set them. */
static struct err *apply(const struct instance *i, const struct spec *s)
{
	const struct host_facts f = { .memory_bytes = spec_demand_memory_bytes(s),
				      .manage_bytes = i->manage_bytes };
	OWN(mem) char *path = instance_cgroup(i);
	OWN(resources) struct resources r = { 0 };
	OWN(json) json_t *j = NULL;

	TRY(planner_of(i->e, s)->host->resources(s, &f, &j));
	TRY(resources_read(j, &r));
	return cgroup_set(path, &r.l);
}

static bool same_limits(const struct spec *a, const struct spec *b)
{
	return a->memory_bytes == b->memory_bytes && a->cpu_milli == b->cpu_milli &&
	       a->cpu_shares == b->cpu_shares && a->cpu_quota_us == b->cpu_quota_us &&
	       a->cpu_period_us == b->cpu_period_us && a->pids_limit == b->pids_limit &&
	       a->memory_reservation_bytes == b->memory_reservation_bytes &&
	       a->memory_swap_bytes == b->memory_swap_bytes && a->blkio_weight == b->blkio_weight &&
	       streq(a->cpuset_cpus, b->cpuset_cpus) && streq(a->cpuset_mems, b->cpuset_mems);
}

static struct err *apply_running(struct instance *i, const struct spec *s)
{
	if (i->state != INST_RUNNING || same_limits(i->spec, s))
		return NULL;
	if (spec_is_vm(s) && s->memory_bytes != i->spec->memory_bytes)
		return err_new(ERR_UNSUPPORTED, "the memory of a running VM cannot be changed");
	return apply(i, s);
}

struct err *engine_update(struct engine *e, struct instance *i, const json_t *update,
			  struct strv *ret_warnings)
{
	OWN(spec) struct spec *s = NULL;
	struct sched_job job;
	struct spec *old;

	TRY(updated(i, update, &s));
	TRY_MSG(apply_running(i, s), "Cannot update container %s", i->id);
	old = i->spec;
	i->spec = TAKE(s);
	spec_free(old);
	job = queue_job(i);
	sched_resize(e->sched, i->id, &job);
	i->spec_dirty = true;
	instance_touch(i);
	engine_queue_dirty(e);
	instance_emit(i, "update", NULL);
	TRY(instance_save_spec(i));
	return engine_commit(e);
}
