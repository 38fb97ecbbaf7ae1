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

struct err *job_remove_tree(struct job *j, json_t **ret_done)
{
	OWN(fd) int root_fd = open(j->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int dir_fd = -1;
	OWN(mem) char *dir = NULL;
	const char *path, *rel;
	char *slash;

	TRY(job_arg(j, "path", &path));
	rel = below_root(j, path);
	if (!rel || !*rel || root_fd < 0)
		return err_new(ERR_INVALID, "%s is not below %s", path, j->root);
	dir = xstrdup(rel);
	while (strlen(dir) && dir[strlen(dir) - 1] == '/')
		dir[strlen(dir) - 1] = '\0';
	slash = strrchr(dir, '/');
	const char *base = slash ? slash + 1 : dir;

	if (!*base || streq(base, ".") || streq(base, ".."))
		return err_new(ERR_INVALID, "%s cannot be removed", path);
	OWN(mem) char *name = xstrdup(base);

	if (slash)
		*slash = '\0';
	dir_fd = path_open_beneath(root_fd, slash ? dir : ".", O_RDONLY | O_DIRECTORY);
	if (dir_fd < 0)
		return errno == ENOENT ? NULL
		       : errno == EXDEV || errno == ELOOP || errno == ENOTDIR
			   ? err_new(ERR_INVALID, "%s is not below %s", path, j->root)
			   : err_sys(errno, "%s", path);
	TRY_MSG(path_remove_tree(dir_fd, name), "%s", path);
	return NULL;
}
