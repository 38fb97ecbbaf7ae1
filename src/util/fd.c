/* SPDX-License-Identifier: Apache-2.0 */
#include "util/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

void own_fd_release(int *slot)
{
	if (*slot >= 0)
		close(*slot);
	*slot = -1; /* members are released early, and once more when their object is freed */
}

struct err *fd_read_file(int dirfd, const char *path, size_t max, char **ret_buf)
{
	OWN(fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	OWN(mem) char *buf = NULL;
	size_t len = 0;

	if (fd < 0)
		return err_sys(errno, "open %s", path);

	buf = malloc(max + 1);
	if (!buf)
		return err_sys(ENOMEM, "read %s", path);

	while (len <= max) {
		ssize_t n = read(fd, buf + len, max + 1 - len);

		if (n < 0)
			return err_sys(errno, "read %s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > max)
		return err_new(ERR_CORRUPT, "%s is longer than %zu bytes", path, max);

	buf[len] = '\0';
	*ret_buf = TAKE(buf);
	return NULL;
}

struct err *fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "write");
		p += n;
		len -= (size_t)n;
	}
	return NULL;
}

static struct err *write_new(int dirfd, const char *tmp, const void *data, size_t len,
			     unsigned mode)
{
	OWN(fd) int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0)
		return err_sys(errno, "create %s", tmp);
	TRY_MSG(fd_write_all(fd, data, len), "%s", tmp);
	return NULL;
}

struct err *fd_write_file(int dirfd, const char *path, const void *data, size_t len, unsigned mode)
{
	/* Two processes may write the same file at once: whoever renames last is kept, whole. */
	OWN(mem) char *tmp = xasprintf("%s.%d.tmp", path, getpid());
	struct err *e = write_new(dirfd, tmp, data, len, mode);

	if (!e && renameat(dirfd, tmp, dirfd, path) < 0)
		e = err_sys(errno, "rename %s", tmp);
	if (e)
		unlinkat(dirfd, tmp, 0);
	return e;
}

void fd_set_nonblock(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	assert(flags >= 0);
	fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

struct err *fd_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	return NULL;
}

struct err *fd_mkdirs(const char *path)
{
	OWN(mem) char *p = xstrdup(path);

	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "mkdir %s", p);
		*s = '/';
	}
	if (mkdir(p, 0755) < 0 && errno != EEXIST)
		return err_sys(errno, "mkdir %s", p);
	return NULL;
}
