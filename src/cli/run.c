/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/create_opts.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define RETRY_NS    30000000000LL /* how long a daemon may take to come back */
#define DETACH_KEYS "ctrl-p,ctrl-q"

static const struct opt session_rows[] = {
	{ "detach", 'd', OPT_FLAG, NULL, "Do not wait for it: print its id" },
	{ "attach", 'a', OPT_LIST, "STREAM", "Attach only stdin, stdout or stderr",
	  .choices = "stdin stdout stderr STDIN STDOUT STDERR" },
	{ "detach-keys", 0, OPT_TEXT, "KEYS", "Keys that detach (" DETACH_KEYS ")" },
	{ "sig-proxy", 0, OPT_FLAG, NULL, "Pass signals on (the default)" },
	{ "no-wait", 0, OPT_FLAG, NULL, "Fail instead of waiting in the queue" },
	{ "wait-timeout", 0, OPT_DURATION, "TIME", "Wait in the queue this long at most" },
};
const struct opt_table session_options = OPT_TABLE(session_rows);

/* ---- create ---- */

static struct err *pull_image(struct cli *c, const struct args *a)
{
	OWN(progress) struct progress *p = progress_new(2, args_flag(a, "quiet"));
	int rc = hostel_pull(c->h, a->rest[0], args_text(a, "platform"), progress_message, p);

	return rc ? cli_err(c, rc) : NULL;
}

static struct err *post_create(struct cli *c, const struct args *a, const json_t *body,
			       json_t **ret)
{
	const char *name = args_text(a, "name"), *platform = args_text(a, "platform");

	return cli_call(c, "POST", body, ret, "/containers/create?name=%s&platform=%s",
			name ? name : "", platform ? platform : "");
}

static struct err *create_or_pull(struct cli *c, const struct args *a, const json_t *body,
				  json_t **ret)
{
	const char *when = args_text(a, "pull");
	struct err *e;

	if (streq(when, "always"))
		TRY(pull_image(c, a));
	e = post_create(c, a, body, ret);
	if (!e || err_kind(e) != ERR_NOT_FOUND || streq(when, "never") ||
	    !strstr(err_text(e), "No such image"))
		return e;
	err_free(e);
	if (!args_flag(a, "quiet"))
		fprintf(stderr, "%s is not here yet; fetching it\n", a->rest[0]);
	TRY(pull_image(c, a));
	return post_create(c, a, body, ret);
}

static struct err *write_cidfile(const struct args *a, const char *id)
{
	const char *path = args_text(a, "cidfile");

	if (path)
		TRY_MSG(fd_write_file(AT_FDCWD, path, id, strlen(id), 0644), "--cidfile %s", path);
	return NULL;
}

/* Create an instance. @ret_id: owned by the caller */
static struct err *create(struct cli *c, const struct args *a, bool is_attached, char **ret_id)
{
	OWN(json) json_t *body = NULL, *answer = NULL;
	const json_t *warning;
	size_t i;
	int rows, cols;

	if (args_has(a, "cidfile") && !access(args_text(a, "cidfile"), F_OK))
		return err_new(ERR_EXISTS, "--cidfile %s: the file exists",
			       args_text(a, "cidfile"));
	TRY(create_body(a, is_attached, &body));
	if (args_flag(a, "tty") && tty_size(&rows, &cols))
		opt_set(body, "HostConfig.ConsoleSize", json_pack("[i, i]", rows, cols));
	TRY(create_or_pull(c, a, body, &answer));
	json_array_foreach(json_object_get(answer, "Warnings"), i, warning)
	    fprintf(stderr, "warning: %s\n", json_string_value(warning));
	if (!jx_str(answer, "Id", NULL))
		return err_new(ERR_CORRUPT, "hosteld's answer has no id");
	*ret_id = xstrdup(jx_str(answer, "Id", NULL));
	return write_cidfile(a, *ret_id);
}

struct err *cmd_create(struct cli *c, const struct args *a)
{
	OWN(mem) char *id = NULL;

	TRY(create(c, a, false, &id));
	printf("%s\n", id);
	return NULL;
}

/* ---- what a session comes to ---- */

static void pause_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

/* The exit code, asked for again when the daemon was away. */
static struct err *late_status(struct session *s)
{
	int64_t give_up = clock_boot_ns() + RETRY_NS;
	int rc;

	if (s->status >= 0 || !s->id)
		return NULL;
	do {
		rc = hostel_wait(s->c->h, s->id, &s->status);
		if (rc == HOSTEL_NO_DAEMON || rc == HOSTEL_BROKEN)
			pause_ms(100);
		else
			break;
	} while (clock_boot_ns() < give_up);
	return rc ? cli_err(s->c, rc) : NULL;
}

