/* SPDX-License-Identifier: Apache-2.0 */
#include "snap/stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/test.h"

struct rig {
	char dir[32];
	int fd; /* of dir */
	struct str stream;
	char digest[SNAP_HEX];
};

static void put_file(int dir, const char *name, const char *text, int64_t size)
{
	OWN(fd) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0640);

	assert_true(fd >= 0);
	assert_ok(fd_write_all(fd, text, strlen(text)));
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, "end", 3, size - 3), 3);
}

/* Two folders, a file with a hole of 2 MB, a further name of it, a link, a fifo. */
static void make_sample(int dir)
{
	OWN(fd) int top = -1;

	assert_int_equal(mkdirat(dir, "from", 0751), 0);
	top = openat(dir, "from", O_RDONLY | O_DIRECTORY);
	assert_true(top >= 0);
	assert_int_equal(mkdirat(top, "b", 0700), 0);
	put_file(top, "b/sparse", "begin", 2 << 20);
	assert_int_equal(linkat(top, "b/sparse", top, "c-again", 0), 0);
	assert_int_equal(symlinkat("/nowhere", top, "a-link"), 0);
	assert_int_equal(mkfifoat(top, "pipe", 0600), 0);
	fsetxattr(top, "user.colour", "re\0d", 4, 0); /* where the file system has such */
	assert_int_equal(utimensat(top, "b/sparse",
				   (struct timespec[2]) { { .tv_nsec = UTIME_OMIT },
							  { .tv_sec = 1000, .tv_nsec = 5 } },
				   0),
			 0);
	assert_int_equal(
	    futimens(top, (struct timespec[2]) { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 2000 } }),
	    0);
}

static void write_stream(struct rig *r)
{
	OWN(mem) char *path = xasprintf("%s/stream", r->dir);
	OWN(fd) int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	OWN(fd) int top = openat(r->fd, "from", O_RDONLY | O_DIRECTORY);
	struct stat st;

	assert_ok(snap_stream_write(top, out, NULL, r->digest, NULL));
	assert_int_equal(fstat(out, &st), 0);
	r->stream.buf = xcalloc((size_t)st.st_size + 1, 1);
	r->stream.len = (size_t)st.st_size;
	assert_int_equal(pread(out, r->stream.buf, r->stream.len, 0), st.st_size);
}

