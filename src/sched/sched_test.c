/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include "util/mem.h"
#include "util/test.h"

#define GIB (1LL << 30)

static struct sched *host(int64_t memory, int64_t cpu)
{
	struct sched *s = sched_new();

	sched_capacity(
	    s, (struct amounts) {
		   .v = { [RES_CPU] = cpu, [RES_MEMORY] = memory, [RES_MANAGE] = 10 << 20 } });
	return s;
}

static struct sched_job wants(const char *id, int64_t memory, int64_t cpu)
{
	return (struct sched_job) {
		.id = id,
		.demand.v = { [RES_CPU] = cpu, [RES_MEMORY] = memory, [RES_MANAGE] = 1 << 20 },
		.declared = { [RES_CPU] = cpu != 0, [RES_MEMORY] = memory != 0 },
	};
}

static void note(void *arg, const char *id)
{
	str_adds(arg, id);
}

static const char *name_of(void *arg, const char *id)
{
	(void)arg;
	return id;
}

/* Admitted ids of one pass, as one string. */
static char *pass(struct sched *s, int64_t now)
{
	struct str out = { 0 };

	sched_pass(s, now, &(struct sched_decisions) { .admit = note }, &out);
	return str_take(&out);
}

#define assert_refused(call, kind, text)                                                           \
	do {                                                                                       \
		OWN(err) struct err *e_ = (call);                                                  \
		assert_non_null(e_);                                                               \
		assert_int_equal(err_kind(e_), (kind));                                            \
		assert_string_equal(err_text(e_), (text));                                         \
	} while (0)

#define assert_pass(s, now, want)                                                                  \
	do {                                                                                       \
		OWN(mem) char *got_ = pass((s), (now));                                            \
		assert_string_equal(got_, (want));                                                 \
	} while (0)

static void first_come_is_first_served_and_nobody_passes_the_head(void **state)
{
	OWN(sched) struct sched *s = host(4 * GIB, 0);
	struct sched_job a = wants("a", 3 * GIB, 0), b = wants("b", 2 * GIB, 0),
			 c = wants("c", GIB, 0);

	(void)state;
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2);
	sched_arrive(s, &c, 3);
	assert_pass(s, 3, "a"); /* c would fit, but b came first */
	sched_leave(s, "a");
	assert_pass(s, 4, "bc");
}

static void list_lets_pass_what_fits(void **state)
{
	OWN(sched) struct sched *s = host(4 * GIB, 0);
	struct sched_job a = wants("a", 3 * GIB, 0), b = wants("b", 2 * GIB, 0),
			 c = wants("c", GIB, 0);

	(void)state;
	assert_ok(sched_policy_set(s, "fcfs/list"));
	assert_err(sched_policy_set(s, "random"), ERR_INVALID);
	assert_string_equal(sched_policy(s), "fcfs/list");
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2);
	sched_arrive(s, &c, 3);
	assert_pass(s, 3, "ac");
}

static void what_declares_nothing_waits_behind_nobody(void **state)
{
	OWN(sched) struct sched *s = host(GIB, 0);
	struct sched_job a = wants("a", GIB, 0), b = wants("b", GIB, 0), c = wants("c", 0, 0);

	(void)state;
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2);
	sched_arrive(s, &c, 3);
	assert_pass(s, 3, "ac");
}

static void it_waits_when_management_memory_is_short(void **state)
{
	OWN(sched) struct sched *s = host(GIB, 0);
	struct sched_job c = wants("c", 0, 0);
	struct sched_reason why;

	(void)state;
	c.demand.v[RES_MANAGE] = 6 << 20;
	sched_arrive(s, &c, 1);
	assert_pass(s, 1, "c");
	c.id = "d";
	sched_arrive(s, &c, 2);
	assert_pass(s, 2, "");
	assert_true(sched_reason(s, "d", &why));
	assert_int_equal(why.what, RES_MANAGE);
	assert_int_equal(why.free, 4 << 20);
}

static void the_reason_names_numbers_and_holders(void **state)
{
	OWN(sched) struct sched *s = host(5 * GIB, 4000);
	struct sched_job db = wants("db", 3 * GIB, 0), web = wants("web", GIB, 0),
			 big = wants("big", 4 * GIB, 0), next = wants("next", GIB / 2, 0);
	OWN(mem) char *why = NULL;
	OWN(mem) char *behind = NULL;

	(void)state;
	sched_arrive(s, &db, 1);
	sched_arrive(s, &web, 1);
	sched_arrive(s, &big, 2);
	sched_arrive(s, &next, 3);
	assert_pass(s, 3, "dbweb");
	why = sched_reason_text(s, "big", name_of, NULL);
	assert_string_equal(why, "memory: needs 4 GiB, 1 GiB free; held by db, web (no end known)");
	behind = sched_reason_text(s, "next", name_of, NULL);
	assert_string_equal(behind, "behind big, which waits for memory");
}

