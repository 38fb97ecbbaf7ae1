/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "tar/tar.h"
#include "unz/unz.h"
#include "util/fd.h"
#include "util/mem.h"
#include "sys/jail.h"

#define RESULT_MAX    4096
#define PROGRESS_MS   100
#define PROGRESS_TEXT "Extracting"

struct unpack {
	struct job *job;
	char *dir; /* below the job's tmp; "fs" is in it */
	char *want_diff_id;
	pid_t pid;
	int result_fd;
	_Atomic int64_t *read_bytes; /* shared with the child */
};

/* What the child tells, as it is: it is our own code, but it has read foreign bytes. */
struct result {
	int kind;   /* enum err_kind of a failure; -1: fine */
	int errnum; /* of a failure */
	int64_t bytes;
	char diff_id[DIGEST_CHARS];
	char text[1024];
};

/* ---- in the child ---- */

struct counted {
	struct source in;
	_Atomic int64_t *bytes;
};

static struct err *read_counted(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct counted *c = arg;

	TRY(c->in.read(c->in.arg, buf, size, ret_n));
	*c->bytes += (int64_t)*ret_n;
	return NULL;
}

static struct err *extract(int blob_fd, int dir_fd, _Atomic int64_t *read_bytes, struct result *r)
{
	struct counted c = { .in = source_fd(&blob_fd), .bytes = read_bytes };
	OWN(unz) struct unz *u = NULL;
	OWN(digest) struct digest *d = digest_new();
	struct digest_source ds = { .digest = d };
	struct tar_extract x = { .whiteouts = true, .same_owner = true };
	struct tar_stats stats;

	TRY(unz_new((struct source) { read_counted, &c }, &u));
	if (unz_kind(u) == UNZ_XZ || unz_kind(u) == UNZ_BZIP2)
		return err_new(ERR_UNSUPPORTED, "layers compressed with %s are not supported",
			       unz_kind_name(unz_kind(u)));
	ds.in = unz_source(u);
	x.in = digest_source(&ds);
	x.root_fd = dir_fd;
	TRY(tar_extract(&x, &stats));
	TRY(source_drain(x.in)); /* the digest is over what follows the end marker, too */
	digest_text(d, r->diff_id);
	r->bytes = stats.bytes;
	return NULL;
}

static struct err *extract_jailed(const struct unpack *u, int blob_fd, struct result *r)
{
	OWN(mem) char *fs = xasprintf("%s/fs", u->dir);
	OWN(fd) int dir_fd = -1;

	TRY(jail_enter(fs));
	dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(errno, "open root");
	return extract(blob_fd, dir_fd, u->read_bytes, r);
}

static _Noreturn void child(const struct unpack *u, int blob_fd, int result_fd, pid_t parent)
{
	struct result r = { .kind = -1 };
	struct err *e;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	umask(0);
	e = extract_jailed(u, blob_fd, &r);
	if (e) {
		r.kind = (int)err_kind(e);
		r.errnum = err_errno(e);
		snprintf(r.text, sizeof(r.text), "%s", err_text(e));
	}
	e = fd_write_all(result_fd, &r, sizeof(r));
	_exit(e ? 1 : 0);
}

/* ---- in the worker ---- */

static struct err *make_dir(struct unpack *u)
{
	OWN(mem) char *fs = NULL;
	const char *tmp;

	TRY(job_tmp(u->job, &tmp));
	u->dir = xasprintf("%s/layer-XXXXXX", tmp);
	if (!mkdtemp(u->dir) || chmod(u->dir, 0755) < 0)
		return err_sys(errno, "mkdir %s", u->dir);
	fs = xasprintf("%s/fs", u->dir);
	if (mkdir(fs, 0755) < 0)
		return err_sys(errno, "mkdir %s", fs);
	return NULL;
}

