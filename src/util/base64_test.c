/* SPDX-License-Identifier: Apache-2.0 */
#include "util/base64.h"

#include <string.h>

#include "util/test.h"

static void bytes_go_there_and_back(void **state)
{
	static const struct {
		const char *data, *text;
	} cases[] = { { "", "" },
		      { "f", "Zg==" },
		      { "fo", "Zm8=" },
		      { "foo", "Zm9v" },
		      { "foob", "Zm9vYg==" },
		      { "\xff\xfe\xfd", "//79" },
		      { "me:x", "bWU6eA==" } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[64], back[64];
		size_t len = 0;

		base64_encode(cases[i].data, strlen(cases[i].data), text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(strlen(text) + 1, BASE64_TEXT_SIZE(strlen(cases[i].data)));
		assert_true(base64_decode(text, back, &len));
		assert_true(len < BASE64_DATA_SIZE(strlen(text)));
		assert_int_equal(len, strlen(cases[i].data));
		assert_string_equal(back, cases[i].data);
	}
}

static void the_alphabet_of_urls_and_missing_padding_are_read_too(void **state)
{
	char back[16];
	size_t len = 0;

	(void)state;
	assert_true(base64_decode("__79", back, &len));
	assert_string_equal(back, "\xff\xfe\xfd");
	assert_true(base64_decode("Zg", back, &len));
	assert_string_equal(back, "f");
	assert_false(base64_decode("a*b", back, &len));
	assert_false(base64_decode("\n", back, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_there_and_back),
		cmocka_unit_test(the_alphabet_of_urls_and_missing_padding_are_read_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
