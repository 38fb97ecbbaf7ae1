/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Jobs on the merged layers of an image: filling a volume, making an EROFS root.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "oci/ref.h"
#include "sys/path.h"
#include "sys/spawn.h"
#include "tar/tar.h"
#include "util/fd.h"
#include "util/mem.h"
#include "sys/jail.h"
#include "worker/job.h"
#include "worker/view.h"

#define MKFS_EROFS "/usr/bin/mkfs.erofs"

/* The job's layers, mounted read-only in a namespace of our own at @target. */
static struct err *mount_layers(struct job *j, const char *target)
{
	OWN(strv) struct strv ids = { 0 };
	OWN(strv) struct strv dirs = { 0 };

	jx_strv(j->args, "layers", &ids);
	for (size_t i = ids.n; i-- > 0;) {
		OWN(mem) char *dir = NULL;

		if (!oci_digest_is_valid(ids.v[i]))
			return err_new(ERR_INVALID, "layer \"%.100s\" is no digest", ids.v[i]);
		dir = image_layer_dir(j->root, ids.v[i]);
		strv_add(&dirs, dir);
	}
	TRY(jail_private_mounts());
	return view_mount_lowers(&dirs, target);
}

/* ---- volume-copy ---- */

static _Noreturn void pack_child(int dir_fd, int out_fd, pid_t parent)
{
	OWN(tar_writer) struct tar_writer *w = NULL;
	struct err *e;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	e = tar_writer_new(out_fd, &w);
	if (!e)
		e = tar_pack(w, dir_fd, ".", ".");
	if (!e)
		e = tar_writer_finish(w);
	_exit(e ? 1 : 0);
}

static struct err *copy_tree(int from_fd, int to_fd)
{
	struct tar_extract x = { .root_fd = to_fd, .same_owner = true };
	pid_t parent = getpid(), pid;
	int fds[2], status = 0;
	struct err *e;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	pid = fork();
	if (pid == 0)
		pack_child(from_fd, fds[1], parent);
	close(fds[1]);
	OWN(fd) int in = fds[0];

	if (pid < 0)
		return err_sys(errno, "fork");
	x.in = source_fd(&in);
	umask(0);
	e = tar_extract(&x, NULL);
	if (!e)
		e = source_drain(x.in);
	if (e)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	TRY(e);
	return status ? err_new(ERR_INTERNAL, "reading the image's files failed") : NULL;
}

struct err *job_volume_copy(struct job *j, json_t **ret_done)
{
	OWN(mem) char *target = NULL;
	OWN(fd) int root_fd = -1;
	OWN(fd) int from_fd = -1;
	OWN(fd) int to_fd = -1;
	const char *path, *volume;

	(void)ret_done;
	TRY(job_arg(j, "path", &path));
	TRY(job_arg(j, "volume", &volume));
	to_fd = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (to_fd < 0)
		return err_sys(errno, "volume %s", volume);
	TRY(view_tmp(j, &target));
	TRY(mount_layers(j, target));
	root_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	from_fd = path_open_in_root(root_fd, path, O_RDONLY | O_DIRECTORY);
	if (from_fd < 0) /* the image has no such folder: the volume stays empty */
		return errno == ENOENT || errno == ENOTDIR ? NULL : err_sys(errno, "%s", path);
	return copy_tree(from_fd, to_fd);
}

/* ---- erofs ---- */

static struct err *run_mkfs(const char *file, const char *dir)
{
	/* Not compressed: a guest reads it faster, and the page cache of the host shares it. */
	char *argv[] = { (char *)(uintptr_t) "mkfs.erofs", (char *)(uintptr_t) "--quiet",
			 (char *)(uintptr_t)file, (char *)(uintptr_t)dir, NULL };
	int fds[3] = { -1, -1, -1 };
	struct spawn s = { .path = MKFS_EROFS,
			   .argv = argv,
			   .fds = fds,
			   .n_fds = 3,
			   .keep_parent_signal = SIGKILL };

	return spawn_run(&s, NULL);
}

/*
 * Whiteouts in folders that only one layer has are names of nothing, over which mkfs.erofs
 * stumbles: a copy of the tree is without them.
 */
static struct err *run_mkfs_on_copy(const char *file, const char *dir, const char *tmp)
{
	OWN(mem) char *copy = xasprintf("%s/copy", tmp);
	OWN(fd) int from_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int to_fd = -1;

	if (mkdir(copy, 0755) < 0)
		return err_sys(errno, "mkdir %s", copy);
	to_fd = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0 || to_fd < 0)
		return err_sys(errno, "copy the image's files");
	TRY(copy_tree(from_fd, to_fd));
	return run_mkfs(file, copy);
}

static struct err *make_erofs(struct job *j, const char *tmp, const char *path)
{
	OWN(mem) char *tree = xasprintf("%s/tree", tmp);
	OWN(mem) char *file = xasprintf("%s/root.erofs", tmp);
	struct err *e;

	if (mkdir(tree, 0700) < 0)
		return err_sys(errno, "mkdir %s", tree);
	TRY(mount_layers(j, tree));
	e = run_mkfs(file, tree);
	if (e) {
		err_free(e);
		TRY_MSG(run_mkfs_on_copy(file, tree, tmp), "make the image's root");
	}
	/* two mounts lie there */
	if (umount2(tree, MNT_DETACH) < 0 || umount2(tree, MNT_DETACH) < 0 ||
	    rename(file, path) < 0)
		return err_sys(errno, "%s", path);
	return NULL;
}

struct err *job_erofs(struct job *j, json_t **ret_done)
{
	OWN(mem) char *path = NULL;
	const char *config, *tmp;

	TRY(job_arg(j, "config", &config));
	if (!oci_digest_is_valid(config))
		return err_new(ERR_INVALID, "config \"%.100s\" is no digest", config);
	TRY(job_tmp(j, &tmp));
	path = image_erofs_path(j->root, config);
	if (access(path, F_OK) < 0)
		TRY(make_erofs(j, tmp, path));
	*ret_done = json_pack("{s: s}", "path", path);
	return NULL;
}
