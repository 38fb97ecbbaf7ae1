/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/frame.h"
#include "shim/linger.h"
#include "shim/session_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

/* One piece of output with its frame always fits when a client is not full. */
#define FULL_BYTES (CLIENT_BUFFER_MAX - SCRATCH_BYTES - FRAME_BYTES)

#define REPLAY_BYTES (64 * 1024)

static size_t waiting(const struct client *c)
{
	return c->out.len - c->out_at;
}

bool client_is_full(const struct client *c)
{
	return !c->is_dead && !c->is_gone && !c->replay && waiting(c) > FULL_BYTES;
}

static void on_event(void *arg, short revents);

struct client *client_new(struct session *s, int fd, uint32_t seq, const struct shim_attach *a)
{
	struct client *c = xnew(struct client);
	int type;
	socklen_t type_len = sizeof(type);

	c->session = s;
	c->next = s->clients;
	s->clients = c;
	c->seq = seq;
	c->streams = a->streams;
	c->fd = fd;
	fd_set_nonblock(fd, 1);
	c->is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0;
	if (s->config.is_tty) { /* as in Docker, only a terminal's input is looked at */
		c->keys.len = (uint8_t)a->keys_len;
		memcpy(c->keys.keys, a->keys, a->keys_len);
	}
	c->watch = poll_watch_new(s->config.poller, fd, POLLER_ERRORS_ONLY, on_event, c);
	return c;
}

void client_free(struct client *c)
{
	poll_watch_free(c->watch);
	own_fd_release(&c->fd);
	str_done(&c->out);
	log_reader_free(c->replay);
	free(c);
}

void client_end(struct client *c, enum client_end how)
{
	if (c->is_dead)
		return;
	c->is_dead = true;
	poll_watch_free(TAKE(c->watch));
	if (how == CLIENT_CUT || c->is_gone)
		own_fd_release(&c->fd);
	else
		linger_start(c->session->config.lingerers, c->fd, c->out.buf + c->out_at,
			     waiting(c));
	c->fd = -1;
	str_done(&c->out);
	c->out_at = 0;
	c->session->config.client_ended(c->session->config.arg, c->session, c->seq,
					how == CLIENT_DETACHED);
}

/* ---- output ---- */

static void hang_up(struct client *c)
{
	c->is_gone = true;
	str_done(&c->out);
	c->out_at = 0;
	if (c->has_input_ended || !c->is_socket)
		client_end(c, CLIENT_CUT);
}

/* Sends what waits, as far as the socket takes it. */
static void flush(struct client *c)
{
	while (waiting(c)) {
		ssize_t n = write(c->fd, c->out.buf + c->out_at, waiting(c));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				hang_up(c);
			break;
		}
		c->out_at += (size_t)n;
	}
	if (!waiting(c)) {
		str_done(&c->out);
		c->out_at = 0;
	} else if (c->out_at > c->out.len / 2) {
		str_drop(&c->out, c->out_at);
		c->out_at = 0;
	}
}

/* Writes past the empty buffer; returns how much the socket took. */
static size_t send_now(struct client *c, const struct iovec *iov, int n_iov)
{
	ssize_t n = writev(c->fd, iov, n_iov);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		hang_up(c);
	return n > 0 ? (size_t)n : 0;
}

static void put(struct client *c, int stream, const char *data, size_t len)
{
	unsigned char frame[FRAME_BYTES];
	size_t head = c->streams & SHIM_RAW ? 0 : FRAME_BYTES, sent = 0;
	struct iovec iov[2] = { { frame, head }, { (void *)(uintptr_t)data, len } };

	frame_put(frame, stream, len);
	if (!waiting(c))
		sent = send_now(c, iov, 2);
	if (c->is_gone || c->is_dead || sent == head + len)
		return;
	if (sent < head) {
		str_add(&c->out, frame + sent, head - sent);
		sent = head;
	}
	str_add(&c->out, data + (sent - head), len - (sent - head));
}