static int setup(void **state)
{
	struct rig *r = xnew(struct rig);

	strcpy(r->dir, "/tmp/hostel-snap-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->fd = open(r->dir, O_RDONLY | O_DIRECTORY);
	make_sample(r->fd);
	write_stream(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	str_done(&r->stream);
	close(r->fd);
	assert_ok(path_remove(r->dir));
	free(r);
	return 0;
}

struct memory {
	const char *at;
	size_t left;
};

static struct err *from_memory(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct memory *m = arg;
	size_t n = m->left < size ? m->left : size;

	n = n < 1000 ? n : 1000;
	memcpy(buf, m->at, n);
	m->at += n;
	m->left -= n;
	*ret_n = n;
	return NULL;
}

static struct err *read_to(struct rig *r, const char *name, size_t len, char digest[SNAP_HEX])
{
	struct memory m = { r->stream.buf, len };

	return snap_stream_read((struct source) { from_memory, &m }, r->fd, name, NULL, digest);
}

static void digest_of_tree(struct rig *r, const char *name, char ret[SNAP_HEX])
{
	OWN(fd) int fd = openat(r->fd, name, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_ok(snap_stream_write(fd, -1, NULL, ret, NULL));
}

/* Names, times, holes and all: what is there is what was read. */
static void check_copy(struct rig *r, const char *name)
{
	OWN(fd) int fd = openat(r->fd, name, O_RDONLY | O_DIRECTORY);
	char digest[SNAP_HEX], target[32] = "";
	struct stat a, b;

	digest_of_tree(r, name, digest);
	assert_string_equal(digest, r->digest);
	assert_int_equal(fstatat(fd, "b/sparse", &a, 0), 0);
	assert_int_equal(fstatat(fd, "c-again", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_size, 2 << 20);
	assert_true(a.st_blocks * 512 < 1 << 20);
	assert_int_equal(a.st_mtim.tv_sec, 1000);
	assert_int_equal(a.st_mode & 07777, 0640);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(a.st_mtim.tv_sec, 2000);
	assert_true(readlinkat(fd, "a-link", target, sizeof(target) - 1) > 0);
	assert_string_equal(target, "/nowhere");
	assert_int_equal(fstatat(fd, "pipe", &a, 0), 0);
	assert_true(S_ISFIFO(a.st_mode));
}

static void a_stream_makes_the_tree_again(void **state)
{
	struct rig *r = *state;
	char digest[SNAP_HEX];

	assert_ok(read_to(r, "to", r->stream.len, digest));
	assert_string_equal(digest, r->digest);
	check_copy(r, "to");
	/* One top, and an end */
	assert_int_equal(r->stream.buf[0], 'D');
	assert_int_equal(r->stream.buf[r->stream.len - SNAP_HEX], 'E');
}

static void a_copy_is_the_same_tree(void **state)
{
	struct rig *r = *state;
	OWN(fd) int from = openat(r->fd, "from", O_RDONLY | O_DIRECTORY);

	assert_ok(snap_copy(from, r->fd, "copy", NULL));
	check_copy(r, "copy");
}

static void a_file_alone_is_a_tree_too(void **state)
{
	struct rig *r = *state;
	OWN(fd) int from = openat(r->fd, "from/b/sparse", O_RDONLY);
	struct stat st;

	assert_ok(snap_copy(from, r->fd, "alone", NULL));
	assert_int_equal(fstatat(r->fd, "alone", &st, 0), 0);
	assert_int_equal(st.st_size, 2 << 20);
}

static void a_changed_or_cut_stream_is_refused(void **state)
{
	struct rig *r = *state;
	char digest[SNAP_HEX], name[16];
	int n = 0;

	for (size_t k = 0; k < r->stream.len; k += k < 400 ? 1 : 4099) {
		OWN(err) struct err *err = NULL;

		r->stream.buf[k] ^= 4;
		snprintf(name, sizeof(name), "bad%d", n++);
		err = read_to(r, name, r->stream.len, digest);
		if (!err)
			fail_msg("byte %zu", k);
		r->stream.buf[k] ^= 4;
		snprintf(name, sizeof(name), "cut%d", n++);
		assert_err(read_to(r, name, k, digest), ERR_CORRUPT);
	}
}

/* Names that lead out of the folder, before anything is made by them. */
static void a_name_that_leads_out_is_refused(void **state)
{
	struct rig *r = *state;
	static const char *const names[] = { "..", ".", "a/b", "" };
	char digest[SNAP_HEX], where[16];

	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		struct str s = { 0 };
		struct memory m;
		unsigned char zeros[48] = { 0 };

		str_add(&s, "D\0\0", 3);
		zeros[1] = 0x41; /* S_IFDIR | 0700 */
		zeros[0] = 0xc0;
		str_add(&s, zeros, sizeof(zeros));
		str_add(&s, "D", 1);
		str_add(&s, (unsigned char[]) { (unsigned char)strlen(names[k]), 0 }, 2);
		str_adds(&s, names[k]);
		str_add(&s, zeros, sizeof(zeros));
		m = (struct memory) { s.buf, s.len };
		snprintf(where, sizeof(where), "out%zu", k);
		assert_err(snap_stream_read((struct source) { from_memory, &m }, r->fd, where, NULL,
					    digest),
			   ERR_CORRUPT);
		str_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stream_makes_the_tree_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copy_is_the_same_tree, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_alone_is_a_tree_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_or_cut_stream_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_name_that_leads_out_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
