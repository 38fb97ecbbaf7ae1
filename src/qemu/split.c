/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/split.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

#define PAGE        4096u
#define BUFFER      (1u << 20)
#define RUN_PAGES   256
#define OUT_BYTES   (64u * 1024)
#define MAGIC       0x5145564du
#define FILE_FORMAT 3u
#define NAME_MAX_   256

enum section { START = 1, PART = 2, END = 3, FULL = 4, CONFIGURATION = 7, FOOTER = 0x7e };

enum page_flags {
	PAGE_ZERO = 0x02,
	PAGE_SIZES = 0x04,
	PAGE_WHOLE = 0x08,
	PAGE_EOS = 0x10,
	PAGE_SAME_BLOCK = 0x20,
	PAGE_KNOWN = PAGE_ZERO | PAGE_SIZES | PAGE_WHOLE | PAGE_EOS | PAGE_SAME_BLOCK,
};

struct work {
	const struct split *s;
	struct split_counts counts;
	/* what was read */
	uint8_t *in;
	size_t at, len;
	/* of the stream, not yet written */
	uint8_t *out;
	size_t out_len;
	/* pages of the memory that follow one another */
	struct iovec run[RUN_PAGES];
	int n_run;
	uint64_t run_at;
	uint8_t *written; /* a bit for each page */
	char block[NAME_MAX_];
	bool is_ours; /* the block that is ours */
};

static struct err *flush_run(struct work *w)
{
	ssize_t want = (ssize_t)w->n_run * PAGE;
	ssize_t n = w->n_run ? pwritev(w->s->memory, w->run, w->n_run, (off_t)w->run_at) : 0;

	if (n < 0)
		return err_sys(errno, "write the memory");
	if (n < want)
		return err_sys(ENOSPC, "write the memory");
	w->counts.memory_bytes += (uint64_t)want;
	w->n_run = 0;
	return NULL;
}

/* ---- reading ---- */

/* At least @n bytes from w->in + w->at on; false at the end. */
static struct err *fill(struct work *w, size_t n, bool *ret_is_end)
{
	*ret_is_end = false;
	if (w->len - w->at >= n)
		return NULL;
	TRY(flush_run(w)); /* it points into the buffer */
	memmove(w->in, w->in + w->at, w->len - w->at);
	w->len -= w->at;
	w->at = 0;
	while (w->len < n) {
		ssize_t got = read(w->s->from, w->in + w->len, BUFFER - w->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(errno, "read QEMU's stream");
		if (!got) {
			*ret_is_end = true;
			return NULL;
		}
		w->len += (size_t)got;
	}
	return NULL;
}

static struct err *take(struct work *w, size_t n, const uint8_t **ret)
{
	bool is_end;

	TRY(fill(w, n, &is_end));
	if (is_end)
		return err_new(ERR_CORRUPT, "QEMU's stream ends too early");
	*ret = w->in + w->at;
	w->at += n;
	return NULL;
}

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* ---- the stream ---- */

static struct err *flush_out(struct work *w)
{
	TRY_MSG(fd_write_all(w->s->stream, w->out, w->out_len), "write the stream");
	w->counts.stream_bytes += w->out_len;
	w->out_len = 0;
	return NULL;
}

static struct err *put(struct work *w, const void *data, size_t n)
{
	if (w->out_len + n > OUT_BYTES)
		TRY(flush_out(w));
	memcpy(w->out + w->out_len, data, n);
	w->out_len += n;
	return NULL;
}

/* @n bytes go on as they are; @ret: where they are, until the next call. */
static struct err *pass(struct work *w, size_t n, const uint8_t **ret)
{
	TRY(take(w, n, ret));
	return put(w, *ret, n);
}

static struct err *pass_number(struct work *w, size_t n, uint64_t *ret)
{
	const uint8_t *p;

	TRY(pass(w, n, &p));
	*ret = be(p, n);
	return NULL;
}

/* A length of one byte, and a name. */
static struct err *pass_name(struct work *w, char *ret)
{
	const uint8_t *p;
	uint64_t n;