static void what_can_never_fit_is_refused_with_the_numbers(void **state)
{
	OWN(sched) struct sched *s = host(5 * GIB, 4000);
	struct sched_job j = wants("j", 64 * GIB, 0), k = wants("k", 0, 4500);
	OWN(err) struct err *e = sched_check(s, &j);
	OWN(err) struct err *f = sched_check(s, &k);

	(void)state;
	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_LIMIT);
	assert_string_equal(err_text(e), "memory: needs 64 GiB, this host has 5 GiB");
	assert_string_equal(err_text(f), "cpu: needs 4.5 cpus, this host has 4 cpus");
}

static void best_effort_is_charged_with_what_it_uses(void **state)
{
	OWN(sched) struct sched *s = host(2 * GIB, 0);
	struct sched_job c = wants("c", 0, 0), d = wants("d", GIB, 0);
	struct amounts held, left;

	(void)state;
	sched_arrive(s, &c, 1);
	assert_pass(s, 1, "c");
	sched_charge(s, "c",
		     (struct amounts) { .v = { [RES_MEMORY] = 3 * GIB, [RES_MANAGE] = 2 << 20 } });
	sched_totals(s, NULL, NULL, NULL, &left);
	assert_int_equal(left.v[RES_MEMORY], -GIB);
	assert_int_equal(left.v[RES_MANAGE], 8 << 20);
	sched_arrive(s, &d, 2);
	assert_pass(s, 2, "");
	sched_leave(s, "c");
	assert_pass(s, 3, "d");
	/* A declared resource is never charged by measurement. */
	sched_charge(s, "d", (struct amounts) { .v = { [RES_MEMORY] = 1 } });
	assert_true(sched_held(s, "d", &held));
	assert_int_equal(held.v[RES_MEMORY], GIB);
}

static void the_host_is_a_holder(void **state)
{
	OWN(sched) struct sched *s = host(2 * GIB, 0);
	struct sched_job a = wants("a", 2 * GIB, 0);

	(void)state;
	sched_host(s, (struct amounts) { .v = { [RES_MEMORY] = 1 } });
	sched_arrive(s, &a, 1);
	assert_pass(s, 1, "");
	sched_host(s, (struct amounts) { 0 });
	assert_pass(s, 2, "a");
}

static void max_wait_hold_and_quota_are_said_in_words(void **state)
{
	OWN(sched) struct sched *s = host(4 * GIB, 0);
	struct sched_job a = wants("a", 3 * GIB, 0), b = wants("b", 2 * GIB, 0),
			 c = wants("c", GIB, 0), d = wants("d", GIB / 4, 0);
	OWN(mem) char *behind = NULL;
	OWN(mem) char *held = NULL;
	OWN(mem) char *quota = NULL;
	OWN(mem) char *waits = NULL;

	(void)state;
	assert_ok(sched_policy_set(s, "list"));
	sched_max_wait(s, 100);
	a.expect_ns = 1000;
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2);
	assert_pass(s, 2, "a");
	assert_int_equal(sched_pass(s, 3, &(struct sched_decisions) { .admit = note }, NULL), 102);
	waits = sched_reason_text(s, "b", name_of, NULL);
	assert_string_equal(waits, "memory: needs 2 GiB, 1 GiB free; held by a");
	assert_pass(s, 102, "");
	sched_arrive(s, &c, 103);
	assert_pass(s, 103, "");
	behind = sched_reason_text(s, "c", name_of, NULL);
	assert_string_equal(behind, "behind b, which has waited its max-wait and needs memory; "
				    "hostel queue hold|cancel b lets others pass");
	sched_hold(s, "b", true);
	held = sched_reason_text(s, "b", name_of, NULL);
	assert_string_equal(held, "held");
	sched_quota(s, 7, (struct amounts) { .v = { [RES_MEMORY] = GIB } }, 0);
	c.id = "c2";
	c.uid = d.uid = 7;
	c.demand.v[RES_MEMORY] = GIB / 2;
	sched_leave(s, "c");
	sched_arrive(s, &c, 104);
	d.demand.v[RES_MEMORY] = 3 * GIB / 4;
	sched_arrive(s, &d, 105);
	assert_pass(s, 105, "c2");
	quota = sched_reason_text(s, "d", name_of, NULL);
	assert_string_equal(quota, "quota: memory: needs 768 MiB, 512 MiB left of 1 GiB; held by "
				   "c2 (no end known)");
	sched_leave(s, "a");
	sched_hold(s, "b", false);
	assert_pass(s, 106, "b");
}

