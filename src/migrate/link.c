/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define CONNECT_MS 10000
#define IDLE_S     10
#define PROBE_S    5
#define PROBES     4
#define UNACKED_MS 30000
#define PIECE      ((size_t)64 * 1024)

void link_done(struct link *l)
{
	tls_session_free(TAKE(l->tls));
	if (l->fd >= 0)
		close(TAKE_FD(l->fd));
}

/* A link that is cut without a word is noticed in half a minute, also while nothing is sent. */
static void set_keepalive(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, PROBES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static struct err *check_root(int fd)
{
	struct ucred cred;

	TRY(sock_peer_cred(fd, &cred));
	if (cred.uid != 0)
		return err_new(ERR_DENIED, "who is at the other end of the socket is not root");
	return NULL;
}

struct err *link_accepted(struct link *l, int fd, bool is_local)
{
	l->fd = fd;
	fd_set_nonblock(fd, 0);
	if (is_local)
		return check_root(fd);
	set_keepalive(fd);
	return NULL;
}

/* @ret_errno: why not; 0: it is connected */
static int try_address(const struct addrinfo *a, int *ret_errno)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(*ret_errno);

	*ret_errno = 0;
	if (fd < 0 || (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS))
		*ret_errno = errno;
	else if (poll(&p, 1, CONNECT_MS) <= 0)
		*ret_errno = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len) < 0)
		*ret_errno = errno;
	if (!*ret_errno)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct err *connect_tcp(struct link *l, const struct peer *to)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	int rc = getaddrinfo(to->host, to->port, &hints, &all), fd = -1, why = 0;

	if (rc)
		return err_new(ERR_UNAVAILABLE, "%s: %s", to->host, gai_strerror(rc));
	for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
		fd = try_address(a, &why);
	freeaddrinfo(all);
	if (fd < 0)
		return err_new(ERR_UNAVAILABLE, "%s:%s does not answer: %s", to->host, to->port,
			       strerror(why));
	return link_accepted(l, fd, false);
}

struct err *link_connect(struct link *l, const struct peer *to)
{
	OWN(err) struct err *err = NULL;
	int fd = -1;

	if (to->kind == PEER_TLS)
		return connect_tcp(l, to);
	err = sock_connect_unix(to->path, SOCK_STREAM, &fd);
	if (err)
		return err_new(ERR_UNAVAILABLE, "%s does not answer: %s", to->path,
			       strerror(err_errno(err)));
	return link_accepted(l, fd, true);
}

/* ---- bytes ---- */

static struct err *read_link(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct link *l = arg;
	ssize_t n;

	if (l->tls)
		return tls_session_read(l->tls, buf, size, ret_n);
	do {
		n = read(l->fd, buf, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_new(ERR_UNAVAILABLE, "the connection was cut");
	*ret_n = (size_t)n;
	return NULL;
}

/* A bucket of a tenth of a second. */
static void pace(struct link *l, size_t n)
{
	int64_t now = clock_boot_ns(), ahead;

	if (!l->rate)
		return;
	if (l->paced_ns < now - 100000000)
		l->paced_ns = now - 100000000;
	l->paced_ns += (int64_t)((double)n * 1e9 / (double)l->rate);
	ahead = l->paced_ns - now;
	if (ahead > 1000000)
		poll(NULL, 0, (int)(ahead / 1000000));
}

static struct err *write_piece(struct link *l, const void *data, size_t n)
{
	OWN(err) struct err *err = NULL;

	pace(l, n);
	if (l->tls)
		return tls_session_write(l->tls, data, n);
	err = fd_write_all(l->fd, data, n);
	return err ? err_new(ERR_UNAVAILABLE, "the connection was cut") : NULL;
}

static struct err *write_link(void *arg, const void *data, size_t n)
{
	const char *at = data;

	while (n) {
		size_t part = n < PIECE ? n : PIECE;

		TRY(write_piece(arg, at, part));
		at += part;
		n -= part;
	}
	return NULL;
}

struct source link_source(struct link *l)
{
	return (struct source) { .read = read_link, .arg = l };
}

struct tar_sink link_sink(struct link *l)
{
	return (struct tar_sink) { .write = write_link, .arg = l };
}

bool link_has_input(const struct link *l)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	return (l->tls && tls_session_pending(l->tls)) || poll(&p, 1, 0) > 0;
}

struct err *link_say(struct link *l, const json_t *j)
{
	OWN(mem) char *text = jx_text(j);
	struct tar_sink out = link_sink(l);

	if (strlen(text) > TAR_RECORD_MAX)
		return err_new(ERR_LIMIT, "a message of %zu bytes is too long", strlen(text));
	return tar_stream_put(&out, TAR_TEXT, text, strlen(text));
}

struct err *link_hear(struct link *l, struct str *ret_text)
{
	unsigned kind = 0;

	TRY(tar_stream_get(link_source(l), &kind, ret_text));
	if (!kind)
		return err_new(ERR_UNAVAILABLE, "the other side hung up");
	if (kind != TAR_TEXT)
		return err_new(ERR_CORRUPT, "the other side sends data that nobody asked for");
	return NULL;
}
