/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules: ELF with a .modinfo section. */
#include "boot/modinfo.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *module = fuzz_copy(data, size);
	struct modinfo m = { 0 };
	struct err *e = modinfo_parse(module, size, &m);

	if (!e)
		modinfo_done(&m);
	err_free(e);
	return 0;
}
