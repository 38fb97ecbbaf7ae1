/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/record.h"
#include "sched/rig.h"
#include "sched/sched.h"
#include "util/mem.h"
#include "util/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * An allocation that lasts a turn: sched says spill and unspill, a fake backend does it, and
 * everything that it decided is told to a second scheduler, which must decide the same.
 */

#define MEMORY 8
#define MOST   16

struct host {
	struct sched *s;
	int64_t now_ns;
	bool fails;        /* nothing can be spilled */
	bool starts_over;  /* the log begins anew while the backend is at it */
	struct str said;   /* what was decided, "+a -b *c": admitted, to be spilled, unspilled */
	struct strv doing; /* being spilled */
	int64_t resident;  /* by the backend's own count */
	/* the second one */
	struct sched *twin;
	struct str expected; /* of its decisions that were not told yet */
	uint64_t decisions;
};

static void own_host_release(struct host *h)
{
	sched_free(h->s);
	sched_free(h->twin);
	str_done(&h->said);
	str_done(&h->expected);
	strv_done(&h->doing);
}

/* ---- the backend ---- */

static void admit(void *arg, const char *id)
{
	struct host *h = arg;

	str_addf(&h->said, "+%s ", id);
	h->resident++;
}

static void spill(void *arg, const char *id)
{
	struct host *h = arg;

	str_addf(&h->said, "-%s ", id);
	strv_add(&h->doing, id);
}

static void unspill(void *arg, const char *id)
{
	struct host *h = arg;

	str_addf(&h->said, "*%s ", id);
	h->resident++;
}

static void backend_runs(struct host *h)
{
	for (size_t i = 0; i < h->doing.n; i++) {
		assert_int_equal(sched_memory(h->s, h->doing.v[i]), SCHED_SPILLING);
		sched_spilled(h->s, h->doing.v[i], h->fails, h->now_ns);
		h->resident -= !h->fails;
	}
	strv_done(&h->doing);
}

/* ---- the twin ---- */

static void twin_admit(void *arg, const char *id)
{
	str_addf(&((struct host *)arg)->expected, "D%s ", id);
}

static void twin_spill(void *arg, const char *id)
{
	str_addf(&((struct host *)arg)->expected, "y%s ", id);
}

static void twin_unspill(void *arg, const char *id)
{
	str_addf(&((struct host *)arg)->expected, "u%s ", id);
}

static void twin_decided(struct host *h, const struct record *r)
{
	char word[32];
	int n = snprintf(word, sizeof(word), "%c%" PRId64 " ", r->letter, r->v[0]);

	assert_true(h->expected.len && !strncmp(h->expected.buf, word, (size_t)n));
	str_drop(&h->expected, (size_t)n);
	h->decisions++;
}

static void twin_take_job(struct host *h, const struct record *r, const char *id, int64_t at_ns)
{
	struct sched_job j = record_job(r);

	j.id = id;
	if (r->letter == REC_ARRIVED)
		sched_arrive(h->twin, &j, at_ns - r->v[JOB_AGO]);
	else if (r->letter == REC_HOLDS)
		sched_adopt(h->twin, &j, at_ns - r->v[JOB_AGO]);
	else
		sched_resize(h->twin, id, &j);
}

static void twin_take_spilled(struct host *h, const struct record *r, const char *id, int64_t at_ns)
{
	if (sched_memory(h->twin, id) == SCHED_SPILLING)
		sched_spilled(h->twin, id, r->v[1] == SPILL_FAILED, at_ns);
	else
		sched_be_spilled(h->twin, id, r->v[1] == SPILL_UNDER_WAY);
}

static void on_record(void *arg, const struct record *r, const char *id, int64_t at_ns)
{
	static const struct sched_decisions twin = { twin_admit, twin_spill, twin_unspill };
	struct host *h = arg;

	at_ns = at_ns == SCHED_NO_TIME ? h->now_ns : at_ns;
	switch (r->letter) {
	case REC_TOTAL:
		sched_capacity(h->twin, record_amounts(r));
		break;
	case REC_OTHER:
		sched_host(h->twin, record_amounts(r));
		break;
	case REC_POLICY:
		assert_ok(sched_policy_set(h->twin, r->policy));
		break;
	case REC_ALLOCATION_TURN:
		sched_turn(h->twin, r->v[0]);
		break;
	case REC_ARRIVED:
	case REC_HOLDS:
	case REC_RESIZED:
		twin_take_job(h, r, id, at_ns);
		break;
	case REC_CIRCLE:
		sched_circle(h->twin, r->v[0], (uint64_t)r->v[1]);
		break;
	case REC_SPILLED:
		twin_take_spilled(h, r, id, at_ns);
		break;
	case REC_ENDED:
	case REC_WITHDRAWN:
		sched_leave(h->twin, id);
		break;
	case REC_PASS:
		assert_int_equal(h->expected.len, 0);
		sched_pass(h->twin, at_ns, &twin, h);
		break;
	case REC_ADMITTED:
	case REC_SPILL:
	case REC_UNSPILL:
		twin_decided(h, r);
		break;
	default:
		break;
	}
}

