/* SPDX-License-Identifier: Apache-2.0 */
/* Both readers of event logs, on short ones: what each record means to them. */
#include <string.h>

#include "sim/replay.h"
#include "sim/run.h"
#include "sim/trace.h"
#include "util/mem.h"
#include "util/test.h"

#define HEAD "hostel-events 1 0\n"
/* Two cpus, and no memory, disk or gpus to wait for. */
#define HOST HEAD "0 B 1000\n0 T 2000 0 0 0 1000\n0 P fcfs/easy\n"

struct input {
	const char *data;
	size_t left;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;

	/* A byte at a time: nothing depends on how it is cut. */
	*ret_n = in->left && size ? 1 : 0;
	memcpy(buf, in->data, *ret_n);
	in->data += *ret_n;
	in->left -= *ret_n;
	return NULL;
}

#define SOURCE(text) ((struct source) { take, &(struct input) { (text), strlen(text) } })

/* ---- decisions ---- */

static const struct {
	const char *log;
	uint64_t decisions, file, line;
	const char *difference; /* NULL: none */
} replays[] = {
	{ HOST "1 A 1 0 0 1000 - - - 1 0\n0 R\n0 D 1\n5 E 1\n", .decisions = 1 },
	/* The second must wait for the first; held, it lets the third pass. */
	{ HOST "1 A 1 0 0 2000 - - - 1 0\n0 R\n0 D 1\n1 A 2 0 0 2000 - - - 1 0\n0 R\n"
	       "1 A 3 0 0 1000 - - - 1 0\n0 H 2 1\n0 R\n5 E 1\n0 R\n0 D 3\n",
	  .decisions = 2 },
	{ HOST "1 A 1 0 0 2000 - - - 1 0\n0 R\n0 D 1\n1 A 2 0 0 2000 - - - 1 0\n"
	       "1 A 3 0 0 1000 - - - 1 0\n0 M 3 0\n0 R\n5 E 1\n0 R\n0 D 3\n",
	  .decisions = 2 },
	/* What others hold, quotas, capacity and sizes count. */
	{ HOST
	  "0 O 500 0 0 0 0\n1 A 1 0 0 2000 - - - 1 0\n0 R\n0 U 1 0 0 1500 - - - 1 0\n0 R\n0 D 1\n",
	  .decisions = 1 },
	{ HOST "0 Q 7 1\n1 A 1 7 0 500 - - - 1 0\n0 A 2 7 0 500 - - - 1 0\n0 R\n0 D 1\n1 E 1\n0 "
	       "R\n0 D 2\n",
	  .decisions = 2 },
	{ HOST "1 A 1 0 0 3000 - - - 1 0\n0 R\n0 T 3000 0 0 0 1000\n0 R\n0 D 1\n", .decisions = 1 },
	/* Nothing else for one that has waited its max-wait: by the log's clock, since it arrived.
	 */
	{ HOST "0 V 100\n1 A 1 0 0 1000 - - - 1 0\n0 R\n0 D 1\n1 A 2 0 0 2000 - - - 1 0 0 0 0 50\n"
	       "60 A 3 0 0 1000 - - - 1 0\n0 R\n",
	  .decisions = 1 },
	{ HOST "0 V 100\n1 A 1 0 0 1000 - - - 1 0\n0 R\n0 D 1\n1 A 2 0 0 2000 - - - 1 0\n"
	       "60 A 3 0 0 1000 - - - 1 0\n0 R\n",
	  .decisions = 1 },
	{ HOST "1 K 1 0 0 2000 - - - 1 0\n0 A 2 0 0 1000 - - - 1 0\n0 R\n1 E 1\n0 R\n0 D 2\n",
	  .decisions = 1 },
	/* A daemon that begins knows nothing; letters of later versions are passed over. */
	{ HOST "1 K 1 0 0 2000 - - - 1 0\n5 B 7\n0 T 2000 0 0 0 1000\n0 z 1 2\n"
	       "0 A 1 0 0 2000 - - - 1 0\n0 R\n0 D 1\n",
	  .decisions = 1 },
	/* The next file's copy is passed over by who has read the first one, else it is the state.
	 */
	{ HOST "1 K 1 0 0 2000 - - - 1 0\n" HEAD "2 C 9\n0 K 1 0 0 2000 - - - 1 0\n0 c\n0 N 1 2\n"
	       "1 A 2 0 0 1000 - - - 1 0\n0 R\n1 W 2\n" },
	{ HEAD "2 C 9\n0 T 2000 0 0 0 1000\n0 K 1 0 0 1000 - - - 1 0\n0 c\n"
	       "1 A 2 0 0 1000 - - - 1 0\n0 R\n0 D 2\n",
	  .decisions = 1 },
	/* Drained, no pass is made; whose turn it is comes with a copy. */
	{ HOST "0 Z 1\n1 A 1 0 0 1000 - - - 1 0\n1 Z 0\n0 R\n0 D 1\n", .decisions = 1 },
	{ HEAD "2 C 9\n0 T 1000 0 0 0 1000\n0 P rr/strict\n0 A 1 7 0 1000 - - - 1 0\n"
	       "0 A 2 8 0 1000 - - - 1 0\n0 I 7 5\n0 I 8 4\n0 c\n1 R\n0 D 2\n",
	  .decisions = 1 },
	/* An allocation of one turn; over a label. */
	{ HEAD "0 B 0\n0 T 1000 0 0 0 1000\n0 P rr:team/strict\n0 J 10\n"
	       "0 A 1 7 0 1000 - - - 1 0 0 0 0 0 0 3\n0 A 2 7 0 1000 - - - 1 0 0 0 0 0 0 4\n0 R\n"
	       "0 D 1\n10 R\n0 y 1\n2 Y 1\n0 R\n0 D 2\n1 E 2\n0 R\n0 u 1\n",
	  .decisions = 4 },
	{ HEAD "0 B 0\n0 T 1000 0 0 0 1000\n0 P rr/strict\n0 J 10\n0 A 1 7 0 1000 - - - 1 0\n"
	       "0 A 2 8 0 1000 - - - 1 0\n0 R\n0 D 1\n10 R\n1 A 3 7 0 1 - - - 1 0\n",
	  .decisions = 1, .line = 11,
	  .difference = "before it the replay spills 1, the log nobody" },
	/* A torn end is the end; so is one in the middle of a pass. */
	{ HOST "1 A 1 0 0 1000 - - - 1 0\n0 R\n0 D 1\n1 E", .decisions = 1 },
	{ HOST "1 A 1 0 0 1000 - - - 1 0\n0 R\n0 D 12", .decisions = 0 },
	/* Differences. */
	{ HOST "1 A 1 0 0 1000 - - - 1 0\n0 A 2 0 0 1000 - - - 1 0\n0 R\n0 D 2\n0 D 1\n", .line = 8,
	  .difference = "the log admits 2, the replay 1" },
	{ HOST "1 A 1 0 0 2000 - - - 1 0\n0 A 2 0 0 2000 - - - 1 0\n0 R\n0 D 1\n0 D 2\n",
	  .decisions = 1, .line = 9, .difference = "the log admits 2, the replay nobody" },
	{ HOST "1 A 1 0 0 1000 - - - 1 0\n0 R\n4 S 1\n", .line = 7,
	  .difference = "before it the replay admits 1, the log nobody" },
	{ HOST HEAD "1 A 1 0 0 1000 - - - 1 0\n0 D 1\n", .file = 1, .line = 3,
	  .difference = "the log admits 1, the replay nobody" },
};

