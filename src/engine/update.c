/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and restart policy of an existing instance. */
#include <string.h>

#include "backend/resources.h"
#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "json/fields.h"
#include "net/net.h"
#include "sys/cgroup.h"
#include "util/log.h"
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

/* hostel's own, always as wished: 0 lifts a limit. */
static const struct json_field rates[] = {
	F("NetEgressBps", JF_I64, net_egress_bps),
	F("NetIngressBps", JF_I64, net_ingress_bps),
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

/* The label that said it at first says what holds now. */
static void label_rate(struct spec *s, const json_t *update)
{
	const char *text = jx_str(update, "NetRate", NULL);

	if (text && strmap_get(&s->labels, "hostel.net-rate"))
		strmap_set(&s->labels, "hostel.net-rate", text);
}

static struct err *updated(const struct instance *i, const json_t *update, struct spec **ret)
{
	OWN(json) json_t *said = said_only(update);
	OWN(json) json_t *old = spec_to_json(i->spec);
	OWN(spec) struct spec *s = NULL;
	int64_t nano;

	TRY(spec_from_json(old, &s));
	TRY(json_read_fields(fields, ARRAY_SIZE(fields), said, s));
	TRY(json_read_fields(rates, ARRAY_SIZE(rates), update, s));
	label_rate(s, update);
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

/* To the cgroup, as a start would set them; a VM's memory stays as it is. */
static struct err *apply(const struct instance *i, const struct spec *s)
{
	const struct host_facts f = { .memory_bytes = 0 };
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

static bool same_rates(const struct spec *a, const struct spec *b)
{
	return a->net_egress_bps == b->net_egress_bps && a->net_ingress_bps == b->net_ingress_bps;
}

static struct err *apply_rates(const struct instance *i, const struct spec *s)
{
	struct net_link l = { .egress_bps = s->net_egress_bps, .ingress_bps = s->net_ingress_bps };

	for (size_t k = 0; k < i->n_ends; k++) {
		net_ifname_at(i->id, (unsigned)i->ends[k].index, l.host_ifname);
		TRY(net_set_rates(&l));
	}
	return NULL;
}

/* What a guest was given at its boot stays with it. */
static struct err *check_running_vm(const struct instance *i, const struct spec *s)
{
	const struct spec *old = i->spec;
	int64_t milli = spec_demand_cpu_milli(s);

	if (!spec_is_vm(s))
		return NULL;
	if (s->memory_bytes != old->memory_bytes ||
	    s->memory_reservation_bytes != old->memory_reservation_bytes ||
	    s->memory_swap_bytes != old->memory_swap_bytes)
		return err_new(ERR_UNSUPPORTED, "the memory of a running VM cannot be changed");
	if (s->pids_limit != old->pids_limit)
		return err_new(ERR_UNSUPPORTED,
			       "the --pids-limit of a running VM cannot be changed");
	if (i->vcpus && milli > i->vcpus * INT64_C(1000))
		return err_new(ERR_UNSUPPORTED,
			       "the vcpus of a running VM cannot be changed; it has %d", i->vcpus);
	return NULL;
}

static struct err *apply_running(struct instance *i, const struct spec *s)
{
	bool new_rates = !same_rates(i->spec, s);
	struct err *err = NULL;

	if (i->state != INST_RUNNING)
		return NULL;
	TRY(check_running_vm(i, s));
	if (new_rates)
		TRY_MSG(apply_rates(i, s), "--net-rate");
	if (!same_limits(i->spec, s))
		err = apply(i, s);
	if (err && new_rates)
		err_free(apply_rates(i, i->spec));
	return err;
}

/* Its plan was written before the change. */
void update_started(struct instance *i)
{
	OWN(err) struct err *err = NULL;

	if (!i->is_updated)
		return;
	i->is_updated = false;
	err = apply(i, i->spec);
	if (!err)
		err = apply_rates(i, i->spec);
	if (err)
		log_warn("%.12s: update while it started: %s", i->id, err_text(err));
}

/* What it would hold more must be there; what waits must fit the host at all. */
static struct err *check_growth(struct instance *i, struct spec *s)
{
	struct spec *old = i->spec;
	struct amounts held, left;
	struct sched_job job;

	i->spec = s;
	job = queue_job(i);
	i->spec = old;
	if (instance_is_waiting(i))
		return sched_check(i->e->sched, &job);
	if (!sched_held(i->e->sched, i->id, &held))
		return NULL;
	sched_totals(i->e->sched, NULL, NULL, NULL, &left);
	for (enum resource r = 0; r < RES_COUNT; r++) {
		int64_t more = job.demand.v[r] - held.v[r];
		char needs[32], has[32];

		if (r != RES_MANAGE && more > 0 && more > left.v[r])
			return err_new(ERR_LIMIT, "%s: needs %s more, %s free",
				       sched_resource_name(r), sched_amount_text(r, more, needs),
				       sched_amount_text(r, left.v[r], has));
	}
	return NULL;
}

struct err *engine_update(struct engine *e, struct instance *i, const json_t *update,
			  struct strv *ret_warnings)
{
	OWN(spec) struct spec *s = NULL;
	struct sched_job job;
	struct spec *old;

	TRY(migrate_is_still(i));
	TRY(updated(i, update, &s));
	TRY_MSG(check_growth(i, s), "Cannot update container %s", i->id);
	TRY_MSG(apply_running(i, s), "Cannot update container %s", i->id);
	old = i->spec;
	i->spec = TAKE(s);
	spec_free(old);
	job = queue_job(i);
	sched_resize(e->sched, i->id, &job);
	slicing_changed(i);
	i->is_updated |= i->state == INST_STARTING;
	i->spec_dirty = true;
	instance_touch(i);
	engine_queue_dirty(e);
	instance_emit(i, "update", NULL);
	TRY(instance_save_spec(i));
	return engine_commit(e);
}
