/* SPDX-License-Identifier: Apache-2.0 */
#include "files/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar/stream.h"
#include "util/fd.h"
#include "util/mem.h"

static struct err *put_text(const struct tar_sink *out, const json_t *doc)
{
	OWN(mem) char *text = jx_text(doc);
	size_t n = strlen(text);

	if (n > TAR_RECORD_MAX)
		return err_new(ERR_LIMIT, "a list of %zu bytes is too long", n);
	return tar_stream_put(out, TAR_TEXT, text, n);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* ---- the answering end ---- */

struct serving {
	const struct files_server *s;
	json_t *request;
	struct files_of of;
	struct tar_sink out;
	int in;
};

/* After its question, the asking end says nothing while it is sent a tree: it went. */
static struct err *write_while_wanted(void *arg, const void *data, size_t n)
{
	struct serving *v = arg;

	if (is_readable(v->in))
		return err_new(ERR_UNAVAILABLE, "nobody wants it any more");
	return fd_write_all(v->s->out, data, n);
}

static struct err *serve_stat(struct serving *v, json_t **ret)
{
	json_t *stat;

	TRY(v->s->enter(v->s->arg, false, false));
	TRY(files_stat(&v->of, &stat));
	*ret = json_pack("{s: o}", "stat", stat);
	return NULL;
}

static struct err *serve_get(struct serving *v, json_t **ret)
{
	OWN(tar_writer)
	struct tar_writer *w = tar_stream_writer_new((struct tar_sink) { write_while_wanted, v });
	OWN(json) json_t *stat = NULL;

	TRY(serve_stat(v, &stat));
	TRY(put_text(&v->out, stat));
	return files_get(&v->of, w);
}

static struct err *serve_export(struct serving *v, json_t **ret)
{
	OWN(tar_writer)
	struct tar_writer *w = tar_stream_writer_new((struct tar_sink) { write_while_wanted, v });

	TRY(v->s->enter(v->s->arg, false, true));
	return files_export(w);
}

static struct err *serve_put(struct serving *v, json_t **ret)
{
	OWN(tar_reader) struct tar_reader *r = tar_stream_reader_new(source_fd(&v->in));
	OWN(fd) int dir_fd = -1;
	struct tar_extract x = { .same_owner = true,
				 .keep_kind = jx_bool(v->request, "keep_kind", false) };
	struct err *e;

	TRY(v->s->enter(v->s->arg, true, false));
	TRY(files_put_place(&v->of, &dir_fd));
	x.root_fd = dir_fd;
	umask(0);
	e = tar_extract_from(&x, r, NULL);
	if (v->s->settle)
		v->s->settle(v->s->arg);
	return e;
}

static struct err *serve_diff(struct serving *v, json_t **ret)
{
	OWN(fd) int lower = -1;
	OWN(fd) int upper = -1;
	json_t *changes;

	TRY(v->s->layers(v->s->arg, &lower, &upper));
	TRY(files_diff(lower, TAKE_FD(upper), json_object_get(v->request, "mounts"), &changes));
	*ret = json_pack("{s: o}", "changes", changes);
	return NULL;
}

static struct err *serve(struct serving *v, json_t **ret)
{
	static const struct {
		const char *op;
		struct err *(*fn)(struct serving *v, json_t **ret);
	} ops[] = { { "stat", serve_stat },
		    { "get", serve_get },
		    { "export", serve_export },
		    { "put", serve_put },
		    { "diff", serve_diff } };
	const char *op = jx_str(v->request, "op", "");

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (streq(ops[i].op, op))
			return ops[i].fn(v, ret);
	return err_new(ERR_UNSUPPORTED, "hostel-guest does not know the operation \"%s\"", op);
}

static struct err *read_request(int *in, json_t **ret)
{
	OWN(str) struct str body = { 0 };
	unsigned kind;

	TRY(tar_stream_get(source_fd(in), &kind, &body));
	if (kind != TAR_TEXT)
		return err_new(ERR_INVALID, "no request");
	return jx_parse(body.buf, body.len, ret);
}

void files_serve(const struct files_server *s)
{
	OWN(json) json_t *request = NULL;
	OWN(json) json_t *result = NULL;
	OWN(json) json_t *answer = NULL;
	OWN(err) struct err *e = NULL;
	OWN(fd) int proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct serving v = { .s = s, .in = s->in };
	int out = s->out;

	v.out = tar_sink_fd(&out);
	e = read_request(&v.in, &request);
	if (!e) {
		v.request = request;
		v.of = (struct files_of) { .path = jx_str(request, "path", "/"),
					   .name = jx_str(request, "name", ""),
					   .proc_fd = proc_fd };
		e = serve(&v, &result);
	}
	answer =
	    e ? json_pack("{s:{s:i, s:s}}", "error", "kind", (int)err_kind(e), "text", err_text(e))
	      : json_pack("{s: O}", "done", result ? result : json_null());
	err_free(put_text(&v.out, answer));
	err_free(source_drain(source_fd(&v.in)));
}

/* ---- the asking end ---- */

static bool is_gone(const struct err *e)
{
	return e && (err_errno(e) == EPIPE || err_errno(e) == ECONNRESET);
}

static struct err *ended(void)
{
	return err_new(ERR_UNAVAILABLE, "the VM ended while its files were looked at");
}

static struct err *guest_error(const json_t *error)
{
	int64_t kind = jx_int(error, "kind", ERR_INTERNAL);

