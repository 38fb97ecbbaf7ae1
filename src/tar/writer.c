/* SPDX-License-Identifier: Apache-2.0 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar/writer_int.h"
#include "util/fd.h"
#include "util/mem.h"

#define COPY_BYTES (128 * 1024)

static la_ssize_t write_fd(struct archive *a, void *arg, const void *buf, size_t n)
{
	struct tar_writer *w = arg;

	w->error = fd_write_all(w->fd, buf, n);
	if (w->error) {
		archive_set_error(a, EIO, "sink");
		return -1;
	}
	return (la_ssize_t)n;
}

struct err *tar_writer_error(struct tar_writer *w, const char *what)
{
	const char *text = archive_error_string(w->archive);

	if (w->error)
		return TAKE(w->error);
	return err_new(ERR_INTERNAL, "write archive: %s: %s", what, text ? text : "?");
}

struct err *tar_writer_new(int fd, struct tar_writer **ret)
{
	OWN(tar_writer) struct tar_writer *w = xnew(struct tar_writer);

	w->fd = fd;
	w->archive = archive_write_new();
	archive_write_set_format_pax_restricted(w->archive);
	archive_write_set_options(w->archive, "xattrheader=SCHILY");
	archive_write_set_bytes_in_last_block(w->archive, 1);
	if (archive_write_open(w->archive, w, NULL, write_fd, NULL) != ARCHIVE_OK)
		return tar_writer_error(w, "open");
	*ret = TAKE(w);
	return NULL;
}

void tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return;
	/* Not finished: libarchive must not write an end marker. */
	archive_write_fail(w->archive);
	archive_write_free(w->archive);
	err_free(w->error);
	for (size_t i = 0; i < w->n_links; i++)
		free(w->links[i].name);
	free(w->links);
	free(w);
}

struct archive_entry *tar_writer_header(const struct tar_entry *e)
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

struct err *tar_writer_put(struct tar_writer *w, struct archive_entry *h)
{
	int r = archive_write_header(w->archive, h);
	struct err *e = NULL;

	if (r < ARCHIVE_WARN)
		e = tar_writer_error(w, archive_entry_pathname(h));
	archive_entry_free(h);
	return e;
}

struct err *tar_writer_entry(struct tar_writer *w, const struct tar_entry *e)
{
	return tar_writer_put(w, tar_writer_header(e));
}

struct err *tar_writer_data(struct tar_writer *w, const void *data, size_t n)
{
	/* What goes beyond the entry's size is dropped by libarchive. */
	if (archive_write_data(w->archive, data, n) < 0)
		return tar_writer_error(w, "data");
	return NULL;
}

struct err *tar_writer_copy(struct tar_writer *w, int fd)
{
	OWN(mem) char *buf = xcalloc(COPY_BYTES, 1);
	ssize_t n;

	while ((n = read(fd, buf, COPY_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "read");
		TRY(tar_writer_data(w, buf, (size_t)n));
	}
	return NULL;
}

struct err *tar_writer_fd(struct tar_writer *w, const struct tar_entry *e, int fd)
{
	struct tar_entry own = *e;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(errno, "%s", e->name);
	own.type = TAR_FILE;
	own.size = st.st_size;
	TRY(tar_writer_entry(w, &own));
	TRY_MSG(tar_writer_copy(w, fd), "%s", e->name);
	return NULL;
}

struct err *tar_writer_finish(struct tar_writer *w)
{
	if (archive_write_close(w->archive) != ARCHIVE_OK)
		return tar_writer_error(w, "close");
	return NULL;
}
