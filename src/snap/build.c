/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "snap/tree.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define COPY_BYTES (1 << 20)

struct level {
	int fd;
	int64_t mtime_ns; /* set when all is in it */
	size_t path_len;  /* of the path down to it */
};

struct snap_builder {
	int dir_fd; /* borrowed */
	const char *top;
	struct level *levels;
	size_t n_levels;
	struct str path;    /* of the folder that is being filled, from dir_fd on */
	struct strv firsts; /* paths of files of several names, by their number less one */
};

struct snap_builder *snap_builder_new(int dir_fd, const char *top_name)
{
	struct snap_builder *b = xnew(struct snap_builder);

	b->dir_fd = dir_fd;
	b->top = top_name;
	return b;
}

void snap_builder_free(struct snap_builder *b)
{
	while (b->n_levels)
		close(b->levels[--b->n_levels].fd);
	free(b->levels);
	str_done(&b->path);
	strv_done(&b->firsts);
	free(b);
}

static int folder_of(const struct snap_builder *b)
{
	return b->n_levels ? b->levels[b->n_levels - 1].fd : b->dir_fd;
}

static const char *name_of(const struct snap_builder *b, const struct snap_node *n)
{
	return b->n_levels ? n->name : b->top;
}

static struct err *remember(struct snap_builder *b, const struct snap_node *n)
{
	if (!n->shared)
		return NULL;
	if (n->shared != b->firsts.n + 1)
		return err_new(ERR_CORRUPT, "files of several names are out of order");
	strv_addf(&b->firsts, "%s/%s", b->path.buf ? b->path.buf : ".", name_of(b, n));
	return NULL;
}

static struct timespec time_of(int64_t ns)
{
	int64_t s = ns / 1000000000, rest = ns % 1000000000;

	if (rest < 0) {
		s--;
		rest += 1000000000;
	}
	return (struct timespec) { .tv_sec = s, .tv_nsec = rest };
}

static struct err *set_time(int fd, int64_t mtime_ns)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, time_of(mtime_ns) };

	return futimens(fd, t) < 0 ? err_sys(errno, "set time") : NULL;
}

/* Owner first: its change takes setuid bits and capabilities away. */
static struct err *set_attributes(const struct snap_node *n, int fd)
{
	if (fchown(fd, n->uid, n->gid) < 0 || fchmod(fd, n->mode & 07777) < 0)
		return err_sys(errno, "set owner and mode");
	for (size_t k = 0; k < n->n_xattrs; k++)
		if (fsetxattr(fd, n->xattrs[k].name, n->xattrs[k].value, n->xattrs[k].len, 0) < 0)
			return err_sys(errno, "attribute %s", n->xattrs[k].name);
	return NULL;
}

struct err *snap_build_enter(struct snap_builder *b, const struct snap_node *n)
{
	const char *name = name_of(b, n);
	size_t path_len = b->path.len;
	OWN(fd) int fd = -1;

	if (b->n_levels == SNAP_DEPTH_MAX + 1)
		return err_new(ERR_CORRUPT, "folders within folders without end");
	if (mkdirat(folder_of(b), name, 0700) < 0)
		return err_sys(errno, "mkdir %s", name);
	fd = openat(folder_of(b), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", name);
	TRY(set_attributes(n, fd));
	str_addf(&b->path, "%s%s", b->n_levels ? "/" : "", name);
	b->levels = xrealloc(b->levels, b->n_levels + 1, sizeof(*b->levels));
	b->levels[b->n_levels++] = (struct level) { TAKE_FD(fd), n->mtime_ns, path_len };
	return NULL;
}

struct err *snap_build_leave(struct snap_builder *b)
{
	struct level *l;
	struct err *err;

