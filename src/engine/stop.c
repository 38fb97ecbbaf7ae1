/* SPDX-License-Identifier: Apache-2.0 */
/* Stop, kill, restart, pause. */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define STOP_DEFAULT_S 10
#define STOP_NEVER     (-1) /* stop_by_ns */
#define NS             INT64_C(1000000000)

/* ---- signals by name ---- */

static int realtime_signal(const char *name)
{
	int64_t n = 0;

	if (!strncasecmp(name, "RTMIN", 5)) {
		if (name[5] && num_parse_i64(name + 5 + (name[5] == '+'), 0, 15, &n))
			return -1;
		return 34 + (int)n;
	}
	if (!strncasecmp(name, "RTMAX", 5)) {
		if (name[5] && (name[5] != '-' || num_parse_i64(name + 6, 0, 14, &n)))
			return -1;
		return 64 - (int)n;
	}
	return -1;
}

int signal_parse(const char *text)
{
	const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
	int64_t n;
	struct err *err;

	if (isdigit((unsigned char)*text)) {
		err = num_parse_i64(text, 1, 64, &n);
		err_free(err);
		return err ? -1 : (int)n;
	}
	for (int s = 1; s < 32; s++)
		if (sigabbrev_np(s) && !strcasecmp(sigabbrev_np(s), name))
			return s;
	if (!strcasecmp(name, "IOT"))
		return SIGABRT;
	if (!strcasecmp(name, "CLD"))
		return SIGCHLD;
	return realtime_signal(name);
}

static struct err *signal_of(const char *text, int fallback, int *ret)
{
	int s = text && *text ? signal_parse(text) : fallback;

	if (s <= 0)
		return err_new(ERR_INVALID, "invalid signal: %.64s", text ? text : "");
	*ret = s;
	return NULL;
}

static int stop_signal(const struct instance *i)
{
	int s = i->spec->stop_signal ? signal_parse(i->spec->stop_signal) : SIGTERM;

	return s > 0 ? s : SIGTERM;
}

/* ---- sending ---- */

static void emit_kill(struct instance *i, int signum)
{
	json_t *more = json_object();

	json_object_set_new(more, "signal", json_sprintf("%d", signum));
	instance_emit(i, "kill", more);
}

/* A paused one gets its signal when it is thawed; nobody waits for that. */
static void thaw_to_die(struct instance *i)
{
	slicing_nudge(i, SLICING_END_NS);
	if (!(i->freeze.reasons & (1U << FREEZE_USER)))
		return;
	inst_freeze_set(&i->freeze, FREEZE_USER, false);
	if (i->conn)
		shim_conn_freeze(i->conn, false, (struct shim_done) { NULL, NULL });
	instance_touch(i);
}

static void send_signal(struct instance *i, int signum)
{
	emit_kill(i, signum);
	slicing_nudge(i, signum == stop_signal(i) ? SLICING_END_NS : SLICING_NUDGE_NS);
	if (i->conn)
		shim_conn_signal(i->conn, NULL, signum, (struct shim_done) { NULL, NULL });
}

static void on_stop_timeout(void *arg)
{
	struct instance *i = arg;

	log_debug("instance=%.12s stop=timeout", i->id);
	send_signal(i, SIGKILL);
	thaw_to_die(i);
}

/* Until when it may take: its own time for -1, for ever below that. */
static void set_deadline(struct instance *i, int timeout_s)
{
	int seconds = timeout_s;

	if (seconds == -1)
		seconds = i->spec->stop_timeout_s >= 0 ? i->spec->stop_timeout_s : STOP_DEFAULT_S;
	i->stop_by_ns = seconds >= 0 ? clock_wall_ns() + seconds * NS : STOP_NEVER;
}

static void arm_stop(struct instance *i)
{
	int64_t left = i->stop_by_ns - clock_wall_ns();

	if (!i->stop_timer)
		i->stop_timer = loop_timer_new(i->e->loop, on_stop_timeout, i);
	if (i->stop_by_ns != STOP_NEVER)
		loop_timer_start(i->stop_timer, left > 0 ? left : 0);
}

/* No shim of this run yet: nothing runs that could get a signal. */
static bool stop_unborn(struct instance *i)
{
	if ((i->conn && !i->is_over) || i->is_undoing)
		return false;
	if (i->on_spawn) {
		TAILQ_REMOVE(&i->e->spawn, i, spawn_link);
		i->on_spawn = false;
	}
	start_failed(i, ERR_INTERNAL, "stopped before it started");
	return true;
}

/* @signum: what asks it to end; the rest follows by itself. */
static void stop_alive(struct instance *i, int signum, int timeout_s)
{
	bool runs = i->state == INST_RUNNING || (i->state == INST_STOPPING && i->account.start_ns);

	i->manual_stop = true;
	instance_step(i, EV_STOP);
	if (stop_unborn(i))
		return;
	i->stop_signum = signum;
	set_deadline(i, timeout_s);
	instance_commit(i, CRASH_STOPPING);
	arm_stop(i);
	if (!runs)
		return; /* stop_resume() */
	send_signal(i, signum);
	thaw_to_die(i);
	crash_after_commit(i->e, CRASH_STOP_SENT);
}

void stop_resume(struct instance *i)
{
	if (!i->stop_by_ns)
		set_deadline(i, -1);
	if (!i->stop_timer) /* recovered */
		arm_stop(i);
	send_signal(i, i->stop_signum ? i->stop_signum : stop_signal(i));
	thaw_to_die(i);
}

/* ---- verbs ---- */

struct err *engine_stop(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			struct engine_done done, bool *ret_already)
{
	int signum = 0;

