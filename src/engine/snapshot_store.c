/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/snapshot.h"
#include "snap/header.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define NAME_BYTES 200

char *snapshot_path(const struct instance *i, const char *name)
{
	return xasprintf("%s/snapshots%s%s", i->state_dir, name ? "/" : "", name ? name : "");
}

struct err *snapshot_check_name(const char *name)
{
	static const char first[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t n = strlen(name);

	if (n && n <= NAME_BYTES && strchr(first, *name) &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n)
		return NULL;
	return err_new(ERR_INVALID,
		       "snapshot name \"%.64s\": letters, digits and _.- after a first letter or "
		       "digit, at most %d",
		       name, NAME_BYTES);
}

bool snapshot_is_there(const struct instance *i, const char *name)
{
	OWN(mem) char *path = snapshot_path(i, name);

	return access(path, F_OK) == 0;
}

struct err *snapshot_header(const struct instance *i, const char *name, json_t **ret)
{
	OWN(mem) char *folder = snapshot_path(i, name);
	OWN(mem) char *path = xasprintf("%s/header", folder);
	OWN(mem) char *text = NULL;
	OWN(err) struct err *bad = snapshot_check_name(name);

	if (bad || access(folder, F_OK) < 0)
		return err_new(ERR_NOT_FOUND, "%s has no snapshot %.64s", i->spec->name, name);
	TRY_MSG(fd_read_file(AT_FDCWD, path, SNAP_HEADER_MAX + SNAP_LINE_MAX, &text),
		"snapshot %s of %s", name, i->spec->name);
	TRY_MSG(snap_header_parse(text, strlen(text), ret), "snapshot %s of %s", name,
		i->spec->name);
	return NULL;
}

static void list_names(const struct instance *i, struct strv *ret)
{
	OWN(mem) char *path = snapshot_path(i, NULL);
	DIR *d = opendir(path);
	const struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (*entry->d_name != '.')
			strv_add(ret, entry->d_name);
	if (d)
		closedir(d);
}

char *snapshot_free_name(const struct instance *i, const char *base)
{
	for (int n = 0;; n++) {
		OWN(mem) char *name = xasprintf("%s%d", base, n);

		if (!snapshot_is_there(i, name))
			return TAKE(name);
	}
}

json_t *snapshot_json(const json_t *header)
{
	static const char *const members[] = { "name",  "created_ns", "stateful", "kind",
					       "bytes", "notes",      "state" };
	const json_t *instance = json_object_get(header, "instance");
	json_t *j = json_object();

	jx_set_str(j, "instance", jx_str(instance, "name", ""));
	jx_set_str(j, "instance_id", jx_str(instance, "id", ""));
	for (size_t n = 0; n < ARRAY_SIZE(members); n++) {
		json_t *value = json_object_get(header, members[n]);

		if (value)
			json_object_set(j, members[n], value);
	}
	return j;
}

/* Of which the header does not say how its instance is called by now. */
static json_t *describe(const struct instance *i, const char *name)
{
	OWN(json) json_t *header = NULL;
	OWN(err) struct err *err = snapshot_header(i, name, &header);
	json_t *j = snapshot_json(header);

	jx_set_str(j, "name", name);
	jx_set_str(j, "instance", i->spec->name);
	jx_set_str(j, "instance_id", i->id);
	if (err)
		jx_set_str(j, "error", err_text(err));
	return j;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = jx_int(*(json_t *const *)a, "created_ns", 0);
	int64_t y = jx_int(*(json_t *const *)b, "created_ns", 0);

	return x < y ? -1 : x > y;
}

/* Oldest first. */
static void add_all(const struct instance *i, json_t *out)
{
	OWN(strv) struct strv names = { 0 };
	OWN(mem) json_t **v = NULL;

	list_names(i, &names);
	v = xcalloc(names.n + 1, sizeof(*v));
	for (size_t n = 0; n < names.n; n++)
		v[n] = describe(i, names.v[n]);
	qsort(v, names.n, sizeof(*v), by_time);
	for (size_t n = 0; n < names.n; n++)
		json_array_append_new(out, v[n]);
}

json_t *engine_snapshots(struct engine *e, struct instance *only)
{
	json_t *out = json_array();
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (!only || i == only)
		add_all(i, out);
	return out;
}

size_t engine_snapshots_count(const struct instance *i)
{
	OWN(strv) struct strv names = { 0 };

	list_names(i, &names);
	return names.n;
}

char *snapshot_newest_state(const struct instance *i)
{
	OWN(json) json_t *all = json_array();
	char *name = NULL;
	const json_t *j;
	size_t n;

	add_all(i, all);
	json_array_foreach(all, n, j) if (jx_bool(j, "stateful", false))
	    str_set(&name, jx_str(j, "name", ""));
	return name;
}

void snapshot_emit(struct instance *i, const char *action, const char *name)
{
	json_t *more = json_object();

	jx_set_str(more, "snapshot", name);
	instance_emit(i, action, more);
}

struct err *engine_snapshot_remove(struct instance *i, const char *name)
{
	OWN(mem) char *path = snapshot_path(i, name);
	OWN(err) struct err *bad = snapshot_check_name(name);

	if (bad || access(path, F_OK) < 0)
		return err_new(ERR_NOT_FOUND, "%s has no snapshot %.64s", i->spec->name, name);
	if (i->op && streq(i->op->from, name))
		return err_new(ERR_STATE, "snapshot %s of %s is in use: %s is under way", name,
			       i->spec->name, i->op->what);
	trash_put(i->e, path);
	snapshot_emit(i, "snapshot-remove", name);
	return NULL;
}
