/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot brought back:
 *
 *	in place	what runs is kept as pre-restore-N and ended; checked and copied by a
 *			worker; taken over; started, if it ran or has a state to be brought back
 *	as a new one	checked and copied; made with that disk; started if it has a state
 *
 * A fork is the second, n times, of a snapshot that nobody sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/snapshot.h"
#include "util/log.h"
#include "util/mem.h"

static bool failed(struct engine_operation *op, struct err *err)
{
	if (err)
		operation_end(op, err, NULL);
	return err != NULL;
}

static json_t *told_of(const struct instance *i, const struct engine_operation *op)
{
	return json_pack("{s:s, s:s, s:O}", "id", i->id, "name", i->spec->name, "warnings",
			 op->warnings);
}

/* ---- staging ---- */

static json_t *stage_job(const struct engine_operation *op, const char *from, const char *to,
			 const struct instance *like)
{
	OWN(strv) struct strv files = { 0 };

	snapshot_disk_files(like, &files);
	return json_pack("{s:s, s:s, s:s, s:b, s:o, s:I}", "job", "snapshot-stage", "dir", from,
			 "to", to, "state", op->is_stateful, "files", jx_from_strv(&files),
			 "project", (json_int_t)op->project);
}

static struct err *make_stage(struct engine_operation *op)
{
	str_set(&op->stage, NULL);
	op->stage = xasprintf("%s/stage", op->tmp);
	return mkdir(op->stage, 0700) < 0 ? err_sys(errno, "%s", op->stage) : NULL;
}

/* ---- the start ---- */

static void on_started(void *arg, struct err *err, const json_t *result)
{
	struct engine_operation *op = arg;
	OWN(json) json_t *told = json_incref(op->told);

	op->ticket = NULL;
	operation_end(op, err, err ? NULL : TAKE(told));
}

static void on_reason(void *arg, const char *reason)
{
	OWN(mem) char *text = reason ? xasprintf("waits: %s", reason) : NULL;

	if (text)
		operation_status(arg, text);
}

/* In the queue like any other; who asked for it waits. */
static void start(struct engine_operation *op, struct instance *i)
{
	bool already = false;
	struct err *err;

	op->told = told_of(i, op);
	operation_release(op);
	operation_status(op, "starting");
	err = engine_start(op->e, i, HOLD_CLIENT, (struct engine_done) { on_started, op }, &already,
			   &op->ticket);
	if (err)
		operation_end(op, err, NULL);
	else if (already)
		operation_end(op, NULL, json_incref(op->told));
	else
		engine_on_reason(op->ticket, on_reason, op);
}

/* ---- in place ---- */

/* It comes back with the addresses that it had. */
static struct err *save_ends(const struct engine_operation *op)
{
	OWN(mem) char *path = xasprintf("%s/restore.json", op->stage);
	OWN(json) json_t *j = json_object();

	if (!op->is_stateful)
		return NULL;
	if (json_object_get(op->header, "ends"))
		json_object_set(j, "ends", json_object_get(op->header, "ends"));
	return jx_save(AT_FDCWD, path, j, 0600);
}

static void on_staged(struct engine_operation *op, struct err *err, const json_t *result)
{
	struct instance *i = op->i;

	if (!err && result) {
		json_decref(op->header);
		op->header = json_deep_copy(result);
		err = save_ends(op);
	}
	if (!err)
		err = snapshot_take_over(i, op->stage);
	if (failed(op, err))
		return;
	snapshot_emit(i, "restore", op->from);
	if (op->starts || op->is_stateful) {
		start(op, i);
		return;
	}
	operation_end(op, NULL, told_of(i, op));
}

static void stage_here(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(mem) char *from = snapshot_path(op->i, op->from);

	if (!err)
		err = make_stage(op);
	if (failed(op, err))
		return;
	op->project = quota_project(op->i);
	op->keeps_project = true;
	operation_job(op, stage_job(op, from, op->stage, op->i), on_staged);
}

static void on_kept(struct engine_operation *op, struct err *err, const json_t *result)
{
	op->is_stateful = op->wants_state;
	json_array_append_new(op->warnings,
			      json_sprintf("what there was is kept as snapshot %s", op->name));
	if (failed(op, operation_tmp(op)))
		return;
	operation_status(op, "ending it");
	operation_until_end(op, stage_here);
}

