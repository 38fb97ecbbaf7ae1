/* SPDX-License-Identifier: Apache-2.0 */
/* Attach, exec, wait, logs, stats: what goes on after the reply's first byte. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "json/fields.h"
#include "shim/logs.h"
#include "shim/proto.h"
#include "sys/sock.h"
#include "sys/spawn.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define STATS_EVERY_NS 1000000000LL

static const char raw_type[] = "application/vnd.docker.raw-stream";

static const char *stream_type(const struct call *c, bool tty)
{
	return tty || c->minor < 42 ? raw_type : "application/vnd.docker.multiplexed-stream";
}

/* ---- wait ---- */

/* The exit code, as dockerd; with the note of our own ("out of memory: ...") for who asks for it.
 */
static json_t *waited(const struct call *c, const json_t *result)
{
	const char *note = jx_str(result, "Note", NULL), *asked = call_query(c, "note");
	json_t *j = json_pack("{s:I}", "StatusCode", (json_int_t)jx_int(result, "StatusCode", 0));

	if (note && asked && *asked == '1')
		jx_set_str(j, "Note", note);
	return j;
}

static void on_waited(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	c->ticket = NULL;
	if (e)
		call_line(c, json_pack("{s:i, s:{s:s}}", "StatusCode", -1, "Error", "Message",
				       err_text(e)));
	else /* without the reason of a failed start: that is start's answer to give */
		call_line(c, waited(c, result));
	err_free(e);
	call_stream_end(c);
}

struct err *ctr_wait(struct call *c)
{
	static const char *const names[] = { "not-running", "next-exit", "removed" };
	static const enum engine_wait waits[] = { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
	const char *condition = call_query(c, "condition");
	struct instance *i;
	size_t k = 0;

	TRY(call_instance(c, &i));
	if (condition && *condition) {
		while (k < ARRAY_SIZE(names) && strcmp(names[k], condition))
			k++;
		if (k == ARRAY_SIZE(names))
			return err_new(ERR_INVALID, "invalid condition: \"%s\"", condition);
	}
	/* The header goes out now: docker run sends its start only after it. */
	call_stream(c, "application/json");
	c->ticket = engine_wait(c->api->engine, i, waits[k],
				(struct engine_done) { .fn = on_waited, .arg = c });
	return NULL;
}

/* ---- attach ---- */

struct attach {
	char *id; /* instance's, or exec's */
	unsigned streams;
	bool is_exec;
	bool tty;
	int rows, cols;
};

static void attach_free(void *arg)
{
	struct attach *a = arg;

	free(a->id);
	free(a);
}

static struct attach *attach_new(struct call *c, const char *id)
{
	struct attach *a = xnew(struct attach);

	a->id = xstrdup(id);
	c->state = a;
	c->state_free = attach_free;
	return a;
}

static void attach_now(struct call *c, const struct engine_attach *to)
{
	const struct attach *a = c->state;
	struct instance *i;
	struct err *e = engine_find(c->api->engine, a->id, &i);

	if (e)
		close(to->fd);
	else
		e = engine_attach(c->api->engine, i, to);
	if (e)
		log_warn("attach to %s: %s", a->id, err_text(e));
	err_free(e);
}

static void on_attach_socket(void *arg, int fd, const void *pre, size_t len)
{
	struct call *c = arg;
	const struct attach *a = c->state;

	attach_now(c, &(struct engine_attach) { .fd = fd,
						.streams = a->streams,
						.detach_keys = call_query(c, "detachKeys"),
						.pre = pre,
						.pre_len = len });
}

/* A client that cannot upgrade gets what comes out, and can send nothing. */
static struct err *attach_pair(struct call *c, unsigned streams, int *ret_fd, int *ret_theirs)
{
	int fds[2];

	(void)c;
	(void)streams;
	TRY(sock_pair(SOCK_STREAM, fds));
	*ret_fd = fds[0];
	*ret_theirs = fds[1];
	return NULL;
}

static unsigned wanted_streams(struct call *c, bool tty)
{
	static const struct {
		const char *key;
		unsigned bit;
	} flags[] = { { "stdin", SHIM_STDIN },
		      { "stdout", SHIM_STDOUT },
		      { "stderr", SHIM_STDERR },
		      { "logs", SHIM_LOGS } };
	unsigned streams = tty ? SHIM_RAW : 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (call_flag(c, flags[i].key))
			streams |= flags[i].bit;
	if (!call_flag(c, "stream"))
		streams |= SHIM_NO_STREAM;
	return streams;
}

struct err *ctr_attach(struct call *c)
{
	struct instance_view v;
	struct instance *i;
	struct attach *a;
	int ours, theirs;

