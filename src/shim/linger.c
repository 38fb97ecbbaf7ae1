/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/mem.h"

#define LINGER_NS INT64_C(2000000000)

struct lingerer {
	struct lingerers *all;
	struct lingerer *next;
	int fd;
	struct poll_watch *watch;
	struct poll_timer *timer;
};

static void end(void *arg)
{
	struct lingerer *l = arg;
	struct lingerer **at = &l->all->first;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	poll_watch_free(l->watch);
	poll_timer_free(l->timer);
	close(l->fd);
	free(l);
}

/* Throws away what is there. Returns false at the end of it. */
static bool drain(struct lingerer *l)
{
	char buf[1024];
	ssize_t n = read(l->fd, buf, sizeof(buf));

	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_input(void *arg, short revents)
{
	struct lingerer *l = arg;

	(void)revents;
	if (!drain(l))
		end(l);
}

/* Lets the kernel hold all of it; what this socket cannot take is lost. */
static void push(int fd, const char *data, size_t len)
{
	int room = len < 1 << 28 ? (int)len * 2 + (1 << 20) : 1 << 30;

	if (!len)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0 &&
	    errno == ENOTSOCK)
		fcntl(fd, F_SETPIPE_SZ, (int)(len + (64 << 10)));
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

void linger_start(struct lingerers *all, int fd, const char *data, size_t len)
{
	struct lingerer *l;

	push(fd, data, len);
	if (shutdown(fd, SHUT_WR) < 0) {
		close(fd);
		return;
	}
	l = xnew(struct lingerer);
	l->all = all;
	l->next = all->first;
	all->first = l;
	l->fd = fd;
	l->watch = poll_watch_new(all->poller, fd, POLLIN, on_input, l);
	l->timer = poll_timer_new(all->poller, LINGER_NS, end, l);
}

void linger_done(struct lingerers *all)
{
	while (all->first) {
		drain(all->first);
		end(all->first);
	}
}
