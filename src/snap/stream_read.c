/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "snap/stream.h"
#include "tls/digest.h"
#include "util/fd.h"
#include "util/mem.h"

/* ---- a buffer ---- */

static struct err *read_buffered(void *arg, void *to, size_t size, size_t *ret_n)
{
	struct snap_buffer *b = arg;
	size_t n;

	if (b->at == b->end) {
		b->at = b->end = 0;
		TRY(b->in.read(b->in.arg, b->buf, sizeof(b->buf), &b->end));
	}
	n = b->end - b->at < size ? b->end - b->at : size;
	memcpy(to, b->buf + b->at, n);
	b->at += n;
	*ret_n = n;
	return NULL;
}

struct source snap_buffer_source(struct snap_buffer *b)
{
	return (struct source) { .read = read_buffered, .arg = b };
}

/* ---- reading ---- */

struct reader {
	struct source in;
	struct digest *digest;
	struct snap_builder *b;
	const struct snap_progress *p;
	char *block;
	int depth;
};

/* A node with what it points to. */
struct got {
	struct snap_node n;
	char name[NAME_MAX + 1], link[PATH_MAX];
	struct snap_xattr xattrs[SNAP_XATTRS];
	void *owned[SNAP_XATTRS * 2];
	size_t n_owned;
};

static void own_got_release(struct got *g)
{
	for (size_t k = 0; k < g->n_owned; k++)
		free(g->owned[k]);
}

static void own_reader_release(struct reader *r)
{
	digest_free(r->digest);
	snap_builder_free(r->b);
	free(r->block);
}

static struct err *broken(const char *what)
{
	return err_new(ERR_CORRUPT, "%s", what);
}

static struct err *take(struct reader *r, void *to, size_t n)
{
	char *out = to;

	while (n) {
		size_t got = 0;

		TRY(r->in.read(r->in.arg, out, n, &got));
		if (!got)
			return broken("it is cut");
		out += got;
		n -= got;
	}
	return NULL;
}

static struct err *take_summed(struct reader *r, void *to, size_t n)
{
	TRY(take(r, to, n));
	digest_add(r->digest, to, n);
	return NULL;
}

static struct err *take_number(struct reader *r, size_t bytes, uint64_t *ret)
{
	unsigned char le[8];
	uint64_t v = 0;

	TRY(take_summed(r, le, bytes));
	for (size_t k = bytes; k-- > 0;)
		v = v << 8 | le[k];
	*ret = v;
	return NULL;
}

/* A text of at most @max bytes, into @to, which has one more. */
static struct err *take_text(struct reader *r, size_t max, char *to)
{
	uint64_t n;

	TRY(take_number(r, 2, &n));
	if (n > max)
		return broken("a name that is too long");
	TRY(take_summed(r, to, n));
	to[n] = '\0';
	return strlen(to) == n ? NULL : broken("a name with a NUL in it");
}

static struct err *take_xattr(struct reader *r, struct got *g)
{
	char *name = g->owned[g->n_owned++] = xcalloc(XATTR_NAME_MAX + 1, 1);
	struct snap_xattr *x = &g->xattrs[g->n.n_xattrs];
	uint64_t len;
	void *value;

	TRY(take_text(r, XATTR_NAME_MAX, name));
	TRY(take_number(r, 4, &len));
	if (len > XATTR_SIZE_MAX)
		return broken("an attribute that is too long");
	value = g->owned[g->n_owned++] = xcalloc(len + 1, 1);
	TRY(take_summed(r, value, len));
	*x = (struct snap_xattr) { name, value, len };
	g->n.n_xattrs++;
	return NULL;
}

static struct err *take_numbers(struct reader *r, struct snap_node *n)
{
	uint64_t v[9];
	static const size_t widths[] = { 4, 4, 4, 8, 8, 4, 4, 4, 4 };

	for (size_t k = 0; k < ARRAY_SIZE(widths); k++)
		TRY(take_number(r, widths[k], &v[k]));
	if (v[4] > INT64_MAX)
		return broken("a size that is none");
	n->mode = (mode_t)v[0];
	n->uid = (uid_t)v[1];
	n->gid = (gid_t)v[2];
	n->mtime_ns = (int64_t)v[3];
	n->size = (int64_t)v[4];
	n->rdev = makedev((unsigned)v[5], (unsigned)v[6]);
	n->shared = (uint32_t)v[7];
	n->same_as = (uint32_t)v[8];
	return NULL;
}