	TRY(call_instance(c, &i));
	v = instance_view(i);
	if (v.is_paused)
		return err_new(ERR_STATE,
			       "container %s is paused, unpause the container before attach", v.id);
	a = attach_new(c, v.id);
	a->streams = wanted_streams(c, v.spec->tty);
	if (http_wants_upgrade(c->r)) {
		http_upgrade(c->r, "tcp", stream_type(c, v.spec->tty), on_attach_socket, c);
		return NULL;
	}
	TRY(attach_pair(c, a->streams, &ours, &theirs));
	attach_now(c, &(struct engine_attach) { .fd = theirs,
						.streams = a->streams & ~(unsigned)SHIM_STDIN });
	http_reply_fd(c->r, stream_type(c, v.spec->tty), ours);
	return NULL;
}

/* ---- exec ---- */

struct exec_body {
	struct engine_exec_spec x;
	char *user, *workdir, *keys;
	json_t *console;
};

static const struct json_field exec_fields[] = {
	JSON_FIELD(struct exec_body, "Cmd", JF_STRV, x.cmd),
	JSON_FIELD(struct exec_body, "Env", JF_STRV, x.env),
	JSON_FIELD(struct exec_body, "User", JF_STR, user),
	JSON_FIELD(struct exec_body, "WorkingDir", JF_STR, workdir),
	JSON_FIELD(struct exec_body, "DetachKeys", JF_STR, keys),
	JSON_FIELD(struct exec_body, "Tty", JF_BOOL, x.tty),
	JSON_FIELD(struct exec_body, "AttachStdin", JF_BOOL, x.attach_stdin),
	JSON_FIELD(struct exec_body, "AttachStdout", JF_BOOL, x.attach_stdout),
	JSON_FIELD(struct exec_body, "AttachStderr", JF_BOOL, x.attach_stderr),
	JSON_FIELD(struct exec_body, "Privileged", JF_BOOL, x.privileged),
	JSON_FIELD(struct exec_body, "ConsoleSize", JF_JSON, console),
};

/* [rows, columns], or nothing. */
static void read_console(const json_t *size, int *rows, int *cols)
{
	int64_t h = json_integer_value(json_array_get(size, 0));
	int64_t w = json_integer_value(json_array_get(size, 1));

	if (h > 0 && h <= UINT16_MAX && w > 0 && w <= UINT16_MAX) {
		*rows = (int)h;
		*cols = (int)w;
	}
}

static struct err *make_exec(struct call *c, struct instance *i, struct exec_body *b, char **ret_id)
{
	struct instance_view v = instance_view(i);

	TRY(json_read_fields(exec_fields, ARRAY_SIZE(exec_fields), c->body, b));
	if (!b->x.cmd.n)
		return err_new(ERR_INVALID, "No exec command specified");
	if (v.state != INST_RUNNING && v.state != INST_STOPPING)
		return err_new(ERR_STATE, "container %s is not running", v.id);
	if (v.is_paused)
		return err_new(ERR_STATE,
			       "container %s is paused, unpause the container before exec", v.id);
	b->x.user = b->user;
	b->x.workdir = b->workdir;
	b->x.detach_keys = b->keys;
	read_console(b->console, &b->x.rows, &b->x.cols);
	return engine_exec_create(c->api->engine, i, &b->x, ret_id);
}

struct err *exec_create(struct call *c)
{
	struct exec_body b = { 0 };
	OWN(mem) char *id = NULL;
	struct instance *i;
	struct err *e;

	TRY(call_instance(c, &i));
	e = make_exec(c, i, &b, &id);
	json_free_fields(exec_fields, ARRAY_SIZE(exec_fields), &b);
	TRY(e);
	call_json(c, 201, json_pack("{s:s}", "Id", id));
	return NULL;
}

/* An exec that a client is attached to started, or did not; outlives the call. */
struct exec_start {
	struct engine *engine;
	char *id;
	int rows, cols;
};

/* Why it did not start is said on the client's stream, by the shim. */
static void on_exec_started(void *arg, struct err *e, const json_t *result)
{
	struct exec_start *x = arg;

	(void)result;
	if (!e && x->rows)
		err_free(engine_exec_resize(x->engine, x->id, x->rows, x->cols));
	err_free(e);
	free(x->id);
	free(x);
}

/* @fd is consumed. */
static void start_attached(struct call *c, struct engine_attach *to)
{
	const struct attach *a = c->state;
	struct exec_start *x = xnew(struct exec_start);
	struct err *e;

	*x = (struct exec_start) {
		.engine = c->api->engine, .id = xstrdup(a->id), .rows = a->rows, .cols = a->cols
	};
	e = engine_exec_start(c->api->engine, a->id, to,
			      (struct engine_done) { .fn = on_exec_started, .arg = x });
	if (e)
		on_exec_started(x, e, NULL);
}

static void on_exec_socket(void *arg, int fd, const void *pre, size_t len)
{
	struct call *c = arg;
	const struct attach *a = c->state;

	start_attached(c, &(struct engine_attach) {
			      .fd = fd, .streams = a->streams, .pre = pre, .pre_len = len });
}

/* What inspect says about it decides the streams. */
static struct err *read_exec(struct call *c, struct attach *a)
{
	OWN(json) json_t *j = NULL;

