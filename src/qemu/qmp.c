/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define LINE_MAX_BYTES (16u * 1024) /* a longer one is dropped */

struct command {
	struct command *next;
	void (*done)(void *arg, struct err *e, const char *text);
	void *arg;
};

struct qmp {
	struct poll_watch *watch;
	int fd;
	struct str in, out;
	struct command *first, **last;
	const struct qmp_ops *ops;
	void *arg;
	int version;
	bool is_dropping; /* inside a line that is too long */
	bool *freed;
};

/* The JSON string that starts after @key, as far as it fits, without its escapes. */
static void copy_string(const char *line, const char *key, char *to, size_t size)
{
	const char *p = strstr(line, key);
	size_t n = 0;

	for (p = p ? p + strlen(key) : ""; *p && *p != '"' && n + 1 < size; p++) {
		if (*p == '\\' && p[1])
			p++;
		to[n++] = *p;
	}
	to[n] = '\0';
}

static int number_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? atoi(at + strlen(key)) : 0;
}

/* What a query says of something that failed is more than its status. */
static void note_failure(const char *line, struct qmp_line *l)
{
	char why[sizeof(l->text) - 10];

	copy_string(line, "\"error-desc\": \"", why, sizeof(why));
	if (*why)
		snprintf(l->text, sizeof(l->text), "failed: %s", why);
}

struct qmp_line qmp_parse(const char *line)
{
	static const struct {
		const char *start;
		enum qmp_line_type type;
		const char *text; /* key whose string is of interest */
	} forms[] = {
		{ "{\"QMP\":", QMP_GREETING, NULL },
		{ "{\"return\":", QMP_RETURN, "\"status\": \"" },
		{ "{\"error\":", QMP_ERROR, "\"desc\": \"" },
		{ "{\"timestamp\":", QMP_EVENT, "\"event\": \"" },
	};
	struct qmp_line l = { .type = QMP_OTHER };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (strncmp(line, forms[i].start, strlen(forms[i].start)) != 0)
			continue;
		l.type = forms[i].type;
		if (forms[i].text)
			copy_string(line, forms[i].text, l.text, sizeof(l.text));
	}
	if (l.type == QMP_RETURN)
		note_failure(line, &l);
	if (l.type == QMP_GREETING)
		l.version =
		    1000 * number_after(line, "\"major\": ") + number_after(line, "\"minor\": ");
	return l;
}

static void flush(struct qmp *q)
{
	ssize_t n = q->out.len ? write(q->fd, q->out.buf, q->out.len) : 0;

	if (n > 0)
		str_drop(&q->out, (size_t)n);
	poll_watch_set(q->watch, (short)(POLLIN | (q->out.len ? POLLOUT : 0)));
}

static void expect(struct qmp *q, void (*done)(void *arg, struct err *e, const char *text),
		   void *arg)
{
	struct command *c = xnew(struct command);

	*c = (struct command) { .done = done, .arg = arg };
	*q->last = c;
	q->last = &c->next;
}

static void answered(struct qmp *q, const struct qmp_line *l)
{
	struct command *c = q->first;
	struct err *e = l->type == QMP_ERROR ? err_new(ERR_UNAVAILABLE, "qemu: %s", l->text) : NULL;

	if (!c) {
		err_free(e);
		return;
	}
	q->first = c->next;
	if (!q->first)
		q->last = &q->first;
	if (c->done)
		c->done(c->arg, e, l->text);
	else
		err_free(e);
	free(c);
}

static void on_capabilities(void *arg, struct err *e, const char *text)
{
	struct qmp *q = arg;

	err_free(e);
	q->ops->ready(q->arg);
}

static void on_line(struct qmp *q, const char *line)
{
	struct qmp_line l = qmp_parse(line);

	if (l.type == QMP_GREETING)
		q->version = l.version;
	if (l.type == QMP_GREETING)
		qmp_command(q, "qmp_capabilities", on_capabilities, q);
	else if (l.type == QMP_RETURN || l.type == QMP_ERROR)
		answered(q, &l);
	else if (l.type == QMP_EVENT)
		q->ops->event(q->arg, l.text);
}

static void split_lines(struct qmp *q)
{
	bool freed = false;
	char *end;

	q->freed = &freed;
	while (q->in.len && (end = memchr(q->in.buf, '\n', q->in.len))) {
		size_t len = (size_t)(end - q->in.buf) + 1;

		*end = '\0';
		if (!q->is_dropping)
			on_line(q, q->in.buf);
		if (freed)
			return;
		q->is_dropping = false;
		str_drop(&q->in, len);
	}
	q->freed = NULL;
	if (q->in.len > LINE_MAX_BYTES) {
		q->is_dropping = true;
		str_done(&q->in);
	}
}

static void on_monitor(void *arg, short revents)
{
	struct qmp *q = arg;
	char buf[1024];
	ssize_t n;

	if (revents & POLLOUT)
		flush(q);
	if (!(revents & ~POLLOUT))
		return;
	n = read(q->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		poll_watch_set(q->watch, 0); /* its end is seen by its pidfd */
		return;
	}
	str_add(&q->in, buf, (size_t)n);
	split_lines(q);
}

struct qmp *qmp_new(struct poller *poller, int fd, const struct qmp_ops *ops, void *arg)
{
	struct qmp *q = xnew(struct qmp);

	q->fd = fd;
	q->ops = ops;
	q->arg = arg;
	q->last = &q->first;
	fd_set_nonblock(fd, 1);
	q->watch = poll_watch_new(poller, fd, POLLIN, on_monitor, q);
	return q;
}

void qmp_free(struct qmp *q)
{
	struct command *next;

	if (!q)
		return;
	if (q->freed)
		*q->freed = true;
	for (struct command *c = q->first; c; c = next) {
		next = c->next;
		free(c);
	}
	poll_watch_free(q->watch);
	str_done(&q->in);
	str_done(&q->out);
	close(q->fd);
	free(q);
}

void qmp_command(struct qmp *q, const char *name,
		 void (*done)(void *arg, struct err *e, const char *text), void *arg)
{
	qmp_execute(q, name, NULL, done, arg);
}

void qmp_execute(struct qmp *q, const char *name, const char *arguments,
		 void (*done)(void *arg, struct err *e, const char *text), void *arg)
{
	expect(q, done, arg);
	str_addf(&q->out, "{\"execute\":\"%s\"%s%s}\n", name, arguments ? ",\"arguments\":" : "",
		 arguments ? arguments : "");
	flush(q);
}

struct err *qmp_pass_fd(struct qmp *q, const char *name, int fd,
			void (*done)(void *arg, struct err *e, const char *text), void *arg)
{
	char text[128];

	flush(q);
	if (q->out.len)
		return err_new(ERR_UNAVAILABLE, "qemu takes no commands");
	snprintf(text, sizeof(text), "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"%s\"}}\n",
		 name);
	TRY(sock_send_msg(q->fd, text, strlen(text), &fd, 1));
	expect(q, done, arg);
	return NULL;
}

int qmp_version(const struct qmp *q)
{
	return q->version;
}
