/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"

#include <regex.h>
#include <stdio.h>
#include <sys/stat.h>

#include "api/docker_spec.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

/* ---- list ---- */

static const char *const list_filters[] = { "ancestor", "before",    "expose",  "exited", "health",
					    "id",       "isolation", "is-task", "label",  "label!",
					    "name",     "network",   "publish", "since",  "status",
					    "volume",   "until",     NULL };

struct listing {
	struct call *call;
	struct docker_filters filters;
	bool all;
	int64_t limit, before_ns, since_ns, now_ns;
	json_t *out;
	const json_t *sizes; /* NULL: not asked for */
};

static bool name_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;
	OWN(mem) char *slashed = xasprintf("/%s", v->spec->name);
	regex_t re;
	bool matches;

	if (regcomp(&re, value, REG_EXTENDED | REG_NOSUB))
		return false;
	matches = !regexec(&re, v->spec->name, 0, NULL, 0) || !regexec(&re, slashed, 0, NULL, 0);
	regfree(&re);
	return matches;
}

static bool id_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	return !strncmp(v->id, value, strlen(value));
}

static bool status_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	return streq(docker_state(v), value) || streq(inst_state_name(v->state), value);
}

static bool health_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	return streq(health_name(v->health), value);
}

static bool exited_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	return streq(docker_state(v), "exited") && v->exit_code == atoi(value);
}

static bool ancestor_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;
	const char *id = v->spec->image_id ? v->spec->image_id : "";
	const char *hex = strchr(id, ':') ? strchr(id, ':') + 1 : id;
	OWN(mem) char *latest = xasprintf("%s:latest", value);

	return streq(v->spec->image, value) || streq(v->spec->image, latest) ||
	       streq(v->image_name, value) || streq(v->image_name, latest) || streq(id, value) ||
	       (strlen(value) >= 12 && !strncmp(hex, value, strlen(value)));
}

static bool volume_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	for (size_t i = 0; i < v->spec->n_mounts; i++)
		if (streq(v->spec->mounts[i].source, value) ||
		    streq(v->spec->mounts[i].target, value))
			return true;
	return false;
}

static bool network_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;
	const char *mode = v->spec->network_mode;
	char id[65];

	for (size_t k = 0; k < v->n_endpoints; k++)
		if (streq(v->endpoints[k].network, value) ||
		    streq(docker_network_id(v->endpoints[k].network_id, id), value))
			return true;
	return !spec_has_own_network(v->spec) &&
	       (streq(mode, value) || streq(docker_network_id(mode, id), value));
}

static bool isolation_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;

	return streq(spec_is_vm(v->spec) ? "vm" : "container", value);
}

static bool port_matches(const void *thing, const char *value)
{
	const struct instance_view *v = thing;
	int port = atoi(value);

	for (size_t i = 0; i < v->n_ports; i++)
		if (v->ports[i].container_port == port || v->ports[i].host_port == port)
			return true;
	return false;
}

static const struct {
	const char *key;
	bool (*fn)(const void *thing, const char *value);
} matchers[] = {
	{ "name", name_matches },         { "id", id_matches },
	{ "status", status_matches },     { "exited", exited_matches },
	{ "ancestor", ancestor_matches }, { "volume", volume_matches },
	{ "network", network_matches },   { "isolation", isolation_matches },
	{ "health", health_matches },     { "publish", port_matches },
	{ "expose", port_matches },
};

static bool passes(const struct docker_filters *f, const struct instance_view *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(matchers); i++)
		if (!docker_filter_match(f, matchers[i].key, matchers[i].fn, v))
			return false;
	return docker_filter_labels(f, &v->spec->labels);
}

static bool is_listed(const struct listing *l, const struct instance_view *v)
{
	bool alive = v->state == INST_RUNNING || v->state == INST_STOPPING || v->is_restarting;

	if (!l->all && !alive)
		return false;
	if ((l->before_ns && v->created_ns >= l->before_ns) ||
	    (l->since_ns && v->created_ns <= l->since_ns))
		return false;
	return passes(&l->filters, v);
}

static bool list_one(void *arg, struct instance *i)
{
	struct listing *l = arg;
	struct instance_view v = instance_view(i);
	struct docker_paths paths = call_paths(l->call);
	json_t *j;

	if (!is_listed(l, &v))
		return true;
	j = docker_summary(&v, &paths, l->now_ns);
	if (l->sizes)
		call_add_sizes(l->call, &v, l->sizes, j);
	json_array_append_new(l->out, j);
	return l->limit <= 0 || (int64_t)json_array_size(l->out) < l->limit;
}

