/* SPDX-License-Identifier: Apache-2.0 */
#include "tar/stream.h"

#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/* Bytes in memory, as sink and as source; a source gives a few at a time. */
struct memory {
	struct str bytes;
	size_t at, end; /* end: cut here; 0: at the end */
};

static void own_memory_release(struct memory *m)
{
	str_done(&m->bytes);
}

static struct err *to_memory(void *arg, const void *data, size_t n)
{
	struct memory *m = arg;

	str_add(&m->bytes, data, n);
	return NULL;
}

static struct err *from_memory(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct memory *m = arg;
	size_t end = m->end ? m->end : m->bytes.len, n = end - m->at;

	n = n < size ? n : size;
	n = n < 1000 ? n : 1000;
	memcpy(buf, m->bytes.buf + m->at, n);
	m->at += n;
	*ret_n = n;
	return NULL;
}

static struct tar_writer *writer_to(struct memory *m)
{
	return tar_stream_writer_new((struct tar_sink) { to_memory, m });
}

static struct tar_reader *reader_from(struct memory *m)
{
	m->at = 0;
	return tar_stream_reader_new((struct source) { from_memory, m });
}

/* A file of 200 KB with a hole in its middle and an attribute, and a link to it. */
static void write_sample(struct memory *m)
{
	static const char content[100000] = { 'a', [99999] = 'z' };
	const struct tar_xattr x = { "user.colour", "re\0d", 4 };
	const struct tar_range ranges[] = { { 0, 100000 }, { 200000, 5 } };
	OWN(tar_writer) struct tar_writer *w = writer_to(m);

	assert_ok(tar_writer_put(
	    w,
	    &(struct tar_entry) { .name = "d/\xc3\xa4\xff",
				  .type = TAR_FILE,
				  .mode = 04755,
				  .uid = 1000,
				  .gid = 4000000000u,
				  .size = 200005,
				  .mtime_ns = -1500000001 },
	    &(struct tar_more) { .xattrs = &x, .n_xattrs = 1, .ranges = ranges, .n_ranges = 2 }));
	assert_ok(tar_writer_block(w, content, sizeof(content), 0));
	assert_ok(tar_writer_block(w, "after", 5, 200000));
	assert_ok(tar_writer_entry(
	    w,
	    &(struct tar_entry) { .name = "l", .type = TAR_HARDLINK, .link = "d/\xc3\xa4\xff" }));
	assert_ok(tar_writer_entry(
	    w, &(struct tar_entry) {
		   .name = "null", .type = TAR_CHAR, .mode = 0666, .rdev = makedev(1, 3) }));
	assert_ok(tar_writer_finish(w));
}

static void check_file(struct tar_reader *r, const struct tar_entry *e)
{
	const char *name;
	const void *data;
	size_t n, sum = 0;
	int64_t offset;
	struct tar_range range;

	assert_string_equal(e->name, "d/\xc3\xa4\xff");
	assert_int_equal(e->type, TAR_FILE);
	assert_int_equal(e->mode, 04755);
	assert_int_equal(e->uid, 1000);
	assert_true(e->gid == 4000000000u);
	assert_int_equal(e->size, 200005);
	assert_int_equal(e->mtime_ns, -1500000001);
	assert_true(tar_reader_xattr(r, &name, &data, &n));
	assert_string_equal(name, "user.colour");
	assert_int_equal(n, 4);
	assert_memory_equal(data, "re\0d", 4);
	assert_false(tar_reader_xattr(r, &name, &data, &n));
	assert_true(tar_reader_range(r, &range) && range.offset == 0 && range.len == 100000);
	assert_true(tar_reader_range(r, &range) && range.offset == 200000 && range.len == 5);
	assert_false(tar_reader_range(r, &range));
	for (;;) {
		assert_ok(tar_reader_block(r, &data, &n, &offset));
		if (!n)
			break;
		sum += n;
		if (offset == 200000)
			assert_memory_equal(data, "after", 5);
	}
	assert_int_equal(sum, 100005);
}

