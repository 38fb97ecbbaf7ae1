/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes in a running instance. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/keys.h"
#include "engine/slicing.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define EXECS_KEPT 256 /* of those that ended: enough to be asked for their codes */

static void exec_free(struct exec *x)
{
	TAILQ_REMOVE(&x->i->e->execs, x, link);
	x->i->e->n_execs--;
	strv_done(&x->x.cmd);
	strv_done(&x->x.env);
	free(x->user);
	free(x->workdir);
	free(x->keys);
	free(x);
}

static struct exec *exec_by_id(struct engine *e, const char *id)
{
	struct exec *x = NULL;

	TAILQ_FOREACH(x, &e->execs, link)
	if (!strcmp(x->id, id))
		return x;
	return NULL;
}

static struct err *exec_find(struct engine *e, const char *id, struct exec **ret)
{
	*ret = exec_by_id(e, id);
	return *ret ? NULL : err_new(ERR_NOT_FOUND, "No such exec instance: %.64s", id);
}

/* ---- stored form: an exec outlives the daemon, and its client asks for its code ---- */

static void exec_touch(struct exec *x)
{
	if (x->is_check)
		return; /* nobody asks for it later */
	x->is_dirty = true;
	engine_dirty(x->i->e);
}

static json_t *exec_json(const struct exec *x)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, "
			 "s:i, s:i}",
			 "instance", x->i->id, "cmd", jx_from_strv(&x->x.cmd), "env",
			 jx_from_strv(&x->x.env), "user", x->user ? x->user : "", "workdir",
			 x->workdir ? x->workdir : "", "keys", x->keys ? x->keys : "", "tty",
			 x->x.tty, "stdin", x->x.attach_stdin, "stdout", x->x.attach_stdout,
			 "stderr", x->x.attach_stderr, "privileged", x->x.privileged, "started",
			 x->is_started, "running", x->is_running, "ended", x->has_ended, "code",
			 x->code, "pid", (int)x->pid);
}

struct err *execs_write(struct engine *e)
{
	struct exec *x;

	TAILQ_FOREACH(x, &e->execs, link)
	if (x->is_dirty) {
		OWN(json) json_t *doc = exec_json(x);

		TRY(store_put(e->store, STORE_EXEC, x->id, NULL, doc));
	}
	return NULL;
}

static void exec_add(struct instance *i, struct exec *x)
{
	x->i = i;
	TAILQ_INSERT_TAIL(&i->e->execs, x, link);
	i->e->n_execs++;
}

static char *text_or_null(const json_t *doc, const char *key)
{
	const char *text = jx_str(doc, key, "");

	return *text ? xstrdup(text) : NULL;
}

static struct err *load_exec(void *arg, const char *key, const json_t *doc)
{
	struct engine *e = arg;
	struct instance *i = instance_by_id(e, jx_str(doc, "instance", ""));
	struct exec *x;

	if (!i || !instance_is_alive(i) || strlen(key) >= sizeof(x->id))
		return store_del(e->store, STORE_EXEC, key);
	x = xnew(struct exec);
	snprintf(x->id, sizeof(x->id), "%s", key);
	jx_strv(doc, "cmd", &x->x.cmd);
	jx_strv(doc, "env", &x->x.env);
	x->x.user = x->user = text_or_null(doc, "user");
	x->x.workdir = x->workdir = text_or_null(doc, "workdir");
	x->x.detach_keys = x->keys = text_or_null(doc, "keys");
	x->x.tty = jx_bool(doc, "tty", false);
	x->x.attach_stdin = jx_bool(doc, "stdin", false);
	x->x.attach_stdout = jx_bool(doc, "stdout", false);
	x->x.attach_stderr = jx_bool(doc, "stderr", false);
	x->x.privileged = jx_bool(doc, "privileged", false);
	x->is_started = jx_bool(doc, "started", false);
	x->is_running = jx_bool(doc, "running", false);
	x->has_ended = jx_bool(doc, "ended", false);
	x->code = (int)jx_int(doc, "code", 0);
	x->pid = (pid_t)jx_int(doc, "pid", 0);
	exec_add(i, x);
	return NULL;
}

