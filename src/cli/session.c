/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define SHOW_AFTER_NS 300000000LL  /* a wait shorter than this is not worth a line */
#define SHOW_EVERY_NS 5000000000LL /* without a terminal */
#define GRACE_NS      2000000000LL /* for the rest of the output, once the exit code is known */
#define OUT_BYTES_MAX 65536

static const int proxied[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH
};

void session_init(struct session *s, struct cli *c)
{
	sigset_t set;

	*s = (struct session) { .c = c, .status = -1, .is_framed = true };
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(proxied); i++)
		sigaddset(&set, proxied[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void session_keep_signals(struct session *s)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(proxied); i++)
		if (proxied[i] != SIGWINCH)
			sigaddset(&set, proxied[i]);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void session_drop(struct session *s)
{
	hostel_reply_close(TAKE(s->stream));
	hostel_reply_close(TAKE(s->start));
	hostel_reply_close(TAKE(s->wait));
	str_done(&s->wait_body);
	str_done(&s->start_text);
	s->wait_lost = false;
	s->stream_ended = s->shut_done = false;
}

void session_done(struct session *s)
{
	session_drop(s);
	tty_restore(&s->tty);
	str_done(&s->out);
	str_done(&s->reason);
	free(TAKE(s->start_error));
	free(TAKE(s->exit_message));
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	s->signal_fd = -1;
}

int session_start_code(const char *text)
{
	static const struct {
		const char *words;
		int code;
	} table[] = {
		{ "executable file not found", 127 },
		{ "no such file or directory", 127 },
		{ "permission denied", 126 },
		{ "is a directory", 126 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strstr(text, table[i].words))
			return table[i].code;
	return CLI_USAGE_CODE;
}

/* ---- ask ---- */

struct err *session_attach(struct session *s, const char *id, const char *keys)
{
	OWN(mem)
	char *path =
	    cli_path("/containers/%s/attach?stream=1&stdin=%s&stdout=%s&stderr=%s&detachKeys=%s",
		     id, s->takes_stdin ? "1" : "0", s->no_stdout ? "0" : "1",
		     s->no_stderr ? "0" : "1", keys ? keys : "");

	return cli_send(
	    s->c, &(struct hostel_request) { .method = "POST", .path = path, .is_upgrade = 1 },
	    &s->stream);
}

struct err *session_wait(struct session *s, const char *id, const char *condition)
{
	OWN(mem) char *path = cli_path("/containers/%s/wait?note=1&condition=%s", id, condition);

	s->wants_removed = !strcmp(condition, "removed");
	return cli_send(s->c,
			&(struct hostel_request) { .method = "POST", .path = path, .no_reuse = 1 },
			&s->wait);
}

struct err *session_send_start(struct session *s, const char *id, const struct args *a,
			       const char *hold)
{
	OWN(mem) char *path = NULL;
	const char *timeout = a ? args_text(a, "wait-timeout") : NULL;
	int rc;

	path = cli_path("/hostel/v1/instances/%s/start?hold=%s", id, hold);
	if (timeout) {
		OWN(mem) char *old = path;

		path = xasprintf("%s&wait_timeout=%s", old, timeout);
	}
	if (a && args_flag(a, "no-wait")) {
		OWN(mem) char *old = path;

		path = xasprintf("%s&no_wait=true", old);
	}
	rc = hostel_send(s->c->h,
			 &(struct hostel_request) { .method = "POST", .path = path, .no_reuse = 1 },
			 &s->start);
	s->asked_ns = clock_boot_ns();
	return rc ? cli_err(s->c, rc) : NULL;
}

/* ---- the line about the queue ---- */

static void clear_line(struct session *s)
{
	if (s->is_line_shown && isatty(2))
		fputs("\r\033[K", stderr);
	s->is_line_shown = false;
}

static void show_reason(struct session *s)
{
	int64_t now = clock_boot_ns();
	int rows, cols = 80;

	if (s->is_quiet || !s->reason.len || now - s->asked_ns < SHOW_AFTER_NS)
		return;
	if (isatty(2)) {
		tty_size(&rows, &cols);
		fprintf(stderr, "\r\033[Kwaiting: %.*s", cols - 10, s->reason.buf);
		str_done(&s->reason);
		s->is_line_shown = true;
		return;
	}
	if (s->shown_ns && now - s->shown_ns < SHOW_EVERY_NS)
		return;
	fprintf(stderr, "waiting: %s\n", s->reason.buf);
	str_done(&s->reason);
	s->shown_ns = now;
}

/* ---- start ---- */

static void resize(struct session *s)
{
	OWN(mem) char *path = NULL;
	int rows, cols;

	if (!s->resize_path || !s->is_started || !tty_size(&rows, &cols))
		return;
	path = xasprintf("%s?h=%d&w=%d", s->resize_path, rows, cols);
	(void)!hostel_call(s->c->h, "POST", path, NULL, NULL);
}

static void started(struct session *s)
{
	s->is_started = true;
	str_done(&s->reason);
	clear_line(s);
	if ((s->is_tty || s->is_console) && s->takes_stdin)
		tty_raw(&s->tty);
	resize(s);
}

/* One line of the start's answer; false: nothing more is to come. */
static bool start_line(struct session *s, const char *line)
{
	OWN(json) json_t *doc = json_loads(line, 0, NULL);
	const char *text = jx_str(doc, "waiting", NULL);

	if (text) {
		str_done(&s->reason);
		str_adds(&s->reason, text);
		show_reason(s);
		return true;
	}
	text = jx_str(doc, "error", NULL);
	if (text)
		str_set(&s->start_error, text);
	else if (!jx_bool(doc, "started", false) && !jx_bool(doc, "queued", false))
		return true;
	else if (!s->is_started)
		started(s);
	return false;
}

/* Take the lines that are whole; false: the answer has come. */
static bool start_lines(struct session *s)
{
	char *end;

	while (s->start_text.len && (end = strchr(s->start_text.buf, '\n'))) {
		*end = '\0';
		if (!start_line(s, s->start_text.buf))
			return false;
		str_drop(&s->start_text, (size_t)(end + 1 - s->start_text.buf));
	}
	return true;
}

/*
 * Never waits for a whole line: signals must be seen while the start waits.
 * Return: false when the daemon went away.
 */
static bool read_start(struct session *s)
{
	char data[1024];
	ssize_t n;
	int rc;

	if (!hostel_reply_status(s->start)) {
		rc = hostel_reply_head(s->start);
		if (rc == HOSTEL_BROKEN)
			return false;
		if (rc)
			str_set(&s->start_error, hostel_error(s->c->h));
		if (rc || !hostel_reply_pending(s->start))
			return true;
	}
	n = hostel_reply_read(s->start, data, sizeof(data));
	if (n <= 0)
		return false;
	str_add(&s->start_text, data, (size_t)n);
	if (!start_lines(s))
		hostel_reply_close(TAKE(s->start));
	return true;
}

/* ---- wait ---- */

static void parse_wait(struct session *s)
{
	OWN(json) json_t *doc = s->wait_body.len ? json_loads(s->wait_body.buf, 0, NULL) : NULL;

	if (!doc)
		return;
	s->status = (int)jx_int(doc, "StatusCode", -1);
	str_set(&s->exit_message,
		jx_str(json_object_get(doc, "Error"), "Message", jx_str(doc, "Note", NULL)));
	s->ended_ns = clock_boot_ns();
}

static void read_wait(struct session *s)
{
	char data[1024];
	ssize_t n = hostel_reply_read(s->wait, data, sizeof(data));

	if (n > 0) {
		str_add(&s->wait_body, data, (size_t)n);
		return;
	}
	parse_wait(s);
	s->wait_lost = s->status < 0;
	hostel_reply_close(TAKE(s->wait));
}

/* An instance run with --rm is gone soon after its end, and its exit code with it. */
static void wait_again(struct session *s)
{
	struct err *e;

	if (!s->wait_lost || !s->is_started)
		return;
	str_done(&s->wait_body);
	e = session_wait(s, s->id, s->wants_removed ? "removed" : "not-running");
	s->wait_lost = e && err_kind(e) == ERR_UNAVAILABLE;
	err_free(e);
}

/* ---- streams ---- */

static void read_stream(struct session *s)
{
	char data[16384];
	int to = HOSTEL_STDOUT;
	ssize_t n = s->is_tty || !s->is_framed
			? hostel_reply_read(s->stream, data, sizeof(data))
			: hostel_frame_read(s->stream, &to, data, sizeof(data));

	if (n <= 0) {
		s->stream_ended = true;
		return;
	}
	/* Who writes runs, though the word of it may come later on the other connection. */
	if (!s->is_started)
		started(s);
	err_free(fd_write_all(to == HOSTEL_STDERR ? 2 : 1, data, (size_t)n));
}

/* Return: false when the detach keys were typed. */
static bool read_stdin(struct session *s)
{
	unsigned char in[16384], out[16384 + KEYS_MAX];
	ssize_t n = read(0, in, sizeof(in));
	size_t len = 0;
	bool detach;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		s->stdin_ended = true;
		return true;
	}
	detach = keys_filter(&s->keys, in, (size_t)n, out, &len);
	str_add(&s->out, out, len);
	return !detach;
}

/* Never blocks: the process may not read before its output is read. */
static void write_stream(struct session *s)
{
	ssize_t n;

	if (s->out.len) {
		n = send(hostel_reply_fd(s->stream), s->out.buf, s->out.len,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			str_done(&s->out);
			s->stdin_ended = s->shut_done = true;
		}
		if (n > 0)
			str_drop(&s->out, (size_t)n);
	}
	if (!s->out.len && s->stdin_ended && !s->shut_done) {
		hostel_reply_shut(s->stream);
		s->shut_done = true;
	}
}

/* ---- signals ---- */

/* Return: false when the wait in the queue ends by it. */
static bool read_signal(struct session *s)
{
	struct signalfd_siginfo info;
	char number[16];

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGWINCH) {
		resize(s);
		return true;
	}
	if (!s->is_started && s->start) {
		s->signal = (int)info.ssi_signo;
		return false;
	}
	snprintf(number, sizeof(number), "%d", (int)info.ssi_signo);
	if (s->id)
		(void)!hostel_kill(s->c->h, s->id, number);
	else
		s->signal = (int)info.ssi_signo;
	return s->id != NULL;
}

