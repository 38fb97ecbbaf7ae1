/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/msg.h"

#include "util/test.h"

static size_t build(struct shim_msg m, char *buf)
{
	return shim_msg_build(&m, buf);
}

static void a_message_survives_the_way(void **state)
{
	char buf[SHIM_MSG_MAX];
	struct shim_msg m;
	size_t len = build((struct shim_msg) { .type = SHIM_ATTACH,
					       .seq = 7,
					       .body.attach = { .streams = SHIM_STDIN | SHIM_RAW,
								.keys_len = 2,
								.keys = "\x10\x11" },
					       .tail = "early",
					       .tail_len = 5 },
			   buf);

	(void)state;
	assert_int_equal(len, sizeof(struct shim_header) + sizeof(struct shim_attach) + 5);
	assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_OK);
	assert_int_equal(m.type, SHIM_ATTACH);
	assert_int_equal(m.seq, 7);
	assert_int_equal(m.body.attach.streams, SHIM_STDIN | SHIM_RAW);
	assert_int_equal(m.body.attach.keys_len, 2);
	assert_int_equal(m.tail_len, 5);
	assert_memory_equal(m.tail, "early", 5);
}

static void what_is_too_long_is_cut_to_the_room(void **state)
{
	static char text[SHIM_MSG_MAX * 2], buf[SHIM_MSG_MAX];
	struct shim_msg m = { .type = SHIM_REPLY, .tail = text, .tail_len = sizeof(text) };

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(shim_msg_len(&m), SHIM_MSG_MAX);
	assert_int_equal(shim_msg_build(&m, buf), SHIM_MSG_MAX);
	assert_int_equal(shim_msg_room(SHIM_STARTED), 0);
}

/* A whole message of each type, then every shorter prefix of it. */
static void whatever_is_too_short_is_bad(void **state)
{
	char buf[SHIM_MSG_MAX], copy[SHIM_MSG_MAX];
	struct shim_msg m;

	(void)state;
	for (uint32_t type = 0; type < 100; type++) {
		struct shim_header h = { SHIM_PROTO_VERSION, (uint16_t)type, 1 };
		size_t whole;

		memset(copy, 0, sizeof(copy));
		memcpy(copy, &h, sizeof(h));
		if (shim_msg_parse(copy, sizeof(h), &m) == SHIM_PARSE_UNKNOWN)
			continue;
		whole = build((struct shim_msg) { .type = type, .seq = 1 }, buf);
		assert_int_equal(shim_msg_parse(buf, whole, &m), SHIM_PARSE_OK);
		for (size_t len = 0; len < whole; len++)
			assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_BAD);
		if (!shim_msg_room(type))
			assert_int_equal(shim_msg_parse(copy, whole + 1, &m), SHIM_PARSE_BAD);
	}
}

static void malformed_messages_are_refused(void **state)
{
	char buf[SHIM_MSG_MAX];
	struct shim_msg m;
	struct shim_exec x;
	size_t len = build((struct shim_msg) { .type = SHIM_EXEC }, buf);
	struct shim_header h = { SHIM_PROTO_VERSION + 1, SHIM_START, 1 };

	(void)state;
	memset(&x, 0, sizeof(x));
	memset(x.exec_id, 'a', sizeof(x.exec_id)); /* no end */
	memcpy(buf + sizeof(h), &x, sizeof(x));
	assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_BAD);
	x.exec_id[64] = '\0';
	x.attach.keys_len = SHIM_KEYS_MAX + 1;
	memcpy(buf + sizeof(h), &x, sizeof(x));
	assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_BAD);
	x.attach.keys_len = SHIM_KEYS_MAX;
	memcpy(buf + sizeof(h), &x, sizeof(x));
	assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_OK);
	assert_int_equal(shim_msg_parse(&h, sizeof(h), &m), SHIM_PARSE_BAD);
	h = (struct shim_header) { SHIM_PROTO_VERSION, 999, 5 };
	assert_int_equal(shim_msg_parse(&h, sizeof(h), &m), SHIM_PARSE_UNKNOWN);
	assert_int_equal(m.seq, 5);
	assert_int_equal(m.type, 999);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_survives_the_way),
		cmocka_unit_test(what_is_too_long_is_cut_to_the_room),
		cmocka_unit_test(whatever_is_too_short_is_bad),
		cmocka_unit_test(malformed_messages_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
