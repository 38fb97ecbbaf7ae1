/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/entry.h"

#include <stdlib.h>

#include "json/json.h"
#include "shim/frame.h"
#include "util/mem.h"
#include "util/test.h"

#define WHEN    "2026-01-02T03:04:05.000000006Z"
#define WHEN_NS INT64_C(1767323045000000006)

static void an_entry_looks_as_docker_writes_it(void **state)
{
	OWN(str) struct str s = { 0 };

	(void)state;
	entry_write(&s, SHIM_STDOUT, "hi \"x\" <b>&\t\r\\\x01\x7f\n", 17, WHEN);
	entry_write(&s, SHIM_STDERR, "", 0, WHEN);
	assert_string_equal(
	    s.buf, "{\"log\":\"hi \\\"x\\\" \\u003cb\\u003e\\u0026\\t\\r\\\\\\u0001\x7f\\n"
		   "\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.000000006Z\"}\n"
		   "{\"log\":\"\",\"stream\":\"stderr\",\"time\":"
		   "\"2026-01-02T03:04:05.000000006Z\"}\n");
}

static void only_valid_utf8_gets_into_the_file(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xff", "\\ufffd" },
		{ "a\xc3", "a\\ufffd" },                                /* cut */
		{ "\xe2\x82x", "\\ufffd\\ufffdx" },                     /* cut, then plain */
		{ "\xc0\x80", "\\ufffd\\ufffd" },                       /* overlong */
		{ "\xe0\x80\x80", "\\ufffd\\ufffd\\ufffd" },            /* overlong */
		{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd" },            /* surrogate */
		{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" }, /* beyond U+10FFFF */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(str) struct str s = { 0 };

		entry_escape(&s, cases[i].in, strlen(cases[i].in));
		assert_string_equal(s.buf, cases[i].out);
	}
}

static void every_byte_written_can_be_read_back(void **state)
{
	OWN(str) struct str s = { 0 };
	char text[256];
	struct entry e;

	(void)state;
	for (int i = 0; i < 256; i++)
		text[i] = (char)i;
	entry_write(&s, SHIM_STDERR, text, sizeof(text), WHEN);
	assert_true(entry_parse(s.buf, s.len - 1, &e));
	assert_int_equal(e.stream, SHIM_STDERR);
	assert_int_equal(e.time_ns, WHEN_NS);
	assert_int_equal(e.len, 128 + 128 * 3); /* each byte from 0x80 on is a U+FFFD */
	assert_memory_equal(e.text, text, 128);
	assert_memory_equal(e.text + 128, "\xef\xbf\xbd", 3);
}

static void an_entry_is_json(void **state)
{
	OWN(str) struct str s = { 0 };
	OWN(json) json_t *j = NULL;
	char text[255];

	(void)state;
	for (int i = 0; i < 255; i++)
		text[i] = (char)(i + 1); /* jansson refuses \u0000 */
	entry_write(&s, SHIM_STDOUT, text, sizeof(text), WHEN);
	assert_ok(jx_parse(s.buf, s.len, &j));
	assert_string_equal(jx_str(j, "stream", ""), "stdout");
	assert_int_equal(strlen(jx_str(j, "log", "")), 127 + 128 * 3);
}

static void entries_of_others_are_read_and_damage_is_told(void **state)
{
	static const struct {
		const char *line;
		bool ok;
		const char *text;
	} cases[] = {
		{ "{\"log\":\"a\\u00e4\\ud83d\\ude00\\/"
		  "\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}",
		  true, "a\xc3\xa4\xf0\x9f\x98\x80/" },
		{ "{\"time\":\"2026-01-02T03:04:05+01:00\",\"extra\":\"y\",\"log\":\"x\"}", true,
		  "x" },
		{ "{\"log\":\"\\ud83dx\"}", true, "\xef\xbf\xbdx" },
		{ "{\"log\":\"\\ude00\"}", true, "\xef\xbf\xbd" },
		{ "{\"log\":\"\"}", true, "" },
		{ "", false, NULL },
		{ "{", false, NULL },
		{ "{}", false, NULL },
		{ "{\"log\":\"cut by a cra", false, NULL },
		{ "{\"log\":\"x\\", false, NULL },
		{ "{\"log\":\"x\\u12", false, NULL },
		{ "{\"log\":\"x\\q\"}", false, NULL },
		{ "{\"log\":\"x\"}trailing", false, NULL },
		{ "{\"log\":1}", false, NULL },
		{ "{\"log\":\"x\",\"time\":\"yesterday\"}", false, NULL },
		{ "{\"log\":\"x\",\"time\":\"2026-01-02T03:04:05.1234567890123456789012345Z\"}",
		  false, NULL },
		{ "{\"stream\":\"stdout\"}", false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *line = xstrdup(cases[i].line);
		struct entry e;

		if (entry_parse(line, strlen(line), &e) != cases[i].ok)
			fail_msg("%s", cases[i].line);
		if (cases[i].ok) {
			assert_int_equal(e.len, strlen(cases[i].text));
			assert_memory_equal(e.text, cases[i].text, e.len);
		}
	}
}

static void a_cut_does_not_go_through_a_character(void **state)
{
	static const struct {
		const char *text;
		size_t max, want;
	} cases[] = {
		{ "abcdef", 4, 4 },
		{ "ab\xe2\x82\xac", 4, 2 },
		{ "ab\xe2\x82\xac", 3, 2 },
		{ "ab\xe2\x82\xac", 5, 5 },
		{ "a\xf0\x9f\x98\x80", 4, 1 },
		{ "\xf0\x9f\x98\x80", 3, 3 },     /* would be empty */
		{ "\x80\x80\x80\x80\x80", 4, 4 }, /* no UTF-8 anyway */
		{ "ab\xc3\xa4\x80", 5, 5 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(entry_cut(cases[i].text, cases[i].max), cases[i].want);
}

static void frames_are_docker_s(void **state)
{
	OWN(str) struct str s = { 0 };

	(void)state;
	frame_add(&s, SHIM_STDOUT, 0x01020304);
	frame_add(&s, SHIM_STDERR, 5);
	assert_int_equal(s.len, 16);
	assert_memory_equal(s.buf, "\x01\0\0\0\x01\x02\x03\x04\x02\0\0\0\0\0\0\x05", 16);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_looks_as_docker_writes_it),
		cmocka_unit_test(only_valid_utf8_gets_into_the_file),
		cmocka_unit_test(every_byte_written_can_be_read_back),
		cmocka_unit_test(an_entry_is_json),
		cmocka_unit_test(entries_of_others_are_read_and_damage_is_told),
		cmocka_unit_test(a_cut_does_not_go_through_a_character),
		cmocka_unit_test(frames_are_docker_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
