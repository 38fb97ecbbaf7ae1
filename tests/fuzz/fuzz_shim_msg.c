/* SPDX-License-Identifier: Apache-2.0 */
/* Packets between hosteld and hostel-shim: what is taken can be built again, byte for byte. */
#include "fuzz.h"
#include "shim/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *in = fuzz_copy(data, size);
	OWN(mem) char *out = NULL;
	struct shim_msg m;

	if (shim_msg_parse(in, size, &m) != SHIM_PARSE_OK || size > SHIM_MSG_MAX)
		return 0;
	check(m.tail >= in && m.tail + m.tail_len == in + size);
	check(shim_msg_len(&m) == size);
	out = malloc(size);
	check(shim_msg_build(&m, out) == size);
	check(!memcmp(in, out, size));
	return 0;
}
