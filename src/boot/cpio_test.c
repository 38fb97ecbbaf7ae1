/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cpio.h"

#include "util/test.h"

static const char golden[] = "070701"
			     "00000001"
			     "000041ED"
			     "00000000"
			     "00000000"
			     "00000002"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000004"
			     "00000000"
			     "dev\0"
			     "\0\0"
			     "070701"
			     "00000002"
			     "00002180"
			     "00000000"
			     "00000000"
			     "00000001"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000005"
			     "00000001"
			     "0000000C"
			     "00000000"
			     "dev/console\0"
			     "\0\0"
			     "070701"
			     "00000003"
			     "000081ED"
			     "00000000"
			     "00000000"
			     "00000001"
			     "00000000"
			     "00000005"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000005"
			     "00000000"
			     "init\0"
			     "\0"
			     "hello"
			     "\0\0\0"
			     "070701"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000001"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "00000000"
			     "0000000B"
			     "00000000"
			     "TRAILER!!!\0"
			     "\0\0\0";

static void an_archive_is_what_the_kernel_reads(void **state)
{
	OWN(cpio) struct cpio c = { .inode = 0 };

	(void)state;
	cpio_dir(&c, "dev");
	cpio_chardev(&c, "dev/console", 5, 1);
	cpio_file(&c, "init", 0755, "hello", 5);
	cpio_end(&c);
	assert_int_equal(c.out.len, 512);
	assert_memory_equal(c.out.buf, golden, sizeof(golden) - 1);
	for (size_t i = sizeof(golden) - 1; i < c.out.len; i++)
		assert_int_equal(c.out.buf[i], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_archive_is_what_the_kernel_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
