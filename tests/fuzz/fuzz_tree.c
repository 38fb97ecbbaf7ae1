/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's tree: every entry, its data, attributes and ranges; nothing is written. */
#include <limits.h>

#include "fuzz.h"
#include "tar/stream.h"

struct input {
	const uint8_t *data;
	size_t left;
};

static struct err *take(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct input *in = arg;
	size_t n = in->left < size ? in->left : size;

	if (n)
		memcpy(buf, in->data, n);
	in->data += n;
	in->left -= n;
	*ret_n = n;
	return NULL;
}

static struct err *read_entry(struct tar_reader *r, const struct tar_entry *e)
{
	struct tar_range range;
	const char *name;
	const void *value, *block;
	size_t len, n = 1;
	int64_t offset, end = 0;

	if (strlen(e->name) >= PATH_MAX || e->size < 0)
		abort();
	while (tar_reader_xattr(r, &name, &value, &len))
		check(name);
	while (tar_reader_range(r, &range)) {
		if (range.offset < end || range.len < 0 || range.offset + range.len > e->size)
			abort();
		end = range.offset + range.len;
	}
	for (end = 0; n; end = offset + (int64_t)n) {
		TRY(tar_reader_block(r, &block, &n, &offset));
		if (n && (offset < end || offset + (int64_t)n > e->size))
			abort();
	}
	return NULL;
}

static struct err *read_all(struct tar_reader *r)
{
	const struct tar_entry *e;

	for (;;) {
		TRY(tar_reader_next(r, &e));
		if (!e)
			return NULL;
		TRY(read_entry(r, e));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	OWN(tar_reader)
	struct tar_reader *r = tar_stream_reader_new((struct source) { take, &in });

	err_free(read_all(r));
	return 0;
}
