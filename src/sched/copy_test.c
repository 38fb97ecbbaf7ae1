/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/sched.h"

#include <stdio.h>

#include "util/mem.h"
#include "util/test.h"

#define GIB   (1LL << 30)
#define JOBS  24
#define STEPS 80
#define SEEDS 300

/* xorshift64*. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ULL;
}

static struct sched *host(uint64_t *rnd)
{
	static const char *const policies[] = { "fcfs/easy",         "sjf/strict",
						"drf/list",          "rr/easy",
						"wfp3/conservative", "priority/easy-sjf" };
	struct sched *s = sched_new();
	struct amounts total = { .v = { [RES_CPU] = 8000, [RES_MEMORY] = 10 * GIB } };

	total.v[RES_MANAGE] = 20 << 20;
	sched_capacity(s, total);
	assert_null(sched_policy_set(s, policies[next(rnd) % ARRAY_SIZE(policies)]));
	sched_max_wait(s, next(rnd) % 2 ? 40 : 0);
	sched_quota(s, 3, (struct amounts) { .v = { [RES_MEMORY] = 5 * GIB } }, 3);
	return s;
}

static void note(void *arg, const char *id)
{
	str_addf(arg, "+%s", id);
}

static const struct sched_decisions notes = { .admit = note };

static const char *name_of(void *arg, const char *id)
{
	(void)arg;
	return id;
}

static struct sched_job job(const char *id, uint64_t r)
{
	int64_t memory = (int64_t)(r % 7) * GIB, cpu = (int64_t)(r / 7 % 5) * 1000;

	return (struct sched_job) {
		.id = id,
		.demand.v = { [RES_CPU] = cpu, [RES_MEMORY] = memory, [RES_MANAGE] = 1 << 20 },
		.declared = { [RES_CPU] = cpu != 0, [RES_MEMORY] = memory != 0 },
		.uid = (int64_t)(r / 35 % 5),
		.priority = (int64_t)(r / 175 % 4),
		.expect_ns = (int64_t)(r / 700 % 3) * 20,
	};
}

/* One event, chosen by @rnd; what comes of it is added to @out. */
static void step(struct sched *s, uint64_t *rnd, bool *is_there, int64_t now, struct str *out)
{
	uint64_t what = next(rnd), which = next(rnd) % JOBS, how = next(rnd);
	char id[8];

	snprintf(id, sizeof(id), "j%d", (int)which);
	if (!is_there[which]) {
		struct sched_job j = job(id, how);

		if (what % 8 == 0)
			sched_adopt(s, &j, now);
		else
			sched_arrive(s, &j, now);
		is_there[which] = true;
	} else if (what % 3 == 0) {
		sched_leave(s, id);
		is_there[which] = false;
	} else if (what % 3 == 1) {
		sched_hold(s, id, how % 2);
	} else {
		err_free(sched_move(s, id, SCHED_FIRST, NULL, now));
		sched_charge(s, id, (struct amounts) { .v = { [RES_MEMORY] = GIB / 2 } });
	}
	str_addf(out, "|%d", (int)sched_pass(s, now, &notes, out));
}

static void add_waiting(void *arg, const char *id, int64_t arrival_ns)
{
	str_addf(arg, " %s@%d", id, (int)arrival_ns);
}

/* All that can be read of it. */
static char *picture(struct sched *s, int64_t now)
{
	struct str out = { 0 };
	struct amounts total, held, other, left;

	sched_each_waiting(s, now, add_waiting, &out);
	sched_expected_starts(s, now, add_waiting, &out);
	sched_totals(s, &total, &held, &other, &left);
	for (int r = 0; r < RES_COUNT; r++)
		str_addf(&out, " %lld/%lld/%lld", (long long)total.v[r], (long long)held.v[r],
			 (long long)left.v[r]);
	for (int i = 0; i < JOBS; i++) {
		OWN(mem) char *id = xasprintf("j%d", i);
		OWN(mem) char *why = sched_reason_text(s, id, name_of, NULL);

		str_addf(&out, "\n%s: %s %lld", id, why, (long long)sched_place(s, id));
	}
	return str_take(&out);
}

