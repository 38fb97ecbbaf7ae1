/* SPDX-License-Identifier: Apache-2.0 */
#include "tar/reader_int.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

#include "util/mem.h"

#define IN_BYTES (64 * 1024)

struct reader {
	struct tar_reader base;
	struct tar_feed feed;
	struct archive *archive;
	struct archive_entry *entry;
	struct tar_entry view;
};

static la_ssize_t feed_read(struct archive *a, void *arg, const void **ret_buf)
{
	struct tar_feed *f = arg;
	size_t n = 0;

	f->error = f->in.read(f->in.arg, f->buf, IN_BYTES, &n);
	if (f->error) {
		archive_set_error(a, EIO, "source");
		return -1;
	}
	*ret_buf = f->buf;
	return (la_ssize_t)n;
}

struct err *tar_feed_error(struct tar_feed *f, struct archive *a, const char *what)
{
	const char *text = archive_error_string(a);

	if (f->error)
		return TAKE(f->error);
	return err_new(ERR_CORRUPT, "%s: %s", what, text ? text : "damaged");
}

struct err *tar_feed_open(struct tar_feed *f, struct source in, struct archive *a)
{
	f->in = in;
	f->buf = xcalloc(IN_BYTES, 1);
	if (archive_read_open(a, f, NULL, feed_read, NULL) != ARCHIVE_OK)
		return tar_feed_error(f, a, "archive");
	return NULL;
}

void tar_feed_done(struct tar_feed *f)
{
	err_free(f->error);
	free(f->buf);
}

static enum tar_type type_of(struct archive_entry *e)
{
	if (archive_entry_hardlink(e))
		return TAR_HARDLINK;
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return TAR_FILE;
	case AE_IFDIR:
		return TAR_DIR;
	case AE_IFLNK:
		return TAR_SYMLINK;
	case AE_IFCHR:
		return TAR_CHAR;
	case AE_IFBLK:
		return TAR_BLOCK;
	case AE_IFIFO:
		return TAR_FIFO;
	default:
		return TAR_OTHER;
	}
}

static void fill_view(struct tar_entry *v, struct archive_entry *e)
{
	*v = (struct tar_entry) {
		.name = archive_entry_pathname(e),
		.type = type_of(e),
		.mode = archive_entry_perm(e),
		.uid = (uid_t)archive_entry_uid(e),
		.gid = (gid_t)archive_entry_gid(e),
		.rdev = archive_entry_rdev(e),
		.size = archive_entry_size(e),
		.mtime_ns = archive_entry_mtime(e) * 1000000000 + archive_entry_mtime_nsec(e),
	};
	if (v->type == TAR_HARDLINK)
		v->link = archive_entry_hardlink(e);
	else if (v->type == TAR_SYMLINK)
		v->link = archive_entry_symlink(e);
}

static struct reader *reader_of(struct tar_reader *r)
{
	return (struct reader *)r;
}

static struct err *next_entry(struct tar_reader *base, const struct tar_entry **ret)
{
	struct reader *r = reader_of(base);
	int got = archive_read_next_header(r->archive, &r->entry);

	if (got == ARCHIVE_EOF) {
		*ret = NULL;
		return NULL;
	}
	if (got < ARCHIVE_WARN)
		return tar_feed_error(&r->feed, r->archive, "tar archive");
	fill_view(&r->view, r->entry);
	if (!r->view.name || (r->view.type == TAR_SYMLINK && !r->view.link))
		return err_new(ERR_CORRUPT, "tar archive: an entry without a name");
	archive_entry_xattr_reset(r->entry);
	archive_entry_sparse_reset(r->entry);
	*ret = &r->view;
	return NULL;
}

static struct err *next_block(struct tar_reader *base, const void **ret_data, size_t *ret_n,
			      int64_t *ret_offset)
{
	struct reader *r = reader_of(base);
	la_int64_t offset = 0;
	int got = archive_read_data_block(r->archive, ret_data, ret_n, &offset);

	if (got == ARCHIVE_EOF)
		*ret_n = 0;
	else if (got < ARCHIVE_WARN)
		return tar_feed_error(&r->feed, r->archive, "tar archive");
	*ret_offset = offset;
	return NULL;
}

static bool next_xattr(struct tar_reader *base, struct tar_xattr *ret)
{
	return archive_entry_xattr_next(reader_of(base)->entry, &ret->name, &ret->value,
					&ret->len) == ARCHIVE_OK;
}

static bool next_range(struct tar_reader *base, struct tar_range *ret)
{
	la_int64_t offset, len;

	if (archive_entry_sparse_next(reader_of(base)->entry, &offset, &len) != ARCHIVE_OK)
		return false;
	*ret = (struct tar_range) { .offset = offset, .len = len };
	return true;
}

static void reader_free(struct tar_reader *base)
{
	struct reader *r = reader_of(base);

	archive_read_free(r->archive);
	tar_feed_done(&r->feed);
	free(r);
}

struct err *tar_reader_new(struct source in, struct tar_reader **ret)
{
	static const struct tar_reader_ops ops = { .next = next_entry,
						   .block = next_block,
						   .xattr = next_xattr,
						   .range = next_range,
						   .free = reader_free };
	struct reader *r = xnew(struct reader);
	struct err *e;

	r->base.ops = &ops;
	r->archive = archive_read_new();
	archive_read_support_format_tar(r->archive);
	archive_read_support_format_empty(r->archive);
	e = tar_feed_open(&r->feed, in, r->archive);
	if (e)
		reader_free(&r->base);
	else
		*ret = &r->base;
	return e;
}

struct err *tar_extract(const struct tar_extract *x, struct tar_stats *ret)
{
	OWN(tar_reader) struct tar_reader *r = NULL;

	TRY(tar_reader_new(x->in, &r));
	return tar_extract_from(x, r, ret);
}
