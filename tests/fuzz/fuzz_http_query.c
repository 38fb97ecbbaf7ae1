/* SPDX-License-Identifier: Apache-2.0 */
/* Query strings and percent-encoding. */
#include "fuzz.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);
	OWN(mem) char *copy = fuzz_copy(data, size);
	OWN(mem) char *decoded = http_decode(copy, size, true);
	struct http_query q = { 0 };

	check(strlen(decoded) <= size);
	http_query_parse(text, &q);
	http_query_done(&q);
	return 0;
}