static void a_replay_finds_the_first_decision_that_differs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replays); i++) {
		OWN(sim_replay) struct sim_replay r = { 0 };

		assert_ok(sim_replay_read(SOURCE(replays[i].log), &r));
		if (replays[i].difference)
			assert_string_equal(r.difference ? r.difference : "none",
					    replays[i].difference);
		else
			assert_null(r.difference);
		assert_int_equal(r.decisions, replays[i].decisions);
		if (!replays[i].difference)
			continue;
		assert_int_equal(r.file, replays[i].file);
		assert_int_equal(r.line, replays[i].line);
	}
}

static const struct {
	const char *log;
	enum err_kind kind;
} refused[] = {
	{ "", ERR_KINDS },
	{ "0 R\n", ERR_CORRUPT },
	{ "hostel-events 2 0\n", ERR_UNSUPPORTED },
	{ HOST "x R\n", ERR_CORRUPT },
	{ HOST "-1 R\n", ERR_CORRUPT },
	{ HOST "0 D\n", ERR_CORRUPT },
	{ HOST "0 P none/such\n", ERR_INVALID },
	{ HOST "0 E 1\n", ERR_CORRUPT },
	{ HOST "0 U 1 0 0 1 - - - 1 0\n", ERR_CORRUPT },
	{ HOST "0 A 1 0 0 1 - - - 1 0\n0 A 1 0 0 1 - - - 1 0\n", ERR_CORRUPT },
	{ HOST "0 A 1 0 0 -1 - - - 1 0\n", ERR_CORRUPT },
	{ HOST "0 A 1 0 0 9000000000000000 - - - 1 0\n", ERR_CORRUPT },
	{ HOST "0 A 1 0 0 1 - - - 1 0\n0 M 1 7\n", ERR_CORRUPT },
	{ HOST "0 A 1 0 0 1 - - - 1 0\n0 M 1 2 1\n", ERR_INVALID },
	{ HOST "0 Q 1 -1\n", ERR_CORRUPT },
};

