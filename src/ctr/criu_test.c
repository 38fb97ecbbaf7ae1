/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/criu.h"

#include <stdlib.h>

#include "ctr/mountinfo.h"
#include "util/mem.h"
#include "util/test.h"

static void a_request_has_the_bytes_that_criu_expects(void **state)
{
	OWN(str) struct str opts = { 0 };
	OWN(str) struct str msg = { 0 };
	static const char want[] = "\x08\x02\x12\x18" /* RESTORE, options of 24 bytes */
				   "\x08\x07"         /* images in descriptor 7 */
				   "\x10\xac\x02"     /* pid 300 */
				   "\x6a\x02/r"       /* root */
				   "\xda\x01\x09\x0a\x05"
				   "pipe1"
				   "\x10\x05"      /* inherited 5 */
				   "\x80\x04\x03"; /* no lock of its own */

	(void)state;
	criu_opt_number(&opts, CRIU_OPT_IMAGES_FD, 7);
	criu_opt_number(&opts, CRIU_OPT_PID, 300);
	criu_opt_text(&opts, CRIU_OPT_ROOT, "/r");
	criu_opt_inherit(&opts, "pipe1", 5);
	criu_opt_number(&opts, CRIU_OPT_NETWORK_LOCK, CRIU_LOCK_SKIP);
	criu_request(&msg, CRIU_RESTORE, &opts);
	assert_int_equal(opts.len, 24);
	assert_int_equal(msg.len, sizeof(want) - 1);
	assert_memory_equal(msg.buf, want, msg.len);
}

static void an_answer_is_taken_apart(void **state)
{
	static const char restored[] = "\x08\x02\x10\x01\x22\x03\x08\xac\x02";
	static const char stage[] = "\x08\x06\x10\x01\x2a\x07\x0a\x03"
				    "abc"
				    "\x10\x09";
	static const char failed[] = "\x08\x01\x10\x00\x38\x6e\x4a\x02no";
	struct criu_answer a;

	(void)state;
	assert_ok(criu_answer_read(restored, sizeof(restored) - 1, &a));
	assert_int_equal(a.type, CRIU_RESTORE);
	assert_true(a.success);
	assert_int_equal(a.pid, 300);
	assert_ok(criu_answer_read(stage, sizeof(stage) - 1, &a));
	assert_int_equal(a.type, CRIU_NOTIFY);
	assert_int_equal(a.pid, 9);
	assert_memory_equal(a.script, "abc", a.script_len);
	assert_ok(criu_answer_read(failed, sizeof(failed) - 1, &a));
	assert_false(a.success);
	assert_int_equal(a.cr_errno, 110);
	assert_memory_equal(a.message, "no", a.message_len);
}

static void bytes_that_are_no_answer_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "", 0 },
		{ "\x08", 1 }, /* no value */
		{ "\x08\x01\x4a\x7f"
		  "x",
		  5 },                                                      /* longer than all */
		{ "\x08\x01\x0b", 3 },                                      /* a group */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* no end */
		{ "\x22\x02\x08\x80", 4 },                                  /* bad inside */
	};
	struct criu_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(criu_answer_read(bad[i].bytes, bad[i].len, &a), ERR_CORRUPT);
}

static void the_reason_is_the_first_error_that_is_one(void **state)
{
	static const struct {
		const char *log, *reason;
	} cases[] = {
		{ "", NULL },
		{ "Warn  (criu/kerndat.c:1799): Hardware breakpoints don't seem to work\n", NULL },
		{ "Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: x\n",
		  NULL },
		{ "Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: x\n"
		  "Error (criu/files.c:1): Can't dump file 3 (unknown /dev/fuse)\n"
		  "Error (criu/cr-dump.c:2): Dumping FAILED.\n",
		  "Can't dump file 3 (unknown /dev/fuse)" },
		{ "    1: Error (criu/tty.c:7): tty: no\n", "tty: no" },
		{ "Error (no end", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *reason = criu_log_reason(cases[i].log);

		if (cases[i].reason)
			assert_string_equal(reason, cases[i].reason);
		else
			assert_null(reason);
	}
}

static void mountinfo_is_read_and_a_mount_found_by_what_it_shows(void **state)
{
	OWN(mount_list) struct mount_list l = { 0 };
	const struct mount_line of = { .major = 8,
				       .minor = 1,
				       .root = (char *)(uintptr_t) "/var/x" };
	const struct mount_line other = { .major = 8,
					  .minor = 1,
					  .root = (char *)(uintptr_t) "/varx" };
	const char *rest = NULL;

	(void)state;
	assert_ok(mount_list_parse("23 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n"
				   "24 1 8:1 /var /mnt/a\\040b rw - ext4 /dev/sda1 rw\n",
				   &l));
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0].id, 23);
	assert_string_equal(l.v[0].type, "proc");
	assert_string_equal(l.v[1].at, "/mnt/a b");
	assert_ptr_equal(mount_list_find(&l, &of, &rest), &l.v[1]);
	assert_string_equal(rest, "/x");
	assert_null(mount_list_find(&l, &other, &rest));
}

static void text_that_is_no_mountinfo_is_refused(void **state)
{
	struct mount_list l;

	(void)state;
	assert_err(mount_list_parse("23 1 0:21 / /proc rw\n", &l), ERR_CORRUPT);
	assert_err(mount_list_parse("x\n", &l), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_the_bytes_that_criu_expects),
		cmocka_unit_test(an_answer_is_taken_apart),
		cmocka_unit_test(bytes_that_are_no_answer_are_refused),
		cmocka_unit_test(the_reason_is_the_first_error_that_is_one),
		cmocka_unit_test(mountinfo_is_read_and_a_mount_found_by_what_it_shows),
		cmocka_unit_test(text_that_is_no_mountinfo_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
