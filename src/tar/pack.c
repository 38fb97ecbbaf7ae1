/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tar/tar.h"
#include "util/fd.h"
#include "util/mem.h"

#define XATTR_MAX  65536
#define COPY_BYTES (128 * 1024)
#define RANGES_MAX 10000 /* a file of more pieces is taken as one without holes */

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

/* What a file has beside its content; owned. */
struct beside {
	char *names; /* as the kernel lists them */
	struct tar_xattr *xattrs;
	struct tar_range *ranges;
	size_t n_xattrs, n_ranges;
};

static void own_beside_release(struct beside *b)
{
	for (size_t i = 0; i < b->n_xattrs; i++)
		free((void *)(uintptr_t)b->xattrs[i].value);
	free(b->names);
	free(b->xattrs);
	free(b->ranges);
}

static bool is_wanted(const struct tar_writer *w, const char *name)
{
	return tar_keeps_xattr(name) || (w->is_upper && tar_is_overlay_xattr(name));
}

static void add_xattr(struct beside *b, int fd, const char *name)
{
	char value[4096];
	ssize_t n;

	n = fgetxattr(fd, name, value, sizeof(value));
	if (n < 0)
		return;
	b->xattrs = xrealloc(b->xattrs, b->n_xattrs + 1, sizeof(*b->xattrs));
	b->xattrs[b->n_xattrs++] =
	    (struct tar_xattr) { .name = name,
				 .value = memcpy(xcalloc(1, (size_t)n + 1), value, (size_t)n),
				 .len = (size_t)n };
}

static void read_xattrs(const struct tar_writer *w, struct beside *b, int fd)
{
	ssize_t n;

	b->names = xcalloc(XATTR_MAX, 1);
	n = flistxattr(fd, b->names, XATTR_MAX);
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(b->names + at) + 1)
		if (is_wanted(w, b->names + at))
			add_xattr(b, fd, b->names + at);
}

static void add_range(struct beside *b, int64_t offset, int64_t len)
{
	b->ranges = xrealloc(b->ranges, b->n_ranges + 1, sizeof(*b->ranges));
	b->ranges[b->n_ranges++] = (struct tar_range) { .offset = offset, .len = len };
}

static void read_ranges(struct beside *b, int fd, const struct stat *st)
{
	off_t at = 0, data, hole;

	if (st->st_blocks * 512 >= st->st_size)
		return;
	while (at < st->st_size && b->n_ranges <= RANGES_MAX) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		add_range(b, data, hole - data);
		at = hole;
	}
	if (!at) /* nothing but a hole */
		add_range(b, st->st_size, 0);
	if (b->n_ranges > RANGES_MAX)
		b->n_ranges = 0;
}

static struct err *copy_range(struct tar_writer *w, int fd, int64_t at, int64_t end)
{
	OWN(mem) char *buf = xcalloc(COPY_BYTES, 1);

	while (at < end) {
		size_t want = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		ssize_t n = pread(fd, buf, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "read");
		if (!n)
			break;
		TRY(tar_writer_block(w, buf, (size_t)n, at));
		at += n;
	}
	return NULL;
}

static struct err *copy_data(struct tar_writer *w, const struct beside *b, int fd, int64_t size)
{
	if (!b->n_ranges)
		return copy_range(w, fd, 0, size);
	for (size_t i = 0; i < b->n_ranges; i++)
		TRY(copy_range(w, fd, b->ranges[i].offset, b->ranges[i].offset + b->ranges[i].len));
	return NULL;
}

static struct err *put(struct tar_writer *w, const struct tar_entry *e, const struct beside *b)
{
	return tar_writer_put(w, e,
			      &(struct tar_more) { .xattrs = b->xattrs,
						   .n_xattrs = b->n_xattrs,
						   .ranges = b->ranges,
						   .n_ranges = b->n_ranges });
}

static struct err *pack_file(struct tar_writer *w, struct item *it)
{
	OWN(fd)
	int fd = openat(it->dir_fd, it->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	OWN(beside) struct beside b = { 0 };
	struct tar_entry e;

	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0 || fstat(fd, &it->st) < 0)
		return err_sys(errno, "open %s", it->name);
	e = entry_of(it);
	if (e.type != TAR_FILE) /* replaced under our hands */
		return NULL;
	read_xattrs(w, &b, fd);
	read_ranges(&b, fd, &it->st);
	TRY(put(w, &e, &b));
	remember_link(w, it);
	TRY_MSG(copy_data(w, &b, fd, e.size), "%s", it->name);
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
		OWN(beside) struct beside b = { 0 };
		struct tar_entry e = entry_of(it);

		e.name = name;
		read_xattrs(w, &b, fd);
		TRY(put(w, &e, &b));
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

struct err *tar_pack_upper(struct tar_writer *w, int dir_fd, const char *base, const char *name)
{
	w->is_upper = true;
	return tar_pack(w, dir_fd, base, name);
}