static void what_cannot_be_a_schedulers_life_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		OWN(sim_replay) struct sim_replay r = { 0 };
		OWN(err) struct err *e = sim_replay_read(SOURCE(refused[i].log), &r);

		assert_int_equal(e ? err_kind(e) : ERR_KINDS, refused[i].kind);
	}
}

/* ---- the workload ---- */

/* One job and what is read of it; holds: from its admission on. */
static const struct {
	const char *log;
	bool holds;
	int64_t submit, start, run;
} jobs[] = {
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n5 D 1\n3 S 1 1\n20 E 1 0 2\n", .submit = 10, .start = 17,
	  .run = 19 },
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n5 D 1\n3 S 1 1\n20 E 1 0 2\n", .holds = true,
	  .submit = 10, .start = 15, .run = 21 },
	/* Restarts of itself are one run. */
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n0 D 1\n1 S 1\n5 X 1 1\n5 S 1\n5 E 1\n", .submit = 10,
	  .start = 11, .run = 15 },
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n0 D 1\n1 S 1\n5 X 1 1 2\n5 W 1\n", .submit = 10,
	  .start = 11, .run = 3 },
	/* Held by hand: only then could it be admitted. */
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n1 H 1 1\n8 H 1 0\n1 D 1\n0 S 1\n5 E 1\n", .submit = 19,
	  .start = 20, .run = 5 },
	/* Hosteld died and found it: waiting, running. */
	{ HOST "10 A 1 5 0 1000 - - - 1 0\n7 B 0\n1 A 1 5 0 1000 - - - 1 0 0 0 0 8\n1 D 1\n0 S "
	       "1\n5 E 1\n",
	  .submit = 10, .start = 19, .run = 5 },
	{ HOST
	  "10 A 1 5 0 1000 - - - 1 0\n1 D 1\n1 S 1\n7 B 0\n1 K 1 5 0 1000 - - - 1 0\n9 E 1 0 4\n",
	  .submit = 10, .start = 12, .run = 13 },
	/* It was there before the log. */
	{ HEAD "50 C 0\n0 K 1 5 0 1000 - - - 1 0 0 0 0 20\n0 c\n9 E 1 0 4\n", .submit = 30,
	  .start = 30, .run = 25 },
};

static void a_job_runs_from_its_first_start_to_its_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		OWN(sim_trace) struct sim_trace t = { 0 };
		const struct sim_limits limits = { .holds = jobs[i].holds };

		assert_ok(sim_trace_read(SOURCE(jobs[i].log), &limits, &t));
		assert_int_equal(t.n, 1);
		assert_int_equal(t.jobs[0].submit_ns, jobs[i].submit);
		assert_int_equal(t.jobs[0].start_ns, jobs[i].start);
		assert_int_equal(t.jobs[0].run_ns, jobs[i].run);
		assert_int_equal(t.jobs[0].end_ns, jobs[i].start + jobs[i].run);
		assert_int_equal(t.jobs[0].cpu_milli, 1000);
		assert_int_equal(t.users.numbers[t.jobs[0].user], 5);
	}
}

