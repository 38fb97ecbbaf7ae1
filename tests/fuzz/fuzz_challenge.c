/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate of a registry. */
#include "fuzz.h"
#include "registry/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *header = fuzz_text(data, size);
	OWN(challenge) struct challenge c = { 0 };
	OWN(mem) char *url = NULL;

	challenge_parse(header, &c);
	if (c.realm)
		url = challenge_token_url(&c, "repository:x:pull");
	return 0;
}
