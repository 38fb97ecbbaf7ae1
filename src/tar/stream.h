/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TAR_STREAM_H
#define TAR_STREAM_H

/*
 * A tree as a stream of records, between programs of ours: what an archive says, without
 * its formats.  A record is a header of 8 bytes and a body, numbers little-endian:
 *
 *	u8 kind, u8[3] 0, u32 body length
 *
 *	TEXT	JSON; what the two ends have to say beside
 *	ENTRY	u8 type, u32 mode, uid, gid, major, minor, i64 size, mtime_ns,
 *		u32 n + name, u32 n + link, u32 n of attributes: u32 n + name, u32 n + value,
 *		u32 n of ranges: i64 offset, len
 *	DATA	i64 offset, bytes: of the entry before
 *	END	no more entries
 *
 * The sender is not trusted: whatever breaks these rules is ERR_CORRUPT.
 *
 * Context: everything blocks.
 */

#include "tar/tar.h"

#define TAR_RECORD_MAX (1u << 20) /* body */

enum tar_record { TAR_TEXT = 1, TAR_ENTRY, TAR_DATA, TAR_END };

/* Where bytes go. */
struct tar_sink {
	struct err *(*write)(void *arg, const void *data, size_t n);
	void *arg;
};

/** tar_sink_fd() - a blocking descriptor; @fd must outlive the sink and is borrowed */
struct tar_sink tar_sink_fd(int *fd);

/** tar_stream_put() - one record of bytes; @n at most TAR_RECORD_MAX */
struct err *tar_stream_put(const struct tar_sink *out, enum tar_record kind, const void *body,
			   size_t n) MUST_USE;

/**
 * tar_stream_get() - the next record
 * @ret_kind: enum tar_record, or 0 at the end of the source between records
 * @body:     replaced by its body
 */
struct err *tar_stream_get(struct source in, unsigned *ret_kind, struct str *body) MUST_USE;

/** tar_stream_writer_new() - finish writes END */
struct tar_writer *tar_stream_writer_new(struct tar_sink out);

/** tar_stream_reader_new() - ends with END; TEXT among the entries is ERR_CORRUPT */
struct tar_reader *tar_stream_reader_new(struct source in);

/** tar_stream_text() - a TEXT record where entries should have been, the reader's error's cause;
 *  borrowed, NULL: there was none */
const char *tar_stream_text(const struct tar_reader *r, size_t *ret_len);

#endif
