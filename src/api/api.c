/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"

#include <stdio.h>
#include <unistd.h>

#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

#define BODY_MAX (16u << 20)

/* ---- errors ---- */

/* The one table of kinds: HTTP status and name. */
static const struct {
	int status;
	const char *name;
} kinds[] = {
	[ERR_INVALID] = { 400, "INVALID" },         [ERR_NOT_FOUND] = { 404, "NOT_FOUND" },
	[ERR_EXISTS] = { 409, "EXISTS" },           [ERR_STATE] = { 409, "STATE" },
	[ERR_DENIED] = { 403, "DENIED" },           [ERR_LIMIT] = { 500, "LIMIT" },
	[ERR_UNAVAILABLE] = { 500, "UNAVAILABLE" }, [ERR_UNSUPPORTED] = { 501, "UNSUPPORTED" },
	[ERR_CORRUPT] = { 500, "CORRUPT" },         [ERR_INTERNAL] = { 500, "INTERNAL" },
};
_Static_assert(ARRAY_SIZE(kinds) == ERR_KINDS, "every kind has a status");

const char *api_kind_name(enum err_kind kind)
{
	return kinds[kind].name;
}

json_t *api_error_json(const struct err *e)
{
	json_t *j = json_object();

	jx_set_str(j, "message", err_text(e));
	jx_set_str(j, "kind", kinds[err_kind(e)].name);
	return j;
}

/* ---- calls ---- */

static void call_free(void *arg)
{
	struct call *c = arg;

	if (c->state_free)
		c->state_free(c->state);
	http_params_done(&c->params);
	json_decref(c->body);
	free(c);
}

const char *call_param(const struct call *c, const char *name)
{
	return http_params_get(&c->params, name);
}

const char *call_query(const struct call *c, const char *key)
{
	return http_query(c->r, key);
}

bool call_flag(const struct call *c, const char *key)
{
	return docker_bool(call_query(c, key));
}

struct err *call_int(const struct call *c, const char *key, int64_t fallback, int64_t *ret)
{
	const char *text = call_query(c, key);

	*ret = fallback;
	if (text && *text)
		TRY_MSG(num_parse_i64(text, INT32_MIN, INT32_MAX, ret), "%s", key);
	return NULL;
}

struct err *call_instance(const struct call *c, struct instance **ret)
{
	return engine_find(c->api->engine, call_param(c, "id"), ret);
}

struct docker_paths call_paths(const struct call *c)
{
	const struct engine_config *config = engine_config(c->api->engine);

	return (struct docker_paths) {
		.root = config ? config->root : "/var/lib/hostel",
		.short_alias = c->minor < 45,
	};
}

void call_text(struct call *c, int status, const char *type, const char *text)
{
	http_reply(c->r, status, type, text, strlen(text));
}

void call_json(struct call *c, int status, json_t *j)
{
	char *text = jx_text(j);
	size_t n = strlen(text);
	OWN(mem)
	char *line = xrealloc(text, n + 2, 1); /* a long text in place, where vasprintf() copies */

	json_decref(j);
	memcpy(line + n, "\n", 2);
	call_text(c, status, "application/json", line);
}

void call_empty(struct call *c, int status)
{
	http_reply(c->r, status, NULL, NULL, 0);
}

void call_error(struct call *c, struct err *e)
{
	int status = kinds[err_kind(e)].status;

	if (status >= 500)
		log_warn("%s %s: %s [%s]", http_method(c->r), http_path(c->r), err_text(e),
			 err_trace(e));
	call_json(c, status, api_error_json(e));
	err_free(e);
}

static void on_done(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	(void)result;
	if (e)
		call_error(c, e);
	else
		call_empty(c, c->status);
}

static void on_done_json(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	if (e)
		call_error(c, e);
	else
		call_json(c, c->status,
			  result ? json_incref((json_t *)(uintptr_t)result) : json_object());
}

struct engine_done call_done(struct call *c, int status)
{
	c->status = status;
	return (struct engine_done) { .fn = on_done, .arg = c };
}

struct engine_done call_done_json(struct call *c, int status)
{
	c->status = status;
	return (struct engine_done) { .fn = on_done_json, .arg = c };
}

static void cancel(struct call *c)
{
	if (c->ticket)
		engine_cancel(TAKE(c->ticket));
	if (c->job)
		engine_job_cancel(TAKE(c->job));
}

static void on_gone(void *arg)
{
	struct call *c = arg;

	cancel(c);
	http_drop(c->r);
}

void call_cancel_when_gone(struct call *c)
{
	http_on_gone(c->r, on_gone, c);
}

/* ---- archives from a job ---- */

static void on_source_gone(void *arg)
{
	struct call *c = arg;

	cancel(c);
	http_source_end(TAKE(c->source), false);
}

static void on_sent(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	(void)result;
	c->job = NULL;
	if (e)
		log_warn("%s %s: cut off: %s", http_method(c->r), http_path(c->r), err_text(e));
	http_source_end(TAKE(c->source), !e);
	err_free(e);
}

