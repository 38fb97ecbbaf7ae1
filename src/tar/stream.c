/* SPDX-License-Identifier: Apache-2.0 */
#include "tar/stream.h"

#include <assert.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "util/fd.h"
#include "util/mem.h"

#define HEADER     8
#define DATA_BYTES (64 * 1024) /* in one record */
#define NO_TEXT    UINT32_MAX

/* ---- numbers ---- */

static void put_le(struct str *to, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	str_add(to, b, n);
}

static void put_bytes(struct str *to, const void *data, size_t n)
{
	put_le(to, n, 4);
	str_add(to, data, n);
}

static void put_text(struct str *to, const char *text)
{
	if (text)
		put_bytes(to, text, strlen(text));
	else
		put_le(to, NO_TEXT, 4);
}

/* What is left of a body; broken for good once something did not fit. */
struct cursor {
	const uint8_t *at;
	size_t left;
	bool is_broken;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *at = c->at;

	if (c->is_broken || n > c->left) {
		c->is_broken = true;
		return NULL;
	}
	c->at += n;
	c->left -= n;
	return at;
}

static uint64_t get_le(struct cursor *c, size_t n)
{
	const uint8_t *b = take(c, n);
	uint64_t v = 0;

	for (size_t i = 0; b && i < n; i++)
		v |= (uint64_t)b[i] << (8 * i);
	return v;
}

static uint32_t get_u32(struct cursor *c)
{
	return (uint32_t)get_le(c, 4);
}

static int64_t get_i64(struct cursor *c)
{
	return (int64_t)get_le(c, 8);
}

/* NUL-terminated copy; NULL when there is none, or when it is no text. */
static char *get_text(struct cursor *c)
{
	uint32_t n = get_u32(c);
	const uint8_t *b = n == NO_TEXT ? NULL : take(c, n);

	if (!b)
		return NULL;
	if (n >= PATH_MAX || memchr(b, 0, n)) {
		c->is_broken = true;
		return NULL;
	}
	return xstrndup((const char *)b, n);
}

/* ---- records ---- */

static struct err *write_fd(void *arg, const void *data, size_t n)
{
	return fd_write_all(*(int *)arg, data, n);
}

struct tar_sink tar_sink_fd(int *fd)
{
	return (struct tar_sink) { .write = write_fd, .arg = fd };
}

static void begin_record(struct str *s, enum tar_record kind, size_t n)
{
	put_le(s, (uint64_t)kind, 4);
	put_le(s, n, 4);
}

struct err *tar_stream_put(const struct tar_sink *out, enum tar_record kind, const void *body,
			   size_t n)
{
	OWN(str) struct str s = { 0 };

	assert(n <= TAR_RECORD_MAX);
	begin_record(&s, kind, n);
	str_add(&s, body, n);
	return out->write(out->arg, s.buf, s.len);
}

/* @ret: bytes read; fewer than @n only at the end of the source */
static struct err *read_full(struct source in, void *buf, size_t n, size_t *ret)
{
	size_t got = 1;

	for (*ret = 0; *ret < n && got; *ret += got)
		TRY(in.read(in.arg, (char *)buf + *ret, n - *ret, &got));
	return NULL;
}

static struct err *cut_off(void)
{
	return err_new(ERR_CORRUPT, "a tree's stream ends early");
}

static struct err *read_body(struct source in, size_t n, struct str *body)
{
	char buf[16384];
	size_t got;

	body->len = 0;
	str_adds(body, "");
	while (n) {
		TRY(read_full(in, buf, n < sizeof(buf) ? n : sizeof(buf), &got));
		if (!got)
			return cut_off();
		str_add(body, buf, got);
		n -= got;
	}
	return NULL;
}

struct err *tar_stream_get(struct source in, unsigned *ret_kind, struct str *body)
{
	uint8_t head[HEADER];
	struct cursor c = { .at = head, .left = sizeof(head) };
	uint32_t kind, n;
	size_t got;

	*ret_kind = 0;
	TRY(read_full(in, head, sizeof(head), &got));
	if (!got)
		return NULL;
	if (got < sizeof(head))
		return cut_off();
	kind = get_u32(&c);
	n = get_u32(&c);
	if (kind < TAR_TEXT || kind > TAR_END || n > TAR_RECORD_MAX)
		return err_new(ERR_CORRUPT, "a tree's stream has a record that makes no sense");
	TRY(read_body(in, n, body));
	*ret_kind = kind;
	return NULL;
}

/* ---- writer ---- */

struct writer {
	struct tar_writer base;
	struct tar_sink out;
};

