/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WORKER_UNPACK_H
#define WORKER_UNPACK_H

/*
 * Unpacking one layer: a child of the worker, with the layer's new folder as its
 * root, in mount, network, IPC and UTS namespaces of its own and with few
 * capabilities, decompresses, digests and extracts; the worker checks the diff id and
 * puts the layer into the store.  Several can run at a time.
 *
 * Context: worker; the child dies with it.
 */

#include "tls/digest.h"
#include "worker/job.h"

struct unpack;

/**
 * unpack_start() - begin
 * @blob:    file with the layer, plain, gzip or zstd
 * @diff_id: what the uncompressed bytes must digest to; NULL: whatever it is
 */
struct err *unpack_start(struct job *j, const char *blob, const char *diff_id,
			 struct unpack **ret) MUST_USE;

/** unpack_fd() - becomes readable when it ended; borrowed */
int unpack_fd(const struct unpack *u);

/** unpack_read_bytes() - how much of the blob has been read */
int64_t unpack_read_bytes(const struct unpack *u);

/**
 * unpack_finish() - wait for the end, and commit the layer
 * @ret_diff_id: the layer's diff id
 * Return: NULL; ERR_CORRUPT for a wrong diff id or a bad archive; ERR_LIMIT when the disk is
 *         full. The store is as it was then.
 */
struct err *unpack_finish(struct unpack *u, char ret_diff_id[DIGEST_CHARS]) MUST_USE;

/** unpack_free() - kill it if it still runs */
void unpack_free(struct unpack *u);
DEFINE_OWN(unpack, unpack_free)

/**
 * unpack_layer() - all of it, with progress lines
 * @label: digest shown in progress lines
 */
struct err *unpack_layer(struct job *j, const char *blob, const char *diff_id, const char *label,
			 char ret_diff_id[DIGEST_CHARS]) MUST_USE;

#endif
