/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LOG_READ_H
#define SHIM_LOG_READ_H

/*
 * Reader of an instance's json-file log, rotated files oldest first, entry by
 * entry, while it may be written and rotated by another process.
 *
 * Context: blocks only for the disk.
 */

#include <stdint.h>

#include "shim/entry.h"
#include "util/err.h"

struct log_reader;

struct log_query {
	int64_t since_ns, until_ns; /* wall clock; 0: no limit */
	int64_t tail;               /* at most so many entries from the end; -1: all */
};

enum log_next {
	LOG_ENTRY,
	LOG_END,  /* nothing more now; later there may be */
	LOG_DONE, /* an entry after until_ns was met */
};

/** log_reader_new() - @dir: the log's folder; one without any log reads as empty */
struct err *log_reader_new(const char *dir, const struct log_query *q,
			   struct log_reader **ret) MUST_USE;

/** log_reader_free() - NULL is fine */
void log_reader_free(struct log_reader *r);

/* OWN(log_reader) */
DEFINE_OWN(log_reader, log_reader_free)

/**
 * log_reader_next() - the next entry that was asked for
 * @ret: written for LOG_ENTRY; text is borrowed until the next call
 *
 * Lines that are no entries (cut by a crash) are skipped.
 */
enum log_next log_reader_next(struct log_reader *r, struct entry *ret) MUST_USE;

#endif