static void restore_here(struct engine_operation *op, struct err *err, const json_t *result)
{
	struct instance *i = op->i;

	if (!instance_is_alive(i)) {
		stage_here(op, err, result);
		return;
	}
	op->starts = true;
	op->name = snapshot_free_name(i, "pre-restore-");
	op->wants_state = op->is_stateful;
	op->is_stateful = false;
	op->made = on_kept;
	snapshot_make(op, err, result);
}

static struct err *check_here(const struct instance *i, bool force)
{
	if (instance_is_waiting(i))
		return err_new(ERR_STATE, "%s waits for its start: stop it first", i->spec->name);
	if (instance_is_alive(i) && !force)
		return err_new(ERR_STATE,
			       "%s runs: stop it first, or --force, which keeps what there is as a "
			       "snapshot",
			       i->spec->name);
	if (instance_is_alive(i) && i->spec->auto_remove)
		return err_new(ERR_INVALID, "%s was made with --rm: it would be gone when it ends",
			       i->spec->name);
	return instance_is_alive(i) ? snapshot_check(i, false) : NULL;
}

/* ---- as a new one ---- */

static bool is_anonymous(const struct spec_mount *m)
{
	return m->type == MOUNT_VOLUME && m->source && strlen(m->source) == 64 &&
	       m->source[strspn(m->source, "0123456789abcdef")] == '\0';
}

/* What is its own, and no other's. */
static void renew(struct spec *s, const char *name)
{
	str_set(&s->name, name);
	str_set(&s->mac_address, NULL);
	str_set(&s->ip_address, NULL);
	str_set(&s->container_id_file, NULL);
	strv_done(&s->after);
	for (size_t n = 0; n < s->n_endpoints; n++) {
		str_set(&s->endpoints[n].ip, NULL);
		str_set(&s->endpoints[n].mac, NULL);
	}
	for (size_t n = 0; n < s->n_mounts; n++)
		if (is_anonymous(&s->mounts[n]))
			str_set(&s->mounts[n].source, NULL);
}

/* The original has them: a copy gets free ones. */
static void give_up_ports(struct spec *s, json_t *warnings)
{
	for (size_t n = 0; n < s->n_ports; n++) {
		struct spec_port *p = &s->ports[n];

		if (!p->host_port)
			continue;
		json_array_append_new(warnings,
				      json_sprintf("%s: port %d/%s of the host is the original's; "
						   "it gets a free one (hostel port %s)",
						   s->name, p->host_port, p->protocol, s->name));
		p->host_port = p->host_port_end = 0;
	}
}

static struct err *make_new(struct engine_operation *op, const char *name, bool is_fork,
			    struct instance **ret)
{
	OWN(spec) struct spec *s = NULL;

	TRY_MSG(spec_from_json(json_object_get(op->header, "spec"), &s), "snapshot header");
	renew(s, name);
	if (is_fork)
		give_up_ports(s, op->warnings);
	return instance_create_whole(op->e, TAKE(s), op->stage, ret);
}

static void on_staged_new(struct engine_operation *op, struct err *err, const json_t *result)
{
	struct instance *i;

	if (!err)
		err = make_new(op, op->as, false, &i);
	if (failed(op, err))
		return;
	if (op->is_stateful)
		start(op, i);
	else
		operation_end(op, NULL, told_of(i, op));
}

static struct err *prepare_stage(struct engine_operation *op)
{
	TRY(make_stage(op));
	return quota_reserve(op->e, op->i->spec, &op->project);
}

static void restore_as(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(mem) char *from = snapshot_path(op->i, op->from);

	if (!err)
		err = prepare_stage(op);
	if (failed(op, err))
		return;
	operation_job(op, stage_job(op, from, op->stage, op->i), on_staged_new);
}

/* ---- verbs ---- */

static struct err *check_as(struct engine *e, const char *name)
{
	struct instance *other = instance_by_name(e, name);

	TRY(spec_check_name(name));
	return other ? err_new(ERR_EXISTS, "the name %s is in use", name) : NULL;
}

static struct err *choose(const struct instance *i, const char *snap, char **ret)
{
	if (snap && *snap) {
		*ret = xstrdup(snap);
		return NULL;
	}
	*ret = snapshot_newest_state(i);
	return *ret ? NULL
		    : err_new(ERR_NOT_FOUND,
			      "%s has no checkpoint; its snapshots are named: "
			      "hostel restore %s@SNAP",
			      i->spec->name, i->spec->name);
}

