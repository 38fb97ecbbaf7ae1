/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ERROR_BODY_MAX 65536

int client_fail(struct hostel *h, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->error, sizeof(h->error), fmt, ap);
	va_end(ap);
	return code;
}

static int fail_memory(struct hostel *h)
{
	return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
}

int client_code(int status)
{
	static const struct {
		int status, code;
	} table[] = {
		{ 400, HOSTEL_INVALID },   { 401, HOSTEL_DENIED },      { 403, HOSTEL_DENIED },
		{ 404, HOSTEL_NOT_FOUND }, { 409, HOSTEL_CONFLICT },    { 413, HOSTEL_INVALID },
		{ 431, HOSTEL_INVALID },   { 501, HOSTEL_UNSUPPORTED }, { 503, HOSTEL_BUSY },
	};

	if (status < 400)
		return HOSTEL_OK;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].code;
	return HOSTEL_FAILED;
}

/* ---- handle ---- */

static const char *strip_scheme(const char *url)
{
	return strncmp(url, "unix://", 7) ? url : url + 7;
}

static const char *default_socket(void)
{
	const char *s = getenv("HOSTEL_SOCKET");

	if (s && *s)
		return s;
	s = getenv("DOCKER_HOST");
	if (s && !strncmp(s, "unix://", 7))
		return s;
	return HOSTEL_DEFAULT_SOCKET;
}

struct hostel *hostel_open(const char *socket)
{
	struct hostel *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->idle_fd = -1;
	h->socket = strdup(strip_scheme(socket && *socket ? socket : default_socket()));
	if (h->socket)
		return h;
	free(h);
	return NULL;
}

void hostel_close(struct hostel *h)
{
	if (!h)
		return;
	if (h->idle_fd >= 0)
		close(h->idle_fd);
	free(h->socket);
	free(h);
}

const char *hostel_socket(const struct hostel *h)
{
	return h->socket;
}

const char *hostel_error(const struct hostel *h)
{
	return h->error;
}

int hostel_status(const struct hostel *h)
{
	return h->status;
}

/* ---- connect ---- */

/* A path too long for sun_path is reached through a descriptor of its folder. */
static int connect_path(int fd, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char folder[4096];
	const char *slash = strrchr(path, '/');
	int dir, rc, saved;

	if (strlen(path) < sizeof(sa.sun_path)) {
		strcpy(sa.sun_path, path);
		return connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	}
	errno = ENAMETOOLONG;
	if (!slash || (size_t)(slash - path) >= sizeof(folder))
		return -1;
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -1;
	rc = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir, slash + 1);
	errno = ENAMETOOLONG;
	rc = rc < (int)sizeof(sa.sun_path) ? connect(fd, (struct sockaddr *)&sa, sizeof(sa)) : -1;
	saved = errno;
	close(dir);
	errno = saved;
	return rc;
}

static int connect_new(struct hostel *h, int *ret_fd)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;

	if (fd < 0)
		return client_fail(h, HOSTEL_BROKEN, "socket: %s", strerror(errno));
	if (!connect_path(fd, h->socket)) {
		*ret_fd = fd;
		return HOSTEL_OK;
	}
	saved = errno;
	close(fd);
	if (saved == EACCES || saved == EPERM)
		return client_fail(
		    h, HOSTEL_DENIED,
		    "no permission for %s: only root and the group hostel may use it", h->socket);
	return client_fail(h, HOSTEL_NO_DAEMON, "no hosteld answers on %s: %s (is it running?)",
			   h->socket, strerror(saved));
}

/* A kept connection, unless the other side closed it meanwhile. */
static int take_idle(struct hostel *h)
{
	int fd = h->idle_fd;
	char byte;

	h->idle_fd = -1;
	if (fd < 0)
		return -1;
	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return fd;
	close(fd);
	return -1;
}

/* ---- send ---- */

