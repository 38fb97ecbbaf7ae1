/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/record.h"
#include "sched/rig.h"
#include "sched/slice.h"
#include "util/mem.h"
#include "util/test.h"

#define MOST 12

/* A slice that is told what another one tells of, and must decide the same. */
struct pair {
	struct slice *one, *other;
	int64_t now_ns;
	struct str text; /* all records, as they stand in a log */
	uint64_t turns, switches, copies;
};

static void own_pair_release(struct pair *p)
{
	slice_free(p->one);
	slice_free(p->other);
	str_done(&p->text);
}

static void check_turn(struct pair *p, const struct record *r)
{
	struct slice_result got = slice_pass(p->other, p->now_ns);

	assert_int_equal(got.n, r->n);
	for (unsigned i = 0; i < r->n; i++)
		assert_int_equal(got.changes[i].run ? (int64_t)got.changes[i].tag
						    : -(int64_t)got.changes[i].tag,
				 r->v[i]);
	p->turns++;
	p->switches += r->n;
}

/* Through its spelling, as a log has it. */
static void on_record(void *arg, const struct record *r, int64_t at_ns)
{
	OWN(str) struct str line = { 0 };
	struct pair *p = arg;
	struct record read;

	if (at_ns != SLICE_NO_TIME)
		assert_int_equal(at_ns, p->now_ns);
	record_print(r, &line);
	str_add(&p->text, line.buf, line.len);
	assert_int_equal(record_parse(line.buf, line.buf + line.len - 1, &read), RECORD_OK);
	if (read.letter == REC_TURN)
		check_turn(p, &read);
	else
		assert_ok(slice_take(p->other, &read, p->now_ns));
}

/* As when a log begins anew. */
static void start_over(struct pair *p)
{
	slice_free(p->other);
	p->other = slice_new();
	slice_tell_all(p->one, p->now_ns);
	p->copies++;
}

struct member {
	uint32_t handle;
	bool is_stopping;
};

static void step(struct pair *p, struct member *m, size_t *n, uint64_t *rnd, int64_t *number)
{
	struct slice_result r;
	uint64_t what = rig_random(rnd, 12);
	size_t i = *n ? rig_random(rnd, *n) : 0;

	if (what < 2 && *n < MOST) {
		struct slice_job j = { .number = ++*number,
				       .cpu_milli = 500 * (1 + (int64_t)rig_random(rnd, 4)),
				       .priority = (int32_t)rig_random(rnd, 3),
				       .expect_ns = (int64_t)rig_random(rnd, 200) };

		m[(*n)++] = (struct member) { slice_admit(p->one, &j, p->now_ns), false };
	} else if (what == 2 && *n) {
		slice_leave(p->one, m[i].handle, p->now_ns);
		m[i] = m[--*n];
	} else if (what == 3 && *n) {
		slice_expect(p->one, m[i].handle, (int64_t)rig_random(rnd, 300));
	}
	for (i = 0; i < *n; i++)
		if (rig_random(rnd, 2))
			slice_suspended(p->one, m[i].handle, p->now_ns);
	r = slice_pass(p->one, p->now_ns);
	if (rig_random(rnd, 2))
		p->now_ns += 1 + (int64_t)rig_random(rnd, 30);
	else if (r.wake_ns > p->now_ns)
		p->now_ns = r.wake_ns;
}

