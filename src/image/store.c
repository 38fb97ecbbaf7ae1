/* SPDX-License-Identifier: Apache-2.0 */
#include "image/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "oci/ref.h"
#include "util/fd.h"
#include "util/mem.h"

char *image_blob_path(const char *root, const char *digest)
{
	return xasprintf("%s/blobs/sha256/%s", root, oci_digest_hex(digest));
}

bool image_blob_exists(const char *root, const char *digest, int64_t size)
{
	OWN(mem) char *path = image_blob_path(root, digest);
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (size < 0 || st.st_size == size);
}

struct err *image_document_load(const char *root, const char *digest, json_t **ret)
{
	OWN(mem) char *text = NULL;
	OWN(mem) char *path = NULL;

	if (!oci_digest_is_valid(digest))
		return err_new(ERR_INVALID, "\"%.100s\" is no digest", digest ? digest : "");
	path = image_blob_path(root, digest);
	TRY(fd_read_file(AT_FDCWD, path, OCI_DOCUMENT_MAX, &text));
	TRY_MSG(jx_parse(text, strlen(text), ret), "%s", digest);
	return NULL;
}

struct err *image_config_load(const char *root, const char *id, struct oci_config *ret)
{
	OWN(json) json_t *j = NULL;

	TRY(image_document_load(root, id, &j));
	TRY_MSG(oci_config_read(j, ret), "%s", id);
	return NULL;
}

struct err *image_manifest_load(const char *root, const char *digest, struct oci_manifest *ret)
{
	OWN(json) json_t *j = NULL;

	TRY(image_document_load(root, digest, &j));
	TRY_MSG(oci_manifest_read(j, ret), "%s", digest);
	return NULL;
}

char *image_layer_dir(const char *root, const char *diff_id)
{
	return xasprintf("%s/layers/sha256/%s/fs", root, oci_digest_hex(diff_id));
}

bool image_layer_exists(const char *root, const char *diff_id)
{
	OWN(mem) char *path = image_layer_dir(root, diff_id);
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t image_layer_bytes(const char *root, const char *diff_id)
{
	OWN(mem)
	char *path = xasprintf("%s/layers/sha256/%s/layer.json", root, oci_digest_hex(diff_id));
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *e = jx_load(AT_FDCWD, path, &j);

	return e ? 0 : jx_int(j, "bytes", 0);
}

void image_lower_dirs(const char *root, const struct oci_config *c, struct strv *ret)
{
	for (size_t i = c->diff_ids.n; i-- > 0;) {
		OWN(mem) char *dir = image_layer_dir(root, c->diff_ids.v[i]);

		strv_add(ret, dir);
	}
}

char *image_erofs_path(const char *root, const char *id)
{
	return xasprintf("%s/images/%s.erofs", root, oci_digest_hex(id));
}

static json_t *layer_objects(const char *root, const struct oci_manifest *m,
			     const struct oci_config *c, int64_t *ret_bytes)
{
	json_t *layers = json_array();

	for (size_t i = 0; i < m->n_layers; i++) {
		json_t *l = json_object();
		int64_t bytes = image_layer_bytes(root, c->diff_ids.v[i]);

		jx_set_str(l, "digest", m->layers[i].digest);
		jx_set_str(l, "diff_id", c->diff_ids.v[i]);
		json_object_set_new(l, "size", json_integer(bytes));
		json_array_append_new(layers, l);
		*ret_bytes += bytes;
	}
	return layers;
}

struct err *image_object(const char *root, const char *manifest, const struct strv *refs,
			 const char *digest, json_t **ret)
{
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	OWN(oci_config) struct oci_config c = { 0 };
	OWN(mem) char *platform = NULL;
	int64_t bytes = 0;
	json_t *j, *layers;

	TRY(image_manifest_load(root, manifest, &m));
	TRY(image_config_load(root, m.config.digest, &c));
	if (m.n_layers != c.diff_ids.n)
		return err_new(ERR_CORRUPT, "manifest has %zu layers, config %zu", m.n_layers,
			       c.diff_ids.n);
	for (size_t i = 0; i < c.diff_ids.n; i++)
		if (!image_layer_exists(root, c.diff_ids.v[i])) /* removed under our hands */
			return err_new(ERR_UNAVAILABLE, "layer %s is not there any more",
				       c.diff_ids.v[i]);
	platform = oci_platform_text(&c.platform);
	layers = layer_objects(root, &m, &c, &bytes);
	j = json_object();
	jx_set_str(j, "id", m.config.digest);
	jx_set_str(j, "manifest", manifest);
	json_object_set_new(j, "refs", jx_from_strv(refs));
	if (digest)
		jx_set_str(j, "digest", digest);
	json_object_set_new(j, "layers", layers);
	json_object_set_new(j, "size", json_integer(bytes));
	jx_set_str(j, "created", c.created);
	jx_set_str(j, "platform", platform);
	*ret = j;
	return NULL;
}
