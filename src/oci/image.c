/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image.h"

#include "json/fields.h"
#include "oci/ref.h"
#include "util/mem.h"

static const struct json_field platform_fields[] = {
	JSON_FIELD(struct oci_platform, "os", JF_STR, os),
	JSON_FIELD(struct oci_platform, "architecture", JF_STR, arch),
	JSON_FIELD(struct oci_platform, "variant", JF_STR, variant),
};

static struct err *corrupt(struct err *e, const char *what)
{
	OWN(err) struct err *old = e;

	return old ? err_new(ERR_CORRUPT, "%s: %s", what, err_text(old)) : NULL;
}

static struct err *read_platform(const json_t *j, void *slot)
{
	struct oci_platform *p = slot;

	TRY(json_read_fields(platform_fields, ARRAY_SIZE(platform_fields), j, p));
	if (!p->os || !p->arch)
		return err_new(ERR_INVALID, "os or architecture is missing");
	if (!p->variant)
		p->variant = xstrdup("");
	return NULL;
}

static struct err *read_digest(const json_t *j, void *slot)
{
	const char *s = json_string_value(j);

	if (!oci_digest_is_valid(s))
		return err_new(ERR_INVALID, "\"%.100s\" is no sha256 digest", s ? s : "");
	str_set(slot, s);
	return NULL;
}

static json_t *write_digest(const void *slot)
{
	return json_string(*(char *const *)slot);
}

static json_t *write_annotations(const void *slot)
{
	const struct strmap *m = slot;

	return m->n ? jx_from_map(m) : NULL;
}

static struct err *read_annotations(const json_t *j, void *slot)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		if (json_is_string(v))
			strmap_set(slot, key, json_string_value(v));
	}
	return NULL;
}

static json_t *write_no_platform(const void *slot)
{
	(void)slot;
	return NULL;
}

static const struct json_field desc_fields[] = {
	JSON_FIELD(struct oci_desc, "mediaType", JF_STR, media_type),
	JSON_CODEC(struct oci_desc, "digest", digest, read_digest, write_digest),
	JSON_RANGE(struct oci_desc, "size", JF_I64, size, 0, INT64_MAX),
	JSON_CODEC(struct oci_desc, "platform", platform, read_platform, write_no_platform),
	JSON_CODEC(struct oci_desc, "annotations", annotations, read_annotations,
		   write_annotations),
};

static void desc_done(struct oci_desc *d)
{
	free(d->media_type);
	free(d->digest);
	oci_platform_done(&d->platform);
	strmap_done(&d->annotations);
}

static struct err *desc_read(const json_t *j, struct oci_desc *d)
{
	TRY(json_read_fields(desc_fields, ARRAY_SIZE(desc_fields), j, d));
	if (!d->digest)
		return err_new(ERR_INVALID, "digest is missing");
	if (!json_is_integer(json_object_get(j, "size")))
		return err_new(ERR_INVALID, "size is missing");
	return NULL;
}

static json_t *desc_write(const struct oci_desc *d)
{
	json_t *j = json_object();

	json_write_fields(desc_fields, ARRAY_SIZE(desc_fields), d, j);
	return j;
}

/* What is read so far stays in @ret_list, for the caller to release. */
static struct err *descs_read(const json_t *a, size_t max, struct oci_desc **ret_list,
			      size_t *ret_n)
{
	size_t n = json_array_size(a);

	if (!json_is_array(a))
		return err_new(ERR_INVALID, "expected an array");
	if (n > max)
		return err_new(ERR_INVALID, "%zu entries, at most %zu can be", n, max);
	*ret_list = n ? xcalloc(n, sizeof(**ret_list)) : NULL;
	*ret_n = n;
	for (size_t i = 0; i < n; i++)
		TRY_MSG(desc_read(json_array_get(a, i), &(*ret_list)[i]), "[%zu]", i);
	return NULL;
}

static void descs_done(struct oci_desc *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		desc_done(&list[i]);
	free(list);
}

struct err *oci_kind_of(const json_t *j, enum oci_kind *ret)
{
	if (!json_is_object(j))
		return err_new(ERR_CORRUPT, "manifest is no JSON object");
	if (json_object_get(j, "fsLayers"))
		return err_new(ERR_UNSUPPORTED,
			       "image manifest version 2 schema 1 is not supported any more");
	if (json_is_array(json_object_get(j, "manifests")))
		*ret = OCI_INDEX;
	else if (json_object_get(j, "config") && json_object_get(j, "layers"))
		*ret = OCI_MANIFEST;
	else
		return err_new(ERR_UNSUPPORTED, "\"%.100s\" is no image manifest",
			       jx_str(j, "mediaType", "?"));
	return NULL;
}

