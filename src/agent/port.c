/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/port.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

#define READ_CHUNK (32u * 1024) /* what a virtio console port gives at most at once */
#define KEEP_BYTES (4u * 1024)  /* an empty buffer larger than this is given back */

struct agent_port {
	struct poller *poller;
	struct poll_watch *watch;
	struct poll_timer *reject; /* set: broken() is due */
	int fd;
	struct str in, out;
	size_t frame_left; /* bytes of a frame that is half written */
	uint64_t n_read;
	bool is_held;
	const struct agent_port_ops *ops;
	void *arg;
	const char *why;
	bool is_broken;
	bool *freed; /* set by free() while frames are handed over */
};

static void empty(struct str *s)
{
	if (!s->len && s->cap > KEEP_BYTES)
		str_done(s);
}

/* How much may be written now. */
static size_t writable(const struct agent_port *p)
{
	return p->is_held ? p->frame_left : p->out.len;
}

static void set_events(struct agent_port *p)
{
	if (!p->is_broken)
		poll_watch_set(p->watch, (short)(POLLIN | (writable(p) ? POLLOUT : 0)));
}

static void on_reject(void *arg)
{
	struct agent_port *p = arg;

	p->ops->broken(p->arg, p->why);
}

static void broke(struct agent_port *p, const char *why)
{
	if (p->is_broken)
		return;
	p->is_broken = true;
	p->why = why;
	poll_watch_set(p->watch, 0);
	p->reject = poll_timer_new(p->poller, 0, on_reject, p);
}

void agent_port_reject(struct agent_port *p, const char *why)
{
	broke(p, why);
}

/* Returns false when the port was freed or broke on the way. */
static bool hand_over(struct agent_port *p)
{
	size_t at = 0, used = 0;
	struct agent_frame f;
	bool freed = false;
	enum agent_decoded d;

	p->freed = &freed;
	while ((d = agent_decode(p->in.buf + at, p->in.len - at, &f, &used)) == AGENT_FRAME) {
		at += used;
		p->ops->frame(p->arg, &f);
		if (freed)
			return false;
		if (p->is_broken)
			break;
	}
	p->freed = NULL;
	str_drop(&p->in, at);
	empty(&p->in);
	if (d == AGENT_BAD)
		broke(p, "no frame");
	return !p->is_broken;
}

/* @n more bytes of the queue, from @at on, are written: where does its frame end? */
static void count_written(struct agent_port *p, size_t at, size_t n)
{
	while (n) {
		size_t take;

		if (!p->frame_left)
			p->frame_left = agent_frame_size(p->out.buf + at);
		take = n < p->frame_left ? n : p->frame_left;
		p->frame_left -= take;
		at += take;
		n -= take;
	}
}

static void flush(struct agent_port *p)
{
	size_t at = 0, max;

	while ((max = p->is_held ? p->frame_left : p->out.len - at)) {
		ssize_t n = write(p->fd, p->out.buf + at, max);

		if (n > 0) {
			count_written(p, at, (size_t)n);
			at += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			broke(p, NULL);
		break;
	}
	str_drop(&p->out, at);
	empty(&p->out);
	set_events(p);
}

/* Bytes read; 0: nothing is there; -1: it is over. */
static ssize_t read_some(struct agent_port *p)
{
	char buf[READ_CHUNK];
	ssize_t n = read(p->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		broke(p, NULL);
		return -1;
	}
	p->n_read += (uint64_t)n;
	str_add(&p->in, buf, (size_t)n);
	return n;
}

static void on_port(void *arg, short revents)
{
	struct agent_port *p = arg;

	if (revents & POLLOUT)
		flush(p);
	if (p->is_broken || !(revents & ~POLLOUT))
		return;
	if (read_some(p) > 0)
		hand_over(p);
}

struct agent_port *agent_port_new(struct poller *poller, int fd, const struct agent_port_ops *ops,
				  void *arg)
{
	struct agent_port *p = xnew(struct agent_port);

	p->poller = poller;
	p->fd = fd;
	p->ops = ops;
	p->arg = arg;
	fd_set_nonblock(fd, 1);
	p->watch = poll_watch_new(poller, fd, POLLIN, on_port, p);
	return p;
}

void agent_port_free(struct agent_port *p)
{
	if (!p)
		return;
	if (p->freed)
		*p->freed = true;
	poll_watch_free(p->watch);
	poll_timer_free(p->reject);
	str_done(&p->in);
	str_done(&p->out);
	close(p->fd);
	free(p);
}

void agent_port_send(struct agent_port *p, enum agent_type type, enum agent_stream stream,
		     uint16_t session, const void *body, size_t len)
{
	struct agent_frame f = { .type = (uint8_t)type,
				 .stream = (uint8_t)stream,
				 .session = session,
				 .len = (uint32_t)len,
				 .body = body };

	if (p->is_broken)
		return;
	agent_encode(&p->out, &f);
	set_events(p);
}

void agent_port_send_text(struct agent_port *p, enum agent_type type, uint16_t session,
			  uint32_t value, const char *text)
{
	OWN(str) struct str body = { 0 };
	uint8_t head[4];
	size_t len = strlen(text);

	if (len > AGENT_BODY_MAX - sizeof(head))
		len = AGENT_BODY_MAX - sizeof(head);
	str_add(&body, head, agent_put_u32(head, value));
	str_add(&body, text, len);
	agent_port_send(p, type, AGENT_IN, session, body.buf, body.len);
}

void agent_port_hello(struct agent_port *p)
{
	const struct agent_hello h = { .oldest = AGENT_VERSION,
				       .newest = AGENT_VERSION,
				       .window = AGENT_WINDOW };
	uint8_t body[12];

	agent_port_send(p, AGENT_HELLO, AGENT_IN, 0, body, agent_put_hello(body, &h));
}

bool agent_port_is_idle(const struct agent_port *p)
{
	return !p->out.len || p->is_broken;
}

void agent_port_hold(struct agent_port *p, bool on)
{
	p->is_held = on;
	set_events(p);
}

bool agent_port_has_arrived(const struct agent_port *p)
{
	int n = 0;

	if (p->is_broken)
		return true;
	return !p->frame_left && ioctl(p->fd, SIOCOUTQ, &n) == 0 && n == 0;
}

uint64_t agent_port_read_all(struct agent_port *p)
{
	while (!p->is_broken && read_some(p) > 0 && hand_over(p))
		;
	return p->n_read;
}

const void *agent_port_unread(const struct agent_port *p, size_t *ret_len)
{
	*ret_len = p->in.len;
	return p->in.buf;
}

const void *agent_port_unsent(const struct agent_port *p, size_t *ret_len)
{
	*ret_len = p->out.len;
	return p->out.buf;
}

void agent_port_preload(struct agent_port *p, const void *unread, size_t n_unread,
			const void *unsent, size_t n_unsent)
{
	str_add(&p->in, unread, n_unread);
	str_add(&p->out, unsent, n_unsent);
	set_events(p);
}
