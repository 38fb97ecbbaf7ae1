/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/carry.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json/json.h"
#include "migrate/jail.h"
#include "migrate/trees.h"
#include "tls/identity.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define JOB_MAX      (4u << 20)
#define LINE_MAX_    (4u << 20)
#define HANDSHAKE_MS 15000
#define PROGRESS_NS  (200 * INT64_C(1000000))
#define LINGER_MS    2000
#define CRASH_CODE   137

struct carrier {
	const struct carry_fds *fds;
	json_t *job;
	bool is_sender;
	struct link link;
	int root_fd;
	struct str control; /* not yet looked at */
	json_t *expect;     /* names of trees that may come */
	const char *crash_at;
	bool is_over; /* the daemon said so */
	/* of the tree on its way */
	const char *tree;
	int64_t total, told_ns;
};

static void own_carrier_release(struct carrier *c)
{
	link_done(&c->link);
	own_fd_release(&c->root_fd);
	str_done(&c->control);
	json_decref(c->expect);
	json_decref(c->job);
}

/* Tests ask for it: die here, as by kill -9. */
static void crash_point(const struct carrier *c, const char *what, const char *word)
{
	OWN(mem) char *name = xasprintf("%s%s%s", what, *word ? "-" : "", word);

	if (streq(c->crash_at, name))
		_exit(CRASH_CODE);
}

/* ---- lines for the daemon ---- */

/* Consumes @line.  A daemon that is gone hears nothing; its successor begins anew. */
static void put_line(const struct carrier *c, json_t *line)
{
	OWN(json) json_t *own = line;
	OWN(mem) char *text = jx_text(own);
	OWN(mem) char *full = xasprintf("%s\n", text);

	err_free(fd_write_all(c->fds->out, full, strlen(full)));
}

static const char *const kinds[ERR_KINDS] = {
	[ERR_INVALID] = "INVALID",         [ERR_NOT_FOUND] = "NOT_FOUND",
	[ERR_EXISTS] = "EXISTS",           [ERR_STATE] = "STATE",
	[ERR_DENIED] = "DENIED",           [ERR_LIMIT] = "LIMIT",
	[ERR_UNAVAILABLE] = "UNAVAILABLE", [ERR_UNSUPPORTED] = "UNSUPPORTED",
	[ERR_CORRUPT] = "CORRUPT",         [ERR_INTERNAL] = "INTERNAL",
};

static json_t *error_json(const struct err *e)
{
	json_t *j = json_object();

	jx_set_str(j, "kind", kinds[err_kind(e)]);
	jx_set_str(j, "text", err_text(e));
	return json_pack("{s:o}", "error", j);
}

static void put_progress(struct carrier *c, int64_t bytes)
{
	put_line(c, json_pack("{s:{s:s, s:s, s:I, s:I}}", "progress", "id", c->tree, "status",
			      c->is_sender ? "Sending" : "Receiving", "current", (json_int_t)bytes,
			      "total", (json_int_t)c->total));
}

/* ---- what the other side says ---- */

static struct err *other_failed(const json_t *error)
{
	const char *kind = jx_str(error, "kind", "");
	enum err_kind k = 0;

	while (k < ERR_INTERNAL && !streq(kinds[k], kind))
		k++;
	return err_new(k, "the other side: %.512s", jx_str(error, "text", "failed"));
}

static struct err *take_tree(struct carrier *c, const char *name);

static struct err *take_message(struct carrier *c, const json_t *m)
{
	const json_t *error = json_object_get(m, "error"), *msg = json_object_get(m, "msg");
	const char *tree = jx_str(m, "tree", NULL);

	if (error)
		return other_failed(error);
	if (tree)
		return take_tree(c, tree);
	if (!json_is_object(msg))
		return err_new(ERR_CORRUPT, "the other side says what makes no sense");
	crash_point(c, "heard", jx_str(msg, "say", ""));
	put_line(c, json_pack("{s:O}", "heard", msg));
	return NULL;
}

static struct err *hear_one(struct carrier *c)
{
	OWN(str) struct str text = { 0 };
	OWN(json) json_t *m = NULL;

	TRY(link_hear(&c->link, &text));
	if (jx_parse(text.buf, text.len, &m) != NULL)
		return err_new(ERR_CORRUPT, "the other side says what makes no sense");
	return take_message(c, m);
}