struct err *execs_load(struct engine *e)
{
	return store_each(e->store, STORE_EXEC, load_exec, e);
}

static void exec_forget(struct exec *x)
{
	struct engine *e = x->i->e;

	if (e->store && store_begin(e->store) == NULL) {
		err_free(store_del(e->store, STORE_EXEC, x->id));
		engine_dirty(e);
	}
	exec_free(x);
}

/* One instance may see any number of them: health checks come every few seconds. */
static void forget_oldest(struct engine *e)
{
	struct exec *x = TAILQ_FIRST(&e->execs);

	while (x && (x->is_running || x->ticket))
		x = TAILQ_NEXT(x, link);
	if (x && e->n_execs > EXECS_KEPT)
		exec_forget(x);
}

/* ---- its life ---- */

static char *command_line(const struct strv *cmd)
{
	struct str s = { 0 };

	for (size_t n = 0; n < cmd->n; n++)
		str_addf(&s, "%s%s", n ? " " : "", cmd->v[n]);
	return str_take(&s);
}

static void exec_emit(struct exec *x, const char *what)
{
	OWN(mem) char *line = command_line(&x->x.cmd);
	OWN(mem) char *action = xasprintf("%s: %s", what, line);
	json_t *more = json_object();

	jx_set_str(more, "execID", x->id);
	instance_emit(x->i, action, more);
}

static void exec_ended(struct exec *x, int code)
{
	json_t *more = json_object();

	x->is_running = false;
	x->has_ended = true;
	x->code = code;
	exec_touch(x);
	jx_set_str(more, "execID", x->id);
	json_object_set_new(more, "exitCode", json_sprintf("%d", code));
	instance_emit(x->i, "exec_die", more);
}

/* @is_end: of its run, so that nobody may ask any more; else only the daemon ends. */
static void drop_all(struct instance *i, bool is_end)
{
	struct exec *x, *next;

	for (x = TAILQ_FIRST(&i->e->execs); x; x = next) {
		next = TAILQ_NEXT(x, link);
		if (x->i != i)
			continue;
		if (x->ticket)
			ticket_finish(TAKE(x->ticket),
				      err_new(ERR_STATE, "container %s is not running", i->id),
				      NULL);
		if (is_end)
			exec_forget(x);
		else
			exec_free(x);
	}
}

void execs_drop(struct instance *i)
{
	drop_all(i, true);
}

void execs_free(struct instance *i)
{
	drop_all(i, false);
}

struct err *engine_exec_create(struct engine *e, struct instance *i,
			       const struct engine_exec_spec *spec, char **ret_exec_id)
{
	struct exec *x = NULL;
	char keys[SHIM_KEYS_MAX];

	if (i->state != INST_RUNNING && i->state != INST_STOPPING)
		return err_new(ERR_STATE, "container %s is not running", i->id);
	TRY(vm_check_agent(i));
	if (i->freeze.reasons & (1U << FREEZE_USER))
		return err_new(ERR_STATE,
			       "container %s is paused, unpause the container before exec", i->id);
	if (!spec->cmd.n)
		return err_new(ERR_INVALID, "No exec command specified");
	if (keys_parse(spec->detach_keys, keys, sizeof(keys)) < 0)
		return err_new(ERR_INVALID, "invalid detach keys (%.64s) provided",
			       spec->detach_keys);
	x = xnew(struct exec);
	engine_random_id(x->id);
	x->x = *spec;
	x->x.cmd = x->x.env = (struct strv) { 0 };
	strv_copy(&x->x.cmd, &spec->cmd);
	strv_copy(&x->x.env, &spec->env);
	x->x.user = x->user = xstrdup(spec->user);
	x->x.workdir = x->workdir = xstrdup(spec->workdir);
	x->x.detach_keys = x->keys = xstrdup(spec->detach_keys);
	x->rows = spec->rows;
	x->cols = spec->cols;
	exec_add(i, x);
	exec_touch(x);
	forget_oldest(e);
	exec_emit(x, "exec_create");
	*ret_exec_id = xstrdup(x->id);
	return NULL;
}