void client_send(struct client *c, int stream, const char *data, size_t len)
{
	if (c->is_dead || c->is_gone || c->replay || !(c->streams & (uint32_t)stream) || !len)
		return;
	put(c, stream, data, len);
	if (!c->session->config.is_held_back && client_is_full(c))
		client_end(c, CLIENT_CUT);
}

/* The log has been sent: on with what is in no file yet, then with the output as it comes. */
static void end_replay(struct client *c)
{
	log_reader_free(TAKE(c->replay));
	for (int stream = SHIM_STDOUT; stream <= SHIM_STDERR; stream <<= 1) {
		size_t len;
		const char *part = log_writer_pending(c->session->config.log, stream, &len);

		client_send(c, stream, part, len);
	}
	if (c->streams & SHIM_NO_STREAM)
		client_end(c, CLIENT_FINISHED);
}

/* Sends from the log while less than @limit bytes wait. */
static void pump_replay(struct client *c, size_t limit)
{
	struct entry e;

	while (c->replay && !c->is_dead && !c->is_gone && waiting(c) < limit) {
		if (log_reader_next(c->replay, &e) != LOG_ENTRY)
			end_replay(c);
		else if (c->streams & (uint32_t)e.stream && e.len)
			put(c, e.stream, e.text, e.len);
	}
}

void client_finish(struct client *c)
{
	pump_replay(c, SIZE_MAX);
	client_end(c, CLIENT_FINISHED);
}

/* ---- input ---- */

void client_take_input(struct client *c, const char *data, size_t len)
{
	OWN(mem) char *out = NULL;
	bool detached;
	size_t n;

	if (!c->keys.len) {
		session_put_input(c->session, data, len);
		return;
	}
	out = xcalloc(1, len + SHIM_KEYS_MAX);
	detached = keys_feed(&c->keys, data, len, out, &n);
	session_put_input(c->session, out, n);
	if (detached)
		client_end(c, CLIENT_DETACHED);
}

static void end_input(struct client *c)
{
	char held[SHIM_KEYS_MAX];
	size_t n = keys_flush(&c->keys, held);

	c->has_input_ended = true;
	if (c->streams & SHIM_STDIN) {
		session_put_input(c->session, held, n);
		session_input_ended(c->session);
	}
	if (c->is_gone)
		client_end(c, CLIENT_CUT);
}

static bool wants_input(const struct client *c)
{
	return c->is_socket && !c->has_input_ended &&
	       (!(c->streams & SHIM_STDIN) || session_wants_input(c->session));
}

static void read_input(struct client *c)
{
	char *buf = scratch_get(c->session->config.scratch);
	ssize_t n = read(c->fd, buf, SCRATCH_BYTES / 4);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		hang_up(c);
	if (n <= 0) {
		end_input(c);
		return;
	}
	if (c->streams & SHIM_STDIN)
		client_take_input(c, buf, (size_t)n);
}

static void on_event(void *arg, short revents)
{
	struct client *c = arg;
	struct session *s = c->session;

	if (revents & (POLLHUP | POLLERR))
		hang_up(c);
	if (!c->is_dead && !c->is_gone) {
		flush(c);
		pump_replay(c, REPLAY_BYTES);
	}
	if (!c->is_dead && revents & (POLLIN | POLLHUP | POLLERR) && wants_input(c))
		read_input(c);
	session_update(s);
}

void client_update(struct client *c)
{
	short events = 0;

	if (c->is_dead)
		return;
	if (wants_input(c))
		events |= POLLIN;
	if (!c->is_gone && (waiting(c) || c->replay))
		events |= POLLOUT;
	if (!events && !c->is_gone)
		events = POLLER_ERRORS_ONLY;
	poll_watch_set(c->watch, events);
	if (!client_is_full(c))
		c->full_since_ns = 0;
	else if (!c->full_since_ns)
		c->full_since_ns = clock_boot_ns();
}