static void a_slice_that_is_told_of_another_decides_the_same(void **state)
{
	static const char *const policies[] = { "rr", "priority", "srtf", "mlfq", "fcfs", "fair" };
	uint64_t turns[ARRAY_SIZE(policies)] = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		size_t which = seed % ARRAY_SIZE(policies), n = 0;
		struct slice_config conf = { .policy = policies[which],
					     .cpu_milli = 2000,
					     .quantum_ns = 20,
					     .aging_ns = seed % 2 ? 50 : 0,
					     .boost_ns = 400 };
		OWN(pair)
		struct pair p = { .one = slice_new(), .other = slice_new(), .now_ns = 1000 };
		struct member members[MOST];
		uint64_t rnd = seed;
		int64_t number = 0;

		slice_watch(p.one, on_record, &p);
		assert_ok(slice_configure(p.one, &conf));
		for (int i = 0; i < 400; i++) {
			step(&p, members, &n, &rnd, &number);
			if (i % 97 == 96)
				start_over(&p);
			if (i == 300) {
				conf.policy = policies[(which + 1) % ARRAY_SIZE(policies)];
				assert_ok(slice_configure(p.one, &conf));
			}
		}
		assert_true(p.switches && p.copies == 4);
		turns[which] += p.turns;
	}
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		assert_true(turns[i] > 100);
}

static void two_that_share_a_cpu_are_a_few_bytes_a_turn(void **state)
{
	static const char *const text = "0 p rr 1000 50000000\n"
					"0 a 7 1000\n"
					"0 s 7\n"
					"0 a 8 1000\n"
					"0 s\n" /* now somebody waits */
					"0 s -7\n"
					"0 d 7\n"
					"0 s 8\n"
					"0 s -8\n"
					"0 d 8\n"
					"0 s 7\n"
					"0 l 8\n"
					"0 s\n";
	OWN(pair) struct pair p = { .one = slice_new(), .other = slice_new() };
	const int64_t quantum = 50000000;
	uint32_t seven, eight;

	(void)state;
	slice_watch(p.one, on_record, &p);
	assert_ok(slice_configure(
	    p.one,
	    &(struct slice_config) { .policy = "rr", .cpu_milli = 1000, .quantum_ns = quantum }));
	seven = slice_admit(p.one, &(struct slice_job) { .number = 7, .cpu_milli = 1000 }, 0);
	slice_pass(p.one, 0);
	slice_pass(p.one, 1); /* nothing happens: no record */
	p.now_ns = 2;
	eight = slice_admit(p.one, &(struct slice_job) { .number = 8, .cpu_milli = 1000 }, 2);
	slice_pass(p.one, 2);
	p.now_ns = quantum;
	slice_pass(p.one, quantum);
	slice_pass(p.one, quantum);
	slice_suspended(p.one, seven, quantum);
	slice_pass(p.one, quantum);
	p.now_ns = 2 * quantum;
	slice_pass(p.one, 2 * quantum);
	slice_suspended(p.one, eight, 2 * quantum);
	slice_pass(p.one, 2 * quantum);
	slice_leave(p.one, eight, 2 * quantum);
	slice_pass(p.one, 2 * quantum);
	assert_string_equal(p.text.buf, text);
}

static void what_no_slice_can_be_told_is_refused(void **state)
{
	static const char *const lines[] = {
		"0 p lottery 1000 1000",
		"0 p rr -1 1000",
		"0 p rr 1000 0",
		"0 a 7 1000",
		"0 a 8 -5",
		"0 a 8 5 0 0 9",
		"0 a 8 5 0 0 0 7",
		"0 a 8 5 0 0 1 7 0 0 0 99",
		"0 l 8",
		"0 e 8 1",
		"0 d 8",
	};
	OWN(slice) struct slice *s = slice_new();
	struct record r;

	(void)state;
	assert_int_equal(record_parse("0 a 7 1000", strchr("0 a 7 1000", 0), &r), RECORD_OK);
	assert_ok(slice_take(s, &r, 0));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		OWN(err) struct err *err = NULL;

		assert_int_equal(record_parse(lines[i], lines[i] + strlen(lines[i]), &r),
				 RECORD_OK);
		err = slice_take(s, &r, 0);
		if (!err)
			fail_msg("%s: taken", lines[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slice_that_is_told_of_another_decides_the_same),
		cmocka_unit_test(two_that_share_a_cpu_are_a_few_bytes_a_turn),
		cmocka_unit_test(what_no_slice_can_be_told_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
