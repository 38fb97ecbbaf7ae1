/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/devices.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctr/mounts.h"
#include "util/mem.h"

struct node {
	const char *path;
	mode_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
	unsigned major, minor;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

static const struct node defaults[] = {
	{ "/dev/null", S_IFCHR, 1, 3, 0666, 0, 0 },    { "/dev/zero", S_IFCHR, 1, 5, 0666, 0, 0 },
	{ "/dev/full", S_IFCHR, 1, 7, 0666, 0, 0 },    { "/dev/random", S_IFCHR, 1, 8, 0666, 0, 0 },
	{ "/dev/urandom", S_IFCHR, 1, 9, 0666, 0, 0 }, { "/dev/tty", S_IFCHR, 5, 0, 0666, 0, 0 },
};

static const struct {
	const char *to, *path;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },       { "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
	{ "pts/ptmx", "/dev/ptmx" },
};

static bool same_node(const struct node *n)
{
	struct stat st;

	return lstat(n->path, &st) == 0 && (st.st_mode & S_IFMT) == n->type &&
	       st.st_rdev == makedev(n->major, n->minor);
}

static struct err *make_node(const struct node *n)
{
	int r = mknod(n->path, n->type | n->mode, makedev(n->major, n->minor));

	if (r < 0 && errno == ENOENT) {
		OWN(mem) char *dir = xstrndup(n->path, (size_t)(strrchr(n->path, '/') - n->path));

		TRY(ctr_make_target(dir, true));
		r = mknod(n->path, n->type | n->mode, makedev(n->major, n->minor));
	}
	if (r < 0 && (errno != EEXIST || !same_node(n)))
		return err_sys(errno, "make device %s", n->path);
	if ((n->uid || n->gid) && lchown(n->path, n->uid, n->gid) < 0)
		return err_sys(errno, "set owner of device %s", n->path);
	return NULL;
}

static struct err *read_node(const json_t *j, struct node *n)
{
	const char *type = jx_str(j, "type", "c");

	*n = (struct node) {
		.path = jx_str(j, "path", ""),
		.type = type[0] == 'b'   ? S_IFBLK
			: type[0] == 'p' ? S_IFIFO
					 : S_IFCHR,
		.major = (unsigned)jx_int(j, "major", 0),
		.minor = (unsigned)jx_int(j, "minor", 0),
		.mode = (mode_t)jx_int(j, "fileMode", 0666) & 07777,
		.uid = (uid_t)jx_int(j, "uid", 0),
		.gid = (gid_t)jx_int(j, "gid", 0),
	};
	if (n->path[0] != '/')
		return err_new(ERR_INVALID, "device path %s is not absolute", n->path);
	return NULL;
}

struct err *ctr_devices_make(const json_t *devices)
{
	struct node n;

	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		TRY(make_node(&defaults[i]));
	for (size_t i = 0; i < json_array_size(devices); i++) {
		TRY(read_node(json_array_get(devices, i), &n));
		TRY(make_node(&n));
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i].to, links[i].path) < 0 && errno != EEXIST)
			return err_sys(errno, "make link %s", links[i].path);
	return NULL;
}
