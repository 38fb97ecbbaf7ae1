/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 in headers: what we write we read. */
#include "api/base64.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);
	OWN(mem) char *encoded = base64_encode(data, size);
	OWN(str) struct str foreign = { 0 };
	OWN(str) struct str back = { 0 };

	(void)base64_decode(text, &foreign);
	check(base64_decode(encoded, &back));
	check(back.len == size && (!size || !memcmp(back.buf, data, size)));
	return 0;
}
