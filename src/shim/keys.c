/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/keys.h"

#include <string.h>

/*
 * The held bytes do not go on with the next one: give up the shortest head that
 * leaves a rest which is again a beginning of the sequence.
 */
static size_t give_up(struct keys *k, char *out)
{
	size_t shift = 1;

	while (memcmp(k->keys + shift, k->keys, k->matched - shift))
		shift++;
	memcpy(out, k->keys, shift);
	k->matched = (uint8_t)(k->matched - shift);
	return shift;
}

bool keys_feed(struct keys *k, const char *in, size_t len, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		while (k->matched && in[i] != k->keys[k->matched])
			n += give_up(k, out + n);
		if (!k->len || in[i] != k->keys[k->matched]) {
			out[n++] = in[i];
			continue;
		}
		if (++k->matched < k->len)
			continue;
		k->matched = 0;
		*ret_len = n;
		return true;
	}
	*ret_len = n;
	return false;
}

size_t keys_flush(struct keys *k, char *out)
{
	size_t n = k->matched;

	memcpy(out, k->keys, n);
	k->matched = 0;
	return n;
}
