/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGE_COMMIT_H
#define IMAGE_COMMIT_H

/*
 * Putting things into the image store: made in tmp/, verified, then renamed.
 * Someone else may be putting the same thing in; whoever comes second is content.
 *
 * Context: workers; blocks.
 */

#include <stdint.h>

#include "json/json.h"
#include "tls/digest.h"

/** image_store_init() - make the folders of the store */
struct err *image_store_init(const char *root) MUST_USE;

/**
 * image_commit_blob() - give a verified file its final name
 * @tmp: path below tmp/ on the same file system; gone afterwards
 */
struct err *image_commit_blob(const char *root, const char *tmp, const char *digest) MUST_USE;

/** image_put_document() - store @len bytes of text as a blob */
struct err *image_put_document(const char *root, const char *tmp_dir, const void *text, size_t len,
			       char ret_digest[DIGEST_CHARS]) MUST_USE;

/**
 * image_commit_layer() - give an unpacked layer its final name
 * @tmp:   folder below tmp/ that has the files in "fs"; gone afterwards
 * @bytes: size of its files
 */
struct err *image_commit_layer(const char *root, const char *tmp, const char *diff_id,
			       int64_t bytes) MUST_USE;

#endif