static void put_more(struct str *s, const struct tar_more *more)
{
	static const struct tar_more none;

	if (!more)
		more = &none;
	put_le(s, more->n_xattrs, 4);
	for (size_t i = 0; i < more->n_xattrs; i++) {
		put_text(s, more->xattrs[i].name);
		put_bytes(s, more->xattrs[i].value, more->xattrs[i].len);
	}
	put_le(s, more->n_ranges, 4);
	for (size_t i = 0; i < more->n_ranges; i++) {
		put_le(s, (uint64_t)more->ranges[i].offset, 8);
		put_le(s, (uint64_t)more->ranges[i].len, 8);
	}
}

static struct err *put_entry(struct tar_writer *base, const struct tar_entry *e,
			     const struct tar_more *more)
{
	struct writer *w = (struct writer *)base;
	OWN(str) struct str s = { 0 };

	put_le(&s, e->type, 1);
	put_le(&s, e->mode, 4);
	put_le(&s, e->uid, 4);
	put_le(&s, e->gid, 4);
	put_le(&s, major(e->rdev), 4);
	put_le(&s, minor(e->rdev), 4);
	put_le(&s, e->type == TAR_FILE ? (uint64_t)e->size : 0, 8);
	put_le(&s, (uint64_t)e->mtime_ns, 8);
	put_text(&s, e->name);
	put_text(&s, e->link);
	put_more(&s, more);
	if (s.len > TAR_RECORD_MAX)
		return err_new(ERR_LIMIT, "%s: too many attributes", e->name);
	return tar_stream_put(&w->out, TAR_ENTRY, s.buf, s.len);
}

static struct err *put_block(struct tar_writer *base, const void *data, size_t n, int64_t offset)
{
	struct writer *w = (struct writer *)base;

	for (size_t at = 0; at < n;) {
		size_t part = n - at < DATA_BYTES ? n - at : DATA_BYTES;
		OWN(str) struct str s = { 0 };

		begin_record(&s, TAR_DATA, part + 8);
		put_le(&s, (uint64_t)offset + at, 8);
		str_add(&s, (const char *)data + at, part);
		TRY(w->out.write(w->out.arg, s.buf, s.len));
		at += part;
	}
	return NULL;
}

static struct err *put_end(struct tar_writer *base)
{
	return tar_stream_put(&((struct writer *)base)->out, TAR_END, "", 0);
}

static void writer_free(struct tar_writer *base)
{
	free(base);
}

struct tar_writer *tar_stream_writer_new(struct tar_sink out)
{
	static const struct tar_writer_ops ops = {
		.put = put_entry, .block = put_block, .finish = put_end, .free = writer_free
	};
	struct writer *w = xnew(struct writer);

	w->base.ops = &ops;
	w->out = out;
	return &w->base;
}

/* ---- reader ---- */

struct reader {
	struct tar_reader base;
	struct source in;
	struct str body;
	unsigned kind;      /* of the record in body, when is_ahead */
	bool is_ahead;      /* body holds a record that was not looked at yet */
	bool is_over;       /* END came */
	struct tar_entry e; /* strings owned */
	char *name, *link;
	int64_t at; /* end of the data so far */
	struct tar_xattr *xattrs;
	struct tar_range *ranges;
	size_t n_xattrs, n_ranges, xattr, range;
};

static struct reader *reader_of(struct tar_reader *r)
{
	return (struct reader *)r;
}

static void drop_entry(struct reader *r)
{
	for (size_t i = 0; i < r->n_xattrs; i++) {
		free((void *)(uintptr_t)r->xattrs[i].name);
		free((void *)(uintptr_t)r->xattrs[i].value);
	}
	free(TAKE(r->xattrs));
	free(TAKE(r->ranges));
	free(TAKE(r->name));
	free(TAKE(r->link));
	r->n_xattrs = r->n_ranges = r->xattr = r->range = 0;
	r->at = 0;
}

static struct err *next_record(struct reader *r)
{
	if (r->is_ahead)
		return NULL;
	TRY(tar_stream_get(r->in, &r->kind, &r->body));
	r->is_ahead = true;
	if (!r->kind)
		return cut_off();
	if (r->kind == TAR_TEXT)
		return err_new(ERR_CORRUPT, "a tree's stream has words in it");
	return NULL;
}

static void get_xattrs(struct reader *r, struct cursor *c)
{
	uint32_t n = get_u32(c);

	while (n-- && !c->is_broken) {
		char *name = get_text(c);
		uint32_t len = get_u32(c);
		const uint8_t *value = take(c, len);

		if (!name || !value) {
			c->is_broken = true;
			free(name);
			return;
		}
		r->xattrs = xrealloc(r->xattrs, r->n_xattrs + 1, sizeof(*r->xattrs));
		r->xattrs[r->n_xattrs++] = (struct tar_xattr) {
			.name = name, .value = memcpy(xcalloc(1, len + 1u), value, len), .len = len
		};
	}
}

