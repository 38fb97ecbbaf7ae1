/* SPDX-License-Identifier: Apache-2.0 */
#include "model/peer.h"

#include <string.h>

#include "util/mem.h"
#include "util/test.h"

static void an_address_says_how_and_where(void **state)
{
	static const struct {
		const char *text;
		enum peer_kind kind;
		const char *host, *port, *path;
	} cases[] = {
		{ "tcp+tls://b.example:2377", PEER_TLS, "b.example", "2377", NULL },
		{ "tcp+tls://10.0.0.2:1", PEER_TLS, "10.0.0.2", "1", NULL },
		{ "tcp+tls://[fe80::1]:65535", PEER_TLS, "fe80::1", "65535", NULL },
		{ "unix:///run/b.sock", PEER_UNIX, NULL, NULL, "/run/b.sock" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(peer) struct peer p = { 0 };

		assert_ok(peer_parse(cases[i].text, &p));
		assert_int_equal(p.kind, cases[i].kind);
		assert_true(streq(p.host, cases[i].host));
		assert_true(streq(p.port, cases[i].port));
		assert_true(streq(p.path, cases[i].path));
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"b.example",
		"tcp://b.example:2377",
		"tcp+tls://",
		"tcp+tls://:2377",
		"tcp+tls://b.example",
		"tcp+tls://b.example:",
		"tcp+tls://b.example:0",
		"tcp+tls://b.example:65536",
		"tcp+tls://b.example:2377/x",
		"tcp+tls://fe80::1:2377",
		"tcp+tls://[]:2377",
		"tcp+tls://u@b:2377",
		"unix://",
		"unix://run/b.sock",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		OWN(peer) struct peer p = { 0 };
		OWN(err) struct err *e = peer_parse(texts[i], &p);

		if (!e)
			fail_msg("\"%s\" was taken", texts[i]);
		assert_int_equal(err_kind(e), ERR_INVALID);
	}
}

static void our_own_hello_is_taken(void **state)
{
	OWN(json) json_t *j = peer_hello();
	OWN(mem) char *text = jx_text(j);

	(void)state;
	assert_ok(peer_check_hello(text, strlen(text)));
}

static void another_version_is_refused_in_one_line(void **state)
{
	static const char older[] = "{\"hostel_migrate\":0,\"hostel\":\"0.0.9\"}";
	OWN(err) struct err *e = peer_check_hello(older, strlen(older));

	(void)state;
	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_UNSUPPORTED);
	assert_non_null(strstr(err_text(e), "(hostel 0.0.9) speaks version 0"));
	assert_null(strchr(err_text(e), '\n'));
}

static void what_is_no_hello_is_refused(void **state)
{
	static const char *const texts[] = { "", "{}", "[1]", "{\"hostel_migrate\":\"1\"}",
					     "GET /" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		OWN(err) struct err *e = peer_check_hello(texts[i], strlen(texts[i]));

		assert_non_null(e);
		assert_int_equal(err_kind(e), ERR_CORRUPT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_says_how_and_where),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(our_own_hello_is_taken),
		cmocka_unit_test(another_version_is_refused_in_one_line),
		cmocka_unit_test(what_is_no_hello_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
