/* SPDX-License-Identifier: Apache-2.0 */
/* Trees in and out of an instance's root: docker cp and docker export. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/base64.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

static const char tar_type[] = "application/x-tar";

/*
 * A job that writes a tar while the reply is read from its pipe.  It is not cancelled when its
 * client goes: it hears of that by its pipe, and ends in order.
 */
struct sending {
	struct call *c; /* NULL: its client went */
	int fd;         /* the reply's body; -1: the reply has begun */
};

static void on_send_gone(void *arg)
{
	struct sending *s = arg;
	struct call *c = TAKE(s->c);

	http_source_end(TAKE(c->source), false);
}

static void begin_reply(struct sending *s)
{
	s->c->source = http_reply_fd_held(s->c->r, tar_type, TAKE_FD(s->fd), on_send_gone, s);
}

static void on_send_end(void *arg, struct err *e, const json_t *result)
{
	struct sending *s = arg;

	(void)result;
	if (s->c && s->fd >= 0)
		call_error(s->c, e ? e : err_new(ERR_INTERNAL, "the worker found nothing"));
	else if (s->c)
		http_source_end(TAKE(s->c->source), !e); /* cut where it failed */
	if (e && s->fd < 0)
		log_warn("cut off: %s", err_text(e));
	if (s->fd < 0 || !s->c)
		err_free(e);
	own_fd_release(&s->fd);
	free(s);
}

/* A get says what it found before the first byte of the tree. */
static void on_send_progress(void *arg, const json_t *message);

static struct err *send_tree(struct call *c, struct instance *i, const char *op, const char *path,
			     bool is_held_back)
{
	struct sending *s = xnew(struct sending);
	struct engine_job_io io = { .progress = on_send_progress, .arg = s };
	struct engine_done done = { .fn = on_send_end, .arg = s };
	struct err *e;

	s->c = c;
	s->fd = -1;
	e = fd_pipe(&s->fd, &io.data_fd);
	if (!e)
		e = engine_files(c->api->engine, i, op, path, &io, done, NULL);
	if (e) {
		own_fd_release(&s->fd);
		free(s);
		return e;
	}
	if (!is_held_back)
		begin_reply(s);
	return NULL;
}

struct err *ctr_export(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return send_tree(c, i, "export", "/", false);
}

/* ---- archive ---- */

static void add_stat_header(struct call *c, const json_t *stat)
{
	OWN(json)
	json_t *j = json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", jx_str(stat, "name", ""), "size",
			      (json_int_t)jx_int(stat, "size", 0), "mode",
			      (json_int_t)jx_int(stat, "mode", 0), "mtime",
			      jx_str(stat, "mtime", "0001-01-01T00:00:00Z"), "linkTarget",
			      jx_str(stat, "linkTarget", ""));
	OWN(mem) char *text = jx_text(j);
	OWN(mem) char *encoded = xcalloc(BASE64_TEXT_SIZE(strlen(text)), 1);

	base64_encode(text, strlen(text), encoded);
	http_add_header(c->r, "X-Docker-Container-Path-Stat", encoded);
}

static void on_stat(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	if (e) {
		call_error(c, e);
		return;
	}
	add_stat_header(c, json_object_get(result, "stat"));
	http_reply(c->r, 200, tar_type, NULL, 0);
}

static void on_send_progress(void *arg, const json_t *message)
{
	struct sending *s = arg;
	const json_t *stat = json_object_get(message, "stat");

	if (!stat || !s->c || s->fd < 0)
		return;
	add_stat_header(s->c, stat);
	begin_reply(s);
}

static struct err *require_path(struct call *c)
{
	const char *path = call_query(c, "path");

	if (!path || !*path)
		return err_new(ERR_INVALID, "bad parameter: path cannot be empty");
	return NULL;
}

struct err *ctr_archive_get(struct call *c)
{
	struct engine_job_io io = { .data_fd = -1 };
	struct instance *i;

	TRY(require_path(c));
	TRY(call_instance(c, &i));
	if (!streq(http_method(c->r), "HEAD"))
		return send_tree(c, i, "get", call_query(c, "path"), true);
	return engine_files(c->api->engine, i, "stat", call_query(c, "path"), &io,
			    (struct engine_done) { .fn = on_stat, .arg = c }, NULL);
}

struct err *ctr_archive_put(struct call *c)
{
	OWN(fd) int ours = -1;
	OWN(fd) int theirs = -1;
	struct engine_job_io io = { .keep_kind = call_flag(c, "noOverwriteDirNonDir") };
	struct instance *i;

	TRY(require_path(c));
	TRY(call_instance(c, &i));
	TRY(fd_pipe(&theirs, &ours));
	io.data_fd = TAKE_FD(theirs);
	TRY(engine_files(c->api->engine, i, "put", call_query(c, "path"), &io, call_done(c, 200),
			 NULL));
	http_body_to(c->r, TAKE_FD(ours));
	return NULL;
}
