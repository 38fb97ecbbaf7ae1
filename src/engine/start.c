/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of an instance: the table of contents of hostel.
 *
 *	engine_start()    asked for; QUEUED                    hold.c
 *	queue_pass()      admitted; STARTING                   queue.c
 *	start_admitted()  the last run's shim is waited for    shimlink.c
 *	                  what is missing is made by workers   prep.c
 *	                  address and ports are claimed        claim.c
 *	                  the plan is written                  plan.c
 *	engine_commit()   the row says `starting`              engine.c
 *	start_spawn()     the shim does the rest               shimlink.c
 *	on_started()      RUNNING                              shimlink.c
 */
#include <string.h>

#include "engine/engine_int.h"
#include "util/log.h"
#include "util/mem.h"

static struct err *claim_and_plan(struct instance *i)
{
	TRY(claim_all(i));
	crash_point(i->e, CRASH_CLAIMED);
	TRY(plan_write(i));
	crash_point(i->e, CRASH_PLANNED);
	return NULL;
}

void start_admitted(struct instance *i)
{
	struct err *err;

	i->start_wanted = !shimlink_is_gone(i) || i->filevm || i->op;
	if (i->start_wanted) {
		filevm_end(i);
		return; /* comes back here */
	}
	shimlink_forget_run(i);
	if (prep_next(i)) {
		crash_after_commit(i->e, CRASH_PREPARING);
		return; /* comes back here */
	}
	err = claim_and_plan(i);
	if (err) {
		start_failed(i, err_kind(err), err_text(err));
		err_free(err);
		return;
	}
	i->on_spawn = true;
	TAILQ_INSERT_TAIL(&i->e->spawn, i, spawn_link);
	engine_dirty(i->e);
}

static struct err *spawn_and_tell(struct instance *i)
{
	TRY(shimlink_spawn(i));
	crash_point(i->e, CRASH_SPAWNED);
	TRY(shimlink_connect(i));
	crash_point(i->e, CRASH_CONNECTED);
	streams_hand_over(i);
	shim_conn_start(i->conn, (struct shim_done) { NULL, NULL });
	i->is_started_sent = true;
	crash_point(i->e, CRASH_START_SENT);
	return NULL;
}

void start_spawn(struct instance *i)
{
	struct err *err;

	crash_point(i->e, CRASH_STARTING);
	err = spawn_and_tell(i);
	if (!err)
		return;
	log_error("%.12s: %s [%s]", i->id, err_text(err), err_trace(err));
	if (i->shim_alive)
		shimlink_undo(i, err_text(err));
	else
		start_failed(i, err_kind(err), err_text(err));
	err_free(err);
}

/* ---- failure ---- */

static const struct {
	const char *words;
	int code;
} start_codes[] = {
	{ "executable file not found", 127 },
	{ "no such file or directory", 127 },
	{ "permission denied", 126 },
	{ "is a directory", 126 },
};

int start_failure_code(const char *text)
{
	for (size_t n = 0; n < ARRAY_SIZE(start_codes); n++)
		if (strstr(text, start_codes[n].words))
			return start_codes[n].code;
	return 128;
}

void start_failed(struct instance *i, enum err_kind kind, const char *why)
{
	OWN(mem) char *text = xstrdup(why);
	int code = start_failure_code(text);

	if (instance_step(i, EV_EXITED) == ACT_REFUSE)
		return;
	log_info("%.12s (%s): start failed: %s", i->id, i->spec->name, text);
	i->is_over = true;
	str_set(&i->error, text);
	i->exit_code = code;
	i->durable = i->start_wanted = i->restart_asked = false;
	i->pid = 0;
	i->stop_signum = 0;
	i->stop_by_ns = 0;
	loop_timer_free(TAKE(i->stop_timer));
	prep_cancel(i);
	queue_leave(i);
	claim_release(i);
	snapshot_restore_over(i);
	streams_close(i);
	/* 126 and 127 are the request's fault; the rest is ours, whatever its kind. */
	if (code != 128)
		kind = ERR_INVALID;
	else if (kind == ERR_NOT_FOUND || kind == ERR_STATE)
		kind = ERR_INTERNAL;
	tickets_fail(i, TICKET_START, kind, text);
	tickets_succeed(i, TICKET_STOP);
	waits_exited(i);
	waits_over(i);
	after_ended(i);
	if (i->spec->auto_remove || i->is_removing)
		remove_now(i);
}