struct engine_done call_sent(struct call *c)
{
	return (struct engine_done) { .fn = on_sent, .arg = c };
}

void call_send_job(struct call *c, const char *type, int fd)
{
	c->source = http_reply_fd_held(c->r, type, fd, on_source_gone, c);
}

/* ---- streams of lines ---- */

static void on_stream_gone(void *arg)
{
	struct call *c = arg;

	c->is_gone = true;
	cancel(c);
	if (c->stop)
		c->stop(c);
	if (!c->is_busy)
		call_stream_end(c);
}

void call_stream(struct call *c, const char *type)
{
	c->stream = http_reply_stream(c->r, type, on_stream_gone, c);
}

void call_stream_end(struct call *c)
{
	http_stream_end(TAKE(c->stream));
}

void call_line(struct call *c, json_t *j)
{
	OWN(mem) char *text = jx_text(j);
	OWN(mem) char *line = xasprintf("%s\n", text);

	json_decref(j);
	http_stream_write(c->stream, line, strlen(line));
}

/* ---- dispatch ---- */

static void add_headers(struct http_request *r)
{
	http_add_header(r, "Api-Version", API_VERSION);
	http_add_header(r, "Docker-Experimental", "true");
	http_add_header(r, "Ostype", "linux");
	http_add_header(r, "Server", "hostel/" HOSTEL_VERSION " (linux)");
}

static void run(struct call *c)
{
	struct err *e = c->route->fn(c);

	if (e)
		call_error(c, e);
}

static struct err *parse_body(struct call *c)
{
	size_t len;
	const char *text = http_body(c->r, &len);

	if (!len)
		return NULL;
	TRY_MSG(jx_parse(text, len, &c->body), "invalid JSON");
	if (json_is_null(c->body)) {
		json_decref(c->body);
		c->body = NULL;
	}
	return !c->body || json_is_object(c->body)
		   ? NULL
		   : err_new(ERR_INVALID, "invalid JSON: expected an object");
}

static void on_body(void *arg, struct http_request *r)
{
	struct call *c = arg;
	struct err *e = parse_body(c);

	(void)r;
	if (e)
		call_error(c, e);
	else
		run(c);
}

/*
 * Cut "/v1.NN" off the path.  @ret_rest: what follows; @ret_minor: NN, 50 without a version.
 * Return: NULL, or ERR_INVALID in dockerd's words.
 */
static struct err *read_version(const char *path, const char **ret_rest, int *ret_minor)
{
	int major, minor, len = 0;

	*ret_rest = path;
	*ret_minor = 50;
	if (sscanf(path, "/v%4d.%4d%n", &major, &minor, &len) != 2 || !len ||
	    (path[len] != '/' && path[len]))
		return NULL;
	if (major != 1 || minor > 50)
		return err_new(ERR_INVALID,
			       "client version %d.%d is too new. Maximum supported API version "
			       "is " API_VERSION,
			       major, minor);
	if (minor < 24)
		return err_new(ERR_INVALID,
			       "client version %d.%d is too old. Minimum supported API version "
			       "is " API_VERSION_MIN ", please upgrade your client to a newer "
			       "version",
			       major, minor);
	*ret_rest = path + len;
	*ret_minor = minor;
	return NULL;
}

static const struct route *find_route(const char *method, const char *path, struct http_params *ret)
{
	bool is_head = streq(method, "HEAD");

	/* A row for HEAD comes before the GET that would answer it as well. */
	for (size_t i = 0; i < api_n_routes; i++) {
		const struct route *route = &api_routes[i];

		if (!streq(route->method, method) && !(is_head && streq(route->method, "GET")))
			continue;
		if (http_match(route->path, path, ret))
			return route;
	}
	return NULL;
}

static void on_request(void *arg, struct http_request *r)
{
	struct call *c = xnew(struct call);
	const char *path;
	struct err *e;

	c->api = arg;
	c->r = r;
	http_set_data(r, c, call_free);
	add_headers(r);
	e = read_version(http_path(r), &path, &c->minor);
	if (!e) {
		c->route = find_route(http_method(r), path, &c->params);
		e = c->route ? NULL : err_new(ERR_NOT_FOUND, "page not found");
	}
	if (e)
		call_error(c, e);
	else if (c->route->body == JSON_BODY)
		http_collect_body(r, BODY_MAX, on_body, c);
	else
		run(c);
}

struct err *api_new(const struct api_config *c, struct api **ret)
{
	struct api *a = xnew(struct api);
	struct err *e = http_server_new(
	    &(struct http_config) {
		.loop = c->loop, .listen_fd = c->listen_fd, .on_request = on_request, .arg = a },
	    &a->server);

	if (e) {
		free(a);
		return e;
	}
	a->engine = c->engine;
	a->loop = c->loop;
	a->config = c->config;
	a->socket_path = xstrdup(c->socket_path);
	*ret = a;
	return NULL;
}

void api_free(struct api *a)
{
	if (!a)
		return;
	http_server_free(a->server);
	free(a->socket_path);
	free(a);
}
