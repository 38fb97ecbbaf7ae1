/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "snap/tree.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

struct shared {
	ino_t ino;
	uint32_t number;
};

struct walk {
	const struct snap_sink *sink;
	dev_t dev;
	struct shared *shared; /* hash table by inode, n_slots a power of two; number 0: free */
	size_t n_slots;
	uint32_t n_shared;
};

static void own_walk_release(struct walk *w)
{
	free(w->shared);
}

/* ---- files of several names ---- */

static struct shared *slot_of(struct shared *table, size_t n, ino_t ino)
{
	size_t at = (size_t)(ino * 0x9e3779b97f4a7c15ULL >> 20) & (n - 1);

	while (table[at].number && table[at].ino != ino)
		at = (at + 1) & (n - 1);
	return &table[at];
}

static void grow(struct walk *w)
{
	size_t n = w->n_slots ? w->n_slots * 2 : 64;
	struct shared *table = xcalloc(n, sizeof(*table));

	for (size_t k = 0; k < w->n_slots; k++)
		if (w->shared[k].number)
			*slot_of(table, n, w->shared[k].ino) = w->shared[k];
	free(w->shared);
	w->shared = table;
	w->n_slots = n;
}

/* All of a walk are on one file system. */
static void note_shared(struct walk *w, const struct stat *st, struct snap_node *n)
{
	struct shared *s;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return;
	if (w->n_shared * 2 >= w->n_slots)
		grow(w);
	s = slot_of(w->shared, w->n_slots, st->st_ino);
	if (s->number) {
		n->same_as = s->number;
		return;
	}
	*s = (struct shared) { .ino = st->st_ino, .number = ++w->n_shared };
	n->shared = s->number;
}

/* ---- attributes ---- */

struct attributes {
	char *names;
	struct snap_xattr v[SNAP_XATTRS];
	size_t n;
};

static void own_attributes_release(struct attributes *a)
{
	for (size_t k = 0; k < a->n; k++)
		free((void *)(uintptr_t)a->v[k].value);
	free(a->names);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct snap_xattr *)a)->name, ((const struct snap_xattr *)b)->name);
}

/* Linux gives a name's value at most 64 KiB, and so it does to the list of names. */
static struct err *read_attributes(int fd, struct attributes *a)
{
	ssize_t len = flistxattr(fd, NULL, 0), n;

	if (len <= 0)
		return len < 0 && errno != EOPNOTSUPP ? err_sys(errno, "list attributes") : NULL;
	a->names = xcalloc((size_t)len + 1, 1);
	len = flistxattr(fd, a->names, (size_t)len);
	for (char *name = a->names; name - a->names < len; name += strlen(name) + 1) {
		OWN(mem) char *value = xcalloc(XATTR_SIZE_MAX, 1);

		n = fgetxattr(fd, name, value, XATTR_SIZE_MAX);
		if (n < 0)
			return err_sys(errno, "attribute %s", name);
		if (a->n == SNAP_XATTRS)
			return err_new(ERR_LIMIT, "more than %d attributes", SNAP_XATTRS);
		a->v[a->n++] = (struct snap_xattr) { name, xrealloc(TAKE(value), (size_t)n + 1, 1),
						     (size_t)n };
	}
	qsort(a->v, a->n, sizeof(a->v[0]), by_name);
	return NULL;
}

/* ---- nodes ---- */

static struct snap_node node_of(const char *name, const struct stat *st)
{
	return (struct snap_node) {
		.name = name,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.size = S_ISREG(st->st_mode) ? st->st_size : 0,
		.rdev = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? st->st_rdev : 0,
	};
}

static struct err *walk_folder(struct walk *w, int fd, int depth);

/* @fd: the node itself, open for reading if that can be, else O_PATH. */
static struct err *visit(struct walk *w, int fd, struct snap_node *n, int depth)
{
	OWN(attributes) struct attributes a = { 0 };
	char target[PATH_MAX];
	ssize_t len;

	if (n->same_as)
		return w->sink->other(w->sink->arg, n);
	if (S_ISLNK(n->mode)) {
		len = readlinkat(fd, "", target, sizeof(target) - 1);
		if (len < 0)
			return err_sys(errno, "read link");
		target[len] = '\0';
		n->link = target;
		return w->sink->other(w->sink->arg, n);
	}
	if (S_ISDIR(n->mode) || S_ISREG(n->mode))
		TRY(read_attributes(fd, &a));
	n->xattrs = a.v;
	n->n_xattrs = a.n;
	if (S_ISREG(n->mode))
		return w->sink->file(w->sink->arg, n, fd);
	if (!S_ISDIR(n->mode))
		return w->sink->other(w->sink->arg, n);
	TRY(w->sink->enter(w->sink->arg, n));
	TRY(walk_folder(w, fd, depth));
	return w->sink->leave(w->sink->arg);
}

static struct err *walk_entry(struct walk *w, int dir, const char *name, int depth)
{
	OWN(fd) int fd = -1;
	struct snap_node n;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(errno, "%s", name);
	if (st.st_dev != w->dev)
		return NULL; /* a mount */
	fd = openat(dir, name,
		    (S_ISREG(st.st_mode)   ? O_RDONLY | O_NONBLOCK
		     : S_ISDIR(st.st_mode) ? O_RDONLY | O_DIRECTORY
					   : O_PATH) |
			O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(errno, "%s", name);
	n = node_of(name, &st);
	note_shared(w, &st, &n);
	TRY_MSG(visit(w, fd, &n, depth), "%s", name);
	return NULL;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct err *list_names(int fd, struct strv *ret)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;

	if (!d) {
		own_fd_release(&own);
		return err_sys(errno, "read folder");
	}
	while ((entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			strv_add(ret, entry->d_name);
	closedir(d);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_texts);
	return NULL;
}

static struct err *walk_folder(struct walk *w, int fd, int depth)
{
	OWN(strv) struct strv names = { 0 };

	if (depth == SNAP_DEPTH_MAX)
		return err_new(ERR_LIMIT, "folders within folders, more than %d", depth);
	TRY(list_names(fd, &names));
	for (size_t n = 0; n < names.n; n++)
		TRY(walk_entry(w, fd, names.v[n], depth + 1));
	return NULL;
}

struct err *snap_walk(int fd, const struct snap_sink *sink)
{
	OWN(walk) struct walk w = { .sink = sink };
	struct snap_node n;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(errno, "stat");
	w.dev = st.st_dev;
	n = node_of("", &st);
	return visit(&w, fd, &n, 0);
}
