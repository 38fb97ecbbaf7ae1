/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "json/fields.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- table ---- */

struct instance *instance_new(struct engine *e, const char *id)
{
	struct instance *i = xnew(struct instance);

	i->e = e;
	snprintf(i->id, sizeof(i->id), "%s", id);
	i->state_dir = engine_path(e, "instances/%s", id);
	i->log_dir = engine_path(e, "instances/%s/log", id);
	i->run_dir = xasprintf("%s/instances/%s", e->c.run, id);
	i->lock_fd = -1;
	i->error = xstrdup("");
	TAILQ_INIT(&i->tickets);
	TAILQ_INIT(&i->parked);
	TAILQ_INSERT_TAIL(&e->instances, i, link);
	e->n_instances++;
	return i;
}

void instance_ports_free(struct instance *i)
{
	for (size_t n = 0; n < i->n_ports; n++) {
		free(i->ports[n].protocol);
		free(i->ports[n].host_ip);
		if (i->port_fds[n] >= 0)
			close(i->port_fds[n]);
	}
	free(TAKE(i->ports));
	free(TAKE(i->port_fds));
	i->n_ports = 0;
}

static void timers_free(struct instance *i)
{
	loop_timer_free(TAKE(i->stop_timer));
	loop_timer_free(TAKE(i->backoff_timer));
	loop_timer_free(TAKE(i->lock_timer));
	loop_timer_free(TAKE(i->notice_timer));
	loop_timer_free(TAKE(i->hint_timer));
}

void instance_free(struct instance *i)
{
	struct engine_ticket *t;

	prep_cancel(i);
	health_stop(i);
	execs_free(i);
	streams_close(i);
	while ((t = TAILQ_FIRST(&i->tickets)))
		ticket_finish(
		    t, err_new(ERR_UNAVAILABLE, "%s is gone", i->spec ? i->spec->name : i->id),
		    NULL);
	shim_conn_close(i->conn);
	shimlink_orphan(i);
	filevm_free(i);
	loop_child_free(i->undo);
	timers_free(i);
	instance_ports_free(i);
	if (i->lock_fd >= 0)
		close(i->lock_fd);
	spec_free(i->spec);
	free(i->error);
	free(i->reason);
	strv_done(&i->after);
	free(i->after_failed);
	free(i->undo_note);
	free(i->told);
	free(i->net_join);
	free(i->ends);
	handover_free(i->handover);
	free(i->state_dir);
	free(i->run_dir);
	free(i->log_dir);
	free(i);
}

void instance_bury(struct instance *i)
{
	struct engine *e = i->e;

	TAILQ_REMOVE(&e->instances, i, link);
	e->n_instances--;
	if (i->on_spawn)
		TAILQ_REMOVE(&e->spawn, i, spawn_link);
	if (i->on_bye) {
		/* Its end is noted by being forgotten. */
		TAILQ_REMOVE(&e->bye, i, bye_link);
		if (i->conn)
			shim_conn_bye(i->conn);
	}
	i->on_spawn = i->on_bye = false;
	timers_free(i); /* none fires before the turn's end */
	TAILQ_INSERT_TAIL(&e->grave, i, grave_link);
}

struct instance *instance_by_id(const struct engine *e, const char *id)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (!strcmp(i->id, id))
		return i;
	return NULL;
}

struct instance *instance_by_name(const struct engine *e, const char *name)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (!strcmp(i->spec->name, name))
		return i;
	return NULL;
}

struct err *engine_find(struct engine *e, const char *ref, struct instance **ret)
{
	const char *name = *ref == '/' ? ref + 1 : ref;
	size_t len = strlen(name), matches = 0;
	struct instance *i = instance_by_id(e, name), *found = NULL;

	if (!i)
		i = instance_by_name(e, name);
	if (i) {
		*ret = i;
		return NULL;
	}
	TAILQ_FOREACH(i, &e->instances, link)
	if (len && !strncmp(i->id, name, len)) {
		found = i;
		matches++;
	}
	if (matches > 1)
		return err_new(ERR_INVALID, "Multiple IDs found with provided prefix: %s", ref);
	if (!found)
		return err_new(ERR_NOT_FOUND, "No such container: %s", ref);
	*ret = found;
	return NULL;
}

void engine_each(struct engine *e, bool (*fn)(void *arg, struct instance *i), void *arg)
{
	struct instance *i, *next;

	for (i = TAILQ_LAST(&e->instances, instance_list); i; i = next) {
		next = TAILQ_PREV(i, instance_list, link);
		if (!fn(arg, i))
			return;
	}
}

