/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/project.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define MKE2FS       "/sbin/mke2fs"
#define OPTIONS_MAX  4000 /* mount(2) takes one page */
#define LOOP_TRIES   50
#define LOWER_FD_LEN 32
#define MOUNT_ROOM   (1 << 20)

static const char *const mke2fs[] = {
	"mke2fs",
	"-q",
	"-F",
	"-t",
	"ext4",
	"-m",
	"0",
	"-O",
	"^has_journal",
	"-E",
	"lazy_itable_init=1,nodiscard",
};

/* ---- disk ---- */

static struct err *format_disk(const char *path)
{
	OWN(strv) struct strv argv = { 0 };
	int fds[3] = { -1, -1, -1 };

	/* No journal: what a crash leaves of a container's layer is not worth its cost. */
	for (size_t i = 0; i < ARRAY_SIZE(mke2fs); i++)
		strv_add(&argv, mke2fs[i]);
	strv_add(&argv, path);
	struct spawn s = { .path = MKE2FS, .argv = argv.v, .fds = fds, .n_fds = 3 };

	return spawn_run(&s, NULL);
}

/* Under another name until it is whole, so that what was killed half-way is made anew. */
static struct err *make_disk(const char *path, int64_t bytes)
{
	OWN(mem) char *tmp = xasprintf("%s.new", path);
	OWN(fd) int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (bytes <= 0)
		return err_new(ERR_INVALID, "disk %s is missing and has no size", path);
	if (fd < 0)
		return err_sys(errno, "make disk %s", tmp);
	if (ftruncate(fd, bytes) < 0)
		return err_sys(errno, "size of disk %s", tmp);
	TRY_MSG(format_disk(tmp), "format disk of %ld bytes", bytes);
	if (rename(tmp, path) < 0)
		return err_sys(errno, "rename %s", tmp);
	return NULL;
}

static struct err *attach_loop(int file, const char *path, int *ret_fd)
{
	struct loop_config config = {
		.fd = (uint32_t)file,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	OWN(fd) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return err_sys(errno, "open loop-control");
	/* Others may take the number between the two calls. */
	for (int i = 0; i < LOOP_TRIES; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		char dev[32];

		if (n < 0)
			return err_sys(errno, "find a free loop device");
		snprintf(dev, sizeof(dev), "/dev/loop%d", n);
		OWN(fd) int fd = open(dev, O_RDWR | O_CLOEXEC);

		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*ret_fd = TAKE_FD(fd);
			return NULL;
		}
		if (fd >= 0 && errno != EBUSY)
			return err_sys(errno, "attach %s to %s", path, dev);
	}
	return err_new(ERR_UNAVAILABLE, "no loop device for %s", path);
}

struct err *ctr_disk_attach(const json_t *rootfs, int *ret_fd)
{
	const char *path = jx_str(rootfs, "disk", NULL);
	OWN(fd) int file = -1;

	if (!path) {
		*ret_fd = -1;
		return NULL;
	}
	if (access(path, F_OK) < 0)
		TRY(make_disk(path, jx_int(rootfs, "disk_bytes", 0)));
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return err_sys(errno, "open disk %s", path);
	return attach_loop(file, path, ret_fd);
}

static struct err *mount_disk(int disk_fd, const char *dir)
{
	char dev[64];

	snprintf(dev, sizeof(dev), "/proc/self/fd/%d", disk_fd);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "make %s", dir);
	if (mount(dev, dir, "ext4", MS_NOATIME, "discard") < 0)
		return err_sys(errno, "mount disk at %s", dir);
	return NULL;
}

/* ---- overlay ---- */

/* Append a path to mount options, its separators escaped. */
static void add_path(struct str *s, const char *path)
{
	for (; *path; path++) {
		if (strchr(",:\\", *path))
			str_adds(s, "\\");
		str_add(s, path, 1);
	}
}

static void add_lowers(const json_t *lower, struct str *s)
{
	str_adds(s, "lowerdir=");
	for (size_t i = 0; i < json_array_size(lower); i++) {
		if (i)
			str_adds(s, ":");
		add_path(s, json_string_value(json_array_get(lower, i)));
	}
}

