/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/path.h"
#include "tar/tar.h"
#include "util/fd.h"
#include "util/mem.h"

#define WHITEOUT        ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_META   ".wh..wh."
#define OPAQUE_XATTR    "trusted.overlay.opaque"

/* Folders get their times when everything is in them. */
struct dir_time {
	char *path;
	int64_t mtime_ns;
};

struct extractor {
	const struct tar_extract *x;
	struct tar_reader *reader;
	struct tar_stats stats;
	int base_fd; /* where names begin */
	struct str parent_path;
	int parent_fd; /* the folder last used; -1: none */
	bool parent_is_stale;
	struct dir_time *times;
	size_t n_times;
};

/* One entry on its way. */
struct place {
	const struct tar_entry *e;
	const char *path; /* cleaned */
	const char *base; /* last component of it */
	int dir_fd;       /* folder that it is in, borrowed */
};

static void own_extractor_release(struct extractor *t)
{
	for (size_t i = 0; i < t->n_times; i++)
		free(t->times[i].path);
	free(t->times);
	str_done(&t->parent_path);
	own_fd_release(&t->parent_fd);
	own_fd_release(&t->base_fd);
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static struct err *mark_opaque(int dir_fd, const char *name)
{
	OWN(fd) int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0)
		return err_sys(errno, "mark %s opaque", name);
	return NULL;
}

/*
 * Make room for an entry.  @ret_is_dir: a folder is there and stays (only for a folder);
 * @ret_was_whiteout: what was there hid a folder of a lower layer.
 */
