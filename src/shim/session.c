/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/session_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

/* After the end of the process no more than this is taken from its pipes: a process that it
 * left behind may write forever. */
#define DRAIN_BYTES (4 * 1024 * 1024)

struct session *session_new(const struct session_config *c)
{
	struct session *s = xnew(struct session);

	s->config = *c;
	snprintf(s->exec_id, sizeof(s->exec_id), "%s", c->exec_id);
	s->config.exec_id = s->exec_id;
	s->in = s->out[0] = s->out[1] = -1;
	return s;
}

static void close_input(struct session *s)
{
	if (s->in < 0)
		return;
	poll_watch_free(TAKE(s->in_watch));
	if (s->in != s->out[0])
		close(s->in);
	s->in = -1;
}

static void close_output(struct session *s, int i)
{
	poll_watch_free(TAKE(s->out_watch[i]));
	if (s->out[i] < 0)
		return;
	if (s->out[i] == s->in)
		close_input(s);
	close(s->out[i]);
	s->out[i] = -1;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	close_output(s, 0);
	close_output(s, 1);
	close_input(s);
	for (struct client *c = s->clients, *next; c; c = next) {
		next = c->next;
		client_free(c);
	}
	poll_timer_free(s->slow);
	str_done(&s->input);
	free(s);
}

const char *session_exec_id(const struct session *s)
{
	return s->exec_id;
}

/* ---- clients ---- */