/* ---- trees ---- */

static struct err *on_bytes(void *arg, int64_t bytes)
{
	struct carrier *c = arg;
	int64_t now = clock_boot_ns();

	crash_point(c, "half", c->tree);
	if (now - c->told_ns < PROGRESS_NS)
		return NULL;
	c->told_ns = now;
	put_progress(c, bytes);
	/* Who cannot take any more says so while we send. */
	return c->is_sender && link_has_input(&c->link) ? hear_one(c) : NULL;
}

static struct err *take_tree(struct carrier *c, const char *name)
{
	int64_t bytes = 0;

	if (c->is_sender || !json_object_get(c->expect, name))
		return err_new(ERR_CORRUPT, "the other side sends data that nobody asked for");
	c->tree = name;
	c->total = 0;
	TRY(tree_receive(&c->link, c->root_fd, name, (struct tree_watch) { on_bytes, c }, &bytes));
	json_object_del(c->expect, name);
	crash_point(c, "got", name);
	put_line(c, json_pack("{s:{s:s, s:I}}", "got", "tree", name, "bytes", (json_int_t)bytes));
	return NULL;
}

static struct err *send_tree(struct carrier *c, const json_t *order)
{
	int64_t bytes = 0;

	c->tree = jx_str(order, "send", "");
	c->total = jx_int(order, "total", 0);
	TRY(tree_send(&c->link, c->root_fd, c->tree, json_object_get(order, "files"),
		      (struct tree_watch) { on_bytes, c }, &bytes));
	crash_point(c, "sent", c->tree);
	put_line(c,
		 json_pack("{s:{s:s, s:I}}", "sent", "tree", c->tree, "bytes", (json_int_t)bytes));
	return NULL;
}

/* ---- what the daemon says ---- */

static struct err *obey(struct carrier *c, const json_t *order)
{
	json_t *msg = json_object_get(order, "say"), *expect = json_object_get(order, "expect");

	if (msg) {
		OWN(json) json_t *j = json_pack("{s:O}", "msg", msg);

		crash_point(c, "say", jx_str(msg, "say", ""));
		TRY(link_say(&c->link, j));
		crash_point(c, "said", jx_str(msg, "say", ""));
	}
	if (expect) {
		json_decref(c->expect);
		c->expect = json_incref(expect);
	}
	if (json_object_get(order, "send"))
		TRY(send_tree(c, order));
	c->is_over |= jx_bool(order, "end", false);
	return NULL;
}

static struct err *obey_lines(struct carrier *c)
{
	char *end;

	while (!c->is_over && c->control.len &&
	       (end = memchr(c->control.buf, '\n', c->control.len))) {
		OWN(json) json_t *order = NULL;
		size_t n = (size_t)(end - c->control.buf);

		TRY(jx_parse(c->control.buf, n, &order));
		str_drop(&c->control, n + 1);
		TRY(obey(c, order));
	}
	return NULL;
}

static struct err *read_control(struct carrier *c)
{
	char buf[16384];
	ssize_t n = read(c->fds->control, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return NULL;
	if (n <= 0 || c->control.len > LINE_MAX_)
		return err_new(ERR_UNAVAILABLE, "hosteld is gone");
	str_add(&c->control, buf, (size_t)n);
	return obey_lines(c);
}

static struct err *talk(struct carrier *c)
{
	while (!c->is_over) {
		struct pollfd p[] = { { .fd = c->link.fd, .events = POLLIN },
				      { .fd = c->fds->control, .events = POLLIN } };

		if (c->link.tls && tls_session_pending(c->link.tls)) {
			TRY(hear_one(c));
			continue;
		}
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(errno, "poll");
		if (p[0].revents)
			TRY(hear_one(c));
		if (p[1].revents)
			TRY(read_control(c));
	}
	return NULL;
}

/* ---- beginning ---- */

static struct err *open_link(struct carrier *c, bool *ret_tls)
{
	OWN(peer) struct peer to = { 0 };

