/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/files.h"
#include "image/commit.h"
#include "sys/path.h"
#include "sys/tree.h"
#include "util/fd.h"
#include "util/mem.h"
#include "sys/jail.h"
#include "worker/loopdev.h"

#define LAYERS_MAX 500

struct err *view_tmp(const struct job *j, char **ret)
{
	TRY(image_store_init(j->root));
	*ret = xasprintf("%s/tmp", j->root);
	return NULL;
}

/* ---- overlay ---- */

/* mount(2) takes one page of options, so layers are named by descriptors. */
struct lower_fds {
	int v[LAYERS_MAX];
	size_t n;
};

static void own_lower_fds_release(struct lower_fds *f)
{
	for (size_t i = 0; i < f->n; i++)
		close(f->v[i]);
}

static struct err *open_lowers(const struct strv *lowers, struct lower_fds *f, struct str *options)
{
	if (lowers->n > LAYERS_MAX)
		return err_new(ERR_LIMIT, "%zu layers, at most %d can be mounted", lowers->n,
			       LAYERS_MAX);
	str_adds(options, "lowerdir=");
	for (size_t i = 0; i < lowers->n; i++) {
		int fd = open(lowers->v[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return err_sys(errno, "layer %s", lowers->v[i]);
		f->v[f->n++] = fd;
		str_addf(options, "%s/proc/self/fd/%d", i ? ":" : "", fd);
	}
	return NULL;
}

/*
 * Overlayfs wants two lower folders, and hides whiteouts only where it merges: an empty one
 * at the bottom helps with both.  It lies where the overlay comes to lie.
 */
static struct err *open_empty(const char *target, int *ret_fd)
{
	if (mount("none", target, "tmpfs", MS_RDONLY, "mode=0755,size=4k") < 0)
		return err_sys(errno, "mount an empty root");
	*ret_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(errno, "%s", target);
	return NULL;
}

struct err *view_mount_lowers(const struct strv *lowers, const char *target)
{
	OWN(lower_fds) struct lower_fds f = { 0 };
	OWN(str) struct str options = { 0 };
	OWN(fd) int empty = -1;

	TRY(open_empty(target, &empty));
	if (!lowers->n)
		return NULL;
	TRY(open_lowers(lowers, &f, &options));
	str_addf(&options, ":/proc/self/fd/%d", empty);
	if (mount("overlay", target, "overlay", MS_RDONLY, options.buf) < 0)
		return err_sys(errno, "mount %zu layers", lowers->n);
	return NULL;
}

static struct err *mount_whole(const struct strv *lowers, int upper_fd, int work_fd,
			       const char *target)
{
	OWN(lower_fds) struct lower_fds f = { 0 };
	OWN(str) struct str options = { 0 };

	TRY(open_lowers(lowers, &f, &options));
	str_addf(&options, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", upper_fd,
		 work_fd);
	if (mount("overlay", target, "overlay", 0, options.buf) < 0)
		return err_sys(errno, "mount root file system");
	return NULL;
}

/* ---- upper ---- */

static struct err *mount_disk(const char *disk, const char *target, bool *ret_mounted)
{
	OWN(fd) int loop = -1;
	char dev[64];

	*ret_mounted = false;
	if (access(disk, F_OK) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", disk);
	TRY(loopdev_open(disk, &loop));
	snprintf(dev, sizeof(dev), "/proc/self/fd/%d", loop);
	if (mount(dev, target, "ext4", MS_NOATIME, NULL) < 0)
		return err_sys(errno, "mount %s", disk);
	*ret_mounted = true;
	return NULL;
}

/* @dir_fd, @name: an absolute path has no use for the folder. @ret_fd: -1 when it is missing */
static struct err *open_folder(int dir_fd, const char *name, bool make, int *ret_fd)
{
	int fd;

	if (make && dir_fd == AT_FDCWD)
		TRY(fd_mkdirs(name));
	else if (make && mkdirat(dir_fd, name, 0755) < 0 && errno != EEXIST)
		return err_sys(errno, "mkdir %s", name);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_sys(errno, "%s", name);
	*ret_fd = fd;
	return NULL;
}

static struct err *open_upper(const json_t *rootfs, const char *target, bool make, int *ret_upper,
			      int *ret_work)
{
	const char *disk = jx_str(rootfs, "disk", NULL), *upper = jx_str(rootfs, "upper", NULL);
	const char *work = jx_str(rootfs, "work", NULL);
	OWN(fd) int disk_fd = -1;
	bool mounted = false;

	*ret_upper = *ret_work = -1;
	if (disk) {
		TRY(mount_disk(disk, target, &mounted));
		if (!mounted && make)
			return err_new(ERR_STATE, "its disk is made at the first start");
		if (!mounted)
			return NULL;
		disk_fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (disk_fd < 0)
			return err_sys(errno, "%s", disk);
		TRY(open_folder(disk_fd, "upper", make, ret_upper));
		return open_folder(disk_fd, "work", make, ret_work);
	}
	if (!upper || !work)
		return NULL;
	TRY(open_folder(AT_FDCWD, upper, make, ret_upper));
	return open_folder(AT_FDCWD, work, make, ret_work);
}

struct err *view_open_upper(const json_t *rootfs, const char *target, int *ret_fd)
{
	OWN(fd) int work = -1;

	return open_upper(rootfs, target, false, ret_fd, &work);
}

/* ---- a stopped instance ---- */

static struct err *make_mount_point(int root_fd, const char *path, bool is_dir)
{
	OWN(mem) char *above = xstrdup(path);
	char *slash = strrchr(above, '/');
	OWN(fd) int fd = path_open_in_root(root_fd, path, O_PATH);
	OWN(fd) int above_fd = -1;
	int made;

	if (fd >= 0 || !slash)
		return NULL;
	*slash = '\0';
	if (*above)
		TRY(make_mount_point(root_fd, above, true));
	above_fd = path_open_in_root(root_fd, *above ? above : "/", O_PATH | O_DIRECTORY);
	if (above_fd < 0)
		return err_sys(errno, "%s", above);
	made = is_dir ? mkdirat(above_fd, slash + 1, 0755)
		      : mknodat(above_fd, slash + 1, S_IFREG | 0644, 0);
	return made < 0 && errno != EEXIST ? err_sys(errno, "make %s", path) : NULL;
}

static struct err *set_readonly(int root_fd, const char *path)
{
	OWN(fd) int top = path_open_in_root(root_fd, path, O_PATH); /* what lies there now */

	if (top < 0)
		return err_sys(errno, "%s", path);
	return tree_set(top, "", false, MOUNT_ATTR_RDONLY, 0, 0);
}

static struct err *bind_one(int root_fd, const json_t *m, bool may_make)
{
	const char *source = jx_str(m, "source", ""), *path = jx_str(m, "target", "");
	OWN(fd) int target = -1;
	char magic[64];
	struct stat st;

	if (stat(source, &st) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", source);
	if (may_make)
		TRY(make_mount_point(root_fd, path, S_ISDIR(st.st_mode)));
	target = path_open_in_root(root_fd, path, O_PATH);
	if (target < 0)
		return errno == ENOENT && !may_make ? NULL : err_sys(errno, "%s", path);
	snprintf(magic, sizeof(magic), "/proc/self/fd/%d", target);
	if (mount(source, magic, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(errno, "mount %s at %s", source, path);
	if (jx_bool(m, "readonly", false))
		return set_readonly(root_fd, path);
	return NULL;
}

static struct err *bind_mounts(const struct job *j, const char *target, bool may_make)
{
	const json_t *mounts = json_object_get(j->args, "mounts");
	OWN(fd) int root_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return err_sys(errno, "open root");
	for (size_t i = 0; i < json_array_size(mounts); i++)
		TRY(bind_one(root_fd, json_array_get(mounts, i), may_make));
	return NULL;
}

static struct err *enter_stopped(struct job *j, const json_t *rootfs, enum view_kind kind)
{
	OWN(strv) struct strv lowers = { 0 };
	OWN(mem) char *target = NULL;
	OWN(fd) int upper = -1;
	OWN(fd) int work = -1;

	TRY(view_tmp(j, &target));
	TRY(jail_private_mounts());
	jx_strv(rootfs, "lower", &lowers);
	TRY(open_upper(rootfs, target, kind == VIEW_WRITE, &upper, &work));
	if (upper >= 0 && work >= 0)
		TRY(mount_whole(&lowers, upper, work, target));
	else if (kind != VIEW_WRITE)
		TRY(view_mount_lowers(&lowers, target));
	else
		return err_new(ERR_INVALID, "rootfs has no upper to write to");
	if (kind != VIEW_NO_MOUNTS)
		TRY(bind_mounts(j, target, kind == VIEW_WRITE));
	if (chroot(target) < 0 || chdir("/") < 0)
		return err_sys(errno, "chroot");
	return jail_drop_privileges();
}

struct err *view_enter(struct job *j, enum view_kind kind)
{
	const json_t *rootfs = json_object_get(j->args, "rootfs");
	int64_t pid = jx_int(rootfs, "pid", 0);

	if (pid > 0) {
		TRY(files_enter_process((pid_t)pid, kind == VIEW_NO_MOUNTS));
		return jail_drop_privileges();
	}
	return enter_stopped(j, rootfs, kind);
}