static bool is_name(const char *name, bool is_top)
{
	if (is_top)
		return !*name;
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

static bool kind_fits(char kind, const struct snap_node *n)
{
	switch (kind) {
	case 'D':
		return S_ISDIR(n->mode) && !n->shared && !n->same_as;
	case 'F':
		return S_ISREG(n->mode) && !n->same_as;
	default:
		return n->same_as || S_ISLNK(n->mode) || S_ISCHR(n->mode) || S_ISBLK(n->mode) ||
		       S_ISFIFO(n->mode) || S_ISSOCK(n->mode);
	}
}

static struct err *take_node(struct reader *r, char kind, struct got *g)
{
	uint64_t n_xattrs;

	TRY(take_text(r, NAME_MAX, g->name));
	if (!is_name(g->name, !r->depth))
		return broken("a name that is none");
	TRY(take_numbers(r, &g->n));
	TRY(take_text(r, PATH_MAX - 1, g->link));
	TRY(take_number(r, 2, &n_xattrs));
	if (n_xattrs > SNAP_XATTRS || (kind == 'O' && n_xattrs))
		return broken("too many attributes");
	for (uint64_t k = 0; k < n_xattrs; k++)
		TRY(take_xattr(r, g));
	g->n.name = g->name;
	g->n.link = g->link;
	g->n.xattrs = g->xattrs;
	return kind_fits(kind, &g->n) ? NULL : broken("a node of no kind");
}

static struct err *write_at(int fd, const char *buf, size_t n, int64_t at)
{
	if (lseek(fd, at, SEEK_SET) < 0)
		return err_sys(errno, "seek");
	return fd_write_all(fd, buf, n);
}

static struct err *take_content(struct reader *r, const struct snap_node *n, int fd)
{
	int64_t next = 0;

	for (;;) {
		uint64_t at, len;

		TRY(take_number(r, 8, &at));
		if (at == UINT64_MAX)
			break;
		TRY(take_number(r, 4, &len));
		if (at % SNAP_BLOCK || at < (uint64_t)next || at >= (uint64_t)n->size || !len ||
		    len > SNAP_BLOCK || len > (uint64_t)n->size - at)
			return broken("a block where there can be none");
		TRY(take_summed(r, r->block, len));
		TRY(write_at(fd, r->block, len, (int64_t)at));
		next = (int64_t)(at + len);
		if (r->p)
			r->p->fn(r->p->arg, (int64_t)len);
	}
	return ftruncate(fd, n->size) < 0 ? err_sys(errno, "truncate") : NULL;
}

static struct err *make_file(struct reader *r, const struct snap_node *n)
{
	OWN(fd) int fd = -1;

	TRY(snap_build_file(r->b, n, &fd));
	TRY_MSG(take_content(r, n, fd), "%s", n->name);
	return snap_build_filled(r->b, n, TAKE_FD(fd));
}

static struct err *make_node(struct reader *r, char kind)
{
	OWN(got) struct got g = { 0 };

	TRY(take_node(r, kind, &g));
	if (kind == 'F')
		return make_file(r, &g.n);
	if (kind == 'O')
		return snap_build_other(r->b, &g.n);
	TRY(snap_build_enter(r->b, &g.n));
	r->depth++;
	return NULL;
}

/* @ret_over: the tree is whole. */
static struct err *make_next(struct reader *r, bool is_first, bool *ret_over)
{
	char kind;

	TRY(take(r, &kind, 1));
	if (kind == 'E') {
		*ret_over = true;
		return is_first || r->depth ? broken("it is cut") : NULL;
	}
	if (!is_first && !r->depth)
		return broken("more than one top");
	digest_add(r->digest, &kind, 1);
	if (kind == 'U') {
		TRY(snap_build_leave(r->b));
		r->depth--;
		return NULL;
	}
	return strchr("DFO", kind) && kind ? make_node(r, kind) : broken("a record of no kind");
}

static struct err *check_sum(struct reader *r, char ret[SNAP_HEX])
{
	char said[SNAP_HEX] = { 0 }, text[DIGEST_CHARS];

	TRY(take(r, said, SNAP_HEX - 1));
	digest_text(r->digest, text);
	if (!streq(said, text + strlen("sha256:")))
		return broken("its checksum is another");
	memcpy(ret, said, SNAP_HEX);
	return NULL;
}

struct err *snap_stream_read(struct source in, int dir_fd, const char *name,
			     const struct snap_progress *p, char ret[SNAP_HEX])
{
	OWN(reader)
	struct reader r = { .in = in,
			    .digest = digest_new(),
			    .b = snap_builder_new(dir_fd, name),
			    .p = p,
			    .block = xcalloc(SNAP_BLOCK, 1) };
	bool is_over = false;

	for (bool is_first = true; !is_over; is_first = false)
		TRY(make_next(&r, is_first, &is_over));
	return check_sum(&r, ret);
}
