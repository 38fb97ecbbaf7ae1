/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/port.h"
#include "util/fd.h"
#include "util/mem.h"

struct agent_source {
	struct agent_pump how;
	struct poll_watch *watch;
	struct agent_credit credit;
	void (*ended)(void *arg);
	void *arg;
	bool is_ended;
};

struct agent_sink {
	struct agent_pump how;
	struct poll_watch *watch;
	struct agent_credit credit;
	struct str pending;
	uint32_t rest;  /* bytes that may still come without credit */
	bool is_ending; /* END came */
	bool is_closed;
};

static void send_frame(const struct agent_pump *how, enum agent_type type, const void *body,
		       size_t len)
{
	agent_port_send(how->port, type, how->stream, how->session, body, len);
}

/* ---- source ---- */

static void source_end(struct agent_source *s)
{
	s->is_ended = true;
	poll_watch_free(TAKE(s->watch));
	close(TAKE_FD(s->how.fd));
	send_frame(&s->how, AGENT_END, NULL, 0);
	if (s->ended)
		s->ended(s->arg);
}

enum pumped { PUMPED, PUMP_EMPTY, PUMP_END };

static enum pumped source_read(struct agent_source *s, size_t max)
{
	char buf[AGENT_BODY_MAX];
	ssize_t n = read(s->how.fd, buf, max < sizeof(buf) ? max : sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PUMP_EMPTY;
	if (n <= 0) /* a pty's master says EIO when its last slave is closed */
		return PUMP_END;
	send_frame(&s->how, AGENT_DATA, buf, (size_t)n);
	s->credit.may -= (uint32_t)n < s->credit.may ? (uint32_t)n : s->credit.may;
	return PUMPED;
}

static void on_source(void *arg, short revents)
{
	struct agent_source *s = arg;

	if (!s->credit.may) {
		poll_watch_set(s->watch, 0);
		return;
	}
	if (source_read(s, s->credit.may) == PUMP_END) {
		source_end(s);
		return;
	}
	if (!s->credit.may)
		poll_watch_set(s->watch, 0);
}

struct agent_source *agent_source_new(const struct agent_pump *how, void (*ended)(void *arg),
				      void *arg)
{
	struct agent_source *s = xnew(struct agent_source);

	s->how = *how;
	s->credit = (struct agent_credit)AGENT_CREDIT_INIT;
	s->ended = ended;
	s->arg = arg;
	fd_set_nonblock(how->fd, 1);
	s->watch = poll_watch_new(how->poller, how->fd, POLLIN, on_source, s);
	return s;
}

struct agent_pump_state agent_source_state(const struct agent_source *s)
{
	return (struct agent_pump_state) { .may = s->credit.may, .is_ended = s->is_ended };
}

void agent_source_go_on(struct agent_source *s, const struct agent_pump_state *from)
{
	s->credit.may = from->may < AGENT_WINDOW ? from->may : AGENT_WINDOW;
}

bool agent_source_credit(struct agent_source *s, uint32_t n)
{
	if (s->is_ended)
		return true;
	if (!agent_credit_add(&s->credit, n))
		return false;
	if (s->credit.may)
		poll_watch_set(s->watch, POLLIN);
	return true;
}

void agent_source_rest(struct agent_source *s)
{
	size_t left = AGENT_REST;

	while (!s->is_ended && left >= AGENT_BODY_MAX && source_read(s, AGENT_BODY_MAX) == PUMPED)
		left -= AGENT_BODY_MAX;
	if (!s->is_ended)
		source_end(s);
}

void agent_source_free(struct agent_source *s)
{
	if (!s)
		return;
	poll_watch_free(s->watch);
	if (s->how.fd >= 0)
		close(s->how.fd);
	free(s);
}

/* ---- sink ---- */

static void sink_close(struct agent_sink *s)
{
	s->is_closed = true;
	poll_watch_free(TAKE(s->watch));
	(void)shutdown(s->how.fd, SHUT_WR); /* a tty's socket has a second copy, in its source */
	close(TAKE_FD(s->how.fd));
	str_done(&s->pending);
}

static void grant(struct agent_sink *s, size_t n)
{
	uint32_t more = agent_credit_consume(&s->credit, (uint32_t)n);
	uint8_t body[4];

	if (more && !s->is_ending && !s->rest)
		send_frame(&s->how, AGENT_CREDIT, body, agent_put_u32(body, more));
}

/* Bytes taken; -1 when nobody will ever read again. */
static ssize_t sink_write(struct agent_sink *s, const char *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = write(s->how.fd, data + at, len - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			break;
		else if (!(n < 0 && errno == EINTR))
			return -1;
	}
	return (ssize_t)at;
}

static void sink_flush(struct agent_sink *s)
{
	size_t had = s->pending.len;
	ssize_t n = sink_write(s, s->pending.buf, had);

	if (n < 0) {
		sink_close(s);
		grant(s, had);
		return;
	}
	str_drop(&s->pending, (size_t)n);
	grant(s, (size_t)n);
	if (s->pending.len) {
		poll_watch_set(s->watch, POLLOUT);
		return;
	}
	str_done(&s->pending);
	poll_watch_set(s->watch, 0);
	if (s->is_ending)
		sink_close(s);
}

static void on_sink(void *arg, short revents)
{
	sink_flush(arg);
}

struct agent_sink *agent_sink_new(const struct agent_pump *how)
{
	struct agent_sink *s = xnew(struct agent_sink);

