/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user says about a run beforehand, and what comes of it while it runs: an expected time
 * that it outlives is raised in steps, a time limit ends it.  Times are run times: not counted
 * while it is paused or sliced out.
 */
#include <stdio.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define STANDS_NS (20 * INT64_C(1000000)) /* how late a time limit may be then */

/* For sched: on its clock; 0: none. */
int64_t hints_deadline_boot(const struct instance *i)
{
	int64_t at;

	if (!i->spec->deadline)
		return 0;
	err_free(spec_deadline(i->spec->deadline, i->account.arrival_ns, &at)); /* was checked */
	at += clock_boot_ns() - clock_wall_ns();
	return at > 0 ? at : 1;
}

/* ---- while it runs ---- */

int64_t hints_ran_ns(const struct instance *i)
{
	int64_t stood = i->account.paused_ns + i->account.sliced_ns + slicing_waited_ns(i);

	if (i->paused_at_ns)
		stood += clock_wall_ns() - i->paused_at_ns;
	return clock_boot_ns() - i->began_boot_ns - stood;
}

static void out_of_time(struct instance *i)
{
	if (i->state != INST_RUNNING)
		return;
	i->is_out_of_time = true;
	log_info("%.12s (%s): its time limit is reached", i->id, i->spec->name);
	err_free(engine_stop(i->e, i, NULL, -1, (struct engine_done) { NULL, NULL }, NULL));
}

/* Until something is to be done; INT64_MAX: nothing. */
static int64_t next_step(const struct instance *i, int64_t ran)
{
	int64_t left = INT64_MAX;

	if (i->expect_now_ns)
		left = i->expect_now_ns - ran;
	if (i->spec->time_limit_ns && i->spec->time_limit_ns - ran < left)
		left = i->spec->time_limit_ns - ran;
	return left;
}

static void on_hint(void *arg)
{
	struct instance *i = arg;
	int64_t ran = hints_ran_ns(i), left;

	if (i->expect_now_ns && ran >= i->expect_now_ns) {
		i->expect_now_ns = estimate_raise(
		    i->expect.ns, ran, i->expect.source == FROM_GIVEN ? 0 : i->spec->expect_ns);
		sched_replan(i->e->sched, i->id, i->expect_now_ns);
		slicing_expect(i);
		engine_queue_dirty(i->e);
	}
	if (i->spec->time_limit_ns && ran >= i->spec->time_limit_ns) {
		out_of_time(i);
		return;
	}
	left = next_step(i, ran);
	if ((i->paused_at_ns || slicing_is_sliced(i)) && left < STANDS_NS)
		left = STANDS_NS; /* its time stands still */
	if (left < INT64_MAX)
		loop_timer_start(i->hint_timer, left > 0 ? left : 0);
}

void hints_started(struct instance *i)
{
	i->began_boot_ns = clock_boot_ns() - (clock_wall_ns() - i->started_ns);
	i->expect_now_ns = i->expect.ns;
	i->is_out_of_time = false;
	if (!i->expect_now_ns && !i->spec->time_limit_ns)
		return;
	if (!i->hint_timer)
		i->hint_timer = loop_timer_new(i->e->loop, on_hint, i);
	on_hint(i);
}

const char *hints_end_text(const struct instance *i, char *buf, size_t size)
{
	if (!i->is_out_of_time)
		return NULL;
	snprintf(buf, size, "its time limit of %g s was reached",
		 (double)i->spec->time_limit_ns / 1e9);
	return buf;
}
