/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/project.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK_BYTES 512 /* of limits, whatever the file system has */

/* The commands that XFS brought; every file system answers them. */
static int quota(int fd, unsigned command, uint32_t id, void *arg)
{
	return (int)syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, arg);
}

bool project_is_enforced(int fd)
{
	struct fs_quota_statv st = { .qs_version = FS_QSTATV_VERSION1 };

	return quota(fd, Q_XGETQSTATV, 0, &st) == 0 && st.qs_flags & FS_QUOTA_PDQ_ENFD;
}

uint32_t project_get(int fd)
{
	struct fsxattr x = { .fsx_projid = 0 };

	return ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0 ? 0 : x.fsx_projid;
}

struct err *project_put(int dir_fd, uint32_t id)
{
	struct fsxattr x;

	if (ioctl(dir_fd, FS_IOC_FSGETXATTR, &x) < 0)
		return err_sys(errno, "read project");
	x.fsx_projid = id;
	x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	return ioctl(dir_fd, FS_IOC_FSSETXATTR, &x) < 0 ? err_sys(errno, "set project %u", id)
							: NULL;
}

struct err *project_limit(int fd, uint32_t id, int64_t bytes)
{
	struct fs_disk_quota q = {
		.d_version = FS_DQUOT_VERSION,
		.d_flags = FS_PROJ_QUOTA,
		.d_fieldmask = FS_DQ_BHARD,
		.d_id = id,
		.d_blk_hardlimit = (uint64_t)bytes / BLOCK_BYTES,
	};

	return quota(fd, Q_XSETQLIM, id, &q) < 0 ? err_sys(errno, "limit project %u", id) : NULL;
}

struct err *project_usage(int fd, uint32_t id, struct project_usage *ret)
{
	struct fs_disk_quota q = { .d_version = FS_DQUOT_VERSION };

	if (quota(fd, Q_XGETQUOTA, id, &q) < 0 && errno != ENOENT && errno != ESRCH)
		return err_sys(errno, "usage of project %u", id);
	*ret = (struct project_usage) {
		.used_bytes = (int64_t)(q.d_bcount * BLOCK_BYTES),
		.limit_bytes = (int64_t)(q.d_blk_hardlimit * BLOCK_BYTES),
	};
	return NULL;
}
