/* SPDX-License-Identifier: Apache-2.0 */
#include "http/query.h"

#include "util/mem.h"
#include "util/test.h"

static void text_is_decoded_and_bad_escapes_stay(void **state)
{
	static const struct {
		const char *in, *out;
		bool plus;
	} cases[] = {
		{ "a%2Fb", "a/b", false },      { "a+b", "a b", true },
		{ "a+b", "a+b", false },        { "%7b%22%7D", "{\"}", true },
		{ "100%", "100%", true },       { "%zz%2", "%zz%2", true },
		{ "x%00y", "x%00y", false },    { "", "", true },
		{ "%c3%a9", "\xc3\xa9", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *s = http_decode(cases[i].in, strlen(cases[i].in), cases[i].plus);

		assert_string_equal(s, cases[i].out);
	}
}

static void a_query_keeps_order_and_repeated_keys(void **state)
{
	struct http_query q = { 0 };

	(void)state;
	http_query_parse("names=a%3Ab&all&&names=c&empty=&t=1=2", &q);
	assert_int_equal(q.keys.n, 5);
	assert_string_equal(http_query_find(&q, "names"), "a:b");
	assert_string_equal(q.values.v[2], "c");
	assert_string_equal(http_query_find(&q, "all"), "");
	assert_string_equal(http_query_find(&q, "empty"), "");
	assert_string_equal(http_query_find(&q, "t"), "1=2");
	assert_null(http_query_find(&q, "b"));
	http_query_done(&q);
}

static void patterns_match_as_the_route_table_means_them(void **state)
{
	static const struct {
		const char *pattern, *path, *value; /* value NULL: no match */
	} cases[] = {
		{ "/containers/{id}/json", "/containers/web/json", "web" },
		{ "/containers/{id}/json", "/containers/a%2Fb/json", "a/b" },
		{ "/containers/{id}/json", "/containers//json", NULL },
		{ "/containers/{id}/json", "/containers/a/b/json", NULL },
		{ "/containers/{id}", "/containers/web/", NULL },
		{ "/images/{id*}/json", "/images/localhost:5000/debian:12/json",
		  "localhost:5000/debian:12" },
		{ "/images/{id*}/json", "/images/json/json", "json" },
		{ "/images/{id*}/json", "/images/json", NULL },
		{ "/images/{id*}/json", "/images/a/json/json", "a/json" },
		{ "/images/{id*}", "/images/sha256:ab", "sha256:ab" },
		{ "/_ping", "/_ping", "" },
		{ "/_ping", "/_pin", NULL },
		{ "/_ping", "/_pingo", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_params p = { 0 };
		bool matches = http_match(cases[i].pattern, cases[i].path, &p);

		assert_int_equal(matches, cases[i].value != NULL);
		if (matches && *cases[i].value)
			assert_string_equal(http_params_get(&p, "id"), cases[i].value);
		assert_null(http_params_get(&p, "other"));
		http_params_done(&p);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_decoded_and_bad_escapes_stay),
		cmocka_unit_test(a_query_keeps_order_and_repeated_keys),
		cmocka_unit_test(patterns_match_as_the_route_table_means_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
