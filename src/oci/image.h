/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCI_IMAGE_H
#define OCI_IMAGE_H

/*
 * Documents of an image: manifest, index (Docker: manifest list) and config.
 * Foreign bytes become typed structs here, or an error.
 *
 * Pure.
 *
 * Spec: OCI image 1.1 manifest.md, image-index.md, config.md; Docker image
 * manifest version 2, schema 2.
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "oci/platform.h"
#include "util/str.h"

#define OCI_LAYERS_MAX   1024
#define OCI_DOCUMENT_MAX (8u << 20)

#define OCI_TYPE_INDEX         "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_MANIFEST      "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_CONFIG        "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define OCI_TYPE_LAYER_GZIP    OCI_TYPE_LAYER "+gzip"
#define OCI_TYPE_LAYER_ZSTD    OCI_TYPE_LAYER "+zstd"
#define DOCKER_TYPE_LIST       "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_TYPE_MANIFEST   "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_TYPE_CONFIG     "application/vnd.docker.container.image.v1+json"
#define DOCKER_TYPE_LAYER      "application/vnd.docker.image.rootfs.diff.tar"
#define DOCKER_TYPE_LAYER_GZIP DOCKER_TYPE_LAYER ".gzip"

/* Reference to a blob. */
struct oci_desc {
	char *media_type;
	char *digest; /* valid */
	int64_t size;
	struct oci_platform platform; /* of an index' entry; os NULL: not said */
	struct strmap annotations;
};

struct oci_manifest {
	char *media_type; /* NULL when the document does not say */
	struct oci_desc config;
	struct oci_desc *layers; /* bottom first */
	size_t n_layers;
};

struct oci_index {
	struct oci_desc *manifests;
	size_t n_manifests;
};

struct oci_config {
	char *created; /* RFC 3339; "" when not said */
	struct oci_platform platform;
	struct strv diff_ids; /* valid digests, bottom first */
	json_t *document;     /* the whole of it */
};

enum oci_kind { OCI_MANIFEST, OCI_INDEX };

/**
 * oci_kind_of() - what sort of document is it?
 * Return: NULL; ERR_UNSUPPORTED for Docker's schema 1 and for what is no image; ERR_CORRUPT.
 */
struct err *oci_kind_of(const json_t *j, enum oci_kind *ret) MUST_USE;

/** oci_manifest_read() - ERR_CORRUPT with the member that is wrong */
struct err *oci_manifest_read(const json_t *j, struct oci_manifest *ret) MUST_USE;

/** oci_manifest_done() - free what it holds */
void oci_manifest_done(struct oci_manifest *m);
static inline void own_oci_manifest_release(struct oci_manifest *m)
{
	oci_manifest_done(m);
}

/**
 * oci_manifest_to_oci() - give a manifest and its parts the media types of OCI
 * Return: false: they had them already. The document's digest changes, that of the config not.
 */
bool oci_manifest_to_oci(struct oci_manifest *m);

/** oci_manifest_write() - a manifest with the media types of @m; new reference */
json_t *oci_manifest_write(const struct oci_manifest *m);

/** oci_index_read() - ERR_CORRUPT with the member that is wrong */
struct err *oci_index_read(const json_t *j, struct oci_index *ret) MUST_USE;

/** oci_index_done() - free what it holds */
void oci_index_done(struct oci_index *x);
static inline void own_oci_index_release(struct oci_index *x)
{
	oci_index_done(x);
}

/**
 * oci_index_select() - the entry for a platform
 * Return: borrowed; NULL when there is none. An entry that names no platform matches when
 * nothing else does.
 */
const struct oci_desc *oci_index_select(const struct oci_index *x, const struct oci_platform *want);

/** oci_config_read() - ERR_CORRUPT with the member that is wrong; keeps a reference of @j */
struct err *oci_config_read(json_t *j, struct oci_config *ret) MUST_USE;

/** oci_config_done() - free what it holds, drop the document */
void oci_config_done(struct oci_config *c);
static inline void own_oci_config_release(struct oci_config *c)
{
	oci_config_done(c);
}

/**
 * oci_change_apply() - one Dockerfile instruction ("CMD [\"a\"]", "ENV a=b c=d") on a config's
 * "config" object
 * Known: CMD ENTRYPOINT ENV EXPOSE LABEL USER VOLUME WORKDIR STOPSIGNAL ONBUILD.
 * Return: NULL, or ERR_INVALID.
 */
struct err *oci_change_apply(json_t *config, const char *instruction) MUST_USE;

#endif