bool execs_need(const struct instance *i)
{
	struct exec *x;

	TAILQ_FOREACH(x, &i->e->execs, link)
	if (x->i == i && (x->is_running || x->ticket))
		return true;
	return false;
}

/* ---- start ---- */

static struct err *process_file(struct exec *x, int *ret_fd)
{
	OWN(json) json_t *process = NULL;
	OWN(mem) char *text = NULL;
	OWN(fd) int fd = -1;
	const struct guest_planner *guest = planner_of(x->i->e, x->i->spec)->guest;
	struct guest_facts in = { .id = x->i->id };

	TRY(guest->process(x->i->spec, &in,
			   &(struct guest_exec) { .cmd = &x->x.cmd,
						  .env = &x->x.env,
						  .user = x->user,
						  .workdir = x->workdir,
						  .tty = x->x.tty,
						  .privileged = x->x.privileged },
			   &process));
	text = jx_text(process);
	fd = memfd_create("exec", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "memfd");
	TRY(fd_write_all(fd, text, strlen(text)));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(errno, "memfd");
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

/* The shim did not take the request at all; its own failures come as events. */
static void on_taken(void *arg, struct err *err, const char *text)
{
	struct engine *e = arg;

	(void)e;
	if (err)
		log_warn("exec: %s", err_text(err));
	err_free(err);
}

static struct shim_exec shim_request(const struct exec *x, const struct engine_attach *a)
{
	struct shim_exec r = { .rows = (uint16_t)x->rows, .cols = (uint16_t)x->cols };
	const char *keys = a && a->detach_keys && *a->detach_keys ? a->detach_keys : x->keys;
	int n = keys_parse(keys, r.attach.keys, sizeof(r.attach.keys));

	snprintf(r.exec_id, sizeof(r.exec_id), "%s", x->id);
	r.attach.keys_len = n > 0 ? (uint32_t)n : 0;
	r.attach.streams = (a ? a->streams : 0) | (x->x.tty ? SHIM_TTY | SHIM_RAW : 0);
	return r;
}

struct err *engine_exec_start(struct engine *e, const char *exec_id, const struct engine_attach *a,
			      struct engine_done done)
{
	OWN(fd) int client = a ? a->fd : -1;
	OWN(fd) int file = -1;
	struct shim_exec request;
	struct exec *x = NULL;

