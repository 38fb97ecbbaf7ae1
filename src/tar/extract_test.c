/* SPDX-License-Identifier: Apache-2.0 */
#include "tar/tar.h"

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/* A folder with "root" to extract into and "outside" that must stay as it is. */
struct place {
	char *dir;
	int root_fd, out_fd;
};

static int set_up(void **state)
{
	struct place *p = xnew(struct place);

	p->dir = xasprintf("%s/extract-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(chdir(p->dir), 0);
	assert_int_equal(mkdir("root", 0755), 0);
	assert_int_equal(mkdir("outside", 0755), 0);
	assert_ok(fd_write_file(AT_FDCWD, "outside/file", "secret", 6, 0644));
	p->root_fd = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->out_fd = open("outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	OWN(mem) char *command = xasprintf("rm -rf %s", p->dir);

	close(p->root_fd);
	close(p->out_fd);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(system(command), 0);
	free(p->dir);
	free(p);
	return 0;
}

struct item {
	const char *name;
	enum tar_type type;
	const char *link; /* or the content of a file */
	unsigned mode;
	dev_t rdev;
};

static struct err *write_items(struct tar_writer *w, const struct item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct item *it = &items[i];
		bool is_file = it->type == TAR_FILE;
		size_t len = is_file && it->link ? strlen(it->link) : 0;
		struct tar_entry e = { .name = it->name,
				       .type = it->type,
				       .link = it->link,
				       .mode = it->mode ? it->mode : 0755,
				       .uid = geteuid(),
				       .gid = getegid(),
				       .rdev = it->rdev,
				       .size = (int64_t)len,
				       .mtime_ns = 1700000000LL * 1000000000 };

		TRY(tar_writer_entry(w, &e));
		if (len)
			TRY(tar_writer_data(w, it->link, len));
	}
	return NULL;
}

static struct err *extract(const struct place *p, const struct item *items, size_t n,
			   struct tar_extract x, struct tar_stats *ret)
{
	OWN(fd) int fd = memfd_create("archive", MFD_CLOEXEC);
	OWN(tar_writer) struct tar_writer *w = NULL;

	TRY(tar_writer_new(fd, &w));
	TRY(write_items(w, items, n));
	TRY(tar_writer_finish(w));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	x.root_fd = p->root_fd;
	x.in = source_fd(&fd);
	return tar_extract(&x, ret);
}

static void outside_is_untouched(const struct place *p)
{
	OWN(mem) char *text = NULL;
	struct stat st;

	assert_ok(fd_read_file(p->out_fd, "file", 100, &text));
	assert_string_equal(text, "secret");
	assert_int_equal(fstatat(p->out_fd, "new", &st, 0), -1);
	assert_int_equal(fstatat(p->out_fd, "file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_nlink, 1);
}

static void nothing_leaves_the_root(void **state)
{
	const struct place *p = *state;
	OWN(mem) char *outside = xasprintf("%s/outside", p->dir);
	OWN(mem) char *file = xasprintf("%s/outside/file", p->dir);
	OWN(mem) char *fresh = xasprintf("%s/outside/new", p->dir);
	const struct {
		struct item items[4];
		bool refused;
	} cases[] = {
		{ { { "../outside/new", TAR_FILE, "x" } }, true },
		{ { { "a/../../outside/new", TAR_FILE, "x" } }, true },
		{ { { "../outside", TAR_DIR, NULL, 0700 } }, true },
		{ { { "..", TAR_DIR, NULL, 0700 } }, true },
		{ { { fresh, TAR_FILE, "x" } }, false },
		{ { { "up", TAR_SYMLINK, "../outside" }, { "up/new", TAR_FILE, "x" } }, true },
		{ { { "abs", TAR_SYMLINK, outside }, { "abs/new", TAR_FILE, "x" } }, false },
		{ { { "f", TAR_SYMLINK, file }, { "f", TAR_FILE, "x" } }, false },
		{ { { "f", TAR_SYMLINK, "../outside/file" }, { "f", TAR_FILE, "x", 0777 } },
		  false },
		{ { { "h", TAR_HARDLINK, "../outside/file" } }, true },
		{ { { "h", TAR_HARDLINK, file } }, true },
		{ { { "s", TAR_SYMLINK, "../outside" }, { "h", TAR_HARDLINK, "s/file" } }, true },
		{ { { "s", TAR_SYMLINK, "../outside/file" },
		    { "h", TAR_HARDLINK, "s" },
		    { "h", TAR_FILE, "x" } },
		  false },
		{ { { "d", TAR_DIR, NULL },
		    { "d", TAR_SYMLINK, "../outside" },
		    { "d/new", TAR_FILE, "x" } },
		  true },
		{ { { "loop", TAR_SYMLINK, "loop" }, { "loop/new", TAR_FILE, "x" } }, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = 0;

		while (n < 4 && cases[i].items[n].name)
			n++;
		/* The link's name is made inside first: "abs" and others mean that. */
		struct err *e = extract(p, cases[i].items, n,
					(struct tar_extract) { .same_owner = true }, NULL);

		if (!e && cases[i].refused)
			fail_msg("case %zu was not refused", i);
		if (e && !cases[i].refused && err_kind(e) != ERR_CORRUPT)
			fail_msg("case %zu: %s", i, err_text(e));
		err_free(e);
		outside_is_untouched(p);
		assert_int_equal(system("rm -rf root/*"), 0);
	}
}

static void later_entries_replace_earlier_ones(void **state)
{
	static const struct item items[] = {
		{ "a", TAR_DIR },
		{ "a/x", TAR_FILE, "1" },
		{ "a", TAR_FILE, "2" },
		{ "b", TAR_FILE, "3" },
		{ "b", TAR_DIR },
		{ "b/y", TAR_FILE, "4" },
		{ "c", TAR_SYMLINK, "b" },
		{ "c", TAR_FILE, "5" },
		{ "./d//e/../f", TAR_FILE, "6" },
	};
	static const char *const want[][2] = {
		{ "root/a", "2" }, { "root/b/y", "4" }, { "root/c", "5" }, { "root/d/f", "6" }
	};
	const struct place *p = *state;

	assert_ok(extract(p, items, ARRAY_SIZE(items), (struct tar_extract) { 0 }, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		OWN(mem) char *text = NULL;

		assert_ok(fd_read_file(AT_FDCWD, want[i][0], 100, &text));
		assert_string_equal(text, want[i][1]);
	}
}

static void keep_kind_refuses_what_docker_cp_refuses(void **state)
{
	static const struct item before[] = { { "d", TAR_DIR }, { "f", TAR_FILE, "1" } };
	static const struct item cases[] = { { "d", TAR_FILE, "x" }, { "f", TAR_DIR } };
	const struct place *p = *state;

	assert_ok(extract(p, before, 2, (struct tar_extract) { 0 }, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_err(
		    extract(p, &cases[i], 1, (struct tar_extract) { .keep_kind = true }, NULL),
		    ERR_INVALID);
}

static void links_modes_and_times_are_kept(void **state)
{
	static const struct item items[] = {
		{ "d", TAR_DIR, NULL, 01777 },   { "d/f", TAR_FILE, "text", 04755 },
		{ "d/h", TAR_HARDLINK, "d/f" },  { "d/s", TAR_SYMLINK, "/nowhere/at all" },
		{ "d/p", TAR_FIFO, NULL, 0622 },
	};
	const struct place *p = *state;
	struct stat f, h, d, fifo;
	char target[64] = "";

	assert_ok(extract(p, items, ARRAY_SIZE(items), (struct tar_extract) { .same_owner = true },
			  NULL));
	assert_int_equal(stat("root/d/f", &f), 0);
	assert_int_equal(stat("root/d/h", &h), 0);
	assert_int_equal(stat("root/d", &d), 0);
	assert_int_equal(stat("root/d/p", &fifo), 0);
	assert_int_equal(f.st_ino, h.st_ino);
	assert_int_equal(f.st_mode, S_IFREG | 04755);
	assert_int_equal(d.st_mode, S_IFDIR | 01777);
	assert_int_equal(fifo.st_mode, S_IFIFO | 0622);
	assert_int_equal(f.st_mtime, 1700000000);
	assert_int_equal(d.st_mtime, 1700000000);
	assert_true(readlink("root/d/s", target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "/nowhere/at all");
}

static bool is_whiteout(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

static bool is_opaque(const char *path)
{
	char value[4];

	return getxattr(path, "trusted.overlay.opaque", value, sizeof(value)) == 1;
}

static void needs_root(void)
{
	if (geteuid())
		skip();
}

static void whiteouts_become_those_of_overlayfs(void **state)
{
	static const struct item items[] = {
		{ "d", TAR_DIR },
		{ "d/.wh.gone", TAR_FILE },
		{ "o", TAR_DIR },
		{ "o/.wh..wh..opq", TAR_FILE },
		{ "o/x", TAR_FILE, "1" },
		/* a whiteout of what this layer has itself hides only what is below */
		{ "r", TAR_DIR },
		{ "r/y", TAR_FILE, "2" },
		{ ".wh.r", TAR_FILE },
		{ ".wh.s", TAR_FILE },
		{ "s", TAR_DIR },
		{ ".wh.t", TAR_FILE },
		{ "t", TAR_FILE, "3" },
		{ ".wh..wh.plnk", TAR_DIR },
		{ "n/.wh.z", TAR_FILE },
	};
	const struct place *p = *state;
	struct stat st;

	needs_root();
	assert_ok(
	    extract(p, items, ARRAY_SIZE(items), (struct tar_extract) { .whiteouts = true }, NULL));
	assert_true(is_whiteout("root/d/gone"));
	assert_true(is_opaque("root/o"));
	assert_true(is_opaque("root/r"));
	assert_int_equal(lstat("root/r/y", &st), 0);
	assert_true(is_opaque("root/s"));
	assert_int_equal(lstat("root/t", &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_true(is_whiteout("root/n/z"));
	assert_int_equal(system("test -z \"$(find root -name '.wh*')\""), 0);
}

static void a_bad_whiteout_is_refused(void **state)
{
	static const char *const names[] = { ".wh.", ".wh..", ".wh...", "d/.wh..." };
	const struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct item it = { names[i], TAR_FILE };

		assert_err(extract(p, &it, 1, (struct tar_extract) { .whiteouts = true }, NULL),
			   ERR_CORRUPT);
	}
}

static void only_harmless_devices_are_made(void **state)
{
	const struct item items[] = {
		{ "null", TAR_CHAR, NULL, 0666, makedev(1, 3) },
		{ "mem", TAR_CHAR, NULL, 0666, makedev(1, 1) },
		{ "sda", TAR_BLOCK, NULL, 0666, makedev(8, 0) },
		{ "zero-block", TAR_BLOCK, NULL, 0666, makedev(1, 3) },
		{ "fake-whiteout", TAR_CHAR, NULL, 0666, makedev(0, 0) },
	};
	const struct place *p = *state;
	struct tar_stats stats;
	struct stat st;

	needs_root();
	assert_ok(extract(p, items, ARRAY_SIZE(items), (struct tar_extract) { 0 }, &stats));
	assert_int_equal(stats.skipped, 4);
	assert_int_equal(stat("root/null", &st), 0);
	assert_int_equal(st.st_rdev, makedev(1, 3));
	assert_int_equal(lstat("root/fake-whiteout", &st), -1);
	assert_int_equal(lstat("root/sda", &st), -1);
}

static void what_is_no_archive_is_refused(void **state)
{
	static const char *const cases[] = { "hello", "{\"a\":1}" };
	const struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(fd) int fd = memfd_create("archive", MFD_CLOEXEC);
		char block[1024] = "";
		struct tar_extract x = { .root_fd = p->root_fd, .in = source_fd(&fd) };

		memcpy(block, cases[i], strlen(cases[i]));
		assert_ok(fd_write_all(fd, block, sizeof(block)));
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_err(tar_extract(&x, NULL), ERR_CORRUPT);
	}
}

static void a_tree_survives_packing_and_extracting(void **state)
{
	const struct place *p = *state;
	OWN(fd) int fd = memfd_create("archive", MFD_CLOEXEC);
	OWN(fd) int from = open("outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN(tar_writer) struct tar_writer *w = NULL;
	struct tar_extract x = { .root_fd = p->root_fd, .in = source_fd(&fd), .same_owner = true };
	struct stat a, b;

	assert_int_equal(
	    system("cd outside && mkdir -p in/ner && ln file in/hard && ln -s file soft"
		   " && mkfifo fifo && truncate -s 50M holes && echo x >>holes &&"
		   " touch -d @1600000000 in/ner && setfattr -n user.note -v hi file &&"
		   " printf y >'odd \303\251 \377 name'"),
	    0);
	assert_ok(tar_writer_new(fd, &w));
	assert_ok(tar_pack(w, from, ".", ""));
	assert_ok(tar_writer_finish(w));
	assert_true(lseek(fd, 0, SEEK_END) < 100000); /* the hole was not written */
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(tar_extract(&x, NULL));
	assert_int_equal(system("diff -r --no-dereference -x fifo outside root && "
				"test \"$(getfattr --only-values -n user.note root/file)\" = hi"),
			 0);
	assert_int_equal(stat("root/holes", &a), 0);
	assert_true(a.st_blocks < 1000);
	assert_int_equal(stat("root/file", &a), 0);
	assert_int_equal(stat("root/in/hard", &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(stat("root/in/ner", &a), 0);
	assert_int_equal(a.st_mtime, 1600000000);
}

static void names_are_cleaned_or_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "a/b", "a/b" }, { "./a//b/", "a/b" }, { "/a", "a" },   { "a/../b", "b" },
		{ "", "" },       { ".", "" },          { "/", "" },     { "a/..", "" },
		{ "..a", "..a" }, { "..", NULL },       { "/..", NULL }, { "a/../../b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(str) struct str out = { 0 };

		if (!cases[i][1]) {
			assert_err(tar_clean_name(cases[i][0], &out), ERR_CORRUPT);
			continue;
		}
		assert_ok(tar_clean_name(cases[i][0], &out));
		assert_string_equal(out.buf, cases[i][1]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_leaves_the_root, set_up, tear_down),
		cmocka_unit_test_setup_teardown(later_entries_replace_earlier_ones, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(keep_kind_refuses_what_docker_cp_refuses, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(links_modes_and_times_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(whiteouts_become_those_of_overlayfs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_bad_whiteout_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_harmless_devices_are_made, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_archive_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_tree_survives_packing_and_extracting, set_up,
						tear_down),
		cmocka_unit_test(names_are_cleaned_or_refused),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
