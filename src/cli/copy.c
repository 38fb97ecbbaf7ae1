/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "sys/spawn.h"
#include "util/base64.h"
#include "util/fd.h"
#include "util/mem.h"

/*
 * cp: the tar program packs and unpacks on this side.  What comes from an instance is unpacked
 * into a new folder beside its destination first, and only the one entry that was asked for is
 * moved out of it, so that nothing in the archive can name another place.
 */

#define TAR "/bin/tar"

/* "NAME:PATH" apart; a path with a slash before the colon is one of this host. */
static bool split(const char *text, char **ret_ref, const char **ret_path)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || *text == '/' || *text == '.' ||
	    memchr(text, '/', (size_t)(colon - text)))
		return false;
	*ret_ref = xstrndup(text, (size_t)(colon - text));
	*ret_path = colon + 1;
	return true;
}

/* Last part of a path without slashes at its end; owned by the caller. */
static char *base_of(const char *path)
{
	size_t len = strlen(path), at;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (at = len; at > 0 && path[at - 1] != '/';)
		at--;
	return xstrndup(path + at, len - at);
}

static char *folder_of(const char *path)
{
	OWN(mem) char *base = base_of(path);
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	len -= strlen(base);
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len ? xstrndup(path, len) : xstrdup(".");
}

/* As exec wants it: nobody writes to them. */
static char *const *words(const char *const *argv)
{
	return (char *const *)(uintptr_t)argv;
}

static struct err *start_tar(const char *const *argv, int in, int out, int *ret_pidfd)
{
	int fds[3] = { in, out, 2 };
	pid_t pid;

	return spawn_program(
	    &(struct spawn) { .path = TAR, .argv = words(argv), .fds = fds, .n_fds = 3 }, &pid,
	    ret_pidfd);
}

static struct err *end_tar(int pidfd)
{
	int code = 0;
	struct err *e = spawn_reap(pidfd, &code);

	close(pidfd);
	if (!e && code)
		e = err_new(ERR_INTERNAL, "tar ended with %d", code);
	return e;
}

/* ---- out of an instance ---- */

static struct err *fetch(struct cli *c, const char *ref, const char *path,
			 struct hostel_reply **ret)
{
	OWN(mem) char *url = cli_path("/containers/%s/archive?path=%s", ref, path);

	return cli_send(c, &(struct hostel_request) { .method = "GET", .path = url }, ret);
}

static struct err *unpack(struct cli *c, struct hostel_reply *r, const char *folder)
{
	const char *const argv[] = {
		"tar", "-x",   "-f", "-", "--no-same-owner", "--delay-directory-restore",
		"-C",  folder, NULL
	};
	OWN(fd) int in = -1;
	int pipes[2], pidfd;
	struct err *e, *ended;

	if (pipe2(pipes, O_CLOEXEC))
		return err_sys(errno, "pipe");
	e = start_tar(argv, pipes[0], 1, &pidfd);
	close(pipes[0]);
	in = pipes[1];
	if (e)
		return e;
	e = show_copy(c, r, in);
	if (e) /* before tar, too, says that there is no more */
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	close(TAKE_FD(in));
	ended = end_tar(pidfd);
	if (e && ended) {
		err_free(ended);
		return e;
	}
	return e ? e : ended;
}

static struct err *run_tool(const char *path, const char *const *argv)
{
	const int fds[] = { -1, -1, -1 };

	return spawn_run(
	    &(struct spawn) { .path = path, .argv = words(argv), .fds = fds, .n_fds = 3 }, NULL);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static void remove_tree(const char *path)
{
	const char *const argv[] = { "rm", "-rf", "--", path, NULL };

	err_free(run_tool("/bin/rm", argv));
}

/* Move the one entry of @tmp to its place. */
static struct err *settle(const char *tmp, const char *base, const char *target)
{
	OWN(mem) char *from = xasprintf("%s/%s", tmp, base);
	OWN(mem) char *to = is_folder(target) ? xasprintf("%s/%s", target, base) : xstrdup(target);
	const char *const argv[] = { "mv", "-T", "--", from, to, NULL };

	if (!rename(from, to))
		return NULL;
	if (errno == ENOTEMPTY || errno == EEXIST) {
		const char *const merge[] = { "cp", "-a", "-T", "--", from, to, NULL };

		return run_tool("/bin/cp", merge);
	}
	return run_tool("/bin/mv", argv);
}

static struct err *copy_out(struct cli *c, const char *ref, const char *path, const char *target)
{
	OWN(mem) char *folder = NULL, *tmp = NULL, *base = base_of(path);
	OWN(reply) struct hostel_reply *r = NULL;
	struct err *e;