/* A copy of @rnd and @is_there goes with it, so that both can be walked on with. */
static char *walk(struct sched *s, uint64_t rnd, const bool *is_there, int64_t now)
{
	bool mine[JOBS];
	struct str out = { 0 };

	memcpy(mine, is_there, sizeof(mine));
	for (int i = 0; i < STEPS; i++)
		step(s, &rnd, mine, now += (int64_t)(i % 5), &out);
	return str_take(&out);
}

static void one_seed(uint64_t seed)
{
	uint64_t rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
	OWN(sched) struct sched *s = host(&rnd);
	OWN(sched) struct sched *c = NULL;
	OWN(mem) char *before = NULL, *after = NULL, *of_copy = NULL, *of_it = NULL;
	bool is_there[JOBS] = { 0 };
	OWN(str) struct str out = { 0 };
	int64_t now = 0;

	for (int i = 0; i < STEPS; i++)
		step(s, &rnd, is_there, now += (int64_t)(i % 3), &out);
	c = sched_copy(s);
	before = picture(s, now);
	of_copy = picture(c, now);
	assert_string_equal(of_copy, before);
	free(of_copy);
	of_copy = walk(c, rnd, is_there, now);
	after = picture(s, now);
	assert_string_equal(after, before);
	of_it = walk(s, rnd, is_there, now);
	assert_string_equal(of_copy, of_it);
}

static void a_copy_decides_as_the_original_would_and_leaves_it_alone(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		one_seed(seed);
}

static void told(void *arg, const struct record *r, const char *id, int64_t at_ns)
{
	(void)r, (void)id, (void)at_ns;
	++*(int *)arg;
}

static void a_copy_is_watched_by_nobody(void **state)
{
	uint64_t rnd = 7;
	OWN(sched) struct sched *s = host(&rnd);
	OWN(sched) struct sched *c = NULL;
	OWN(str) struct str out = { 0 };
	struct sched_job j = job("j", 1);
	int n = 0;

	(void)state;
	sched_watch(s, told, &n);
	c = sched_copy(s);
	sched_arrive(c, &j, 1);
	sched_pass(c, 1, &notes, &out);
	assert_string_equal(out.buf, "+j");
	assert_int_equal(n, 0);
	sched_arrive(s, &j, 1);
	assert_int_equal(n, 1);
}

static void a_cleared_one_has_all_that_the_host_has_free(void **state)
{
	uint64_t rnd = 3;
	OWN(sched) struct sched *s = host(&rnd);
	bool is_there[JOBS] = { 0 };
	OWN(str) struct str out = { 0 };
	struct amounts total, other, left;

	(void)state;
	sched_host(s, (struct amounts) { .v = { [RES_MEMORY] = GIB } });
	for (int i = 0; i < STEPS; i++)
		step(s, &rnd, is_there, i, &out);
	sched_drain(s, true);
	sched_clear(s);
	sched_totals(s, &total, NULL, &other, &left);
	for (int r = 0; r < RES_COUNT; r++)
		assert_int_equal(left.v[r], total.v[r] - other.v[r]);
	sched_arrive(s,
		     &(struct sched_job) { .id = "new",
					   .demand.v = { [RES_MEMORY] = 9 * GIB },
					   .declared = { [RES_MEMORY] = true } },
		     STEPS);
	str_done(&out);
	out = (struct str) { 0 };
	sched_pass(s, STEPS, &notes, &out);
	assert_string_equal(out.buf, "+new");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_decides_as_the_original_would_and_leaves_it_alone),
		cmocka_unit_test(a_copy_is_watched_by_nobody),
		cmocka_unit_test(a_cleared_one_has_all_that_the_host_has_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
