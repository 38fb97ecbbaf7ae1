/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files of an instance: what docker cp, diff and export need.  The root of a container is
 * entered here; into a VM leads a stream (worker/remote.h).
 */
#include "files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <locale.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "worker/data.h"
#include "sys/jail.h"
#include "worker/remote.h"
#include "worker/view.h"

/* Links of it show paths below our root; there is no /proc inside that we trust. */
static int open_proc(void)
{
	return open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static struct files_of files_of(const struct job *j, int proc_fd)
{
	return (struct files_of) { .path = jx_str(j->args, "path", "/"),
				   .name = jx_str(j->args, "name", ""),
				   .proc_fd = proc_fd };
}

static struct err *do_stat(struct job *j, json_t **ret_done)
{
	OWN(fd) int proc_fd = open_proc();
	struct files_of f = files_of(j, proc_fd);
	json_t *stat;

	TRY(view_enter(j, VIEW_READ));
	TRY(files_stat(&f, &stat));
	*ret_done = json_pack("{s: o}", "stat", stat);
	return NULL;
}

static struct err *do_get(struct job *j, json_t **ret_done)
{
	OWN(tar_writer) struct tar_writer *w = NULL;
	OWN(fd) int proc_fd = open_proc();
	struct files_of f = files_of(j, proc_fd);
	json_t *stat = NULL;

	TRY(view_enter(j, VIEW_READ));
	TRY(files_stat(&f, &stat));
	*ret_done = json_pack("{s: o}", "stat", stat);
	job_stat(j, stat);
	TRY(tar_writer_new(j->data_fd, &w));
	return files_get(&f, w);
}

static struct err *do_export(struct job *j, json_t **ret_done)
{
	OWN(tar_writer) struct tar_writer *w = NULL;

	(void)ret_done;
	TRY(view_enter(j, VIEW_NO_MOUNTS));
	TRY(tar_writer_new(j->data_fd, &w));
	return files_export(w);
}

static struct err *do_put(struct job *j, json_t **ret_done)
{
	OWN(data) struct data_in in = { 0 };
	OWN(fd) int dir_fd = -1;
	struct files_of f = files_of(j, -1);
	struct tar_extract x = { .same_owner = true,
				 .keep_kind = jx_bool(j->args, "noOverwriteDirNonDir", false) };

	(void)ret_done;
	TRY(view_enter(j, VIEW_WRITE));
	TRY(files_put_place(&f, &dir_fd));
	TRY(data_open(j, &in, &x.in));
	x.root_fd = dir_fd;
	umask(0);
	TRY(tar_extract(&x, NULL));
	return source_drain(x.in);
}

static struct err *do_diff(struct job *j, json_t **ret_done)
{
	const json_t *rootfs = json_object_get(j->args, "rootfs");
	OWN(strv) struct strv lowers = { 0 };
	OWN(mem) char *target = NULL;
	OWN(fd) int upper = -1;
	OWN(fd) int lower = -1;
	json_t *changes;

	TRY(view_tmp(j, &target));
	TRY(jail_private_mounts());
	jx_strv(rootfs, "lower", &lowers);
	TRY(view_open_upper(rootfs, target, &upper));
	TRY(view_mount_lowers(&lowers, target));
	lower = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lower < 0)
		return err_sys(errno, "open image");
	TRY(files_diff(lower, TAKE_FD(upper), json_object_get(j->args, "mounts"), &changes));
	*ret_done = json_pack("{s: o}", "changes", changes);
	return NULL;
}

struct err *job_files(struct job *j, json_t **ret_done)
{
	static const struct {
		const char *op;
		struct err *(*fn)(struct job *j, json_t **ret_done);
		bool data;
	} ops[] = {
		{ "stat", do_stat, false },    { "get", do_get, true },    { "put", do_put, true },
		{ "export", do_export, true }, { "diff", do_diff, false },
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
		return remote_is_asked(j) ? remote_files(j, op, ret_done) : ops[i].fn(j, ret_done);
	}
	return err_new(ERR_INVALID, "no files operation \"%s\"", op);
}
