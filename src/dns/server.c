/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "dns/ask.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define DATAGRAMS_PER_TURN 16
#define IDLE_NS            INT64_C(10000000000)
#define PREFIX             2 /* bytes that hold the length, over TCP */

/* A query that others are asked about; of a datagram, or of a connection. */
struct client {
	struct dns_server *s;
	struct sockaddr_in from;
	uint8_t query[DNS_QUERY_MAX];
	size_t len;
	struct dns_question q;
	struct ask *ask;

	/* connections only */
	int fd; /* -1: a datagram's */
	struct loop_watch *watch;
	struct loop_timer *timer;
	size_t have; /* bytes of the length and the query that have come */
	uint8_t head[PREFIX];
	TAILQ_ENTRY(client) link;
};
TAILQ_HEAD(client_list, client);

struct dns_server {
	struct loop *loop;
	struct dns_owner owner;
	int port;
	int udp, tcp;
	struct loop_watch *udp_watch, *tcp_watch;
	struct client_list clients;
	size_t n_datagrams, n_connections;
	unsigned turn; /* whose address comes first */
};

bool dns_upstream_parse(const char *text, int port, struct dns_upstream *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(&ret->address, &v4, sizeof(v4));
		ret->len = sizeof(v4);
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		memcpy(&ret->address, &v6, sizeof(v6));
		ret->len = sizeof(v6);
	}
	return ret->len != 0;
}

/* ---- a client's end ---- */

static void client_free(struct client *c)
{
	ask_free(c->ask);
	loop_watch_free(c->watch);
	loop_timer_free(c->timer);
	TAILQ_REMOVE(&c->s->clients, c, link);
	if (c->fd >= 0) {
		c->s->n_connections--;
		close(c->fd);
	} else {
		c->s->n_datagrams--;
	}
	free(c);
}

/* A reply that does not fit the socket's buffer is lost, and asked for again. */
static void answer_datagram(struct client *c, const uint8_t *reply, size_t len)
{
	(void)!sendto(c->s->udp, reply, len, MSG_NOSIGNAL, (const struct sockaddr *)&c->from,
		      sizeof(c->from));
}

static bool answer_stream(struct client *c, const uint8_t *reply, size_t len)
{
	OWN(str) struct str out = { 0 };
	const uint8_t head[PREFIX] = { (uint8_t)(len >> 8), (uint8_t)len };

	str_add(&out, head, sizeof(head));
	str_add(&out, reply, len);
	c->have = 0;
	loop_timer_start(c->timer, IDLE_NS);
	return send(c->fd, out.buf, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
}

/* Context: the client may be gone afterwards. */
static void answer(struct client *c, const uint8_t *reply, size_t len)
{
	if (c->fd < 0) {
		answer_datagram(c, reply, len);
		client_free(c);
		return;
	}
	if (!answer_stream(c, reply, len)) {
		client_free(c);
		return;
	}
	ask_free(TAKE(c->ask)); /* and with it the reply */
	loop_watch_set(c->watch, LOOP_READ);
}

static void answer_code(struct client *c, enum dns_rcode rcode, const struct dns_found *f)
{
	uint8_t out[DNS_REPLY_MAX];

	answer(c, out, dns_write_reply(c->query, &c->q, rcode, f, out, sizeof(out)));
}

static void on_asked(void *arg, const uint8_t *reply, size_t len)
{
	struct client *c = arg;

	if (reply)
		answer(c, reply, len);
	else
		answer_code(c, DNS_SERVFAIL, NULL);
}

static void forward(struct client *c)
{
	struct dns_server *s = c->s;
	struct dns_upstream servers[DNS_UPSTREAMS_MAX];
	size_t n = s->owner.upstreams(s->owner.arg, ntohl(c->from.sin_addr.s_addr), servers);

	if (!n) {
		answer_code(c, DNS_SERVFAIL, NULL);
		return;
	}
	if (c->watch)
		loop_watch_set(c->watch, LOOP_HANGUP);
	c->ask = ask_new(s->loop,
			 &(struct ask_what) { .query = c->query,
					      .len = c->len,
					      .q = &c->q,
					      .servers = servers,
					      .n_servers = n,
					      .is_tcp = c->fd >= 0 },
			 on_asked, c);
}

/* Each in its turn comes first. */
static void rotate(struct dns_server *s, struct dns_found *f)
{
	struct dns_found old = *f;

	s->turn++;
	for (size_t i = 0; i < f->n; i++)
		f->v[i] = old.v[(i + s->turn) % f->n];
}

static void resolve(struct client *c)
{
	struct dns_server *s = c->s;
	struct dns_found f = { .n = 0 };

	switch (s->owner.look_up(s->owner.arg, ntohl(c->from.sin_addr.s_addr), &c->q, &f)) {
	case DNS_KNOWN:
		rotate(s, &f);
		answer_code(c, DNS_NOERROR, &f);
		break;
	case DNS_NO_NAME:
		answer_code(c, DNS_NXDOMAIN, NULL);
		break;
	case DNS_FAIL:
		answer_code(c, DNS_SERVFAIL, NULL);
		break;
	case DNS_FORWARD:
		forward(c);
		break;
	}
}

/* Context: the client may be gone afterwards. */
static void take_query(struct client *c)
{
	switch (dns_read_query(c->query, c->len, &c->q)) {
	case DNS_READ_OK:
		resolve(c);
		break;
	case DNS_READ_BAD:
		answer_code(c, DNS_FORMERR, NULL);
		break;
	case DNS_READ_ODD:
		answer_code(c, DNS_NOTIMP, NULL);
		break;
	case DNS_READ_DROP:
		client_free(c);
		break;
	}
}

static struct client *client_new(struct dns_server *s, const struct sockaddr_in *from, int fd)
{
	struct client *c = xnew(struct client);

	c->s = s;
	c->fd = fd;
	c->from = *from;
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	if (fd >= 0)
		s->n_connections++;
	else
		s->n_datagrams++;
	return c;
}

/* ---- UDP ---- */

/* The client asks again because nobody has answered yet. */
static bool is_under_way(struct dns_server *s, const struct sockaddr_in *from, const uint8_t *data)
{
	struct client *c;

	TAILQ_FOREACH(c, &s->clients, link)
	if (c->fd < 0 && c->from.sin_addr.s_addr == from->sin_addr.s_addr &&
	    c->from.sin_port == from->sin_port && !memcmp(c->query, data, 2))
		return true;
	return false;
}

static void take_datagram(struct dns_server *s, const struct sockaddr_in *from, const uint8_t *data,
			  size_t len)
{
	struct client *c;

	if (len < 2 || s->n_datagrams >= DNS_PENDING_MAX || is_under_way(s, from, data))
		return;
	c = client_new(s, from, -1);
	memcpy(c->query, data, len);
	c->len = len;
	take_query(c);
}

static void on_udp(void *arg, int events)
{
	struct dns_server *s = arg;

	(void)events;
	for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
		uint8_t buf[DNS_QUERY_MAX];
		struct sockaddr_in from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n =
		    recvfrom(s->udp, buf, sizeof(buf), MSG_TRUNC, (struct sockaddr *)&from, &len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && (size_t)n <= sizeof(buf))
			take_datagram(s, &from, buf, (size_t)n);
	}
}