	TRY(fetch(c, ref, path, &r));
	if (streq(target, "-"))
		return show_copy(c, r, 1);
	folder = is_folder(target) ? xstrdup(target) : folder_of(target);
	if (!is_folder(folder))
		return err_new(ERR_NOT_FOUND, "%s: no such folder", folder);
	tmp = xasprintf("%s/.hostel-cp-XXXXXX", folder);
	if (!mkdtemp(tmp))
		return err_sys(errno, "%s", tmp);
	e = unpack(c, r, tmp);
	if (!e)
		e = settle(tmp, *base == '/' || !*base ? "." : base, target);
	remove_tree(tmp);
	return e;
}

/* ---- into an instance ---- */

/* Is @path a folder inside the instance?  Docker tells by a header of HEAD. */
static bool is_folder_inside(struct cli *c, const char *ref, const char *path)
{
	OWN(mem) char *url = cli_path("/containers/%s/archive?path=%s", ref, path);
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(mem) char *text = NULL;
	OWN(json) json_t *doc = NULL;
	const char *stat;
	size_t len;
	int rc = hostel_send(c->h, &(struct hostel_request) { .method = "HEAD", .path = url }, &r);

	if (!rc)
		rc = hostel_reply_head(r);
	stat = rc ? NULL : hostel_reply_header(r, "X-Docker-Container-Path-Stat");
	if (!stat)
		return false;
	/* {"name":…,"size":…,"mode":N,…}: bit 31 of Go's mode is "folder" */
	text = xcalloc(BASE64_DATA_SIZE(strlen(stat)), 1);
	doc = base64_decode(stat, text, &len) ? json_loads(text, 0, NULL) : NULL;
	return jx_int(doc, "mode", 0) >> 31 & 1;
}

static struct err *upload(struct cli *c, const char *ref, const char *folder, int fd)
{
	OWN(mem) char *url = cli_path("/containers/%s/archive?path=%s", ref, folder);
	OWN(reply) struct hostel_reply *r = NULL;

	return cli_send(c,
			&(struct hostel_request) {
			    .method = "PUT", .path = url, .has_body_fd = 1, .body_fd = fd },
			&r);
}

static struct err *pack_and_upload(struct cli *c, const char *ref, const char *source,
				   const char *folder, const char *name)
{
	OWN(mem) char *dir = folder_of(source), *base = base_of(source);
	OWN(mem) char *rename_to = xasprintf("--transform=flags=rSH;s,^%s,%s,", base, name);
	const char *const argv[] = { "tar",     "-c", "-f", "-", "-C", dir, "--numeric-owner",
				     rename_to, "--", base, NULL };
	OWN(fd) int out = -1;
	int pipes[2], pidfd;
	struct err *e, *ended;

	if (pipe2(pipes, O_CLOEXEC))
		return err_sys(errno, "pipe");
	e = start_tar(argv, -1, pipes[1], &pidfd);
	close(pipes[1]);
	out = pipes[0];
	if (e)
		return e;
	e = upload(c, ref, folder, out);
	close(TAKE_FD(out));
	ended = end_tar(pidfd);
	if (e) {
		err_free(ended);
		return e;
	}
	return ended;
}

static struct err *copy_in(struct cli *c, const char *source, const char *ref, const char *path)
{
	OWN(mem) char *base = base_of(source), *name = base_of(path), *folder = folder_of(path);

	if (streq(source, "-"))
		return upload(c, ref, path, 0);
	if (access(source, F_OK))
		return err_sys(errno, "%s", source);
	if (!*path || path[strlen(path) - 1] == '/' || is_folder_inside(c, ref, path))
		return pack_and_upload(c, ref, source, *path ? path : "/", base);
	return pack_and_upload(c, ref, source, folder, name);
}

struct err *cmd_cp(struct cli *c, const struct args *a)
{
	OWN(mem) char *ref = NULL, *ref2 = NULL;
	const char *path, *path2;
	bool from = split(a->rest[0], &ref, &path), to = split(a->rest[1], &ref2, &path2);

	if (from && to)
		return err_new(ERR_UNSUPPORTED, "copying between two instances: use this host as a "
						"stop on the way");
	if (from)
		return copy_out(c, ref, path, a->rest[1]);
	if (to)
		return copy_in(c, a->rest[0], ref2, path2);
	return err_new(ERR_INVALID, "name an instance: NAME:PATH");
}