/* As when a log begins anew. */
static void twin_start_over(struct host *h)
{
	sched_free(h->twin);
	h->twin = sched_new();
	assert_int_equal(h->expected.len, 0);
	sched_tell_all(h->s, h->now_ns);
}

/* ---- scenes ---- */

static void host_init(struct host *h, const char *policy, int64_t turn_ns)
{
	*h = (struct host) { .s = sched_new(), .twin = sched_new() };
	sched_watch(h->s, on_record, h);
	sched_capacity(h->s, (struct amounts) { { [RES_CPU] = 64000,
						  [RES_MEMORY] = MEMORY,
						  [RES_DISK] = 100,
						  [RES_MANAGE] = 1000 } });
	assert_ok(sched_policy_set(h->s, policy));
	sched_turn(h->s, turn_ns);
}

static void arrive_as(struct host *h, int64_t number, int64_t memory, int64_t uid, int64_t group)
{
	char id[24];
	struct sched_job j = {
		.id = id,
		.number = (uint64_t)number,
		.demand.v = { [RES_MEMORY] = memory, [RES_DISK] = 1, [RES_MANAGE] = 2 },
		.declared = { [RES_MEMORY] = true, [RES_DISK] = true },
		.uid = uid,
		.group = group,
	};

	snprintf(id, sizeof(id), "%" PRId64, number);
	sched_arrive(h->s, &j, h->now_ns);
}

/* Pass, and then what the backend does; what was decided. */
static const char *turn(struct host *h, int64_t now_ns)
{
	static const struct sched_decisions d = { admit, spill, unspill };

	str_drop(&h->said, h->said.len);
	h->now_ns = now_ns;
	sched_pass(h->s, now_ns, &d, h);
	if (h->starts_over)
		twin_start_over(h);
	backend_runs(h);
	sched_pass(h->s, now_ns, &d, h);
	assert_int_equal(h->expected.len, 0);
	return h->said.len ? h->said.buf : "";
}

static struct amounts free_of(const struct sched *s)
{
	struct amounts left;

	sched_totals(s, NULL, NULL, NULL, &left);
	return left;
}

static void
an_allocation_lasts_a_turn_while_others_wait_and_its_holder_goes_to_the_tail(void **state)
{
	OWN(host) struct host h = { 0 };

	(void)state;
	host_init(&h, "rr", 10);
	arrive_as(&h, 1, MEMORY, 100, 0);
	arrive_as(&h, 2, MEMORY, 200, 0);
	arrive_as(&h, 3, MEMORY, 300, 0);
	assert_string_equal(turn(&h, 0), "+1 ");
	assert_string_equal(turn(&h, 9), "");
	assert_string_equal(turn(&h, 10), "-1 +2 ");
	assert_int_equal(sched_memory(h.s, "1"), SCHED_SPILLED);
	assert_string_equal(turn(&h, 20), "-2 +3 ");
	assert_string_equal(turn(&h, 30), "-3 *1 ");
	sched_leave(h.s, "1");
	assert_string_equal(turn(&h, 31), "*2 ");
	sched_leave(h.s, "3");
	assert_string_equal(turn(&h, 100), ""); /* nobody waits: no turn ends */
	assert_int_equal(sched_memory(h.s, "2"), SCHED_RESIDENT);
}

static void what_is_being_spilled_holds_all_and_what_is_spilled_keeps_its_disk_and_m(void **state)
{
	static const struct sched_decisions d = { admit, spill, unspill };
	OWN(host) struct host h = { 0 };

	(void)state;
	host_init(&h, "rr", 10);
	arrive_as(&h, 1, MEMORY, 100, 0);
	arrive_as(&h, 2, MEMORY, 200, 0);
	turn(&h, 0);
	h.now_ns = 10;
	sched_pass(h.s, 10, &d, &h);
	sched_pass(h.s, 11, &d, &h);
	assert_string_equal(h.said.buf, "+1 -1 ");
	assert_int_equal(free_of(h.s).v[RES_MEMORY], 0);
	h.now_ns = 12;
	backend_runs(&h);
	assert_int_equal(free_of(h.s).v[RES_MEMORY], MEMORY);
	assert_int_equal(free_of(h.s).v[RES_DISK], 99);
	assert_int_equal(free_of(h.s).v[RES_MANAGE], 998);
	turn(&h, 12);
	assert_int_equal(free_of(h.s).v[RES_DISK], 98);
	turn(&h, 22); /* 1 is back, 2 out: each holds its disk once */
	assert_int_equal(sched_memory(h.s, "2"), SCHED_SPILLED);
	assert_int_equal(free_of(h.s).v[RES_MEMORY], 0);
	assert_int_equal(free_of(h.s).v[RES_DISK], 98);
	assert_int_equal(free_of(h.s).v[RES_MANAGE], 996);
	sched_leave(h.s, "2"); /* its user removes it */
	sched_leave(h.s, "1");
	assert_int_equal(free_of(h.s).v[RES_DISK], 100);
	assert_int_equal(free_of(h.s).v[RES_MANAGE], 1000);
}

