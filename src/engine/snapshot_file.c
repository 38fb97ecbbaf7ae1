/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots out to a file and in again, and backups: a fresh snapshot and volumes in one file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/snapshot.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

static bool failed(struct engine_operation *op, struct err *err)
{
	if (err)
		operation_end(op, err, NULL);
	return err != NULL;
}

/* ---- out ---- */

struct err *engine_snapshot_export(struct engine *e, struct instance *i, const char *name, int fd,
				   struct engine_done done, struct engine_job **ret)
{
	OWN(fd) int out = fd;
	OWN(mem) char *path = snapshot_path(i, name);
	OWN(json) json_t *header = NULL;

	TRY(snapshot_header(i, name, &header));
	return engine_job_start(e, json_pack("{s:s, s:s}", "job", "snapshot-export", "dir", path),
				&(struct engine_job_io) { .data_fd = TAKE_FD(out) }, done, ret);
}

/* Named ones; those without a name are as little part of a backup as of a snapshot. */
static json_t *volumes_of(const struct instance *i)
{
	json_t *volumes = json_object();

	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(mem) char *path = NULL;

		if (m->type != MOUNT_VOLUME || !m->source || strlen(m->source) == 64)
			continue;
		path = volume_path(i->e, m->source);
		jx_set_str(volumes, m->source, path);
	}
	return volumes;
}

static void on_sent(struct engine_operation *op, struct err *err, const json_t *result)
{
	operation_end(op, err, err ? NULL : json_object());
}

static void on_backup_sealed(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(json) json_t *begin = json_pack("{s:b}", "begin", 1);

	if (failed(op, err))
		return;
	if (op->watch.fn)
		op->watch.fn(op->watch.arg, begin);
	operation_job_with(op,
			   json_pack("{s:s, s:s, s:o}", "job", "snapshot-export", "dir", op->tmp,
				     "volumes", volumes_of(op->i)),
			   TAKE_FD(op->fd), on_sent);
}

static void on_backup_copied(struct engine_operation *op, struct err *err, const json_t *result)
{
	if (failed(op, err))
		return;
	operation_let_go(op);
	operation_job(op,
		      json_pack("{s:s, s:s, s:O}", "job", "snapshot-seal", "dir", op->tmp, "header",
				op->header),
		      on_backup_sealed);
}

static void backup_first(struct engine_operation *op, struct err *err, const json_t *result)
{
	snapshot_gather(op, on_backup_copied);
}

struct err *engine_backup_create(struct engine *e, struct instance *i, int fd,
				 const struct engine_watch *watch, struct engine_done done,
				 struct engine_operation **ret)
{
	OWN(fd) int out = fd;
	struct engine_operation *op;

	TRY(snapshot_check(i, false));
	TRY(operation_begin(e, i, "a backup", watch, done, &op));
	op->fd = TAKE_FD(out);
	op->name = xstrdup("backup");
	operation_soon(op, backup_first);
	*ret = op;
	return NULL;
}

/* ---- in ---- */

static const char *volume_of(const json_t *section)
{
	const char *name = jx_str(section, "name", "");

	return strncmp(name, "volume/", 7) ? NULL : name + 7;
}

/* Nobody's data is written over. */
static struct err *check_volumes(struct engine *e, const json_t *header)
{
	const json_t *section;
	size_t n;

	json_array_foreach(json_object_get(header, "sections"), n, section)
	{
		const char *name = volume_of(section);
		OWN(json) json_t *doc = NULL;
		OWN(err) struct err *missing = NULL;

		if (!name)
			continue;
		TRY(spec_check_name(name));
		missing = store_get(e->store, STORE_VOLUME, name, &doc);
		if (!missing)
			return err_new(ERR_EXISTS,
				       "there is a volume %s already: remove it first (hostel "
				       "volume rm %s)",
				       name, name);
	}
	return NULL;
}

static struct err *enter_volume(struct engine_operation *op, const char *name)
{
	OWN(mem) char *from = xasprintf("%s/in/volumes/%s", op->tmp, name);
	OWN(mem) char *folder = engine_path(op->e, "volumes/%s", name);
	OWN(mem) char *to = volume_path(op->e, name);
	OWN(json)
	json_t *doc = json_pack("{s:I, s:b, s:b, s:{}}", "created_ns", (json_int_t)clock_wall_ns(),
				"anonymous", 0, "fresh", 0, "labels");

