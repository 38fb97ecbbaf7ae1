/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include "worker/job.h"

/** files_diff() - op "diff": what an instance changed over its image */
struct err *files_diff(struct job *j, const char *path, json_t **ret_done) MUST_USE;

#endif