/* ---- small questions ---- */

char *instance_cgroup(const struct instance *i)
{
	const char *parent = i->spec->cgroup_parent;

	if (!parent || !*parent)
		parent = i->e->c.cgroup_parent;
	return xasprintf("%s%s/%s", *parent == '/' ? "" : "/", parent, i->id);
}

bool instance_is_alive(const struct instance *i)
{
	return i->state == INST_STARTING || i->state == INST_RUNNING || i->state == INST_STOPPING;
}

bool instance_is_waiting(const struct instance *i)
{
	return i->state == INST_QUEUED || i->state == INST_REQUEUED;
}

const char *instance_kind(const struct instance *i)
{
	return spec_kind_name(i->spec->kind);
}

const struct planner *planner_of(const struct engine *e, const struct spec *s)
{
	for (size_t n = 0; n < e->c.n_planners; n++)
		if (e->c.planners[n].kind == s->kind)
			return &e->c.planners[n];
	abort(); /* hosteld names one for each kind */
}

enum inst_action instance_step(struct instance *i, enum inst_event ev)
{
	struct inst_step s = inst_step(i->state, ev);

	if (s.action == ACT_REFUSE)
		return ACT_REFUSE;
	log_debug("instance=%.12s state=%s next=%s", i->id, inst_state_name(i->state),
		  inst_state_name(s.next));
	i->state = s.next;
	instance_touch(i);
	return s.action;
}

void instance_touch(struct instance *i)
{
	i->run_dirty = true;
	engine_dirty(i->e);
}

static struct engine_endpoint endpoint_view(const struct instance *i,
					    const struct spec_endpoint *said)
{
	const struct network *n = network_by_id(i->e, said->network);
	const struct endpoint *end = instance_end_on(i, said->network);
	bool is_first = said == i->spec->endpoints && i->spec->network_mode;

	return (struct engine_endpoint) {
		.network = n          ? n->name
			   : is_first ? i->spec->network_mode
				      : said->network,
		.network_id = said->network,
		.address = end ? end->address : NULL,
		.mac = end ? end->mac : NULL,
		.gateway = end && n && !n->is_internal ? n->gateway : NULL,
		.prefix_len = end && n ? n->subnet.len : 0,
		.said = said,
	};
}

static void view_endpoints(const struct instance *i, struct instance_view *v)
{
	size_t n = i->spec->n_endpoints;

	v->n_endpoints = n < SPEC_NETWORKS_MAX ? n : SPEC_NETWORKS_MAX;
	for (size_t k = 0; k < v->n_endpoints; k++)
		v->endpoints[k] = endpoint_view(i, &i->spec->endpoints[k]);
	if (!v->n_endpoints)
		return;
	v->address = v->endpoints[0].address;
	v->mac = v->endpoints[0].mac;
	v->gateway = v->endpoints[0].gateway;
	v->prefix_len = v->endpoints[0].prefix_len;
}

void instance_commit(struct instance *i, enum crash_phase then)
{
	OWN(err) struct err *err = NULL;

	instance_touch(i);
	err = engine_commit(i->e);
	if (err)
		log_warn("%.12s: %s", i->id, err_text(err));
	if (then != CRASH_EXEC) /* of which the row says nothing */
		instance_save_run(i);
	crash_point(i->e, then);
}

struct instance_view instance_view(const struct instance *i)
{
	struct instance_view v = {
		.id = i->id,
		.spec = i->spec,
		.state = i->state,
		.is_paused = i->freeze.reasons & (1U << FREEZE_USER),
		.is_sliced = slicing_is_sliced(i),
		.ever_ran = i->ever_ran,
		.is_restarting = i->not_before_ns != 0,
		.pid = i->pid,
		.exit_code = i->exit_code,
		.oom = i->oom,
		.error = i->error,
		.restart_count = i->restart_count,
		.created_ns = i->created_ns,
		.started_ns = i->started_ns,
		.finished_ns = i->finished_ns,
		.queue_reason =
		    instance_is_waiting(i) && !i->not_before_ns ? i->reason : i->preparing,
		.state_dir = i->state_dir,
		.log_dir = i->log_dir,
		.ports = i->ports,
		.image_name = i->spec->image,
		.demand_cpu_milli = spec_demand_cpu_milli(i->spec),
		.demand_memory_bytes = spec_demand_memory_bytes(i->spec),
		.demand_disk_bytes = i->spec->disk_bytes,
		.manage_bytes = i->manage_bytes,
		.image_digest = i->spec->image_id,
		.n_ports = i->n_ports,
	};

