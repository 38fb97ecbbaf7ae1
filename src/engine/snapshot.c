/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a snapshot:
 *
 *	held still     by its cgroup's freezer, or by its shim, which writes its state
 *	copied         its disk, by a worker
 *	let go         unless it is to end
 *	sealed         checksums and header, by a worker
 *	there          by one rename
 *	ended          a checkpoint's instance
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/snapshot.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- may it be? ---- */

/* A user's own file, which lies outside and is written to in place. */
static const struct spec_disk *external_disk(const struct spec *s)
{
	for (size_t n = 0; n < s->n_disks; n++)
		if (s->disks[n].path && !s->disks[n].overlay && !s->disks[n].readonly)
			return &s->disks[n];
	return NULL;
}

static struct err *check_stateful(const struct instance *i)
{
	const struct spec_disk *d = external_disk(i->spec);

	if (i->state != INST_RUNNING || !i->conn)
		return err_new(ERR_STATE, "%s does not run: it has no state to be kept",
			       i->spec->name);
	if (d)
		return err_new(
		    ERR_UNSUPPORTED,
		    "%s: its disk %s is a file of yours that is used in place, and would "
		    "go on without the memory: make it --disk FILE,overlay",
		    i->spec->name, d->path);
	return NULL;
}

struct err *snapshot_check(const struct instance *i, bool stateful)
{
	if (i->state == INST_STARTING || i->state == INST_STOPPING)
		return err_new(ERR_STATE, "%s is %s: try again in a moment", i->spec->name,
			       inst_state_name(i->state));
	if (i->state == INST_RUNNING && !i->conn)
		return err_new(ERR_UNAVAILABLE, "%s: its supervisor is not reached", i->spec->name);
	return stateful ? check_stateful(i) : NULL;
}

static struct err *check_name(const struct instance *i, const char *name)
{
	TRY(snapshot_check_name(name));
	if (snapshot_is_there(i, name))
		return err_new(ERR_EXISTS, "%s has a snapshot %s already", i->spec->name, name);
	return NULL;
}

/* ---- what its header says ---- */

static bool has_anonymous_volume(const struct spec *s)
{
	for (size_t n = 0; n < s->n_mounts; n++)
		if (s->mounts[n].type == MOUNT_VOLUME)
			return true;
	return false;
}

static json_t *notes_of(const struct instance *i)
{
	const struct spec_disk *d = external_disk(i->spec);
	json_t *notes = json_array();

	if (has_anonymous_volume(i->spec))
		json_array_append_new(notes, json_string("volumes are no part of it"));
	if (d)
		json_array_append_new(
		    notes, json_sprintf("disk %s is a file of yours, and no part of it", d->path));
	return notes;
}

static json_t *header_of(const struct engine_operation *op)
{
	const struct instance *i = op->i;
	OWN(json) json_t *run = instance_run_json(i);
	json_t *j = json_object();

	jx_set_str(j, "name", op->name ? op->name : "");
	json_object_set_new(j, "created_ns", json_integer(clock_wall_ns()));
	json_object_set_new(j, "stateful", json_boolean(op->is_stateful));
	jx_set_str(j, "kind", instance_kind(i));
	json_object_set_new(j, "instance",
			    json_pack("{s:s, s:s}", "id", i->id, "name", i->spec->name));
	json_object_set_new(j, "spec", spec_to_json(i->spec));
	if (json_object_get(run, "ends"))
		json_object_set(j, "ends", json_object_get(run, "ends"));
	json_object_set_new(j, "notes", notes_of(i));
	json_object_set_new(j, "sections", json_array());
	return j;
}

/* ---- steps ---- */

static void on_ended(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(json) json_t *told = snapshot_json(op->header);

	operation_end(op, err, err ? NULL : TAKE(told));
}

static void made(struct engine_operation *op)
{
	json_t *told;

	snapshot_emit(op->i, "snapshot", op->name);
	if (op->made) {
		op->made(op, NULL, op->header);
		return;
	}
	if (op->stops) {
		operation_status(op, "ending it");
		operation_until_end(op, on_ended);
		return;
	}
	told = snapshot_json(op->header);
	operation_end(op, NULL, told);
}