	TRY(engine_exec_inspect(c->api->engine, a->id, &j));
	if (jx_bool(j, "Running", false) || json_is_integer(json_object_get(j, "ExitCode")))
		return err_new(ERR_STATE, "Error: Exec command %s is already running", a->id);
	a->is_exec = true;
	a->tty = jx_bool(json_object_get(j, "ProcessConfig"), "tty", false);
	a->streams = a->tty ? SHIM_RAW | SHIM_TTY : 0;
	a->streams |= jx_bool(j, "OpenStdin", false) ? SHIM_STDIN : 0;
	a->streams |= jx_bool(j, "OpenStdout", true) ? SHIM_STDOUT : 0;
	a->streams |= jx_bool(j, "OpenStderr", true) ? SHIM_STDERR : 0;
	return NULL;
}

struct err *exec_start(struct call *c)
{
	struct attach *a = attach_new(c, call_param(c, "id"));
	int ours, theirs;

	TRY(read_exec(c, a));
	read_console(json_object_get(c->body, "ConsoleSize"), &a->rows, &a->cols);
	if (jx_bool(c->body, "Detach", false))
		return engine_exec_start(c->api->engine, a->id, NULL, call_done(c, 200));
	if (http_wants_upgrade(c->r)) {
		http_upgrade(c->r, "tcp", stream_type(c, a->tty), on_exec_socket, c);
		return NULL;
	}
	TRY(attach_pair(c, a->streams, &ours, &theirs));
	start_attached(c, &(struct engine_attach) {
			      .fd = theirs, .streams = a->streams & ~(unsigned)SHIM_STDIN });
	http_reply_fd(c->r, stream_type(c, a->tty), ours);
	return NULL;
}

struct err *exec_resize(struct call *c)
{
	int64_t rows, cols;

	TRY(call_int(c, "h", 0, &rows));
	TRY(call_int(c, "w", 0, &cols));
	if (rows < 0 || rows > UINT16_MAX || cols < 0 || cols > UINT16_MAX)
		return err_new(ERR_INVALID, "invalid size of a terminal");
	TRY(engine_exec_resize(c->api->engine, call_param(c, "id"), (int)rows, (int)cols));
	call_empty(c, 200);
	return NULL;
}

struct err *exec_inspect(struct call *c)
{
	json_t *j = NULL;

	TRY(engine_exec_inspect(c->api->engine, call_param(c, "id"), &j));
	call_json(c, 200, j);
	return NULL;
}

/* ---- logs ---- */

/* The program that reads the log; killed when nobody wants it any more. */
struct reader {
	int kill_fd; /* pidfd of our own, -1 once it ended */
	int ready;   /* at its end when the log is open */
	int body;    /* what the client will get; -1: it gets it */
	struct loop_watch *on_ready;
	struct call *call;
	const char *type; /* static */
};

static void reader_free(void *arg)
{
	struct reader *p = arg;

	if (p->kill_fd >= 0)
		syscall(SYS_pidfd_send_signal, p->kill_fd, SIGKILL, NULL, 0);
	own_fd_release(&p->kill_fd);
	loop_watch_free(p->on_ready);
	own_fd_release(&p->ready);
	own_fd_release(&p->body);
	/* The child itself is reaped by orphan_ended(). */
	free(p);
}

/* A child and the reader that may be gone before it. */
struct orphan {
	struct loop_child *child;
};

static void orphan_ended(void *arg, int code)
{
	struct orphan *o = arg;

	(void)code;
	loop_child_free(o->child);
	free(o);
}

static struct err *spawn_reader(struct call *c, const struct strv *argv, int out_fd, int ready_fd,
				struct reader *ret)
{
	const int fds[] = { -1, out_fd, -1, [LOGS_READY_FD] = ready_fd };
	struct spawn s = {
		.path = argv->v[0], .argv = argv->v, .fds = fds, .n_fds = ARRAY_SIZE(fds)
	};
	struct orphan *o = NULL;
	OWN(fd) int pidfd = -1;
	struct err *e;
	pid_t pid;

