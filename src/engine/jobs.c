/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define LINE_MAX_BYTES (8 << 20) /* an index of a big image, in one line */

struct engine_job {
	struct engine *e;
	json_t *job;
	struct engine_job_io io;
	struct engine_done done;
	struct loop_child *child;
	pid_t pid;
	int out; /* worker's descriptor 1 */
	struct loop_watch *watch;
	struct str line;
	json_t *result;  /* member "done" */
	struct err *err; /* what it said, or what was wrong with what it said */
	bool has_ended, is_cancelled;
	int code;
	TAILQ_ENTRY(engine_job) link;
};

static const char *const kind_names[] = {
	[ERR_INVALID] = "INVALID",         [ERR_NOT_FOUND] = "NOT_FOUND",
	[ERR_EXISTS] = "EXISTS",           [ERR_STATE] = "STATE",
	[ERR_DENIED] = "DENIED",           [ERR_LIMIT] = "LIMIT",
	[ERR_UNAVAILABLE] = "UNAVAILABLE", [ERR_UNSUPPORTED] = "UNSUPPORTED",
	[ERR_CORRUPT] = "CORRUPT",         [ERR_INTERNAL] = "INTERNAL",
};

enum err_kind err_kind_parse(const char *name)
{
	for (enum err_kind k = 0; k < ERR_KINDS; k++)
		if (streq(kind_names[k], name))
			return k;
	return ERR_INTERNAL;
}

static void job_free(struct engine_job *j)
{
	TAILQ_REMOVE(&j->e->jobs, j, link);
	loop_watch_free(j->watch);
	if (j->out >= 0)
		close(j->out);
	loop_child_free(j->child);
	str_done(&j->line);
	json_decref(j->result);
	json_decref(j->job);
	err_free(j->err);
	free(j);
}

/* ---- what a finished job leaves in the store, by its name ---- */

static struct err *enter_image(struct engine_job *j)
{
	const char *job = jx_str(j->job, "job", "");
	const char *ref = jx_str(j->job, "ref", NULL);

	TRY(image_enter(j->e, j->result));
	if (streq(job, "pull") || streq(job, "import")) {
		json_t *a = json_object();

		jx_set_str(a, "name", ref ? ref : jx_str(j->result, "id", ""));
		event_emit(j->e, "image", job,
			   streq(job, "pull") && ref ? ref : jx_str(j->result, "id", ""), a);
	}
	return NULL;
}

static struct err *enter_images(struct engine_job *j)
{
	size_t n;
	json_t *image;

	json_array_foreach(json_object_get(j->result, "images"), n, image)
	{
		json_t *a = json_object();

		TRY(image_enter(j->e, image));
		jx_set_str(a, "name", jx_str(image, "id", ""));
		event_emit(j->e, "image", "load", jx_str(image, "id", ""), a);
	}
	return NULL;
}

/* Of a migration: an image, or only blobs for the next try. */
static struct err *enter_adopted(struct engine_job *j)
{
	return jx_str(j->result, "id", NULL) ? image_enter(j->e, j->result) : NULL;
}

static struct err *enter_kernel(struct engine_job *j)
{
	const char *name = jx_str(j->result, "name", jx_str(j->job, "name", ""));

	TRY(store_begin(j->e->store));
	TRY(store_put(j->e->store, STORE_KERNEL, name, name, j->result));
	engine_dirty(j->e);
	return NULL;
}

static const struct {
	const char *job;
	struct err *(*enter)(struct engine_job *j);
} enters[] = {
	{ "pull", enter_image },    { "import", enter_image },      { "load", enter_images },
	{ "adopt", enter_adopted }, { "kernel-add", enter_kernel },
};

static struct err *enter(struct engine_job *j)
{
	const char *job = jx_str(j->job, "job", "");

	for (size_t n = 0; n < ARRAY_SIZE(enters); n++)
		if (streq(enters[n].job, job))
			return enters[n].enter(j);
	return NULL;
}

static const char *const image_jobs[] = { "pull",  "load",        "import", "save", "push",
					  "erofs", "volume-copy", "commit", "adopt" };

bool jobs_use_images(const struct engine *e)
{
	struct engine_job *j;

	TAILQ_FOREACH(j, &e->jobs, link)
	for (size_t n = 0; n < ARRAY_SIZE(image_jobs); n++)
		if (streq(image_jobs[n], jx_str(j->job, "job", "")))
			return true;
	return false;
}

static void job_end(struct engine_job *j)
{
	struct engine *e = j->e;
	struct err *err = TAKE(j->err);

	if (!err && !j->result)
		err = err_new(ERR_INTERNAL, "%s: the worker ended with status %d and no word",
			      jx_str(j->job, "job", "job"), j->code);
	if (!err)
		err = enter(j);
	if (j->is_cancelled)
		err_free(err);
	else
		engine_finish(j->e, j->done, err, err ? NULL : json_incref(j->result));
	job_free(j);
	images_sweep(e);
}

/* ---- its lines ---- */

static void on_message(struct engine_job *j, const json_t *m)
{
	json_t *done = json_object_get(m, "done"), *error = json_object_get(m, "error");

	if (done) {
		json_decref(j->result);
		j->result = json_incref(done);
	} else if (error) {
		err_free(j->err);
		j->err = err_new(err_kind_parse(jx_str(error, "kind", "")), "%s",
				 jx_str(error, "text", "the worker failed"));
	} else if (j->io.progress && !j->is_cancelled) {
		j->io.progress(j->io.arg, m);
	}
}

