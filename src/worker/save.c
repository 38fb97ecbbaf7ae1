/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Saving images: an archive that docker load takes (manifest.json, repositories) and that is
 * an OCI layout as well (oci-layout, index.json); both name the same blobs.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store.h"
#include "oci/ref.h"
#include "tar/tar.h"
#include "tls/digest.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/job.h"

struct saver {
	struct job *job;
	struct tar_writer *out;
	struct strv written; /* digests */
	json_t *docker;      /* manifest.json */
	json_t *index;       /* manifests of index.json */
	json_t *repositories;
};

static void own_saver_release(struct saver *s)
{
	tar_writer_free(s->out);
	strv_done(&s->written);
	json_decref(s->docker);
	json_decref(s->index);
	json_decref(s->repositories);
}

static struct err *put_dir(struct saver *s, const char *name)
{
	return tar_writer_entry(
	    s->out, &(struct tar_entry) { .name = name, .type = TAR_DIR, .mode = 0755 });
}

static struct err *put_json(struct saver *s, const char *name, const json_t *j)
{
	OWN(mem) char *text = jx_text(j);
	struct tar_entry e = {
		.name = name, .type = TAR_FILE, .mode = 0644, .size = (int64_t)strlen(text)
	};

	TRY(tar_writer_entry(s->out, &e));
	return tar_writer_data(s->out, text, strlen(text));
}

/* Bytes are checked once more on their way out: a damaged store must not make new archives. */
static struct err *copy_blob(struct saver *s, int fd, const char *digest)
{
	OWN(digest) struct digest *d = digest_new();
	OWN(mem) char *buf = xcalloc(128, 1024);
	struct source in = source_fd(&fd);
	char got[DIGEST_CHARS];
	size_t n = 1;

	for (;;) {
		TRY(in.read(in.arg, buf, (size_t)128 * 1024, &n));
		if (!n)
			break;
		digest_add(d, buf, n);
		TRY(tar_writer_data(s->out, buf, n));
	}
	digest_text(d, got);
	return streq(got, digest) ? NULL : err_new(ERR_CORRUPT, "blob %s is damaged", digest);
}

static struct err *put_blob(struct saver *s, const char *digest)
{
	OWN(mem) char *path = image_blob_path(s->job->root, digest);
	OWN(mem) char *name = xasprintf("blobs/sha256/%s", oci_digest_hex(digest));
	OWN(fd) int fd = -1;
	struct tar_entry e = { .name = name, .type = TAR_FILE, .mode = 0644 };
	struct stat st;

	if (strv_has(&s->written, digest))
		return NULL;
	strv_add(&s->written, digest);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(errno, "blob %s", digest);
	e.size = st.st_size;
	TRY(tar_writer_entry(s->out, &e));
	return copy_blob(s, fd, digest);
}

/* A document of our own making, as a blob. */
static struct err *put_document(struct saver *s, const json_t *j, char ret_digest[DIGEST_CHARS],
				int64_t *ret_size)
{
	OWN(mem) char *text = jx_text(j);
	OWN(mem) char *name = NULL;

	digest_of(text, strlen(text), ret_digest);
	*ret_size = (int64_t)strlen(text);
	if (strv_has(&s->written, ret_digest))
		return NULL;
	strv_add(&s->written, ret_digest);
	name = xasprintf("blobs/sha256/%s", oci_digest_hex(ret_digest));
	return put_json(s, name, j);
}

static json_t *blob_name(const char *digest)
{
	OWN(mem) char *name = xasprintf("blobs/sha256/%s", oci_digest_hex(digest));

	return json_string(name);
}

/* What Docker's own loader reads. */
static void add_docker(struct saver *s, const struct oci_manifest *m, const struct strv *tags)
{
	json_t *layers = json_array(), *image = json_object();

	for (size_t i = 0; i < m->n_layers; i++)
		json_array_append_new(layers, blob_name(m->layers[i].digest));
	json_object_set_new(image, "Config", blob_name(m->config.digest));
	json_object_set_new(image, "RepoTags", jx_from_strv(tags));
	json_object_set_new(image, "Layers", layers);
	json_array_append_new(s->docker, image);
}

static void add_repository(struct saver *s, const struct oci_ref *r, const struct oci_manifest *m)
{
	OWN(mem) char *name = oci_ref_name(r);
	json_t *tags = json_object_get(s->repositories, name);

	if (!tags) {
		tags = json_object();
		json_object_set_new(s->repositories, name, tags);
	}
	if (r->tag && m->n_layers)
		jx_set_str(tags, r->tag, oci_digest_hex(m->layers[m->n_layers - 1].digest));
}

