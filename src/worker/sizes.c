/* SPDX-License-Identifier: Apache-2.0 */
/* How much there is in folders, as docker ps -s and docker system df count it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "worker/job.h"

#define DEPTH_MAX 512 /* deeper ones are left out: somebody plays with us */

struct walk {
	json_t *seen; /* inodes of several names */
	dev_t dev;
	int64_t bytes;
};

/* Is it the first name of this inode that we meet? */
static bool is_first(struct walk *w, const struct stat *st)
{
	char key[24];

	if (st->st_nlink < 2)
		return true;
	snprintf(key, sizeof(key), "%lx", (unsigned long)st->st_ino);
	if (json_object_get(w->seen, key))
		return false;
	json_object_set_new(w->seen, key, json_true());
	return true;
}

static void walk_folder(struct walk *w, int fd, int depth);

/* Whoever lives in there may rename at any time: by descriptors, never through a link. */
static void walk_entry(struct walk *w, int dir, const char *name, int depth)
{
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != w->dev)
		return;
	if (!S_ISDIR(st.st_mode)) {
		w->bytes += is_first(w, &st) ? st.st_size : 0;
		return;
	}
	if (depth == DEPTH_MAX)
		return;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		walk_folder(w, fd, depth + 1);
}

/* Consumes @fd. */
static void walk_folder(struct walk *w, int fd, int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		close(fd);
		return;
	}
	while ((entry = readdir(d)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
			walk_entry(w, dirfd(d), entry->d_name, depth);
	closedir(d);
}

/* A folder's files by their length, a file by its blocks; what is not there is nothing. */
static int64_t size_of(const char *path)
{
	struct walk w = { 0 };
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return st.st_blocks * 512;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	w.dev = st.st_dev;
	w.seen = json_object();
	walk_folder(&w, fd, 0);
	json_decref(w.seen);
	return w.bytes;
}

struct err *job_sizes(struct job *j, json_t **ret_done)
{
	json_t *trees = json_object_get(j->args, "trees"), *sizes = json_object(), *path;
	const char *key;

	json_object_foreach(trees, key, path) json_object_set_new(
	    sizes, key, json_integer(json_is_string(path) ? size_of(json_string_value(path)) : 0));
	*ret_done = json_pack("{s:o}", "sizes", sizes);
	return NULL;
}
