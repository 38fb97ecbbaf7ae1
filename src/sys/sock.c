/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/mem.h"

/*
 * Address of @path.  sun_path holds 108 bytes; a longer path is named through a
 * descriptor of its folder, which must stay open until bind or connect is done.
 */
static struct err *address(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
	OWN(mem) char *dir = NULL;
	OWN(mem) char *base = NULL;
	int n;

	ret->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(ret->sun_path)) {
		strcpy(ret->sun_path, path);
		return NULL;
	}
	dir = xstrdup(path);
	base = xstrdup(path);
	*ret_dir = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return err_sys(errno, "open folder of %s", path);
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_dir,
		     basename(base));
	if (n < 0 || (size_t)n >= sizeof(ret->sun_path))
		return err_new(ERR_INVALID, "socket name %s is too long", path);
	return NULL;
}

struct err *sock_listen_unix(const char *path, int type, unsigned mode, int *ret_fd)
{
	OWN(fd) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	OWN(fd) int dir = -1;
	struct sockaddr_un sa = { 0 };

	if (fd < 0)
		return err_sys(errno, "socket");
	TRY(address(path, &sa, &dir));
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(errno, "bind %s", path);
	if (chmod(path, mode) < 0)
		return err_sys(errno, "chmod %s", path);
	if (listen(fd, 128) < 0)
		return err_sys(errno, "listen %s", path);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

struct err *sock_connect_unix(const char *path, int type, int *ret_fd)
{
	OWN(fd) int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	OWN(fd) int dir = -1;
	struct sockaddr_un sa = { 0 };

	if (fd < 0)
		return err_sys(errno, "socket");
	TRY(address(path, &sa, &dir));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(errno, "connect to %s", path);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

struct err *sock_send_msg(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	union {
		char buf[CMSG_SPACE(SOCK_MSG_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > SOCK_MSG_FDS_MAX)
		return err_new(ERR_INTERNAL, "%zu descriptors in one message", n_fds);
	if (n_fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(errno, "send message");
	if ((size_t)n != len)
		return err_new(ERR_INTERNAL, "message cut from %zu to %zd bytes", len, n);
	return NULL;
}

/* Moves the descriptors of @msg into @fds; too many are closed. */
static bool take_fds(struct msghdr *msg, int fds[SOCK_MSG_FDS_MAX])
{
	size_t have = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (have < SOCK_MSG_FDS_MAX)
				fds[have++] = fd;
			else
				close(fd);
		}
	}
	return !(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC));
}

struct err *sock_recv_msg(int sock, void *buf, size_t size, int flags, size_t *ret_len,
			  int fds[SOCK_MSG_FDS_MAX])
{
	union {
		char buf[CMSG_SPACE(SOCK_MSG_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	ssize_t n;

	for (int i = 0; i < SOCK_MSG_FDS_MAX; i++)
		fds[i] = -1;
	do
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(errno, "receive message");
	if (!take_fds(&msg, fds)) {
		for (int i = 0; i < SOCK_MSG_FDS_MAX; i++)
			own_fd_release(&fds[i]);
		return err_new(ERR_CORRUPT, "message longer than %zu bytes or too many descriptors",
			       size);
	}
	*ret_len = (size_t)n;
	return NULL;
}

struct err *sock_pair(int type, int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(errno, "socketpair");
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return NULL;
}

struct err *sock_peer_cred(int sock, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0)
		return err_sys(errno, "SO_PEERCRED");
	return NULL;
}
