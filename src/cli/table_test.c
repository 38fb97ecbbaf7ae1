/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdlib.h>

#include "util/test.h"

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	static const char *const headings[] = { "NAME", "STATE", NULL };
	static const char want[] = "NAME        STATE\n"
				   "a           running\n"
				   "b\xc3\xa4renhaus   queued (memory: needs 4 GiB)\n"
				   "x?y         -\n";
	OWN(table) struct table *t = table_new(headings);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	table_cell(t, "%s", "a");
	table_cell(t, "running");
	table_cell(t, "b\xc3\xa4renhaus");
	table_cell(t, "queued (memory: needs %d GiB)", 4);
	table_cell(t, "x\ny");
	table_cell(t, "-");
	table_print(t, out);
	fclose(out);
	assert_string_equal(text, want);
	free(text);
}

static void numbers_are_written_for_people(void **state)
{
	char buf[24];

	assert_string_equal(text_age(0, buf), "0 s");
	assert_string_equal(text_age(-5, buf), "0 s");
	assert_string_equal(text_age(59LL * 1000000000, buf), "59 s");
	assert_string_equal(text_age(61LL * 1000000000, buf), "1 min");
	assert_string_equal(text_age(7200LL * 1000000000, buf), "2 h");
	assert_string_equal(text_age(200000LL * 1000000000, buf), "2 d");
	assert_string_equal(text_cpus(500, buf), "0.5");
	assert_string_equal(text_cpus(2000, buf), "2");
	assert_string_equal(text_cpus(10250, buf), "10.25");
	assert_string_equal(text_cpus(0, buf), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(numbers_are_written_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