static struct err *put_in_place(struct engine_operation *op)
{
	OWN(mem) char *all = snapshot_path(op->i, NULL);
	OWN(mem) char *path = snapshot_path(op->i, op->name);

	if (mkdir(all, 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "%s", all);
	crash_point(op->e, CRASH_SNAPSHOT_SEALED);
	if (rename(op->tmp, path) < 0)
		return err_sys(errno, "%s", path);
	free(TAKE(op->tmp));
	crash_point(op->e, CRASH_SNAPSHOT_MADE);
	return NULL;
}

static void on_sealed(struct engine_operation *op, struct err *err, const json_t *result)
{
	if (!err)
		err = put_in_place(op);
	if (err) {
		operation_end(op, err, NULL);
		return;
	}
	json_decref(op->header);
	op->header = json_deep_copy(result);
	made(op);
}

static void seal(struct engine_operation *op, struct err *err, const json_t *result)
{
	if (err) {
		operation_end(op, err, NULL);
		return;
	}
	crash_point(op->e, CRASH_SNAPSHOT_COPIED);
	if (!op->stops)
		operation_let_go(op);
	if (op->said)
		json_object_set(op->header, "state", op->said);
	operation_job(op,
		      json_pack("{s:s, s:s, s:O}", "job", "snapshot-seal", "dir", op->tmp, "header",
				op->header),
		      on_sealed);
}

static void on_copied(struct engine_operation *op, struct err *err, const json_t *result)
{
	operation_step *gathered = TAKE(op->gathered);

	gathered(op, err, result);
}

static void copy_disk(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(mem) char *to = xasprintf("%s/disk", op->tmp);
	json_t *job;

	if (!err && mkdir(to, 0700) < 0)
		err = err_sys(errno, "%s", to);
	if (err) {
		on_copied(op, err, NULL);
		return;
	}
	crash_point(op->e, CRASH_SNAPSHOT_STILL);
	job = json_pack("{s:s, s:s, s:o}", "job", "snapshot-copy", "to", to, "from",
			snapshot_disk_sources(op->i));
	if (op->i->pid > 0)
		json_object_set_new(job, "sync", json_sprintf("/proc/%d/root", (int)op->i->pid));
	operation_job(op, job, on_copied);
}

void snapshot_gather(struct engine_operation *op, operation_step *gathered)
{
	struct err *err = snapshot_check(op->i, op->is_stateful);

	op->gathered = gathered;
	if (err) {
		on_copied(op, err, NULL);
		return;
	}
	op->header = header_of(op);
	operation_status(op, op->is_stateful ? "writing its state" : "holding it still");
	operation_still(op, op->is_stateful, copy_disk);
}

void snapshot_make(struct engine_operation *op, struct err *err, const json_t *result)
{
	if (err)
		operation_end(op, err, NULL);
	else
		snapshot_gather(op, seal);
}

/* ---- the verbs ---- */

static struct err *check_stop(const struct instance *i)
{
	if (i->spec->auto_remove)
		return err_new(ERR_INVALID,
			       "%s was made with --rm: it would be removed with its checkpoint "
			       "when it ends (--leave-running lets it run)",
			       i->spec->name);
	return NULL;
}

struct err *engine_snapshot_create(struct engine *e, struct instance *i,
				   const struct engine_snapshot_wish *wish,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret)
{
	const char *base = wish->stops || wish->is_checkpoint ? "checkpoint" : "snap";
	OWN(mem)
	char *name = wish->name && *wish->name ? xstrdup(wish->name) : snapshot_free_name(i, base);
	struct engine_operation *op;

	TRY(check_name(i, name));
	TRY(snapshot_check(i, wish->stateful));
	if (wish->stops)
		TRY(check_stop(i));
	TRY(operation_begin(e, i, wish->stateful ? "a checkpoint" : "a snapshot", watch, done,
			    &op));
	op->name = TAKE(name);
	op->is_stateful = wish->stateful;
	op->stops = wish->stops;
	operation_soon(op, snapshot_make);
	if (ret)
		*ret = op;
	return NULL;
}
