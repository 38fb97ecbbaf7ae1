/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/spawn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static const int nothing[] = { -1, -1, -1 };

static struct err *shell(const char *script, char **ret_out)
{
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t)script, NULL };

	return spawn_run(
	    &(struct spawn) { .path = "/bin/sh", .argv = argv, .fds = nothing, .n_fds = 3 },
	    ret_out);
}

static void output_of_a_program_that_succeeds_is_returned(void **state)
{
	OWN(mem) char *out = NULL;

	(void)state;
	assert_ok(shell("echo one; echo two >&2", &out));
	assert_string_equal(out, "one\ntwo\n");
}

static void a_program_that_fails_gives_its_last_line(void **state)
{
	OWN(err) struct err *e = shell("echo first; echo it broke >&2; exit 3", NULL);

	(void)state;
	assert_non_null(e);
	assert_string_equal(err_text(e), "sh exited with 3: it broke");
}

static void a_program_that_does_not_exist_is_not_found(void **state)
{
	char *argv[] = { (char *)(uintptr_t) "x", NULL };
	int before = fault_open_fds(), pidfd = -1;
	pid_t pid = 0;

	(void)state;
	assert_err(spawn_program(
		       &(struct spawn) {
			   .path = "/nonexistent", .argv = argv, .fds = nothing, .n_fds = 3 },
		       &pid, &pidfd),
		   ERR_NOT_FOUND);
	assert_int_equal(fault_open_fds(), before);
}

static void a_program_is_started_from_its_file(void **state)
{
	OWN(fd) int file = open("/bin/ls", O_PATH | O_CLOEXEC);
	char *argv[] = { (char *)(uintptr_t) "ls", (char *)(uintptr_t) "/proc/self/fd", NULL };
	OWN(mem) char *out = NULL;

	(void)state;
	assert_ok(spawn_run(&(struct spawn) { .path = "/nonexistent",
					      .program_fd = file,
					      .argv = argv,
					      .fds = nothing,
					      .n_fds = 3 },
			    &out));
	assert_string_equal(out, "0\n1\n2\n3\n"); /* 3 is the folder */
}

static void the_program_has_exactly_the_descriptors_it_was_given(void **state)
{
	OWN(mem) char *out = NULL;
	int extra = open("/dev/null", O_RDONLY); /* not CLOEXEC on purpose */

	(void)state;
	/* ls opens one more for the folder itself. */
	assert_ok(shell("ls /proc/self/fd | wc -l", &out));
	assert_int_equal(atoi(out), 4);
	close(extra);
}

static void descriptors_travel_with_messages(void **state)
{
	int pair[2], fds[SOCK_MSG_FDS_MAX], p[2];
	char buf[16];
	size_t len = 0;

	(void)state;
	assert_ok(sock_pair(SOCK_SEQPACKET, pair));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_ok(sock_send_msg(pair[0], "hi", 2, &p[1], 1));
	assert_ok(sock_recv_msg(pair[1], buf, sizeof(buf), 0, &len, fds));
	assert_int_equal(len, 2);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(p[0], buf, 1), 1);
	assert_int_equal(buf[0], 'x');
	close(fds[0]);
	assert_ok(sock_send_msg(pair[0], "too long for it..", 17, NULL, 0));
	assert_err(sock_recv_msg(pair[1], buf, 4, 0, &len, fds), ERR_CORRUPT);
	close(p[0]);
	close(p[1]);
	close(pair[0]);
	close(pair[1]);
}

static void a_socket_may_have_a_long_path(void **state)
{
	char dir[200] = "/tmp/hostel-sock-test-XXXXXX";
	OWN(mem) char *path = NULL;
	OWN(fd) int l = -1;
	OWN(fd) int c = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/%0120d/s", dir, 0);
	path[strlen(path) - 2] = '\0';
	assert_ok(fd_mkdirs(path));
	path[strlen(path)] = '/';
	assert_ok(sock_listen_unix(path, SOCK_STREAM, 0600, &l));
	assert_ok(sock_connect_unix(path, SOCK_STREAM, &c));
	unlink(path);
	path[strlen(path) - 2] = '\0';
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_of_a_program_that_succeeds_is_returned),
		cmocka_unit_test(a_program_that_fails_gives_its_last_line),
		cmocka_unit_test(a_program_that_does_not_exist_is_not_found),
		cmocka_unit_test(a_program_is_started_from_its_file),
		cmocka_unit_test(the_program_has_exactly_the_descriptors_it_was_given),
		cmocka_unit_test(descriptors_travel_with_messages),
		cmocka_unit_test(a_socket_may_have_a_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
