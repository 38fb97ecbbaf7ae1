/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_SNAPSHOT_H
#define WORKER_SNAPSHOT_H

/* What the jobs on snapshots share. */

#include "json/json.h"
#include "snap/tree.h"
#include "worker/job.h"

/* How far a job is, told ten times a second at most. */
struct snapshot_meter {
	struct job *j;
	const char *what;
	int64_t bytes, total; /* total 0: not known */
	int64_t told_ns;
};

/** snapshot_progress() - @m as what trees tell of their bytes; it must outlive it */
struct snap_progress snapshot_progress(struct snapshot_meter *m);

/** snapshot_open() - a folder below another, or a file's path; @flags beside O_CLOEXEC */
struct err *snapshot_open(int dir_fd, const char *path, int flags, int *ret_fd) MUST_USE;

/** snapshot_read_header() - of a snapshot's folder */
struct err *snapshot_read_header(int dir_fd, json_t **ret) MUST_USE;

/** snapshot_write_header() - into a snapshot's folder */
struct err *snapshot_write_header(int dir_fd, const json_t *header) MUST_USE;

/** snapshot_differs() - ERR_CORRUPT with the section's name */
struct err *snapshot_differs(const char *section) MUST_USE;

#endif
