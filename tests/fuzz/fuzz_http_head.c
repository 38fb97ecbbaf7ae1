/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of HTTP: heads of replies and chunked bodies, cut anywhere. */
#include "client/head.h"
#include "fuzz.h"

static void read_head(const char *in, size_t size)
{
	struct head h = { 0 };
	const char *value;
	size_t len;

	if (head_parse(in, size, &h) != HEAD_DONE)
		return;
	check(h.bytes > 0 && h.bytes <= size && h.content_length >= -1);
	value = head_field(in, &h, "Content-Type", &len);
	if (value)
		check(value >= in && value + len <= in + h.bytes);
}

/* Decoded in one go and byte by byte, the body is the same. */
static size_t read_chunks(const char *in, size_t size, size_t piece, char *out, int *ret_state)
{
	struct chunk c = { 0 };
	size_t at = 0, n_out = 0;

	while (at < size && c.state != CHUNK_DONE && c.state != CHUNK_BAD) {
		size_t n = size - at < piece ? size - at : piece, len = 0, used;
		const char *data = NULL;

		used = chunk_feed(&c, in + at, n, &data, &len);
		check(used <= n && (!len || (data >= in + at && data + len <= in + at + used)));
		if (len)
			memcpy(out + n_out, data, len);
		n_out += len;
		check(used || c.state == CHUNK_DONE || c.state == CHUNK_BAD);
		at += used;
	}
	*ret_state = (int)c.state;
	return n_out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *in = fuzz_copy(data, size);
	OWN(mem) char *a = xcalloc(1, size + 1);
	OWN(mem) char *b = xcalloc(1, size + 1);
	int state_a, state_b;
	size_t n;

	read_head(in, size);
	n = read_chunks(in, size, size, a, &state_a);
	check(n == read_chunks(in, size, 1, b, &state_b) && !memcmp(a, b, n));
	check(state_a == state_b);
	return 0;
}
