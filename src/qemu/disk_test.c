/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/disk.h"

#include "util/test.h"

static void put_be(uint8_t *p, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static void qcow2(uint8_t head[512], uint64_t version, uint64_t backing, uint64_t size)
{
	memset(head, 0, 512);
	memcpy(head, "QFI\xfb", 4);
	put_be(head + 4, version, 4);
	put_be(head + 8, backing, 8);
	put_be(head + 24, size, 8);
}

static void a_qcow2_header_tells_size_and_backing(void **state)
{
	uint8_t head[512];
	struct qemu_disk_info info;

	qcow2(head, 3, 0, 20ull << 30);
	assert_ok(qemu_disk_parse(head, sizeof(head), 200000, &info));
	assert_int_equal(info.format, QEMU_QCOW2);
	assert_false(info.has_backing);
	assert_true(info.size_bytes == 20ll << 30);
	qcow2(head, 2, 0x200, 1);
	assert_ok(qemu_disk_parse(head, sizeof(head), 200000, &info));
	assert_true(info.has_backing);
}

static void what_is_no_image_format_is_raw(void **state)
{
	uint8_t head[512] = { 0xeb, 0x63 };
	struct qemu_disk_info info;

	assert_ok(qemu_disk_parse(head, sizeof(head), 4096, &info));
	assert_int_equal(info.format, QEMU_RAW);
	assert_int_equal(info.size_bytes, 4096);
	assert_ok(qemu_disk_parse(head, 0, 0, &info));
	assert_int_equal(info.size_bytes, 0);
}

static void broken_and_strange_images_are_refused(void **state)
{
	uint8_t head[512];
	struct qemu_disk_info info;

	qcow2(head, 3, 0, 1);
	assert_err(qemu_disk_parse(head, 80, 80, &info), ERR_CORRUPT);
	qcow2(head, 9, 0, 1);
	assert_err(qemu_disk_parse(head, 512, 512, &info), ERR_CORRUPT);
	qcow2(head, 3, 0, UINT64_MAX);
	assert_err(qemu_disk_parse(head, 512, 512, &info), ERR_CORRUPT);
	qcow2(head, 1, 0, 1);
	assert_err(qemu_disk_parse(head, 512, 512, &info), ERR_UNSUPPORTED);
	memset(head, 0, sizeof(head));
	memcpy(head, "KDMV", 4);
	assert_err(qemu_disk_parse(head, 512, 512, &info), ERR_UNSUPPORTED);
	memset(head, 0, sizeof(head));
	memcpy(head + 64, "\x7f\x10\xda\xbe", 4);
	assert_err(qemu_disk_parse(head, 512, 512, &info), ERR_UNSUPPORTED);
}

static void a_folder_is_no_disk(void **state)
{
	struct qemu_disk_info info;

	assert_err(qemu_disk_probe("/", &info), ERR_INVALID);
	assert_err(qemu_disk_probe("/nonexistent", &info), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_qcow2_header_tells_size_and_backing),
		cmocka_unit_test(what_is_no_image_format_is_raw),
		cmocka_unit_test(broken_and_strange_images_are_refused),
		cmocka_unit_test(a_folder_is_no_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