/* What the whole program ends with. */
static struct err *conclude(struct session *s, enum session_end end)
{
	struct cli *c = s->c;

	c->exit_code = CLI_USAGE_CODE;
	if (s->start_error) {
		c->exit_code = session_start_code(s->start_error);
		return err_new(ERR_INTERNAL, "%s", s->start_error);
	}
	if (end == SESSION_WITHDRAWN) {
		c->exit_code = 128 + s->signal;
		return NULL;
	}
	if (end == SESSION_DETACHED) {
		c->exit_code = 0;
		return NULL;
	}
	TRY(late_status(s));
	c->exit_code = s->status;
	if (s->exit_message && *s->exit_message)
		fprintf(stderr, "hostel: %s\n", s->exit_message);
	return NULL;
}

/* ---- run ---- */

static bool has_stream(const struct args *a, const char *name)
{
	if (!args_has(a, "attach"))
		return true;
	for (size_t i = 0; i < a->n_uses; i++)
		if (streq(a->uses[i].opt->name, "attach") && !strcasecmp(a->uses[i].value, name))
			return true;
	return false;
}

static struct err *session_begin(struct session *s, const struct args *a, const char *id)
{
	const char *condition = args_flag(a, "rm") ? "removed" : "next-exit";

	TRY(session_attach(s, id, args_text(a, "detach-keys")));
	TRY(session_wait(s, id, condition));
	return session_send_start(s, id, a, "client");
}

/* Ask again while the daemon comes back. */
static struct err *begin_again(struct session *s, const struct args *a, const char *id)
{
	int64_t give_up = clock_boot_ns() + RETRY_NS;
	struct err *e;

	do {
		session_drop(s);
		pause_ms(100);
		e = session_begin(s, a, id);
		if (!e || err_kind(e) != ERR_UNAVAILABLE)
			return e;
		if (clock_boot_ns() < give_up)
			err_free(TAKE(e));
	} while (!e);
	return e;
}

static struct err *run_attached(struct cli *c, const struct args *a)
{
	OWN(mem) char *id = NULL, *resize = NULL;
	struct session s;
	enum session_end end = SESSION_LOST;
	struct err *e;

	session_init(&s, c);
	s.is_tty = args_flag(a, "tty");
	s.takes_stdin = args_flag(a, "interactive") && has_stream(a, "stdin");
	s.no_stdout = !has_stream(a, "stdout");
	s.no_stderr = !has_stream(a, "stderr");
	if (args_has(a, "sig-proxy") && !args_flag(a, "sig-proxy"))
		session_keep_signals(&s);
	if (s.is_tty && s.takes_stdin)
		e = keys_parse(args_has(a, "detach-keys") ? args_text(a, "detach-keys")
							  : DETACH_KEYS,
			       &s.keys);
	else
		e = NULL;
	if (!e)
		e = create(c, a, true, &id);
	if (!e) {
		resize = cli_path("/containers/%s/resize", id);
		s.resize_path = s.is_tty ? resize : NULL;
		s.id = id;
		e = session_begin(&s, a, id);
	}
	while (!e && end == SESSION_LOST) {
		end = session_run(&s);
		if (end == SESSION_LOST)
			e = begin_again(&s, a, id);
	}
	if (!e)
		e = conclude(&s, end);
	session_done(&s);
	return e;
}

/* Why it waits, if it does. */
static void say_queued(struct cli *c, const char *id, const char *reason)
{
	OWN(json) json_t *doc = NULL;
	struct err *e = NULL;

	if (!reason) {
		e = cli_call(c, "GET", NULL, &doc, "/hostel/v1/instances/%s", id);
		reason = e ? NULL : jx_str(doc, "reason", NULL);
	}
	if (reason)
		fprintf(stderr, "queued: %s\n", reason);
	err_free(e);
}

/* Start without waiting for a place in the queue. */
static struct err *start_queued(struct cli *c, const char *id)
{
	OWN(mem) char *reason = NULL, *path = NULL;
	OWN(reply) struct hostel_reply *r = NULL;

	path = cli_path("/hostel/v1/instances/%s/start?hold=queue", id);
	TRY(cli_send(c, &(struct hostel_request) { .method = "POST", .path = path }, &r));
	for (;;) {
		OWN(mem) char *line = NULL;
		OWN(json) json_t *doc = NULL;

		TRY(cli_line(c, r, &line, &doc));
		if (!line)
			return err_new(ERR_UNAVAILABLE, "hosteld ended before the start");
		if (jx_str(doc, "waiting", NULL))
			str_set(&reason, jx_str(doc, "waiting", NULL));
		if (jx_str(doc, "error", NULL)) {
			c->exit_code = session_start_code(jx_str(doc, "error", NULL));
			return err_new(ERR_INTERNAL, "%s", jx_str(doc, "error", NULL));
		}
		if (jx_bool(doc, "queued", false))
			say_queued(c, id, reason);
		if (jx_bool(doc, "queued", false) || jx_bool(doc, "started", false))
			return NULL;
	}
}