static struct err *fork_child(struct unpack *u, int blob_fd)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	u->result_fd = fds[0];
	fflush(NULL);
	u->pid = fork();
	if (u->pid == 0)
		child(u, blob_fd, fds[1], parent);
	close(fds[1]);
	if (u->pid < 0)
		return err_sys(errno, "fork");
	return NULL;
}

struct err *unpack_start(struct job *j, const char *blob, const char *diff_id, struct unpack **ret)
{
	OWN(unpack) struct unpack *u = xnew(struct unpack);
	OWN(fd) int blob_fd = open(blob, O_RDONLY | O_CLOEXEC);

	u->result_fd = -1;
	u->job = j;
	u->want_diff_id = xstrdup(diff_id);
	if (blob_fd < 0)
		return err_sys(errno, "open %s", blob);
	u->read_bytes = mmap(NULL, sizeof(*u->read_bytes), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (u->read_bytes == MAP_FAILED) {
		u->read_bytes = NULL;
		return err_sys(errno, "mmap");
	}
	TRY(make_dir(u));
	TRY(fork_child(u, blob_fd));
	*ret = TAKE(u);
	return NULL;
}

int unpack_fd(const struct unpack *u)
{
	return u->result_fd;
}

int64_t unpack_read_bytes(const struct unpack *u)
{
	return *u->read_bytes;
}

static struct err *take_result(struct unpack *u, struct result *r)
{
	size_t got = 0;
	ssize_t n;
	int status = 0;

	while (got < sizeof(*r) &&
	       ((n = read(u->result_fd, (char *)r + got, sizeof(*r) - got)) > 0 ||
		(n < 0 && errno == EINTR)))
		got += n > 0 ? (size_t)n : 0;
	while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
	if (got < sizeof(*r))
		return err_new(ERR_INTERNAL, "unpack: the child died (status %d)", status);
	r->text[sizeof(r->text) - 1] = r->diff_id[DIGEST_CHARS - 1] = '\0';
	if (r->kind >= 0 && r->kind < ERR_KINDS)
		return err_new((enum err_kind)r->kind, "%s", r->text);
	return NULL;
}

struct err *unpack_finish(struct unpack *u, char ret_diff_id[DIGEST_CHARS])
{
	struct result r = { 0 };

	TRY(take_result(u, &r));
	if (u->want_diff_id && !streq(u->want_diff_id, r.diff_id))
		return err_new(ERR_CORRUPT, "layer's content is %s, its image says %s", r.diff_id,
			       u->want_diff_id);
	TRY(image_commit_layer(u->job->root, u->dir, r.diff_id, r.bytes));
	memcpy(ret_diff_id, r.diff_id, DIGEST_CHARS);
	return NULL;
}

void unpack_free(struct unpack *u)
{
	if (!u)
		return;
	if (u->pid > 0) {
		kill(u->pid, SIGKILL);
		waitpid(u->pid, NULL, 0);
	}
	own_fd_release(&u->result_fd);
	if (u->read_bytes)
		munmap((void *)(uintptr_t)u->read_bytes, sizeof(*u->read_bytes));
	free(u->want_diff_id);
	free(u->dir); /* what is in it goes with the job's folder */
	free(u);
}

struct err *unpack_layer(struct job *j, const char *blob, const char *diff_id, const char *label,
			 char ret_diff_id[DIGEST_CHARS])
{
	OWN(unpack) struct unpack *u = NULL;
	struct stat st = { 0 };

	if (stat(blob, &st) < 0)
		return err_sys(errno, "%s", blob);
	TRY(unpack_start(j, blob, diff_id, &u));
	for (;;) {
		struct pollfd p = { .fd = unpack_fd(u), .events = POLLIN };

		if (poll(&p, 1, PROGRESS_MS) != 0)
			break;
		job_progress(j, label, PROGRESS_TEXT, unpack_read_bytes(u), st.st_size);
	}
	TRY_MSG(unpack_finish(u, ret_diff_id), "layer %.19s", label);
	job_progress(j, label, "Pull complete", st.st_size, st.st_size);
	return NULL;
}