	v.operation = operation_text(i);
	v.migration = migrate_view(i, &v.migration_state, &v.migration_peer);
	view_endpoints(i, &v);
	health_view(i, &v);
	return v;
}

/* ---- stored form ---- */

#define F(json, type, member) JSON_FIELD(struct instance, json, type, member)

static const struct json_field run_fields[] = {
	F("ever_ran", JF_BOOL, ever_ran),
	F("oom", JF_BOOL, oom),
	F("manual_stop", JF_BOOL, manual_stop),
	F("held", JF_BOOL, is_held),
	F("held_by", JF_I64, held_by),
	F("queue_place", JF_I64, queue_place),
	F("queued_ns", JF_I64, queued_ns),
	F("restart_asked", JF_BOOL, restart_asked),
	F("over", JF_BOOL, is_over),
	F("removing", JF_BOOL, is_removing),
	F("remove_volumes", JF_BOOL, remove_volumes),
	F("stop_signal", JF_INT, stop_signum),
	F("stop_by_ns", JF_I64, stop_by_ns),
	F("durable", JF_BOOL, durable),
	F("exit_code", JF_INT, exit_code),
	F("error", JF_STR, error),
	F("restart_count", JF_INT, restart_count),
	F("backoff_ns", JF_I64, backoff_ns),
	F("not_before_ns", JF_I64, not_before_ns),
	F("started_ns", JF_I64, started_ns),
	F("finished_ns", JF_I64, finished_ns),
	F("manage_bytes", JF_I64, manage_bytes),
	F("vcpus", JF_INT, vcpus),
	F("health", JF_INT, health_state),
	F("arrival_ns", JF_I64, account.arrival_ns),
	F("admission_ns", JF_I64, account.admission_ns),
	F("start_ns", JF_I64, account.start_ns),
	F("finish_ns", JF_I64, account.finish_ns),
	F("paused_ns", JF_I64, account.paused_ns),
	F("sliced_ns", JF_I64, account.sliced_ns),
	F("paused_at_ns", JF_I64, paused_at_ns),
	F("net_join", JF_STR, net_join),
	F("event_number", JF_I64, event_number),
};

static json_t *ports_json(const struct instance *i)
{
	json_t *a = json_array();

	for (size_t n = 0; n < i->n_ports; n++) {
		const struct spec_port *p = &i->ports[n];

		json_array_append_new(a, json_pack("{s:s, s:i, s:s, s:i}", "proto", p->protocol,
						   "port", p->container_port, "ip",
						   p->host_ip ? p->host_ip : "", "host_port",
						   p->host_port));
	}
	return a;
}

static json_t *ends_json(const struct instance *i)
{
	json_t *a = json_array();

	for (size_t k = 0; k < i->n_ends; k++) {
		const struct endpoint *end = &i->ends[k];

		json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:i, s:b, s:b}", "network",
						   end->network, "address", end->address, "mac",
						   end->mac, "index", end->index, "route",
						   end->has_route, "hot", end->is_hot));
	}
	return a;
}

json_t *instance_run_json(const struct instance *i)
{
	json_t *j = json_object();

	json_object_set_new(j, "state", json_string(inst_state_name(i->state)));
	json_write_fields(run_fields, ARRAY_SIZE(run_fields), i, j);
	json_object_set_new(j, "pid", json_integer(i->pid));
	json_object_set_new(j, "frozen", json_integer(i->freeze.reasons));
	if (i->n_ends)
		json_object_set_new(j, "ends", ends_json(i));
	if (i->n_ports)
		json_object_set_new(j, "ports", ports_json(i));
	if (i->handover)
		json_object_set_new(j, "handover", handover_json(i->handover));
	return j;
}

void instance_save_run(const struct instance *i)
{
	OWN(json) json_t *j = instance_run_json(i);
	OWN(mem) char *path = xasprintf("%s/run.json", i->state_dir);
	OWN(err) struct err *err = jx_save(AT_FDCWD, path, j, 0600);

	if (err)
		log_warn("%.12s: %s", i->id, err_text(err));
}

