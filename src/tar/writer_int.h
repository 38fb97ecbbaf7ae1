/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TAR_WRITER_INT_H
#define TAR_WRITER_INT_H

#include "tar/tar.h"

struct archive;
struct archive_entry;

/* A file with several links that has been written under its first name. */
struct tar_link {
	dev_t dev;
	ino_t ino;
	char *name;
};

struct tar_writer {
	struct archive *archive;
	int fd;
	struct err *error; /* of the sink, kept while libarchive unwinds */
	struct tar_link *links;
	size_t n_links;
};

/** tar_writer_header() - libarchive's form of an entry; new object */
struct archive_entry *tar_writer_header(const struct tar_entry *e);

/** tar_writer_put() - write a header; consumes @h */
struct err *tar_writer_put(struct tar_writer *w, struct archive_entry *h) MUST_USE;

/** tar_writer_copy() - data of an entry from a descriptor, to its end */
struct err *tar_writer_copy(struct tar_writer *w, int fd) MUST_USE;

/** tar_writer_error() - the sink's error if it had one, else libarchive's words */
struct err *tar_writer_error(struct tar_writer *w, const char *what) MUST_USE;

#endif
