/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /hostel/v1/: snapshots, forks, backups.  What takes its time answers with a stream of lines: how
 * it goes, and at the end {"done":…} or {"error":…,"kind":…}; a client that goes cancels it.
 */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

struct watched {
	struct call *call;
	struct engine_operation *op; /* NULL: it is over */
};

static void end(struct call *c)
{
	c->is_busy = false;
	call_stream_end(c);
}

static void on_done(void *arg, struct err *e, const json_t *result)
{
	struct watched *w = arg;
	struct call *c = w->call;
	json_t *line = json_object();

	w->op = NULL;
	if (e) {
		jx_set_str(line, "error", err_text(e));
		jx_set_str(line, "kind", api_kind_name(err_kind(e)));
	} else {
		json_object_set(line, "done", (json_t *)(uintptr_t)result);
	}
	if (!c->is_gone)
		call_line(c, line);
	else
		json_decref(line);
	err_free(e);
	end(c);
}

static void on_message(void *arg, const json_t *message)
{
	const struct watched *w = arg;

	if (w->call->stream && !w->call->is_gone)
		call_line(w->call, json_deep_copy(message));
}

static void on_client_gone(struct call *c)
{
	struct watched *w = c->state;

	if (w->op)
		engine_operation_cancel(w->op);
}

static struct watched *watch(struct call *c)
{
	struct watched *w = xnew(struct watched);

	w->call = c;
	c->state = w;
	c->state_free = free;
	return w;
}

static void follow(struct call *c)
{
	c->is_busy = true;
	c->stop = on_client_gone;
	call_stream(c, "application/x-ndjson");
}

/* ---- verbs ---- */

static struct err *listing(struct call *c, struct instance *only)
{
	call_json(c, 200, engine_snapshots(c->api->engine, only));
	return NULL;
}

struct err *snp_list_all(struct call *c)
{
	return listing(c, NULL);
}

struct err *snp_list(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return listing(c, i);
}

struct err *snp_create(struct call *c)
{
	struct engine_snapshot_wish wish = {
		.name = jx_str(c->body, "name", NULL),
		.stateful = jx_bool(c->body, "stateful", false),
		.is_checkpoint = jx_bool(c->body, "checkpoint", false),
		.stops = jx_bool(c->body, "stop", false),
	};
	struct watched *w = watch(c);
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_snapshot_create(c->api->engine, i, &wish,
				   &(struct engine_watch) { on_message, w },
				   (struct engine_done) { on_done, w }, &w->op));
	follow(c);
	return NULL;
}

struct err *snp_remove(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_snapshot_remove(i, call_param(c, "snapshot")));
	call_empty(c, 204);
	return NULL;
}

static struct err *restore(struct call *c, const char *name)
{
	struct engine_restore_wish wish = {
		.name = name,
		.as = jx_str(c->body, "as", NULL),
		.force = jx_bool(c->body, "force", false),
		.disk_only = jx_bool(c->body, "disk_only", false),
	};
	struct watched *w = watch(c);
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_snapshot_restore(c->api->engine, i, &wish,
				    &(struct engine_watch) { on_message, w },
				    (struct engine_done) { on_done, w }, &w->op));
	follow(c);
	return NULL;
}

struct err *snp_restore(struct call *c)
{
	return restore(c, call_param(c, "snapshot"));
}

struct err *snp_restore_newest(struct call *c)
{
	return restore(c, NULL);
}

struct err *snp_fork(struct call *c)
{
	struct watched *w = watch(c);
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_fork(c->api->engine, i, jx_int(c->body, "copies", 1),
			&(struct engine_watch) { on_message, w },
			(struct engine_done) { on_done, w }, &w->op));
	follow(c);
	return NULL;
}

struct err *snp_cancel(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	TRY(engine_operation_stop(i));
	call_empty(c, 204);
	return NULL;
}

/* ---- files ---- */

static const char file_type[] = "application/vnd.hostel.snapshot";

struct err *snp_export(struct call *c)
{
	struct instance *i;
	OWN(fd) int body = -1;
	int to;

	TRY(call_instance(c, &i));
	TRY(fd_pipe(&body, &to));
	TRY(engine_snapshot_export(c->api->engine, i, call_param(c, "snapshot"), to, call_sent(c),
				   &c->job));
	call_send_job(c, file_type, TAKE_FD(body));
	return NULL;
}

/* A backup's body begins when its snapshot is made: until then it can still be refused. */
struct backup {
	struct call *call;
	struct engine_operation *op;
	int fd; /* -1: the reply has begun */
	bool is_gone;
};

static void backup_free(void *arg)
{
	struct backup *b = arg;

	own_fd_release(&b->fd);
	free(b);
}

static void on_backup_gone(void *arg)
{
	struct backup *b = arg;

	b->is_gone = true;
	if (b->op)
		engine_operation_cancel(b->op);
}

static void on_backup_message(void *arg, const json_t *message)
{
	struct backup *b = arg;

	if (b->fd < 0 || b->is_gone || !json_object_get(message, "begin"))
		return;
	b->call->source =
	    http_reply_fd_held(b->call->r, file_type, TAKE_FD(b->fd), on_backup_gone, b);
}

static void on_backup_done(void *arg, struct err *e, const json_t *result)
{
	struct backup *b = arg;
	struct call *c = b->call;

	(void)result;
	b->op = NULL;
	if (e)
		log_warn("backup: %s", err_text(e));
	if (c->source)
		http_source_end(TAKE(c->source), !e);
	else if (b->is_gone)
		http_drop(c->r);
	else
		call_error(c, e ? TAKE(e) : err_new(ERR_INTERNAL, "the backup said nothing"));
	err_free(e);
}

struct err *snp_backup(struct call *c)
{
	struct backup *b = xnew(struct backup);
	struct instance *i;
	int to;

	b->call = c;
	b->fd = -1;
	c->state = b;
	c->state_free = backup_free;
	TRY(call_instance(c, &i));
	TRY(fd_pipe(&b->fd, &to));
	TRY(engine_backup_create(c->api->engine, i, to,
				 &(struct engine_watch) { on_backup_message, b },
				 (struct engine_done) { on_backup_done, b }, &b->op));
	http_on_gone(c->r, on_backup_gone, b);
	return NULL;
}

static void on_imported(void *arg, struct err *e, const json_t *result)
{
	struct watched *w = arg;
	struct call *c = w->call;

	w->op = NULL;
	if (c->is_gone) {
		err_free(e);
		http_drop(c->r);
	} else if (e) {
		call_error(c, e);
	} else {
		call_json(c, 201, json_incref((json_t *)(uintptr_t)result));
	}
}

static void on_importer_gone(void *arg)
{
	struct watched *w = arg;

	w->call->is_gone = true;
	if (w->op)
		engine_operation_cancel(w->op);
}

static struct err *import(struct call *c, bool is_backup)
{
	const char *as = call_query(c, "as");
	struct watched *w = watch(c);
	OWN(fd) int body = -1;
	int from;

	TRY(fd_pipe(&from, &body));
	TRY(engine_snapshot_import(c->api->engine, from, as && *as ? as : NULL, is_backup, NULL,
				   (struct engine_done) { on_imported, w }, &w->op));
	http_body_to(c->r, TAKE_FD(body));
	http_on_gone(c->r, on_importer_gone, w);
	return NULL;
}

struct err *snp_import(struct call *c)
{
	return import(c, false);
}

struct err *snp_backup_restore(struct call *c)
{
	return import(c, true);
}
