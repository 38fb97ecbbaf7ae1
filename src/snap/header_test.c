/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/header.h"

#include "util/mem.h"
#include "util/test.h"

static const char json[] =
    "{\"name\":\"snap0\",\"created_ns\":5,\"stateful\":false,\"kind\":\"container\","
    "\"instance\":{\"id\":\"ab\",\"name\":\"web\"},\"spec\":{\"Version\":1},\"sections\":[{"
    "\"name\":"
    "\"disk\",\"bytes\":7,\"sha256\":"
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}]}";

static char *sample(void)
{
	OWN(json) json_t *j = NULL;

	assert_ok(jx_parse(json, strlen(json), &j));
	return snap_header_text(j);
}

/* Others read it: these bytes are the format. */
static void a_header_is_one_line_and_one_object(void **state)
{
	OWN(mem) char *text = sample();
	OWN(json) json_t *j = NULL;
	OWN(mem)
	char *want =
	    xasprintf("hostel-snapshot 1 "
		      "c6dbc86f11258e54515db58b5f5a9eef25d155f54d609319a8e0db474c9ecf3b %zu\n%s",
		      strlen(json), json);

	assert_string_equal(text, want);
	assert_ok(snap_header_parse(text, strlen(text), &j));
	assert_string_equal(jx_str(j, "name", ""), "snap0");
	assert_int_equal(jx_int(snap_section(j, "disk"), "bytes", 0), 7);
	assert_null(snap_section(j, "state"));
}

static void what_follows_a_header_is_left_alone(void **state)
{
	OWN(mem) char *text = sample();
	OWN(mem) char *more = xasprintf("%sDand more", text);
	OWN(json) json_t *j = NULL;

	assert_ok(snap_header_parse(more, strlen(more), &j));
}

static void each_changed_byte_is_noticed(void **state)
{
	OWN(mem) char *text = sample();
	size_t n = strlen(text);

	for (size_t k = 0; k < n; k++) {
		OWN(err) struct err *err = NULL;
		OWN(json) json_t *j = NULL;

		text[k] ^= 1;
		err = snap_header_parse(text, n, &j);
		if (!err)
			fail_msg("byte %zu", k);
		text[k] ^= 1;
	}
}

static void each_cut_is_noticed(void **state)
{
	OWN(mem) char *text = sample();

	for (size_t k = 0; k < strlen(text); k++) {
		OWN(err) struct err *err = NULL;
		OWN(json) json_t *j = NULL;

		err = snap_header_parse(text, k, &j);
		if (!err)
			fail_msg("%zu bytes", k);
	}
}

static void what_is_refused_says_why(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *says;
	} cases[] = {
		{ "", ERR_INVALID, "no snapshot of hostel" },
		{ "PK\3\4", ERR_INVALID, "no snapshot of hostel" },
		{ "hostel-snapshot 2 ab 3\n{}", ERR_UNSUPPORTED,
		  "a newer hostel (format 2, this one reads 1)" },
		{ "hostel-snapshot x ab 3\n{}", ERR_CORRUPT, "snapshot header: no version" },
		{ "hostel-snapshot 1 ab 3\n{}", ERR_CORRUPT, "snapshot header: no checksum" },
		{ "hostel-snapshot 1 ab\n", ERR_CORRUPT, "snapshot header: the first line is cut" },
		{ "hostel-snapshot 1 "
		  "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a 2\n{}",
		  ERR_CORRUPT, "snapshot header: a member is missing" },
		{ "hostel-snapshot 1 "
		  "54136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a 2\n{}",
		  ERR_CORRUPT, "snapshot header: its checksum is another" },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		OWN(json) json_t *j = NULL;
		OWN(err)
		struct err *err = snap_header_parse(cases[k].text, strlen(cases[k].text), &j);

		assert_non_null(err);
		assert_int_equal(err_kind(err), cases[k].kind);
		if (!strstr(err_text(err), cases[k].says))
			fail_msg("\"%s\" says \"%s\"", cases[k].text, err_text(err));
	}
}

static void sections_have_names_that_lead_nowhere(void **state)
{
	assert_true(snap_section_is_name("disk"));
	assert_true(snap_section_is_name("state"));
	assert_true(snap_section_is_name("volume/data"));
	assert_false(snap_section_is_name("volume/"));
	assert_false(snap_section_is_name("volume/.."));
	assert_false(snap_section_is_name("volume/a/b"));
	assert_false(snap_section_is_name("spec"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_one_line_and_one_object),
		cmocka_unit_test(what_follows_a_header_is_left_alone),
		cmocka_unit_test(each_changed_byte_is_noticed),
		cmocka_unit_test(each_cut_is_noticed),
		cmocka_unit_test(what_is_refused_says_why),
		cmocka_unit_test(sections_have_names_that_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