static struct err *bound(struct call *c, const struct docker_filters *f, const char *key,
			 int64_t *ret_ns)
{
	const char *ref = docker_filter_first(f, key);
	struct instance *i;

	if (!ref)
		return NULL;
	TRY(engine_find(c->api->engine, ref, &i));
	*ret_ns = instance_view(i).created_ns;
	return NULL;
}

/* Docker's words, and ours for what it shows as created. */
static struct err *check_status(const struct docker_filters *f)
{
	static const char *const docker[] = { "created", "restarting", "running", "removing",
					      "paused",  "exited",     "dead" };

	for (size_t i = 0; i < f->keys.n; i++) {
		bool known = strcmp(f->keys.v[i], "status") != 0;

		for (size_t n = 0; n < ARRAY_SIZE(docker) && !known; n++)
			known = streq(f->values.v[i], docker[n]);
		for (int s = 0; s < INST_STATES && !known; s++)
			known = streq(f->values.v[i], inst_state_name((enum inst_state)s));
		if (!known)
			return err_new(ERR_INVALID, "invalid filter 'status=%.64s'",
				       f->values.v[i]);
	}
	return NULL;
}

static struct err *list(struct call *c, const json_t *sizes)
{
	OWN(filters) struct docker_filters f = { 0 };
	struct listing l = { .call = c, .now_ns = clock_wall_ns(), .sizes = sizes };

	TRY(docker_filters_read(call_query(c, "filters"), list_filters, &f));
	TRY(check_status(&f));
	TRY(call_int(c, "limit", 0, &l.limit));
	TRY(bound(c, &f, "before", &l.before_ns));
	TRY(bound(c, &f, "since", &l.since_ns));
	l.all = call_flag(c, "all") || l.limit > 0 || docker_filter_first(&f, "status") ||
		docker_filter_first(&f, "exited") || l.before_ns || l.since_ns;
	l.filters = f;
	l.out = json_array();
	engine_each(c->api->engine, list_one, &l);
	call_json(c, 200, l.out);
	return NULL;
}

struct err *ctr_list(struct call *c)
{
	return call_flag(c, "size") ? call_with_sizes(c, NULL, false, list) : list(c, NULL);
}

/* ---- create, inspect ---- */

/* --mount type=bind does not make a folder that is missing, unlike -v. */
static struct err *check_bind_sources(const struct spec *s)
{
	struct stat st;

	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (m->type == MOUNT_BIND && !m->create_source && m->source &&
		    stat(m->source, &st) < 0)
			return err_new(ERR_INVALID,
				       "invalid mount config for type \"bind\": bind source path "
				       "does not exist: %s",
				       m->source);
	}
	return NULL;
}

struct err *call_owner(const struct call *c, struct spec *s)
{
	int64_t peer = http_peer_uid(c->r);

	if (!strmap_get(&s->labels, "hostel.uid"))
		s->uid = peer;
	return s->uid == peer || peer == 0
		   ? NULL
		   : err_new(ERR_DENIED, "only root may create an instance for another user");
}

static struct err *check_platform(struct call *c)
{
	const char *platform = call_query(c, "platform");

	if (!platform || !*platform || !strncmp(platform, "linux/amd64", 11) ||
	    streq(platform, "linux"))
		return NULL;
	return err_new(ERR_NOT_FOUND, "no image for platform %s: this host runs linux/amd64",
		       platform);
}

struct err *ctr_create(struct call *c)
{
	OWN(spec) struct spec *s = NULL;
	OWN(strv) struct strv warnings = { 0 };
	struct instance *i;

	if (!c->body)
		return err_new(ERR_INVALID,
			       "config cannot be empty in order to create a container");
	TRY(check_platform(c));
	TRY(docker_spec_read(call_query(c, "name"), c->body, &s));
	TRY(call_owner(c, s));
	if (!s->image || !*s->image)
		return err_new(ERR_INVALID, "no image specified");
	TRY(spec_check(s));
	TRY(check_bind_sources(s));
	TRY(engine_create(c->api->engine, TAKE(s), &i, &warnings));
	call_json(c, 201,
		  json_pack("{s:s, s:o}", "Id", instance_view(i).id, "Warnings",
			    jx_from_strv(&warnings)));
	return NULL;
}

static struct err *inspect(struct call *c, const json_t *sizes)
{
	struct docker_paths paths = call_paths(c);
	struct instance_view v;
	struct instance *i;
	json_t *j;