static void what_was_in_force_last_and_the_largest_capacity_are_known(void **state)
{
	static const char text[] = HOST "0 V 7\n0 G 9\n0 T 4000 100 0 1 1\n0 T 3000 200 0 0 1\n"
					"0 P sjf/easy\n0 V 8\n"
					"1 A 1 0 0 1 - - - 1 0\n0 D 1\n1 E 1\n";
	OWN(sim_trace) struct sim_trace t = { 0 };

	(void)state;
	assert_ok(sim_trace_read(SOURCE(text), &(struct sim_limits) { 0 }, &t));
	assert_string_equal(t.policy, "sjf/easy");
	assert_int_equal(t.hint.cpu_milli, 4000);
	assert_int_equal(t.hint.memory_bytes, 200);
	assert_int_equal(t.hint.gpu_milli, 1000);
	assert_int_equal(t.hint.max_wait_ns, 8);
	assert_int_equal(t.hint.aging_ns, 9);
}

#define JOB(n, cpus) "A " #n " 5 0 " #cpus " - - - 1 0\n"
#define RUNS(n)      "0 D " #n "\n0 S " #n "\n"

/* What happened to the host then happens in the simulation too; without it all would start at once.
 */
static const struct {
	const char *log;
	size_t n;
	int64_t start[3]; /* of jobs 1, 2 and 3 */
	int64_t without[3];
} worlds[] = {
	{ HOST "0 Q 5 1\n10 " JOB(1, 1000) "0 " JOB(2, 1000) RUNS(1) "10 E 1\n" RUNS(2) "10 E 2\n",
	  2,
	  { 10, 20 },
	  { 10, 10 } },
	{ HOST "10 Z 1\n0 " JOB(1, 1000) "7 Z 0\n" RUNS(1) "5 E 1\n", 1, { 17 }, { 10 } },
	/* A daemon that begins is not drained unless it says so. */
	{ HOST "10 Z 1\n0 " JOB(1, 1000) "7 B 1\n0 " JOB(1, 1000) RUNS(1) "5 E 1\n",
	  1,
	  { 17 },
	  { 10 } },
	{ HOST "0 O 1500 0 0 0 0\n10 " JOB(1, 1000) "5 O 500 0 0 0 0\n" RUNS(1) "5 E 1\n",
	  1,
	  { 15 },
	  { 10 } },
	{ HOST "10 " JOB(1, 2000) RUNS(1) "1 " JOB(2, 2000) "1 " JOB(
	      3, 2000) "1 M 3 0\n7 E 1\n" RUNS(3) "10 E 3\n" RUNS(2) "10 E 2\n",
	  3,
	  { 10, 30, 20 },
	  { 10, 20, 30 } },
	{ HOST "10 " JOB(1, 2000) RUNS(1) "1 " JOB(2, 2000) "1 " JOB(
	      3, 2000) "1 M 2 3 3\n7 E 1\n" RUNS(3) "10 E 3\n" RUNS(2) "10 E 2\n",
	  3,
	  { 10, 30, 20 },
	  { 10, 20, 30 } },
	/* Nothing happens any more, and one waits: it is let in. */
	{ HOST "0 O 1500 0 0 0 0\n0 Q 5 1\n10 " JOB(1, 1000) RUNS(1) "5 E 1\n", 1, { 10 }, { 10 } },
};

static void check_starts(const struct sim_trace *t, const int64_t *start)
{
	for (size_t i = 0; i < t->n; i++)
		assert_int_equal(t->jobs[i].start_ns, start[t->jobs[i].number - 1]);
}

static void what_happened_to_the_host_happens_when_it_is_simulated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		OWN(sim_trace) struct sim_trace t = { 0 };
		const struct sim_limits limits = { .holds = true, .changes = true };
		struct sim_config c = { .policy = "fcfs", .changes = true, .overcommit = 1 };

		assert_ok(sim_trace_read(SOURCE(worlds[i].log), &limits, &t));
		assert_int_equal(t.n, worlds[i].n);
		c.pool.v[RES_CPU] = 2000;
		for (int with = 1; with >= 0; with--) {
			OWN(sim_run) struct sim_run run = { 0 };

			c.changes = with;
			assert_ok(sim_run(&t, &c, &run));
			check_starts(&t, with ? worlds[i].start : worlds[i].without);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_replay_finds_the_first_decision_that_differs),
		cmocka_unit_test(what_cannot_be_a_schedulers_life_is_refused),
		cmocka_unit_test(a_job_runs_from_its_first_start_to_its_end),
		cmocka_unit_test(what_was_in_force_last_and_the_largest_capacity_are_known),
		cmocka_unit_test(what_happened_to_the_host_happens_when_it_is_simulated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
