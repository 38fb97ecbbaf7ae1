/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static int set_up(void **state)
{
	char *dir = xasprintf("%s/path-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	*state = dir;
	return 0;
}

static int tear_down(void **state)
{
	char *dir = *state;

	assert_int_equal(chdir("/"), 0);
	assert_ok(path_remove(dir));
	free(dir);
	return 0;
}

static void a_tree_goes_whatever_is_in_it(void **state)
{
	char name[21] = "";
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("top", 0755), 0);
	assert_int_equal(mkdir("keep", 0755), 0);
	assert_int_equal(symlink("../keep", "top/link"), 0);
	assert_int_equal(mkfifo("top/fifo", 0000), 0);
	assert_int_equal(chdir("top"), 0);
	memset(name, 'd', sizeof(name) - 1);
	for (int i = 0; i < 700; i++) { /* beyond PATH_MAX and beyond the levels kept open */
		assert_int_equal(mkdir(name, i % 2 ? 0755 : 0700), 0);
		assert_ok(fd_write_file(AT_FDCWD, "f", "x", 1, 0000));
		assert_int_equal(chdir(name), 0);
	}
	assert_int_equal(chdir(*state), 0);
	assert_ok(path_remove_tree(AT_FDCWD, "top"));
	assert_int_equal(lstat("top", &st), -1);
	assert_int_equal(lstat("keep", &st), 0);
	assert_ok(path_remove_tree(AT_FDCWD, "top"));
}

static void immutable_files_go_too(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("top", 0755), 0);
	assert_ok(fd_write_file(AT_FDCWD, "top/f", "x", 1, 0644));
	assert_int_equal(mkdir("top/d", 0755), 0);
	assert_ok(fd_write_file(AT_FDCWD, "top/d/g", "x", 1, 0644));
	if (geteuid() || system("chattr +i top/f top/d/g && chattr +a top/d"))
		skip();
	assert_ok(path_remove_tree(AT_FDCWD, "top"));
	assert_int_equal(lstat("top", &st), -1);
}

static int remove_with_a_mount(void)
{
	struct err *e;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "top/m", "tmpfs", 0, NULL) < 0)
		return 77;
	if (mkdir("top/m/inside", 0755) < 0)
		return 78;
	e = path_remove_tree(AT_FDCWD, "top");
	return !e ? 1 : err_errno(e) != EBUSY ? 2 : access("top/m/inside", F_OK) ? 3 : 0;
}

static void a_mount_is_never_crossed(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(mkdir("top", 0755), 0);
	assert_int_equal(mkdir("top/m", 0755), 0);
	pid = fork();
	if (pid == 0)
		_exit(remove_with_a_mount());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_path_stays_in_its_root(void **state)
{
	OWN(fd) int root = -1;
	OWN(fd) int fd = -1;

	(void)state;
	assert_int_equal(mkdir("root", 0755), 0);
	assert_ok(fd_write_file(AT_FDCWD, "outside", "o", 1, 0644));
	assert_ok(fd_write_file(AT_FDCWD, "root/inside", "i", 1, 0644));
	assert_int_equal(symlink("/inside", "root/abs"), 0);
	assert_int_equal(symlink("../outside", "root/up"), 0);
	root = open("root", O_PATH | O_CLOEXEC);
	fd = path_open_in_root(root, "abs", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(path_open_in_root(root, "up", O_RDONLY), -1);
	assert_int_equal(path_open_in_root(root, "../outside", O_RDONLY), -1);
	assert_int_equal(path_open_beneath(root, "abs", O_RDONLY), -1);
	assert_int_equal(path_open_beneath(root, "../outside", O_RDONLY), -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tree_goes_whatever_is_in_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(immutable_files_go_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_mount_is_never_crossed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_path_stays_in_its_root, set_up, tear_down),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
