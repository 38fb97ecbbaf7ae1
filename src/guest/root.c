/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

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
	TRY(fd_mkdirs(target));
	if (mount(dev, target, type, flags, options) < 0)
		return err_sys(errno, "mount %s on %s", serial, target);
	return NULL;
}

struct err *guest_mount_image(bool is_readonly)
{
	TRY(mount_disk(GUEST_SERIAL_IMAGE, GUEST_IMAGE, "erofs", MS_RDONLY, NULL));
	if (is_readonly)
		return fd_mkdirs(GUEST_DISK);
	/* Inode tables are zero in a new sparse file: no thread needs to zero them. */
	return mount_disk(GUEST_SERIAL_RW, GUEST_DISK, "ext4", MS_NOATIME, "noinit_itable");
}

struct err *guest_copy_file(const char *from, const char *to, unsigned mode)
{
	OWN(fd) int in = open(from, O_RDONLY | O_CLOEXEC);
	OWN(fd) int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	ssize_t n = 0;

	if (in < 0 || out < 0)
		return err_sys(errno, "copy %s to %s", from, to);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	return n < 0 ? err_sys(errno, "copy %s to %s", from, to) : NULL;
}

/* busybox knows its own applets; without /proc it wants to be called by its full path. */
static void install_busybox(void)
{
	pid_t pid;

	if (access(GUEST_IDLE "/bin/busybox", X_OK) < 0)
		return;
	pid = fork();
	if (!pid) {
		if (chroot(GUEST_IDLE) == 0)
			execl("/bin/busybox", "/bin/busybox", "--install", "-s", "/bin", NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

struct err *guest_make_idle(void)
{
	static const char *const dirs[] = { "/bin", "/sbin", "/etc", "/root", "/tmp", "/run" };
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n";
	static const char group[] = "root:x:0:\n";

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[64];

		snprintf(path, sizeof(path), GUEST_IDLE "%s", dirs[i]);
		TRY(fd_mkdirs(path));
	}
	TRY(guest_copy_file("/proc/self/exe", GUEST_IDLE "/sbin/init", 0755));
	TRY(fd_write_file(AT_FDCWD, GUEST_IDLE "/etc/passwd", passwd, strlen(passwd), 0644));
	TRY(fd_write_file(AT_FDCWD, GUEST_IDLE "/etc/group", group, strlen(group), 0644));
	install_busybox();
	return NULL;
}

void guest_sync(void)
{
	OWN(fd) int fd = open(GUEST_DISK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/*
	 * Not unmounted: that waits for grace periods of the kernel, and with all on disk the
	 * journal has nothing to lose.
	 */
	if (fd >= 0)
		(void)syncfs(fd);
}

void guest_unmount(void)
{
	if (umount2(GUEST_DISK, 0) < 0)
		guest_sync();
}