	TRY(spawn_program(&s, &pid, &pidfd));
	ret->kill_fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	o = xnew(struct orphan);
	e = loop_child_new(c->api->loop, TAKE_FD(pidfd), orphan_ended, o, &o->child);
	if (e)
		free(o);
	return e;
}

static struct err *add_time(struct call *c, const char *key, struct strv *argv)
{
	const char *text = call_query(c, key);
	int64_t ns;

	if (!text || !*text || streq(text, "0"))
		return NULL;
	TRY(docker_time_read(text, clock_wall_ns(), &ns));
	strv_addf(argv, "--%s", key);
	strv_addf(argv, "%" PRId64, ns);
	return NULL;
}

static struct err *add_tail(struct call *c, struct strv *argv)
{
	const char *tail = call_query(c, "tail");
	int64_t n;

	/* As dockerd: what is no number is "all". */
	struct err *e = tail ? num_parse_i64(tail, 0, INT64_MAX, &n) : NULL;

	if (tail && !e) {
		strv_add(argv, "--tail");
		strv_addf(argv, "%" PRId64, n);
	}
	err_free(e);
	return NULL;
}

static struct err *logs_argv(struct call *c, const struct instance_view *v, struct strv *argv)
{
	bool alive = v->state == INST_RUNNING || v->state == INST_STOPPING;
	const struct {
		bool on;
		const char *flag;
	} flags[] = {
		{ call_flag(c, "follow") && alive, "--follow" },
		{ call_flag(c, "timestamps"), "--timestamps" },
		{ call_flag(c, "stdout"), "--stdout" },
		{ call_flag(c, "stderr"), "--stderr" },
		{ v->spec->tty, "--raw" },
	};

	strv_addf(argv, "%s/hostel-shim", engine_config(c->api->engine)->libexec);
	strv_add(argv, "--logs");
	strv_add(argv, "--ready");
	strv_add(argv, "--state-dir");
	strv_add(argv, v->state_dir);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].on)
			strv_add(argv, flags[i].flag);
	TRY(add_time(c, "since", argv));
	TRY(add_time(c, "until", argv));
	return add_tail(c, argv);
}

/*
 * Now a client may remove the instance and read its log afterwards, as docker-py does: before, it
 * has no answer.
 */
static void on_log_open(void *arg, int events)
{
	struct reader *p = arg;

	(void)events;
	loop_watch_free(TAKE(p->on_ready));
	http_reply_fd(p->call->r, p->type, TAKE_FD(p->body));
}

static struct err *start_reader(struct call *c, const struct strv *argv, struct reader *p)
{
	OWN(fd) int theirs = -1;
	OWN(fd) int ready = -1;

	TRY(fd_pipe(&p->body, &theirs));
	TRY(fd_pipe(&p->ready, &ready));
	TRY(spawn_reader(c, argv, theirs, ready, p));
	return loop_watch_new(c->api->loop, p->ready, LOOP_READ, on_log_open, p, &p->on_ready);
}

struct err *ctr_logs(struct call *c)
{
	OWN(strv) struct strv argv = { 0 };
	struct reader *reader;
	struct instance_view v;
	struct instance *i;

	TRY(call_instance(c, &i));
	v = instance_view(i);
	if (!call_flag(c, "stdout") && !call_flag(c, "stderr"))
		return err_new(ERR_INVALID, "Bad parameters: you must choose at least one stream");
	if (streq(v.spec->log_driver, "none"))
		return err_new(ERR_UNSUPPORTED,
			       "configured logging driver does not support reading");
	TRY(logs_argv(c, &v, &argv));
	reader = xnew(struct reader);
	*reader = (struct reader) { .kill_fd = -1,
				    .ready = -1,
				    .body = -1,
				    .call = c,
				    .type = stream_type(c, v.spec->tty) };
	c->state = reader;
	c->state_free = reader_free;
	return start_reader(c, &argv, reader);
}

/* ---- stats ---- */

struct stats {
	char *id;
	json_t *before; /* the last sample */
	bool is_stream, is_one_shot;
	int samples;
	struct loop_timer *timer;
};

static void stats_free(void *arg)
{
	struct stats *s = arg;

	free(s->id);
	json_decref(s->before);
	loop_timer_free(s->timer);
	free(s);
}

