/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_DATA_H
#define WORKER_DATA_H

/*
 * The job's bulk data on their way in, decompressed; and what jobs on images share.
 */

#include "oci/image.h"
#include "tar/tar.h"
#include "unz/unz.h"
#include "worker/job.h"

struct data_in {
	int fd;
	struct unz *unz;
	struct tar_inflate *inflate; /* for xz and bzip2 */
};

/**
 * data_open() - the job's data as a source of plain bytes
 * @d: must stay where it is; data_done() in any case
 */
struct err *data_open(struct job *j, struct data_in *d, struct source *ret) MUST_USE;

/** data_done() - let go of the decompressors; the descriptor stays */
void data_done(struct data_in *d);
static inline void own_data_release(struct data_in *d)
{
	data_done(d);
}

/** job_platform() - what the job's images must be for: the host's platform */
struct err *job_platform(const struct job *j, struct oci_platform *ret) MUST_USE;

/** job_check_platform() - ERR_UNSUPPORTED when an image is for another platform */
struct err *job_check_platform(const struct job *j, const char *image,
			       const struct oci_platform *have) MUST_USE;

#endif
