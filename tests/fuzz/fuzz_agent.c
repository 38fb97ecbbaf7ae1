/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as a guest may send them: every byte string is decoded to its end, every body
 * read in every way.  Nothing may be read outside the input.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_bodies(const struct agent_frame *f)
{
	struct agent_hello h;
	struct agent_start s;
	uint32_t a, b;
	uint16_t rows, cols;
	const char *text;
	size_t len;

	if (agent_get_hello(f, &h) && agent_version_of(&h) > AGENT_VERSION)
		abort();
	(void)agent_get_start(f, &s);
	(void)agent_get_u32(f, &a);
	(void)agent_get_exited(f, &a, &b);
	(void)agent_get_size(f, &rows, &cols);
	if (agent_get_text(f, &a, &text, &len) && len && !memchr(text, text[len - 1], len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_frame f;
	size_t used = 0;

	while (agent_decode(data, size, &f, &used) == AGENT_FRAME) {
		if (used > size || f.len > AGENT_BODY_MAX)
			abort();
		read_bodies(&f);
		data += used;
		size -= used;
	}
	return 0;
}
