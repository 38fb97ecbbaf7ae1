/* SPDX-License-Identifier: Apache-2.0 */
/* /hostel/v1/: what Docker has no word for.  src/api/openapi.json is the contract. */
#include "api/api_int.h"

#include <inttypes.h>

#include "api/docker_spec.h"
#include "json/fields.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

struct err *hst_openapi(struct call *c)
{
	call_text(c, 200, "application/json", api_openapi);
	return NULL;
}

/* ---- instances ---- */

static json_t *port_objects(const struct instance_view *v)
{
	json_t *a = json_array();

	for (size_t i = 0; i < v->n_ports; i++)
		json_array_append_new(a, json_pack("{s:s, s:i, s:s, s:i}", "protocol",
						   v->ports[i].protocol, "container_port",
						   v->ports[i].container_port, "host_ip",
						   v->ports[i].host_ip ? v->ports[i].host_ip : "",
						   "host_port", v->ports[i].host_port));
	return a;
}

static json_t *user_name(int64_t uid)
{
	OWN(mem) char *name = engine_user_name(uid);

	return jx_string(name);
}

static const char *shown_state(const struct instance_view *v)
{
	return v->is_paused && v->state == INST_RUNNING ? "paused" : inst_state_name(v->state);
}

/* null, or where it is on its way to or from */
static json_t *migration_json(const struct instance_view *v)
{
	if (!v->migration_state)
		return json_null();
	return json_pack("{s:s, s:s, s:s?}", "state", v->migration_state, "peer", v->migration_peer,
			 "shown", v->migration);
}

static json_t *instance_document(const struct instance_view *v)
{
	const struct spec *s = v->spec;
	OWN(str) struct str status = { 0 };
	json_t *j = json_object();

	docker_status(v, clock_wall_ns(), &status);
	jx_set_str(j, "id", v->id);
	jx_set_str(j, "name", s->name);
	jx_set_str(j, "kind", spec_kind_name(s->kind));
	jx_set_str(j, "image", v->image_name ? v->image_name : s->image ? s->image : "");
	jx_set_str(j, "state", shown_state(v));
	jx_set_str(j, "status", status.buf);
	json_object_set_new(j, "sliced", json_boolean(v->is_sliced));
	jx_set_str(j, "reason", v->queue_reason);
	jx_set_str(j, "operation", v->operation);
	json_object_set_new(j, "migration", migration_json(v));
	json_object_set_new(j, "demand",
			    json_pack("{s:I, s:I, s:I}", "cpu_milli",
				      (json_int_t)v->demand_cpu_milli, "memory_bytes",
				      (json_int_t)v->demand_memory_bytes, "disk_bytes",
				      (json_int_t)v->demand_disk_bytes));
	json_object_set_new(j, "limit",
			    json_pack("{s:I, s:I, s:i}", "cpu_milli", (json_int_t)s->cpu_milli,
				      "memory_bytes", (json_int_t)s->memory_bytes, "vcpus",
				      s->vcpus));
	json_object_set_new(j, "manage_bytes", json_integer(v->manage_bytes));
	jx_set_str(j, "address", v->address);
	json_object_set_new(j, "ports", port_objects(v));
	json_object_set_new(j, "uid", json_integer(s->uid));
	json_object_set_new(j, "user", user_name(s->uid));
	json_object_set_new(j, "pid", json_integer(v->pid));
	json_object_set_new(j, "exit_code", json_integer(v->exit_code));
	json_object_set_new(j, "oom", json_boolean(v->oom));
	jx_set_str(j, "error", v->error ? v->error : "");
	json_object_set_new(j, "restart_count", json_integer(v->restart_count));
	json_object_set_new(j, "created_ns", json_integer(v->created_ns));
	json_object_set_new(j, "started_ns", json_integer(v->started_ns));
	json_object_set_new(j, "finished_ns", json_integer(v->finished_ns));
	return j;
}

struct listing {
	bool all, only_vms;
	json_t *out;
};

static bool list_one(void *arg, struct instance *i)
{
	struct listing *l = arg;
	struct instance_view v = instance_view(i);

	if ((l->all || v.state != INST_EXITED || v.migration) &&
	    (!l->only_vms || spec_is_vm(v.spec)))
		json_array_append_new(l->out, instance_document(&v));
	return true;
}

static struct err *list(struct call *c, bool only_vms)
{
	struct listing l = { .all = call_flag(c, "all"),
			     .only_vms = only_vms,
			     .out = json_array() };

	engine_each(c->api->engine, list_one, &l);
	call_json(c, 200, l.out);
	return NULL;
}

struct err *hst_list(struct call *c)
{
	return list(c, false);
}

struct err *hst_vm_list(struct call *c)
{
	return list(c, true);
}

struct err *hst_inspect(struct call *c)
{
	struct instance_view v;
	struct instance *i;