static struct err *manifest_read(const json_t *j, struct oci_manifest *m)
{
	str_set(&m->media_type, json_string_value(json_object_get(j, "mediaType")));
	TRY_MSG(desc_read(json_object_get(j, "config"), &m->config), "config");
	TRY_MSG(descs_read(json_object_get(j, "layers"), OCI_LAYERS_MAX, &m->layers, &m->n_layers),
		"layers");
	return NULL;
}

struct err *oci_manifest_read(const json_t *j, struct oci_manifest *ret)
{
	OWN(oci_manifest) struct oci_manifest m = { 0 };

	TRY(corrupt(manifest_read(j, &m), "manifest"));
	*ret = m;
	m = (struct oci_manifest) { 0 };
	return NULL;
}

void oci_manifest_done(struct oci_manifest *m)
{
	free(m->media_type);
	desc_done(&m->config);
	descs_done(m->layers, m->n_layers);
	*m = (struct oci_manifest) { 0 };
}

static bool to_oci(char **media_type)
{
	static const char *const types[][2] = {
		{ DOCKER_TYPE_MANIFEST, OCI_TYPE_MANIFEST },
		{ DOCKER_TYPE_CONFIG, OCI_TYPE_CONFIG },
		{ DOCKER_TYPE_LAYER_GZIP, OCI_TYPE_LAYER_GZIP },
		{ DOCKER_TYPE_LAYER, OCI_TYPE_LAYER },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (streq(*media_type, types[i][0])) {
			str_set(media_type, types[i][1]);
			return true;
		}
	}
	return false;
}

bool oci_manifest_to_oci(struct oci_manifest *m)
{
	bool changed = to_oci(&m->media_type);

	changed |= to_oci(&m->config.media_type);
	for (size_t i = 0; i < m->n_layers; i++)
		changed |= to_oci(&m->layers[i].media_type);
	return changed;
}

json_t *oci_manifest_write(const struct oci_manifest *m)
{
	json_t *j = json_object(), *layers = json_array();

	for (size_t i = 0; i < m->n_layers; i++)
		json_array_append_new(layers, desc_write(&m->layers[i]));
	json_object_set_new(j, "schemaVersion", json_integer(2));
	jx_set_str(j, "mediaType", m->media_type ? m->media_type : OCI_TYPE_MANIFEST);
	json_object_set_new(j, "config", desc_write(&m->config));
	json_object_set_new(j, "layers", layers);
	return j;
}

struct err *oci_index_read(const json_t *j, struct oci_index *ret)
{
	OWN(oci_index) struct oci_index x = { 0 };

	TRY(corrupt(descs_read(json_object_get(j, "manifests"), OCI_LAYERS_MAX, &x.manifests,
			       &x.n_manifests),
		    "index: manifests"));
	*ret = x;
	x = (struct oci_index) { 0 };
	return NULL;
}

void oci_index_done(struct oci_index *x)
{
	descs_done(x->manifests, x->n_manifests);
	*x = (struct oci_index) { 0 };
}

const struct oci_desc *oci_index_select(const struct oci_index *x, const struct oci_platform *want)
{
	const struct oci_desc *unnamed = NULL;

	for (size_t i = 0; i < x->n_manifests; i++) {
		const struct oci_desc *d = &x->manifests[i];

		if (d->platform.os && oci_platform_matches(want, &d->platform))
			return d;
		if (!d->platform.os && !unnamed)
			unnamed = d;
	}
	return unnamed;
}

static struct err *config_read(json_t *j, struct oci_config *c)
{
	const json_t *rootfs = json_object_get(j, "rootfs");

	TRY(read_platform(j, &c->platform));
	str_set(&c->created, jx_str(j, "created", ""));
	jx_strv(rootfs, "diff_ids", &c->diff_ids);
	if (c->diff_ids.n != json_array_size(json_object_get(rootfs, "diff_ids")) ||
	    c->diff_ids.n > OCI_LAYERS_MAX)
		return err_new(ERR_INVALID, "rootfs: diff_ids: expected an array of digests");
	for (size_t i = 0; i < c->diff_ids.n; i++)
		if (!oci_digest_is_valid(c->diff_ids.v[i]))
			return err_new(ERR_INVALID, "rootfs: diff_ids: \"%.100s\" is no digest",
				       c->diff_ids.v[i]);
	c->document = json_incref(j);
	return NULL;
}

struct err *oci_config_read(json_t *j, struct oci_config *ret)
{
	OWN(oci_config) struct oci_config c = { 0 };

	TRY(corrupt(config_read(j, &c), "image config"));
	*ret = c;
	c = (struct oci_config) { 0 };
	return NULL;
}

void oci_config_done(struct oci_config *c)
{
	free(c->created);
	oci_platform_done(&c->platform);
	strv_done(&c->diff_ids);
	json_decref(c->document);
	*c = (struct oci_config) { 0 };
}