static void what_is_written_is_read(void **state)
{
	OWN(memory) struct memory m = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	const struct tar_entry *e;

	(void)state;
	write_sample(&m);
	r = reader_from(&m);
	assert_ok(tar_reader_next(r, &e));
	check_file(r, e);
	assert_ok(tar_reader_next(r, &e));
	assert_int_equal(e->type, TAR_HARDLINK);
	assert_string_equal(e->link, "d/\xc3\xa4\xff");
	assert_ok(tar_reader_next(r, &e));
	assert_int_equal(e->rdev, makedev(1, 3));
	assert_ok(tar_reader_next(r, &e));
	assert_null(e);
	assert_ok(tar_reader_next(r, &e));
	assert_null(e);
}

static void unread_data_are_skipped(void **state)
{
	OWN(memory) struct memory m = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	const struct tar_entry *e;

	(void)state;
	write_sample(&m);
	r = reader_from(&m);
	assert_ok(tar_reader_next(r, &e));
	assert_ok(tar_reader_next(r, &e));
	assert_string_equal(e->name, "l");
}

static struct err *read_all(struct memory *m)
{
	OWN(tar_reader) struct tar_reader *r = reader_from(m);
	const struct tar_entry *e;
	const void *data;
	int64_t offset;
	size_t n;

	for (;;) {
		TRY(tar_reader_next(r, &e));
		if (!e)
			return NULL;
		do
			TRY(tar_reader_block(r, &data, &n, &offset));
		while (n);
	}
}

static void a_stream_that_is_cut_anywhere_is_an_error(void **state)
{
	OWN(memory) struct memory m = { 0 };

	(void)state;
	write_sample(&m);
	assert_ok(read_all(&m));
	for (m.end = 1; m.end < m.bytes.len; m.end += m.end < 200 ? 1 : 777)
		assert_err(read_all(&m), ERR_CORRUPT);
}

static void words_among_entries_end_it_and_can_be_read(void **state)
{
	OWN(memory) struct memory m = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	struct tar_sink sink = { to_memory, &m };
	const struct tar_entry *e;
	size_t n = 0;

	(void)state;
	assert_ok(tar_stream_put(&sink, TAR_TEXT, "{}", 2));
	r = reader_from(&m);
	assert_null(tar_stream_text(r, &n));
	assert_err(tar_reader_next(r, &e), ERR_CORRUPT);
	assert_memory_equal(tar_stream_text(r, &n), "{}", 2);
	assert_int_equal(n, 2);
}

/* One byte of the sample's first entry, changed to another value. */
static void entries_that_make_no_sense_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ 0, 0 },              /* kind */
		{ 7, 0x7f },           /* length of the record */
		{ 8, TAR_OTHER },      /* type */
		{ 8, TAR_SYMLINK },    /* a link without a target */
		{ 8 + 28, 0xff },      /* negative size */
		{ 8 + 29 + 8, 0xff },  /* length of the name */
		{ 8 + 29 + 8 + 4, 0 }, /* NUL in the name */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(memory) struct memory m = { 0 };

		write_sample(&m);
		m.bytes.buf[bad[i].at] = (char)bad[i].value;
		assert_err(read_all(&m), ERR_CORRUPT);
	}
}

static void data_beyond_the_file_are_refused(void **state)
{
	static const struct {
		int64_t first, second;
	} bad[] = { { 8, 0 }, { -1, 0 }, { 0, 2 }, { 0, 7 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(memory) struct memory m = { 0 };
		OWN(tar_writer) struct tar_writer *w = writer_to(&m);

		assert_ok(tar_writer_entry(
		    w, &(struct tar_entry) { .name = "f", .type = TAR_FILE, .size = 10 }));
		assert_ok(tar_writer_block(w, "four", 4, bad[i].first));
		assert_ok(tar_writer_block(w, "four", 4, bad[i].second));
		assert_ok(tar_writer_finish(w));
		assert_err(read_all(&m), ERR_CORRUPT);
	}
}

/* ---- a real tree, through the stream and through libarchive ---- */

static void make_tree(int dir)
{
	OWN(fd) int fd = -1;

	assert_int_equal(mkdirat(dir, "in", 0751), 0);
	assert_int_equal(mkdirat(dir, "out", 0755), 0);
	fd = openat(dir, "in/sparse", O_RDWR | O_CREAT, 0640);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "end", 3, 4 << 20), 3);
	assert_int_equal(fsetxattr(fd, "user.x", "y", 1, 0), 0);
	assert_int_equal(linkat(dir, "in/sparse", dir, "in/second", 0), 0);
	assert_int_equal(symlinkat("sparse/../x", dir, "in/link"), 0);
	assert_int_equal(mkdirat(dir, "in/sub", 01755), 0);
	assert_ok(fd_write_file(dir, "in/sub/new\nline \xff", "text", 4, 0600));
}