	TRY(call_instance(c, &i));
	v = instance_view(i);
	call_json(c, 200, instance_document(&v));
	return NULL;
}

/* ---- machines ---- */

static const struct json_field disk_fields[] = {
	JSON_FIELD(struct spec_disk, "path", JF_STR, path),
	JSON_FIELD(struct spec_disk, "format", JF_STR, format),
	JSON_FIELD(struct spec_disk, "overlay", JF_BOOL, overlay),
	JSON_FIELD(struct spec_disk, "readonly", JF_BOOL, readonly),
	JSON_RANGE(struct spec_disk, "new_bytes", JF_I64, new_bytes, 0, INT64_MAX),
};

static const struct json_field port_fields[] = {
	JSON_FIELD(struct spec_port, "protocol", JF_STR, protocol),
	JSON_RANGE(struct spec_port, "container_port", JF_INT, container_port, 1, 65535),
	JSON_FIELD(struct spec_port, "host_ip", JF_STR, host_ip),
	JSON_RANGE(struct spec_port, "host_port", JF_INT, host_port, 0, 65535),
};

static struct err *read_restart(const json_t *j, void *slot)
{
	if (!json_is_string(j))
		return err_new(ERR_INVALID, "expected a string");
	return docker_restart_read(json_string_value(j), container_of(slot, struct spec, restart));
}

#define F(name, type, member) JSON_FIELD(struct spec, name, type, member)
#define N(name, member)       JSON_RANGE(struct spec, name, JF_I64, member, 0, INT64_MAX)

static const struct json_field machine_fields[] = {
	F("name", JF_STR, name),
	N("memory_bytes", memory_bytes),
	JSON_RANGE(struct spec, "vcpus", JF_INT, vcpus, 0, 1024),
	N("cpu_milli", cpu_milli),
	JSON_ARRAY(struct spec, "disks", disks, n_disks, disk_fields),
	F("kernel", JF_STR, kernel),
	F("initrd", JF_STR, initrd),
	F("append", JF_STR, append),
	F("firmware", JF_STR, firmware),
	F("accel", JF_STR, accel),
	F("machine_type", JF_STR, machine_type),
	F("hostname", JF_STR, hostname),
	F("network", JF_STR, network_mode),
	F("mac_address", JF_STR, mac_address),
	JSON_ARRAY(struct spec, "ports", ports, n_ports, port_fields),
	N("net_egress_bps", net_egress_bps),
	N("net_ingress_bps", net_ingress_bps),
	JSON_CODEC(struct spec, "restart", restart, read_restart, NULL),
	F("auto_remove", JF_BOOL, auto_remove),
	F("labels", JF_MAP, labels),
	JSON_RANGE(struct spec, "stop_timeout_s", JF_INT, stop_timeout_s, -1, INT32_MAX),
	F("queue_wait", JF_BOOL, queue_wait),
	F("priority", JF_I64, priority),
	N("expect_ns", expect_ns),
	JSON_RANGE(struct spec, "uid", JF_I64, uid, 0, UINT32_MAX - 1),
};

static struct err *check_network(const struct spec *s)
{
	if (spec_has_own_network(s) || streq(s->network_mode, "none"))
		return NULL;
	return err_new(ERR_INVALID, "network is bridge, none or a network's name, not \"%s\"",
		       s->network_mode);
}

static struct err *read_machine(struct call *c, struct spec **ret)
{
	OWN(spec) struct spec *s = spec_new();
	const char *unknown;

	if (!c->body)
		return err_new(ERR_INVALID, "a machine must be described");
	unknown = json_unknown_field(machine_fields, ARRAY_SIZE(machine_fields), c->body);
	if (unknown)
		return err_new(ERR_INVALID, "unknown member \"%s\"", unknown);
	s->kind = SPEC_MACHINE;
	s->uid = http_peer_uid(c->r);
	TRY(json_read_fields(machine_fields, ARRAY_SIZE(machine_fields), c->body, s));
	if (s->uid != http_peer_uid(c->r) && http_peer_uid(c->r) != 0)
		return err_new(ERR_DENIED, "only root may create an instance for another user");
	for (size_t i = 0; i < s->n_ports; i++)
		if (!s->ports[i].protocol)
			str_set(&s->ports[i].protocol, "tcp");
	TRY(check_network(s));
	TRY(docker_labels_read(s));
	TRY(spec_check(s));
	*ret = TAKE(s);
	return NULL;
}

struct err *hst_vm_create(struct call *c)
{
	OWN(strv) struct strv warnings = { 0 };
	OWN(spec) struct spec *s = NULL;
	struct instance *i;

	TRY(read_machine(c, &s));
	TRY(engine_create(c->api->engine, TAKE(s), &i, &warnings));
	call_json(c, 201,
		  json_pack("{s:s, s:s, s:o}", "id", instance_view(i).id, "name",
			    instance_view(i).spec->name, "warnings", jx_from_strv(&warnings)));
	return NULL;
}

