/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/frame.h"

#include "util/mem.h"
#include "util/test.h"

static void what_is_encoded_is_decoded(void **state)
{
	OWN(str) struct str out = { 0 };
	const struct agent_frame in = { .type = AGENT_DATA,
					.stream = AGENT_ERR,
					.session = 0x1234,
					.len = 5,
					.body = (const uint8_t *)"hello" };
	struct agent_frame f;
	size_t used = 0;

	agent_encode(&out, &in);
	assert_int_equal(out.len, 13);
	for (size_t n = 0; n < out.len; n++)
		assert_int_equal(agent_decode(out.buf, n, &f, &used), AGENT_MORE);
	assert_int_equal(agent_decode(out.buf, out.len, &f, &used), AGENT_FRAME);
	assert_int_equal(used, 13);
	assert_int_equal(f.session, 0x1234);
	assert_int_equal(f.stream, AGENT_ERR);
	assert_memory_equal(f.body, "hello", 5);
}

static void the_bytes_on_the_wire_never_change(void **state)
{
	static const uint8_t want[] = { 3, 0, 7, 0, 8, 0, 0, 0, 1, 0, 0, 0, 24, 0, 80, 0 };
	OWN(str) struct str out = { 0 };
	uint8_t body[8];
	const struct agent_start s = { .flags = AGENT_START_TTY, .rows = 24, .cols = 80 };
	const struct agent_frame f = { .type = AGENT_START,
				       .session = 7,
				       .len = (uint32_t)agent_put_start(body, &s),
				       .body = body };

	agent_encode(&out, &f);
	assert_int_equal(out.len, sizeof(want));
	assert_memory_equal(out.buf, want, sizeof(want));
}

static void what_cannot_be_a_frame_is_bad_at_once(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[8];
		size_t len;
	} cases[] = {
		{ "type 0", { 0 }, 1 },
		{ "type past the last", { AGENT_TYPES }, 1 },
		{ "stream 3", { AGENT_DATA, 3 }, 8 },
		{ "body over the limit", { AGENT_DATA, 0, 0, 0, 1, 0x40, 0, 0 }, 8 },
		{ "body of 4 GiB", { AGENT_DATA, 0, 0, 0, 0xff, 0xff, 0xff, 0xff }, 8 },
	};
	struct agent_frame f;
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (agent_decode(cases[i].bytes, cases[i].len, &f, &used) != AGENT_BAD)
			fail_msg("%s", cases[i].what);
}

static void bodies_survive_the_way_and_short_ones_are_refused(void **state)
{
	uint8_t body[16];
	struct agent_frame f = { .body = body };
	struct agent_hello h = { .oldest = 1, .newest = 3, .window = AGENT_WINDOW }, h2;
	struct agent_start s2;
	uint32_t a, b;
	uint16_t rows, cols;
	uint64_t big;
	const char *text;
	size_t len;

	f.len = (uint32_t)agent_put_hello(body, &h);
	assert_true(agent_get_hello(&f, &h2));
	assert_memory_equal(&h, &h2, sizeof(h));
	f.len--;
	assert_false(agent_get_hello(&f, &h2));
	f.len = (uint32_t)agent_put_exited(body, 137, AGENT_EXITED_OOM);
	assert_true(agent_get_exited(&f, &a, &b));
	assert_int_equal(a, 137);
	assert_int_equal(b, AGENT_EXITED_OOM);
	assert_true(agent_get_text(&f, &a, &text, &len));
	assert_int_equal(len, 4);
	f.len = 7;
	assert_false(agent_get_exited(&f, &a, &b));
	f.len = (uint32_t)agent_put_size(body, 50, 132);
	assert_true(agent_get_size(&f, &rows, &cols));
	assert_int_equal(rows, 50);
	assert_int_equal(cols, 132);
	assert_false(agent_get_start(&f, &s2));
	f.len = (uint32_t)agent_put_u64(body, 0x0123456789abcdefull);
	assert_true(agent_get_u64(&f, &big));
	assert_true(big == 0x0123456789abcdefull);
	f.len = 3;
	assert_false(agent_get_u64(&f, &big));
	assert_false(agent_get_u32(&f, &a));
	assert_false(agent_get_text(&f, &a, &text, &len));
	assert_false(agent_get_size(&f, &rows, &cols));
}

static void versions_must_overlap(void **state)
{
	static const struct {
		struct agent_hello peer;
		unsigned want;
	} cases[] = {
		{ { 1, 1, AGENT_WINDOW }, 1 }, { { 1, 9, AGENT_WINDOW }, 1 },
		{ { 2, 9, AGENT_WINDOW }, 0 }, { { 0, 0, AGENT_WINDOW }, 0 },
		{ { 1, 1, 17 }, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(agent_version_of(&cases[i].peer), cases[i].want);
}

static void credit_is_never_more_than_a_window(void **state)
{
	struct agent_credit tx = AGENT_CREDIT_INIT, rx = AGENT_CREDIT_INIT;

	assert_false(agent_credit_add(&tx, 1));
	assert_true(agent_credit_use(&tx, AGENT_WINDOW));
	assert_true(agent_credit_use(&rx, AGENT_WINDOW));
	assert_false(agent_credit_use(&tx, 1));
	assert_false(agent_credit_use(&rx, 1));
	assert_int_equal(agent_credit_consume(&rx, AGENT_WINDOW / 2 - 1), 0);
	assert_int_equal(agent_credit_consume(&rx, 1), AGENT_WINDOW / 2);
	assert_true(agent_credit_add(&tx, AGENT_WINDOW / 2));
	assert_false(agent_credit_add(&tx, 0xffffffffu));
	assert_false(agent_credit_add(&tx, AGENT_WINDOW / 2 + 1));
	assert_int_equal(tx.may, rx.may);
}

static void every_type_has_a_name(void **state)
{
	for (unsigned t = 1; t < AGENT_TYPES; t++)
		assert_string_not_equal(agent_type_name(t), "?");
	assert_string_equal(agent_type_name(0), "?");
	assert_string_equal(agent_type_name(AGENT_TYPES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(the_bytes_on_the_wire_never_change),
		cmocka_unit_test(what_cannot_be_a_frame_is_bad_at_once),
		cmocka_unit_test(bodies_survive_the_way_and_short_ones_are_refused),
		cmocka_unit_test(versions_must_overlap),
		cmocka_unit_test(credit_is_never_more_than_a_window),
		cmocka_unit_test(every_type_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
