/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target's corpus as a unit test: every input that once was interesting (or broke
 * something) goes through it again, and so does every prefix of the short ones.
 */
#include <dirent.h>
#include <fcntl.h>

#include "fuzz.h"
#include "util/test.h"

#define PREFIXES_UP_TO 600

static size_t replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size;
	long len;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	len = ftell(f);
	assert_true(len >= 0);
	size = (size_t)len;
	rewind(f);
	data = malloc(size + 1);
	assert_int_equal(fread(data, 1, size, f), size);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	for (size_t n = 0; n < size && size <= PREFIXES_UP_TO; n++)
		LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 1;
}

static void the_corpus_is_taken_without_harm(void **state)
{
	struct dirent *d;
	DIR *dir = opendir(CORPUS);
	size_t n = 0;

	(void)state;
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		OWN(mem) char *path = xasprintf("%s/%s", CORPUS, d->d_name);

		if (d->d_name[0] != '.')
			n += replay(path);
	}
	closedir(dir);
	assert_in_range(n, 1, 100000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_corpus_is_taken_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