static void what_cannot_be_spilled_keeps_all_for_another_turn(void **state)
{
	OWN(host) struct host h = { 0 };

	(void)state;
	host_init(&h, "rr", 10);
	h.fails = true;
	arrive_as(&h, 1, MEMORY, 100, 0);
	arrive_as(&h, 2, MEMORY, 200, 0);
	assert_string_equal(turn(&h, 0), "+1 ");
	assert_string_equal(turn(&h, 10), "-1 ");
	assert_int_equal(sched_memory(h.s, "1"), SCHED_RESIDENT);
	assert_int_equal(free_of(h.s).v[RES_MEMORY], 0);
	assert_string_equal(turn(&h, 19), "");
	h.fails = false;
	assert_string_equal(turn(&h, 20), "-1 +2 ");
}

static void rr_over_a_label_serves_its_values_in_turn_not_users(void **state)
{
	OWN(host) struct host h = { 0 };

	(void)state;
	host_init(&h, "rr:team/strict", 0);
	assert_string_equal(sched_over(h.s), "team");
	arrive_as(&h, 1, MEMORY, 100, 7);
	arrive_as(&h, 2, MEMORY, 200, 7);
	arrive_as(&h, 3, MEMORY, 100, 8);
	assert_string_equal(turn(&h, 0), "+1 ");
	sched_leave(h.s, "1");
	twin_start_over(&h);
	assert_string_equal(turn(&h, 1), "+3 "); /* another team, though its user had the last */
	sched_leave(h.s, "3");
	assert_string_equal(turn(&h, 2), "+2 ");
	assert_ok(sched_policy_set(h.s, "rr"));
	assert_null(sched_over(h.s));
}

/* Random arrivals, ends, failures and copies; what is resident always fits. */
static void told_of_another_a_scheduler_spills_and_unspills_alike(void **state)
{
	uint64_t decisions = 0, spilled = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		static const char *const policies[] = { "rr", "rr:team/list", "rr/easy" };
		OWN(host) struct host h = { 0 };
		uint64_t rnd = seed;
		int64_t number = 0;

		host_init(&h, policies[seed % 3], 20);
		for (int64_t now = 0; now < 2000; now += 1 + (int64_t)rig_random(&rnd, 10)) {
			char id[24];

			h.now_ns = now;
			h.fails = !rig_random(&rnd, 8);
			if (number < 300 && rig_random(&rnd, 2))
				arrive_as(&h, ++number, 1 + (int64_t)rig_random(&rnd, MEMORY),
					  (int64_t)rig_random(&rnd, 4),
					  seed % 3 == 1 ? 1 + (int64_t)rig_random(&rnd, 3) : 0);
			snprintf(id, sizeof(id), "%" PRIu64,
				 1 + rig_random(&rnd, (uint64_t)number + 1));
			if (!rig_random(&rnd, 4))
				sched_leave(h.s, id);
			h.starts_over = !rig_random(&rnd, 20);
			turn(&h, now);
			spilled += strchr(h.said.len ? h.said.buf : "", '*') != NULL;
			assert_true(free_of(h.s).v[RES_MEMORY] >= 0);
			if (!rig_random(&rnd, 50))
				twin_start_over(&h);
		}
		decisions += h.decisions;
	}
	assert_true(decisions > 5000 && spilled > 500);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_allocation_lasts_a_turn_while_others_wait_and_its_holder_goes_to_the_tail),
		cmocka_unit_test(
		    what_is_being_spilled_holds_all_and_what_is_spilled_keeps_its_disk_and_m),
		cmocka_unit_test(what_cannot_be_spilled_keeps_all_for_another_turn),
		cmocka_unit_test(rr_over_a_label_serves_its_values_in_turn_not_users),
		cmocka_unit_test(told_of_another_a_scheduler_spills_and_unspills_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