/* ---- loop ---- */

enum { P_SIGNAL, P_STREAM, P_STDIN, P_START, P_WAIT, P_COUNT };

static bool wants_stdin(const struct session *s)
{
	return s->takes_stdin && s->stream && !s->stdin_ended && s->out.len < OUT_BYTES_MAX &&
	       (!s->is_tty || s->is_started);
}

static void set_polls(struct session *s, struct pollfd *p)
{
	bool has_stream = s->stream && !s->stream_ended;
	bool has_out = s->out.len || (s->stdin_ended && !s->shut_done);

	p[P_SIGNAL] = (struct pollfd) { .fd = s->signal_fd, .events = POLLIN };
	p[P_STREAM] = (struct pollfd) { .fd = has_stream ? hostel_reply_fd(s->stream) : -1,
					.events = (short)(POLLIN | (has_out ? POLLOUT : 0)) };
	p[P_STDIN] = (struct pollfd) { .fd = wants_stdin(s) ? 0 : -1, .events = POLLIN };
	p[P_START] =
	    (struct pollfd) { .fd = s->start ? hostel_reply_fd(s->start) : -1, .events = POLLIN };
	p[P_WAIT] =
	    (struct pollfd) { .fd = s->wait ? hostel_reply_fd(s->wait) : -1, .events = POLLIN };
}

