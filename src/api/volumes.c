/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"

#include "json/fields.h"
#include "util/mem.h"

/* ---- volumes ---- */

static const char *const volume_filters[] = { "dangling", "driver", "label", "label!",
					      "name",     "all",    NULL };

static bool name_has(const void *thing, const char *value)
{
	return strstr(thing, value) != NULL;
}

static bool note_use(void *arg, struct instance *i)
{
	struct strv *used = arg;
	struct instance_view v = instance_view(i);

	for (size_t k = 0; k < v.spec->n_mounts; k++)
		if (v.spec->mounts[k].type == MOUNT_VOLUME && v.spec->mounts[k].source)
			strv_add(used, v.spec->mounts[k].source);
	return true;
}

static bool volume_passes(const struct docker_filters *f, const json_t *v, const struct strv *used)
{
	const char *dangling = docker_filter_first(f, "dangling");
	const char *name = jx_str(v, "Name", "");
	struct strmap labels = { 0 };
	const char *key;
	json_t *value;
	bool match;

	json_object_foreach(json_object_get(v, "Labels"), key, value)
	    strmap_set(&labels, key, json_string_value(value) ? json_string_value(value) : "");
	match = docker_filter_labels(f, &labels);
	strmap_done(&labels);
	if (dangling && docker_bool(dangling) == strv_has(used, name))
		return false;
	return match && docker_filter_match(f, "name", name_has, name) &&
	       docker_filter_exact(f, "driver", "local");
}

json_t *volume_complete(json_t *v)
{
	static const char *const objects[] = { "Labels", "Options" };

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		if (!json_is_object(json_object_get(v, objects[i])))
			json_object_set_new(v, objects[i], json_object());
	return v;
}

struct err *vol_list(struct call *c)
{
	OWN(filters) struct docker_filters f = { 0 };
	OWN(strv) struct strv used = { 0 };
	OWN(json) json_t *all = NULL;
	json_t *out;

	TRY(docker_filters_read(call_query(c, "filters"), volume_filters, &f));
	engine_each(c->api->engine, note_use, &used);
	all = engine_volumes(c->api->engine);
	out = json_array();
	for (size_t i = 0; i < json_array_size(all); i++)
		if (volume_passes(&f, json_array_get(all, i), &used))
			json_array_append(out, volume_complete(json_array_get(all, i)));
	call_json(c, 200, json_pack("{s:o, s:[]}", "Volumes", out, "Warnings"));
	return NULL;
}

struct volume_body {
	char *name, *driver;
	struct strmap labels, options;
};

static const struct json_field volume_fields[] = {
	JSON_FIELD(struct volume_body, "Name", JF_STR, name),
	JSON_FIELD(struct volume_body, "Driver", JF_STR, driver),
	JSON_FIELD(struct volume_body, "DriverOpts", JF_MAP, options),
	JSON_FIELD(struct volume_body, "Labels", JF_MAP, labels),
};

static struct err *create_volume(struct call *c, struct volume_body *b, json_t **ret)
{
	if (c->body)
		TRY(json_read_fields(volume_fields, ARRAY_SIZE(volume_fields), c->body, b));
	if (b->driver && *b->driver && strcmp(b->driver, "local"))
		return err_new(ERR_NOT_FOUND,
			       "error looking up volume plugin %s: plugin \"%s\" not found",
			       b->driver, b->driver);
	if (b->options.n)
		return err_new(ERR_INVALID, "invalid option: \"%s\"", b->options.v[0].key);
	return engine_volume_create(c->api->engine, b->name && *b->name ? b->name : NULL,
				    &b->labels, ret);
}

struct err *vol_create(struct call *c)
{
	struct volume_body b = { 0 };
	json_t *out = NULL;
	struct err *e = create_volume(c, &b, &out);

	json_free_fields(volume_fields, ARRAY_SIZE(volume_fields), &b);
	TRY(e);
	call_json(c, 201, volume_complete(out));
	return NULL;
}

struct err *vol_inspect(struct call *c)
{
	json_t *out = NULL;

	TRY(engine_volume_find(c->api->engine, call_param(c, "name"), &out));
	call_json(c, 200, volume_complete(out));
	return NULL;
}

struct err *vol_remove(struct call *c)
{
	return engine_volume_remove(c->api->engine, call_param(c, "name"), call_flag(c, "force"),
				    call_done(c, 204));
}

struct pruning {
	struct call *call;
	json_t *deleted;
	size_t left;
};

struct removal {
	struct pruning *p;
	char *name;
};

static void pruning_free(void *arg)
{
	struct pruning *p = arg;

	json_decref(p->deleted);
	free(p);
}

static void pruning_step(struct pruning *p)
{
	if (!--p->left)
		call_json(
		    p->call, 200,
		    json_pack("{s:O, s:i}", "VolumesDeleted", p->deleted, "SpaceReclaimed", 0));
}

static void on_pruned(void *arg, struct err *e, const json_t *result)
{
	struct removal *one = arg;

	(void)result;
	if (!e)
		json_array_append_new(one->p->deleted, jx_string(one->name));
	err_free(e);
	pruning_step(one->p);
	free(one->name);
	free(one);
}

static void prune_one(struct pruning *p, const char *name)
{
	struct removal *one = xnew(struct removal);
	struct err *e;

	*one = (struct removal) { .p = p, .name = xstrdup(name) };
	p->left++;
	e = engine_volume_remove(p->call->api->engine, name, false,
				 (struct engine_done) { .fn = on_pruned, .arg = one });
	if (e)
		on_pruned(one, e, NULL);
}

/* Without all=true only those that no one named. */
static bool is_anonymous(const json_t *v)
{
	return json_object_get(json_object_get(v, "Labels"), "com.docker.volume.anonymous") != NULL;
}

struct err *vol_prune(struct call *c)
{
	OWN(filters) struct docker_filters f = { 0 };
	OWN(strv) struct strv used = { 0 };
	OWN(json) json_t *all = NULL;
	const char *every;
	struct pruning *p;

	TRY(docker_filters_read(call_query(c, "filters"), volume_filters, &f));
	every = docker_filter_first(&f, "all");
	p = xnew(struct pruning);
	c->state = p;
	c->state_free = pruning_free;
	*p = (struct pruning) { .call = c, .deleted = json_array(), .left = 1 };
	engine_each(c->api->engine, note_use, &used);
	all = engine_volumes(c->api->engine);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *v = json_array_get(all, i);

		if (!strv_has(&used, jx_str(v, "Name", "")) &&
		    (docker_bool(every) || is_anonymous(v)) && volume_passes(&f, v, &used))
			prune_one(p, jx_str(v, "Name", ""));
	}
	pruning_step(p);
	return NULL;
}