/* ---- TCP ---- */

/* Bytes of a message still to come, and where they go; 0: it is whole, empty or too long. */
static size_t wanted(struct client *c, uint8_t **ret)
{
	size_t len = (size_t)(c->head[0] << 8 | c->head[1]);

	if (c->have < PREFIX) {
		*ret = c->head + c->have;
		return PREFIX - c->have;
	}
	*ret = c->query + (c->have - PREFIX);
	return len > DNS_QUERY_MAX ? 0 : len + PREFIX - c->have;
}

static void on_stream(void *arg, int events)
{
	struct client *c = arg;
	uint8_t *to = NULL;
	size_t want = wanted(c, &to);
	ssize_t n = c->ask ? 0 : recv(c->fd, to, want, 0);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c); /* it went */
		return;
	}
	c->have += (size_t)n;
	if (c->have < PREFIX || wanted(c, &to))
		return;
	c->len = c->have - PREFIX;
	if (c->len)
		take_query(c);
	else
		client_free(c);
}

static void on_idle(void *arg)
{
	struct client *c = arg;

	if (c->ask)
		loop_timer_start(c->timer, IDLE_NS);
	else
		client_free(c);
}

static void on_connection(void *arg, int events)
{
	struct dns_server *s = arg;
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	OWN(fd)
	int fd = accept4(s->tcp, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	(void)events;
	if (fd < 0 || s->n_connections >= DNS_CONNECTIONS_MAX)
		return;
	c = client_new(s, &from, TAKE_FD(fd));
	c->timer = loop_timer_new(s->loop, on_idle, c);
	loop_timer_start(c->timer, IDLE_NS);

	struct err *e = loop_watch_new(s->loop, c->fd, LOOP_READ, on_stream, c, &c->watch);

	if (e)
		client_free(c);
	err_free(e);
}

/* ---- the server ---- */

static struct err *bind_socket(const struct dns_where *w, int type, int port, int *ret)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(w->address) };
	OWN(fd) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return err_sys(errno, "open socket");
	if (w->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, w->device,
				    (socklen_t)strlen(w->device)) < 0)
		return err_sys(errno, "listen on %s", w->device);
	/* Beside one for all addresses that allows it: ours is the more special one. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 16) < 0))
		return errno == EADDRINUSE ? err_new(ERR_EXISTS, "port %d/%s is taken", port,
						     type == SOCK_STREAM ? "tcp" : "udp")
					   : err_sys(errno, "listen on port %d", port);
	*ret = TAKE_FD(fd);
	return NULL;
}

static struct err *server_open(struct dns_server *s, const struct dns_where *w)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	TRY(bind_socket(w, SOCK_DGRAM, w->port, &s->udp));
	if (getsockname(s->udp, (struct sockaddr *)&a, &len) < 0)
		return err_sys(errno, "own address");
	s->port = ntohs(a.sin_port);
	TRY(bind_socket(w, SOCK_STREAM, s->port, &s->tcp));
	TRY(loop_watch_new(s->loop, s->udp, LOOP_READ, on_udp, s, &s->udp_watch));
	return loop_watch_new(s->loop, s->tcp, LOOP_READ, on_connection, s, &s->tcp_watch);
}

struct err *dns_server_new(struct loop *l, const struct dns_where *w, const struct dns_owner *owner,
			   struct dns_server **ret)
{
	OWN(dns_server) struct dns_server *s = xnew(struct dns_server);

	*s = (struct dns_server) { .loop = l, .owner = *owner, .udp = -1, .tcp = -1 };
	TAILQ_INIT(&s->clients);
	TRY(server_open(s, w));
	*ret = TAKE(s);
	return NULL;
}

void dns_server_free(struct dns_server *s)
{
	struct client *c;

	if (!s)
		return;
	while ((c = TAILQ_FIRST(&s->clients)))
		client_free(c);
	loop_watch_free(s->udp_watch);
	loop_watch_free(s->tcp_watch);
	if (s->udp >= 0)
		close(s->udp);
	if (s->tcp >= 0)
		close(s->tcp);
	free(s);
}

int dns_server_port(const struct dns_server *s)
{
	return s->port;
}
