/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks of running instances, of both kinds: an exec in each interval.  Who has none costs
 * nothing.  The state is stored, so that a new daemon goes on where the old one was.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/health_rules.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define OUTPUT_MAX 4096 /* as Docker keeps it */
#define LOG_MAX    5

struct health {
	struct instance *i;
	struct health_rules rules;
	struct loop_timer *timer; /* the next check, or the end of the patience with this one */
	char *exec_id;            /* of the check that runs; NULL: none */
	int out;
	struct loop_watch *watch;
	struct str output;
	int64_t began_ns;
	int streak;
	json_t *log; /* the last results, in Docker's form */
};

static int64_t since_start(const struct health *h)
{
	return clock_wall_ns() - h->i->started_ns;
}

static void arm(struct health *h)
{
	loop_timer_start(h->timer, health_delay_ns(&h->rules, (enum health_state)h->i->health_state,
						   since_start(h)));
}

/* ---- output ---- */

static void close_output(struct health *h)
{
	loop_watch_free(TAKE(h->watch));
	own_fd_release(&h->out);
	h->out = -1;
}

/* What is beyond OUTPUT_MAX is read and forgotten, so that the check does not wait for us. */
static void on_output(void *arg, int events)
{
	struct health *h = arg;
	char buf[4096];
	ssize_t n;

	(void)events;
	while ((n = recv(h->out, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		size_t room = OUTPUT_MAX - h->output.len;

		str_add(&h->output, buf, (size_t)n < room ? (size_t)n : room);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_watch_set(h->watch, 0);
}

/* ---- a result ---- */

static json_t *time_json(int64_t ns)
{
	char text[40];

	return json_string(clock_rfc3339(ns, text));
}

static void note(struct health *h, int code, const char *output)
{
	json_t *entry = json_object();

	json_object_set_new(entry, "Start", time_json(h->began_ns));
	json_object_set_new(entry, "End", time_json(clock_wall_ns()));
	json_object_set_new(entry, "ExitCode", json_integer(code));
	json_object_set_new(entry, "Output", jx_string(output));
	json_array_append_new(h->log, entry);
	if (json_array_size(h->log) > LOG_MAX)
		json_array_remove(h->log, 0);
}

static void become(struct instance *i, enum health_state next)
{
	OWN(mem) char *action = xasprintf("health_status: %s", health_name(next));

	if (i->health_state == (int)next)
		return;
	i->health_state = (int)next;
	instance_touch(i);
	instance_emit(i, action, NULL);
	log_debug("instance=%.12s health=%s", i->id, health_name(next));
	if (next == HEALTH_HEALTHY)
		waits_healthy(i);
}

static void result(struct health *h, int code, const char *output)
{
	struct instance *i = h->i;

	note(h, code, output);
	free(TAKE(h->exec_id));
	close_output(h);
	become(i, health_next(&h->rules, (enum health_state)i->health_state, code, since_start(h),
			      &h->streak));
	arm(h);
}

void health_exec_ended(struct instance *i, const char *exec_id, int code, const char *error)
{
	struct health *h = i->health;

	if (!h || !streq(h->exec_id, exec_id))
		return; /* its time was over already */
	if (h->watch)
		on_output(h, LOOP_READ);
	result(h, code, error ? error : h->output.buf ? h->output.buf : "");
}

/* ---- a check ---- */

static void on_begun(void *arg, struct err *err, const json_t *text)
{
	(void)arg;
	(void)text;
	err_free(err); /* it comes as the exec's end, too */
}

static struct err *begin_exec(struct health *h)
{
	const struct engine_exec_spec x = { .cmd = h->rules.cmd,
					    .attach_stdout = true,
					    .attach_stderr = true };
	struct engine *e = h->i->e;
	int pair[2];

	TRY(engine_exec_create(e, h->i, &x, &h->exec_id));
	exec_mark_check(e, h->exec_id);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(errno, "socketpair");
	h->out = pair[0];
	str_done(&h->output);
	TRY(loop_watch_new(e->loop, h->out, LOOP_READ, on_output, h, &h->watch));
	return engine_exec_start(e, h->exec_id,
				 &(struct engine_attach) {
				     .fd = pair[1],
				     .streams = SHIM_STDOUT | SHIM_STDERR | SHIM_RAW,
				 },
				 (struct engine_done) { on_begun, NULL });
}

static void begin(struct health *h)
{
	OWN(err) struct err *err = NULL;

	if ((h->i->freeze.reasons & ~(1U << FREEZE_SLICE)) || h->i->state != INST_RUNNING ||
	    !h->i->conn) {
		arm(h);
		return;
	}
	h->began_ns = clock_wall_ns();
	err = begin_exec(h);
	if (err && h->exec_id)
		exec_forget_check(h->i->e, h->exec_id);
	if (err)
		result(h, -1, err_text(err));
	else
		loop_timer_start(h->timer, h->rules.timeout_ns);
}

static void give_up(struct health *h)
{
	OWN(mem)
	char *text =
	    xasprintf("Health check exceeded timeout (%gs)", (double)h->rules.timeout_ns / 1e9);

	if (h->i->conn)
		shim_conn_signal(h->i->conn, h->exec_id, SIGKILL,
				 (struct shim_done) { NULL, NULL });
	result(h, -1, text);
}

static void on_timer(void *arg)
{
	struct health *h = arg;

	if (h->exec_id)
		give_up(h);
	else
		begin(h);
}

/* ---- life ---- */

bool health_is_checked(const struct instance *i)
{
	OWN(err) struct err *no_agent = i->spec->healthcheck ? vm_check_agent(i) : NULL;
	struct health_rules rules = { 0 };
	bool is_checked = !no_agent && health_rules_read(i->spec->healthcheck, &rules);

	strv_done(&rules.cmd);
	return is_checked;
}

void health_start(struct instance *i)
{
	struct health_rules rules;
	struct health *h;

	OWN(err) struct err *no_agent = NULL;

	if (i->health || !i->spec->healthcheck)
		return;
	no_agent = vm_check_agent(i);
	if (no_agent || !health_rules_read(i->spec->healthcheck, &rules))
		return;
	h = xnew(struct health);
	*h = (struct health) { .i = i, .rules = rules, .out = -1, .log = json_array() };
	h->timer = loop_timer_new(i->e->loop, on_timer, h);
	i->health = h;
	if (i->health_state == HEALTH_NONE)
		i->health_state = HEALTH_STARTING;
	arm(h);
}

void health_stop(struct instance *i)
{
	struct health *h = TAKE(i->health);

	if (!h)
		return;
	loop_timer_free(h->timer);
	close_output(h);
	strv_done(&h->rules.cmd);
	str_done(&h->output);
	free(h->exec_id);
	json_decref(h->log);
	free(h);
}

void health_view(const struct instance *i, struct instance_view *v)
{
	v->health = i->health ? (enum health_state)i->health_state : HEALTH_NONE;
	v->health_streak = i->health ? i->health->streak : 0;
	v->health_log = i->health ? i->health->log : NULL;
}