static struct err *make_room(struct extractor *t, const struct place *p, bool want_dir,
			     bool *ret_is_dir, bool *ret_was_whiteout)
{
	struct stat st;

	*ret_is_dir = *ret_was_whiteout = false;
	if (fstatat(p->dir_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", p->path);
	if (S_ISDIR(st.st_mode) && want_dir) {
		*ret_is_dir = true;
		return NULL;
	}
	if (t->x->keep_kind && (S_ISDIR(st.st_mode) || want_dir))
		return err_new(ERR_INVALID, "cannot overwrite %s \"%s\" with %s",
			       S_ISDIR(st.st_mode) ? "directory" : "non-directory", p->path,
			       want_dir ? "directory" : "non-directory");
	*ret_was_whiteout = is_whiteout(&st);
	t->parent_is_stale = true; /* it may be below what goes; it is still in use here */
	return path_remove_tree(p->dir_fd, p->base);
}

static struct err *make_dir(struct extractor *t, const struct place *p, unsigned mode)
{
	bool is_dir, was_whiteout;

	TRY(make_room(t, p, true, &is_dir, &was_whiteout));
	if (is_dir)
		return NULL;
	if (mkdirat(p->dir_fd, p->base, mode) < 0)
		return err_sys(errno, "mkdir %s", p->path);
	if (was_whiteout && t->x->whiteouts)
		return mark_opaque(p->dir_fd, p->base);
	return NULL;
}

static int open_below(struct extractor *t, const char *path, int flags)
{
	return path_open_in_root(t->base_fd, *path ? path : ".", O_PATH | O_DIRECTORY | flags);
}

static size_t parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A folder by its cleaned path, made when it is not there, as are those above it. */
static struct err *open_dir(struct extractor *t, const char *path, int *ret_fd)
{
	int fd = open_below(t, path, 0);

	if (fd < 0 && *path && (errno == ENOENT || errno == ENOTDIR)) {
		OWN(mem) char *above = xstrndup(path, parent_len(path));
		OWN(fd) int above_fd = -1;
		struct stat st;

		TRY(open_dir(t, above, &above_fd));
		struct place p = { .path = path, .base = base_of(path), .dir_fd = above_fd };

		if (fstatat(above_fd, p.base, &st, AT_SYMLINK_NOFOLLOW) == 0 && !is_whiteout(&st))
			return err_new(ERR_CORRUPT, "%s is no directory, but has entries", path);
		TRY(make_dir(t, &p, 0755));
		fd = open_below(t, path, 0);
	}
	if (fd < 0 && errno == ELOOP)
		return err_new(ERR_CORRUPT, "%s leads through links that lead nowhere", path);
	if (fd < 0)
		return err_sys(errno, "%s", path);
	*ret_fd = fd;
	return NULL;
}

static struct err *use_parent(struct extractor *t, struct place *p)
{
	OWN(mem) char *dir = xstrndup(p->path, parent_len(p->path));

	if (t->parent_fd < 0 || t->parent_is_stale || !streq(t->parent_path.buf, dir)) {
		own_fd_release(&t->parent_fd);
		t->parent_fd = -1;
		t->parent_is_stale = false;
		TRY(open_dir(t, dir, &t->parent_fd));
		str_done(&t->parent_path);
		str_adds(&t->parent_path, dir);
	}
	p->dir_fd = t->parent_fd;
	p->base = base_of(p->path);
	return NULL;
}

/* ---- attributes ---- */

static bool is_kept_xattr(const char *name)
{
	return strncmp(name, "user.overlay.", 13) != 0 && tar_keeps_xattr(name);
}

static struct err *set_xattrs(struct extractor *t, const struct place *p, int fd)
{
	const char *name;
	const void *value;
	size_t n;

	while (tar_reader_xattr(t->reader, &name, &value, &n)) {
		if (!is_kept_xattr(name) && !(t->x->is_upper && tar_is_overlay_xattr(name)))
			continue;
		if (fsetxattr(fd, name, value, n, 0) < 0 && errno != EOPNOTSUPP)
			return err_sys(errno, "%s: attribute %s", p->path, name);
	}
	return NULL;
}

static void times_of(int64_t mtime_ns, struct timespec ret[2])
{
	int64_t s = mtime_ns / 1000000000, ns = mtime_ns % 1000000000;

	if (ns < 0) {
		s--;
		ns += 1000000000;
	}
	ret[0] = ret[1] = (struct timespec) { .tv_sec = s, .tv_nsec = ns };
}

/* Owner first: a change of it clears setuid bits and capabilities. */
static struct err *set_attributes(struct extractor *t, const struct place *p, int fd)
{
	struct timespec ts[2];

	if (t->x->same_owner && fchown(fd, p->e->uid, p->e->gid) < 0)
		return err_sys(errno, "chown %s", p->path);
	if (fchmod(fd, p->e->mode & 07777) < 0)
		return err_sys(errno, "chmod %s", p->path);
	TRY(set_xattrs(t, p, fd));
	times_of(p->e->mtime_ns, ts);
	if (futimens(fd, ts) < 0)
		return err_sys(errno, "%s: set time", p->path);
	return NULL;
}

/* For what cannot be opened: links, devices. */
static struct err *set_attributes_at(struct extractor *t, const struct place *p)
{
	struct timespec ts[2];

	if (t->x->same_owner &&
	    fchownat(p->dir_fd, p->base, p->e->uid, p->e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(errno, "chown %s", p->path);
	if (p->e->type != TAR_SYMLINK && fchmodat(p->dir_fd, p->base, p->e->mode & 07777, 0) < 0)
		return err_sys(errno, "chmod %s", p->path);
	times_of(p->e->mtime_ns, ts);
	if (utimensat(p->dir_fd, p->base, ts, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(errno, "%s: set time", p->path);
	return NULL;
}

/* ---- the kinds of entries ---- */

static struct err *write_data(struct extractor *t, const struct place *p, int fd)
{
	const void *data;
	int64_t offset = 0;
	size_t n = 0;

	for (;;) {
		TRY_MSG(tar_reader_block(t->reader, &data, &n, &offset), "%s", p->path);
		if (!n)
			break;
		if (lseek(fd, offset, SEEK_SET) < 0)
			return err_sys(errno, "%s", p->path);
		TRY_MSG(fd_write_all(fd, data, n), "%s", p->path);
		t->stats.bytes += (int64_t)n;
	}
	/* A hole at the end */
	if (ftruncate(fd, p->e->size) < 0)
		return err_sys(errno, "%s", p->path);
	return NULL;
}

static struct err *put_file(struct extractor *t, const struct place *p)
{
	bool unused[2];
	OWN(fd) int fd = -1;

	TRY(make_room(t, p, false, &unused[0], &unused[1]));
	fd = openat(p->dir_fd, p->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(errno, "create %s", p->path);
	TRY(write_data(t, p, fd));
	return set_attributes(t, p, fd);
}

static void remember_time(struct extractor *t, const struct place *p)
{
	t->times = xrealloc(t->times, t->n_times + 1, sizeof(*t->times));
	t->times[t->n_times++] =
	    (struct dir_time) { .path = xstrdup(p->path), .mtime_ns = p->e->mtime_ns };
}

static struct err *put_dir(struct extractor *t, const struct place *p)
{
	OWN(fd) int fd = -1;

	TRY(make_dir(t, p, 0700));
	fd = openat(p->dir_fd, p->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", p->path);
	remember_time(t, p);
	return set_attributes(t, p, fd);
}

static struct err *put_symlink(struct extractor *t, const struct place *p)
{
	bool unused[2];

	TRY(make_room(t, p, false, &unused[0], &unused[1]));
	if (symlinkat(p->e->link, p->dir_fd, p->base) < 0)
		return err_sys(errno, "symlink %s", p->path);
	return set_attributes_at(t, p);
}

static struct err *put_hardlink(struct extractor *t, const struct place *p)
{
	OWN(str) struct str target = { 0 };
	OWN(fd) int target_dir = -1;
	bool unused[2];

	TRY_MSG(tar_clean_name(p->e->link, &target), "%s", p->path);
	if (streq(target.buf, p->path))
		return NULL;
	OWN(mem) char *dir = xstrndup(target.buf, parent_len(target.buf));

	target_dir = open_below(t, dir, 0);
	if (target_dir < 0)
		return err_new(ERR_CORRUPT, "%s is a link to %s, which is not in the archive",
			       p->path, p->e->link);
	TRY(make_room(t, p, false, &unused[0], &unused[1]));
	if (linkat(target_dir, base_of(target.buf), p->dir_fd, p->base, 0) < 0) {
		if (errno == ENOENT || errno == EPERM)
			return err_new(ERR_CORRUPT,
				       "%s is a link to %s, which is no file of the archive",
				       p->path, p->e->link);
		return err_sys(errno, "link %s", p->path);
	}
	return NULL;
}

static bool is_safe_device(const struct tar_entry *e)
{
	static const unsigned safe[][2] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 },
					    { 1, 9 }, { 5, 0 }, { 5, 1 }, { 5, 2 } };

	for (size_t i = 0; i < ARRAY_SIZE(safe) && e->type == TAR_CHAR; i++)
		if (major(e->rdev) == safe[i][0] && minor(e->rdev) == safe[i][1])
			return true;
	return false;
}

static struct err *put_device(struct extractor *t, const struct place *p)
{
	static const mode_t kinds[] = { [TAR_CHAR] = S_IFCHR, [TAR_FIFO] = S_IFIFO };
	bool unused[2];

	bool is_hole = t->x->is_upper && p->e->type == TAR_CHAR && !p->e->rdev;

	if (p->e->type != TAR_FIFO && !is_hole &&
	    (t->x->devices == TAR_DEVICES_NONE || !is_safe_device(p->e))) {
		t->stats.skipped++;
		return NULL;
	}
	TRY(make_room(t, p, false, &unused[0], &unused[1]));
	if (mknodat(p->dir_fd, p->base, kinds[p->e->type] | 0600,
		    p->e->type == TAR_FIFO ? 0 : p->e->rdev) < 0)
		return err_sys(errno, "mknod %s", p->path);
	return set_attributes_at(t, p);
}

static struct err *put_other(struct extractor *t, const struct place *p)
{
	t->stats.skipped++;
	return NULL;
}

/* ".wh.x" hides x of the layers below; what this layer has itself stays. */
static struct err *put_whiteout(struct extractor *t, const struct place *p)
{
	const char *name = p->base + strlen(WHITEOUT);
	struct stat st;

	if (streq(p->base, WHITEOUT_OPAQUE))
		return mark_opaque(p->dir_fd, ".");
	if (!strncmp(p->base, WHITEOUT_META, strlen(WHITEOUT_META)))
		return NULL;
	if (!*name || streq(name, ".") || streq(name, ".."))
		return err_new(ERR_CORRUPT, "%s is no whiteout", p->path);
	if (fstatat(p->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return S_ISDIR(st.st_mode) ? mark_opaque(p->dir_fd, name) : NULL;
	if (mknodat(p->dir_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		return err_sys(errno, "whiteout %s", p->path);
	return NULL;
}

static struct err *put_root(struct extractor *t, const struct place *p)
{
	OWN(fd) int fd = openat(t->base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (p->e->type != TAR_DIR)
		return err_new(ERR_CORRUPT, "the root is no directory");
	if (fd < 0)
		return err_sys(errno, "open root");
	remember_time(t, p);
	return set_attributes(t, p, fd);
}

static struct err *put_entry(struct extractor *t, const struct tar_entry *e)
{
	static struct err *(*const put[])(struct extractor *, const struct place *) = {
		[TAR_FILE] = put_file,         [TAR_DIR] = put_dir,     [TAR_SYMLINK] = put_symlink,
		[TAR_HARDLINK] = put_hardlink, [TAR_CHAR] = put_device, [TAR_BLOCK] = put_device,
		[TAR_FIFO] = put_device,       [TAR_OTHER] = put_other,
	};
	OWN(str) struct str path = { 0 };
	struct place p = { .e = e, .dir_fd = t->base_fd };

	TRY(tar_clean_name(e->name, &path));
	t->stats.entries++;
	p.path = path.buf;
	if (!*p.path)
		return put_root(t, &p);
	TRY(use_parent(t, &p));
	if (t->x->whiteouts && !strncmp(p.base, WHITEOUT, strlen(WHITEOUT)))
		return put_whiteout(t, &p);
	return put[e->type](t, &p);
}

/* Times of folders, inner ones last set first: an entry made later has touched them. */
static struct err *set_dir_times(struct extractor *t)
{
	while (t->n_times) {
		struct dir_time *d = &t->times[t->n_times - 1];
		OWN(fd)
		int fd =
		    path_open_in_root(t->base_fd, *d->path ? d->path : ".", O_RDONLY | O_DIRECTORY);
		struct timespec ts[2];

		times_of(d->mtime_ns, ts);
		if (fd >= 0 && futimens(fd, ts) < 0) /* gone: a later entry replaced it */
			return err_sys(errno, "%s: set time", d->path);
		free(d->path);
		t->n_times--;
	}
	return NULL;
}

struct err *tar_extract_from(const struct tar_extract *x, struct tar_reader *r,
			     struct tar_stats *ret)
{
	OWN(extractor)
	struct extractor t = { .x = x, .reader = r, .base_fd = -1, .parent_fd = -1 };
	const struct tar_entry *e = NULL;

	t.base_fd = path_open_in_root(x->root_fd, x->into ? x->into : ".", O_PATH | O_DIRECTORY);
	if (t.base_fd < 0)
		return err_sys(errno, "%s", x->into ? x->into : "root");
	for (;;) {
		TRY(tar_reader_next(t.reader, &e));
		if (!e)
			break;
		TRY(put_entry(&t, e));
	}
	TRY(set_dir_times(&t));
	if (ret)
		*ret = t.stats;
	return NULL;
}
