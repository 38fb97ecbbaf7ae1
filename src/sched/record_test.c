/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/record.h"

#include "util/mem.h"
#include "util/test.h"

/* Lines as docs/protocols.md describes them; each is read and printed again. */
static const char *const lines[] = {
	"0 B 123456789012\n",
	"5 T 8000 24000000000 500000000000 0 1000000000\n",
	"5 T 8000 24000000000 500000000000 0 1000000000 32768\n",
	"0 P fcfs/easy\n",
	"0 V 600000000000\n",
	"0 G 60000000000\n",
	"12 Q 1000 5 16000 68719476736\n",
	"0 Q 1000 0\n",
	"7 O 0 -5 0 0 12\n",
	"7 O 0 0 0 0 0 3\n",
	"9 A 1 1000 0 500 268435456 - - 430080 0\n",
	"9 A 2 0 -3 - 268435456 - 1 430080 30000000000 77 88\n",
	"9 A 3 0 0 0 0 0 0 0 0 0 0 100\n",
	"9 A 4 0 0 - - - - 430080 0 0 0 0 12345\n",
	"9 K 4 0 0 - - - - 430080 0 0 0 0 12345\n",
	"9 U 4 0 0 - 1 - - 430080 0\n",
	"0 H 4 1\n",
	"0 H 4 0\n",
	"0 L 4 1000\n",
	"0 M 4 0\n",
	"0 M 4 3 1\n",
	"3 R\n",
	"0 D 1\n",
	"0 S 1\n",
	"0 S 1 250000\n",
	"1 X 1\n",
	"1 X 1 137 20\n",
	"1 E 1\n",
	"1 E 1 1\n",
	"1 E 1 0 20\n",
	"1 W 2\n",
	"0 N 17 9000000000000\n",
	"0 C 88\n",
	"0 c\n",
	"0 P rr:app.kubernetes.io/name/easy\n",
	"9 A 5 0 0 0 0 0 0 0 0 0 0 0 0 0 -77\n",
	"0 J 3600000000000\n",
	"0 y 17\n",
	"0 u 17\n",
	"5 Y 17\n",
	"5 Y 17 1\n",
	"0 F 17 1\n",
	"0 F 17 0\n",
	"0 Z 1\n",
	"0 Z 0\n",
	"0 I 1000 17\n",
	"0 I 1000 0\n",
	"0 p rr 2000 50000000 10000000000 10000000000\n",
	"0 p fcfs 2000 50000000\n",
	"0 p mlfq 2000 50000000 0 0 12 3456 1\n",
	"5 a 17 1000\n",
	"5 a 17 1000 -3 99\n",
	"0 a 17 1000 0 0 2 5 123 456 7 0 1\n",
	"0 e 17 0\n",
	"4 l 17\n",
	"123 d 17\n",
	"50000000 s -17 18\n",
	"50000000 s\n",
	"0 m 19\n",
	"0 N -9223372036854775808 9223372036854775807\n",
};

static enum record_result parse(const char *line, struct record *ret)
{
	return record_parse(line, line + strcspn(line, "\n"), ret);
}

static void a_line_is_read_and_printed_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		OWN(str) struct str out = { 0 };
		struct record r;

		assert_int_equal(parse(lines[i], &r), RECORD_OK);
		record_print(&r, &out);
		assert_string_equal(out.buf, lines[i]);
	}
}

static void a_job_comes_back_as_it_was(void **state)
{
	struct sched_job j = {
		.number = 9,
		.demand.v = { [RES_CPU] = 500, [RES_DISK] = 7, [RES_MANAGE] = 3, [RES_PIDS] = 2 },
		.declared = { [RES_CPU] = true,
			      [RES_DISK] = true,
			      [RES_MANAGE] = true,
			      [RES_PIDS] = true },
		.priority = -4,
		.expect_ns = 11,
		.deadline_ns = 12,
		.max_wait_ns = 13,
		.uid = 1000,
		.place = 15,
	};
	OWN(str) struct str out = { 0 };
	struct record r = record_of_job(REC_ARRIVED, &j, 14);
	struct sched_job k;

	(void)state;
	record_print(&r, &out);
	assert_string_equal(out.buf, "0 A 9 1000 -4 500 - 7 - 3 11 12 13 2 14 15\n");
	assert_int_equal(parse(out.buf, &r), RECORD_OK);
	assert_int_equal(r.v[JOB_AGO], 14);
	k = record_job(&r);
	assert_memory_equal(&k, &j, sizeof(j));
}

static void amounts_come_back_as_they_were(void **state)
{
	struct amounts a = { .v = { 1, 2, 3, 4, 5, 6 } }, b;
	struct record r = record_of_amounts(REC_OTHER, &a);

	(void)state;
	b = record_amounts(&r);
	assert_memory_equal(&b, &a, sizeof(a));
	r = record_of_quota(1000, 3, &a);
	assert_int_equal(r.v[0], 1000);
	assert_int_equal(r.v[1], 3);
	b = record_amounts(&r);
	assert_memory_equal(&b, &a, sizeof(a));
}

static const struct {
	const char *line;
	enum record_result result;
} odd[] = {
	{ "", RECORD_EMPTY },
	{ " \t\r", RECORD_EMPTY },
	{ "0", RECORD_SHORT },
	{ "x R", RECORD_BAD },
	{ "- R", RECORD_BAD },
	{ "1.5 R", RECORD_BAD },
	{ "0 RR", RECORD_BAD },
	{ "0 z a b c", RECORD_UNKNOWN },
	{ "0 D", RECORD_SHORT },
	{ "0 D x", RECORD_BAD },
	{ "0 D 1x", RECORD_BAD },
	{ "0 P", RECORD_SHORT },
	{ "0 P 1234567890123456789012345678901234567890123456789012345678901234567890"
	  "123456789012345678901234567890123456789012345678901234567890",
	  RECORD_BAD },
	{ "0 A 1 2 3 4 5 6 7 8", RECORD_SHORT },
	{ "0 D 9223372036854775808", RECORD_BAD },
	{ "0 D 99999999999999999999999", RECORD_BAD },
	{ "0 R 1 2 3", RECORD_OK },
	{ "  7\tD  1 \r", RECORD_OK },
	{ "0 D 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", RECORD_OK },
};

static void what_is_no_record_is_told_apart(void **state)
{
	struct record r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		assert_int_equal(parse(odd[i].line, &r), odd[i].result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read_and_printed_as_it_was),
		cmocka_unit_test(a_job_comes_back_as_it_was),
		cmocka_unit_test(amounts_come_back_as_they_were),
		cmocka_unit_test(what_is_no_record_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
