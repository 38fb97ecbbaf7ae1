/* SPDX-License-Identifier: Apache-2.0 */
/* gzip, zstd or plain data, at most 4 MiB of output. */
#include "fuzz.h"
#include "unz/unz.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;
	size_t n = in->left < size ? in->left : size;

	if (n > 7)
		n = 7; /* cut everywhere */
	if (n)
		memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	*ret_n = n;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	OWN(unz) struct unz *u = NULL;
	struct err *e = unz_new((struct source) { take, &in }, &u);
	size_t n = 1, total = 0;
	char buf[4096];

	while (!e && n && total < 4 << 20) {
		struct source s = unz_source(u);

		e = s.read(s.arg, buf, sizeof(buf), &n);
		total += e ? 0 : n;
		check(n <= sizeof(buf));
	}
	if (!e && total < 4 << 20 && unz_kind(u) == UNZ_PLAIN)
		check(total == size);
	err_free(e);
	return 0;
}