/* One entry of index.json; @full NULL: the image has no name. */
static void add_index(struct saver *s, const char *digest, int64_t size,
		      const struct oci_manifest *m, const char *full, const char *tag)
{
	json_t *d = json_object(), *notes;

	jx_set_str(d, "mediaType", m->media_type ? m->media_type : OCI_TYPE_MANIFEST);
	jx_set_str(d, "digest", digest);
	json_object_set_new(d, "size", json_integer(size));
	if (full) {
		notes = json_object();
		jx_set_str(notes, "io.containerd.image.name", full);
		if (tag)
			jx_set_str(notes, "org.opencontainers.image.ref.name", tag);
		json_object_set_new(d, "annotations", notes);
	}
	json_array_append_new(s->index, d);
}

static struct err *add_refs(struct saver *s, const json_t *image, const char *digest, int64_t size,
			    const struct oci_manifest *m)
{
	OWN(strv) struct strv refs = { 0 };
	OWN(strv) struct strv tags = { 0 };

	jx_strv(image, "refs", &refs);
	for (size_t i = 0; i < refs.n; i++) {
		OWN(oci_ref) struct oci_ref r = { 0 };

		TRY_MSG(oci_ref_parse(refs.v[i], &r), "%s", refs.v[i]);
		OWN(mem) char *full = oci_ref_text(&r);
		OWN(mem) char *familiar = oci_ref_familiar(&r);

		add_index(s, digest, size, m, full, r.tag);
		if (r.tag && !r.digest) {
			strv_add(&tags, familiar);
			add_repository(s, &r, m);
		}
	}
	if (!refs.n)
		add_index(s, digest, size, m, NULL, NULL);
	add_docker(s, m, &tags);
	return NULL;
}

/* An OCI layout holds OCI's media types: Docker's manifest of the same image is rewritten. */
static struct err *put_manifest(struct saver *s, const char *digest, struct oci_manifest *m,
				char ret_digest[DIGEST_CHARS], int64_t *ret_size)
{
	OWN(mem) char *path = image_blob_path(s->job->root, digest);
	OWN(json) json_t *j = NULL;
	struct stat st;

	if (oci_manifest_to_oci(m)) {
		j = oci_manifest_write(m);
		return put_document(s, j, ret_digest, ret_size);
	}
	if (stat(path, &st) < 0)
		return err_sys(errno, "%s", digest);
	memcpy(ret_digest, digest, DIGEST_CHARS);
	*ret_size = st.st_size;
	return put_blob(s, digest);
}

static struct err *save_image(struct saver *s, const json_t *image)
{
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	const char *digest = jx_str(image, "manifest", NULL);
	char saved[DIGEST_CHARS];
	int64_t size = 0;

	TRY(image_manifest_load(s->job->root, digest, &m));
	TRY(put_blob(s, m.config.digest));
	for (size_t i = 0; i < m.n_layers; i++)
		TRY(put_blob(s, m.layers[i].digest));
	TRY(put_manifest(s, digest, &m, saved, &size));
	return add_refs(s, image, saved, size, &m);
}

struct err *job_save(struct job *j, json_t **ret_done)
{
	OWN(saver)
	struct saver s = { .job = j,
			   .docker = json_array(),
			   .index = json_array(),
			   .repositories = json_object() };
	const json_t *images = json_object_get(j->args, "images");
	OWN(json) json_t *layout = json_pack("{s: s}", "imageLayoutVersion", "1.0.0");
	OWN(json) json_t *index = NULL;

	(void)ret_done;
	if (j->data_fd < 0 || !json_array_size(images))
		return err_new(ERR_INVALID, "save needs images and a descriptor 3");
	TRY(tar_writer_new(j->data_fd, &s.out));
	TRY(put_dir(&s, "blobs/"));
	TRY(put_dir(&s, "blobs/sha256/"));
	for (size_t i = 0; i < json_array_size(images); i++)
		TRY(save_image(&s, json_array_get(images, i)));
	index = json_pack("{s: i, s: s, s: O}", "schemaVersion", 2, "mediaType", OCI_TYPE_INDEX,
			  "manifests", s.index);
	TRY(put_json(&s, "index.json", index));
	TRY(put_json(&s, "manifest.json", s.docker));
	TRY(put_json(&s, "oci-layout", layout));
	if (json_object_size(s.repositories))
		TRY(put_json(&s, "repositories", s.repositories));
	return tar_writer_finish(s.out);
}