	TRY(call_instance(c, &i));
	v = instance_view(i);
	j = docker_inspect(&v, &paths);
	if (sizes)
		call_add_sizes(c, &v, sizes, j);
	call_json(c, 200, j);
	return NULL;
}

struct err *ctr_inspect(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return call_flag(c, "size") ? call_with_sizes(c, i, false, inspect) : inspect(c, NULL);
}

/* ---- verbs ---- */

static void on_started(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	(void)result;
	c->ticket = NULL;
	if (e)
		call_error(c, e);
	else
		call_empty(c, 204);
}

struct err *ctr_start(struct call *c)
{
	struct engine_done done = { .fn = on_started, .arg = c };
	struct instance *i;
	bool already = false;

	TRY(call_instance(c, &i));
	if (c->body && json_object_size(c->body))
		return err_new(ERR_INVALID, "starting container with non-empty request body was "
					    "deprecated since API v1.22 and removed in v1.24");
	if (call_query(c, "checkpoint") && *call_query(c, "checkpoint"))
		return chk_start(c, i);
	TRY(engine_start(c->api->engine, i, HOLD_AUTO, done, &already, &c->ticket));
	if (already)
		call_empty(c, 304);
	else
		call_cancel_when_gone(c);
	return NULL;
}

/* ?t=seconds, ?signal= */
struct how_to_stop {
	const char *signal;
	int64_t timeout_s;
};

static struct err *read_stop(struct call *c, struct how_to_stop *ret)
{
	const char *signal = call_query(c, "signal");

	ret->signal = signal && *signal ? signal : NULL;
	return call_int(c, "t", -1, &ret->timeout_s);
}

struct err *ctr_stop(struct call *c)
{
	struct how_to_stop how;
	struct instance *i;
	bool already = false;

	TRY(call_instance(c, &i));
	TRY(read_stop(c, &how));
	TRY(engine_stop(c->api->engine, i, how.signal, (int)how.timeout_s, call_done(c, 204),
			&already));
	if (already)
		call_empty(c, 304);
	return NULL;
}

struct err *ctr_restart(struct call *c)
{
	struct how_to_stop how;
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(read_stop(c, &how));
	return engine_restart(c->api->engine, i, how.signal, (int)how.timeout_s, call_done(c, 204));
}

struct err *ctr_kill(struct call *c)
{
	const char *signal = call_query(c, "signal");
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_kill(c->api->engine, i, signal && *signal ? signal : "KILL"));
	call_empty(c, 204);
	return NULL;
}

struct err *ctr_pause(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_pause(c->api->engine, i, true, call_done(c, 204));
}

struct err *ctr_unpause(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_pause(c->api->engine, i, false, call_done(c, 204));
}

struct err *ctr_rename(struct call *c)
{
	const char *name = call_query(c, "name");
	struct instance *i;

	TRY(call_instance(c, &i));
	if (!name || !*name)
		return err_new(ERR_INVALID, "Neither old nor new names may be empty");
	name += name[0] == '/';
	TRY_MSG(spec_check_name(name), "Error when allocating new name");
	TRY(engine_rename(c->api->engine, i, name));
	call_empty(c, 204);
	return NULL;
}

/* hostel's own member "NetRate", as --net-rate writes it, beside Docker's. */
static struct err *add_rates(json_t *update)
{
	const json_t *rate = json_object_get(update, "NetRate");
	int64_t egress, ingress;

	json_object_del(update, "NetEgressBps");
	json_object_del(update, "NetIngressBps");
	if (!rate)
		return NULL;
	if (!json_is_string(rate))
		return err_new(ERR_INVALID, "NetRate: expected a string");
	TRY_MSG(docker_net_rate_read(json_string_value(rate), &egress, &ingress), "NetRate");
	json_object_set_new(update, "NetEgressBps", json_integer(egress));
	json_object_set_new(update, "NetIngressBps", json_integer(ingress));
	return NULL;
}

struct err *ctr_update(struct call *c)
{
	OWN(strv) struct strv warnings = { 0 };
	OWN(spec) struct spec *checked = NULL;
	OWN(json) json_t *as_host = NULL;
	struct instance *i;

	TRY(call_instance(c, &i));
	if (!c->body)
		return err_new(ERR_INVALID, "invalid JSON: an update must say what to change");
	/* The body is part of a HostConfig: its types and ranges are checked as one. */
	as_host = json_pack("{s:O}", "HostConfig", c->body);
	TRY(docker_spec_read(NULL, as_host, &checked));
	TRY(add_rates(c->body));
	TRY(engine_update(c->api->engine, i, c->body, &warnings));
	call_json(c, 200, json_pack("{s:o}", "Warnings", jx_from_strv(&warnings)));
	return NULL;
}

