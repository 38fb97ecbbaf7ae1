/* SPDX-License-Identifier: Apache-2.0 */
/* Detach keys: the first byte says how many keys there are, then keys, then input in pieces.
 * Where the input is cut makes no difference, and the keys are found where memmem() finds them. */
#include "fuzz.h"
#include "shim/keys.h"

struct result {
	char out[8192 + SHIM_KEYS_MAX];
	size_t len;
	bool detached;
};

static void feed(struct keys k, const char *in, size_t len, size_t piece, struct result *r)
{
	r->len = 0;
	r->detached = false;
	for (size_t at = 0; at < len && !r->detached; at += piece) {
		size_t n = len - at < piece ? len - at : piece, out = 0;

		r->detached = keys_feed(&k, in + at, n, r->out + r->len, &out);
		r->len += out;
		check(k.matched < (k.len ? k.len : 1));
	}
	if (!r->detached)
		r->len += keys_flush(&k, r->out + r->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keys k = { 0 };
	struct result whole, pieces;
	const char *in, *found;
	size_t len;

	if (size < 2 || size > 4096)
		return 0;
	k.len = (uint8_t)(data[0] % (SHIM_KEYS_MAX + 1));
	if (size - 2 < k.len)
		return 0;
	memcpy(k.keys, data + 2, k.len);
	in = (const char *)data + 2 + k.len;
	len = size - 2 - k.len;
	feed(k, in, len, len ? len : 1, &whole);
	feed(k, in, len, data[1] % 7 + 1u, &pieces);
	check(whole.detached == pieces.detached && whole.len == pieces.len);
	check(!memcmp(whole.out, pieces.out, whole.len));
	found = k.len ? memmem(in, len, k.keys, k.len) : NULL;
	check(whole.detached == (found != NULL));
	check(whole.len == (found ? (size_t)(found - in) : len));
	check(!memcmp(whole.out, in, whole.len));
	return 0;
}
