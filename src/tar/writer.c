/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar/tar.h"
#include "util/fd.h"
#include "util/mem.h"

struct writer {
	struct tar_writer base;
	struct archive *archive;
	int fd;
	int64_t at;
	struct err *error; /* of the sink, kept while libarchive unwinds */
};

static struct writer *writer_of(struct tar_writer *w)
{
	return (struct writer *)w;
}

static la_ssize_t write_fd(struct archive *a, void *arg, const void *buf, size_t n)
{
	struct writer *w = arg;

	w->error = fd_write_all(w->fd, buf, n);
	if (w->error) {
		archive_set_error(a, EIO, "sink");
		return -1;
	}
	return (la_ssize_t)n;
}

/* The sink's error if it had one, else libarchive's words. */
static struct err *error_of(struct writer *w, const char *what)
{
	const char *text = archive_error_string(w->archive);

	if (w->error)
		return TAKE(w->error);
	return err_new(ERR_INTERNAL, "write archive: %s: %s", what, text ? text : "?");
}

static struct archive_entry *header_of(const struct tar_entry *e)
{
	static const unsigned types[] = {
		[TAR_FILE] = AE_IFREG,    [TAR_DIR] = AE_IFDIR,   [TAR_SYMLINK] = AE_IFLNK,
		[TAR_CHAR] = AE_IFCHR,    [TAR_BLOCK] = AE_IFBLK, [TAR_FIFO] = AE_IFIFO,
		[TAR_HARDLINK] = AE_IFREG
	};
	struct archive_entry *h = archive_entry_new();
	time_t s = (time_t)(e->mtime_ns / 1000000000);
	long ns = (long)(e->mtime_ns % 1000000000);

	archive_entry_copy_pathname(h, e->name);
	archive_entry_set_filetype(h, types[e->type]);
	archive_entry_set_perm(h, e->mode & 07777);
	archive_entry_set_uid(h, e->uid);
	archive_entry_set_gid(h, e->gid);
	archive_entry_set_mtime(h, ns < 0 ? s - 1 : s, ns < 0 ? ns + 1000000000 : ns);
	archive_entry_set_size(h, e->type == TAR_FILE ? e->size : 0);
	if (e->type == TAR_SYMLINK)
		archive_entry_copy_symlink(h, e->link);
	if (e->type == TAR_HARDLINK)
		archive_entry_copy_hardlink(h, e->link);
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK)
		archive_entry_set_rdev(h, e->rdev);
	return h;
}

/* Holes of a large file are told to libarchive, so that neither side writes them out. */
static void add_more(struct archive_entry *h, const struct tar_more *more)
{
	for (size_t i = 0; i < more->n_xattrs; i++)
		archive_entry_xattr_add_entry(h, more->xattrs[i].name, more->xattrs[i].value,
					      more->xattrs[i].len);
	for (size_t i = 0; i < more->n_ranges; i++)
		archive_entry_sparse_add_entry(h, more->ranges[i].offset, more->ranges[i].len);
}

static struct err *put(struct tar_writer *base, const struct tar_entry *e,
		       const struct tar_more *more)
{
	struct writer *w = writer_of(base);
	struct archive_entry *h = header_of(e);
	struct err *err = NULL;

	if (more)
		add_more(h, more);
	w->at = 0;
	if (archive_write_header(w->archive, h) < ARCHIVE_WARN)
		err = error_of(w, archive_entry_pathname(h));
	archive_entry_free(h);
	return err;
}

static struct err *put_data(struct writer *w, const void *data, size_t n)
{
	/* What goes beyond the entry's size is dropped by libarchive. */
	if (archive_write_data(w->archive, data, n) < 0)
		return error_of(w, "data");
	w->at += (int64_t)n;
	return NULL;
}

static struct err *block(struct tar_writer *base, const void *data, size_t n, int64_t offset)
{
	static const char zeros[16384];
	struct writer *w = writer_of(base);

	while (w->at < offset) {
		int64_t left = offset - w->at;

		TRY(put_data(w, zeros,
			     left < (int64_t)sizeof(zeros) ? (size_t)left : sizeof(zeros)));
	}
	return put_data(w, data, n);
}

static struct err *finish(struct tar_writer *base)
{
	struct writer *w = writer_of(base);

	if (archive_write_close(w->archive) != ARCHIVE_OK)
		return error_of(w, "close");
	return NULL;
}

static void writer_free(struct tar_writer *base)
{
	struct writer *w = writer_of(base);

	/* Not finished: libarchive must not write an end marker. */
	archive_write_fail(w->archive);
	archive_write_free(w->archive);
	err_free(w->error);
	free(w);
}

struct err *tar_writer_new(int fd, struct tar_writer **ret)
{
	static const struct tar_writer_ops ops = {
		.put = put, .block = block, .finish = finish, .free = writer_free
	};
	struct writer *w = xnew(struct writer);

	w->base.ops = &ops;
	w->fd = fd;
	w->archive = archive_write_new();
	archive_write_set_format_pax_restricted(w->archive);
	archive_write_set_options(w->archive, "xattrheader=SCHILY");
	archive_write_set_bytes_in_last_block(w->archive, 1);
	if (archive_write_open(w->archive, w, NULL, write_fd, NULL) != ARCHIVE_OK) {
		struct err *e = error_of(w, "open");

		writer_free(&w->base);
		return e;
	}
	*ret = &w->base;
	return NULL;
}
