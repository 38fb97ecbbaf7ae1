/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/loopdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

#define TRIES 50

static int open_loop(const char *name)
{
	char dev[64];

	snprintf(dev, sizeof(dev), "/dev/%.40s", name);
	return open(dev, O_RDWR | O_CLOEXEC);
}

static int find_loop(const struct stat *file)
{
	DIR *d = opendir("/sys/block");
	struct dirent *ent;
	int found = -1;

	while (d && found < 0 && (ent = readdir(d))) {
		struct loop_info64 info;
		int fd = strncmp(ent->d_name, "loop", 4) ? -1 : open_loop(ent->d_name);

		if (fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
		    info.lo_device == file->st_dev && info.lo_inode == file->st_ino)
			found = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return found;
}

static struct err *attach(int file_fd, const char *file, int *ret_fd)
{
	struct loop_config config = { .fd = (unsigned)file_fd,
				      .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	OWN(fd) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		return err_sys(errno, "open loop-control");
	for (int i = 0; i < TRIES; i++) { /* others take numbers, too */
		int n = ioctl(control, LOOP_CTL_GET_FREE);
		char name[32];
		OWN(fd) int fd = -1;

		if (n < 0)
			return err_sys(errno, "find a free loop device");
		snprintf(name, sizeof(name), "loop%d", n);
		fd = open_loop(name);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			*ret_fd = TAKE_FD(fd);
			return NULL;
		}
		if (fd >= 0 && errno != EBUSY)
			return err_sys(errno, "attach %s to %s", file, name);
	}
	return err_new(ERR_UNAVAILABLE, "no loop device for %s", file);
}

struct err *loopdev_open(const char *file, int *ret_fd)
{
	OWN(fd) int file_fd = open(file, O_RDWR | O_CLOEXEC);
	struct stat st;
	int fd;

	if (file_fd < 0 || fstat(file_fd, &st) < 0)
		return err_sys(errno, "%s", file);
	fd = find_loop(&st);
	if (fd >= 0) {
		*ret_fd = fd;
		return NULL;
	}
	return attach(file_fd, file, ret_fd);
}
