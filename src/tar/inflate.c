/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>

#include "tar/reader_int.h"
#include "util/mem.h"

struct tar_inflate {
	struct tar_feed feed;
	struct archive *archive;
};

struct err *tar_inflate_new(struct source in, struct tar_inflate **ret)
{
	OWN(tar_inflate) struct tar_inflate *t = xnew(struct tar_inflate);
	struct archive_entry *entry;

	t->archive = archive_read_new();
	archive_read_support_format_raw(t->archive);
	archive_read_support_filter_xz(t->archive);
	archive_read_support_filter_bzip2(t->archive);
	TRY(tar_feed_open(&t->feed, in, t->archive));
	if (archive_read_next_header(t->archive, &entry) < ARCHIVE_WARN)
		return tar_feed_error(&t->feed, t->archive, "compressed data");
	*ret = TAKE(t);
	return NULL;
}

void tar_inflate_free(struct tar_inflate *t)
{
	if (!t)
		return;
	archive_read_free(t->archive);
	tar_feed_done(&t->feed);
	free(t);
}

static struct err *read_inflated(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct tar_inflate *t = arg;
	la_ssize_t n = archive_read_data(t->archive, buf, size);

	if (n < 0)
		return tar_feed_error(&t->feed, t->archive, "compressed data");
	*ret_n = (size_t)n;
	return NULL;
}

struct source tar_inflate_source(struct tar_inflate *t)
{
	return (struct source) { .read = read_inflated, .arg = t };
}
