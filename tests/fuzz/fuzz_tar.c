/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: every entry with its data and attributes, nothing is written. */
#include "fuzz.h"
#include "tar/tar.h"

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

static struct err *read_entry(struct tar_reader *r)
{
	const char *name;
	const void *value, *block;
	size_t len, n = 1;
	int64_t offset;

	while (tar_reader_xattr(r, &name, &value, &len))
		check(name);
	while (n)
		TRY(tar_reader_block(r, &block, &n, &offset));
	return NULL;
}

static struct err *read_all(struct tar_reader *r)
{
	const struct tar_entry *entry;

	for (;;) {
		TRY(tar_reader_next(r, &entry));
		if (!entry)
			return NULL;
		TRY(read_entry(r));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	OWN(tar_reader) struct tar_reader *r = NULL;
	struct err *e = tar_reader_new((struct source) { take, &in }, &r);

	if (!e)
		e = read_all(r);
	err_free(e);
	return 0;
}