static struct err *run_detached(struct cli *c, const struct args *a)
{
	OWN(mem) char *id = NULL;

	if (args_has(a, "attach"))
		return err_new(ERR_INVALID, "--detach and --attach exclude each other");
	TRY(create(c, a, false, &id));
	printf("%s\n", id);
	fflush(stdout);
	TRY(start_queued(c, id));
	c->exit_code = 0;
	return NULL;
}

static struct err *check_run(const struct args *a)
{
	if (args_flag(a, "tty") && args_flag(a, "interactive") && !args_flag(a, "detach") &&
	    !isatty(0))
		return err_new(ERR_INVALID, "the input is no terminal; leave out -t");
	return NULL;
}

struct err *cmd_run(struct cli *c, const struct args *a)
{
	c->exit_code = CLI_USAGE_CODE;
	TRY(check_run(a));
	return args_flag(a, "detach") ? run_detached(c, a) : run_attached(c, a);
}

/* ---- start, attach ---- */

static struct err *instance_facts(struct cli *c, const char *ref, char **ret_id, bool *ret_tty,
				  bool *ret_running)
{
	OWN(json) json_t *doc = NULL;

	TRY(cli_call(c, "GET", NULL, &doc, "/containers/%s/json", ref));
	*ret_tty = jx_bool(json_object_get(doc, "Config"), "Tty", false);
	*ret_running = jx_bool(json_object_get(doc, "State"), "Running", false);
	*ret_id = xstrdup(jx_str(doc, "Id", ref));
	return NULL;
}

/* Everything of a session with an instance that exists. */
static struct err *join(struct session *s, const struct args *a, const char *ref, bool starts,
			const char *default_keys)
{
	OWN(mem) char *id = NULL, *resize = NULL;
	const char *keys = args_text(a, "detach-keys");
	enum session_end end;
	bool is_running;

	TRY(instance_facts(s->c, ref, &id, &s->is_tty, &is_running));
	if (!starts && !is_running)
		return err_new(ERR_STATE, "%s is not running (hostel start -a %s starts it)", ref,
			       ref);
	if (s->takes_stdin && (s->is_tty || s->is_console || keys))
		TRY(keys_parse(keys ? keys : default_keys, &s->keys));
	resize = cli_path("/containers/%s/resize", id);
	s->resize_path = s->is_tty ? resize : NULL;
	s->id = id;
	TRY(session_attach(s, id, keys));
	TRY(session_wait(s, id, starts && !is_running ? "next-exit" : "not-running"));
	s->is_started = !starts;
	if (starts)
		TRY(session_send_start(s, id, a, "client"));
	end = session_run(s);
	if (end == SESSION_LOST)
		return err_new(ERR_UNAVAILABLE, "hosteld went away before the start");
	return conclude(s, end);
}

struct err *cmd_attach(struct cli *c, const struct args *a)
{
	struct session s;
	struct err *e;

	session_init(&s, c);
	s.takes_stdin = !args_flag(a, "no-stdin");
	e = join(&s, a, a->rest[0], false, DETACH_KEYS);
	session_done(&s);
	return e;
}

/* The serial console is always a terminal; its one way out is the key. */
struct err *cmd_console(struct cli *c, const struct args *a)
{
	struct session s;
	struct err *e;

	session_init(&s, c);
	s.takes_stdin = s.is_console = true;
	if (isatty(0))
		fprintf(stderr, "Leave with Ctrl-].\n");
	e = join(&s, a, a->rest[0], args_flag(a, "start"), "ctrl-]");
	session_done(&s);
	return e;
}

static struct err *start_one(struct cli *c, const struct args *a, const char *ref)
{
	struct session s;
	enum session_end end;
	struct err *e;

	session_init(&s, c);
	e = session_send_start(&s, ref, a, "client");
	if (!e) {
		end = session_run(&s);
		c->exit_code = 1;
		if (end == SESSION_WITHDRAWN)
			c->exit_code = 128 + s.signal;
		else if (end == SESSION_LOST)
			e = err_new(ERR_UNAVAILABLE, "hosteld went away before the start");
		else if (s.start_error)
			e = err_new(ERR_INTERNAL, "%s", s.start_error);
		else
			c->exit_code = 0;
	}
	session_done(&s);
	return e;
}

