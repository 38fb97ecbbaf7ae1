/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/jail.h"
#include "sys/tree.h"
#include "util/fd.h"
#include "util/mem.h"

/* In the tmpfs that is mounted at @base: a view of something of ours. */
static struct err *bind_tree(const char *base, const char *name, const char *path)
{
	OWN(mem) char *to = xasprintf("%s/%s", base, name);
	OWN(fd) int tree = -1;
	OWN(err) struct err *missing = tree_open(AT_FDCWD, path, false, &tree);
	struct stat st;

	if (missing)
		return err_errno(missing) == ENOENT ? NULL : TAKE(missing);
	if (fstat(tree, &st) < 0)
		return err_sys(errno, "%s", path);
	if (S_ISDIR(st.st_mode) ? mkdir(to, 0700) < 0 : mknod(to, S_IFREG | 0600, 0) < 0)
		return err_sys(errno, "%s", to);
	TRY(tree_set(tree, "", false, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW, 0, 0));
	return tree_attach(tree, to);
}

static struct err *open_root(int *ret_fd)
{
	*ret_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(errno, "open root") : NULL;
}

struct err *migrate_jail_reader(const char *root, const json_t *trees, int *ret_fd)
{
	OWN(mem) char *base = xasprintf("%s/tmp", root);
	OWN(fd) int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *name;
	json_t *path;

	if (root_fd < 0)
		return err_sys(errno, "%s", root);
	TRY(fd_mkdirs(base));
	TRY(jail_private_mounts());
	if (mount("none", base, "tmpfs", 0, "mode=0700,size=64k") < 0)
		return err_sys(errno, "mount a view");
	json_object_foreach((json_t *)(uintptr_t)trees, name, path)
	{
		OWN(mem) char *full = xasprintf("%s/%s", root, json_string_value(path));

		TRY_MSG(bind_tree(base, name, full), "%s", name);
	}
	TRY(jail_enter(base));
	return open_root(ret_fd);
}

struct err *migrate_jail_writer(const char *folder, int *ret_fd)
{
	TRY(jail_enter(folder));
	return open_root(ret_fd);
}
