/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "oci/ref.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/data.h"
#include "worker/unpack.h"

/* What is stored as the layer's blob: what came, unless OCI has no name for its compression. */
struct spooled {
	char *path;
	char digest[DIGEST_CHARS];
	int64_t bytes;
	const char *media_type;
};

static void own_spooled_release(struct spooled *s)
{
	free(s->path);
}

static struct err *spool(struct job *j, struct spooled *s)
{
	static const char *const types[UNZ_KINDS] = { OCI_TYPE_LAYER, OCI_TYPE_LAYER_GZIP,
						      OCI_TYPE_LAYER_ZSTD, OCI_TYPE_LAYER,
						      OCI_TYPE_LAYER };
	OWN(fd) int fd = -1;
	OWN(unz) struct unz *u = NULL;
	OWN(tar_inflate) struct tar_inflate *t = NULL;
	OWN(mem) char *raw = NULL;
	enum unz_kind kind;

	if (j->data_fd < 0)
		return err_new(ERR_INVALID, "the job has no data on descriptor 3");
	TRY(job_spool(j, source_fd(&j->data_fd), "import", &raw, s->digest, &s->bytes));
	fd = open(raw, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", raw);
	TRY(unz_new(source_fd(&fd), &u));
	kind = unz_kind(u);
	s->media_type = types[kind];
	if (kind != UNZ_XZ && kind != UNZ_BZIP2) {
		s->path = TAKE(raw);
		return NULL;
	}
	TRY(tar_inflate_new(unz_source(u), &t));
	TRY(job_spool(j, tar_inflate_source(t), "import.tar", &s->path, s->digest, &s->bytes));
	if (unlink(raw) < 0)
		return err_sys(errno, "%s", raw);
	return NULL;
}

static struct err *make_config(const struct job *j, const char *diff_id, json_t **ret)
{
	OWN(strv) struct strv changes = { 0 };
	OWN(oci_platform) struct oci_platform p = { 0 };
	OWN(json) json_t *config = json_object();
	char now[40];

	TRY(job_platform(j, &p));
	jx_strv(j->args, "changes", &changes);
	for (size_t i = 0; i < changes.n; i++)
		TRY(oci_change_apply(config, changes.v[i]));
	clock_rfc3339(clock_wall_ns(), now);
	*ret = json_pack("{s: s, s: s, s: s, s: O, s: {s: s, s: [s]}, s: [{s: s, s: s}]}",
			 "created", now, "architecture", p.arch, "os", p.os, "config", config,
			 "rootfs", "type", "layers", "diff_ids", diff_id, "history", "created", now,
			 "comment", jx_str(j->args, "message", "Imported from -"));
	if (!*ret)
		return err_new(ERR_INVALID, "message is no text");
	if (*p.variant)
		jx_set_str(*ret, "variant", p.variant);
	return NULL;
}

static struct err *put_json(struct job *j, const json_t *doc, char ret_digest[DIGEST_CHARS],
			    int64_t *ret_bytes)
{
	OWN(mem) char *text = jx_text(doc);
	const char *tmp;

	TRY(job_tmp(j, &tmp));
	*ret_bytes = (int64_t)strlen(text);
	return image_put_document(j->root, tmp, text, strlen(text), ret_digest);
}

static struct err *put_manifest(struct job *j, const json_t *config, const struct spooled *s,
				char ret_digest[DIGEST_CHARS])
{
	OWN(oci_manifest) struct oci_manifest m = { .n_layers = 1 };
	OWN(json) json_t *doc = NULL;
	char id[DIGEST_CHARS];
	int64_t unused;

	TRY(put_json(j, config, id, &m.config.size));
	m.config.media_type = xstrdup(OCI_TYPE_CONFIG);
	m.config.digest = xstrdup(id);
	m.layers = xcalloc(1, sizeof(*m.layers));
	m.layers[0] = (struct oci_desc) { .media_type = xstrdup(s->media_type),
					  .digest = xstrdup(s->digest),
					  .size = s->bytes };
	doc = oci_manifest_write(&m);
	return put_json(j, doc, ret_digest, &unused);
}

struct err *job_import(struct job *j, json_t **ret_done)
{
	OWN(spooled) struct spooled s = { 0 };
	OWN(oci_ref) struct oci_ref ref = { 0 };
	OWN(strv) struct strv refs = { 0 };
	OWN(json) json_t *config = NULL;
	const char *name = jx_str(j->args, "ref", "");
	char diff_id[DIGEST_CHARS], manifest[DIGEST_CHARS];

	if (*name) {
		TRY(oci_ref_parse(name, &ref));
		OWN(mem) char *text = oci_ref_text(&ref);

		strv_add(&refs, text);
	}
	/* Wrong changes are told before the data are read. */
	TRY(make_config(j, "", &config));
	json_decref(TAKE(config));
	TRY(spool(j, &s));
	TRY(unpack_layer(j, s.path, NULL, s.digest, diff_id));
	TRY(image_commit_blob(j->root, s.path, s.digest));
	TRY(make_config(j, diff_id, &config));
	TRY(put_manifest(j, config, &s, manifest));
	return image_object(j->root, manifest, &refs, NULL, ret_done);
}
