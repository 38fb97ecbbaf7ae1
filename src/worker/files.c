/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of an instance: what docker cp, diff and export need.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <iconv.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/path.h"
#include "tar/tar.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/data.h"
#include "worker/files.h"
#include "worker/view.h"

/* Bits of Go's os.FileMode, which Docker's API shows. */
static const struct {
	mode_t kind;
	uint32_t go;
} go_kinds[] = {
	{ S_IFDIR, 1u << 31 }, { S_IFLNK, 1u << 27 },
	{ S_IFBLK, 1u << 26 }, { S_IFCHR, 1u << 26 | 1u << 21 },
	{ S_IFIFO, 1u << 25 }, { S_IFSOCK, 1u << 24 },
};

static uint32_t go_mode(mode_t mode)
{
	uint32_t go = mode & 0777;

	for (size_t i = 0; i < ARRAY_SIZE(go_kinds); i++)
		if ((mode & S_IFMT) == go_kinds[i].kind)
			go |= go_kinds[i].go;
	go |= mode & S_ISUID ? 1u << 23 : 0;
	go |= mode & S_ISGID ? 1u << 22 : 0;
	go |= mode & S_ISVTX ? 1u << 20 : 0;
	return go;
}

/* A path inside the instance, as Docker takes it apart. */
struct place {
	int dir_fd;       /* folder that the thing is in, or the thing itself */
	const char *base; /* below dir_fd; "." for dir_fd itself */
	char *name;       /* shown: the path's last part */
	struct stat st;
};

static void own_place_release(struct place *p)
{
	own_fd_release(&p->dir_fd);
	free(p->name);
}

static struct err *not_found(const struct job *j, const char *path)
{
	const char *name = jx_str(j->args, "name", "");

	return err_new(ERR_NOT_FOUND, "Could not find the file %s in container%s%s", path,
		       *name ? " " : "", name);
}

/* Does the path end in a way that follows a link: "/", "/."? */
static bool is_followed(const char *path)
{
	size_t n = strlen(path);

	return !n || path[n - 1] == '/' || (n > 1 && !strcmp(path + n - 2, "/.")) ||
	       (n > 2 && !strcmp(path + n - 3, "/..")) || streq(path, ".") || streq(path, "..");
}

/* What Go's filepath.Base() says. */
static char *base_name(const char *path)
{
	size_t n = strlen(path);
	const char *p;

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (!n || (n == 1 && *path == '/'))
		return xstrdup("/");
	for (p = path + n; p > path && p[-1] != '/';)
		p--;
	return xstrndup(p, (size_t)(path + n - p));
}

