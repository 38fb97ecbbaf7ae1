/* SPDX-License-Identifier: Apache-2.0 */
/* A hostel-migrate: started with a job, then lines both ways. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/migrate_int.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define LINE_MAX_BYTES (2 << 20)
#define CRASH_CODE     137
#define ORDERS_BYTES   (1 << 20) /* of the pipe: it takes what we say while it sends a tree */

struct carrier {
	struct engine *e;
	struct carrier_user user;
	pid_t pid;
	struct loop_child *child;
	int out, orders; /* -1: closed */
	struct loop_watch *watch;
	struct str line;
	struct err *err; /* what it said */
	bool is_done, has_ended;
	int code;
};

void carrier_free(struct carrier *c)
{
	if (!c)
		return;
	if (c->child)
		kill(c->pid, SIGKILL); /* not reaped yet: the pid is ours */
	loop_watch_free(c->watch);
	loop_child_free(c->child);
	if (c->out >= 0)
		close(c->out);
	if (c->orders >= 0)
		close(c->orders);
	str_done(&c->line);
	err_free(c->err);
	free(c);
}

static void end(struct carrier *c)
{
	struct err *err = TAKE(c->err);

	if (c->code == CRASH_CODE) /* a test's, once */
		c->e->carrier_crash = NULL;
	if (!err && !c->is_done)
		err = err_new(ERR_UNAVAILABLE, "hostel-migrate died (status %d)", c->code);
	c->user.ended(c->user.arg, err);
}

static void take_line(struct carrier *c, const char *text, size_t len)
{
	OWN(json) json_t *m = NULL;
	OWN(err) struct err *err = jx_parse(text, len, &m);
	const json_t *error = json_object_get(m, "error");

	if (err) {
		log_warn("hostel-migrate: %s", err_text(err));
	} else if (error) {
		err_free(c->err);
		c->err = err_new(err_kind_parse(jx_str(error, "kind", "")), "%s",
				 jx_str(error, "text", "it failed"));
	} else if (json_object_get(m, "done")) {
		c->is_done = true;
	} else {
		c->user.line(c->user.arg, m);
	}
}

static void on_out(void *arg, int events)
{
	struct carrier *c = arg;
	char buf[16384], *nl;
	ssize_t n = read(c->out, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		str_add(&c->line, buf, (size_t)n);
	/* One line a turn: what follows from it may end this carrier. */
	nl = c->line.len ? memchr(c->line.buf, '\n', c->line.len) : NULL;
	while (nl) {
		OWN(mem) char *text = xstrndup(c->line.buf, (size_t)(nl - c->line.buf));

		str_drop(&c->line, strlen(text) + 1);
		take_line(c, text, strlen(text));
		nl = c->line.len ? memchr(c->line.buf, '\n', c->line.len) : NULL;
	}
	if (n > 0 && c->line.len < LINE_MAX_BYTES)
		return;
	loop_watch_free(TAKE(c->watch));
	close(TAKE_FD(c->out));
	if (c->has_ended)
		end(c);
}

static void on_end(void *arg, int code)
{
	struct carrier *c = arg;

	c->has_ended = true;
	c->code = code;
	loop_child_free(TAKE(c->child));
	if (c->out < 0)
		end(c); /* else what it said last is still in the pipe */
}

static struct err *spawn(struct carrier *c, const json_t *job, int connection)
{
	OWN(fd) int file = -1;
	OWN(fd) int out = -1;
	OWN(fd) int orders = -1;
	OWN(mem) char *path = xasprintf("%s/hostel-migrate", c->e->c.libexec);
	char *argv[] = { path, NULL };
	int pidfd;

	TRY(job_file(job, &file));
	TRY(fd_pipe(&c->out, &out));
	TRY(fd_pipe(&orders, &c->orders));
	fcntl(c->orders, F_SETPIPE_SZ, ORDERS_BYTES);
	TRY_MSG(spawn_program(&(struct spawn) { .path = path,
						.argv = argv,
						.fds = (int[]) { file, out, STDERR_FILENO, orders,
								 connection },
						.n_fds = connection >= 0 ? 5 : 4,
						.keep_parent_signal = SIGKILL,
						.new_session = 1 },
			      &c->pid, &pidfd),
		"hostel-migrate");
	TRY(loop_child_new(c->e->loop, pidfd, on_end, c, &c->child));
	fd_set_nonblock(c->out, 1);
	fd_set_nonblock(c->orders, 1);
	return loop_watch_new(c->e->loop, c->out, LOOP_READ, on_out, c, &c->watch);
}

struct err *carrier_start(struct engine *e, json_t *job, int connection,
			  const struct carrier_user *user, struct carrier **ret)
{
	OWN(json) json_t *own = job;
	OWN(fd) int fd = connection;
	struct carrier *c = xnew(struct carrier);
	struct err *err;

	c->e = e;
	c->user = *user;
	c->out = c->orders = -1;
	json_object_set_new(own, "root", json_string(e->c.root));
	if (e->carrier_crash)
		json_object_set_new(own, "crash_at", json_string(e->carrier_crash));
	err = spawn(c, own, fd);
	if (err)
		carrier_free(c);
	else
		*ret = c;
	return err;
}

void carrier_order(struct carrier *c, json_t *order)
{
	OWN(json) json_t *own = order;
	OWN(mem) char *text = jx_text(own);
	OWN(mem) char *full = xasprintf("%s\n", text);
	ssize_t n = c->orders < 0 ? -1 : write(c->orders, full, strlen(full));

	/* A part of a line cannot be taken back: it hears no more, and ends. */
	if (n != (ssize_t)strlen(full) && c->orders >= 0)
		close(TAKE_FD(c->orders));
}

void carrier_say(struct carrier *c, json_t *msg)
{
	carrier_order(c, json_pack("{s:o}", "say", msg));
}