/* ---- start, with the reason it waits ---- */

struct start {
	struct call *call;
	struct loop_timer *timeout, *refuse;
	char *reason;
	bool no_wait, queued;
};

static void start_free(void *arg)
{
	struct start *s = arg;

	loop_timer_free(s->timeout);
	loop_timer_free(s->refuse);
	free(s->reason);
	free(s);
}

static void start_stop(struct call *c)
{
	struct start *s = c->state;

	loop_timer_stop(s->timeout);
	loop_timer_stop(s->refuse);
}

static void end_with(struct call *c, json_t *line)
{
	start_stop(c);
	call_line(c, line);
	call_stream_end(c);
}

static json_t *error_line(const char *text, enum err_kind kind)
{
	json_t *j = json_object();

	jx_set_str(j, "error", text);
	jx_set_str(j, "kind", api_kind_name(kind));
	return j;
}

static void on_started(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;
	const struct start *s = c->state;

	(void)result;
	c->ticket = NULL;
	if (e)
		end_with(c, error_line(err_text(e), err_kind(e)));
	else if (s->queued)
		end_with(c, json_pack("{s:b}", "queued", 1));
	else
		end_with(c, json_pack("{s:b, s:b}", "started", 1, "already", 0));
	err_free(e);
}

static void withdraw(struct start *s, enum err_kind kind)
{
	struct call *c = s->call;
	OWN(mem)
	char *text = xasprintf("not started: %s", s->reason ? s->reason : "it would have to wait");

	if (!c->ticket)
		return;
	engine_cancel(TAKE(c->ticket));
	end_with(c, error_line(text, kind));
}

static void on_timeout(void *arg)
{
	withdraw(arg, ERR_UNAVAILABLE);
}

static void on_refuse(void *arg)
{
	withdraw(arg, ERR_LIMIT);
}

static void on_reason(void *arg, const char *reason)
{
	struct start *s = arg;

	if (!reason || !s->call->stream)
		return;
	str_set(&s->reason, reason);
	/* Not from within the engine's own call. */
	if (s->no_wait)
		loop_timer_start(s->refuse, 0);
	else
		call_line(s->call, json_pack("{s:o}", "waiting", jx_string(reason)));
}

static struct err *read_hold(struct call *c, enum engine_hold *ret)
{
	static const char *const names[] = { "client", "limited", "queue" };
	static const enum engine_hold holds[] = { HOLD_CLIENT, HOLD_LIMITED, HOLD_QUEUE };
	const char *text = call_query(c, "hold");

	*ret = HOLD_CLIENT;
	for (size_t i = 0; text && *text && i <= ARRAY_SIZE(names); i++) {
		if (i == ARRAY_SIZE(names))
			return err_new(ERR_INVALID, "hold is client, limited or queue, not \"%s\"",
				       text);
		*ret = holds[i];
		if (streq(text, names[i]))
			break;
	}
	return NULL;
}

static void begin_start(struct call *c, struct instance *i, enum engine_hold hold,
			int64_t timeout_ns)
{
	struct start *s = c->state;
	bool already = false;
	struct err *e;

	call_stream(c, "application/x-ndjson");
	e = engine_start(c->api->engine, i, hold,
			 (struct engine_done) { .fn = on_started, .arg = c }, &already, &c->ticket);
	if (e) {
		end_with(c, error_line(err_text(e), err_kind(e)));
		err_free(e);
		return;
	}
	if (already) {
		c->ticket = NULL;
		end_with(c, json_pack("{s:b, s:b}", "started", 1, "already", 1));
		return;
	}
	if (timeout_ns)
		loop_timer_start(s->timeout, timeout_ns);
	if (c->ticket)
		engine_on_reason(c->ticket, on_reason, s);
}

struct err *hst_start(struct call *c)
{
	const char *timeout = call_query(c, "wait_timeout");
	enum engine_hold hold;
	int64_t timeout_ns = 0;
	struct instance *i;
	struct start *s;

	TRY(call_instance(c, &i));
	TRY(read_hold(c, &hold));
	if (timeout && *timeout)
		TRY_MSG(num_parse_duration(timeout, &timeout_ns), "wait_timeout");
	s = xnew(struct start);
	s->call = c;
	s->no_wait = call_flag(c, "no_wait");
	s->queued = hold == HOLD_QUEUE;
	s->timeout = loop_timer_new(c->api->loop, on_timeout, s);
	s->refuse = loop_timer_new(c->api->loop, on_refuse, s);
	c->state = s;
	c->state_free = start_free;
	c->stop = start_stop;
	begin_start(c, i, hold, timeout_ns);
	return NULL;
}

/* ---- wait ---- */