struct err *engine_snapshot_restore(struct engine *e, struct instance *i,
				    const struct engine_restore_wish *wish,
				    const struct engine_watch *watch, struct engine_done done,
				    struct engine_operation **ret)
{
	struct engine_operation *op;
	OWN(json) json_t *header = NULL;
	OWN(mem) char *name = NULL;

	TRY(choose(i, wish->name, &name));
	TRY(snapshot_header(i, name, &header));
	TRY(wish->as ? check_as(e, wish->as) : check_here(i, wish->force));
	TRY(operation_begin(e, i, "a restore", watch, done, &op));
	op->from = TAKE(name);
	op->header = TAKE(header);
	op->is_stateful = jx_bool(op->header, "stateful", false) && !wish->disk_only;
	str_set(&op->as, wish->as);
	operation_soon(op, wish->as ? restore_as : restore_here);
	*ret = op;
	return NULL;
}

/* ---- forks ---- */

static void next_fork(struct engine_operation *op);

static char *fork_name(const struct engine_operation *op)
{
	for (int n = 1;; n++) {
		OWN(mem) char *name = xasprintf("%s-%d", op->i->spec->name, n);

		if (!instance_by_name(op->e, name))
			return TAKE(name);
	}
}

/* Those that run already stay, and are named. */
static void fork_failed(struct engine_operation *op, struct err *err)
{
	OWN(mem) char *names = jx_text(op->names);

	operation_drop_child(op);
	if (json_array_size(op->names))
		err = err_push(err, __func__, "copy %d of %d (%s run)",
			       (int)json_array_size(op->names) + 1, (int)op->n, names);
	operation_end(op, err, NULL);
}

static void on_fork_started(void *arg, struct err *err, const json_t *result)
{
	struct engine_operation *op = arg;
	struct instance *i = instance_by_id(op->e, op->child);

	op->ticket = NULL;
	if (err) {
		fork_failed(op, err);
		return;
	}
	*op->child = '\0';
	if (i)
		json_array_append_new(op->names, json_string(i->spec->name));
	next_fork(op);
}

static void on_fork_staged(struct engine_operation *op, struct err *err, const json_t *result)
{
	OWN(mem) char *name = fork_name(op);
	struct instance *i;
	bool already;

	if (!err)
		err = make_new(op, name, true, &i);
	if (failed(op, err))
		return;
	memcpy(op->child, i->id, sizeof(op->child));
	err = engine_start(op->e, i, HOLD_CLIENT, (struct engine_done) { on_fork_started, op },
			   &already, &op->ticket);
	if (err)
		on_fork_started(op, err, NULL);
	else
		engine_on_reason(op->ticket, on_reason, op);
}

static void next_fork(struct engine_operation *op)
{
	OWN(mem) char *text = NULL;
	json_t *job;

	if ((int64_t)json_array_size(op->names) == op->n) {
		operation_end(
		    op, NULL,
		    json_pack("{s:O, s:O}", "names", op->names, "warnings", op->warnings));
		return;
	}
	text = xasprintf("copy %d of %d", (int)json_array_size(op->names) + 1, (int)op->n);
	operation_status(op, text);
	if (failed(op, prepare_stage(op)))
		return;
	job = stage_job(op, op->tmp, op->stage, op->i);
	json_object_set_new(job, "sealed", json_false());
	operation_job(op, job, on_fork_staged);
}

static void on_gathered(struct engine_operation *op, struct err *err, const json_t *result)
{
	if (failed(op, err))
		return;
	operation_let_go(op);
	next_fork(op);
}

static void fork_first(struct engine_operation *op, struct err *err, const json_t *result)
{
	snapshot_gather(op, on_gathered);
}

struct err *engine_fork(struct engine *e, struct instance *i, int64_t n,
			const struct engine_watch *watch, struct engine_done done,
			struct engine_operation **ret)
{
	struct engine_operation *op;

	if (n < 1 || n > 1000)
		return err_new(ERR_INVALID, "1 to 1000 copies");
	TRY(snapshot_check(i, true));
	TRY(operation_begin(e, i, "a fork", watch, done, &op));
	op->is_stateful = true;
	op->n = n;
	operation_soon(op, fork_first);
	*ret = op;
	return NULL;
}
