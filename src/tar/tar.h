/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TAR_TAR_H
#define TAR_TAR_H

/*
 * Tar archives: a reader and a writer, on libarchive, and the one safe extractor and packer,
 * which need no libarchive: they also read and write a stream of our own (tar/stream.h), by
 * which small programs move trees.  tar_core_dep is what does without libarchive.
 *
 * Names in archives are foreign.  The extractor resolves each below a root
 * folder that it is given (openat2, RESOLVE_IN_ROOT): an absolute name, a
 * symbolic link and a hard link mean something inside it or nothing at all, and a
 * name that climbs out by ".." is refused.  Callers add a jail of their own.
 *
 * Context: workers (hostel-image); everything blocks.  The process must have
 * called setlocale(LC_CTYPE, "C.UTF-8"), by which libarchive reads names.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/source.h"
#include "util/str.h"

enum tar_type {
	TAR_FILE,
	TAR_DIR,
	TAR_SYMLINK,
	TAR_HARDLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_FIFO,
	TAR_OTHER, /* a kind that no file system here can hold */
};

struct tar_entry {
	const char *name; /* as in the archive; borrowed until the next entry */
	enum tar_type type;
	const char *link; /* of TAR_SYMLINK, TAR_HARDLINK */
	unsigned mode;    /* permission bits, setuid, setgid, sticky */
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	int64_t size, mtime_ns;
};

/* A part of a file that holds data; the rest are holes. */
struct tar_range {
	int64_t offset, len;
};

struct tar_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* What an entry has beside; borrowed. */
struct tar_more {
	const struct tar_xattr *xattrs;
	size_t n_xattrs;
	const struct tar_range *ranges; /* in order; none: there is no hole */
	size_t n_ranges;
};

/* ---- reading ---- */

struct tar_reader;

struct tar_reader_ops {
	struct err *(*next)(struct tar_reader *r, const struct tar_entry **ret);
	struct err *(*block)(struct tar_reader *r, const void **ret_data, size_t *ret_n,
			     int64_t *ret_offset);
	bool (*xattr)(struct tar_reader *r, struct tar_xattr *ret);
	bool (*range)(struct tar_reader *r, struct tar_range *ret);
	void (*free)(struct tar_reader *r);
};

/* First member of each kind of reader. */
struct tar_reader {
	const struct tar_reader_ops *ops;
};

/** tar_reader_new() - read an uncompressed archive; an empty source is an empty archive */
struct err *tar_reader_new(struct source in, struct tar_reader **ret) MUST_USE;
/** tar_reader_free() - let go of the reader; its source stays */
void tar_reader_free(struct tar_reader *r);
DEFINE_OWN(tar_reader, tar_reader_free)

/**
 * tar_reader_next() - go to the next entry; data of the one before that are unread are skipped
 * @ret: borrowed until the next call; NULL at the end
 * Return: NULL; ERR_CORRUPT for what is no tar; the source's error.
 */
struct err *tar_reader_next(struct tar_reader *r, const struct tar_entry **ret) MUST_USE;

/**
 * tar_reader_block() - next piece of the entry's data
 * @ret_data:   borrowed until the next call
 * @ret_n:      0 at the end
 * @ret_offset: where it belongs in the file; what is skipped is a hole
 */
struct err *tar_reader_block(struct tar_reader *r, const void **ret_data, size_t *ret_n,
			     int64_t *ret_offset) MUST_USE;

/** tar_reader_xattr() - next extended attribute of the entry; false: no more; borrowed */
bool tar_reader_xattr(struct tar_reader *r, const char **ret_name, const void **ret_value,
		      size_t *ret_n);

/** tar_reader_range() - next part of a sparse file that holds data; false: no more */
bool tar_reader_range(struct tar_reader *r, struct tar_range *ret);

struct tar_inflate;

/**
 * tar_inflate_new() - decompress what unz does not know (xz, bzip2)
 * @ret: to be read as a source by tar_inflate_source()
 */
struct err *tar_inflate_new(struct source in, struct tar_inflate **ret) MUST_USE;
/** tar_inflate_free() - let go; the source below stays */
void tar_inflate_free(struct tar_inflate *t);
DEFINE_OWN(tar_inflate, tar_inflate_free)
/** tar_inflate_source() - the decompressed bytes; ERR_CORRUPT for damaged data */
struct source tar_inflate_source(struct tar_inflate *t);

/* ---- extracting ---- */

enum tar_devices {
	TAR_DEVICES_SAFE, /* null, zero, full, random, urandom, tty, console, ptmx; others are left
			   * out */
	TAR_DEVICES_NONE, /* all are left out */
};

struct tar_extract {
	int root_fd;      /* the folder that nothing leaves; O_PATH will do */
	const char *into; /* folder below it that names are relative to; NULL: the root itself */
	struct source in; /* uncompressed */
	bool whiteouts;   /* OCI whiteouts become overlayfs ones */
	bool keep_kind;   /* refuse to replace a folder by something else, and the reverse */
	bool same_owner;  /* take uid and gid from the archive */
	bool is_upper;    /* the tree is an overlay's upper folder: what tar_pack_upper() says */
	enum tar_devices devices;
};

