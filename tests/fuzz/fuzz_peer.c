/* SPDX-License-Identifier: Apache-2.0 */
/* The address that a user gives, and the first words of a stranger. */
#include "fuzz.h"
#include "model/peer.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = xstrndup((const char *)data, size);
	OWN(peer) struct peer p = { 0 };

	err_free(peer_parse(text, &p));
	err_free(peer_check_hello((const char *)data, size));
	return 0;
}