/* A sample as Docker shows it: with the one before it beside it. */
static json_t *stats_document(struct stats *s, const struct instance_view *v, json_t *now)
{
	OWN(mem) char *name = xasprintf("/%s", v->spec->name);
	json_t *cpu = json_object_get(s->before, "cpu_stats");
	json_t *read_time = json_object_get(s->before, "read");

	jx_set_str(now, "name", name);
	jx_set_str(now, "id", v->id);
	json_object_set(now, "precpu_stats", cpu ? cpu : json_object_get(now, "precpu_stats"));
	if (!json_object_get(now, "precpu_stats"))
		json_object_set_new(now, "precpu_stats",
				    json_pack("{s:{s:i, s:i, s:i}, s:{s:i, s:i, s:i}}", "cpu_usage",
					      "total_usage", 0, "usage_in_kernelmode", 0,
					      "usage_in_usermode", 0, "throttling_data", "periods",
					      0, "throttled_periods", 0, "throttled_time", 0));
	if (read_time)
		json_object_set(now, "preread", read_time);
	else
		jx_set_str(now, "preread", "0001-01-01T00:00:00Z");
	json_decref(s->before);
	s->before = json_incref(now);
	return now;
}

/* What is shown of an instance that does not run. */
static json_t *no_stats(void)
{
	return json_pack("{s:s, s:{}, s:{s:n}, s:i, s:{}, s:{s:{s:i, s:i, s:i}, s:{s:i, s:i, s:i}},"
			 " s:{}}",
			 "read", "0001-01-01T00:00:00Z", "pids_stats", "blkio_stats",
			 "io_service_bytes_recursive", "num_procs", 0, "storage_stats", "cpu_stats",
			 "cpu_usage", "total_usage", 0, "usage_in_kernelmode", 0,
			 "usage_in_usermode", 0, "throttling_data", "periods", 0,
			 "throttled_periods", 0, "throttled_time", 0, "memory_stats");
}

static void stats_ask(struct call *c);

static void stats_emit(struct call *c, const struct instance_view *v, json_t *sample)
{
	struct stats *s = c->state;
	json_t *j = stats_document(s, v, sample);

	s->samples++;
	if (s->is_stream) {
		call_line(c, j);
		loop_timer_start(s->timer, STATS_EVERY_NS);
	} else if (s->is_one_shot || s->samples > 1 || !v->pid) {
		call_json(c, 200, j);
	} else {
		json_decref(j);
		loop_timer_start(s->timer, STATS_EVERY_NS);
	}
}

static void stats_finish(struct call *c, struct err *e)
{
	struct stats *s = c->state;

	if (s->is_stream) {
		err_free(e);
		call_stream_end(c);
	} else {
		call_error(c, e);
	}
}

static void on_stats(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;
	struct stats *s = c->state;
	struct instance *i;

	c->is_busy = false;
	if (c->is_gone) {
		err_free(e);
		call_stream_end(c);
		return;
	}
	err_free(e); /* it ended meanwhile: shown as not running */
	e = engine_find(c->api->engine, s->id, &i);
	if (e) {
		stats_finish(c, e);
		return;
	}
	struct instance_view v = instance_view(i);

	stats_emit(c, &v, result ? json_deep_copy(result) : no_stats());
}

static void stats_ask(struct call *c)
{
	struct stats *s = c->state;
	struct instance *i;
	struct err *e = engine_find(c->api->engine, s->id, &i);

	if (e) {
		stats_finish(c, e);
		return;
	}
	c->is_busy = true;
	e = engine_stats(c->api->engine, i, (struct engine_done) { .fn = on_stats, .arg = c });
	if (e)
		on_stats(c, e, NULL);
}

static void on_stats_timer(void *arg)
{
	stats_ask(arg);
}

static void stats_stop(struct call *c)
{
	struct stats *s = c->state;

	loop_timer_stop(s->timer);
}

struct err *ctr_stats(struct call *c)
{
	const char *stream = call_query(c, "stream");
	struct instance *i;
	struct stats *s;

	TRY(call_instance(c, &i));
	s = xnew(struct stats);
	s->id = xstrdup(instance_view(i).id);
	s->is_stream = !stream || docker_bool(stream);
	s->is_one_shot = call_flag(c, "one-shot");
	s->timer = loop_timer_new(c->api->loop, on_stats_timer, c);
	c->state = s;
	c->state_free = stats_free;
	if (s->is_stream) {
		c->stop = stats_stop;
		call_stream(c, "application/json");
	}
	stats_ask(c);
	return NULL;
}
