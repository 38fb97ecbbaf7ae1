/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_LOG_WRITE_H
#define SHIM_LOG_WRITE_H

/*
 * Writer of an instance's json-file log: LOG_DIR/json.log, rotated to json.log.1,
 * .2, … (higher is older).  Output becomes lines; a line without its end is kept
 * in memory until the end comes, or 16 KiB of it (then it is written in parts).
 *
 * A full disk must not stop the instance: what cannot be written is dropped,
 * the first time with a line on our own log.
 *
 * Context: one thread; writes to a regular file, so it may wait for the disk.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define LOG_NAME              "json.log"
#define LOG_MAX_BYTES_DEFAULT (10 * 1024 * 1024)
#define LOG_MAX_FILES_DEFAULT 3

struct log_writer;

struct log_config {
	const char *dir;   /* made when it does not exist; borrowed for the life of the writer */
	int64_t max_bytes; /* of one file; 0: no limit */
	int max_files;     /* 1: the only file is emptied when it is full */
};

/** log_writer_new() - open the log for appending; a system error when it cannot */
struct err *log_writer_new(const struct log_config *c, struct log_writer **ret) MUST_USE;

/** log_writer_free() - write what is pending, and close */
void log_writer_free(struct log_writer *w);

/**
 * log_writer_put() - output of the instance
 * @stream:  SHIM_STDOUT or SHIM_STDERR
 * @time_ns: wall clock, of each line that ends in @data
 */
void log_writer_put(struct log_writer *w, int stream, const char *data, size_t len,
		    int64_t time_ns);

/** log_writer_end() - the stream has ended: write its last line even without an end */
void log_writer_end(struct log_writer *w, int stream, int64_t time_ns);

/** log_writer_pending() - the part of a line that is not in the file yet; borrowed */
const char *log_writer_pending(const struct log_writer *w, int stream, size_t *ret_len);

#endif
