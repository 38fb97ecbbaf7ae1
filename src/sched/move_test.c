/* SPDX-License-Identifier: Apache-2.0 */
/* alloc_move(): places that somebody chose. */
#include "sched/alloc.h"

#include "sched/rig.h"
#include "util/mem.h"
#include "util/test.h"

static struct alloc *machine(const char *policy, int64_t cpus)
{
	struct alloc *a =
	    alloc_new(&(struct alloc_config) { .policy = policy, .resources = 1, .aging_ns = SEC });

	alloc_capacity(a, (struct amounts) { .v = { cpus * 1000 } });
	return a;
}

/* Jobs 'a', 'b', …; what of them waits, in order, as one word. */
static uint32_t job(struct alloc *a, char name, int64_t cpus, int64_t run)
{
	return alloc_arrive(a, &(struct alloc_job) {
				   .tag = (uint64_t)name,
				   .demand.v = { cpus * 1000 },
				   .arrival_ns = (name - 'a') * SEC,
				   .planned_ns = run * SEC,
				   .priority = (name - 'a') % 3,
				   .user = (uint32_t)(name - 'a') % 2,
				   .label = (uint32_t)(name - 'a') % 2,
			       });
}

static char *queue(struct alloc *a)
{
	struct str out = { 0 };
	size_t n;
	OWN(mem) uint32_t *q = alloc_queue(a, 100 * SEC, &n);

	for (size_t i = 0; i < n; i++)
		str_addf(&out, "%c", (char)alloc_tag(a, q[i]));
	return str_take(&out);
}

#define assert_queue(a, want)                                                                      \
	do {                                                                                       \
		OWN(mem) char *got_ = queue(a);                                                    \
		assert_string_equal(got_, (want));                                                 \
	} while (0)

static void each_way_of_moving_gives_its_place_and_what_stands_before_it_stays(void **state)
{
	static const struct {
		int who;
		enum alloc_where where;
		int other;
		const char *want, *places; /* of a to e */
	} cases[] = {
		{ 3, ALLOC_FIRST, 0, "dabce", "00010" },  { 0, ALLOC_FIRST, 0, "abcde", "10000" },
		{ 0, ALLOC_LAST, 0, "bcdea", "51234" },   { 3, ALLOC_BEFORE, 1, "adbce", "10020" },
		{ 0, ALLOC_BEFORE, 3, "bcade", "31200" }, { 3, ALLOC_AFTER, 0, "adbce", "10020" },
		{ 0, ALLOC_AFTER, 4, "bcdea", "51234" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(alloc) struct alloc *a = machine("fcfs", 1);
		uint32_t h[5];

		for (int k = 0; k < 5; k++)
			h[k] = job(a, (char)('a' + k), 1, 10);
		alloc_move(a, h[cases[i].who], cases[i].where, h[cases[i].other], SEC);
		assert_queue(a, cases[i].want);
		for (int k = 0; k < 5; k++)
			assert_int_equal(alloc_place(a, h[k]), cases[i].places[k] - '0');
	}
}

static void a_place_holds_under_every_order_and_fill_until_it_is_admitted(void **state)
{
	static const char *const policies[] = {
		"fcfs/strict",       "sjf/easy",   "saf/list",    "laf/easy-sjf",
		"rr/list",           "drf/easy",   "wfp3/easy",   "priority/list",
		"fcfs/conservative", "edf/strict", "f1/easy-sjf",
	};

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		OWN(alloc) struct alloc *a = machine(policies[i], 1);
		uint32_t runs = job(a, 'z', 1, 10), h[5];
		struct alloc_result r = alloc_pass(a, 0);

		assert_int_equal(r.n_starts, 1);
		for (int k = 0; k < 5; k++)
			h[k] = job(a, (char)('a' + k), 1, 10 * ((k * 2) % 5 + 1));
		alloc_move(a, h[2], ALLOC_FIRST, ALLOC_NONE, SEC);
		alloc_move(a, h[4], ALLOC_AFTER, h[2], SEC);
		alloc_move(a, h[0], ALLOC_BEFORE, h[4], SEC);
		job(a, 'y', 1, 1); /* would be first of all under some */
		assert_int_equal(alloc_pass(a, SEC).n_starts, 0);
		assert_ok(alloc_policy_set(a, policies[(i + 1) % ARRAY_SIZE(policies)]));
		alloc_leave(a, runs);
		for (const char *want = "cae"; *want; want++) {
			r = alloc_pass(a, 2 * SEC);
			assert_int_equal(r.n_starts, 1);
			assert_int_equal(r.starts[0].tag, *want);
			alloc_leave(a, r.starts[0].handle);
		}
	}
}

static void the_whole_queue_is_fixed_by_last_and_later_ones_stand_behind(void **state)
{
	OWN(alloc) struct alloc *a = machine("sjf", 1);
	uint32_t big = job(a, 'a', 1, 5);

	job(a, 'b', 1, 30);
	job(a, 'c', 1, 20);
	assert_queue(a, "acb");
	alloc_move(a, big, ALLOC_LAST, ALLOC_NONE, SEC);
	job(a, 'd', 1, 1);
	job(a, 'e', 1, 2);
	assert_queue(a, "cbade");
}

