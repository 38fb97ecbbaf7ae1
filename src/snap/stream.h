/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAP_STREAM_H
#define SNAP_STREAM_H

/*
 * A tree as bytes (docs/protocols.md, "Snapshots"): what a section's checksum is of, and how it
 * lies in an exported file.  The same tree gives the same bytes on every host.  Numbers are
 * little-endian:
 *
 *	NODE	u8 kind, u16 n + name, u32 mode, uid, gid, i64 mtime_ns, u64 size, u32 major,
 *		minor, shared, same_as, u16 n + link, u16 of attributes: u16 n + name, u32 n + value
 *		kind: D folder, F file, O other (a further name, a link, a device, a fifo, a socket)
 *	DATA	after F: i64 offset, u32 n, bytes; blocks of 64 KiB at multiples of that, in order,
 *		those of zeros left out; offset -1 ends the file
 *	U	end of a folder: u8
 *	E	end of the tree: u8, 64 hex digits: sha256 of all before the E
 *
 * Context: blocks.  What is read is not trusted: whatever breaks these rules is ERR_CORRUPT.
 */

#include "snap/tree.h"
#include "util/source.h"

#define SNAP_BLOCK 65536
#define SNAP_HEX   65

/**
 * snap_stream_write() - a tree to a descriptor
 * @fd:     -1: nowhere, only the checksum is wanted
 * @ret:    its checksum, hex; @ret_bytes: of files' content that is no hole; may be NULL
 */
struct err *snap_stream_write(int tree_fd, int fd, const struct snap_progress *p,
			      char ret[SNAP_HEX], int64_t *ret_bytes) MUST_USE;

/* Streams are read in small pieces, and one follows the other: what is below them is not. */
struct snap_buffer {
	struct source in;
	size_t at, end;
	char buf[256 * 1024];
};

/** snap_buffer_source() - @b, zero but for in, as a source; it must outlive what reads from it */
struct source snap_buffer_source(struct snap_buffer *b);

/**
 * snap_stream_read() - make the tree that a stream says
 * @in:   read no further than its end
 * @name: of its top in @dir_fd, a folder that nobody else writes to
 * @ret:  its checksum, which was compared with what the stream says
 */
struct err *snap_stream_read(struct source in, int dir_fd, const char *name,
			     const struct snap_progress *p, char ret[SNAP_HEX]) MUST_USE;

#endif
