/* SPDX-License-Identifier: Apache-2.0 */
#include "unz/unz.h"

#include <zlib.h>
#include <zstd.h>

#include "util/mem.h"

#define IN_BYTES (128 * 1024)

struct unz {
	struct source in;
	enum unz_kind kind;
	unsigned char *buf; /* IN_BYTES of input, [pos, len) is unread */
	size_t pos, len;
	bool in_ended;
	bool mid_stream; /* inside a gzip member or zstd frame */
	z_stream z;
	ZSTD_DStream *zstd;
};

struct magic {
	enum unz_kind kind;
	size_t len;
	const char *bytes;
};

static const struct magic magics[] = {
	{ UNZ_GZIP, 3, "\x1f\x8b\x08" },
	{ UNZ_ZSTD, 4, "\x28\xb5\x2f\xfd" },
	{ UNZ_XZ, 6,
	  "\xfd"
	  "7zXZ\0" },
	{ UNZ_BZIP2, 3, "BZh" },
};

const char *unz_kind_name(enum unz_kind kind)
{
	static const char *const names[UNZ_KINDS] = { "plain", "gzip", "zstd", "xz", "bzip2" };

	return names[kind];
}

static struct err *fill(struct unz *u)
{
	size_t n = 0;

	if (u->pos) {
		memmove(u->buf, u->buf + u->pos, u->len - u->pos);
		u->len -= u->pos;
		u->pos = 0;
	}
	TRY(u->in.read(u->in.arg, u->buf + u->len, IN_BYTES - u->len, &n));
	u->len += n;
	u->in_ended = !n;
	return NULL;
}

/* A zstd skippable frame, 0x184D2A50 to 5F, may come first. */
static bool is_skippable_zstd(const struct unz *u)
{
	return u->len >= 4 && (u->buf[0] & 0xf0) == 0x50 && !memcmp(u->buf + 1, "\x2a\x4d\x18", 3);
}

static enum unz_kind guess(const struct unz *u)
{
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		if (u->len >= magics[i].len && !memcmp(u->buf, magics[i].bytes, magics[i].len))
			return magics[i].kind;
	return is_skippable_zstd(u) ? UNZ_ZSTD : UNZ_PLAIN;
}

struct err *unz_new(struct source in, struct unz **ret)
{
	OWN(unz) struct unz *u = xnew(struct unz);

	u->in = in;
	u->buf = xcalloc(IN_BYTES, 1);
	while (u->len < 8 && !u->in_ended)
		TRY(fill(u));
	u->kind = guess(u);
	if (u->kind == UNZ_GZIP && inflateInit2(&u->z, 16 + MAX_WBITS) != Z_OK)
		abort();
	if (u->kind == UNZ_ZSTD) {
		u->zstd = ZSTD_createDStream();
		if (!u->zstd)
			abort();
	}
	*ret = TAKE(u);
	return NULL;
}

void unz_free(struct unz *u)
{
	if (!u)
		return;
	if (u->kind == UNZ_GZIP)
		inflateEnd(&u->z);
	ZSTD_freeDStream(u->zstd);
	free(u->buf);
	free(u);
}

enum unz_kind unz_kind(const struct unz *u)
{
	return u->kind;
}

static struct err *step_plain(struct unz *u, void *buf, size_t size, size_t *ret_n)
{
	size_t n = u->len - u->pos;

	if (!n)
		return u->in.read(u->in.arg, buf, size, ret_n);
	if (n > size)
		n = size;
	memcpy(buf, u->buf + u->pos, n);
	u->pos += n;
	*ret_n = n;
	return NULL;
}

static struct err *step_gzip(struct unz *u, void *buf, size_t size, size_t *ret_n)
{
	int r;

	if (!u->mid_stream)
		inflateReset(&u->z);
	u->mid_stream = true;
	u->z.next_in = u->buf + u->pos;
	u->z.avail_in = (uInt)(u->len - u->pos);
	u->z.next_out = buf;
	u->z.avail_out = (uInt)(size < (1u << 30) ? size : 1u << 30);
	uInt room = u->z.avail_out;

	r = inflate(&u->z, Z_NO_FLUSH);
	u->pos = u->len - u->z.avail_in;
	*ret_n = room - u->z.avail_out;
	if (r == Z_STREAM_END)
		u->mid_stream = false;
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return err_new(ERR_CORRUPT, "damaged gzip data: %s", u->z.msg ? u->z.msg : "?");
	return NULL;
}

static struct err *step_zstd(struct unz *u, void *buf, size_t size, size_t *ret_n)
{
	ZSTD_inBuffer in = { u->buf, u->len, u->pos };
	ZSTD_outBuffer out = { buf, size, 0 };
	size_t r = ZSTD_decompressStream(u->zstd, &out, &in);

	if (ZSTD_isError(r))
		return err_new(ERR_CORRUPT, "damaged zstd data: %s", ZSTD_getErrorName(r));
	u->mid_stream = r != 0;
	u->pos = in.pos;
	*ret_n = out.pos;
	return NULL;
}

static struct err *read_unz(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct unz *u = arg;
	size_t n = 0;

	if (u->kind != UNZ_GZIP && u->kind != UNZ_ZSTD)
		return step_plain(u, buf, size, ret_n);
	for (;;) {
		/* Output may be pending inside the decompressor without any more input. */
		if (u->pos < u->len || u->mid_stream)
			TRY(u->kind == UNZ_GZIP ? step_gzip(u, buf, size, &n)
						: step_zstd(u, buf, size, &n));
		if (n)
			break;
		if (u->pos == u->len && u->in_ended) {
			if (u->mid_stream)
				return err_new(ERR_CORRUPT, "%s data end early",
					       unz_kind_name(u->kind));
			break;
		}
		if (u->pos == u->len || u->mid_stream)
			TRY(fill(u));
	}
	*ret_n = n;
	return NULL;
}

struct source unz_source(struct unz *u)
{
	return (struct source) { .read = read_unz, .arg = u };
}