	return err_new(kind >= 0 && kind < ERR_KINDS ? (enum err_kind)kind : ERR_INTERNAL,
		       "%.1000s", jx_str(error, "text", "hostel-guest failed"));
}

/* @ret: "done" or "stat" of it, whichever @key says; new reference */
static struct err *parse_answer(const char *text, size_t len, const char *key, json_t **ret)
{
	OWN(json) json_t *doc = NULL;
	const json_t *error;

	TRY(jx_parse(text, len, &doc));
	error = json_object_get(doc, "error");
	if (error)
		return guest_error(error);
	*ret = json_incref(json_object_get(doc, key));
	return *ret ? NULL : err_new(ERR_CORRUPT, "hostel-guest gave no \"%s\"", key);
}

static struct err *read_answer(const struct files_client *c, const char *key, json_t **ret)
{
	OWN(str) struct str body = { 0 };
	int fd = c->fd;
	struct err *e;
	unsigned kind;

	e = tar_stream_get(source_fd(&fd), &kind, &body);
	if (is_gone(e) || (!e && !kind)) {
		err_free(e);
		return ended();
	}
	TRY(e);
	if (kind != TAR_TEXT)
		return err_new(ERR_CORRUPT, "hostel-guest did not answer the question");
	return parse_answer(body.buf, body.len, key, ret);
}

static bool has_bad_part(const char *name)
{
	while (*name) {
		size_t n = strcspn(name, "/");

		if (!n || (n == 1 && *name == '.') || (n == 2 && !memcmp(name, "..", 2)))
			return true;
		name += n;
		name += *name == '/';
	}
	return false;
}

struct err *files_check_name(const char *base, const char *name)
{
	size_t n = strlen(base);
	bool is_root = streq(base, "/");
	const char *rest = name + n;

	if (strncmp(name, base, n) != 0)
		return err_new(ERR_CORRUPT, "hostel-guest sent \"%.200s\" for \"%s\"", name, base);
	if (n && !is_root && *rest)
		rest = *rest == '/' ? rest + 1 : "..";
	if (has_bad_part(rest))
		return err_new(ERR_CORRUPT, "hostel-guest sent a file named \"%.200s\"", name);
	return NULL;
}

static struct err *check_entry(void *arg, const struct tar_entry *e)
{
	TRY(files_check_name(arg, e->name));
	return e->type == TAR_HARDLINK ? files_check_name(arg, e->link) : NULL;
}

/* The reader met words instead of a tree: the guest's error. */
static struct err *relay_error(const struct tar_reader *r, struct err *e)
{
	size_t len = 0;
	const char *text = tar_stream_text(r, &len);
	json_t *none = NULL;

	if (!text)
		return e;
	err_free(e);
	TRY(parse_answer(text, len, "error", &none));
	json_decref(none);
	return err_new(ERR_CORRUPT, "hostel-guest ended a tree with words");
}

static struct err *take_tree(const struct files_client *c, char *base)
{
	int fd = c->fd;
	OWN(tar_reader) struct tar_reader *r = tar_stream_reader_new(source_fd(&fd));
	OWN(tar_writer) struct tar_writer *w = NULL;
	struct err *e;

	TRY(c->writer(c->out, &w));
	e = tar_relay(r, w, check_entry, base);
	if (e)
		return relay_error(r, e);
	return tar_writer_finish(w);
}

#define ANSWERED "hostel-guest answered early"

/* It answers before the end only if something is wrong. */
static struct err *write_unanswered(void *arg, const void *data, size_t n)
{
	const int *fd = arg;
	struct err *e = is_readable(*fd) ? NULL : fd_write_all(*fd, data, n);

	if (!is_readable(*fd) && !is_gone(e))
		return e;
	err_free(e);
	return err_new(ERR_EXISTS, ANSWERED); /* or gone: reading tells which */
}

static struct err *give_tree(const struct files_client *c)
{
	int fd = c->fd;
	OWN(tar_writer)
	struct tar_writer *w = tar_stream_writer_new((struct tar_sink) { write_unanswered, &fd });
	OWN(tar_reader) struct tar_reader *r = NULL;
	struct err *e;

	TRY(c->reader(c->in, &r));
	e = tar_relay(r, w, NULL, NULL);
	if (!e)
		e = tar_writer_finish(w);
	if (e && err_kind(e) == ERR_EXISTS && strstr(err_text(e), ANSWERED)) {
		err_free(e); /* it is read next */
		return NULL;
	}
	TRY(e);
	return source_drain(c->in);
}

static struct err *ask_get(const struct files_client *c)
{
	OWN(mem) char *base = files_base_name(jx_str(c->request, "path", "/"));
	OWN(json) json_t *stat = NULL;

	TRY(read_answer(c, "stat", &stat));
	c->stat(c->arg, stat);
	return take_tree(c, base);
}

struct err *files_ask(const struct files_client *c, json_t **ret)
{
	char whole[] = "";
	int fd = c->fd;
	struct tar_sink out = tar_sink_fd(&fd);
	struct err *e = put_text(&out, c->request);

	if (is_gone(e)) {
		err_free(e);
		return ended();
	}
	TRY(e);
	if (streq(c->op, "get"))
		TRY(ask_get(c));
	else if (streq(c->op, "export"))
		TRY(take_tree(c, whole));
	else if (streq(c->op, "put"))
		TRY(give_tree(c));
	return read_answer(c, "done", ret);
}
