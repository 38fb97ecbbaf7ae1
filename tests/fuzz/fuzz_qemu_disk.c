/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a disk image that a user (or a guest) wrote. */
#include "fuzz.h"
#include "qemu/disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *head = fuzz_copy(data, size);
	struct qemu_disk_info info;
	struct err *e = qemu_disk_parse((const uint8_t *)head, size, (int64_t)size * 100, &info);

	if (!e)
		check(info.format < QEMU_FORMATS && info.size_bytes >= 0);
	err_free(e);
	return 0;
}
