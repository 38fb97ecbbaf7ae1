/* SPDX-License-Identifier: Apache-2.0 */
/* Trees in and out of an instance's root: docker cp and docker export. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/base64.h"
#include "util/fd.h"
#include "util/mem.h"

static const char tar_type[] = "application/x-tar";

/* Both ends of a pipe. */
static struct err *make_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	return NULL;
}

/* A job that writes a tar while the reply is read from its pipe. */
static struct err *send_tree(struct call *c, struct instance *i, const char *op, const char *path)
{
	OWN(fd) int ours = -1;
	OWN(fd) int theirs = -1;
	struct engine_job_io io = { 0 };

	TRY(make_pipe(&ours, &theirs));
	io.data_fd = TAKE_FD(theirs);
	TRY(engine_files(c->api->engine, i, op, path, &io, call_sent(c), &c->job));
	call_send_job(c, tar_type, TAKE_FD(ours));
	return NULL;
}

struct err *ctr_export(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return send_tree(c, i, "export", "/");
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
	struct instance *i;

	if (!e)
		add_stat_header(c, json_object_get(result, "stat"));
	if (!e && streq(http_method(c->r), "HEAD")) {
		http_reply(c->r, 200, tar_type, NULL, 0);
		return;
	}
	if (!e)
		e = call_instance(c, &i);
	if (!e)
		e = send_tree(c, i, "get", call_query(c, "path"));
	if (e)
		call_error(c, e);
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
	return engine_files(c->api->engine, i, "stat", call_query(c, "path"), &io,
			    (struct engine_done) { .fn = on_stat, .arg = c }, NULL);
}

struct err *ctr_archive_put(struct call *c)
{
	OWN(fd) int ours = -1;
	OWN(fd) int theirs = -1;
	struct engine_job_io io = { 0 };
	struct instance *i;

	TRY(require_path(c));
	TRY(call_instance(c, &i));
	TRY(make_pipe(&theirs, &ours));
	io.data_fd = TAKE_FD(theirs);
	TRY(engine_files(c->api->engine, i, "put", call_query(c, "path"), &io, call_done(c, 200),
			 NULL));
	http_body_to(c->r, TAKE_FD(ours));
	return NULL;
}
