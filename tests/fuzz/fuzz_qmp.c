/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of QEMU's monitor. */
#include "fuzz.h"
#include "qemu/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *line = fuzz_text(data, size);

	(void)qmp_parse(line);
	return 0;
}
