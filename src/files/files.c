/* SPDX-License-Identifier: Apache-2.0 */
#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/path.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

/* Bits of Go's os.FileMode, which Docker's API shows. */
static const struct {
	mode_t kind;
	uint32_t go;
} go_kinds[] = {
	{ S_IFDIR, 1u << 31 }, { S_IFLNK, 1u << 27 },
	{ S_IFBLK, 1u << 26 }, { S_IFCHR, 1u << 26 | 1u << 21 },
	{ S_IFIFO, 1u << 25 }, { S_IFSOCK, 1u << 24 },
};

static uint32_t go_mode(mode_t mode)
{
	uint32_t go = mode & 0777;

	for (size_t i = 0; i < ARRAY_SIZE(go_kinds); i++)
		if ((mode & S_IFMT) == go_kinds[i].kind)
			go |= go_kinds[i].go;
	go |= mode & S_ISUID ? 1u << 23 : 0;
	go |= mode & S_ISGID ? 1u << 22 : 0;
	go |= mode & S_ISVTX ? 1u << 20 : 0;
	return go;
}

/* A path inside the instance, as Docker takes it apart. */
struct place {
	int dir_fd;       /* folder that the thing is in, or the thing itself */
	const char *base; /* below dir_fd; "." for dir_fd itself */
	char *name;       /* shown: the path's last part */
	struct stat st;
};

static void own_place_release(struct place *p)
{
	own_fd_release(&p->dir_fd);
	free(p->name);
}

static struct err *not_found(const struct files_of *f)
{
	const char *name = f->name ? f->name : "";

	return err_new(ERR_NOT_FOUND, "Could not find the file %s in container%s%s", f->path,
		       *name ? " " : "", name);
}

/* Does the path end in a way that follows a link: "/", "/."? */
static bool is_followed(const char *path)
{
	size_t n = strlen(path);

	return !n || path[n - 1] == '/' || (n > 1 && !strcmp(path + n - 2, "/.")) ||
	       (n > 2 && !strcmp(path + n - 3, "/..")) || streq(path, ".") || streq(path, "..");
}

char *files_base_name(const char *path)
{
	size_t n = strlen(path);
	const char *p;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (!n || (n == 1 && *path == '/'))
		return xstrdup("/");
	for (p = path + n; p > path && p[-1] != '/';)
		p--;
	return xstrndup(p, (size_t)(path + n - p));
}

static struct err *find_place(const struct files_of *f, const char *path, struct place *p)
{
	OWN(fd) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(mem) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	p->name = files_base_name(path);
	if (is_followed(path)) {
		p->base = ".";
		p->dir_fd = path_open_in_root(root_fd, *path ? path : "/", O_PATH | O_DIRECTORY);
	} else {
		p->base = p->name;
		if (slash)
			*slash = '\0';
		p->dir_fd =
		    path_open_in_root(root_fd, slash && *dir ? dir : "/", O_PATH | O_DIRECTORY);
	}
	if (p->dir_fd < 0 && errno == ENOTDIR)
		return err_new(ERR_INVALID, "%s is not a directory", path);
	if (p->dir_fd < 0 || fstatat(p->dir_fd, p->base, &p->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? not_found(f) : err_sys(errno, "%s", path);
	return NULL;
}

/* Where a link leads, as a path inside; as it is written when it leads to nothing. */
static void link_target(const struct place *p, int proc_fd, const char *path, char *buf,
			size_t size)
{
	OWN(fd) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int fd = path_open_in_root(root_fd, path, O_PATH);
	char number[16];
	ssize_t n;

	snprintf(number, sizeof(number), "%d", fd);
	n = fd >= 0 ? readlinkat(proc_fd, number, buf, size - 1)
		    : readlinkat(p->dir_fd, p->base, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
}

static json_t *stat_object(const struct place *p, int proc_fd, const char *path)
{
	json_t *j = json_object();
	char mtime[40], target[PATH_MAX] = "";

	clock_rfc3339((int64_t)p->st.st_mtim.tv_sec * 1000000000 + p->st.st_mtim.tv_nsec, mtime);
	if (S_ISLNK(p->st.st_mode))
		link_target(p, proc_fd, path, target, sizeof(target));
	jx_set_str(j, "name", p->name);
	json_object_set_new(j, "size", json_integer(p->st.st_size));
	json_object_set_new(j, "mode", json_integer(go_mode(p->st.st_mode)));
	jx_set_str(j, "mtime", mtime);
	jx_set_str(j, "linkTarget", target);
	return j;
}

struct err *files_stat(const struct files_of *f, json_t **ret)
{
	OWN(place) struct place p = { .dir_fd = -1 };

	TRY(find_place(f, f->path, &p));
	*ret = stat_object(&p, f->proc_fd, f->path);
	return NULL;
}

struct err *files_get(const struct files_of *f, struct tar_writer *w)
{
	OWN(place) struct place p = { .dir_fd = -1 };

	TRY(find_place(f, f->path, &p));
	TRY(tar_pack(w, p.dir_fd, p.base, p.name));
	return tar_writer_finish(w);
}

struct err *files_export(struct tar_writer *w)
{
	OWN(fd) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return err_sys(errno, "open root");
	TRY(tar_pack(w, root_fd, ".", ""));
	return tar_writer_finish(w);
}

struct err *files_put_place(const struct files_of *f, int *ret_fd)
{
	OWN(mem) char *dir = xasprintf("%s/", f->path);
	OWN(place) struct place p = { .dir_fd = -1 };
	struct err *e = find_place(f, dir, &p);

	if (e && err_kind(e) == ERR_INVALID) {
		err_free(e);
		return err_new(ERR_INVALID, "extraction point is not a directory");
	}
	TRY(e);
	*ret_fd = TAKE_FD(p.dir_fd);
	return NULL;
}

/* The root's own mount, without those over it, belongs to nobody's tree. */
static struct err *clone_root(int *root_fd)
{
	int fd = (int)syscall(SYS_open_tree, *root_fd, "",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return err_sys(errno, "clone the root's mount");
	close(*root_fd);
	*root_fd = fd;
	return NULL;
}

struct err *files_enter_process(pid_t pid, bool without_mounts)
{
	OWN(mem) char *root_path = xasprintf("/proc/%d/root", pid);
	OWN(mem) char *ns_path = xasprintf("/proc/%d/ns/mnt", pid);
	OWN(fd) int root_fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int ns_fd = open(ns_path, O_RDONLY | O_CLOEXEC);

	if (root_fd < 0 || ns_fd < 0)
		return err_new(ERR_NOT_FOUND, "process %d is gone", pid);
	if (setns(ns_fd, CLONE_NEWNS) < 0)
		return err_sys(errno, "enter the mounts of process %d", pid);
	if (without_mounts)
		TRY(clone_root(&root_fd));
	if (fchdir(root_fd) < 0 || chroot(".") < 0)
		return err_sys(errno, "enter the root of process %d", pid);
	return NULL;
}
