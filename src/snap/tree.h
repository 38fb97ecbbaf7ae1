/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SNAP_TREE_H
#define SNAP_TREE_H

/*
 * Whole trees, as they are: owners, times, extended attributes (overlayfs's too), devices
 * (whiteouts are such), hard links, holes.  A walk goes through a tree and tells a sink of
 * every node in it, in the order of their names; sinks are a copy (snap_copy()) and a stream
 * (snap/stream.h).  Symbolic links are nodes and never followed, mounts are not entered.
 *
 * Context: a worker; blocks.
 */

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/err.h"

#define SNAP_DEPTH_MAX 1024
#define SNAP_XATTRS    64

struct snap_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* Borrowed. */
struct snap_node {
	const char *name; /* one component; "" is the top */
	mode_t mode;      /* with its kind */
	uid_t uid;
	gid_t gid;
	int64_t mtime_ns, size; /* size of files only */
	dev_t rdev;
	const char *link; /* of a symbolic link */
	/* Files of several names have a number each, from 1 on, at their first name. */
	uint32_t shared;
	uint32_t same_as; /* it is a further name of that number; the rest does not count */
	const struct snap_xattr *xattrs;
	size_t n_xattrs;
};

struct snap_sink {
	struct err *(*enter)(void *arg, const struct snap_node *n); /* a folder */
	struct err *(*leave)(void *arg);
	struct err *(*file)(void *arg, const struct snap_node *n, int fd); /* its content */
	struct err *(*other)(void *arg, const struct snap_node *n);        /* with same_as */
	void *arg;
};

/** snap_walk() - a file or a tree; @fd: its top, open for reading; borrowed */
struct err *snap_walk(int fd, const struct snap_sink *sink) MUST_USE;

/* ---- making a tree ---- */

struct snap_builder;

/**
 * snap_builder_new() - make nodes below a folder that nobody else writes to
 * @dir_fd:   borrowed
 * @top_name: the top's name in it
 */
struct snap_builder *snap_builder_new(int dir_fd, const char *top_name);
void snap_builder_free(struct snap_builder *b);
DEFINE_OWN(snap_builder, snap_builder_free)

struct err *snap_build_enter(struct snap_builder *b, const struct snap_node *n) MUST_USE;
struct err *snap_build_leave(struct snap_builder *b) MUST_USE;
struct err *snap_build_other(struct snap_builder *b, const struct snap_node *n) MUST_USE;
/** snap_build_file() - make an empty file; snap_build_filled() - its content is in @fd, consumed */
struct err *snap_build_file(struct snap_builder *b, const struct snap_node *n,
			    int *ret_fd) MUST_USE;
struct err *snap_build_filled(struct snap_builder *b, const struct snap_node *n, int fd) MUST_USE;

/** snap_build_link() - a file that is the one at @fd, by a hard link: the same file system */
struct err *snap_build_link(struct snap_builder *b, const struct snap_node *n, int fd) MUST_USE;

/* Told of every so many bytes; NULL: nobody is. */
struct snap_progress {
	void (*fn)(void *arg, int64_t bytes); /* since the last time */
	void *arg;
};

/**
 * snap_copy() - @from_fd, a file or folder, to @name in @to_fd
 * Shares the content where the file system can (FICLONE), else copies it without its holes.
 * Return: NULL; ERR_LIMIT when the disk is full: what is half-made stays.
 */
struct err *snap_copy(int from_fd, int to_fd, const char *name,
		      const struct snap_progress *p) MUST_USE;

/** snap_link() - the same tree again, of the same files: nobody may write to them any more */
struct err *snap_link(int from_fd, int to_fd, const char *name) MUST_USE;

#endif
