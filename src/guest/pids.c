/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"

#define GROUP "payload"

static struct err *put(int dir, const char *file, const char *text)
{
	OWN(fd) int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return err_sys(errno, "pids limit: write %s to %s", text, file);
	return NULL;
}

static struct err *mount_hidden(int *ret_dir)
{
	OWN(fd) int fs = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(errno, "pids limit: cgroup2");
	*ret_dir = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	return *ret_dir < 0 ? err_sys(errno, "pids limit: mount cgroup2") : NULL;
}

struct err *guest_pids_make(int64_t limit, int *ret_dir)
{
	OWN(fd) int dir = -1;
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, limit);
	TRY(mount_hidden(&dir));
	TRY(put(dir, "cgroup.subtree_control", "+pids"));
	if (mkdirat(dir, GROUP, 0755) < 0)
		return err_sys(errno, "pids limit: make a cgroup");
	TRY(put(dir, GROUP "/pids.max", text));
	*ret_dir = TAKE_FD(dir);
	return NULL;
}

struct err *guest_pids_enter(int dir)
{
	return dir < 0 ? NULL : put(dir, GROUP "/cgroup.procs", "0");
}

void guest_pids_leave(int dir)
{
	if (dir >= 0)
		err_free(put(dir, "cgroup.procs", "0"));
}
