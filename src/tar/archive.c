/* SPDX-License-Identifier: Apache-2.0 */
/* What all readers and writers have in common. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar/tar.h"
#include "util/mem.h"

#define COPY_BYTES (128 * 1024)

/* ---- readers ---- */

void tar_reader_free(struct tar_reader *r)
{
	if (r)
		r->ops->free(r);
}

struct err *tar_reader_next(struct tar_reader *r, const struct tar_entry **ret)
{
	return r->ops->next(r, ret);
}

struct err *tar_reader_block(struct tar_reader *r, const void **ret_data, size_t *ret_n,
			     int64_t *ret_offset)
{
	return r->ops->block(r, ret_data, ret_n, ret_offset);
}

bool tar_reader_xattr(struct tar_reader *r, const char **ret_name, const void **ret_value,
		      size_t *ret_n)
{
	struct tar_xattr x;

	if (!r->ops->xattr(r, &x))
		return false;
	*ret_name = x.name;
	*ret_value = x.value;
	*ret_n = x.len;
	return true;
}

bool tar_reader_range(struct tar_reader *r, struct tar_range *ret)
{
	return r->ops->range(r, ret);
}

bool tar_keeps_xattr(const char *name)
{
	return !strncmp(name, "user.", 5) || streq(name, "security.capability");
}

/* Redirects, metacopies and origins name files of lower layers, which are the same on another
 * host; handles in origin are not, and overlayfs does without. */
bool tar_is_overlay_xattr(const char *name)
{
	static const char *const names[] = { "trusted.overlay.opaque", "trusted.overlay.redirect",
					     "trusted.overlay.metacopy" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(names[i], name))
			return true;
	return false;
}

/* ---- writers ---- */

void tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_links; i++)
		free(w->links[i].name);
	free(w->links);
	w->ops->free(w);
}

struct err *tar_writer_put(struct tar_writer *w, const struct tar_entry *e,
			   const struct tar_more *more)
{
	w->at = 0;
	return w->ops->put(w, e, more);
}

struct err *tar_writer_entry(struct tar_writer *w, const struct tar_entry *e)
{
	return tar_writer_put(w, e, NULL);
}

struct err *tar_writer_block(struct tar_writer *w, const void *data, size_t n, int64_t offset)
{
	w->at = offset + (int64_t)n;
	return w->ops->block(w, data, n, offset);
}

struct err *tar_writer_data(struct tar_writer *w, const void *data, size_t n)
{
	return tar_writer_block(w, data, n, w->at);
}

struct err *tar_writer_fd(struct tar_writer *w, const struct tar_entry *e, int fd)
{
	OWN(mem) char *buf = xcalloc(COPY_BYTES, 1);
	struct tar_entry own = *e;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(errno, "%s", e->name);
	own.type = TAR_FILE;
	own.size = st.st_size;
	TRY(tar_writer_entry(w, &own));
	while ((n = read(fd, buf, COPY_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(errno, "%s: read", e->name);
		TRY_MSG(tar_writer_data(w, buf, (size_t)n), "%s", e->name);
	}
	return NULL;
}

struct err *tar_writer_finish(struct tar_writer *w)
{
	return w->ops->finish(w);
}

/* ---- from one to the other ---- */

/* Borrowed from the reader until its next entry. */
struct beside {
	struct tar_xattr *xattrs;
	struct tar_range *ranges;
	size_t n_xattrs, n_ranges;
};

static void own_beside_release(struct beside *b)
{
	free(b->xattrs);
	free(b->ranges);
}

static void collect(struct tar_reader *r, struct beside *b)
{
	struct tar_xattr x;
	struct tar_range range;

	while (r->ops->xattr(r, &x)) {
		if (!tar_keeps_xattr(x.name))
			continue;
		b->xattrs = xrealloc(b->xattrs, b->n_xattrs + 1, sizeof(x));
		b->xattrs[b->n_xattrs++] = x;
	}
	while (r->ops->range(r, &range)) {
		b->ranges = xrealloc(b->ranges, b->n_ranges + 1, sizeof(range));
		b->ranges[b->n_ranges++] = range;
	}
}

static struct err *relay_data(struct tar_reader *r, struct tar_writer *w)
{
	const void *data;
	int64_t offset = 0;
	size_t n = 0;

	for (;;) {
		TRY(tar_reader_block(r, &data, &n, &offset));
		if (!n)
			return NULL;
		TRY(tar_writer_block(w, data, n, offset));
	}
}

static struct err *relay_one(struct tar_reader *r, struct tar_writer *w, const struct tar_entry *e)
{
	OWN(beside) struct beside b = { 0 };

	collect(r, &b);
	TRY(tar_writer_put(w, e,
			   &(struct tar_more) { .xattrs = b.xattrs,
						.n_xattrs = b.n_xattrs,
						.ranges = b.ranges,
						.n_ranges = b.n_ranges }));
	return e->type == TAR_FILE ? relay_data(r, w) : NULL;
}

struct err *tar_relay(struct tar_reader *r, struct tar_writer *w,
		      struct err *(*check)(void *arg, const struct tar_entry *e), void *arg)
{
	const struct tar_entry *e = NULL;

	for (;;) {
		TRY(tar_reader_next(r, &e));
		if (!e)
			return NULL;
		if (check)
			TRY(check(arg, e));
		if (e->type != TAR_OTHER)
			TRY(relay_one(r, w, e));
	}
}
