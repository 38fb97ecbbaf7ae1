/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/job.h"

/* The part of an absolute or relative path that is below root; NULL: it is not. */
static const char *below_root(const struct job *j, const char *path)
{
	size_t n = strlen(j->root);

	if (*path != '/')
		return path;
	if (strncmp(path, j->root, n) || path[n] != '/')
		return NULL;
	return path + n + strspn(path + n, "/");
}

/* An absolute or relative path, without what it may end with, to the folder and the name in it. */
static struct err *split_path(const struct job *j, const char *path, char **ret_dir,
			      char **ret_base)
{
	const char *rel = below_root(j, path);
	OWN(mem) char *dir = rel ? xstrdup(rel) : NULL;
	size_t n = dir ? strlen(dir) : 0;
	const char *base;
	char *slash;

	while (n && dir[n - 1] == '/')
		dir[--n] = '\0';
	slash = n ? strrchr(dir, '/') : NULL;
	base = slash ? slash + 1 : dir;
	if (!n || streq(base, ".") || streq(base, ".."))
		return err_new(ERR_INVALID, "%s is not below %s", path, j->root);
	*ret_base = xstrdup(base);
	*(slash ? slash : dir) = '\0';
	*ret_dir = *dir ? TAKE(dir) : xstrdup(".");
	return NULL;
}

struct err *job_remove_tree(struct job *j, json_t **ret_done)
{
	OWN(fd) int root_fd = open(j->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int dir_fd = -1;
	OWN(mem) char *dir = NULL;
	OWN(mem) char *base = NULL;
	const char *path;

	(void)ret_done;
	TRY(job_arg(j, "path", &path));
	if (root_fd < 0)
		return err_sys(errno, "%s", j->root);
	TRY(split_path(j, path, &dir, &base));
	dir_fd = path_open_beneath(root_fd, dir, O_RDONLY | O_DIRECTORY);
	if (dir_fd < 0 && errno == ENOENT)
		return NULL;
	if (dir_fd < 0 && (errno == EXDEV || errno == ELOOP || errno == ENOTDIR))
		return err_new(ERR_INVALID, "%s is not below %s", path, j->root);
	if (dir_fd < 0)
		return err_sys(errno, "%s", path);
	TRY_MSG(path_remove_tree(dir_fd, base), "%s", path);
	return NULL;
}
