/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

/*
 * The image store below hostel's root folder: blobs by digest, unpacked layers by diff
 * id, EROFS roots by config digest (docs/protocols.md, "On disk").  What has its
 * final name is whole and was verified; what is half-made is in tmp/.
 *
 * This header is for reading, hosteld included; image/commit.h puts things in.
 * There is no state: every function takes the root folder.
 *
 * Context: any process; small reads of files that are at hand.
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "oci/image.h"
#include "util/str.h"

/** image_blob_path() - where a blob is or would be; @digest is valid; owned by the caller */
char *image_blob_path(const char *root, const char *digest);

/** image_blob_exists() - is it there, with this size? @size: -1 any */
bool image_blob_exists(const char *root, const char *digest, int64_t size);

/** image_document_load() - a blob that is a JSON document; ERR_NOT_FOUND, ERR_CORRUPT */
struct err *image_document_load(const char *root, const char *digest, json_t **ret) MUST_USE;

/**
 * image_config_load() - the config of an image
 * @id: "sha256:…" of the config blob
 * @ret: to be released by oci_config_done(); ->document is the whole OCI config
 */
struct err *image_config_load(const char *root, const char *id, struct oci_config *ret) MUST_USE;

/** image_manifest_load() - a manifest by its digest; oci_manifest_done() */
struct err *image_manifest_load(const char *root, const char *digest,
				struct oci_manifest *ret) MUST_USE;

/** image_layer_dir() - folder "layers/sha256/HEX/fs" of a diff id; owned by the caller */
char *image_layer_dir(const char *root, const char *diff_id);

/** image_layer_exists() - is the layer there, whole? */
bool image_layer_exists(const char *root, const char *diff_id);

/** image_layer_bytes() - size of a layer's files; 0 when it is not known */
int64_t image_layer_bytes(const char *root, const char *diff_id);

/** image_lower_dirs() - layer folders of an image, topmost first, as overlayfs wants them */
void image_lower_dirs(const char *root, const struct oci_config *c, struct strv *ret);

/** image_erofs_path() - "images/HEX.erofs" of a config digest; owned by the caller */
char *image_erofs_path(const char *root, const char *id);

/**
 * image_object() - the image object of docs/protocols.md for what is in the store
 * @manifest: digest of the manifest; it, its config and its layers are there
 * @refs:     normalised references
 * @digest:   as the registry names it, NULL: unknown
 * Return: NULL; ERR_UNAVAILABLE when a layer was removed meanwhile; ERR_NOT_FOUND; ERR_CORRUPT.
 */
struct err *image_object(const char *root, const char *manifest, const struct strv *refs,
			 const char *digest, json_t **ret) MUST_USE;

#endif
