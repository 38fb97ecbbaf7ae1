/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TAR_READER_INT_H
#define TAR_READER_INT_H

/* How libarchive pulls from a struct source. */

#include "tar/tar.h"

struct archive;

struct tar_feed {
	struct source in;
	void *buf;
	struct err *error; /* what the source said, kept while libarchive unwinds */
};

/** tar_feed_open() - open @a on @in; @f must stay where it is, and be done after @a was freed */
struct err *tar_feed_open(struct tar_feed *f, struct source in, struct archive *a) MUST_USE;

/** tar_feed_done() - after archive_read_free() */
void tar_feed_done(struct tar_feed *f);

/** tar_feed_error() - the source's error if it had one, else libarchive's words */
struct err *tar_feed_error(struct tar_feed *f, struct archive *a, const char *what) MUST_USE;

#endif
