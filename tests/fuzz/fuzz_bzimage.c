/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel images. */
#include "boot/bzimage.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *image = fuzz_copy(data, size);
	struct bzimage b;

	err_free(bzimage_parse(image, size, &b));
	return 0;
}
