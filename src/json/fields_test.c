/* SPDX-License-Identifier: Apache-2.0 */
#include "json/fields.h"

#include "util/mem.h"
#include "util/test.h"

enum colour { RED, GREEN };

struct item {
	char *label;
	enum colour colour;
};

struct box {
	char *name;
	bool open;
	int count;
	int64_t bytes;
	struct strv list;
	struct strmap map;
	json_t *any;
	struct item *items;
	size_t n_items;
};

static const char *const colours[] = { "red", "green", NULL };

static const struct json_field item_fields[] = {
	JSON_FIELD(struct item, "Label", JF_STR, label),
	JSON_ENUM(struct item, "Colour", colour, colours),
};

static const struct json_field fields[] = {
	JSON_FIELD(struct box, "Name", JF_STR, name),
	JSON_FIELD(struct box, "Open", JF_BOOL, open),
	JSON_RANGE(struct box, "Count", JF_INT, count, 0, 9),
	JSON_FIELD(struct box, "Bytes", JF_I64, bytes),
	JSON_FIELD(struct box, "List", JF_STRV, list),
	JSON_FIELD(struct box, "Map", JF_MAP, map),
	JSON_FIELD(struct box, "Any", JF_JSON, any),
	JSON_ARRAY(struct box, "Items", items, n_items, item_fields),
};

static struct err *read_text(const char *text, struct box *b)
{
	OWN(json) json_t *j = NULL;

	TRY(jx_parse(text, strlen(text), &j));
	return json_read_fields(fields, ARRAY_SIZE(fields), j, b);
}

static void what_is_written_reads_back_the_same(void **state)
{
	static const char text[] = "{\"Name\":\"a\",\"Open\":true,\"Count\":3,\"Bytes\":-5,"
				   "\"List\":[\"x\",\"y\"],\"Map\":{\"k\":\"v\"},\"Any\":[1,null],"
				   "\"Items\":[{\"Label\":\"i\",\"Colour\":\"green\"}]}";
	struct box b = { 0 };
	OWN(json) json_t *out = json_object();
	OWN(mem) char *back = NULL;

	(void)state;
	assert_ok(read_text(text, &b));
	json_write_fields(fields, ARRAY_SIZE(fields), &b, out);
	back = jx_text(out);
	assert_string_equal(back, text);
	json_free_fields(fields, ARRAY_SIZE(fields), &b);
}

static void a_wrong_type_or_range_is_named(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"Name\":1}", "Name: expected a string, got an integer" },
		{ "{\"Count\":10}", "Count: 10 is out of range (0 to 9)" },
		{ "{\"Count\":1.5}", "Count: expected an integer, got a fraction" },
		{ "{\"List\":[1]}", "List: expected an array of strings, got an integer" },
		{ "{\"Map\":[]}", "Map: expected an object of strings, got an array" },
		{ "{\"Items\":[{},{\"Colour\":\"blue\"}]}",
		  "Items: [1]: Colour: \"blue\" is none of red, green" },
		{ "{\"Items\":[3]}", "Items: [0]: expected an object, got an integer" },
		{ "[]", "expected an object, got an array" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct box b = { 0 };
		OWN(err) struct err *e = read_text(cases[i][0], &b);

		assert_non_null(e);
		assert_string_equal(err_text(e), cases[i][1]);
		json_free_fields(fields, ARRAY_SIZE(fields), &b);
	}
}

static void null_and_absent_change_nothing(void **state)
{
	struct box b = { .count = 7 };

	(void)state;
	assert_ok(read_text("{\"Count\":null,\"Other\":1}", &b));
	assert_int_equal(b.count, 7);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
	OWN(json)
	json_t *j = jx_string("a\xff"
			      "b\xc3\xa9");

	(void)state;
	assert_string_equal(json_string_value(j), "a\xef\xbf\xbd"
						  "b\xc3\xa9");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(a_wrong_type_or_range_is_named),
		cmocka_unit_test(null_and_absent_change_nothing),
		cmocka_unit_test(bytes_that_are_no_utf8_are_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
