/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

char *volume_path(const struct engine *e, const char *name)
{
	return engine_path(e, "volumes/%s/_data", name);
}

static bool instance_uses(const struct instance *i, const char *name)
{
	for (size_t n = 0; n < i->spec->n_mounts; n++)
		if (i->spec->mounts[n].type == MOUNT_VOLUME &&
		    streq(i->spec->mounts[n].source, name))
			return true;
	return false;
}

static struct instance *user_of(struct engine *e, const char *name, const struct instance *but)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (i != but && instance_uses(i, name))
		return i;
	return NULL;
}

static void volume_event(struct engine *e, const char *action, const char *name,
			 const struct instance *i, const struct spec_mount *m)
{
	json_t *a = json_object();

	jx_set_str(a, "driver", "local");
	if (i) {
		jx_set_str(a, "container", i->id);
		jx_set_str(a, "destination", m->target);
		jx_set_str(a, "read/write", m->readonly ? "false" : "true");
		jx_set_str(a, "propagation", "");
	}
	event_emit(e, "volume", action, name, a);
}

/* Docker's Volume object. */
static json_t *volume_json(struct engine *e, const char *name, const json_t *doc)
{
	OWN(mem) char *path = volume_path(e, name);
	json_t *labels = json_object_get(doc, "labels");
	char when[40];

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:n}", "Name", name, "Driver", "local",
			 "Mountpoint", path, "CreatedAt",
			 clock_rfc3339(jx_int(doc, "created_ns", 0), when), "Labels",
			 json_object_size(labels) ? json_deep_copy(labels) : json_null(), "Scope",
			 "local", "Options");
}

static struct err *check_name(const char *name)
{
	OWN(err) struct err *err = spec_check_name(name);

	if (err)
		return err_new(
		    ERR_INVALID,
		    "create %.64s: \"%.64s\" includes invalid characters for a local volume "
		    "name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended "
		    "to pass a host directory, use absolute path",
		    name, name);
	return NULL;
}

static struct err *put_volume(struct engine *e, const char *name, const json_t *doc)
{
	TRY(store_begin(e->store));
	TRY(store_put(e->store, STORE_VOLUME, name, name, doc));
	engine_dirty(e);
	return NULL;
}

static struct err *make_volume(struct engine *e, const char *name, bool is_anonymous,
			       const struct strmap *labels, json_t **ret_doc)
{
	OWN(mem) char *path = volume_path(e, name);
	OWN(json) json_t *doc = json_object();

	TRY(check_name(name));
	TRY_MSG(fd_mkdirs(path), "volume %s", name);
	json_object_set_new(doc, "created_ns", json_integer(clock_wall_ns()));
	json_object_set_new(doc, "anonymous", json_boolean(is_anonymous));
	json_object_set_new(doc, "fresh", json_true());
	json_object_set_new(doc, "labels", labels ? jx_from_map(labels) : json_object());
	if (is_anonymous)
		json_object_set_new(json_object_get(doc, "labels"), "com.docker.volume.anonymous",
				    json_string(""));
	TRY(put_volume(e, name, doc));
	volume_event(e, "create", name, NULL, NULL);
	*ret_doc = json_incref(doc);
	return NULL;
}

/* A name that only create.c makes up. */
static bool is_anonymous_name(const char *name)
{
	return strlen(name) == 64 && name[strspn(name, "0123456789abcdef")] == '\0';
}

struct err *volumes_prepare(struct instance *i)
{
	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(json) json_t *doc = NULL;
		OWN(err) struct err *missing = NULL;

		if (m->type != MOUNT_VOLUME)
			continue;
		missing = store_get(i->e->store, STORE_VOLUME, m->source, &doc);
		if (missing)
			TRY(make_volume(i->e, m->source, is_anonymous_name(m->source), NULL, &doc));
	}
	return NULL;
}

static void drop_volume(struct engine *e, const char *name)
{
	OWN(mem) char *path = engine_path(e, "volumes/%s", name);

	if (store_begin(e->store) == NULL)
		err_free(store_del(e->store, STORE_VOLUME, name));
	engine_dirty(e);
	trash_put(e, path);
	volume_event(e, "destroy", name, NULL, NULL);
}

void volumes_release(struct instance *i)
{
	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(json) json_t *doc = NULL;

		if (m->type != MOUNT_VOLUME || user_of(i->e, m->source, i))
			continue;
		if (store_get(i->e->store, STORE_VOLUME, m->source, &doc) == NULL &&
		    jx_bool(doc, "anonymous", false))
			drop_volume(i->e, m->source);
	}
}

void volumes_drop(struct instance *i)
{
	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(json) json_t *doc = NULL;
		OWN(err) struct err *none = NULL;

		if (m->type != MOUNT_VOLUME || user_of(i->e, m->source, i))
			continue;
		none = store_get(i->e->store, STORE_VOLUME, m->source, &doc);
		if (!none)
			drop_volume(i->e, m->source);
	}
}

struct err *volumes_come(struct engine *e, const char *name, const json_t *doc)
{
	OWN(json) json_t *own = doc ? json_deep_copy(doc) : json_object();

	json_object_set_new(own, "fresh", json_false());
	TRY(check_name(name));
	TRY(put_volume(e, name, own));
	volume_event(e, "create", name, NULL, NULL);
	return NULL;
}

/* ---- for the faces ---- */

struct err *engine_volume_create(struct engine *e, const char *name, const struct strmap *labels,
				 json_t **ret)
{
	OWN(json) json_t *doc = NULL;
	char id[65];

	engine_random_id(id);
	if (name && *name) {
		OWN(err) struct err *missing = store_get(e->store, STORE_VOLUME, name, &doc);

		if (missing)
			TRY(make_volume(e, name, false, labels, &doc));
	} else {
		name = id;
		TRY(make_volume(e, name, true, labels, &doc));
	}
	TRY(engine_commit(e));
	*ret = volume_json(e, name, doc);
	return NULL;
}

struct err *engine_volume_find(struct engine *e, const char *name, json_t **ret)
{
	OWN(json) json_t *doc = NULL;
	OWN(err) struct err *missing = store_get(e->store, STORE_VOLUME, name, &doc);

	if (missing)
		return err_new(ERR_NOT_FOUND, "get %s: no such volume", name);
	*ret = volume_json(e, name, doc);
	return NULL;
}

struct listing {
	struct engine *e;
	json_t *out;
};

static struct err *list_volume(void *arg, const char *key, const json_t *doc)
{
	struct listing *l = arg;

	json_array_append_new(l->out, volume_json(l->e, key, doc));
	return NULL;
}

json_t *engine_volumes(struct engine *e)
{
	struct listing l = { e, json_array() };

	err_free(store_each(e->store, STORE_VOLUME, list_volume, &l));
	return l.out;
}

struct err *engine_volume_remove(struct engine *e, const char *name, bool force,
				 struct engine_done done)
{
	OWN(json) json_t *doc = NULL;
	OWN(err) struct err *missing = store_get(e->store, STORE_VOLUME, name, &doc);
	struct instance *i = user_of(e, name, NULL);

	if (missing && !force)
		return err_new(ERR_NOT_FOUND, "get %s: no such volume", name);
	if (i)
		return err_new(ERR_STATE, "remove %s: volume is in use - [%s]", name, i->id);
	if (!missing)
		drop_volume(e, name);
	engine_finish(e, done, NULL, NULL);
	return NULL;
}
