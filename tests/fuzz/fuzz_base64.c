/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 in headers: what we write we read. */
#include "fuzz.h"
#include "util/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);
	OWN(mem) char *encoded = xcalloc(BASE64_TEXT_SIZE(size), 1);
	OWN(mem) char *foreign = xcalloc(BASE64_DATA_SIZE(strlen(text)), 1);
	OWN(mem) char *back = NULL;
	size_t len = 0;

	(void)base64_decode(text, foreign, &len);
	base64_encode(data, size, encoded);
	back = xcalloc(BASE64_DATA_SIZE(strlen(encoded)), 1);
	check(base64_decode(encoded, back, &len));
	check(len == size && !memcmp(back, data, size));
	return 0;
}
