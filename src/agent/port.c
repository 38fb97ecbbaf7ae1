/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/port.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
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

static void set_events(struct agent_port *p)
{
	if (!p->is_broken)
		poll_watch_set(p->watch, (short)(POLLIN | (p->out.len ? POLLOUT : 0)));
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

static void flush(struct agent_port *p)
{
	size_t at = 0;

	while (at < p->out.len) {
		ssize_t n = write(p->fd, p->out.buf + at, p->out.len - at);

		if (n > 0) {
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

static void on_port(void *arg, short revents)
{
	struct agent_port *p = arg;
	char buf[READ_CHUNK];
	ssize_t n;

	if (revents & POLLOUT)
		flush(p);
	if (p->is_broken || !(revents & ~POLLOUT))
		return;
	n = read(p->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		broke(p, NULL);
		return;
	}
	str_add(&p->in, buf, (size_t)n);
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
