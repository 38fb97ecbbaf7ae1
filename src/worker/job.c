/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/commit.h"
#include "sys/path.h"
#include "tls/digest.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define JOB_BYTES_MAX (4u << 20)
#define COPY_BYTES    (256 * 1024)

/* Consumes @line.  The daemon going away ends the job: there is nobody to report to. */
static void put_line(struct job *j, json_t *line)
{
	OWN(json) json_t *own = line;
	OWN(mem) char *text = jx_text(own);
	OWN(mem) char *full = xasprintf("%s\n", text);
	OWN(err) struct err *e = fd_write_all(j->out_fd, full, strlen(full));

	if (e)
		log_debug("report: %s", err_text(e));
}

void job_status(struct job *j, const char *id, const char *status)
{
	json_t *line = json_object();

	jx_set_str(line, "status", status);
	if (id)
		jx_set_str(line, "id", id);
	put_line(j, line);
}

void job_progress(struct job *j, const char *layer, const char *status, int64_t current,
		  int64_t total)
{
	json_t *p = json_object(), *line = json_object();
	char id[13];

	snprintf(id, sizeof(id), "%s", !strncmp(layer, "sha256:", 7) ? layer + 7 : layer);
	jx_set_str(p, "id", id);
	jx_set_str(p, "status", status);
	json_object_set_new(p, "current", json_integer(current));
	json_object_set_new(p, "total", json_integer(total));
	json_object_set_new(line, "progress", p);
	put_line(j, line);
}

void job_stat(struct job *j, const json_t *stat)
{
	put_line(j, json_pack("{s: O}", "stat", stat));
}

struct err *job_tmp(struct job *j, const char **ret)
{
	if (!j->tmp) {
		OWN(mem) char *path = NULL;

		TRY(image_store_init(j->root));
		path = xasprintf("%s/tmp/job-%d-%llx", j->root, getpid(),
				 (unsigned long long)clock_boot_ns());
		if (mkdir(path, 0700) < 0)
			return err_sys(errno, "mkdir %s", path);
		j->tmp = TAKE(path);
	}
	*ret = j->tmp;
	return NULL;
}

struct err *job_arg(const struct job *j, const char *name, const char **ret)
{
	const char *s = jx_str(j->args, name, NULL);

	if (!s || !*s)
		return err_new(ERR_INVALID, "job without \"%s\"", name);
	*ret = s;
	return NULL;
}

struct err *job_spool(struct job *j, struct source in, const char *name, char **ret_path,
		      char *ret_digest, int64_t *ret_bytes)
{
	OWN(mem) char *buf = xcalloc(COPY_BYTES, 1);
	OWN(digest) struct digest *d = digest_new();
	OWN(mem) char *path = NULL;
	OWN(fd) int fd = -1;
	int64_t bytes = 0;
	const char *tmp;
	size_t n = 1;

	TRY(job_tmp(j, &tmp));
	path = xasprintf("%s/%s", tmp, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(errno, "create %s", path);
	for (;;) {
		TRY(in.read(in.arg, buf, COPY_BYTES, &n));
		if (!n)
			break;
		digest_add(d, buf, n);
		bytes += (int64_t)n;
		TRY_MSG(fd_write_all(fd, buf, n), "%s", path);
	}
	digest_text(d, ret_digest);
	*ret_path = TAKE(path);
	*ret_bytes = bytes;
	return NULL;
}

static struct err *run(struct job *j, json_t **ret_done)
{
	const struct job_type *type;
	const char *name;

	TRY(job_arg(j, "job", &name));
	TRY(job_arg(j, "root", &j->root));
	if (*j->root != '/')
		return err_new(ERR_INVALID, "root \"%s\" is not absolute", j->root);
	type = job_find(name);
	if (!type)
		return err_new(ERR_UNSUPPORTED, "no job \"%s\"", name);
	return type->fn(j, ret_done);
}

static void put_error(struct job *j, const struct err *e)
{
	static const char *const kinds[ERR_KINDS] = {
		[ERR_INVALID] = "INVALID",         [ERR_NOT_FOUND] = "NOT_FOUND",
		[ERR_EXISTS] = "EXISTS",           [ERR_STATE] = "STATE",
		[ERR_DENIED] = "DENIED",           [ERR_LIMIT] = "LIMIT",
		[ERR_UNAVAILABLE] = "UNAVAILABLE", [ERR_UNSUPPORTED] = "UNSUPPORTED",
		[ERR_CORRUPT] = "CORRUPT",         [ERR_INTERNAL] = "INTERNAL",
	};
	json_t *inner = json_object(), *line = json_object();

	jx_set_str(inner, "kind", kinds[err_kind(e)]);
	jx_set_str(inner, "text", err_text(e));
	json_object_set_new(line, "error", inner);
	put_line(j, line);
}

static void remove_tmp(struct job *j)
{
	OWN(err) struct err *e = j->tmp ? path_remove(j->tmp) : NULL;

	if (e)
		log_warn("%s", err_text(e));
	free(j->tmp);
}

int job_run(int in_fd, int out_fd, int data_fd)
{
	struct job j = { .out_fd = out_fd, .data_fd = data_fd };
	OWN(json) json_t *args = NULL;
	OWN(json) json_t *done = NULL;
	OWN(err) struct err *e = jx_read(in_fd, JOB_BYTES_MAX, "job", &args);

	j.args = args;
	if (!e)
		e = run(&j, &done);
	remove_tmp(&j);
	if (e) {
		log_debug("failed in %s", err_trace(e));
		put_error(&j, e);
		return 1;
	}
	put_line(&j, json_pack("{s: o}", "done", done ? json_incref(done) : json_object()));
	return 0;
}
