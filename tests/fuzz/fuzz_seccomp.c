/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles as users write them. */
#include "fuzz.h"
#include "json/json.h"
#include "seccomp/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(json) json_t *j = NULL;
	OWN(strv) struct strv caps = { 0 };
	OWN(mem) void *bpf = NULL;
	size_t len = 0;
	struct err *e = jx_parse(text, size, &j);

	strv_add(&caps, "CAP_SYS_ADMIN");
	if (!e)
		e = seccomp_compile(j, &caps, &bpf, &len);
	if (!e)
		check(bpf && len % 8 == 0);
	err_free(e);
	return 0;
}
