/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/log_read.h"
#include "shim/log_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/proto.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

#define WHEN INT64_C(1767323045000000000)

struct fixture {
	char dir[64];
	struct log_writer *w;
};

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);

	snprintf(f->dir, sizeof(f->dir), "/tmp/hostel-log-test-XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *command = xasprintf("rm -r %s", f->dir);

	log_writer_free(f->w);
	free(f);
	return system(command);
}

static void open_writer(struct fixture *f, int64_t max_bytes, int max_files)
{
	assert_ok(log_writer_new(
	    &(struct log_config) { .dir = f->dir, .max_bytes = max_bytes, .max_files = max_files },
	    &f->w));
}

static void put(struct fixture *f, const char *text)
{
	log_writer_put(f->w, SHIM_STDOUT, text, strlen(text), WHEN);
}

/* All texts that a query gives, joined by '|'. */
static char *texts(const struct fixture *f, struct log_query q)
{
	OWN(log_reader) struct log_reader *r = NULL;
	struct str s = { 0 };
	struct entry e;

	assert_ok(log_reader_new(f->dir, &q, &r));
	while (log_reader_next(r, &e) == LOG_ENTRY) {
		if (s.len)
			str_adds(&s, "|");
		str_add(&s, e.text, e.len);
	}
	return str_take(&s);
}

static void assert_texts(const struct fixture *f, struct log_query q, const char *want)
{
	OWN(mem) char *got = texts(f, q);

	assert_string_equal(got, want);
}

static const struct log_query all = { .tail = -1 };

static void lines_are_put_together_and_parts_wait(void **state)
{
	struct fixture *f = *state;
	size_t len;

	open_writer(f, 0, 3);
	put(f, "one\ntw");
	assert_texts(f, all, "one\n");
	assert_memory_equal(log_writer_pending(f->w, SHIM_STDOUT, &len), "tw", 2);
	assert_int_equal(len, 2);
	log_writer_pending(f->w, SHIM_STDERR, &len);
	assert_int_equal(len, 0);
	put(f, "o\n\nthree");
	assert_texts(f, all, "one\n|two\n|\n");
	log_writer_end(f->w, SHIM_STDOUT, WHEN);
	assert_texts(f, all, "one\n|two\n|\n|three");
}

static void long_lines_are_split_at_16_kib_between_characters(void **state)
{
	struct fixture *f = *state;
	OWN(log_reader) struct log_reader *r = NULL;
	OWN(mem) char *text = xcalloc(1, 50000);
	struct entry e;
	size_t total = 0;

	open_writer(f, 0, 3);
	for (int i = 0; i < 49998; i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	text[49998] = '\n';
	for (size_t at = 0; at < 49999; at += 1000) /* in pieces that cut characters */
		log_writer_put(f->w, SHIM_STDOUT, text + at, at + 1000 > 49999 ? 999 : 1000, WHEN);
	assert_ok(log_reader_new(f->dir, &all, &r));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_reader_next(r, &e), LOG_ENTRY);
		assert_true(e.len <= ENTRY_TEXT_MAX);
		assert_int_equal(e.len % 3, i < 3 ? 0 : 1); /* the last one has the \n */
		assert_memory_equal(e.text, text + total, e.len);
		total += e.len;
	}
	assert_int_equal(total, 49999);
	assert_int_equal(log_reader_next(r, &e), LOG_END);
}

static void files_are_rotated_by_size_and_the_oldest_goes(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *got = NULL;
	char line[16];
	struct stat st;

	open_writer(f, 1000, 3);
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		put(f, line);
	}
	for (int i = 0; i < 4; i++) {
		OWN(mem)
		char *path =
		    i ? xasprintf("%s/json.log.%d", f->dir, i) : xasprintf("%s/json.log", f->dir);

		assert_int_equal(stat(path, &st), i < 3 ? 0 : -1);
		if (i < 3)
			assert_in_range(st.st_size, 1, 1000);
	}
	/* 80 bytes each and so 12 in a file: two full files and the rest are left. */
	assert_texts(f, (struct log_query) { .tail = 2 }, "line 38\n|line 39\n");
	got = texts(f, all);
	assert_memory_equal(got, "line 12\n|line 13\n|", 18);
}

static void one_file_alone_is_emptied(void **state)
{
	struct fixture *f = *state;

	open_writer(f, 300, 1);
	for (int i = 0; i < 4; i++)
		put(f, "0123456789\n");
	assert_texts(f, all, "0123456789\n");
}