	if (ret_already)
		*ret_already = false;
	TRY(signal_of(signal, stop_signal(i), &signum));
	if (instance_is_alive(i))
		operation_give_way(i);
	if (instance_is_waiting(i)) {
		i->manual_stop = true;
		start_withdraw(i, "withdrawn: stopped while it waited");
		engine_finish(e, done, NULL, NULL);
		return NULL;
	}
	if (!instance_is_alive(i)) {
		if (ret_already)
			*ret_already = true;
		return NULL;
	}
	i->stop_asked = true;
	ticket_new(e, i, TICKET_STOP, done);
	stop_alive(i, signum, timeout_s);
	return NULL;
}

static bool is_fatal(int signum)
{
	return signum == SIGHUP || signum == SIGINT || signum == SIGQUIT || signum == SIGTERM ||
	       signum == SIGKILL;
}

struct err *engine_kill(struct engine *e, struct instance *i, const char *signal)
{
	int signum = 0;

	TRY(signal_of(signal, SIGKILL, &signum));
	if (instance_is_waiting(i) && is_fatal(signum)) {
		i->manual_stop = true;
		start_withdraw(i, "withdrawn: killed while it waited");
		return NULL;
	}
	if (!instance_is_alive(i) || (i->state == INST_STARTING && !is_fatal(signum)))
		return err_new(ERR_STATE, "cannot kill container: %s: container %s is not running",
			       i->spec->name, i->id);
	if (i->state == INST_STARTING) {
		stop_alive(i, signum, -2);
		return NULL;
	}
	if (is_fatal(signum))
		operation_give_way(i);
	if (signum == SIGKILL || signum == stop_signal(i)) {
		/* Restart policies must know, whatever becomes of us. */
		i->manual_stop = true;
		instance_commit(i, i->is_removing ? CRASH_REMOVING : CRASH_STOPPING);
	}
	send_signal(i, signum);
	if (signum == SIGKILL)
		thaw_to_die(i);
	return NULL;
}

struct err *engine_restart(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			   struct engine_done done)
{
	struct engine_ticket *t;
	bool already;
	int signum = 0;

	TRY(signal_of(signal, stop_signal(i), &signum));
	i->restart_event = true;
	if (!instance_is_alive(i))
		return engine_start(e, i, HOLD_AUTO, done, &already, NULL);
	operation_give_way(i);
	t = ticket_new(e, i, TICKET_START, done);
	t->hold = HOLD_CLIENT;
	i->restart_asked = i->stop_asked = true;
	stop_alive(i, signum, timeout_s);
	return NULL;
}

/* ---- pause ---- */

struct freezing {
	struct instance *i;
	struct engine *e;
	struct engine_done done;
	bool on, is_held;
	char id[65];
};

static void account_pause(struct instance *i, bool on)
{
	int64_t now = clock_wall_ns();

	eventlog_paused(i, on);
	if (on)
		i->paused_at_ns = now;
	else if (i->paused_at_ns) {
		i->account.paused_ns += now - i->paused_at_ns;
		i->paused_at_ns = 0;
	}
}

/* What its user paused, does not; what he unpaused comes back frozen: it waits for its turn. */
static void stand_in_line(struct instance *i, const struct freezing *f, bool has_failed)
{
	bool is_paused = f->on != has_failed;

	if (has_failed && (f->on || f->is_held) && (spec_is_vm(i->spec) || !is_paused))
		slicing_thaw(i);
	if (!is_paused)
		slicing_enter(i, f->is_held);
}

static void on_frozen(void *arg, struct err *err, const char *text)
{
	struct freezing *f = arg;
	struct instance *i = instance_by_id(f->e, f->id);

	crash_point(f->e, CRASH_PAUSED);
	if (i && instance_is_alive(i))
		stand_in_line(i, f, err != NULL);
	if (!err && i && i->state == INST_RUNNING) {
		inst_freeze_set(&i->freeze, FREEZE_USER, f->on);
		account_pause(i, f->on);
		instance_touch(i);
		instance_emit(i, f->on ? "pause" : "unpause", NULL);
	}
	engine_finish(f->e, f->done, err, NULL);
	free(f);
}

/*
 * Who unpauses under time slicing waits for a turn.  A VM's switches are two: the freezer's is
 * turned on before QEMU lets the guest run.  A container's is handed over.
 */
static void ask_shim(struct instance *i, struct freezing *f)
{
	struct shim_done done = { on_frozen, f };

	if (f->is_held && !spec_is_vm(i->spec)) {
		shim_conn_release(i->conn, done);
		return;
	}
	if (f->is_held)
		slicing_hold_frozen(i);
	shim_conn_freeze(i->conn, f->on, done);
}

struct err *engine_pause(struct engine *e, struct instance *i, bool on, struct engine_done done)
{
	bool is_paused = i->freeze.reasons & (1U << FREEZE_USER);
	struct freezing *f;

	if (i->state != INST_RUNNING || !i->conn)
		return err_new(ERR_STATE, "container %s is not running", i->id);
	if (i->op)
		return err_new(ERR_STATE, "container %s: %s is under way, try again after it",
			       i->id, operation_text(i));
	if (on == is_paused)
		return err_new(ERR_STATE,
			       on ? "container %s is already paused" : "Container %s is not paused",
			       i->id);
	f = xnew(struct freezing);
	*f = (struct freezing) { .e = e, .done = done, .on = on };
	memcpy(f->id, i->id, sizeof(f->id));
	f->is_held = !on && slicing_is_on(i);
	if (on)
		slicing_leave(i, spec_is_vm(i->spec));
	ask_shim(i, f);
	return NULL;
}
