/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files/files.h"
#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"

enum kind { MODIFIED, ADDED, DELETED }; /* Docker's numbers */

struct diff {
	int lower_fd; /* the image, merged */
	json_t *changes;
	struct strv mount_points; /* made for the instance's start, not by it */
};

/* What Docker hides in a layer between image and container. */
static const char *const usual_mount_points[] = {
	"/dev", "/dev/console", "/dev/pts",   "/dev/shm",  "/dev/mqueue",      "/proc",
	"/sys", "/.dockerenv",  "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/etc/hostname",
};

static void add_change(struct diff *d, const char *path, enum kind kind)
{
	json_t *c = json_object();

	jx_set_str(c, "Path", path);
	json_object_set_new(c, "Kind", json_integer(kind));
	json_array_append_new(d->changes, c);
}

/* A folder, or a file without content, that the image does not have. */
static bool is_mount_point(const struct diff *d, const char *path, const struct stat *st)
{
	bool is_named = strv_has(&d->mount_points, path);

	for (size_t i = 0; i < ARRAY_SIZE(usual_mount_points); i++)
		is_named |= streq(usual_mount_points[i], path);
	return is_named && (!S_ISREG(st->st_mode) || !st->st_size);
}

static bool is_opaque(int fd)
{
	char value[2];

	return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) >= 1 && *value == 'y';
}

static bool in_lower(const struct diff *d, const char *path, struct stat *st)
{
	OWN(mem) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	OWN(fd) int fd = -1;

	*slash = '\0';
	fd = path_open_beneath(d->lower_fd, *dir ? dir + 1 : ".", O_PATH | O_DIRECTORY);
	return fd >= 0 && fstatat(fd, slash + 1, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool same_dir(const struct stat *a, const struct stat *b)
{
	return S_ISDIR(a->st_mode) && S_ISDIR(b->st_mode) && a->st_mode == b->st_mode &&
	       a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct err *walk(struct diff *d, int fd, const char *path, bool opaque, bool *ret_points);

/*
 * A folder is listed when it, or something in it, was changed.  That mount points were made
 * in it changes its time, and does not count.
 */
static struct err *one_dir(struct diff *d, int dir_fd, const char *path, const struct stat *st,
			   bool opaque, bool *ret_points)
{
	OWN(fd)
	int fd =
	    openat(dir_fd, strrchr(path, '/') + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool own_opaque = opaque || (fd >= 0 && is_opaque(fd));
	size_t at = json_array_size(d->changes);
	bool below, points = false, unchanged;
	struct stat lower = { 0 };

	if (fd < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", path);
	below = !opaque && in_lower(d, path, &lower);
	add_change(d, path, below ? MODIFIED : ADDED);
	TRY(walk(d, TAKE_FD(fd), path, own_opaque || !below, &points));
	if (json_array_size(d->changes) != at + 1)
		return NULL;
	unchanged = below ? !own_opaque && (points || same_dir(&lower, st))
			  : points || is_mount_point(d, path, st);
	*ret_points |= unchanged && points;
	if (unchanged)
		json_array_remove(d->changes, at);
	return NULL;
}

static struct err *one(struct diff *d, int dir_fd, const char *path, bool opaque, bool *ret_points)
{
	struct stat st, lower;
	bool below;

	if (fstatat(dir_fd, strrchr(path, '/') + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", path);
	below = !opaque && in_lower(d, path, &lower);
	if (!below && is_mount_point(d, path, &st))
		*ret_points = true;
	if (S_ISDIR(st.st_mode))
		return one_dir(d, dir_fd, path, &st, opaque, ret_points);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
		if (below)
			add_change(d, path, DELETED);
		return NULL;
	}
	if (below || !is_mount_point(d, path, &st))
		add_change(d, path, below ? MODIFIED : ADDED);
	return NULL;
}

/* Consumes @fd.  @opaque: nothing of the image shows through here. */
static struct err *walk(struct diff *d, int fd, const char *path, bool opaque, bool *ret_points)
{
	DIR *dir = fdopendir(fd);
	struct err *e = NULL;
	struct dirent *ent;

	if (!dir) {
		e = err_sys(errno, "read %s", path);
		close(fd);
		return e;
	}
	while (!e && (ent = readdir(dir))) {
		if (streq(ent->d_name, ".") || streq(ent->d_name, ".."))
			continue;
		OWN(mem) char *child = xasprintf("%s/%s", path, ent->d_name);

		e = one(d, fd, child, opaque, ret_points);
	}
	closedir(dir);
	return e;
}

static void add_mount_points(const json_t *mounts, struct strv *ret)
{
	for (size_t i = 0; i < json_array_size(mounts); i++)
		strv_add(ret, jx_str(json_array_get(mounts, i), "target", ""));
}

static int by_path(const void *a, const void *b)
{
	return strcmp(jx_str(*(json_t *const *)a, "Path", ""),
		      jx_str(*(json_t *const *)b, "Path", ""));
}

static json_t *sorted(const json_t *changes)
{
	size_t n = json_array_size(changes);
	OWN(mem) json_t **list = xcalloc(n + 1, sizeof(*list));
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		list[i] = json_array_get(changes, i);
	qsort(list, n, sizeof(*list), by_path);
	for (size_t i = 0; i < n; i++)
		json_array_append(a, list[i]);
	return a;
}

struct err *files_diff(int lower_fd, int upper_fd, const json_t *mounts, json_t **ret)
{
	OWN(json) json_t *changes = json_array();
	struct diff d = { .lower_fd = lower_fd, .changes = changes };
	struct err *e = NULL;
	bool unused;

	add_mount_points(mounts, &d.mount_points);
	if (upper_fd >= 0)
		e = walk(&d, upper_fd, "", false, &unused);
	strv_done(&d.mount_points);
	TRY(e);
	*ret = sorted(changes);
	return NULL;
}