	if (!c->is_sender) {
		*ret_tls = jx_bool(c->job, "tls", true);
		return link_accepted(&c->link, c->fds->connection, !*ret_tls);
	}
	TRY(peer_parse(jx_str(c->job, "to", ""), &to));
	*ret_tls = to.kind == PEER_TLS;
	return link_connect(&c->link, &to);
}

static struct err *enter_jail(struct carrier *c)
{
	if (c->is_sender)
		return migrate_jail_reader(jx_str(c->job, "root", ""),
					   json_object_get(c->job, "trees"), &c->root_fd);
	umask(0);
	return migrate_jail_writer(jx_str(c->job, "folder", ""), &c->root_fd);
}

static struct err *shake_hands(struct carrier *c, const struct identity *id)
{
	OWN(strv) struct strv peers = { 0 };

	jx_strv(c->job, "peers", &peers);
	return tls_session_open(&(struct tls_setup) { .fd = c->link.fd,
						      .is_server = !c->is_sender,
						      .certificate = id->certificate,
						      .key = id->key,
						      .peers = &peers,
						      .handshake_ms = HANDSHAKE_MS },
				&c->link.tls);
}

static struct err *say_hello(struct carrier *c)
{
	OWN(json) json_t *hello = peer_hello();
	OWN(str) struct str text = { 0 };
	int64_t version = jx_int(c->job, "version", PEER_VERSION); /* tests: an older one */

	json_object_set_new(hello, "hostel_migrate", json_integer(version));
	crash_point(c, "hello", "");
	TRY(link_say(&c->link, hello));
	TRY(link_hear(&c->link, &text));
	TRY(peer_check_hello(text.buf, text.len));
	if (version != PEER_VERSION) {
		OWN(mem) char *own = jx_text(hello);

		TRY(peer_check_hello(own, strlen(own)));
	}
	put_line(c, json_pack("{s:{s:s?}}", "linked", "peer",
			      c->link.tls ? tls_session_peer(c->link.tls) : NULL));
	crash_point(c, "linked", "");
	return NULL;
}

static struct err *run(struct carrier *c)
{
	OWN(identity) struct identity id = { 0 };
	bool wants_tls = false;

	TRY(jx_read(c->fds->job, JOB_MAX, "job", &c->job));
	c->is_sender = streq(jx_str(c->job, "job", ""), "send");
	c->crash_at = jx_str(c->job, "crash_at", NULL);
	c->link.rate = jx_int(c->job, "bandwidth", 0);
	TRY(open_link(c, &wants_tls));
	if (wants_tls) {
		OWN(mem) char *dir = xasprintf("%s/tls", jx_str(c->job, "root", ""));

		TRY(identity_open(dir, "hostel", &id));
	}
	TRY(enter_jail(c));
	/* From here on bytes of the other side are looked at. */
	if (wants_tls)
		TRY(shake_hands(c, &id));
	TRY(say_hello(c));
	return talk(c);
}

/* ---- end ---- */

/* The other side is told why, and heard out, or closing might take our words back. */
static void tell_other(struct carrier *c, const struct err *e)
{
	OWN(json) json_t *j = error_json(e);
	struct source in = link_source(&c->link);
	int64_t end = clock_boot_ns() + LINGER_MS * INT64_C(1000000);
	char buf[4096];
	size_t n = 1;

	err_free(link_say(&c->link, j));
	shutdown(c->link.fd, SHUT_WR);
	while (n && clock_boot_ns() < end) {
		struct pollfd p = { .fd = c->link.fd, .events = POLLIN };
		OWN(err) struct err *cut = NULL;

		if (poll(&p, 1, LINGER_MS) <= 0)
			return;
		cut = in.read(in.arg, buf, sizeof(buf), &n);
		if (cut)
			return;
	}
}

int carry_run(const struct carry_fds *fds)
{
	OWN(carrier) struct carrier c = { .fds = fds, .link = { .fd = -1 }, .root_fd = -1 };
	OWN(err) struct err *e = run(&c);

	if (!e) {
		if (c.link.tls)
			tls_session_bye(c.link.tls);
		put_line(&c, json_pack("{s:{}}", "done"));
		return 0;
	}
	log_debug("failed in %s", err_trace(e));
	put_line(&c, error_json(e));
	if (c.link.fd >= 0 && c.root_fd >= 0 && err_kind(e) != ERR_UNAVAILABLE)
		tell_other(&c, e);
	return 1;
}
