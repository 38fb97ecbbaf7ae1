/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/refs.h"

#include "util/mem.h"
#include "util/test.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *text, *stored, *shown, *repository;
} good[] = {
	{ "debian", "docker.io/library/debian:latest", "debian:latest",
	  "docker.io/library/debian" },
	{ "debian:12", "docker.io/library/debian:12", "debian:12", "docker.io/library/debian" },
	{ "me/app", "docker.io/me/app:latest", "me/app:latest", "docker.io/me/app" },
	{ "docker.io/library/a:b", "docker.io/library/a:b", "a:b", "docker.io/library/a" },
	{ "localhost:5000/debian", "localhost:5000/debian:latest", "localhost:5000/debian:latest",
	  "localhost:5000/debian" },
	{ "localhost/a/b:c", "localhost/a/b:c", "localhost/a/b:c", "localhost/a/b" },
	{ "ghcr.io/x/y@sha256:" HEX64, "ghcr.io/x/y@sha256:" HEX64, "ghcr.io/x/y@sha256:" HEX64,
	  "ghcr.io/x/y" },
	{ "a:t@sha256:" HEX64, "docker.io/library/a@sha256:" HEX64, "a@sha256:" HEX64,
	  "docker.io/library/a" },
};

static const char *const bad[] = {
	"",   "/",           "a//b", "Debian", "a:", "a:b:c", "-a",
	"a/", "a@sha256:12", "a b",  "a:b/",   ":x", "a\n",
};

static void a_reference_is_stored_whole_and_shown_short(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		OWN(mem) char *stored = NULL;

		assert_ok(ref_normalise(good[i].text, &stored));
		assert_string_equal(stored, good[i].stored);
		assert_string_equal(ref_short(stored), good[i].shown);
		OWN(mem) char *repository = ref_repository(stored);

		assert_string_equal(repository, good[i].repository);
	}
}

static void what_is_no_reference_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *stored;

		assert_err(ref_normalise(bad[i], &stored), ERR_INVALID);
	}
}

static void an_id_is_hex_with_or_without_its_algorithm(void **state)
{
	assert_true(ref_is_id("sha256:" HEX64));
	assert_true(ref_is_id("beef"));
	assert_false(ref_is_id("debian"));
	assert_false(ref_is_id(""));
	assert_false(ref_is_id(HEX64 "0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reference_is_stored_whole_and_shown_short),
		cmocka_unit_test(what_is_no_reference_is_refused),
		cmocka_unit_test(an_id_is_hex_with_or_without_its_algorithm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
