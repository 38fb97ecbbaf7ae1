/* SPDX-License-Identifier: Apache-2.0 */
/* Clients' sockets: parked until the start, then handed to the shim. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/keys.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define CTRL_C 3

static void parked_free(struct instance *i, struct parked *p)
{
	TAILQ_REMOVE(&i->parked, p, link);
	if (p->fd >= 0)
		close(p->fd);
	free(p->pre);
	free(p);
}

void streams_close(struct instance *i)
{
	while (!TAILQ_EMPTY(&i->parked))
		parked_free(i, TAILQ_FIRST(&i->parked));
}

static struct err *attach_how(const struct instance *i, const struct engine_attach *a,
			      struct shim_attach *ret)
{
	int n = keys_parse(a->detach_keys, ret->keys, sizeof(ret->keys));

	if (n < 0)
		return err_new(ERR_INVALID, "invalid detach keys (%.64s) provided", a->detach_keys);
	ret->keys_len = (uint32_t)n;
	ret->streams = a->streams | (i->spec->tty ? SHIM_RAW : 0);
	return NULL;
}

static void on_attached(void *arg, struct err *err, const char *text)
{
	if (err)
		log_warn("attach: %s", err_text(err));
	err_free(err);
}

static void park(struct instance *i, int fd, const struct shim_attach *how,
		 const struct engine_attach *a)
{
	struct parked *p = xnew(struct parked);

	p->fd = fd;
	p->streams = a->streams;
	p->how = *how;
	p->pre = a->pre_len ? xcalloc(1, a->pre_len) : NULL;
	p->pre_len = a->pre_len;
	if (a->pre_len)
		memcpy(p->pre, a->pre, a->pre_len);
	TAILQ_INSERT_TAIL(&i->parked, p, link);
}

struct err *engine_attach(struct engine *e, struct instance *i, const struct engine_attach *a)
{
	OWN(fd) int fd = a->fd;
	struct shim_attach how = { 0 };

	TRY(attach_how(i, a, &how));
	instance_emit(i, "attach", NULL);
	if (i->conn && i->is_started_sent && instance_is_alive(i))
		shim_conn_attach(i->conn, &how,
				 &(struct shim_client) { TAKE_FD(fd), a->pre, a->pre_len },
				 (struct shim_done) { on_attached, NULL });
	else
		park(i, TAKE_FD(fd), &how, a);
	return NULL;
}

void streams_hand_over(struct instance *i)
{
	struct parked *p;

	if (i->rows || i->cols)
		shim_conn_resize(i->conn, NULL, i->rows, i->cols,
				 (struct shim_done) { NULL, NULL });
	while ((p = TAILQ_FIRST(&i->parked))) {
		shim_conn_attach(i->conn, &p->how,
				 &(struct shim_client) { TAKE_FD(p->fd), p->pre, p->pre_len },
				 (struct shim_done) { on_attached, NULL });
		parked_free(i, p);
	}
}

/* ---- while the start waits ---- */

static void tell_one(struct parked *p, const char *text, bool is_tty)
{
	OWN(mem) char *line = xasprintf(is_tty ? "\r\n%s\r\n" : "%s\n", text);
	size_t n = strlen(line);
	unsigned char head[8] = { 2, 0, 0, 0 };
	OWN(str) struct str out = { 0 };

	/* Docker's frame: stream, three zeros, length in network order. */
	for (int b = 0; b < 4; b++)
		head[4 + b] = (unsigned char)(n >> (24 - 8 * b));
	if (!is_tty)
		str_add(&out, head, sizeof(head));
	str_add(&out, line, n);
	/* A client that does not read misses a line, no more. */
	if (send(p->fd, out.buf, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("parked: %s", strerror(errno));
}

void streams_tell(struct instance *i, const char *text)
{
	struct parked *p;

	if (streq(i->told, text))
		return;
	str_set(&i->told, text);
	TAILQ_FOREACH(p, &i->parked, link)
	if (i->spec->tty || p->streams & SHIM_STDERR)
		tell_one(p, text, i->spec->tty);
}

/* One that only sends no more is still there to be told and shown. */
static bool is_gone(int fd)
{
	struct pollfd f = { .fd = fd };

	return poll(&f, 1, 0) > 0 && f.revents & (POLLHUP | POLLERR);
}

bool streams_parked(struct instance *i)
{
	struct parked *p, *next;

	for (p = TAILQ_FIRST(&i->parked); p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (is_gone(p->fd))
			parked_free(i, p);
	}
	return !TAILQ_EMPTY(&i->parked);
}

/* Ctrl-C on a parked terminal. */
bool streams_withdrawn(struct instance *i)
{
	struct parked *p;
	char buf[256];

	TAILQ_FOREACH(p, &i->parked, link)
	{
		ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);

		if (i->spec->tty && n > 0 && memchr(buf, CTRL_C, (size_t)n))
			return true;
	}
	return false;
}

/* ---- size ---- */

static void on_resized(void *arg, struct err *err, const char *text)
{
	err_free(err); /* a terminal that is gone has no size */
}

struct err *engine_resize(struct engine *e, struct instance *i, const char *exec_id, int rows,
			  int cols)
{
	if (rows < 0 || cols < 0 || rows > UINT16_MAX || cols > UINT16_MAX)
		return err_new(ERR_INVALID, "bad terminal size %dx%d", rows, cols);
	i->rows = (unsigned short)rows;
	i->cols = (unsigned short)cols;
	if (i->conn && i->is_started_sent)
		shim_conn_resize(i->conn, exec_id, i->rows, i->cols,
				 (struct shim_done) { on_resized, NULL });
	else if (!instance_is_waiting(i) && i->state != INST_STARTING)
		return err_new(ERR_STATE, "container %s is not running", i->id);
	return NULL;
}