static void pack_into(struct memory *m, int dir)
{
	OWN(tar_writer) struct tar_writer *w = writer_to(m);

	assert_ok(tar_pack(w, dir, "in", "in"));
	assert_ok(tar_writer_finish(w));
}

static void check_copy(int dir)
{
	struct stat a, b;
	char text[8] = "";
	OWN(fd) int fd = openat(dir, "out/in/sparse", O_RDONLY);

	assert_int_equal(fstatat(dir, "out/in/sparse", &a, 0), 0);
	assert_int_equal(fstatat(dir, "out/in/second", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_size, (4 << 20) + 3);
	assert_true(a.st_blocks * 512 < 1 << 20);
	assert_int_equal(a.st_mode & 07777, 0640);
	assert_int_equal(pread(fd, text, 8, 4 << 20), 3);
	assert_memory_equal(text, "end", 3);
	assert_int_equal(fgetxattr(fd, "user.x", text, 8), 1);
	assert_int_equal(readlinkat(dir, "out/in/link", text, 8), 8);
	assert_int_equal(fstatat(dir, "out/in/sub", &a, 0), 0);
	assert_int_equal(a.st_mode & 07777, 01755);
	assert_int_equal(faccessat(dir, "out/in/sub/new\nline \xff", R_OK, 0), 0);
}

static void a_tree_survives_the_stream(void **state)
{
	char name[] = "/var/tmp/stream-XXXXXX";
	OWN(memory) struct memory m = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	OWN(fd) int dir = -1;
	OWN(mem) char *command = NULL;
	struct tar_extract x = { .into = "out", .same_owner = true };

	(void)state;
	assert_non_null(mkdtemp(name));
	command = xasprintf("rm -rf %s", name);
	dir = open(name, O_RDONLY | O_DIRECTORY);
	make_tree(dir);
	pack_into(&m, dir);
	assert_true(m.bytes.len < 100000); /* the hole stays a hole */
	r = reader_from(&m);
	x.root_fd = dir;
	assert_ok(tar_extract_from(&x, r, NULL));
	check_copy(dir);
	assert_int_equal(system(command), 0);
}

/* What a container's get is, and what a VM's get is: the same bytes. */
static void an_archive_by_way_of_the_stream_is_the_same(void **state)
{
	char name[] = "/var/tmp/stream-XXXXXX";
	OWN(memory) struct memory m = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	OWN(mem) char *command = NULL;
	OWN(fd) int dir = -1;
	OWN(fd) int direct = -1;
	OWN(fd) int relayed = -1;
	OWN(tar_writer) struct tar_writer *a = NULL;
	OWN(tar_writer) struct tar_writer *b = NULL;

	(void)state;
	assert_non_null(mkdtemp(name));
	command = xasprintf("cmp %s/direct %s/relayed && rm -rf %s", name, name, name);
	dir = open(name, O_RDONLY | O_DIRECTORY);
	make_tree(dir);
	direct = openat(dir, "direct", O_RDWR | O_CREAT, 0600);
	relayed = openat(dir, "relayed", O_RDWR | O_CREAT, 0600);
	assert_ok(tar_writer_new(direct, &a));
	assert_ok(tar_pack(a, dir, "in", "in"));
	assert_ok(tar_writer_finish(a));
	pack_into(&m, dir);
	r = reader_from(&m);
	assert_ok(tar_writer_new(relayed, &b));
	assert_ok(tar_relay(r, b, NULL, NULL));
	assert_ok(tar_writer_finish(b));
	assert_true(lseek(direct, 0, SEEK_END) > 0);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(unread_data_are_skipped),
		cmocka_unit_test(a_stream_that_is_cut_anywhere_is_an_error),
		cmocka_unit_test(words_among_entries_end_it_and_can_be_read),
		cmocka_unit_test(entries_that_make_no_sense_are_refused),
		cmocka_unit_test(data_beyond_the_file_are_refused),
		cmocka_unit_test(a_tree_survives_the_stream),
		cmocka_unit_test(an_archive_by_way_of_the_stream_is_the_same),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