static void on_waited(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	c->ticket = NULL;
	if (e)
		call_error(c, e);
	else
		call_json(
		    c, 200,
		    json_pack("{s:I}", "exit_code", (json_int_t)jx_int(result, "StatusCode", 0)));
}

struct err *hst_wait(struct call *c)
{
	static const char *const names[] = { "running", "exited", "removed", "healthy" };
	static const enum engine_wait waits[] = { WAIT_RUNNING, WAIT_EXITED, WAIT_REMOVED,
						  WAIT_HEALTHY };
	const char *until = call_query(c, "until");
	struct instance *i;
	size_t k = 0;

	TRY(call_instance(c, &i));
	while (k < ARRAY_SIZE(names) && !streq(names[k], until))
		k++;
	if (k == ARRAY_SIZE(names))
		return err_new(ERR_INVALID,
			       "until is running, exited, removed or healthy, not \"%.64s\"",
			       until ? until : "");
	c->ticket = engine_wait(c->api->engine, i, waits[k],
				(struct engine_done) { .fn = on_waited, .arg = c });
	call_cancel_when_gone(c);
	return NULL;
}

/* ---- numbers, configuration, kernels ---- */

static struct err *answer(struct call *c, json_t *j)
{
	call_json(c, 200, j ? j : json_object());
	return NULL;
}

struct err *hst_queue(struct call *c)
{
	return answer(c, engine_queue(c->api->engine));
}

struct err *hst_policy(struct call *c)
{
	return answer(c, engine_policy(c->api->engine));
}

struct err *hst_policy_set(struct call *c)
{
	TRY(engine_policy_set(c->api->engine, c->body));
	return hst_policy(c);
}

struct err *hst_resources(struct call *c)
{
	return answer(c, engine_resources(c->api->engine));
}

/* A number or a moment of the query; absent: 0. */
static struct err *query_number(const struct call *c, const char *key, int64_t *ret)
{
	const char *text = call_query(c, key);

	if (text && *text)
		TRY_MSG(num_parse_i64(text, 0, INT64_MAX, ret), "%s", key);
	return NULL;
}

static struct err *query_moment(const struct call *c, const char *key, int64_t *ret)
{
	const char *text = call_query(c, key);

	if (text && *text)
		TRY_MSG(docker_time_read(text, clock_wall_ns(), ret), "%s", key);
	return NULL;
}

/* Records know users by number: their names, asked for once per run of the same. */
static void name_users(json_t *starts)
{
	OWN(json) json_t *name = NULL;
	int64_t last = -1;
	json_t *j;
	size_t i;

	json_array_foreach(starts, i, j)
	{
		int64_t uid = jx_int(j, "uid", -1);

		if (uid < 0)
			continue;
		if (uid != last) {
			json_decref(name);
			name = user_name(uid);
			last = uid;
		}
		json_object_set(j, "user", name);
	}
}

struct err *hst_accounting(struct call *c)
{
	struct engine_accounts which = { 0 };
	json_t *doc;

	TRY(query_number(c, "before", &which.before));
	TRY(query_number(c, "limit", &which.limit));
	TRY(query_moment(c, "since", &which.since_ns));
	TRY(query_moment(c, "until", &which.until_ns));
	doc = engine_accounting(c->api->engine, &which);
	name_users(json_object_get(doc, "starts"));
	return answer(c, doc);
}

struct err *hst_info(struct call *c)
{
	return answer(c, engine_info(c->api->engine));
}

struct err *hst_kernels(struct call *c)
{
	return answer(c, engine_kernels(c->api->engine));
}

struct err *hst_config(struct call *c)
{
	return answer(c, c->api->config ? json_incref((json_t *)(uintptr_t)c->api->config)
					: json_array());
}

static void on_kernel(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	c->job = NULL;
	if (e)
		call_error(c, e);
	else
		call_json(c, 201,
			  result ? json_incref((json_t *)(uintptr_t)result) : json_object());
}

struct err *hst_kernel_add(struct call *c)
{
	static const char *const members[] = { "name", "source", "modules" };
	struct engine_job_io io = { .data_fd = -1 };
	json_t *job = json_pack("{s:s}", "job", "kernel-add");
	const char *source = jx_str(c->body, "source", "");

	if (source[0] != '/') {
		json_decref(job);
		return err_new(ERR_INVALID, "source must be an absolute path");
	}
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *value = jx_str(c->body, members[i], NULL);

		if (value)
			jx_set_str(job, members[i], value);
	}
	TRY(engine_job_start(c->api->engine, job, &io,
			     (struct engine_done) { .fn = on_kernel, .arg = c }, &c->job));
	call_cancel_when_gone(c);
	return NULL;
}

struct err *hst_kernel_remove(struct call *c)
{
	TRY(engine_kernel_remove(c->api->engine, call_param(c, "name")));
	call_empty(c, 204);
	return NULL;
}