/* More layers than one page holds by name: by short names of open descriptors. */
static struct err *add_lower_fds(const json_t *lower, struct str *s)
{
	str_adds(s, "lowerdir=");
	for (size_t i = 0; i < json_array_size(lower); i++) {
		const char *path = json_string_value(json_array_get(lower, i));
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return err_sys(errno, "open layer %s", path);
		str_addf(s, "%s/proc/self/fd/%d", i ? ":" : "", fd);
	}
	return NULL;
}

static void add_upper(const char *upper, const char *work, bool is_volatile, struct str *s)
{
	str_adds(s, ",upperdir=");
	add_path(s, upper);
	str_adds(s, ",workdir=");
	add_path(s, work);
	str_adds(s, ",index=off");
	if (is_volatile)
		str_adds(s, ",volatile");
}

static struct err *make_dir(const char *path)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return NULL;
	return fd_mkdirs(path);
}

/* A volatile overlay of before left its mark, which would refuse this one. */
static void forget_volatile(const char *work)
{
	OWN(mem) char *mark = xasprintf("%s/work/incompat/volatile", work);

	if (rmdir(mark) == 0) {
		*strrchr(mark, '/') = '\0';
		rmdir(mark);
	}
}

static struct err *mount_overlay(const json_t *rootfs, const char *upper, const char *work,
				 const char *target)
{
	const json_t *lower = json_object_get(rootfs, "lower");
	bool is_volatile = jx_bool(rootfs, "volatile", false);
	OWN(str) struct str options = { 0 };

	if (is_volatile)
		forget_volatile(work);
	add_lowers(lower, &options);
	if (options.len + strlen(upper) + strlen(work) > OPTIONS_MAX) {
		str_done(&options);
		TRY(add_lower_fds(lower, &options));
	}
	add_upper(upper, work, is_volatile, &options);
	if (options.len > OPTIONS_MAX)
		return err_new(ERR_LIMIT, "too many layers (%zu)", json_array_size(lower));
	if (mount("overlay", target, "overlay", 0, options.buf) < 0)
		return err_sys(errno, "mount overlay of %zu layers", json_array_size(lower));
	return NULL;
}

/*
 * The overlay makes a folder of its own at each mount: without room for it the root would
 * be read-only, and what filled it could not be deleted.  So there is room until it is made.
 */
static struct err *mount_limited(const json_t *rootfs, const char *upper, const char *work,
				 const char *target)
{
	uint32_t project = (uint32_t)jx_int(rootfs, "project", 0);
	int64_t bytes = jx_int(rootfs, "disk_bytes", 0);
	OWN(err) struct err *mounted = NULL;
	OWN(fd) int fd = -1;

	if (!project)
		return mount_overlay(rootfs, upper, work, target);
	fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", upper);
	TRY(project_limit(fd, project, bytes + MOUNT_ROOM));
	mounted = mount_overlay(rootfs, upper, work, target);
	TRY(project_limit(fd, project, bytes));
	return TAKE(mounted);
}

struct err *ctr_rootfs_mount(const json_t *rootfs, int disk_fd, const char *state_dir,
			     const char *target)
{
	OWN(mem) char *rw = xasprintf("%s/rw", state_dir);
	OWN(mem) char *disk_upper = xasprintf("%s/upper", rw);
	OWN(mem) char *disk_work = xasprintf("%s/work", rw);
	const char *upper = disk_fd >= 0 ? disk_upper : jx_str(rootfs, "upper", disk_upper);
	const char *work = disk_fd >= 0 ? disk_work : jx_str(rootfs, "work", disk_work);

	TRY(make_dir(target));
	if (!json_array_size(json_object_get(rootfs, "lower"))) {
		if (mount(target, target, NULL, MS_BIND | MS_REC, NULL) < 0)
			return err_sys(errno, "bind %s", target);
		return NULL;
	}
	if (disk_fd >= 0)
		TRY(mount_disk(disk_fd, rw));
	TRY(make_dir(upper));
	TRY(make_dir(work));
	return mount_limited(rootfs, upper, work, target);
}

struct err *ctr_rootfs_enter(const char *target)
{
	if (chdir(target) < 0)
		return err_sys(errno, "enter %s", target);
	/* New root and old on the same point: the old one lies on top and is taken off. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(errno, "pivot_root into %s", target);
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(errno, "take off the old root");
	if (chdir("/") < 0)
		return err_sys(errno, "enter the new root");
	return NULL;
}
