/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/digest.h"

#include "util/test.h"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void a_digest_is_that_of_all_bytes_in_any_pieces(void **state)
{
	OWN(digest) struct digest *d = digest_new();
	char text[DIGEST_CHARS];

	(void)state;
	digest_text(d, text);
	assert_string_equal(
	    text, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_add(d, "ab", 2);
	digest_add(d, "c", 1);
	digest_text(d, text);
	assert_string_equal(text, ABC);
	digest_of("abc", 3, text);
	assert_string_equal(text, ABC);
}

struct text {
	const char *p;
};

static struct err *read_text(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct text *t = arg;

	(void)size;
	*ret_n = *t->p ? 1 : 0;
	memcpy(buf, t->p, *ret_n);
	t->p += *ret_n;
	return NULL;
}

static void a_source_is_digested_as_it_is_read(void **state)
{
	struct text t = { "abc" };
	OWN(digest) struct digest *d = digest_new();
	struct digest_source s = { .in = { read_text, &t }, .digest = d };
	char text[DIGEST_CHARS];

	(void)state;
	assert_ok(source_drain(digest_source(&s)));
	digest_text(d, text);
	assert_string_equal(text, ABC);
	assert_int_equal(s.bytes, 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_digest_is_that_of_all_bytes_in_any_pieces),
		cmocka_unit_test(a_source_is_digested_as_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