	TRY(pass_number(w, 1, &n));
	TRY(pass(w, n, &p));
	memcpy(ret, p, n);
	ret[n] = '\0';
	return NULL;
}

/* ---- pages ---- */

static bool was_written(struct work *w, uint64_t at)
{
	return w->written[at / PAGE / 8] & 1u << at / PAGE % 8;
}

static struct err *keep_page(struct work *w, uint64_t at, const uint8_t *data)
{
	if (w->n_run == RUN_PAGES || (w->n_run && at != w->run_at + (uint64_t)w->n_run * PAGE))
		TRY(flush_run(w));
	if (!w->n_run)
		w->run_at = at;
	w->run[w->n_run++] = (struct iovec) { (void *)(uintptr_t)data, PAGE };
	w->written[at / PAGE / 8] |= (uint8_t)(1u << at / PAGE % 8);
	return NULL;
}

/* A page that was not zero when it was sent before. */
static struct err *clear_page(struct work *w, uint64_t at)
{
	static const uint8_t zero[PAGE];

	TRY(flush_run(w));
	return keep_page(w, at, zero);
}

static struct err *our_page(struct work *w, uint64_t at, unsigned flags)
{
	const uint8_t *p;

	if (at % PAGE || at >= w->s->block_bytes)
		return err_new(ERR_CORRUPT, "a page outside the guest's memory");
	if (flags & PAGE_WHOLE) {
		TRY(take(w, PAGE, &p));
		return keep_page(w, at, p);
	}
	TRY(take(w, 1, &p));
	if (*p)
		return err_new(ERR_UNSUPPORTED, "a page filled with %u", *p);
	return was_written(w, at) ? clear_page(w, at) : NULL;
}

/* Pages of ROMs and the like stay in the stream. */
static struct err *other_page(struct work *w, const uint8_t head[8], unsigned flags)
{
	size_t name = strlen(w->block);
	const uint8_t *p;
	uint8_t len = (uint8_t)name;

	TRY(put(w, head, 8));
	if (!(flags & PAGE_SAME_BLOCK)) {
		TRY(put(w, &len, 1));
		TRY(put(w, w->block, name));
	}
	return pass(w, flags & PAGE_WHOLE ? PAGE : 1, &p);
}

static struct err *read_block_name(struct work *w)
{
	const uint8_t *p;
	size_t n;

	TRY(take(w, 1, &p));
	n = *p;
	TRY(take(w, n, &p));
	memcpy(w->block, p, n);
	w->block[n] = '\0';
	w->is_ours = streq(w->block, w->s->block);
	return NULL;
}

static struct err *one_page(struct work *w, const uint8_t head[8], unsigned flags)
{
	uint64_t at = be(head, 8) & ~(uint64_t)(PAGE - 1);

	if (!(flags & PAGE_SAME_BLOCK))
		TRY(read_block_name(w));
	if (w->is_ours)
		return our_page(w, at, flags);
	return other_page(w, head, flags);
}

/* The list of blocks: names and lengths. */
static struct err *sizes(struct work *w, uint64_t total)
{
	bool is_there = false;

