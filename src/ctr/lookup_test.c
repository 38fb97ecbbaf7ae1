/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static char dir[] = "/tmp/lookup_testXXXXXX";

static int make_files(void **state)
{
	int here;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	here = open(dir, O_PATH | O_CLOEXEC);
	mkdirat(here, "a", 0755);
	mkdirat(here, "b", 0755);
	mkdirat(here, "b/prog", 0755); /* a folder of the same name comes first */
	close(openat(here, "a/prog", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
	close(openat(here, "a/plain", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	close(here);
	return chdir(dir);
}

static int remove_files(void **state)
{
	(void)state;
	unlink("a/prog");
	unlink("a/plain");
	rmdir("a");
	rmdir("b/prog");
	rmdir("b");
	return chdir("/") || rmdir(dir);
}

static const struct {
	const char *name, *path, *want;
} cases[] = {
	{ "prog", "a", "a/prog" },
	{ "prog", "b:a", "a/prog" },
	{ "prog", "/no/such:a:b", "a/prog" },
	{ "a/prog", "", "a/prog" },
	{ "./a/prog", NULL, "./a/prog" },
	{ "prog", "b", "exec: \"prog\": executable file not found in $PATH" },
	{ "prog", "", "exec: \"prog\": executable file not found in $PATH" },
	{ "plain", "a", "exec: \"plain\": executable file not found in $PATH" },
	{ "", "a", "exec: \"\": executable file not found in $PATH" },
	{ "a/none", "a", "exec: \"a/none\": stat a/none: no such file or directory" },
	{ "a/prog/x", "a", "exec: \"a/prog/x\": stat a/prog/x: not a directory" },
	{ "a/plain", "a", "exec: \"a/plain\": permission denied" },
	{ "./a", "a", "exec: \"./a\": is a directory" },
};

static void programs_are_found_or_refused_in_these_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *got = NULL;
		OWN(err) struct err *e = ctr_find_program(cases[i].name, cases[i].path, &got);

		assert_string_equal(e ? err_text(e) : got, cases[i].want);
	}
}

static const struct {
	int errnum;
	enum err_kind kind;
	const char *want;
} errors[] = {
	{ ENOENT, ERR_NOT_FOUND, "exec /p: no such file or directory" },
	{ EACCES, ERR_DENIED, "exec /p: permission denied" },
	{ ENOEXEC, ERR_INVALID, "exec /p: exec format error" },
	{ EIO, ERR_INTERNAL, "exec /p: Input/output error" },
};

static void a_failed_execve_is_told_in_runcs_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		OWN(err) struct err *e = ctr_exec_error("/p", errors[i].errnum);

		assert_string_equal(err_text(e), errors[i].want);
		assert_int_equal(err_kind(e), errors[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_found_or_refused_in_these_words),
		cmocka_unit_test(a_failed_execve_is_told_in_runcs_words),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