static void get_ranges(struct reader *r, struct cursor *c)
{
	uint32_t n = get_u32(c);
	int64_t end = 0;

	while (n-- && !c->is_broken) {
		struct tar_range x = { .offset = get_i64(c) };

		x.len = get_i64(c);
		if (c->is_broken || x.offset < end || x.len < 0 || x.offset > r->e.size ||
		    x.len > r->e.size - x.offset) {
			c->is_broken = true;
			return;
		}
		end = x.offset + x.len;
		r->ranges = xrealloc(r->ranges, r->n_ranges + 1, sizeof(*r->ranges));
		r->ranges[r->n_ranges++] = x;
	}
}

static struct err *parse_entry(struct reader *r)
{
	struct cursor c = { .at = (const uint8_t *)r->body.buf, .left = r->body.len };
	uint64_t type = get_le(&c, 1);
	unsigned major_id, minor_id;

	r->e = (struct tar_entry) { .mode = get_u32(&c) & 07777 };
	r->e.uid = get_u32(&c);
	r->e.gid = get_u32(&c);
	major_id = get_u32(&c);
	minor_id = get_u32(&c);
	r->e.rdev = makedev(major_id, minor_id);
	r->e.size = get_i64(&c);
	r->e.mtime_ns = get_i64(&c);
	r->e.name = r->name = get_text(&c);
	r->e.link = r->link = get_text(&c);
	get_xattrs(r, &c);
	get_ranges(r, &c);
	if (c.is_broken || c.left || type >= TAR_OTHER || !r->name || r->e.size < 0)
		return err_new(ERR_CORRUPT, "a tree's stream has an entry that makes no sense");
	r->e.type = (enum tar_type)type;
	if ((type == TAR_SYMLINK || type == TAR_HARDLINK) != (r->link != NULL))
		return err_new(ERR_CORRUPT, "a tree's stream has a link without a target");
	return NULL;
}

/* Data that nobody wanted are skipped. */
static struct err *next_entry(struct tar_reader *base, const struct tar_entry **ret)
{
	struct reader *r = reader_of(base);

	drop_entry(r);
	*ret = NULL;
	while (!r->is_over) {
		TRY(next_record(r));
		r->is_ahead = false;
		if (r->kind == TAR_END)
			r->is_over = true;
		if (r->kind != TAR_ENTRY)
			continue;
		TRY(parse_entry(r));
		*ret = &r->e;
		return NULL;
	}
	return NULL;
}

static struct err *next_block(struct tar_reader *base, const void **ret_data, size_t *ret_n,
			      int64_t *ret_offset)
{
	struct reader *r = reader_of(base);
	struct cursor c;

	*ret_n = 0;
	*ret_data = NULL;
	*ret_offset = r->at;
	TRY(next_record(r));
	if (r->kind != TAR_DATA)
		return NULL;
	r->is_ahead = false;
	c = (struct cursor) { .at = (const uint8_t *)r->body.buf, .left = r->body.len };
	*ret_offset = get_i64(&c);
	if (c.is_broken || !c.left || r->e.type != TAR_FILE || *ret_offset < r->at ||
	    *ret_offset > r->e.size || (int64_t)c.left > r->e.size - *ret_offset)
		return err_new(ERR_CORRUPT, "a tree's stream has data where none belong");
	*ret_data = c.at;
	*ret_n = c.left;
	r->at = *ret_offset + (int64_t)c.left;
	return NULL;
}

static bool next_xattr(struct tar_reader *base, struct tar_xattr *ret)
{
	struct reader *r = reader_of(base);

	if (r->xattr == r->n_xattrs)
		return false;
	*ret = r->xattrs[r->xattr++];
	return true;
}

static bool next_range(struct tar_reader *base, struct tar_range *ret)
{
	struct reader *r = reader_of(base);

	if (r->range == r->n_ranges)
		return false;
	*ret = r->ranges[r->range++];
	return true;
}

static void reader_free(struct tar_reader *base)
{
	struct reader *r = reader_of(base);

	drop_entry(r);
	str_done(&r->body);
	free(r);
}

struct tar_reader *tar_stream_reader_new(struct source in)
{
	static const struct tar_reader_ops ops = { .next = next_entry,
						   .block = next_block,
						   .xattr = next_xattr,
						   .range = next_range,
						   .free = reader_free };
	struct reader *r = xnew(struct reader);

	r->base.ops = &ops;
	r->in = in;
	return &r->base;
}

const char *tar_stream_text(const struct tar_reader *base, size_t *ret_len)
{
	const struct reader *r = (const struct reader *)base;

	if (!r->is_ahead || r->kind != TAR_TEXT)
		return NULL;
	*ret_len = r->body.len;
	return r->body.buf;
}
