/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run: noted, told, and what the restart policy makes of it. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/restart.h"
#include "engine/slicing.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- accounting ---- */

static void account_close(struct instance *i)
{
	OWN(json) json_t *doc = NULL;
	int64_t seq;

	slicing_leave(i, false);
	if (i->paused_at_ns) {
		i->account.paused_ns += i->finished_ns - i->paused_at_ns;
		i->paused_at_ns = 0;
	}
	i->account.finish_ns = i->finished_ns;
	doc = account_json(i);
	estimates_learn(i, doc);
	if (store_begin(i->e->store) == NULL)
		err_free(store_account_put(i->e->store, 0, i->id, doc, &seq));
}

/* ---- again ---- */

static void run_again(struct instance *i)
{
	loop_timer_free(TAKE(i->backoff_timer));
	i->not_before_ns = 0;
	i->prep_done = 0;
	account_reset(i);
	i->account.admission_ns = i->account.arrival_ns;
	if (!i->has_allocation) {
		queue_arrive(i);
		instance_touch(i);
		return;
	}
	if (instance_step(i, EV_ADMITTED) == ACT_SPAWN)
		start_admitted(i);
}

/* On a drained host it stands in the queue with the others. */
static void on_backoff(void *arg)
{
	struct instance *i = arg;

	if (i->e->drain.on)
		queue_leave(i);
	run_again(i);
}

void exits_again(struct instance *i, int64_t delay_ns)
{
	if (instance_step(i, EV_START) != ACT_ENQUEUE)
		return;
	eventlog_again(i);
	if (!delay_ns) {
		run_again(i);
		return;
	}
	i->durable = true;
	i->not_before_ns = clock_wall_ns() + delay_ns;
	exits_back_off(i, delay_ns);
}

void exits_back_off(struct instance *i, int64_t delay_ns)
{
	i->backoff_timer = loop_timer_new(i->e->loop, on_backoff, i);
	loop_timer_start(i->backoff_timer, delay_ns);
}

static struct restart_case case_of(const struct instance *i, bool at_boot)
{
	return (struct restart_case) {
		.policy = i->spec->restart,
		.max = i->spec->restart_max,
		.count = i->restart_count,
		.exit_code = i->exit_code,
		.stopped_by_user = i->manual_stop,
		.at_boot = at_boot,
	};
}

void exits_at_boot(struct instance *i)
{
	struct restart_case c = case_of(i, true);

	/* What ended by itself before the host went down stays so under on-failure. */
	if (c.policy == RESTART_ON_FAILURE || !restart_wanted(&c) || migrate_forbids(i))
		return;
	i->durable = true;
	exits_again(i, 0);
}

void exits_policy_again(struct instance *i)
{
	struct restart_case c = case_of(i, false);

	if (!i->ever_ran || !restart_wanted(&c) || migrate_forbids(i))
		return;
	i->durable = true;
	exits_again(i, 0);
}

static bool policy_restarts(struct instance *i)
{
	struct restart_case c = case_of(i, i->e->at_boot);

	if (i->is_removing || !restart_wanted(&c))
		return false;
	i->restart_count++;
	i->backoff_ns = restart_delay_ns(i->backoff_ns, i->finished_ns - i->started_ns);
	exits_again(i, i->backoff_ns);
	return true;
}

static void let_go(struct instance *i)
{
	i->durable = false;
	queue_leave(i);
	claim_release(i);
	waits_over(i);
	after_ended(i);
	if (i->spec->auto_remove || i->is_removing)
		remove_now(i);
}

/* ---- the end ---- */

static void emit_end(struct instance *i)
{
	json_t *more = json_object();
	int64_t ran = i->started_ns ? i->finished_ns - i->started_ns : 0;

	json_object_set_new(more, "exitCode", json_sprintf("%d", i->exit_code));
	json_object_set_new(more, "execDuration",
			    json_sprintf("%" PRId64, ran > 0 ? ran / 1000000000 : 0));
	instance_emit(i, "die", more);
	if (i->stop_asked)
		instance_emit(i, "stop", NULL);
	i->stop_asked = false;
}

static void reset_run(struct instance *i)
{
	i->pid = 0;
	slicing_leave(i, false);
	i->freeze.reasons = 0;
	i->is_started_sent = false;
	i->stop_signum = 0;
	i->stop_by_ns = 0;
	loop_timer_free(TAKE(i->stop_timer));
	loop_timer_free(TAKE(i->hint_timer));
	health_stop(i);
	i->health_state = HEALTH_NONE;
	execs_drop(i);
	streams_close(i);
}

void exits_note(struct instance *i, const struct exit_note *x)
{
	bool never_started = !i->account.start_ns;
	char limit[64];
	const char *why = hints_end_text(i, limit, sizeof(limit));

	if (instance_step(i, EV_EXITED) == ACT_REFUSE)
		return;
	i->is_over = true;
	i->exit_code = x->code;
	i->oom = x->oom;
	i->finished_ns = x->finished_ns;
	str_set(&i->error, x->text && *x->text ? x->text : why ? why : "");
	log_info("%.12s (%s): exited with %d%s%s", i->id, i->spec->name, x->code,
		 *i->error ? ": " : "", i->error);
	account_close(i);
	crash_after_commit(i->e, CRASH_EXIT_COMMIT);
	reset_run(i);
	snapshot_restore_over(i);
	emit_end(i);
	operation_run_ended(i);
	if (never_started)
		tickets_fail(i, TICKET_START, ERR_INTERNAL, *i->error ? i->error : "it ended");
	tickets_succeed(i, TICKET_STOP);
	waits_exited(i);
	if (i->restart_asked && !i->is_removing) {
		i->restart_asked = i->manual_stop = false;
		i->durable = true; /* it ran: it does not stay down when we die now */
		exits_again(i, 0);
	} else if (!policy_restarts(i)) {
		let_go(i);
	}
}

/* Its start failed while nobody was there to be told. */
static bool failure_from_file(struct instance *i)
{
	OWN(mem) char *path = xasprintf("%s/failed.json", i->state_dir);
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = jx_load(AT_FDCWD, path, &j);
	int64_t kind;

	if (err || i->account.start_ns)
		return false;
	kind = jx_int(j, "kind", ERR_INTERNAL);
	start_failed(i, kind >= 0 && kind < ERR_KINDS ? (enum err_kind)kind : ERR_INTERNAL,
		     jx_str(j, "text", ""));
	return true;
}

bool exits_from_file(struct instance *i)
{
	OWN(mem) char *path = xasprintf("%s/exit.json", i->state_dir);
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = jx_load(AT_FDCWD, path, &j);

	if (err)
		return failure_from_file(i);
	if (!i->account.start_ns)
		i->account.start_ns = i->started_ns = jx_int(j, "started_ns", 0);
	if (i->account.start_ns)
		i->ever_ran = true;
	exits_note(i, &(struct exit_note) { .code = (int)jx_int(j, "code", 137),
					    .oom = jx_bool(j, "oom", false),
					    .finished_ns = jx_int(j, "finished_ns", 0),
					    .text = jx_str(j, "text", "") });
	return true;
}