	s->how = *how;
	s->credit = (struct agent_credit)AGENT_CREDIT_INIT;
	fd_set_nonblock(how->fd, 1);
	s->watch = poll_watch_new(how->poller, how->fd, 0, on_sink, s);
	return s;
}

static bool may_come(struct agent_sink *s, size_t len)
{
	if (s->is_ending)
		return false;
	if (agent_credit_use(&s->credit, (uint32_t)len))
		return true;
	if (len > s->rest)
		return false;
	s->rest -= (uint32_t)len;
	return true;
}

bool agent_sink_data(struct agent_sink *s, const void *data, size_t len)
{
	if (!may_come(s, len))
		return false;
	if (s->is_closed) {
		grant(s, len); /* swallowed, so that the sender does not hang */
		return true;
	}
	str_add(&s->pending, data, len);
	sink_flush(s);
	return true;
}

void agent_sink_end(struct agent_sink *s)
{
	s->is_ending = true;
	if (!s->is_closed && !s->pending.len)
		sink_close(s);
}

void agent_sink_rest(struct agent_sink *s)
{
	s->rest = AGENT_REST;
	agent_sink_make_room(s);
}

void agent_sink_make_room(struct agent_sink *s)
{
	int room = AGENT_WINDOW + AGENT_REST;

	if (s->is_closed)
		return;
	if (fcntl(s->how.fd, F_SETPIPE_SZ, 2 * room) < 0)
		(void)setsockopt(s->how.fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	sink_flush(s);
}

struct agent_pump_state agent_sink_state(const struct agent_sink *s)
{
	return (struct agent_pump_state) { .may = s->credit.may,
					   .owed = s->credit.owed + (uint32_t)s->pending.len,
					   .is_ended = s->is_ending };
}

void agent_sink_go_on(struct agent_sink *s, const struct agent_pump_state *from)
{
	s->credit = (struct agent_credit) { .may = from->may, .owed = 0 };
	grant(s, from->owed);
	if (from->is_ended)
		agent_sink_end(s);
}

bool agent_sink_is_done(const struct agent_sink *s)
{
	return s->is_closed;
}

void agent_sink_free(struct agent_sink *s)
{
	if (!s)
		return;
	poll_watch_free(s->watch);
	if (s->how.fd >= 0)
		close(s->how.fd);
	str_done(&s->pending);
	free(s);
}
