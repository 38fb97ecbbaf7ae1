/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_REMOTE_H
#define WORKER_REMOTE_H

#include "worker/job.h"

/** remote_is_asked() - are the files in a VM, behind descriptor 4 ("rootfs": {"agent": true})? */
bool remote_is_asked(const struct job *j);

/** remote_files() - job "files" by asking hostel-guest (files/ask.h) */
struct err *remote_files(struct job *j, const char *op, json_t **ret_done) MUST_USE;

#endif
