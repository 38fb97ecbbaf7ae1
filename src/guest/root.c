/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define LOWER "/run/image"
#define DISK  "/run/disk"

static bool has_serial(const char *disk, const char *serial)
{
	OWN(mem) char *text = NULL;
	char path[320];
	struct err *e;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", disk);
	e = fd_read_file(AT_FDCWD, path, 256, &text);
	err_free(e);
	return !e && !strcmp(text, serial);
}

static struct err *find_disk(const char *serial, char *ret_path, size_t size)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !has_serial(e->d_name, serial))
			continue;
		found = true;
		snprintf(ret_path, size, "/dev/%s", e->d_name);
	}
	if (d)
		closedir(d);
	return found ? NULL : err_new(ERR_UNAVAILABLE, "no disk with serial %s", serial);
}

static struct err *mount_disk(const char *serial, const char *target, const char *type,
			      unsigned long flags, const char *options)
{
	char dev[300];

	TRY(find_disk(serial, dev, sizeof(dev)));
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return err_sys(errno, "create %s", target);
	if (mount(dev, target, type, flags, options) < 0)
		return err_sys(errno, "mount %s on %s", serial, target);
	return NULL;
}

static struct err *make_dirs(const char *const *dirs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mkdir(dirs[i], 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "create %s", dirs[i]);
	return NULL;
}

struct err *guest_mount_root(bool is_readonly)
{
	static const char *const dirs[] = { DISK "/upper", DISK "/work", GUEST_ROOT };

	if (is_readonly)
		return mount_disk(GUEST_DISK_IMAGE, GUEST_ROOT, "erofs", MS_RDONLY, NULL);
	TRY(mount_disk(GUEST_DISK_IMAGE, LOWER, "erofs", MS_RDONLY, NULL));
	/* Inode tables are made when used: no background thread zeroes them, at no gain here. */
	TRY(mount_disk(GUEST_DISK_RW, DISK, "ext4", MS_NOATIME, "noinit_itable"));
	TRY(make_dirs(dirs, ARRAY_SIZE(dirs)));
	if (mount("overlay", GUEST_ROOT, "overlay", 0,
		  "lowerdir=" LOWER ",upperdir=" DISK "/upper,workdir=" DISK "/work") < 0)
		return err_sys(errno, "mount overlay");
	return NULL;
}

void guest_unmount_root(void)
{
	static const char *const targets[] = { GUEST_ROOT, DISK, LOWER };

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		(void)umount2(targets[i], i ? 0 : MNT_DETACH);
	sync();
}

static int open_below(int root, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.mode = mode,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The file's folder is made if it is missing; it is one level deep (/etc) in all our files. */
static struct err *write_file(int root, const json_t *file)
{
	const char *path = jx_str(file, "path", "");
	const char *content = jx_str(file, "content", "");
	const char *slash = strrchr(path, '/');
	unsigned mode = (unsigned)jx_int(file, "mode", 0644) & 07777;
	OWN(mem) char *dir = NULL;
	OWN(fd) int fd = -1;

	if (path[0] != '/' || !slash[1])
		return err_new(ERR_INVALID, "file %s: not an absolute path", path);
	dir = xstrndup(path, (size_t)(slash - path));
	(void)mkdirat(root, dir + (dir[0] == '/'), 0755);
	fd = open_below(root, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	if (fd < 0)
		return err_sys(errno, "write %s", path);
	(void)fchmod(fd, mode);
	return fd_write_all(fd, content, strlen(content));
}

struct err *guest_write_files(const json_t *files)
{
	OWN(fd) int root = open(GUEST_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	json_t *file;
	size_t i;

	if (root < 0)
		return err_sys(errno, "open " GUEST_ROOT);
	json_array_foreach(files, i, file)
	{
		TRY(write_file(root, file));
	}
	return NULL;
}
