/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/split.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/test.h"

#define PAGE   4096
#define N_OURS 8

static void num(struct str *s, size_t bytes, uint64_t v)
{
	while (bytes--) {
		uint8_t b = (uint8_t)(v >> 8 * bytes);

		str_add(s, &b, 1);
	}
}

static void name(struct str *s, const char *text)
{
	num(s, 1, strlen(text));
	str_adds(s, text);
}

static void header(struct str *s)
{
	str_adds(s, "QEVM");
	num(s, 4, 3);
	num(s, 1, 7); /* configuration */
	num(s, 4, 11);
	str_adds(s, "pc-q35-7.2x");
}

static void begin(struct str *s, int type, const char *id)
{
	num(s, 1, (uint64_t)type);
	num(s, 4, 2);
	if (!id)
		return;
	name(s, id);
	num(s, 4, 0);
	num(s, 4, 4);
}

static void end(struct str *s)
{
	num(s, 8, 0x10);
	num(s, 1, 0x7e);
	num(s, 4, 2);
}

/* @block: NULL: the one of the page before */
static void page(struct str *s, const char *block, uint64_t at, int fill)
{
	char bytes[PAGE];

	num(s, 8, at | (fill ? 8 : 2) | (block ? 0 : 0x20));
	if (block)
		name(s, block);
	memset(bytes, fill, sizeof(bytes));
	str_add(s, bytes, fill ? PAGE : 1);
}

static void sizes(struct str *s)
{
	begin(s, 1, "ram");
	num(s, 8, (N_OURS + 2) * PAGE | 4);
	name(s, "pc.ram");
	num(s, 8, N_OURS * PAGE);
	name(s, "rom");
	num(s, 8, 2 * PAGE);
	end(s);
}

static void devices(struct str *s)
{
	str_adds(s, "\4the devices, as they are");
}

/* What a stream must become. */
static void whole(struct str *in, struct str *out)
{
	header(in);
	sizes(in);
	begin(in, 2, NULL);
	page(in, "pc.ram", 0, 'a');
	page(in, NULL, PAGE, 'b');
	page(in, NULL, 5 * PAGE, 'c');
	page(in, NULL, 6 * PAGE, 0);
	page(in, "rom", 0, 'r');
	page(in, NULL, PAGE, 0);
	page(in, "pc.ram", 7 * PAGE, 'd');
	end(in);
	begin(in, 3, NULL);
	page(in, "pc.ram", PAGE, 0); /* sent before, and zero now */
	page(in, NULL, 0, 'e');
	end(in);
	devices(in);

	header(out);
	sizes(out);
	begin(out, 2, NULL);
	page(out, "rom", 0, 'r');
	page(out, NULL, PAGE, 0);
	end(out);
	begin(out, 3, NULL);
	end(out);
	devices(out);
}

struct files {
	int in, stream, memory;
};

static struct files files_of(const void *data, size_t n)
{
	struct files f = { memfd_create("in", 0), memfd_create("stream", 0),
			   memfd_create("memory", 0) };

	assert_ok(fd_write_all(f.in, data, n));
	assert_int_equal(lseek(f.in, 0, SEEK_SET), 0);
	return f;
}

static void close_files(struct files *f)
{
	close(f->in);
	close(f->stream);
	close(f->memory);
}

static struct err *run(const struct files *f, struct split_counts *ret)
{
	const struct split s = { .from = f->in,
				 .stream = f->stream,
				 .memory = f->memory,
				 .block = "pc.ram",
				 .block_bytes = N_OURS * PAGE };

	return split_stream(&s, ret);
}

static void memory_is_taken_out_and_the_rest_stays_as_it_is(void **state)
{
	static const char want[N_OURS] = { 'e', 0, 0, 0, 0, 'c', 0, 'd' };
	OWN(str) struct str in = { 0 };
	OWN(str) struct str out = { 0 };
	struct split_counts counts;
	struct files f;
	struct stat st;
	OWN(mem) char *got = NULL;

	whole(&in, &out);
	f = files_of(in.buf, in.len);
	assert_ok(run(&f, &counts));
	assert_int_equal(counts.stream_bytes, out.len);
	assert_int_equal(counts.memory_bytes, 6 * PAGE);
	got = xcalloc(1, out.len + 1);
	assert_int_equal(pread(f.stream, got, out.len + 1, 0), out.len);
	assert_memory_equal(got, out.buf, out.len);
	assert_int_equal(fstat(f.memory, &st), 0);
	assert_int_equal(st.st_size, N_OURS * PAGE);
	for (int i = 0; i < N_OURS; i++) {
		char first, last;

		assert_int_equal(pread(f.memory, &first, 1, i * PAGE), 1);
		assert_int_equal(pread(f.memory, &last, 1, i * PAGE + PAGE - 1), 1);
		assert_int_equal(first, want[i]);
		assert_int_equal(last, want[i]);
	}
	close_files(&f);
}

