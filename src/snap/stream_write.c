/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "snap/stream.h"
#include "tls/digest.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define FLUSH_BYTES (256 * 1024)

struct writer {
	int fd;
	struct digest *digest;
	struct str buf; /* not written yet */
	const struct snap_progress *p;
	char *block;
	int64_t bytes;
};

static void own_writer_release(struct writer *w)
{
	digest_free(w->digest);
	str_done(&w->buf);
	free(w->block);
}

static struct err *flush(struct writer *w)
{
	digest_add(w->digest, w->buf.buf, w->buf.len);
	if (w->fd >= 0)
		TRY(fd_write_all(w->fd, w->buf.buf, w->buf.len));
	w->buf.len = 0;
	return NULL;
}

static void put_number(struct writer *w, uint64_t v, size_t bytes)
{
	unsigned char le[8];

	for (size_t k = 0; k < bytes; k++)
		le[k] = (unsigned char)(v >> (8 * k));
	str_add(&w->buf, le, bytes);
}

static void put_bytes(struct writer *w, const void *data, size_t n, size_t width)
{
	put_number(w, n, width);
	str_add(&w->buf, data, n);
}

static void put_node(struct writer *w, char kind, const struct snap_node *n)
{
	const char *link = n->link ? n->link : "";

	str_add(&w->buf, &kind, 1);
	put_bytes(w, n->name, strlen(n->name), 2);
	put_number(w, n->same_as ? 0 : n->mode, 4);
	put_number(w, n->same_as ? 0 : n->uid, 4);
	put_number(w, n->same_as ? 0 : n->gid, 4);
	put_number(w, n->same_as ? 0 : (uint64_t)n->mtime_ns, 8);
	put_number(w, n->same_as ? 0 : (uint64_t)n->size, 8);
	put_number(w, n->same_as ? 0 : major(n->rdev), 4);
	put_number(w, n->same_as ? 0 : minor(n->rdev), 4);
	put_number(w, n->shared, 4);
	put_number(w, n->same_as, 4);
	put_bytes(w, link, strlen(link), 2);
	put_number(w, n->n_xattrs, 2);
	for (size_t k = 0; k < n->n_xattrs; k++) {
		put_bytes(w, n->xattrs[k].name, strlen(n->xattrs[k].name), 2);
		put_bytes(w, n->xattrs[k].value, n->xattrs[k].len, 4);
	}
}

static struct err *settle(struct writer *w)
{
	return w->buf.len < FLUSH_BYTES ? NULL : flush(w);
}

static struct err *write_enter(void *arg, const struct snap_node *n)
{
	put_node(arg, 'D', n);
	return settle(arg);
}

static struct err *write_leave(void *arg)
{
	struct writer *w = arg;

	str_add(&w->buf, "U", 1);
	return settle(w);
}

static struct err *write_other(void *arg, const struct snap_node *n)
{
	put_node(arg, 'O', n);
	return settle(arg);
}

static bool is_zero(const char *p, size_t n)
{
	return n == 0 || (*p == 0 && !memcmp(p, p + 1, n - 1));
}

static struct err *read_block(int fd, char *buf, size_t want, int64_t at)
{
	size_t have = 0;

	while (have < want) {
		ssize_t n = pread(fd, buf + have, want - have, at + (int64_t)have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "read");
		if (!n)
			return err_new(ERR_UNAVAILABLE, "it was cut while it was read");
		have += (size_t)n;
	}
	return NULL;
}

static struct err *write_block(struct writer *w, int fd, int64_t at, int64_t size)
{
	size_t want = size - at < SNAP_BLOCK ? (size_t)(size - at) : SNAP_BLOCK;

	TRY(read_block(fd, w->block, want, at));
	if (is_zero(w->block, want))
		return NULL;
	w->bytes += (int64_t)want;
	put_number(w, (uint64_t)at, 8);
	put_bytes(w, w->block, want, 4);
	if (w->p)
		w->p->fn(w->p->arg, (int64_t)want);
	return settle(w);
}

static struct err *write_file(void *arg, const struct snap_node *n, int fd)
{
	struct writer *w = arg;
	off_t at = 0, data, hole;

	put_node(w, 'F', n);
	while (at < n->size && (data = lseek(fd, at, SEEK_DATA)) >= 0 && data < n->size) {
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return err_sys(errno, "seek");
		/* Whole blocks: what is hole beside it is zeros. */
		if (data > at)
			at = data - data % SNAP_BLOCK > at ? data - data % SNAP_BLOCK : at;
		for (; at < hole && at < n->size; at += SNAP_BLOCK)
			TRY(write_block(w, fd, at, n->size));
	}
	put_number(w, UINT64_MAX, 8);
	return settle(w);
}

struct err *snap_stream_write(int tree_fd, int fd, const struct snap_progress *p,
			      char ret[SNAP_HEX], int64_t *ret_bytes)
{
	OWN(writer)
	struct writer w = {
		.fd = fd, .digest = digest_new(), .p = p, .block = xcalloc(SNAP_BLOCK, 1)
	};
	char text[DIGEST_CHARS];

	TRY(snap_walk(tree_fd, &(struct snap_sink) { .enter = write_enter,
						     .leave = write_leave,
						     .file = write_file,
						     .other = write_other,
						     .arg = &w }));
	TRY(flush(&w));
	digest_text(w.digest, text);
	memcpy(ret, text + strlen("sha256:"), SNAP_HEX);
	if (ret_bytes)
		*ret_bytes = w.bytes;
	if (fd < 0)
		return NULL;
	TRY(fd_write_all(fd, "E", 1));
	return fd_write_all(fd, ret, SNAP_HEX - 1);
}
