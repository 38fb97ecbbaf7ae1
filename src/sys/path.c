/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <string.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

/* Deeper folders are moved to the top before they are emptied. */
#define DEPTH_MAX 64

static int open2(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve };
	long fd;

	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return (int)fd;
}

int path_open_in_root(int root_fd, const char *path, int flags)
{
	return open2(root_fd, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int path_open_beneath(int root_fd, const char *path, int flags)
{
	return open2(root_fd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

struct removal {
	int top_fd;
	unsigned moved; /* number for the next name at the top */
};

static void drop_flags(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
		flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static void drop_flags_at(int dir_fd, const char *name)
{
	struct stat st;

	/* Only what opens without side effects; a device or a fifo might not. */
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		OWN(fd) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0)
			drop_flags(fd);
	}
	drop_flags(dir_fd);
}

/* Returns 0, or an errno; EISDIR for a folder. */
static int remove_name(int dir_fd, const char *name, int flags)
{
	if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno != EPERM && errno != EACCES)
		return errno;
	drop_flags_at(dir_fd, name);
	if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
		return 0;
	return errno;
}

static struct err *remove_dir(struct removal *r, int dir_fd, const char *name, int depth);

static struct err *remove_entry(struct removal *r, int dir_fd, const char *name, int depth)
{
	int e = remove_name(dir_fd, name, 0);
	char moved[32];

	if (!e)
		return NULL;
	if (e != EISDIR)
		return err_sys(e, "remove %s", name);
	if (depth < DEPTH_MAX)
		return remove_dir(r, dir_fd, name, depth + 1);
	snprintf(moved, sizeof(moved), ".removing-%u", r->moved++);
	if (renameat(dir_fd, name, r->top_fd, moved) < 0)
		return err_sys(errno, "move %s", name);
	return NULL;
}

/* One pass over a folder; @ret_any: was there anything? */
static struct err *remove_entries(struct removal *r, int fd, int depth, bool *ret_any)
{
	DIR *d = fdopendir(dup(fd));
	struct err *e = NULL;
	struct dirent *ent;

	if (!d)
		return err_sys(errno, "read directory");
	rewinddir(d);
	*ret_any = false;
	while (!e && (ent = readdir(d))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		*ret_any = true;
		e = remove_entry(r, fd, ent->d_name, depth);
	}
	closedir(d);
	return e;
}

static struct err *remove_dir(struct removal *r, int dir_fd, const char *name, int depth)
{
	OWN(fd) int fd = path_open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	bool any = true;
	int e;

	if (fd < 0)
		return errno == ENOENT  ? NULL
		       : errno == EXDEV ? err_sys(EBUSY, "remove %s: a mount is there", name)
					: err_sys(errno, "remove %s", name);
	if (r->top_fd < 0)
		r->top_fd = fd;
	while (any)
		TRY(remove_entries(r, fd, depth, &any));
	e = remove_name(dir_fd, name, AT_REMOVEDIR);
	return e ? err_sys(e, "remove %s", name) : NULL;
}

struct err *path_remove_tree(int dir_fd, const char *name)
{
	struct removal r = { .top_fd = -1 };
	int e = remove_name(dir_fd, name, 0);

	if (e == EISDIR)
		return remove_dir(&r, dir_fd, name, 0);
	return e ? err_sys(e, "remove %s", name) : NULL;
}

struct err *path_remove(const char *path)
{
	OWN(mem) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');
	OWN(fd) int fd = -1;

	if (!slash || slash == dir || !slash[1])
		return err_new(ERR_INVALID, "remove %s", path);
	*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "open %s", dir);
	return path_remove_tree(fd, slash + 1);
}