/* A peer that hung up may have answered before: then the answer says why. */
static int send_all(struct hostel *h, int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return HOSTEL_OK;
		if (n < 0)
			return client_fail(h, HOSTEL_BROKEN, "write to hosteld: %s",
					   strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return HOSTEL_OK;
}

static bool peer_has_answered(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && p.revents;
}

static int send_chunks(struct hostel *h, int fd, int body_fd)
{
	char data[65536 + 16];

	for (;;) {
		char size[16];
		ssize_t n = read(body_fd, data + 12, 65536);
		int digits, rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return client_fail(h, HOSTEL_INVALID, "read: %s", strerror(errno));
		if (!n)
			return send_all(h, fd, "0\r\n\r\n", 5);
		digits = snprintf(size, sizeof(size), "%zx\r\n", (size_t)n);
		memcpy(data + 12 - digits, size, (size_t)digits);
		memcpy(data + 12 + n, "\r\n", 2);
		rc = send_all(h, fd, data + 12 - digits, (size_t)digits + (size_t)n + 2);
		if (rc || peer_has_answered(fd))
			return rc;
	}
}

static void write_head(struct buf *b, const struct hostel_request *r, size_t body_len)
{
	buf_addf(b, "%s %s HTTP/1.1\r\nHost: hostel\r\nUser-Agent: libhostel/%s\r\n", r->method,
		 r->path, HOSTEL_VERSION);
	if (r->is_upgrade)
		buf_adds(b, "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	if (r->headers)
		buf_adds(b, r->headers);
	if (r->body || r->has_body_fd)
		buf_addf(b, "Content-Type: %s\r\n",
			 r->content_type ? r->content_type
			 : r->body       ? "application/json"
					 : "application/x-tar");
	if (r->has_body_fd)
		buf_adds(b, "Transfer-Encoding: chunked\r\n");
	else if (body_len || !strcmp(r->method, "POST") || !strcmp(r->method, "PUT"))
		buf_addf(b, "Content-Length: %zu\r\n", body_len);
	buf_adds(b, "\r\n");
	if (r->body)
		buf_add(b, r->body, body_len);
}

/* A connection is used again only for what may be asked twice: it may be closing just now. */
static bool may_repeat(const struct hostel_request *r)
{
	return !r->no_reuse && !r->is_upgrade && !r->body && !r->has_body_fd &&
	       (!strcmp(r->method, "GET") || !strcmp(r->method, "HEAD"));
}

static int send_request(struct hostel_reply *reply, const struct hostel_request *r)
{
	OWN(buf) struct buf b = { 0 };
	struct hostel *h = reply->h;
	int rc;

	write_head(&b, r, r->body ? r->body_len ? r->body_len : strlen(r->body) : 0);
	if (b.failed)
		return fail_memory(h);
	rc = send_all(h, reply->fd, b.p, b.len);
	if (reply->may_repeat) {
		reply->request = b;
		b = (struct buf) { 0 };
	}
	return rc || !r->has_body_fd ? rc : send_chunks(h, reply->fd, r->body_fd);
}

/* The connection was an old one and has ended without a byte: ask on a new one. */
static int ask_again(struct hostel_reply *r)
{
	int fd, rc = connect_new(r->h, &fd);

	if (rc)
		return rc;
	close(r->fd);
	r->fd = fd;
	r->may_repeat = false;
	return send_all(r->h, fd, r->request.p, r->request.len);
}

static bool is_line_free(const char *s)
{
	return !strpbrk(s, " \r\n");
}

static int prepare(struct hostel *h, const struct hostel_request *r, struct hostel_reply *reply)
{
	int rc;

	*reply = (struct hostel_reply) {
		.h = h,
		.fd = may_repeat(r) ? take_idle(h) : -1,
		.is_no_reuse = r->no_reuse || r->is_upgrade,
		.is_head_request = !strcmp(r->method, "HEAD"),
	};
	reply->may_repeat = reply->fd >= 0;
	rc = reply->fd < 0 ? connect_new(h, &reply->fd) : HOSTEL_OK;
	return rc ? rc : send_request(reply, r);
}

int hostel_send(struct hostel *h, const struct hostel_request *r, struct hostel_reply **ret)
{
	struct hostel_reply *reply;
	int rc;

	h->error[0] = '\0';
	h->status = 0;
	if (!is_line_free(r->path) || !is_line_free(r->method))
		return client_fail(h, HOSTEL_INVALID, "a path must be percent-encoded");
	reply = malloc(sizeof(*reply));
	if (!reply)
		return fail_memory(h);
	rc = prepare(h, r, reply);
	if (rc)
		hostel_reply_close(reply);
	else
		*ret = reply;
	return rc;
}

/* ---- receive ---- */

enum step { STEP_MORE, STEP_READY, STEP_END, STEP_BAD };

static void settle_body(struct hostel_reply *r)
{
	const struct head *h = &r->head;

	if (h->status == 101)
		r->body = BODY_TO_END;
	else if (r->is_head_request || h->status == 204 || h->status == 304)
		r->body = BODY_NONE;
	else if (h->is_chunked)
		r->body = BODY_CHUNKED;
	else if (h->content_length >= 0)
		r->body = BODY_LENGTH;
	else
		r->body = BODY_TO_END;
	r->left = h->content_length;
	r->chunk = (struct chunk) { 0 };
}

/* Take the head out of the buffer; 1xx other than 101 are passed over. */
static enum step advance_head(struct hostel_reply *r)
{
	while (!r->has_head) {
		switch (head_parse(r->in + r->at, r->end - r->at, &r->head)) {
		case HEAD_MORE:
			return STEP_MORE;
		case HEAD_BAD:
			return STEP_BAD;
		case HEAD_DONE:
			break;
		}
		if (r->head.status >= 200 || r->head.status == 101) {
			/* The head's bytes stay in front, for hostel_reply_header(). */
			memmove(r->in, r->in + r->at, r->end - r->at);
			r->end -= r->at;
			r->at = 0;
			r->has_head = true;
			settle_body(r);
		}
		r->at += r->head.bytes;
	}
	return STEP_READY;
}

static enum step give_span(struct hostel_reply *r, size_t max)
{
	size_t n = r->end - r->at;

	if (!n)
		return STEP_MORE;
	r->span = r->in + r->at;
	r->span_len = n < max ? n : max;
	r->at += r->span_len;
	return STEP_READY;
}

static enum step advance_chunked(struct hostel_reply *r)
{
	while (r->at < r->end && r->chunk.state != CHUNK_DONE && r->chunk.state != CHUNK_BAD) {
		r->at +=
		    chunk_feed(&r->chunk, r->in + r->at, r->end - r->at, &r->span, &r->span_len);
		if (r->span_len)
			return STEP_READY;
	}
	if (r->chunk.state == CHUNK_BAD)
		return STEP_BAD;
	return r->chunk.state == CHUNK_DONE ? STEP_END : STEP_MORE;
}

/* Decode what is buffered, without reading. */
static enum step advance(struct hostel_reply *r)
{
	enum step s;

	if (!r->has_head)
		return advance_head(r);
	if (r->span_len)
		return STEP_READY;
	if (r->is_ended)
		return STEP_END;
	switch (r->body) {
	case BODY_NONE:
		return STEP_END;
	case BODY_CHUNKED:
		return advance_chunked(r);
	case BODY_TO_END:
		return give_span(r, SIZE_MAX);
	case BODY_LENGTH:
		if (!r->left)
			return STEP_END;
		s = give_span(r, (size_t)r->left);
		if (s == STEP_READY)
			r->left -= (int64_t)r->span_len;
		return s;
	}
	return STEP_BAD;
}

/* Return: 1 read something, 0 end of file, negative: error. */
static int fill(struct hostel_reply *r)
{
	ssize_t n;

	if (r->at == r->end && r->has_head)
		r->at = r->end = 0;
	if (r->end == sizeof(r->in)) {
		memmove(r->in, r->in + r->at, r->end - r->at);
		r->end -= r->at;
		r->at = 0;
	}
	do
		n = recv(r->fd, r->in + r->end, sizeof(r->in) - r->end, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return client_fail(r->h, HOSTEL_BROKEN, "read from hosteld: %s", strerror(errno));
	if (n <= 0)
		return 0;
	r->end += (size_t)n;
	return 1;
}

/* advance(), reading as needed; Return: 1 ready, 0 end, negative: error. */
static int step(struct hostel_reply *r)
{
	for (;;) {
		int n;

		switch (advance(r)) {
		case STEP_READY:
			return 1;
		case STEP_END:
			r->is_ended = true;
			return 0;
		case STEP_BAD:
			return client_fail(r->h, HOSTEL_BROKEN, "%s does not speak HTTP",
					   r->h->socket);
		case STEP_MORE:
			break;
		}
		n = fill(r);
		if (n > 0)
			r->may_repeat = false;
		if (n < 0)
			return n;
		if (!n && r->may_repeat) {
			n = ask_again(r);
			if (n)
				return n;
			continue;
		}
		if (!n && r->has_head && r->body == BODY_TO_END) {
			r->is_ended = true;
			return 0;
		}
		if (!n)
			return client_fail(r->h, HOSTEL_BROKEN, "hosteld closed the connection");
	}
}

int hostel_reply_fd(const struct hostel_reply *r)
{
	return r->fd;
}

int hostel_reply_pending(struct hostel_reply *r)
{
	return advance(r) != STEP_MORE;
}

int hostel_reply_status(const struct hostel_reply *r)
{
	return r->has_head ? r->head.status : 0;
}

static int error_from_body(struct hostel_reply *r)
{
	OWN(buf) struct buf b = { 0 };
	char data[4096];
	ssize_t n;
	json_t *doc;
	const char *text = NULL;

	while (b.len < ERROR_BODY_MAX && (n = hostel_reply_read(r, data, sizeof(data))) > 0)
		buf_add(&b, data, (size_t)n);
	doc = b.p ? json_loads(b.p, 0, NULL) : NULL;
	text = json_string_value(json_object_get(doc, "message"));
	if (!text)
		text = b.len && !doc ? b.p : NULL;
	if (text)
		client_fail(r->h, 0, "%.*s", (int)strcspn(text, "\n"), text);
	else
		client_fail(r->h, 0, "hosteld answered with status %d", r->head.status);
	json_decref(doc);
	return client_code(r->head.status);
}

int hostel_reply_head(struct hostel_reply *r)
{
	int rc;

	if (r->has_head)
		return client_code(r->head.status);
	do
		rc = step(r);
	while (rc > 0 && !r->has_head);
	if (rc < 0)
		return rc;
	r->h->status = r->head.status;
	return r->head.status < 400 ? HOSTEL_OK : error_from_body(r);
}

const char *hostel_reply_header(struct hostel_reply *r, const char *name)
{
	size_t len;
	const char *v = r->has_head ? head_field(r->in, &r->head, name, &len) : NULL;

	free(r->header_value);
	r->header_value = v ? strndup(v, len) : NULL;
	return r->header_value;
}

ssize_t hostel_reply_read(struct hostel_reply *r, void *buf, size_t size)
{
	int rc = r->has_head ? 1 : hostel_reply_head(r);

	if (rc < 0)
		return rc;
	rc = step(r);
	if (rc <= 0)
		return rc;
	if (size > r->span_len)
		size = r->span_len;
	memcpy(buf, r->span, size);
	r->span += size;
	r->span_len -= size;
	return (ssize_t)size;
}

int hostel_reply_line(struct hostel_reply *r, char **ret_line)
{
	struct buf b = { 0 };
	char c = '\0';
	ssize_t n = 0;

	while (c != '\n' && (n = hostel_reply_read(r, &c, 1)) > 0)
		if (c != '\n' && c != '\r')
			buf_add(&b, &c, 1);
	if (n < 0 || (!n && !b.len)) {
		free(b.p);
		if (n >= 0)
			*ret_line = NULL;
		return (int)n;
	}
	*ret_line = buf_take(&b);
	return *ret_line ? HOSTEL_OK : fail_memory(r->h);
}

int hostel_reply_write(struct hostel_reply *r, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(r->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return client_fail(r->h, HOSTEL_BROKEN, "write: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
	return HOSTEL_OK;
}

int hostel_reply_shut(struct hostel_reply *r)
{
	if (!shutdown(r->fd, SHUT_WR))
		return HOSTEL_OK;
	return client_fail(r->h, HOSTEL_BROKEN, "shutdown: %s", strerror(errno));
}

void hostel_reply_close(struct hostel_reply *r)
{
	if (!r)
		return;
	if (r->is_ended && !r->is_no_reuse && r->body != BODY_TO_END && !r->head.is_close &&
	    r->at == r->end && r->h->idle_fd < 0)
		r->h->idle_fd = r->fd;
	else if (r->fd >= 0)
		close(r->fd);
	own_buf_release(&r->request);
	free(r->header_value);
	free(r);
}

/* ---- frames ---- */

static int read_frame_head(struct hostel_reply *r)
{
	unsigned char head[8];
	size_t have = 0;

	while (have < sizeof(head)) {
		ssize_t n = hostel_reply_read(r, head + have, sizeof(head) - have);

		if (n < 0 || (!n && !have))
			return (int)n;
		if (!n)
			return client_fail(r->h, HOSTEL_BROKEN, "the stream ends in a frame");
		have += (size_t)n;
	}
	if (head[0] > 3 || head[1] || head[2] || head[3])
		return client_fail(r->h, HOSTEL_BROKEN, "the stream is not framed");
	r->frame_stream = head[0];
	r->frame_left =
	    (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 | (uint32_t)head[6] << 8 | head[7];
	return 1;
}

ssize_t hostel_frame_read(struct hostel_reply *r, int *ret_stream, void *buf, size_t size)
{
	ssize_t n;

	while (!r->frame_left) {
		int rc = read_frame_head(r);

		if (rc <= 0)
			return rc;
	}
	n = hostel_reply_read(r, buf, size < r->frame_left ? size : r->frame_left);
	if (n > 0)
		r->frame_left -= (uint32_t)n;
	if (!n)
		return client_fail(r->h, HOSTEL_BROKEN, "the stream ends in a frame");
	*ret_stream = r->frame_stream;
	return n;
}

/* ---- calls ---- */

static int read_body(struct hostel_reply *r, char **ret_body)
{
	struct buf b = { 0 };
	char data[8192];
	ssize_t n;

	while ((n = hostel_reply_read(r, data, sizeof(data))) > 0)
		buf_add(&b, data, (size_t)n);
	if (n < 0 || !ret_body) {
		free(b.p);
		return (int)n;
	}
	*ret_body = buf_take(&b);
	return *ret_body ? HOSTEL_OK : fail_memory(r->h);
}

int hostel_call(struct hostel *h, const char *method, const char *path, const char *body_json,
		char **ret_body)
{
	OWN(reply) struct hostel_reply *r = NULL;
	int rc = hostel_send(
	    h, &(struct hostel_request) { .method = method, .path = path, .body = body_json }, &r);

	if (!rc)
		rc = hostel_reply_head(r);
	return rc ? rc : read_body(r, ret_body);
}

int client_call_buf(struct hostel *h, const char *method, struct buf *path, const char *body,
		    char **ret_body)
{
	OWN(buf) struct buf p = *path;

	*path = (struct buf) { 0 };
	return p.failed ? fail_memory(h) : hostel_call(h, method, p.p, body, ret_body);
}

char *hostel_encode(const char *text)
{
	struct buf b = { 0 };

	buf_encode(&b, text);
	return buf_take(&b);
}