	while (total) {
		char name[NAME_MAX_];
		uint64_t bytes;

		TRY(pass_name(w, name));
		TRY(pass_number(w, 8, &bytes));
		if (!bytes || bytes > total)
			return err_new(ERR_CORRUPT, "a list of memory that does not add up");
		if (streq(name, w->s->block)) {
			is_there = bytes == w->s->block_bytes;
		}
		total -= bytes;
	}
	return is_there ? NULL
			: err_new(ERR_UNSUPPORTED, "no memory \"%s\" of %llu bytes", w->s->block,
				  (unsigned long long)w->s->block_bytes);
}

/* What a "ram" section holds, up to its end mark. */
static struct err *ram(struct work *w)
{
	for (;;) {
		uint8_t head[8];
		const uint8_t *p;
		unsigned flags;

		TRY(take(w, 8, &p));
		memcpy(head, p, 8);
		flags = (unsigned)be(head, 8) & (PAGE - 1);
		if (flags & ~(unsigned)PAGE_KNOWN)
			return err_new(ERR_UNSUPPORTED, "pages of kind %#x", flags);
		if (flags & PAGE_EOS)
			return put(w, head, 8);
		if (flags & PAGE_SIZES) {
			TRY(put(w, head, 8));
			TRY(sizes(w, be(head, 8) & ~(uint64_t)(PAGE - 1)));
		} else if (flags & (PAGE_WHOLE | PAGE_ZERO)) {
			TRY(one_page(w, head, flags));
		} else {
			return err_new(ERR_CORRUPT, "a page without a kind");
		}
	}
}

/* ---- sections ---- */

static struct err *section_start(struct work *w)
{
	char name[NAME_MAX_];
	uint64_t skip;

	TRY(pass_name(w, name));
	TRY(pass_number(w, 8, &skip)); /* instance and version */
	if (!streq(name, "ram"))
		return err_new(ERR_UNSUPPORTED, "QEMU's stream has a section \"%s\"", name);
	return NULL;
}

static struct err *configuration(struct work *w)
{
	const uint8_t *p;
	uint64_t n;

	TRY(pass_number(w, 4, &n));
	if (n > NAME_MAX_)
		return err_new(ERR_CORRUPT, "QEMU's stream has no machine's name");
	return pass(w, n, &p);
}

/* @ret: the devices begin. */
static struct err *section(struct work *w, bool *ret_is_rest)
{
	uint64_t type, id, mark;

	TRY(pass_number(w, 1, &type));
	*ret_is_rest = type == FULL;
	if (type == FULL)
		return NULL;
	if (type == CONFIGURATION)
		return configuration(w);
	if (type != START && type != PART && type != END)
		return err_new(ERR_UNSUPPORTED, "QEMU's stream has a section of type %u",
			       (unsigned)type);
	TRY(pass_number(w, 4, &id));
	if (type == START)
		TRY(section_start(w));
	TRY(ram(w));
	TRY(pass_number(w, 1, &mark));
	if (mark != FOOTER)
		return err_new(ERR_CORRUPT, "a section without its end");
	return pass_number(w, 4, &id);
}

static struct err *rest(struct work *w)
{
	bool is_end = false;

	while (!is_end) {
		TRY(flush_out(w));
		TRY_MSG(fd_write_all(w->s->stream, w->in + w->at, w->len - w->at),
			"write the stream");
		w->counts.stream_bytes += w->len - w->at;
		w->at = w->len;
		TRY(fill(w, 1, &is_end));
	}
	return NULL;
}

static struct err *run(struct work *w)
{
	bool is_rest = false;
	uint64_t magic, format;

	TRY(pass_number(w, 4, &magic));
	TRY(pass_number(w, 4, &format));
	if (magic != MAGIC || format != FILE_FORMAT)
		return err_new(ERR_CORRUPT, "not a stream of QEMU's");
	while (!is_rest)
		TRY(section(w, &is_rest));
	TRY(flush_run(w));
	return rest(w);
}

struct err *split_stream(const struct split *s, struct split_counts *ret)
{
	OWN(mem) uint8_t *in = xcalloc(1, BUFFER);
	OWN(mem) uint8_t *out = xcalloc(1, OUT_BYTES);
	OWN(mem) uint8_t *written = xcalloc(s->block_bytes / PAGE / 8 + 1, 1);
	OWN(mem) struct work *w = xnew(struct work);

	*w = (struct work) { .s = s, .in = in, .out = out, .written = written };
	if (ftruncate(s->memory, (off_t)s->block_bytes) < 0)
		return err_sys(errno, "make the memory's file");
	TRY(run(w));
	*ret = w->counts;
	return NULL;
}
