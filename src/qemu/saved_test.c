/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/saved.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static const char base[] = "{\"machine\":\"q35\",\"accel\":\"tcg\",\"cpu\":\"max\",\"vcpus\":2,"
			   "\"memory_bytes\":268435456,\"tsc_khz\":2000000,"
			   "\"devices\":[\"-m 256M\",\"-device a\"]}";

static json_t *parse(const char *text)
{
	json_t *j;

	assert_ok(jx_parse(text, strlen(text), &j));
	return j;
}

static void what_differs_is_named(void **state)
{
	static const struct {
		const char *change; /* on the side that restores */
		const char *text;   /* NULL: it may */
	} rows[] = {
		{ "{}", NULL },
		{ "{\"tsc_khz\":2001999}", NULL }, /* measured again */
		{ "{\"tsc_khz\":0}", NULL },
		{ "{\"tsc_khz\":2100000}", "its state was saved with a TSC rate in kHz of 2000000, "
					   "and this start has 2100000" },
		{ "{\"machine\":\"microvm\"}",
		  "its state was saved with the machine type q35, and this start has microvm" },
		{ "{\"accel\":\"kvm\"}",
		  "its state was saved with the accelerator tcg, and this start has kvm" },
		{ "{\"cpu\":\"EPYC\"}",
		  "its state was saved with the processor max, and this start has EPYC" },
		{ "{\"vcpus\":1}",
		  "its state was saved with a number of processors of 2, and this start has 1" },
		{ "{\"memory_bytes\":1}",
		  "its state was saved with memory in bytes of 268435456, and this start has 1" },
		{ "{\"devices\":[\"-m 256M\",\"-device b\"]}",
		  "its state was saved with the device -device a, and this start has -device b" },
		{ "{\"devices\":[\"-m 256M\"]}",
		  "its state was saved with the device -device a, and this start has (none)" },
		{ "{\"devices\":[\"-m 256M\",\"-device a\",\"-device c\"]}",
		  "its state was saved with the device (none), and this start has -device c" },
	};
	OWN(json) json_t *saved = parse(base);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OWN(json) json_t *now = parse(base);
		OWN(json) json_t *change = parse(rows[i].change);
		OWN(err) struct err *e = NULL;

		json_object_update(now, change);
		e = saved_check(saved, now);
		assert_string_equal(e ? err_text(e) : "", rows[i].text ? rows[i].text : "");
	}
}

static const char plan_text[] =
    "{\"version\":1,\"id\":\"%s\",\"name\":\"web\",\"host\":{\"net\":{\"mode\":\"bridge\","
    "\"mac\":\"%s\"},\"vm\":{\"memory_bytes\":4194304,\"kernel\":\"/k\",\"initrd\":\"/i\","
    "\"agent\":true,\"complete\":true}}}";

static json_t *plan_of(const char *id, const char *mac)
{
	OWN(mem) char *text = xasprintf(plan_text, id, mac);

	return parse(text);
}

/* The shortest stream that has the memory. */
static const char stream[] = "QEVM\0\0\0\3"
			     "\1\0\0\0\2\3ram\0\0\0\0\0\0\0\4"
			     "\0\0\0\0\0\x40\0\4\6pc.ram\0\0\0\0\0\x40\0\0"
			     "\0\0\0\0\0\0\0\x10\x7e\0\0\0\2"
			     "\4rest";

static void what_was_saved_is_read_again(void **state)
{
	char dir[] = "/tmp/hostel-saved-XXXXXX";
	OWN(json) json_t *plan = plan_of("a", "02:42:00:00:00:01");
	OWN(json) json_t *other = plan_of("b", "02:42:00:00:00:02");
	OWN(mem) char *path = NULL;
	OWN(mem) char *rm = NULL;
	OWN(str) struct str unread = { 0 };
	OWN(str) struct str unsent = { 0 };
	struct saved_state got;
	struct saving s = { .unread = "\0\xff",
			    .unsent = "abc",
			    .state = { .qemu = 7002,
				       .last_id = 9,
				       .has_stdin = 1,
				       .in = { .may = 5 },
				       .out = { .may = 6, .owed = 7 },
				       .err = { .may = 8, .is_ended = 1 },
				       .n_execs = 2,
				       .execs = { 3, 9 },
				       .n_unread = 2,
				       .n_unsent = 3 } };
	struct stat st;
	int pipe_fds[2];

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/plan.json", dir);
	assert_ok(jx_save(AT_FDCWD, path, plan, 0600));
	s.state_dir = dir;
	s.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_ok(fd_write_all(pipe_fds[1], stream, sizeof(stream) - 1));
	close(pipe_fds[1]);
	s.from = pipe_fds[0];
	assert_ok(saved_write(&s));
	assert_int_equal(fstatat(s.dir_fd, SAVED_MEMORY, &st, 0), 0);
	assert_int_equal(st.st_size, 4194304);

	assert_ok(saved_load(dir, plan, &got, &unread, &unsent));
	assert_true(got.is_restored && !got.is_new && got.qemu == 7002 && got.last_id == 9);
	assert_true(got.has_stdin && !got.is_tty && got.in.may == 5 && !got.in.is_ended);
	assert_true(got.out.may == 6 && got.out.owed == 7 && got.err.may == 8 && got.err.is_ended);
	assert_true(got.n_execs == 2 && got.execs[0] == 3 && got.execs[1] == 9);
	assert_true(got.n_unread == 2 && !memcmp(unread.buf, "\0\xff", 2));
	assert_true(got.n_unsent == 3 && !memcmp(unsent.buf, "abc", 3));

	str_done(&unread);
	str_done(&unsent);
	assert_ok(saved_load(dir, other, &got, &unread, &unsent)); /* the address is another */
	assert_true(got.is_new);
	close(s.from);
	close(s.dir_fd);
	rm = xasprintf("rm -r %s", dir);
	assert_int_equal(system(rm), 0);
}

static void a_document_that_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum err_kind kind;
	} rows[] = {
		{ "", ERR_CORRUPT },
		{ "[]", ERR_CORRUPT },
		{ "{\"format\":\"other\",\"version\":1}", ERR_CORRUPT },
		{ "{\"format\":\"hostel-vm\",\"version\":2}", ERR_UNSUPPORTED },
		{ "{\"format\":\"hostel-vm\",\"version\":1}", ERR_UNSUPPORTED },
	};
	OWN(json) json_t *plan = plan_of("a", "02:42:00:00:00:01");
	char dir[] = "/tmp/hostel-saved-XXXXXX";
	OWN(mem) char *path = NULL;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/" SAVED_JSON, dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct saved_state st;
		struct str unread, unsent;

		assert_ok(fd_write_file(AT_FDCWD, path, rows[i].text, strlen(rows[i].text), 0600));
		assert_err(saved_load(dir, plan, &st, &unread, &unsent), rows[i].kind);
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_differs_is_named),
		cmocka_unit_test(what_was_saved_is_read_again),
		cmocka_unit_test(a_document_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