static struct err *start_attached(struct cli *c, const struct args *a)
{
	struct session s;
	struct err *e;

	if (a->n_rest != 1)
		return err_new(ERR_INVALID, "--attach takes one instance");
	session_init(&s, c);
	s.takes_stdin = args_flag(a, "interactive");
	e = join(&s, a, a->rest[0], true, DETACH_KEYS);
	session_done(&s);
	return e;
}

struct err *cmd_start(struct cli *c, const struct args *a)
{
	struct err *last = NULL;

	if (args_flag(a, "attach") || args_flag(a, "interactive"))
		return start_attached(c, a);
	for (size_t i = 0; i < a->n_rest; i++) {
		struct err *e = args_flag(a, "detach") ? start_queued(c, a->rest[i])
						       : start_one(c, a, a->rest[i]);

		if (e && last) {
			fprintf(stderr, "hostel: %s\n", err_text(last));
			err_free(TAKE(last));
		}
		if (e)
			last = e;
		else if (c->exit_code)
			break;
		else
			printf("%s\n", a->rest[i]);
	}
	return last;
}

/* ---- exec ---- */

static json_t *exec_body(const struct args *a)
{
	json_t *doc = json_object(), *cmd = json_array();
	bool is_detached = args_flag(a, "detach");
	int rows, cols;

	for (size_t i = 1; i < a->n_rest; i++)
		json_array_append_new(cmd, jx_string(a->rest[i]));
	json_object_set_new(doc, "Cmd", cmd);
	opt_set(doc, "AttachStdin", json_boolean(args_flag(a, "interactive") && !is_detached));
	opt_set(doc, "AttachStdout", json_boolean(!is_detached));
	opt_set(doc, "AttachStderr", json_boolean(!is_detached));
	if (args_flag(a, "tty") && tty_size(&rows, &cols))
		opt_set(doc, "ConsoleSize", json_pack("[i, i]", rows, cols));
	return doc;
}

/* A command that could not be started says so by the text; all else is 1. */
static struct err *exec_failed(struct cli *c, struct err *e)
{
	int code = session_start_code(err_text(e));

	c->exit_code = code == CLI_USAGE_CODE ? 1 : code;
	return e;
}

static struct err *exec_start(struct session *s, const char *exec_id, bool is_detached)
{
	OWN(mem) char *path = cli_path("/exec/%s/start", exec_id);
	OWN(mem)
	char *body = xasprintf("{\"Detach\":%s,\"Tty\":%s}", is_detached ? "true" : "false",
			       s->is_tty ? "true" : "false");
	struct err *e =
	    cli_send(s->c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path, .body = body, .is_upgrade = !is_detached },
		     &s->stream);

	return e ? exec_failed(s->c, e) : NULL;
}

static struct err *exec_status(struct cli *c, const char *exec_id)
{
	OWN(json) json_t *doc = NULL;

	TRY(cli_call(c, "GET", NULL, &doc, "/exec/%s/json", exec_id));
	c->exit_code = (int)jx_int(doc, "ExitCode", 0);
	return NULL;
}

static struct err *exec_session(struct session *s, const struct args *a)
{
	OWN(json) json_t *body = exec_body(a), *answer = NULL;
	OWN(mem) char *resize = NULL;
	const char *exec_id, *keys = args_text(a, "detach-keys");
	enum session_end end;

	TRY(args_apply(a, body));
	if (s->takes_stdin && s->is_tty)
		TRY(keys_parse(keys ? keys : DETACH_KEYS, &s->keys));
	TRY(cli_call(s->c, "POST", body, &answer, "/containers/%s/exec", a->rest[0]));
	exec_id = jx_str(answer, "Id", "");
	TRY(exec_start(s, exec_id, args_flag(a, "detach")));
	if (args_flag(a, "detach"))
		return NULL;
	resize = cli_path("/exec/%s/resize", exec_id);
	s->resize_path = s->is_tty ? resize : NULL;
	s->is_started = true;
	end = session_run(s);
	if (end == SESSION_WITHDRAWN)
		s->c->exit_code = 128 + s->signal;
	return end == SESSION_ENDED ? exec_status(s->c, exec_id) : NULL;
}

struct err *cmd_exec(struct cli *c, const struct args *a)
{
	struct session s;
	struct err *e;

	TRY(check_run(a));
	session_init(&s, c);
	s.is_tty = args_flag(a, "tty");
	s.takes_stdin = args_flag(a, "interactive") && !args_flag(a, "detach");
	e = exec_session(&s, a);
	session_done(&s);
	return e;
}
