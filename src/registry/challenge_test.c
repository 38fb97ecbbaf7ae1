/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/challenge.h"

#include "util/mem.h"
#include "util/test.h"

static void a_challenge_is_taken_apart(void **state)
{
	static const struct {
		const char *header;
		int scheme;
		const char *realm, *service, *scope;
	} cases[] = {
		{ "Bearer "
		  "realm=\"https://auth.x/token\",service=\"reg.x\",scope=\"repository:a/b:pull\"",
		  CHALLENGE_BEARER, "https://auth.x/token", "reg.x", "repository:a/b:pull" },
		{ "bearer realm=https://a , service=s", CHALLENGE_BEARER, "https://a", "s", NULL },
		{ "Basic realm=\"a \\\"b\\\"\"", CHALLENGE_BASIC, "a \"b\"", NULL, NULL },
		{ "Bearer", CHALLENGE_BEARER, NULL, NULL, NULL },
		{ "Bearer realm=\"open", CHALLENGE_BEARER, "open", NULL, NULL },
		{ "Negotiate abc", CHALLENGE_NONE, NULL, NULL, NULL },
		{ "", CHALLENGE_NONE, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(challenge) struct challenge c;

		challenge_parse(cases[i].header, &c);
		assert_int_equal(c.scheme, cases[i].scheme);
		assert_true(streq(c.realm, cases[i].realm));
		assert_true(streq(c.service, cases[i].service));
		assert_true(streq(c.scope, cases[i].scope));
	}
}

static void a_token_is_asked_for_with_service_and_scope(void **state)
{
	static const struct {
		struct challenge c;
		const char *url;
	} cases[] = {
		{ { .realm = (char *)(uintptr_t) "https://a/t",
		    .service = (char *)(uintptr_t) "my reg" },
		  "https://a/t?service=my%20reg&scope=repository:x:pull" },
		{ { .realm = (char *)(uintptr_t) "https://a/t?k=v",
		    .scope = (char *)(uintptr_t) "repository:y:pull,push" },
		  "https://a/t?k=v&scope=repository:y:pull%2Cpush" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *url = challenge_token_url(&cases[i].c, "repository:x:pull");

		assert_string_equal(url, cases[i].url);
	}
}

static void an_identity_token_is_posted(void **state)
{
	struct challenge c = { .service = (char *)(uintptr_t) "my reg" };
	OWN(mem) char *all = challenge_token_form(&c, "repository:x:pull", "a+b");
	OWN(mem) char *none = challenge_token_form(&c, NULL, "t");

	(void)state;
	assert_string_equal(all, "grant_type=refresh_token&service=my%20reg&scope=repository:x:pull"
				 "&client_id=hostel&refresh_token=a%2Bb");
	assert_string_equal(none, "grant_type=refresh_token&service=my%20reg&client_id=hostel"
				  "&refresh_token=t");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_challenge_is_taken_apart),
		cmocka_unit_test(an_identity_token_is_posted),
		cmocka_unit_test(a_token_is_asked_for_with_service_and_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
