/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/ref.h"

#include "util/mem.h"
#include "util/test.h"

#define HEX64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX64

static void references_are_normalised_and_shown_short(void **state)
{
	static const struct {
		const char *text, *full, *familiar, *name;
	} cases[] = {
		{ "debian", "docker.io/library/debian:latest", "debian:latest", "debian" },
		{ "debian:12", "docker.io/library/debian:12", "debian:12", "debian" },
		{ "library/debian:12", "docker.io/library/debian:12", "debian:12", "debian" },
		{ "docker.io/debian", "docker.io/library/debian:latest", "debian:latest",
		  "debian" },
		{ "index.docker.io/a/b:c", "docker.io/a/b:c", "a/b:c", "a/b" },
		{ "user/app", "docker.io/user/app:latest", "user/app:latest", "user/app" },
		{ "localhost/app:1", "localhost/app:1", "localhost/app:1", "localhost/app" },
		{ "localhost:5000/debian:12", "localhost:5000/debian:12",
		  "localhost:5000/debian:12", "localhost:5000/debian" },
		{ "[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest",
		  "[::1]:5000/a/b" },
		{ "quay.io/a__b/c-d--e.f:v1.0_x", "quay.io/a__b/c-d--e.f:v1.0_x",
		  "quay.io/a__b/c-d--e.f:v1.0_x", "quay.io/a__b/c-d--e.f" },
		{ "debian@" DIGEST, "docker.io/library/debian@" DIGEST, "debian@" DIGEST,
		  "debian" },
		{ "debian:12@" DIGEST, "docker.io/library/debian:12@" DIGEST, "debian:12@" DIGEST,
		  "debian" },
		{ "docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest",
		  "library/a/b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(oci_ref) struct oci_ref r = { 0 };

		assert_ok(oci_ref_parse(cases[i].text, &r));
		OWN(mem) char *full = oci_ref_text(&r);
		OWN(mem) char *familiar = oci_ref_familiar(&r);
		OWN(mem) char *name = oci_ref_name(&r);

		assert_string_equal(full, cases[i].full);
		assert_string_equal(familiar, cases[i].familiar);
		assert_string_equal(name, cases[i].name);
	}
}

static void a_normalised_reference_stays_as_it_is(void **state)
{
	static const char *const cases[] = { "docker.io/library/debian:12", "localhost:5000/x:y",
					     "docker.io/a/b@" DIGEST };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(oci_ref) struct oci_ref r = { 0 };

		assert_ok(oci_ref_parse(cases[i], &r));
		OWN(mem) char *full = oci_ref_text(&r);

		assert_string_equal(full, cases[i]);
	}
}

static void what_is_no_reference_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		":12",
		"debian:",
		"debian:.x",
		"debian:a b",
		"-debian",
		"debian-",
		"a..b",
		"a___b",
		"a//b",
		"/a",
		"a/",
		"../a",
		"a/../b",
		"local host/a",
		"host:port/a",
		"-host.x/a",
		"host..x/a",
		"[zz]/a",
		"debian@sha256:abc",
		"debian@md5:" HEX64,
		"debian@" DIGEST "0",
		HEX64,
		"a\nb",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(oci_ref) struct oci_ref r = { 0 };

		assert_err(oci_ref_parse(cases[i], &r), ERR_INVALID);
		assert_null(r.path);
	}
}

static void an_upper_case_name_is_explained(void **state)
{
	OWN(oci_ref) struct oci_ref r = { 0 };
	OWN(err) struct err *e = oci_ref_parse("Debian:12", &r);

	(void)state;
	assert_string_equal(
	    err_text(e),
	    "invalid reference format: repository name (library/Debian) must be lowercase");
}

static void only_whole_sha256_digests_are_digests(void **state)
{
	(void)state;
	assert_true(oci_digest_is_valid(DIGEST));
	assert_false(oci_digest_is_valid(NULL));
	assert_false(oci_digest_is_valid(""));
	assert_false(oci_digest_is_valid("sha256:"));
	assert_false(oci_digest_is_valid(DIGEST "0"));
	assert_false(oci_digest_is_valid("sha256:../../../../../../../../../../../../../../../"
					 "../../../../../../etc/pa"));
	assert_false(oci_digest_is_valid("SHA256:" HEX64));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_normalised_and_shown_short),
		cmocka_unit_test(a_normalised_reference_stays_as_it_is),
		cmocka_unit_test(what_is_no_reference_is_refused),
		cmocka_unit_test(an_upper_case_name_is_explained),
		cmocka_unit_test(only_whole_sha256_digests_are_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
