/* SPDX-License-Identifier: Apache-2.0 */
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tar/writer_int.h"
#include "util/fd.h"
#include "util/mem.h"

#define XATTR_MAX 65536

/* One file or folder to be added. */
struct item {
	int dir_fd;
	const char *base; /* below dir_fd */
	const char *name; /* in the archive */
	struct stat st;
};

static struct err *pack_item(struct tar_writer *w, int dir_fd, const char *base, const char *name);

static const char *link_name(struct tar_writer *w, const struct stat *st)
{
	for (size_t i = 0; i < w->n_links; i++)
		if (w->links[i].dev == st->st_dev && w->links[i].ino == st->st_ino)
			return w->links[i].name;
	return NULL;
}

static void remember_link(struct tar_writer *w, const struct item *it)
{
	if (it->st.st_nlink < 2 || S_ISDIR(it->st.st_mode))
		return;
	w->links = xrealloc(w->links, w->n_links + 1, sizeof(*w->links));
	w->links[w->n_links++] = (struct tar_link) { .dev = it->st.st_dev,
						     .ino = it->st.st_ino,
						     .name = xstrdup(it->name) };
}

static enum tar_type type_of(mode_t mode)
{
	return S_ISREG(mode)    ? TAR_FILE
	       : S_ISDIR(mode)  ? TAR_DIR
	       : S_ISLNK(mode)  ? TAR_SYMLINK
	       : S_ISCHR(mode)  ? TAR_CHAR
	       : S_ISBLK(mode)  ? TAR_BLOCK
	       : S_ISFIFO(mode) ? TAR_FIFO
				: TAR_OTHER;
}

static struct tar_entry entry_of(const struct item *it)
{
	return (struct tar_entry) {
		.name = it->name,
		.type = type_of(it->st.st_mode),
		.mode = it->st.st_mode & 07777,
		.uid = it->st.st_uid,
		.gid = it->st.st_gid,
		.rdev = it->st.st_rdev,
		.size = it->st.st_size,
		.mtime_ns = (int64_t)it->st.st_mtim.tv_sec * 1000000000 + it->st.st_mtim.tv_nsec,
	};
}

static void add_xattr(struct archive_entry *h, int fd, const char *name)
{
	char value[4096];
	ssize_t n;

	if (strncmp(name, "user.", 5) && !streq(name, "security.capability"))
		return;
	n = fgetxattr(fd, name, value, sizeof(value));
	if (n >= 0)
		archive_entry_xattr_add_entry(h, name, value, (size_t)n);
}

static void add_xattrs(struct archive_entry *h, int fd)
{
	OWN(mem) char *list = xcalloc(XATTR_MAX, 1);
	ssize_t n = flistxattr(fd, list, XATTR_MAX);

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		add_xattr(h, fd, list + at);
}

/* Holes of a large file are told to libarchive, so that neither side writes them out. */
static void add_holes(struct archive_entry *h, int fd, const struct stat *st)
{
	off_t at = 0, data, hole;

	if (st->st_blocks * 512 >= st->st_size)
		return;
	while (at < st->st_size) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		archive_entry_sparse_add_entry(h, data, hole - data);
		at = hole;
	}
	if (!at) /* nothing but a hole */
		archive_entry_sparse_add_entry(h, st->st_size, 0);
	lseek(fd, 0, SEEK_SET);
}

static struct err *pack_file(struct tar_writer *w, struct item *it)
{
	OWN(fd)
	int fd = openat(it->dir_fd, it->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct tar_entry e;
	struct archive_entry *h;

	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0 || fstat(fd, &it->st) < 0)
		return err_sys(errno, "open %s", it->name);
	e = entry_of(it);
	if (e.type != TAR_FILE) /* replaced under our hands */
		return NULL;
	h = tar_writer_header(&e);
	add_xattrs(h, fd);
	add_holes(h, fd, &it->st);
	TRY(tar_writer_put(w, h));
	remember_link(w, it);
	TRY_MSG(tar_writer_copy(w, fd), "%s", it->name);
	return NULL;
}

static struct err *pack_children(struct tar_writer *w, int fd, const char *name)
{
	DIR *d = fdopendir(fd);
	struct err *e = NULL;
	struct dirent *ent;

	if (!d) {
		e = err_sys(errno, "read %s", name);
		close(fd);
		return e;
	}
	while (!e && (ent = readdir(d))) {
		bool slash = *name && name[strlen(name) - 1] != '/';

		if (streq(ent->d_name, ".") || streq(ent->d_name, ".."))
			continue;
		OWN(mem) char *child = xasprintf("%s%s%s", name, slash ? "/" : "", ent->d_name);

		e = pack_item(w, dirfd(d), ent->d_name, child);
	}
	closedir(d);
	return e;
}

static struct err *pack_dir(struct tar_writer *w, const struct item *it)
{
	OWN(fd)
	int fd = openat(it->dir_fd, it->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0)
		return err_sys(errno, "open %s", it->name);
	if (*it->name) {
		bool slash = it->name[strlen(it->name) - 1] != '/';
		OWN(mem) char *name = xasprintf("%s%s", it->name, slash ? "/" : "");
		struct tar_entry e = entry_of(it);
		struct archive_entry *h;

		e.name = name;
		h = tar_writer_header(&e);
		add_xattrs(h, fd);
		TRY(tar_writer_put(w, h));
	}
	return pack_children(w, TAKE_FD(fd), it->name);
}

static struct err *pack_plain(struct tar_writer *w, const struct item *it)
{
	struct tar_entry e = entry_of(it);
	char target[PATH_MAX];

	if (e.type == TAR_OTHER)
		return NULL;
	if (e.type == TAR_SYMLINK) {
		ssize_t n = readlinkat(it->dir_fd, it->base, target, sizeof(target) - 1);

		if (n < 0)
			return errno == ENOENT ? NULL : err_sys(errno, "%s", it->name);
		target[n] = '\0';
		e.link = target;
	}
	remember_link(w, it);
	return tar_writer_entry(w, &e);
}

static struct err *pack_item(struct tar_writer *w, int dir_fd, const char *base, const char *name)
{
	struct item it = { .dir_fd = dir_fd, .base = base, .name = name };
	const char *first;

	if (fstatat(dir_fd, base, &it.st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", name);
	if (S_ISDIR(it.st.st_mode))
		return pack_dir(w, &it);
	first = it.st.st_nlink > 1 ? link_name(w, &it.st) : NULL;
	if (first) {
		struct tar_entry e = entry_of(&it);

		e.type = TAR_HARDLINK;
		e.link = first;
		return tar_writer_entry(w, &e);
	}
	return S_ISREG(it.st.st_mode) ? pack_file(w, &it) : pack_plain(w, &it);
}

struct err *tar_pack(struct tar_writer *w, int dir_fd, const char *base, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(errno, "%s", base);
	return pack_item(w, dir_fd, base, name);
}