	TRY(fd_mkdirs(folder));
	if (rename(from, to) < 0)
		return err_sys(errno, "volume %s", name);
	TRY(store_begin(op->e->store));
	TRY(store_put(op->e->store, STORE_VOLUME, name, name, doc));
	engine_dirty(op->e);
	return NULL;
}

static struct err *enter_volumes(struct engine_operation *op)
{
	const json_t *section;
	size_t n;

	json_array_foreach(json_object_get(op->header, "sections"), n,
			   section) if (volume_of(section))
	    TRY(enter_volume(op, volume_of(section)));
	return NULL;
}

/* A backup is taken out whole; of a snapshot the new instance keeps what it was made from. */
static struct err *keep_snapshot(struct engine_operation *op, const struct instance *i)
{
	OWN(mem) char *from = xasprintf("%s/in", op->tmp);
	const char *name = jx_str(op->header, "name", "");
	OWN(mem) char *all = snapshot_path(i, NULL);
	OWN(mem) char *to = snapshot_path(i, name);

	if (op->is_backup)
		return NULL;
	TRY_MSG(snapshot_check_name(name), "snapshot header");
	if (mkdir(all, 0700) < 0 || rename(from, to) < 0)
		return err_sys(errno, "%s", to);
	return NULL;
}

static struct err *make_imported(struct engine_operation *op, struct instance **ret)
{
	OWN(spec) struct spec *s = NULL;

	TRY_MSG(spec_from_json(json_object_get(op->header, "spec"), &s), "snapshot header");
	if (op->as)
		str_set(&s->name, op->as);
	TRY(enter_volumes(op));
	return instance_create_whole(op->e, TAKE(s), op->stage, ret);
}

static void on_import_staged(struct engine_operation *op, struct err *err, const json_t *result)
{
	struct instance *i;

	if (!err)
		err = make_imported(op, &i);
	if (failed(op, err))
		return;
	err = keep_snapshot(op, i);
	if (err)
		json_array_append_new(op->warnings, json_string(err_text(err)));
	err_free(err);
	operation_end(op, NULL,
		      json_pack("{s:s, s:s, s:O}", "id", i->id, "name", i->spec->name, "warnings",
				op->warnings));
}

/* What can be known of it before anything is made. */
static struct err *check_import(struct engine_operation *op, struct strv *ret_files)
{
	OWN(spec) struct spec *s = NULL;
	struct instance *other;

	TRY_MSG(spec_from_json(json_object_get(op->header, "spec"), &s), "snapshot header");
	if (op->as)
		str_set(&s->name, op->as);
	TRY(spec_check_name(s->name));
	other = instance_by_name(op->e, s->name);
	if (other)
		return err_new(ERR_EXISTS, "the name %s is in use: --as NAME gives it another",
			       s->name);
	TRY(check_volumes(op->e, op->header));
	snapshot_disk_files(&(struct instance) { .spec = s }, ret_files);
	return quota_reserve(op->e, s, &op->project);
}

static void on_received(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(mem) char *from = xasprintf("%s/in", op->tmp);
	OWN(strv) struct strv files = { 0 };

	if (!err) {
		op->header = json_deep_copy(result);
		err = check_import(op, &files);
	}
	op->stage = xasprintf("%s/stage", op->tmp);
	if (!err && mkdir(op->stage, 0700) < 0)
		err = err_sys(errno, "%s", op->stage);
	if (failed(op, err))
		return;
	operation_job(op,
		      json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:I}", "job", "snapshot-stage",
				"dir", from, "to", op->stage, "state", 0, "sealed", 0, "files",
				jx_from_strv(&files), "project", (json_int_t)op->project),
		      on_import_staged);
}

struct err *engine_snapshot_import(struct engine *e, int fd, const char *as, bool is_backup,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret)
{
	OWN(fd) int in = fd;
	OWN(mem) char *to = NULL;
	struct engine_operation *op;

	if (as)
		TRY(spec_check_name(as));
	TRY(operation_begin(e, NULL, "an import", watch, done, &op));
	str_set(&op->as, as);
	op->is_backup = is_backup;
	to = xasprintf("%s/in", op->tmp);
	if (mkdir(to, 0700) < 0) {
		/* Told by its completion, like all that goes wrong from here on. */
		operation_end(op, err_sys(errno, "%s", to), NULL);
		*ret = NULL;
		return NULL;
	}
	operation_job_with(op, json_pack("{s:s, s:s}", "job", "snapshot-import", "to", to),
			   TAKE_FD(in), on_received);
	*ret = op;
	return NULL;
}