static void a_held_one_or_one_over_its_quota_gets_its_place_when_it_may_start(void **state)
{
	OWN(alloc) struct alloc *a = machine("fcfs", 1);
	struct alloc_quota one = { .running = 1 };
	uint32_t runs = job(a, 'a', 1, 10), b, c, d;
	struct alloc_result r;

	assert_int_equal(alloc_pass(a, 0).n_starts, 1); /* user 0 */
	b = job(a, 'b', 1, 10);
	c = job(a, 'c', 1, 10); /* user 0 */
	d = job(a, 'd', 1, 10);
	alloc_quota(a, 0, &one);
	alloc_hold(a, d, true);
	assert_queue(a, "bcd");
	alloc_move(a, d, ALLOC_FIRST, ALLOC_NONE, SEC);
	alloc_move(a, c, ALLOC_BEFORE, d, SEC);
	assert_queue(a, "cdb");
	alloc_capacity(a, (struct amounts) { .v = { 2000 } });
	r = alloc_pass(a, SEC);
	assert_int_equal(r.n_starts, 1);
	assert_int_equal(r.starts[0].handle, b); /* c is over its quota, d is held */
	alloc_hold(a, d, false);
	alloc_leave(a, runs);
	alloc_leave(a, b);
	r = alloc_pass(a, 2 * SEC);
	assert_int_equal(r.n_starts, 2);
	assert_int_equal(r.starts[0].handle, c);
	assert_int_equal(r.starts[1].handle, d);
}

static void nothing_passes_one_that_has_waited_its_max_wait_but_those_with_a_place(void **state)
{
	OWN(alloc) struct alloc *a = machine("fcfs/list", 4);
	uint32_t runs = job(a, 'a', 3, 100), urgent, placed;
	struct alloc_result r;

	assert_int_equal(alloc_pass(a, 0).n_starts, 1);
	alloc_max_wait_set(a, 10 * SEC);
	urgent = job(a, 'b', 2, 10);
	alloc_pass(a, 20 * SEC);
	placed = job(a, 'z', 3, 10);
	alloc_move(a, placed, ALLOC_FIRST, ALLOC_NONE, 20 * SEC);
	job(a, 'y', 1, 1); /* would fit */
	assert_queue(a, "zby");
	assert_int_equal(alloc_pass(a, 21 * SEC).n_starts, 0);
	alloc_leave(a, runs);
	r = alloc_pass(a, 22 * SEC);
	assert_int_equal(r.n_starts, 1);
	assert_int_equal(r.starts[0].handle, placed);
	alloc_leave(a, placed);
	r = alloc_pass(a, 23 * SEC);
	assert_int_equal(r.n_starts, 2);
	assert_int_equal(r.starts[0].handle, urgent);
}

static void what_fits_passes_a_head_with_a_place_as_any_head(void **state)
{
	OWN(alloc) struct alloc *a = machine("fcfs/list", 4);
	uint32_t c;
	struct alloc_result r;

	job(a, 'a', 3, 100);
	assert_int_equal(alloc_pass(a, 0).n_starts, 1);
	job(a, 'b', 1, 10);
	c = job(a, 'c', 2, 10);
	alloc_move(a, job(a, 'd', 1, 10), ALLOC_FIRST, ALLOC_NONE, SEC);
	alloc_move(a, c, ALLOC_FIRST, ALLOC_NONE, SEC);
	assert_queue(a, "cdb");
	r = alloc_pass(a, SEC);
	assert_int_equal(r.n_starts, 1);
	assert_int_equal(r.starts[0].tag, 'd'); /* the one with a place before b */
}

/* Against a plain list: random moves, arrivals, departures and holds. */
static void random_moves_give_what_a_list_gives(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		OWN(alloc) struct alloc *a = machine("fcfs", 1);
		uint64_t rnd = seed;
		char list[32] = "";
		uint32_t h[128] = { 0 };
		size_t n = 0;

		job(a, '!', 1, 1);
		alloc_pass(a, 0);
		for (int step = 0; step < 40; step++) {
			size_t i = n ? rig_random(&rnd, n) : 0, to;
			char who = list[i];

			if (n < 3 || (n < 20 && rig_random(&rnd, 2))) {
				list[n] = (char)('A' + step);
				h[(int)list[n]] = job(a, list[n], 1, 1);
				list[++n] = '\0';
			} else if (!rig_random(&rnd, 5)) {
				alloc_leave(a, h[(int)who]);
				memmove(&list[i], &list[i + 1], n-- - i);
			} else {
				memmove(&list[i], &list[i + 1], n-- - i);
				to = rig_random(&rnd, n + 1);
				if (to < n)
					alloc_move(a, h[(int)who], ALLOC_BEFORE, h[(int)list[to]],
						   SEC);
				else
					alloc_move(a, h[(int)who], ALLOC_LAST, ALLOC_NONE, SEC);
				memmove(&list[to + 1], &list[to], ++n - to);
				list[to] = who;
			}
			assert_queue(a, list);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    each_way_of_moving_gives_its_place_and_what_stands_before_it_stays),
		cmocka_unit_test(a_place_holds_under_every_order_and_fill_until_it_is_admitted),
		cmocka_unit_test(the_whole_queue_is_fixed_by_last_and_later_ones_stand_behind),
		cmocka_unit_test(a_held_one_or_one_over_its_quota_gets_its_place_when_it_may_start),
		cmocka_unit_test(
		    nothing_passes_one_that_has_waited_its_max_wait_but_those_with_a_place),
		cmocka_unit_test(what_fits_passes_a_head_with_a_place_as_any_head),
		cmocka_unit_test(random_moves_give_what_a_list_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