struct tar_stats {
	int64_t entries;
	int64_t bytes;   /* of regular files */
	int64_t skipped; /* device nodes left out by policy */
};

/**
 * tar_extract() - unpack an archive
 * @ret: may be NULL
 *
 * What exists is replaced, as a later entry of the same archive replaces an earlier one.
 * Attributes kept: user.*, security.capability; others are dropped.
 * Return: NULL; ERR_CORRUPT for an archive that is damaged or tries to leave; ERR_INVALID with
 *         keep_kind; a system error (ERR_LIMIT when the disk is full).
 */
struct err *tar_extract(const struct tar_extract *x, struct tar_stats *ret) MUST_USE;

/** tar_extract_from() - the same from a reader, borrowed; @x->in is not looked at */
struct err *tar_extract_from(const struct tar_extract *x, struct tar_reader *r,
			     struct tar_stats *ret) MUST_USE;

/**
 * tar_clean_name() - a name of an archive relative to its root, "" for the root itself
 * "./a//b/../c" and "/a/c" are "a/c".
 * Return: NULL; ERR_CORRUPT when it climbs out or is too long.
 */
struct err *tar_clean_name(const char *name, struct str *ret) MUST_USE;

/* ---- writing ---- */

struct tar_writer;

struct tar_writer_ops {
	struct err *(*put)(struct tar_writer *w, const struct tar_entry *e,
			   const struct tar_more *more);
	/* Data of an entry, in order; what is left out between them is zeros. */
	struct err *(*block)(struct tar_writer *w, const void *data, size_t n, int64_t offset);
	struct err *(*finish)(struct tar_writer *w);
	void (*free)(struct tar_writer *w);
};

/* A file with several links that has been written under its first name. */
struct tar_link {
	dev_t dev;
	ino_t ino;
	char *name;
};

/* First member of each kind of writer; the rest of it is the packer's. */
struct tar_writer {
	const struct tar_writer_ops *ops;
	int64_t at;    /* of the data of the entry */
	bool is_upper; /* tar_pack_upper() */
	struct tar_link *links;
	size_t n_links;
};

/** tar_writer_new() - write a pax archive to a blocking descriptor, borrowed */
struct err *tar_writer_new(int fd, struct tar_writer **ret) MUST_USE;

/** tar_writer_free() - let go; an archive that was not finished is damaged on purpose */
void tar_writer_free(struct tar_writer *w);
DEFINE_OWN(tar_writer, tar_writer_free)

/** tar_writer_entry() - begin an entry; TAR_FILE is followed by exactly size bytes of data */
struct err *tar_writer_entry(struct tar_writer *w, const struct tar_entry *e) MUST_USE;

/** tar_writer_put() - the same, with attributes and holes; @more may be NULL */
struct err *tar_writer_put(struct tar_writer *w, const struct tar_entry *e,
			   const struct tar_more *more) MUST_USE;

/** tar_writer_data() - next piece of the entry's data */
struct err *tar_writer_data(struct tar_writer *w, const void *data, size_t n) MUST_USE;

/** tar_writer_block() - data of the entry at @offset, not before those written already */
struct err *tar_writer_block(struct tar_writer *w, const void *data, size_t n,
			     int64_t offset) MUST_USE;

/** tar_writer_fd() - an entry with all that is in a regular file */
struct err *tar_writer_fd(struct tar_writer *w, const struct tar_entry *e, int fd) MUST_USE;

/** tar_writer_finish() - end-of-archive marker; the last call but free */
struct err *tar_writer_finish(struct tar_writer *w) MUST_USE;

/**
 * tar_pack() - add a file or a tree, links between its files included
 * @dir_fd, @base: what to add; "." is @dir_fd itself.  A symbolic link is added as one
 * @name:          its name in the archive; "" leaves the top folder itself out; "/" is the
 *                 root (children are "/bin")
 * Mounts below it are entered.  Files that vanish meanwhile are left out; one that shrinks
 * is filled up with zeros.  Sockets are left out.
 */
struct err *tar_pack(struct tar_writer *w, int dir_fd, const char *base, const char *name) MUST_USE;

/**
 * tar_pack_upper() - tar_pack() of an overlay's upper folder, for one of our own extractors
 * Its whiteouts and overlayfs' attributes come along as they are; both ends say that they are
 * wanted (is_upper), since nobody else should get at them.
 */
struct err *tar_pack_upper(struct tar_writer *w, int dir_fd, const char *base,
			   const char *name) MUST_USE;

/**
 * tar_relay() - every entry of a reader to a writer, which is not finished
 * @check: called before each entry; its error ends the relay; may be NULL
 * Kinds that no file system here can hold are left out.
 */
struct err *tar_relay(struct tar_reader *r, struct tar_writer *w,
		      struct err *(*check)(void *arg, const struct tar_entry *e),
		      void *arg) MUST_USE;

/** tar_keeps_xattr() - is it an attribute that is carried: user.*, security.capability? */
bool tar_keeps_xattr(const char *name);

/** tar_is_overlay_xattr() - is it one by which overlayfs says what hides and what is hidden? */
bool tar_is_overlay_xattr(const char *name);

#endif
