/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static struct err *inner(void)
{
	return err_sys(EACCES, "mount /proc");
}

static struct err *outer(const char *name)
{
	TRY_MSG(inner(), "create %s", name);
	return NULL;
}

static void context_reads_from_the_outside_in(void **state)
{
	(void)state;
	OWN(err) struct err *e = outer("web");

	assert_string_equal(err_text(e), "create web: mount /proc: Permission denied");
	assert_string_equal(err_trace(e), "outer < inner");
	assert_int_equal(err_kind(e), ERR_DENIED);
	assert_int_equal(err_errno(e), EACCES);
}

static void long_messages_are_cut_not_overrun(void **state)
{
	(void)state;
	OWN(err) struct err *e = err_new(ERR_INVALID, "%0600d", 1);

	for (int i = 0; i < 50; i++)
		e = err_push(e, __func__, "%0100d", i);
	assert_int_equal(strlen(err_text(e)), 511);
}

static void missing_file_is_not_found(void **state)
{
	(void)state;
	char *buf = NULL;

	assert_err(fd_read_file(AT_FDCWD, "/nonexistent", 10, &buf), ERR_NOT_FOUND);
	assert_true(buf == NULL);
}

static void file_longer_than_max_is_refused(void **state)
{
	(void)state;
	char *buf = NULL;

	assert_err(fd_read_file(AT_FDCWD, "/proc/self/status", 10, &buf), ERR_CORRUPT);
	assert_true(buf == NULL);
}

static void every_failing_call_cleans_up(void **state)
{
	(void)state;
	int before = fault_open_fds();
	int rounds = 0;

	FAULT_SWEEP(n) {
		char *buf = NULL;
		struct err *e = fd_read_file(AT_FDCWD, "/proc/self/status", 1 << 16, &buf);

		assert_true((e == NULL) == (buf != NULL));
		assert_true(!e || err_errno(e) != 0); /* the injected errno reached the top */
		err_free(e);
		free(buf);
		rounds = n;
	}
	assert_true(rounds >= 4); /* openat, malloc, read, read, then clean */
	assert_int_equal(fault_open_fds(), before);
}

static void processes_may_write_the_same_file_at_once(void **state)
{
	char dir[] = "/tmp/hostel-fd-test-XXXXXX";
	int failed = 0, status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	OWN(mem) char *path = xasprintf("%s/f", dir);
	OWN(mem) char *text = NULL;

	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			struct err *e = NULL;

			for (int n = 0; n < 200 && !e; n++)
				e = fd_write_file(AT_FDCWD, path, "whole", 5, 0600);
			_exit(e != NULL);
		}
	while (wait(&status) > 0)
		failed += status != 0;
	assert_int_equal(failed, 0);
	assert_ok(fd_read_file(AT_FDCWD, path, 10, &text));
	assert_string_equal(text, "whole");
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* no temporary file is left */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(context_reads_from_the_outside_in),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
		cmocka_unit_test(missing_file_is_not_found),
		cmocka_unit_test(file_longer_than_max_is_refused),
		cmocka_unit_test(every_failing_call_cleans_up),
		cmocka_unit_test(processes_may_write_the_same_file_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