static void a_stream_that_ends_too_early_is_refused_wherever(void **state)
{
	OWN(str) struct str in = { 0 };
	OWN(str) struct str out = { 0 };
	struct split_counts counts;

	whole(&in, &out);
	for (size_t n = 0; n + strlen("\4the devices, as they are") < in.len;
	     n += n < 300 ? 1 : 997) {
		struct files f = files_of(in.buf, n);

		assert_err(run(&f, &counts), ERR_CORRUPT);
		close_files(&f);
	}
}

static void bad_magic(struct str *s)
{
	str_adds(s, "QEVX");
	num(s, 4, 3);
}

static void other_section(struct str *s)
{
	header(s);
	begin(s, 1, "block");
}

static void other_type(struct str *s)
{
	header(s);
	num(s, 1, 8);
}

static void compressed(struct str *s)
{
	header(s);
	sizes(s);
	begin(s, 2, NULL);
	num(s, 8, 0x100);
}

static void no_kind(struct str *s)
{
	header(s);
	sizes(s);
	begin(s, 2, NULL);
	num(s, 8, 0x20);
}

static void outside(struct str *s)
{
	header(s);
	sizes(s);
	begin(s, 2, NULL);
	page(s, "pc.ram", N_OURS * PAGE, 'x');
}

static void far_outside(struct str *s)
{
	header(s);
	sizes(s);
	begin(s, 2, NULL);
	page(s, "pc.ram", UINT64_MAX - PAGE + 1, 'x');
}

static void other_memory(struct str *s)
{
	header(s);
	begin(s, 1, "ram");
	num(s, 8, PAGE | 4);
	name(s, "other");
	num(s, 8, PAGE);
}

static void wrong_sum(struct str *s)
{
	header(s);
	begin(s, 1, "ram");
	num(s, 8, PAGE | 4);
	name(s, "pc.ram");
	num(s, 8, N_OURS * PAGE);
}

static void no_footer(struct str *s)
{
	header(s);
	begin(s, 1, "ram");
	num(s, 8, 0x10);
	num(s, 1, 0x7d);
}

static void what_this_does_not_know_is_refused(void **state)
{
	static const struct {
		void (*make)(struct str *s);
		enum err_kind kind;
	} rows[] = {
		{ bad_magic, ERR_CORRUPT },      { other_section, ERR_UNSUPPORTED },
		{ other_type, ERR_UNSUPPORTED }, { compressed, ERR_UNSUPPORTED },
		{ no_kind, ERR_CORRUPT },        { outside, ERR_CORRUPT },
		{ far_outside, ERR_CORRUPT },    { other_memory, ERR_UNSUPPORTED },
		{ wrong_sum, ERR_CORRUPT },      { no_footer, ERR_CORRUPT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWN(str) struct str in = { 0 };
		struct split_counts counts;
		struct files f;

		rows[i].make(&in);
		for (int k = 0; k < 64; k++)
			num(&in, 8, 0);
		f = files_of(in.buf, in.len);
		assert_err(run(&f, &counts), rows[i].kind);
		close_files(&f);
	}
}

static void what_cannot_be_written_is_said(void **state)
{
	OWN(str) struct str in = { 0 };
	OWN(str) struct str out = { 0 };
	struct split_counts counts;
	struct files f;

	whole(&in, &out);
	f = files_of(in.buf, in.len);
	close(f.stream);
	f.stream = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(f.stream >= 0);
	{
		OWN(err) struct err *e = run(&f, &counts);

		assert_non_null(e);
		assert_non_null(strstr(err_text(e), "No space left on device"));
	}
	close_files(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_taken_out_and_the_rest_stays_as_it_is),
		cmocka_unit_test(a_stream_that_ends_too_early_is_refused_wherever),
		cmocka_unit_test(what_this_does_not_know_is_refused),
		cmocka_unit_test(what_cannot_be_written_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