	TRY(exec_find(e, exec_id, &x));
	if (x->is_started)
		return err_new(ERR_STATE, "Error: Exec command %s is already running", x->id);
	if (!x->i->conn || x->i->state != INST_RUNNING)
		return err_new(ERR_STATE, "container %s is not running", x->i->id);
	TRY(process_file(x, &file));
	request = shim_request(x, a);
	x->is_started = true;
	exec_touch(x);
	instance_commit(x->i, CRASH_EXEC);
	x->ticket = ticket_new(e, NULL, TICKET_OTHER, done);
	slicing_look(x->i);
	shim_conn_exec(
	    x->i->conn, &request, TAKE_FD(file),
	    &(struct shim_client) { TAKE_FD(client), a ? a->pre : NULL, a ? a->pre_len : 0 },
	    (struct shim_done) { on_taken, e });
	crash_point(e, CRASH_EXEC_SENT);
	exec_emit(x, "exec_start");
	return NULL;
}

/* The words that runc has for it, so that clients find their exit codes. */
static enum err_kind exec_kind(int kind)
{
	return kind == ERR_NOT_FOUND || kind == ERR_DENIED ? ERR_INVALID : (enum err_kind)kind;
}

/* As dockerd has it: found but not to be executed is 126, not found 127. */
static int exec_failure_code(const char *text)
{
	return strstr(text, "permission denied") || strstr(text, "is a directory") ? 126 : 127;
}

static void exec_failed(struct exec *x, int kind, const char *text)
{
	if (x->ticket)
		ticket_finish(TAKE(x->ticket), err_new(exec_kind(kind), "%s", text), NULL);
	exec_ended(x, exec_failure_code(text));
}

void exec_event(struct instance *i, enum shim_msg_type type, const struct shim_exec_event *ev,
		const char *text)
{
	struct exec *x = exec_by_id(i->e, ev->exec_id);

	if (!x || x->has_ended)
		return; /* told again after a crash of ours; or the store was lost: nobody asks */
	if (type == SHIM_EXEC_STARTED) {
		crash_point(i->e, CRASH_EXEC_STARTED);
		x->is_running = true;
		x->pid = ev->pid;
		exec_touch(x);
		if (x->ticket)
			ticket_finish(TAKE(x->ticket), NULL, NULL);
	} else if (type == SHIM_EXEC_FAILED) {
		exec_failed(x, ev->code, text);
	} else {
		crash_point(i->e, CRASH_EXEC_EXITED);
		exec_ended(x, ev->code);
	}
	slicing_look(i);
	if (!x->is_check || !x->has_ended)
		return;
	health_exec_ended(i, x->id, x->code, type == SHIM_EXEC_FAILED ? text : NULL);
	exec_free(x);
}

void exec_mark_check(struct engine *e, const char *exec_id)
{
	struct exec *x = exec_by_id(e, exec_id);

	if (!x)
		return;
	x->is_check = true;
	x->is_dirty = false;
}

void exec_forget_check(struct engine *e, const char *exec_id)
{
	struct exec *x = exec_by_id(e, exec_id);

	if (x)
		exec_forget(x);
}

/* ---- for the faces ---- */

/* Whoever saw the stream end asks at once: the shim's word on the end may still be in its socket.
 */
static void catch_up(struct engine *e, const char *exec_id)
{
	struct exec *x = exec_by_id(e, exec_id);

	if (x && x->i->conn)
		shim_conn_poll(x->i->conn);
}

struct err *engine_exec_inspect(struct engine *e, const char *exec_id, json_t **ret)
{
	OWN(json) json_t *args = json_array();
	struct exec *x = NULL;

	catch_up(e, exec_id);
	TRY(exec_find(e, exec_id, &x));
	for (size_t n = 1; n < x->x.cmd.n; n++)
		json_array_append_new(args, jx_string(x->x.cmd.v[n]));
	*ret = json_pack(
	    "{s:b, s:s, s:o, s:{s:b, s:s, s:o, s:b, s:s}, s:b, s:b, s:b, s:b, s:s, s:s, "
	    "s:i}",
	    "CanRemove", 0, "ContainerID", x->i->id, "ExitCode",
	    x->has_ended ? json_integer(x->code) : json_null(), "ProcessConfig", "tty", x->x.tty,
	    "entrypoint", x->x.cmd.v[0], "arguments", json_incref(args), "privileged",
	    x->x.privileged, "user", x->user ? x->user : "", "OpenStdin", x->x.attach_stdin,
	    "OpenStderr", x->x.attach_stderr, "OpenStdout", x->x.attach_stdout, "Running",
	    x->is_running, "DetachKeys", x->keys ? x->keys : "", "ID", x->id, "Pid", (int)x->pid);
	return *ret ? NULL : err_new(ERR_INTERNAL, "exec inspect");
}

struct err *engine_exec_resize(struct engine *e, const char *exec_id, int rows, int cols)
{
	struct exec *x = NULL;

	TRY(exec_find(e, exec_id, &x));
	x->rows = rows;
	x->cols = cols;
	if (!x->is_running || !x->i->conn)
		return x->has_ended ? err_new(ERR_STATE, "exec %s is not running", exec_id) : NULL;
	shim_conn_resize(x->i->conn, x->id, (uint16_t)rows, (uint16_t)cols,
			 (struct shim_done) { NULL, NULL });
	return NULL;
}