static void a_batch_larger_than_a_file_keeps_its_order(void **state)
{
	struct fixture *f = *state;
	OWN(str) struct str s = { 0 };
	OWN(mem) char *got = NULL;
	OWN(str) struct str want = { 0 };

	open_writer(f, 4000, 10);
	for (int i = 0; i < 200; i++) {
		str_addf(&s, "n%d\n", i);
		str_addf(&want, i ? "|n%d\n" : "n%d\n", i);
	}
	put(f, s.buf);
	got = texts(f, all);
	assert_string_equal(got, want.buf);
}

static void tail_since_and_until_choose(void **state)
{
	struct fixture *f = *state;

	open_writer(f, 400, 10);
	for (int i = 0; i < 12; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d\n", i);
		log_writer_put(f->w, SHIM_STDOUT, line, strlen(line), WHEN + i);
	}
	assert_texts(f, (struct log_query) { .tail = 0 }, "");
	assert_texts(f, (struct log_query) { .tail = 1 }, "11\n");
	assert_texts(f, (struct log_query) { .tail = 7 }, "5\n|6\n|7\n|8\n|9\n|10\n|11\n");
	for (int64_t n = 12; n < 15; n++)
		assert_texts(f, (struct log_query) { .tail = n },
			     "0\n|1\n|2\n|3\n|4\n|5\n|6\n|7\n|8\n|9\n|10\n|11\n");
	assert_texts(f, (struct log_query) { .tail = -1, .since_ns = WHEN + 10 }, "10\n|11\n");
	assert_texts(f, (struct log_query) { .tail = -1, .until_ns = WHEN + 1 }, "0\n|1\n");
	assert_texts(
	    f, (struct log_query) { .tail = 3, .since_ns = WHEN + 2, .until_ns = WHEN + 9 }, "9\n");
}

static void a_reader_follows_through_rotations(void **state)
{
	struct fixture *f = *state;
	OWN(log_reader) struct log_reader *r = NULL;
	struct entry e;
	int seen = 0;

	assert_ok(log_reader_new(f->dir, &all, &r)); /* before there is any log */
	assert_int_equal(log_reader_next(r, &e), LOG_END);
	open_writer(f, 500, 4);
	for (int i = 0; i < 100; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%d\n", i);
		put(f, line);
		if (i % 7 != 3) /* never so late that a file is gone */
			continue;
		while (log_reader_next(r, &e) == LOG_ENTRY)
			assert_int_equal(atoi(e.text), seen++);
		assert_int_equal(seen, i + 1);
	}
}

static void a_reader_of_the_end_sees_what_comes(void **state)
{
	struct fixture *f = *state;
	OWN(log_reader) struct log_reader *r = NULL;
	struct entry e;

	open_writer(f, 0, 1);
	put(f, "old\n");
	assert_ok(log_reader_new(f->dir, &(struct log_query) { .tail = 0 }, &r));
	assert_int_equal(log_reader_next(r, &e), LOG_END);
	put(f, "new\n");
	assert_int_equal(log_reader_next(r, &e), LOG_ENTRY);
	assert_memory_equal(e.text, "new\n", 4);
}

static void a_log_that_was_cut_is_read_around_the_damage(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *path = xasprintf("%s/json.log", f->dir);
	int fd;

	open_writer(f, 0, 3);
	put(f, "one\n");
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"log\":\"half\n", 13), 13);
	for (int i = 0; i < 5; i++) { /* longer than any entry */
		OWN(mem) char *junk = xcalloc(1, 100000);

		memset(junk, 'x', 100000);
		assert_int_equal(write(fd, junk, 100000), 100000);
	}
	assert_int_equal(write(fd, "\n", 1), 1);
	close(fd);
	put(f, "two\n");
	assert_texts(f, all, "one\n|two\n");
}

static void a_log_goes_on_in_its_file(void **state)
{
	struct fixture *f = *state;

	open_writer(f, 0, 3);
	put(f, "first run\n");
	log_writer_free(TAKE(f->w));
	open_writer(f, 0, 3);
	put(f, "second run\n");
	assert_texts(f, all, "first run\n|second run\n");
}

static void a_full_disk_drops_whole_entries_only(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *path = xasprintf("%s/json.log", f->dir);

	assert_int_equal(symlink("/dev/full", path), 0);
	open_writer(f, 0, 3);
	put(f, "lost\n"); /* and nothing happens to us */
	put(f, "lost too\n");
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(lines_are_put_together_and_parts_wait),
		T(long_lines_are_split_at_16_kib_between_characters),
		T(files_are_rotated_by_size_and_the_oldest_goes),
		T(one_file_alone_is_emptied),
		T(a_batch_larger_than_a_file_keeps_its_order),
		T(tail_since_and_until_choose),
		T(a_reader_follows_through_rotations),
		T(a_reader_of_the_end_sees_what_comes),
		T(a_log_that_was_cut_is_read_around_the_damage),
		T(a_log_goes_on_in_its_file),
		T(a_full_disk_drops_whole_entries_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