	if (!b->n_levels)
		return err_new(ERR_CORRUPT, "the end of a folder that did not begin");
	l = &b->levels[--b->n_levels];
	err = set_time(l->fd, l->mtime_ns);
	close(l->fd);
	b->path.len = l->path_len;
	b->path.buf[l->path_len] = '\0';
	return err;
}

static struct err *make_link(struct snap_builder *b, const struct snap_node *n)
{
	if (n->same_as > b->firsts.n)
		return err_new(ERR_CORRUPT, "a further name of a file that is not there");
	if (linkat(b->dir_fd, b->firsts.v[n->same_as - 1], folder_of(b), name_of(b, n), 0) < 0)
		return err_sys(errno, "link %s", n->name);
	return NULL;
}

static struct err *set_attributes_at(int dir, const char *name, const struct snap_node *n)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, time_of(n->mtime_ns) };

	if (fchownat(dir, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(errno, "chown %s", name);
	if (!S_ISLNK(n->mode) && fchmodat(dir, name, n->mode & 07777, 0) < 0)
		return err_sys(errno, "chmod %s", name);
	return utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? err_sys(errno, "%s", name) : NULL;
}

struct err *snap_build_other(struct snap_builder *b, const struct snap_node *n)
{
	const char *name = name_of(b, n);
	int dir = folder_of(b), made;

	if (n->same_as)
		return make_link(b, n);
	made = S_ISLNK(n->mode) ? symlinkat(n->link, dir, name)
				: mknodat(dir, name, (n->mode & S_IFMT) | 0600, n->rdev);
	if (made < 0)
		return err_sys(errno, "make %s", name);
	TRY(remember(b, n));
	return set_attributes_at(dir, name, n);
}

struct err *snap_build_file(struct snap_builder *b, const struct snap_node *n, int *ret_fd)
{
	const char *name = name_of(b, n);
	OWN(fd)
	int fd =
	    openat(folder_of(b), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(errno, "create %s", name);
	TRY(remember(b, n));
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

struct err *snap_build_filled(struct snap_builder *b, const struct snap_node *n, int fd)
{
	OWN(fd) int own = fd;

	(void)b;
	TRY(set_attributes(n, own));
	return set_time(own, n->mtime_ns);
}

struct err *snap_build_link(struct snap_builder *b, const struct snap_node *n, int fd)
{
	OWN(mem) char *path = xasprintf("/proc/self/fd/%d", fd);

	if (linkat(AT_FDCWD, path, folder_of(b), name_of(b, n), AT_SYMLINK_FOLLOW) < 0)
		return err_sys(errno, "link %s", n->name);
	return remember(b, n);
}

/* ---- copying ---- */

struct copier {
	struct snap_builder *b;
	const struct snap_progress *p;
};

static void tell(const struct copier *c, int64_t bytes)
{
	if (c->p)
		c->p->fn(c->p->arg, bytes);
}

static struct err *write_at(int fd, const char *buf, size_t n, int64_t at)
{
	while (n) {
		ssize_t done = pwrite(fd, buf, n, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(errno, "write");
		buf += done;
		n -= (size_t)done;
		at += done;
	}
	return NULL;
}

static struct err *copy_by_hand(const struct copier *c, int from, int to, int64_t at, int64_t end)
{
	OWN(mem) char *buf = xcalloc(COPY_BYTES, 1);

	while (at < end) {
		size_t want = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		ssize_t n = pread(from, buf, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "read");
		if (!n)
			break;
		TRY(write_at(to, buf, (size_t)n, at));
		at += n;
		tell(c, n);
	}
	return NULL;
}

static struct err *copy_piece(const struct copier *c, int from, int to, int64_t at, int64_t end)
{
	while (at < end) {
		off_t in = at, out = at;
		size_t want = end - at < 64 * COPY_BYTES ? (size_t)(end - at) : 64 * COPY_BYTES;
		ssize_t n = copy_file_range(from, &in, to, &out, want, 0);

		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
			return err_sys(errno, "write");
		if (n <= 0) /* not between these two, or not at all */
			return copy_by_hand(c, from, to, at, end);
		at += n;
		tell(c, n);
	}
	return NULL;
}

static struct err *copy_content(const struct copier *c, int from, int to, int64_t size)
{
	off_t at = 0, data, hole;

	if (ioctl(to, FICLONE, from) == 0) {
		tell(c, size);
		return NULL;
	}
	while (at < size && (data = lseek(from, at, SEEK_DATA)) >= 0 && data < size) {
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return err_sys(errno, "seek");
		TRY(copy_piece(c, from, to, data, hole < size ? hole : size));
		at = hole;
	}
	return ftruncate(to, size) < 0 ? err_sys(errno, "truncate") : NULL;
}

static struct err *copy_enter(void *arg, const struct snap_node *n)
{
	return snap_build_enter(((struct copier *)arg)->b, n);
}

static struct err *copy_leave(void *arg)
{
	return snap_build_leave(((struct copier *)arg)->b);
}

static struct err *copy_other(void *arg, const struct snap_node *n)
{
	return snap_build_other(((struct copier *)arg)->b, n);
}

static struct err *copy_file(void *arg, const struct snap_node *n, int fd)
{
	struct copier *c = arg;
	OWN(fd) int to = -1;

	TRY(snap_build_file(c->b, n, &to));
	TRY(copy_content(c, fd, to, n->size));
	return snap_build_filled(c->b, n, TAKE_FD(to));
}

struct err *snap_copy(int from_fd, int to_fd, const char *name, const struct snap_progress *p)
{
	OWN(snap_builder) struct snap_builder *b = snap_builder_new(to_fd, name);
	struct copier c = { b, p };

	return snap_walk(from_fd, &(struct snap_sink) { .enter = copy_enter,
							.leave = copy_leave,
							.file = copy_file,
							.other = copy_other,
							.arg = &c });
}

static struct err *link_file(void *arg, const struct snap_node *n, int fd)
{
	return snap_build_link(((struct copier *)arg)->b, n, fd);
}

struct err *snap_link(int from_fd, int to_fd, const char *name)
{
	OWN(snap_builder) struct snap_builder *b = snap_builder_new(to_fd, name);
	struct copier c = { .b = b };

	return snap_walk(from_fd, &(struct snap_sink) { .enter = copy_enter,
							.leave = copy_leave,
							.file = link_file,
							.other = copy_other,
							.arg = &c });
}