static void a_quota_that_can_never_be_kept_to_is_refused_and_a_number_of_jobs_is_said(void **state)
{
	OWN(sched) struct sched *s = host(8 * GIB, 0);
	struct sched_job a = wants("a", 3 * GIB, 0), b = wants("b", GIB, 0), c = wants("c", GIB, 0);
	OWN(mem) char *why = NULL;

	(void)state;
	a.uid = b.uid = 7;
	sched_quota(s, 7, (struct amounts) { .v = { [RES_MEMORY] = 2 * GIB } }, 1);
	assert_refused(sched_check(s, &a), ERR_LIMIT,
		       "quota: memory: needs 3 GiB, its user may hold 2 GiB");
	a.demand.v[RES_MEMORY] = GIB;
	assert_ok(sched_check(s, &a));
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2);
	sched_arrive(s, &c, 3);
	assert_pass(s, 3, "ac");
	why = sched_reason_text(s, "b", name_of, NULL);
	assert_string_equal(why, "quota: instances: 1 at once; held by a (no end known)");
	sched_quota(s, 7, (struct amounts) { 0 }, 0);
	assert_pass(s, 4, "b");
}

static void a_drained_host_admits_nothing_and_goes_on_where_it_was(void **state)
{
	OWN(sched) struct sched *s = host(4 * GIB, 0);
	struct sched_job a = wants("a", GIB, 0), b = wants("b", 0, 0);
	OWN(mem) char *why = NULL;

	(void)state;
	sched_drain(s, true);
	sched_arrive(s, &a, 1);
	sched_arrive(s, &b, 2); /* declares nothing */
	assert_pass(s, 2, "");
	why = sched_reason_text(s, "a", name_of, NULL);
	assert_string_equal(why, "drain");
	sched_drain(s, false);
	assert_pass(s, 3, "ab");
}

static void only_what_waits_behind_somebody_can_be_moved(void **state)
{
	OWN(sched) struct sched *s = host(4 * GIB, 0);
	struct sched_job run = wants("run", 3 * GIB, 0), a = wants("a", 2 * GIB, 0),
			 b = wants("b", 2 * GIB, 0), free = wants("free", 0, 0);

	(void)state;
	sched_arrive(s, &run, 1);
	assert_pass(s, 1, "run");
	sched_arrive(s, &a, 2);
	sched_arrive(s, &b, 3);
	sched_arrive(s, &free, 4);
	assert_refused(sched_move(s, "run", SCHED_FIRST, NULL, 5), ERR_STATE,
		       "it does not wait in the queue");
	assert_refused(sched_move(s, "a", SCHED_AFTER, "gone", 5), ERR_STATE,
		       "it does not wait in the queue");
	assert_refused(sched_move(s, "free", SCHED_LAST, NULL, 5), ERR_STATE,
		       "it declares no demand, so it waits behind nobody");
	assert_refused(sched_move(s, "a", SCHED_BEFORE, "a", 5), ERR_INVALID,
		       "it cannot stand before or after itself");
	assert_int_equal(sched_place(s, "b"), 0);
	assert_ok(sched_move(s, "b", SCHED_FIRST, NULL, 5));
	assert_int_equal(sched_place(s, "b"), 1);
	sched_leave(s, "run");
	assert_pass(s, 6, "bafree");
}

/* Random events: what is held never exceeds the total, and sums come back to zero. */
static void declared_demand_never_exceeds_the_total(void **state)
{
	OWN(sched) struct sched *s = host(8 * GIB, 4000);
	bool present[64] = { false };
	uint64_t rnd = 42;
	struct amounts total, held;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char id[8];

		rnd = rnd * 6364136223846793005u + 1442695040888963407u;
		int n = (int)(rnd >> 33) % 64;

		snprintf(id, sizeof(id), "j%d", n);
		if (present[n]) {
			sched_leave(s, id);
		} else {
			struct sched_job j = wants(id, (int64_t)(rnd >> 40) % 4 * GIB,
						   (int64_t)(rnd >> 50) % 3 * 1000);

			sched_arrive(s, &j, i);
		}
		present[n] = !present[n];
		OWN(mem) char *got = pass(s, i);

		sched_totals(s, &total, &held, NULL, NULL);
		for (int r = 0; r < RES_COUNT; r++)
			assert_true(held.v[r] >= 0 && held.v[r] <= total.v[r]);
	}
	for (int n = 0; n < 64; n++) {
		char id[8];

		snprintf(id, sizeof(id), "j%d", n);
		sched_leave(s, id);
	}
	sched_totals(s, NULL, &held, NULL, NULL);
	for (int r = 0; r < RES_COUNT; r++)
		assert_int_equal(held.v[r], 0);
}

