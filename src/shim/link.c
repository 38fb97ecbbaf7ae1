/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

struct waiting {
	struct waiting *next;
	size_t len;
	char bytes[];
};

struct link {
	struct poller *poller;
	int listen_fd, fd;
	struct poll_watch *listen_watch, *watch;
	struct waiting *queue;
	size_t n_queue;
	const struct link_events *events;
	void *arg;
};

/* Short messages need no heap. */
#define SMALL_BYTES 2048

static void drop(struct link *l)
{
	poll_watch_free(TAKE(l->watch));
	own_fd_release(&l->fd);
	l->fd = -1;
	for (struct waiting *w = l->queue, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	l->queue = NULL;
	l->n_queue = 0;
}

static void lose(struct link *l)
{
	drop(l);
	l->events->lost(l->arg);
}

/* Returns false when the connection is gone. */
static bool handle(struct link *l, char *buf, size_t size)
{
	int fds[SOCK_MSG_FDS_MAX];
	struct shim_msg m;
	size_t len = 0;
	OWN(err) struct err *e = sock_recv_msg(l->fd, buf, size, MSG_DONTWAIT, &len, fds);

	if (e && err_errno(e) == EAGAIN)
		return true;
	if (e || len == 0)
		return false;
	if (shim_msg_parse(buf, len, &m) == SHIM_PARSE_BAD)
		log_warn("a message of %zu bytes makes no sense and is ignored", len);
	else
		l->events->message(l->arg, &m, fds);
	for (size_t i = 0; i < SOCK_MSG_FDS_MAX; i++)
		own_fd_release(&fds[i]);
	return true;
}

static bool receive(struct link *l)
{
	char small[SMALL_BYTES];
	OWN(mem) char *big = NULL;
	ssize_t len = recv(l->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (len < 0)
		return errno == EAGAIN || errno == EINTR;
	if (len > SHIM_MSG_MAX)
		return false;
	if ((size_t)len <= sizeof(small))
		return handle(l, small, sizeof(small));
	big = xcalloc(1, (size_t)len);
	return handle(l, big, (size_t)len);
}

static void flush(struct link *l)
{
	while (l->queue) {
		struct waiting *w = l->queue;
		OWN(err) struct err *e = sock_send_msg(l->fd, w->bytes, w->len, NULL, 0);

		if (e && err_errno(e) == EAGAIN)
			break;
		l->queue = w->next;
		l->n_queue--;
		free(w);
	}
	poll_watch_set(l->watch, l->queue ? POLLIN | POLLOUT : POLLIN);
}

static void on_daemon(void *arg, short revents)
{
	struct link *l = arg;
	int fd = l->fd;

	if (revents & (POLLIN | POLLHUP | POLLERR) && !receive(l)) {
		lose(l);
		return;
	}
	if (l->fd == fd && l->watch)
		flush(l);
}

static void on_listen(void *arg, short revents)
{
	struct link *l = arg;
	int fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (fd < 0)
		return;
	drop(l);
	l->fd = fd;
	l->watch = poll_watch_new(l->poller, fd, POLLIN, on_daemon, l);
	l->events->opened(l->arg);
}

struct link *link_new(struct poller *p, int listen_fd, const struct link_events *events, void *arg)
{
	struct link *l = xnew(struct link);

	l->poller = p;
	l->listen_fd = listen_fd;
	l->fd = -1;
	l->events = events;
	l->arg = arg;
	fd_set_nonblock(listen_fd, 1);
	l->listen_watch = poll_watch_new(p, listen_fd, POLLIN, on_listen, l);
	return l;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	drop(l);
	poll_watch_free(l->listen_watch);
	free(l);
}

bool link_is_open(const struct link *l)
{
	return l->fd >= 0;
}

static bool enqueue(struct link *l, const char *bytes, size_t len)
{
	struct waiting **at = &l->queue;
	struct waiting *w;

	if (l->n_queue >= LINK_QUEUE_MAX) {
		log_warn("the daemon does not read; its connection is dropped");
		shutdown(l->fd, SHUT_RDWR); /* found by the poller */
		return false;
	}
	w = xcalloc(1, sizeof(*w) + len);
	w->len = len;
	memcpy(w->bytes, bytes, len);
	while (*at)
		at = &(*at)->next;
	*at = w;
	l->n_queue++;
	poll_watch_set(l->watch, POLLIN | POLLOUT);
	return true;
}

bool link_send(struct link *l, const struct shim_msg *m)
{
	char small[SMALL_BYTES];
	OWN(mem) char *big = NULL;
	OWN(err) struct err *e = NULL;
	char *buf = small;
	size_t len = shim_msg_len(m);

	if (l->fd < 0)
		return false;
	if (len > sizeof(small))
		buf = big = xcalloc(1, len);
	shim_msg_build(m, buf);
	if (l->queue)
		return enqueue(l, buf, len);
	e = sock_send_msg(l->fd, buf, len, NULL, 0);
	if (e && err_errno(e) == EAGAIN)
		return enqueue(l, buf, len);
	return !e;
}