struct err *ctr_remove(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	if (call_flag(c, "link"))
		return err_new(ERR_UNSUPPORTED, "links are not supported by hostel");
	return engine_remove(c->api->engine, i, call_flag(c, "force"), call_flag(c, "v"),
			     call_done(c, 204));
}

struct err *ctr_resize(struct call *c)
{
	struct instance *i;
	int64_t rows, cols;

	TRY(call_instance(c, &i));
	TRY(call_int(c, "h", 0, &rows));
	TRY(call_int(c, "w", 0, &cols));
	if (rows < 0 || rows > UINT16_MAX || cols < 0 || cols > UINT16_MAX)
		return err_new(ERR_INVALID, "invalid size of a terminal");
	TRY(engine_resize(c->api->engine, i, NULL, (int)rows, (int)cols));
	call_empty(c, 200);
	return NULL;
}

struct err *ctr_top(struct call *c)
{
	const char *args = call_query(c, "ps_args");
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_top(c->api->engine, i, args && *args ? args : "-ef", call_done_json(c, 200));
}

static void on_changes(void *arg, struct err *e, const json_t *result)
{
	json_t *changes = json_object_get(result, "changes");
	struct call *c = arg;

	if (e)
		call_error(c, e);
	else
		call_json(c, 200, changes ? json_incref(changes) : json_array());
}

struct err *ctr_changes(struct call *c)
{
	struct engine_job_io io = { .data_fd = -1 };
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_files(c->api->engine, i, "diff", "/", &io,
			    (struct engine_done) { .fn = on_changes, .arg = c }, NULL);
}

/* ---- prune ---- */

/* One call's removals; counts down. */
struct pruning {
	struct call *call;
	struct docker_filters filters;
	int64_t until_ns;
	struct strv ids;
	json_t *deleted;
	size_t left;
};

struct removal {
	struct pruning *p;
	char *id;
};

static bool is_prunable(void *arg, struct instance *i)
{
	struct pruning *p = arg;
	struct instance_view v = instance_view(i);

	if ((v.state == INST_CREATED || v.state == INST_EXITED) && !v.is_restarting &&
	    (!p->until_ns || v.created_ns < p->until_ns) &&
	    docker_filter_labels(&p->filters, &v.spec->labels))
		strv_add(&p->ids, v.id);
	return true;
}

static void pruning_free(void *arg)
{
	struct pruning *p = arg;

	docker_filters_done(&p->filters);
	strv_done(&p->ids);
	json_decref(p->deleted);
	free(p);
}

static void pruning_step(struct pruning *p)
{
	if (--p->left)
		return;
	call_json(p->call, 200,
		  json_pack("{s:O, s:i}", "ContainersDeleted", p->deleted, "SpaceReclaimed", 0));
}

static void on_pruned(void *arg, struct err *e, const json_t *result)
{
	struct removal *one = arg;

	(void)result;
	if (!e)
		json_array_append_new(one->p->deleted, json_string(one->id));
	err_free(e);
	pruning_step(one->p);
	free(one->id);
	free(one);
}

static void prune_one(struct pruning *p, const char *id)
{
	struct removal *one = xnew(struct removal);
	struct engine_done done = { .fn = on_pruned, .arg = one };
	struct instance *i;
	struct err *e = engine_find(p->call->api->engine, id, &i);

	*one = (struct removal) { .p = p, .id = xstrdup(id) };
	if (!e)
		e = engine_remove(p->call->api->engine, i, false, false, done);
	if (e)
		on_pruned(one, e, NULL);
}

struct err *ctr_prune(struct call *c)
{
	static const char *const allowed[] = { "until", "label", "label!", NULL };
	struct pruning *p = xnew(struct pruning);
	const char *until;

	c->state = p;
	c->state_free = pruning_free;
	p->call = c;
	TRY(docker_filters_read(call_query(c, "filters"), allowed, &p->filters));
	until = docker_filter_first(&p->filters, "until");
	if (until)
		TRY(docker_time_read(until, clock_wall_ns(), &p->until_ns));
	engine_each(c->api->engine, is_prunable, p);
	p->deleted = json_array();
	p->left = p->ids.n + 1; /* one for this function */
	for (size_t i = 0; i < p->ids.n; i++)
		prune_one(p, p->ids.v[i]);
	pruning_step(p);
	return NULL;
}