static struct err *find_place(const struct job *j, const char *path, struct place *p)
{
	OWN(fd) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(mem) char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	p->name = base_name(path);
	if (is_followed(path)) {
		p->base = ".";
		p->dir_fd = path_open_in_root(root_fd, *path ? path : "/", O_PATH | O_DIRECTORY);
	} else {
		p->base = p->name;
		if (slash)
			*slash = '\0';
		p->dir_fd =
		    path_open_in_root(root_fd, slash && *dir ? dir : "/", O_PATH | O_DIRECTORY);
	}
	if (p->dir_fd < 0 && errno == ENOTDIR)
		return err_new(ERR_INVALID, "%s is not a directory", path);
	if (p->dir_fd < 0 || fstatat(p->dir_fd, p->base, &p->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? not_found(j, path) : err_sys(errno, "%s", path);
	return NULL;
}

/* Where a link leads, as a path inside; as it is written when it leads to nothing. */
static void link_target(const struct place *p, int proc_fd, const char *path, char *buf,
			size_t size)
{
	OWN(fd) int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int fd = path_open_in_root(root_fd, path, O_PATH);
	char number[16];
	ssize_t n;

	snprintf(number, sizeof(number), "%d", fd);
	n = fd >= 0 ? readlinkat(proc_fd, number, buf, size - 1)
		    : readlinkat(p->dir_fd, p->base, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
}

static json_t *stat_object(const struct place *p, int proc_fd, const char *path)
{
	json_t *j = json_object();
	char mtime[40], target[PATH_MAX] = "";

	clock_rfc3339((int64_t)p->st.st_mtim.tv_sec * 1000000000 + p->st.st_mtim.tv_nsec, mtime);
	if (S_ISLNK(p->st.st_mode))
		link_target(p, proc_fd, path, target, sizeof(target));
	jx_set_str(j, "name", p->name);
	json_object_set_new(j, "size", json_integer(p->st.st_size));
	json_object_set_new(j, "mode", json_integer(go_mode(p->st.st_mode)));
	jx_set_str(j, "mtime", mtime);
	jx_set_str(j, "linkTarget", target);
	return j;
}

static struct err *do_stat(struct job *j, const char *path, json_t **ret_done)
{
	OWN(place) struct place p = { .dir_fd = -1 };
	/* Links of it show paths below our root; there is no /proc inside that we trust. */
	OWN(fd) int proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	TRY(view_enter(j, VIEW_READ));
	TRY(find_place(j, path, &p));
	*ret_done = json_pack("{s: o}", "stat", stat_object(&p, proc_fd, path));
	return NULL;
}

static struct err *do_get(struct job *j, const char *path, json_t **ret_done)
{
	OWN(place) struct place p = { .dir_fd = -1 };
	OWN(tar_writer) struct tar_writer *w = NULL;
	OWN(fd) int proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	TRY(view_enter(j, VIEW_READ));
	TRY(find_place(j, path, &p));
	TRY(tar_writer_new(j->data_fd, &w));
	TRY(tar_pack(w, p.dir_fd, p.base, p.name));
	TRY(tar_writer_finish(w));
	*ret_done = json_pack("{s: o}", "stat", stat_object(&p, proc_fd, path));
	return NULL;
}

static struct err *do_export(struct job *j, const char *path, json_t **ret_done)
{
	OWN(tar_writer) struct tar_writer *w = NULL;
	OWN(fd) int root_fd = -1;

	(void)path;
	(void)ret_done;
	TRY(view_enter(j, VIEW_NO_MOUNTS));
	root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_sys(errno, "open root");
	TRY(tar_writer_new(j->data_fd, &w));
	TRY(tar_pack(w, root_fd, ".", ""));
	return tar_writer_finish(w);
}

static struct err *do_put(struct job *j, const char *path, json_t **ret_done)
{
	OWN(data) struct data_in in = { 0 };
	OWN(place) struct place p = { .dir_fd = -1 };
	OWN(mem) char *dir = xasprintf("%s/", path);
	struct tar_extract x = { .same_owner = true,
				 .keep_kind = jx_bool(j->args, "noOverwriteDirNonDir", false) };
	struct err *e;

	(void)ret_done;
	TRY(view_enter(j, VIEW_WRITE));
	e = find_place(j, dir, &p);
	if (e && err_kind(e) == ERR_INVALID) {
		err_free(e);
		return err_new(ERR_INVALID, "extraction point is not a directory");
	}
	if (e && err_kind(e) == ERR_NOT_FOUND) {
		err_free(e);
		return not_found(j, path);
	}
	TRY(e);
	TRY(data_open(j, &in, &x.in));
	x.root_fd = p.dir_fd;
	umask(0);
	TRY(tar_extract(&x, NULL));
	return source_drain(x.in);
}

struct err *job_files(struct job *j, json_t **ret_done)
{
	static const struct {
		const char *op;
		struct err *(*fn)(struct job *j, const char *path, json_t **ret_done);
		bool data;
	} ops[] = {
		{ "stat", do_stat, false },    { "get", do_get, true },
		{ "put", do_put, true },       { "export", do_export, true },
		{ "diff", files_diff, false },
	};
	const char *op;
	iconv_t prime;

	TRY(job_arg(j, "op", &op));
	/* glibc must not look for conversions inside a foreign root. */
	prime = iconv_open("UTF-8", "UTF-8");
	if (prime != (iconv_t)-1)
		iconv_close(prime);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!streq(ops[i].op, op))
			continue;
		if (ops[i].data && j->data_fd < 0)
			return err_new(ERR_INVALID, "the job has no data on descriptor 3");
		return ops[i].fn(j, jx_str(j->args, "path", "/"), ret_done);
	}
	return err_new(ERR_INVALID, "no files operation \"%s\"", op);
}