static void take_line(struct engine_job *j, const char *text, size_t len)
{
	OWN(json) json_t *m = NULL;
	struct err *err = jx_parse(text, len, &m);

	if (err) {
		log_warn("worker: %s: %.200s", err_text(err), text);
		err_free(err);
		return;
	}
	on_message(j, m);
}

static void take_lines(struct engine_job *j)
{
	char *end;

	while (j->line.len && (end = memchr(j->line.buf, '\n', j->line.len))) {
		size_t n = (size_t)(end - j->line.buf);

		if (n)
			take_line(j, j->line.buf, n);
		str_drop(&j->line, n + 1);
	}
}

static void close_out(struct engine_job *j)
{
	loop_watch_free(TAKE(j->watch));
	close(TAKE_FD(j->out));
	if (j->has_ended)
		job_end(j);
}

static void on_out(void *arg, int events)
{
	struct engine_job *j = arg;
	char buf[16384];
	ssize_t n = read(j->out, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || j->line.len > LINE_MAX_BYTES) {
		close_out(j);
		return;
	}
	str_add(&j->line, buf, (size_t)n);
	take_lines(j);
}

static void on_end(void *arg, int code)
{
	struct engine_job *j = arg;

	j->has_ended = true;
	j->code = code;
	loop_child_free(TAKE(j->child));
	if (j->out < 0)
		job_end(j); /* else what it said last is still in the pipe */
}

/* ---- start ---- */

static json_t *split_list(const char *text, const char *separator)
{
	json_t *a = json_array();

	for (; text && *text; text += strspn(text, separator)) {
		size_t n = strcspn(text, separator);
		OWN(mem) char *one = xstrndup(text, n);

		json_array_append_new(a, jx_string(one));
		text += n;
	}
	return a;
}

/* Which registries may be spoken to, and how: of those jobs that do. */
static void add_registry(struct engine *e, json_t *job)
{
	const char *name = jx_str(job, "job", "");
	json_t *config;

	if (!streq(name, "pull") && !streq(name, "login"))
		return;
	config = json_pack("{s:o, s:o}", "certs", split_list(e->c.registry_certs, ":"), "insecure",
			   split_list(e->c.registry_insecure, ", "));
	if (e->c.registry_mirror)
		json_object_set_new(config, "mirrors",
				    json_pack("{s:s}", "docker.io", e->c.registry_mirror));
	json_object_set_new(job, "registry_config", config);
}

struct err *job_file(const json_t *job, int *ret_fd)
{
	OWN(mem) char *text = jx_text(job);
	OWN(fd) int fd = memfd_create("job", MFD_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "memfd");
	TRY(fd_write_all(fd, text, strlen(text)));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(errno, "memfd");
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static struct err *spawn_worker(struct engine_job *j, int data_fd, int agent_fd)
{
	OWN(fd) int job = -1;
	OWN(fd) int in = -1;
	OWN(fd) int out = -1;
	OWN(mem) char *path = xasprintf("%s/hostel-image", j->e->c.libexec);
	char *argv[] = { path, NULL };
	int pidfd;

	TRY(job_file(j->job, &job));
	TRY(fd_pipe(&out, &in));
	TRY_MSG(spawn_program(
		    &(struct spawn) { .path = path,
				      .argv = argv,
				      .fds = (int[]) { job, in, STDERR_FILENO, data_fd, agent_fd },
				      .n_fds = agent_fd >= 0  ? 5
					       : data_fd >= 0 ? 4
							      : 3,
				      .keep_parent_signal = SIGKILL,
				      .new_session = 1 },
		    &j->pid, &pidfd),
		"worker");
	TRY(loop_child_new(j->e->loop, pidfd, on_end, j, &j->child));
	fd_set_nonblock(out, 1);
	TRY(loop_watch_new(j->e->loop, out, LOOP_READ, on_out, j, &j->watch));
	j->out = TAKE_FD(out);
	return NULL;
}

struct err *job_start_with(struct engine *e, json_t *job, const struct engine_job_io *io, int agent,
			   struct engine_done done, struct engine_job **ret)
{
	struct engine_job *j = xnew(struct engine_job);
	OWN(fd) int data_fd = io ? io->data_fd : -1;
	OWN(fd) int agent_fd = agent;
	struct err *err;

	j->e = e;
	j->job = job;
	j->done = done;
	j->out = -1;
	if (io)
		j->io = *io;
	json_object_set_new(job, "root", json_string(e->c.root));
	add_registry(e, job);
	TAILQ_INSERT_TAIL(&e->jobs, j, link);
	err = spawn_worker(j, data_fd, agent_fd);
	if (err) {
		job_free(j);
		return err;
	}
	if (ret)
		*ret = j;
	return NULL;
}

struct err *engine_job_start(struct engine *e, json_t *job, const struct engine_job_io *io,
			     struct engine_done done, struct engine_job **ret)
{
	return job_start_with(e, job, io, -1, done, ret);
}

void engine_job_cancel(struct engine_job *j)
{
	if (!j)
		return;
	j->is_cancelled = true;
	if (j->child)
		kill(j->pid, SIGKILL); /* not reaped yet: the pid is ours */
}

struct err *job_simple(struct engine *e, json_t *job, struct engine_done done,
		       struct engine_job **ret)
{
	return engine_job_start(e, job, NULL, done, ret);
}

void jobs_free(struct engine *e)
{
	struct engine_job *j;

	while ((j = TAILQ_FIRST(&e->jobs))) {
		engine_job_cancel(j);
		job_free(j);
	}
}