static void note_start(void *arg, const char *id, int64_t starts_ns)
{
	str_addf(arg, "%s:%d ", id, (int)starts_ns);
}

/* a holds 6 of 10 until 10, b wants 8 for 5, c and d 4 for 5. */
static void an_expected_start_is_known_when_the_ends_before_it_are(void **state)
{
	static const struct {
		const char *policy;
		int64_t a, b; /* expected run times; 0: unknown */
		const char *want;
	} cases[] = {
		{ "fcfs/strict", 10, 5, "b:10 c:15 d:15 " },
		{ "fcfs/easy", 10, 5, "b:10 c:15 d:15 " },
		{ "sjf/strict", 10, 8, "c:10 d:10 b:15 " },
		{ "fcfs/conservative", 10, 5, "b:10 c:15 d:15 " },
		{ "fcfs/easy", 0, 5, "b:0 c:0 d:0 " },
		{ "fcfs/easy", 10, 0, "b:10 c:0 d:0 " },
		{ "fcfs/strict", 3, 5, "b:0 c:0 d:0 " }, /* outlived at 4 */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(sched) struct sched *s = host(10 * GIB, 4000);
		OWN(str) struct str got = { 0 };
		struct sched_job a = wants("a", 6 * GIB, 0), b = wants("b", 8 * GIB, 0),
				 c = wants("c", 5 * GIB, 0), d = wants("d", 5 * GIB, 0);

		assert_null(sched_policy_set(s, cases[i].policy));
		a.expect_ns = cases[i].a;
		b.expect_ns = cases[i].b;
		c.expect_ns = d.expect_ns = 5;
		sched_arrive(s, &a, 0);
		assert_pass(s, 0, "a");
		sched_arrive(s, &b, 1);
		sched_arrive(s, &c, 2);
		sched_arrive(s, &d, 3);
		assert_pass(s, 4, "");
		sched_expected_starts(s, 4, note_start, &got);
		assert_string_equal(got.buf, cases[i].want);
		assert_pass(s, 4, ""); /* it changed nothing */
	}
}

struct forecast {
	int64_t known, ok;
};

static void check_start(void *arg, const char *id, int64_t starts_ns)
{
	struct forecast *f = arg;

	(void)id;
	if (!starts_ns)
		return;
	f->known++;
	f->ok += starts_ns == 5 * f->known;
}

/* One runs at a time, for 5 each. */
static void of_a_long_queue_the_first_two_hundred_starts_are_known(void **state)
{
	OWN(sched) struct sched *s = host(10 * GIB, 8000);
	struct forecast f = { 0 };

	(void)state;
	for (int i = 0; i <= 10000; i++) {
		char id[16];
		struct sched_job j = wants(id, 10 * GIB, 0);

		snprintf(id, sizeof(id), "j%d", i);
		j.expect_ns = 5;
		sched_arrive(s, &j, 0);
	}
	assert_pass(s, 0, "j0");
	sched_expected_starts(s, 0, check_start, &f);
	assert_int_equal(f.ok, f.known);
	assert_in_range(f.known, 200, 256);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_expected_start_is_known_when_the_ends_before_it_are),
		cmocka_unit_test(of_a_long_queue_the_first_two_hundred_starts_are_known),
		cmocka_unit_test(first_come_is_first_served_and_nobody_passes_the_head),
		cmocka_unit_test(list_lets_pass_what_fits),
		cmocka_unit_test(what_declares_nothing_waits_behind_nobody),
		cmocka_unit_test(it_waits_when_management_memory_is_short),
		cmocka_unit_test(the_reason_names_numbers_and_holders),
		cmocka_unit_test(what_can_never_fit_is_refused_with_the_numbers),
		cmocka_unit_test(best_effort_is_charged_with_what_it_uses),
		cmocka_unit_test(the_host_is_a_holder),
		cmocka_unit_test(max_wait_hold_and_quota_are_said_in_words),
		cmocka_unit_test(
		    a_quota_that_can_never_be_kept_to_is_refused_and_a_number_of_jobs_is_said),
		cmocka_unit_test(a_drained_host_admits_nothing_and_goes_on_where_it_was),
		cmocka_unit_test(only_what_waits_behind_somebody_can_be_moved),
		cmocka_unit_test(declared_demand_never_exceeds_the_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