static void sweep(struct session *s)
{
	for (struct client **at = &s->clients; *at;) {
		struct client *c = *at;

		if (!c->is_dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		client_free(c);
	}
}

/* Of those that are full, the one that is so for the longest time. */
static struct client *slowest(const struct session *s)
{
	struct client *slow = NULL;

	for (struct client *c = s->clients; c; c = c->next)
		if (client_is_full(c) && (!slow || c->full_since_ns < slow->full_since_ns))
			slow = c;
	return slow;
}

static void on_slow(void *arg)
{
	struct session *s = arg;
	struct client *c = slowest(s);

	poll_timer_free(TAKE(s->slow));
	if (c && s->clients->next && c->full_since_ns + CLIENT_SLOW_NS <= clock_boot_ns()) {
		log_warn("client %u of %s does not read and is cut off", c->seq,
			 *s->exec_id ? s->exec_id : "the instance");
		client_end(c, CLIENT_CUT);
	}
	session_update(s);
}

/* A slow client is only cut off when another one is attached too. */
static void arm_slow(struct session *s, const struct client *slow)
{
	int64_t left;

	if (!slow || !s->clients->next) {
		poll_timer_free(TAKE(s->slow));
		return;
	}
	if (s->slow)
		return;
	left = slow->full_since_ns + CLIENT_SLOW_NS - clock_boot_ns();
	s->slow = poll_timer_new(s->config.poller, left > 0 ? left : 0, on_slow, s);
}

void session_update(struct session *s)
{
	struct client *slow;

	sweep(s);
	for (struct client *c = s->clients; c; c = c->next)
		client_update(c);
	slow = slowest(s);
	arm_slow(s, slow);
	for (int i = 0; i < 2; i++)
		if (s->out_watch[i])
			poll_watch_set(s->out_watch[i], slow ? 0 : POLLIN);
}

static void begin_replay(struct session *s, struct client *c)
{
	struct log_query all = { .tail = -1 };
	struct err *e;

	if (!(c->streams & SHIM_LOGS) || !s->config.log)
		return;
	e = log_reader_new(s->config.log_dir, &all, &c->replay);
	if (e)
		log_warn("replay of the log: %s", err_text(e));
	err_free(e);
}

void session_attach(struct session *s, int fd, uint32_t seq, const struct shim_attach *a,
		    const char *early, size_t early_len)
{
	struct client *c = client_new(s, fd, seq, a);

	begin_replay(s, c);
	if (early_len && c->streams & SHIM_STDIN)
		client_take_input(c, early, early_len);
	if (c->streams & SHIM_NO_STREAM && !c->replay)
		client_end(c, CLIENT_FINISHED);
	session_update(s);
}

/* ---- input ---- */

bool session_wants_input(const struct session *s)
{
	return s->has_started && (s->is_input_ending || s->input.len < SESSION_INPUT_MAX);
}

static void end_input(struct session *s)
{
	bool was_open = s->in >= 0;

	close_input(s);
	str_done(&s->input);
	if (was_open)
		s->config.input_closed(s->config.arg, s);
}

static void flush_input(struct session *s)
{
	while (s->in >= 0 && s->input.len) {
		ssize_t n = write(s->in, s->input.buf, s->input.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				end_input(s);
			break;
		}
		str_drop(&s->input, (size_t)n);
	}
	if (s->in >= 0 && !s->input.len) {
		str_done(&s->input);
		if (s->is_input_ending)
			end_input(s);
	}
	if (s->in_watch)
		poll_watch_set(s->in_watch, s->input.len ? POLLOUT : 0);
}

static void on_input_room(void *arg, short revents)
{
	struct session *s = arg;

	(void)revents;
	flush_input(s);
	session_update(s);
}

void session_put_input(struct session *s, const char *data, size_t len)
{
	if (!len || s->is_input_ending || (s->has_started && s->in < 0))
		return; /* nobody reads it */
	str_add(&s->input, data, len);
	flush_input(s);
}

void session_input_ended(struct session *s)
{
	if (!s->config.ends_input || s->config.is_tty)
		return;
	for (const struct client *c = s->clients; c; c = c->next)
		if (!c->is_dead && c->streams & SHIM_STDIN && !c->has_input_ended)
			return;
	s->is_input_ending = true;
	flush_input(s);
}

/* ---- output ---- */

static void hand_out(struct session *s, int stream, const char *data, size_t len)
{
	if (s->config.log)
		log_writer_put(s->config.log, stream, data, len, clock_wall_ns());
	for (struct client *c = s->clients; c; c = c->next)
		client_send(c, stream, data, len);
}

static void end_output(struct session *s, int i)
{
	if (s->config.log)
		log_writer_end(s->config.log, i ? SHIM_STDERR : SHIM_STDOUT, clock_wall_ns());
	close_output(s, i);
}

/* One piece. Returns its length, 0 when there is nothing now, or nothing any more. */
static size_t read_output(struct session *s, int i)
{
	char *buf = scratch_get(s->config.scratch);
	ssize_t n = read(s->out[i], buf, SCRATCH_BYTES);

	if (n > 0) {
		hand_out(s, i ? SHIM_STDERR : SHIM_STDOUT, buf, (size_t)n);
		return (size_t)n;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) /* EIO: the terminal has no user left */
		end_output(s, i);
	return 0;
}

static void on_output(struct session *s, int i)
{
	read_output(s, i);
	session_update(s);
}

static void on_stdout(void *arg, short revents)
{
	(void)revents;
	on_output(arg, 0);
}

static void on_stderr(void *arg, short revents)
{
	(void)revents;
	on_output(arg, 1);
}

void session_start(struct session *s, const struct payload_io *io)
{
	struct poller *p = s->config.poller;

	s->has_started = true;
	s->in = io->in;
	s->out[0] = io->out;
	s->out[1] = io->err;
	if (s->in >= 0) {
		fd_set_nonblock(s->in, 1);
		s->in_watch = poll_watch_new(p, s->in, 0, on_input_room, s);
	}
	for (int i = 0; i < 2; i++) {
		if (s->out[i] < 0)
			continue;
		fd_set_nonblock(s->out[i], 1);
		s->out_watch[i] =
		    poll_watch_new(p, s->out[i], POLLIN, i ? on_stderr : on_stdout, s);
	}
	flush_input(s); /* what came early */
	session_update(s);
}

void session_say(struct session *s, const char *text)
{
	OWN(mem) char *line = xasprintf("%s\r\n", text);

	for (struct client *c = s->clients; c; c = c->next)
		client_send(c, SHIM_STDOUT, line, strlen(line));
}

void session_finish(struct session *s)
{
	for (int i = 0; i < 2; i++) {
		size_t taken = 0, n;

		while (s->out[i] >= 0 && taken < DRAIN_BYTES && (n = read_output(s, i)))
			taken += n;
		if (s->out[i] >= 0)
			end_output(s, i);
	}
	close_input(s);
	s->has_finished = true;
	for (struct client *c = s->clients; c; c = c->next)
		client_finish(c);
	session_update(s);
}