static int next_timeout(const struct session *s)
{
	return s->reason.len || s->status >= 0 || s->wait_lost ? 100 : -1;
}

/* Wait for events; bytes that were read ahead are not seen by poll(2). */
static bool wait_events(struct session *s, struct pollfd *p)
{
	struct hostel_reply *const replies[P_COUNT] = {
		[P_STREAM] = s->stream_ended ? NULL : s->stream,
		[P_START] = s->start,
		[P_WAIT] = s->wait,
	};
	short pending[P_COUNT] = { 0 };
	int timeout = next_timeout(s);

	for (int i = 0; i < P_COUNT; i++)
		if (replies[i] && hostel_reply_pending(replies[i])) {
			pending[i] = POLLIN;
			timeout = 0;
		}
	if (poll(p, P_COUNT, timeout) < 0)
		return false;
	for (int i = 0; i < P_COUNT; i++)
		p[i].revents |= pending[i];
	return true;
}

static bool is_over(const struct session *s)
{
	bool no_stream = !s->stream || s->stream_ended;

	if (s->start_error)
		return true;
	if (s->start || s->wait)
		return false;
	return no_stream || (s->status >= 0 && clock_boot_ns() - s->ended_ns > GRACE_NS);
}

/* Handle what poll found. Return: SESSION_ENDED while it goes on. */
static enum session_end handle(struct session *s, const struct pollfd *p)
{
	if (p[P_START].revents && !read_start(s)) {
		hostel_reply_close(TAKE(s->start));
		if (!s->is_started)
			return SESSION_LOST;
	}
	if (p[P_STREAM].revents & POLLOUT)
		write_stream(s);
	if (p[P_STREAM].revents & (POLLIN | POLLHUP | POLLERR))
		read_stream(s);
	if (p[P_SIGNAL].revents && !read_signal(s))
		return SESSION_WITHDRAWN;
	if (p[P_STDIN].revents && !read_stdin(s))
		return SESSION_DETACHED;
	if (p[P_WAIT].revents)
		read_wait(s);
	show_reason(s);
	return SESSION_ENDED;
}

enum session_end session_run(struct session *s)
{
	enum session_end end = SESSION_ENDED;

	if (s->is_started)
		started(s);
	while (end == SESSION_ENDED && !is_over(s)) {
		struct pollfd p[P_COUNT];

		wait_again(s);
		set_polls(s, p);
		if (wait_events(s, p))
			end = handle(s, p);
	}
	clear_line(s);
	tty_restore(&s->tty);
	return end;
}
