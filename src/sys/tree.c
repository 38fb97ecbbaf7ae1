/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECURSIVE 0x8000 /* AT_RECURSIVE */

struct err *tree_open(int dirfd, const char *path, bool recursive, int *ret_fd)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT;
	long fd = syscall(SYS_open_tree, dirfd, path, flags | (recursive ? RECURSIVE : 0));

	if (fd < 0)
		return err_sys(errno, "take a copy of the mount at %s", path);
	*ret_fd = (int)fd;
	return NULL;
}

struct err *tree_attach(int tree, const char *path)
{
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path,
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) < 0)
		return err_sys(errno, "mount at %s", path);
	return NULL;
}

struct err *tree_set(int dirfd, const char *path, bool recursive, uint64_t set, uint64_t clear,
		     uint64_t propagation)
{
	struct mount_attr attr = {
		.attr_set = set,
		.attr_clr = clear,
		.propagation = propagation,
	};
	unsigned flags = (*path ? 0 : AT_EMPTY_PATH) | (recursive ? RECURSIVE : 0);

	if (syscall(SYS_mount_setattr, dirfd, path, flags, &attr, sizeof(attr)) < 0)
		return err_sys(errno, "change attributes of mount %s", path);
	return NULL;
}