static json_t *spec_document(const struct instance *i)
{
	json_t *j = json_object();

	json_object_set_new(j, "version", json_integer(1));
	json_object_set_new(j, "created_ns", json_integer(i->created_ns));
	json_object_set_new(j, "spec", spec_to_json(i->spec));
	return j;
}

struct err *instance_save_spec(const struct instance *i)
{
	OWN(json) json_t *j = spec_document(i);
	OWN(mem) char *path = xasprintf("%s/spec.json", i->state_dir);

	return jx_save(AT_FDCWD, path, j, 0600);
}

struct err *instance_write(struct instance *i)
{
	OWN(json) json_t *run = instance_run_json(i);

	if (i->spec_dirty) {
		OWN(json) json_t *doc = spec_document(i);

		TRY(store_put(i->e->store, STORE_INSTANCE, i->id, i->spec->name, doc));
	}
	return store_put(i->e->store, STORE_RUN, i->id, NULL, run);
}

static enum inst_state state_parse(const char *name)
{
	enum inst_state s = 0;

	while (s < INST_STATES && strcmp(inst_state_name(s), name))
		s++;
	return s < INST_STATES ? s : INST_CREATED;
}

static void read_ports(struct instance *i, const json_t *a)
{
	size_t n;
	json_t *p;

	i->ports = xcalloc(json_array_size(a) + 1, sizeof(*i->ports));
	i->port_fds = xcalloc(json_array_size(a) + 1, sizeof(*i->port_fds));
	json_array_foreach(a, n, p)
	{
		i->port_fds[i->n_ports] = -1;
		i->ports[i->n_ports++] = (struct spec_port) {
			.protocol = xstrdup(jx_str(p, "proto", "tcp")),
			.container_port = (int)jx_int(p, "port", 0),
			.host_ip = xstrdup(jx_str(p, "ip", "")),
			.host_port = (int)jx_int(p, "host_port", 0),
		};
	}
}

static void read_ends(struct instance *i, const json_t *a)
{
	size_t n;
	json_t *o;

	i->ends = xcalloc(json_array_size(a) + 1, sizeof(*i->ends));
	json_array_foreach(a, n, o)
	{
		struct endpoint *end = &i->ends[i->n_ends++];

		snprintf(end->network, sizeof(end->network), "%s", jx_str(o, "network", ""));
		snprintf(end->address, sizeof(end->address), "%s", jx_str(o, "address", ""));
		snprintf(end->mac, sizeof(end->mac), "%s", jx_str(o, "mac", ""));
		end->index = (int)jx_int(o, "index", 0);
		end->has_route = jx_bool(o, "route", false);
		end->is_hot = jx_bool(o, "hot", false);
	}
}

/* Written before there were several networks. */
static void read_old_end(struct instance *i, const json_t *run)
{
	OWN(json)
	json_t *a =
	    json_pack("[{s:s, s:s, s:s, s:b}]", "network", NETWORK_DEFAULT, "address",
		      jx_str(run, "address", ""), "mac", jx_str(run, "mac", ""), "route", 1);

	if (*jx_str(run, "address", ""))
		read_ends(i, a);
}

static struct err *read_run(struct instance *i, const json_t *run)
{
	TRY(json_read_fields(run_fields, ARRAY_SIZE(run_fields), run, i));
	i->state = state_parse(jx_str(run, "state", "created"));
	i->pid = (pid_t)jx_int(run, "pid", 0);
	i->freeze.reasons = (unsigned)jx_int(run, "frozen", 0) &
			    (1U << FREEZE_USER); /* the rest is ours, and over */
	if (json_object_get(run, "address"))
		read_old_end(i, run);
	else
		read_ends(i, json_object_get(run, "ends"));
	read_ports(i, json_object_get(run, "ports"));
	i->handover = handover_read(json_object_get(run, "handover"));
	return NULL;
}

struct err *instance_read(struct engine *e, const char *id, const json_t *doc, const json_t *run,
			  struct instance **ret)
{
	OWN(spec) struct spec *s = NULL;
	struct instance *i;

	TRY(spec_from_json(json_object_get(doc, "spec"), &s));
	i = instance_new(e, id);
	i->spec = TAKE(s);
	/* Written before there were several networks. */
	if (!json_object_get(json_object_get(doc, "spec"), "Endpoints"))
		TRY(networks_settle(e, i->spec));
	i->created_ns = jx_int(doc, "created_ns", 0);
	if (run)
		TRY(read_run(i, run));
	eventlog_seen(e, i->event_number);
	*ret = i;
	return NULL;
}
