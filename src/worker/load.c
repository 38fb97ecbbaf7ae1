/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Loading image archives.  An archive comes as a stream, and what says which file is
 * what may be its last entry: so all files go to the job's folder first, digested
 * on the way, and are then moved into the store by what the documents say.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "oci/ref.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/data.h"
#include "worker/unpack.h"

#define MEMBERS_MAX 65536
#define LINKS_MAX   8

/* A file or link of the archive. */
struct member {
	char *name; /* cleaned */
	char *link; /* target, cleaned; NULL for a file */
	char *path; /* where the file lies now */
	char digest[DIGEST_CHARS];
	int64_t bytes;
};

struct archive {
	struct job *job;
	struct member *members;
	size_t n;
	json_t *images; /* results */
};

/* An image as the archive's documents describe it. */
struct found {
	const struct member *config;
	const struct member **layers;
	size_t n_layers;
	const struct member *manifest; /* NULL: there is none, one is made */
	struct strv refs;
};

static void own_archive_release(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->members[i].name);
		free(a->members[i].link);
		free(a->members[i].path);
	}
	free(a->members);
	json_decref(a->images);
}

static void own_found_release(struct found *f)
{
	free(f->layers);
	strv_done(&f->refs);
}

/* ---- reading ---- */

/* Data of an entry, as a source. */
struct entry_data {
	struct tar_reader *reader;
	const char *at;
	size_t left;
	int64_t offset;
};

static struct err *read_entry(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct entry_data *d = arg;
	const void *block = NULL;
	int64_t offset = 0;

	if (!d->left) {
		TRY(tar_reader_block(d->reader, &block, &d->left, &offset));
		if (d->left && offset != d->offset)
			return err_new(ERR_CORRUPT, "sparse file in an image archive");
		d->at = block;
		d->offset += (int64_t)d->left;
	}
	if (size > d->left)
		size = d->left;
	if (size)
		memcpy(buf, d->at, size);
	d->at += size;
	d->left -= size;
	*ret_n = size;
	return NULL;
}

static struct err *link_target(const struct member *m, const struct tar_entry *e, char **ret)
{
	OWN(str) struct str clean = { 0 };
	const char *slash = strrchr(m->name, '/');
	OWN(mem)
	char *full = e->type == TAR_SYMLINK && slash && *e->link != '/'
			 ? xasprintf("%.*s/%s", (int)(slash - m->name), m->name, e->link)
			 : xstrdup(e->link);

	TRY(tar_clean_name(full, &clean));
	*ret = str_take(&clean);
	return NULL;
}

static struct err *add_member(struct archive *a, struct tar_reader *r, const struct tar_entry *e)
{
	OWN(str) struct str name = { 0 };
	OWN(mem) char *file = xasprintf("member-%zu", a->n);
	struct entry_data data = { .reader = r };
	struct member *m;

	if (e->type != TAR_FILE && e->type != TAR_SYMLINK && e->type != TAR_HARDLINK)
		return NULL;
	if (a->n == MEMBERS_MAX)
		return err_new(ERR_CORRUPT, "the archive has more than %d files", MEMBERS_MAX);
	TRY(tar_clean_name(e->name, &name));
	a->members = xrealloc(a->members, a->n + 1, sizeof(*a->members));
	m = &a->members[a->n++];
	*m = (struct member) { .name = str_take(&name) };
	if (e->type != TAR_FILE)
		return link_target(m, e, &m->link);
	TRY_MSG(job_spool(a->job, (struct source) { read_entry, &data }, file, &m->path, m->digest,
			  &m->bytes),
		"%s", m->name);
	return NULL;
}

static struct err *read_archive(struct archive *a)
{
	OWN(data) struct data_in in = { 0 };
	OWN(tar_reader) struct tar_reader *r = NULL;
	const struct tar_entry *e;
	struct source s;

	TRY(data_open(a->job, &in, &s));
	TRY(tar_reader_new(s, &r));
	for (;;) {
		TRY(tar_reader_next(r, &e));
		if (!e)
			return NULL;
		TRY(add_member(a, r, e));
	}
}

/* A later member of a name replaces an earlier one. */
static const struct member *find_member(const struct archive *a, const char *name)
{
	for (int links = 0; links < LINKS_MAX; links++) {
		const struct member *m = NULL;

		for (size_t i = a->n; i-- > 0 && !m;)
			if (streq(a->members[i].name, name))
				m = &a->members[i];
		if (!m || !m->link)
			return m;
		name = m->link;
	}
	return NULL;
}

static struct err *need_member(const struct archive *a, const char *name, const struct member **ret)
{
	OWN(str) struct str clean = { 0 };
	const struct member *m;

	TRY(tar_clean_name(name, &clean));
	m = find_member(a, clean.buf);
	if (!m || access(m->path, F_OK) < 0)
		return err_new(ERR_CORRUPT, "the archive has no %s", name);
	*ret = m;
	return NULL;
}

static struct err *member_json(const struct member *m, json_t **ret)
{
	OWN(mem) char *text = NULL;

	TRY(fd_read_file(AT_FDCWD, m->path, OCI_DOCUMENT_MAX, &text));
	TRY_MSG(jx_parse(text, strlen(text), ret), "%s", m->name);
	return NULL;
}

/* ---- into the store ---- */

static struct err *commit_document(const struct archive *a, const struct member *m)
{
	OWN(mem) char *text = NULL;
	const char *tmp;
	char digest[DIGEST_CHARS];

	TRY(job_tmp(a->job, &tmp));
	TRY(fd_read_file(AT_FDCWD, m->path, OCI_DOCUMENT_MAX, &text));
	return image_put_document(a->job->root, tmp, text, strlen(text), digest);
}

static struct err *media_type_of(const struct member *m, const char **ret)
{
	static const char *const types[UNZ_KINDS] = { [UNZ_PLAIN] = OCI_TYPE_LAYER,
						      [UNZ_GZIP] = OCI_TYPE_LAYER_GZIP,
						      [UNZ_ZSTD] = OCI_TYPE_LAYER_ZSTD };
	OWN(fd) int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	OWN(unz) struct unz *u = NULL;

	if (fd < 0)
		return err_sys(errno, "%s", m->name);
	TRY(unz_new(source_fd(&fd), &u));
	*ret = types[unz_kind(u)];
	if (!*ret)
		return err_new(ERR_UNSUPPORTED, "%s is compressed with %s", m->name,
			       unz_kind_name(unz_kind(u)));
	return NULL;
}

static struct err *make_manifest(const struct archive *a, const struct found *f,
				 char ret_digest[DIGEST_CHARS])
{
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	OWN(json) json_t *j = NULL;
	OWN(mem) char *text = NULL;
	const char *tmp, *type = "";

	m.config = (struct oci_desc) { .media_type = xstrdup(OCI_TYPE_CONFIG),
				       .digest = xstrdup(f->config->digest),
				       .size = f->config->bytes };
	m.layers = f->n_layers ? xcalloc(f->n_layers, sizeof(*m.layers)) : NULL;
	for (size_t i = 0; i < f->n_layers; i++) {
		TRY(media_type_of(f->layers[i], &type));
		m.layers[m.n_layers++] = (struct oci_desc) {
			.media_type = xstrdup(type),
			.digest = xstrdup(f->layers[i]->digest),
			.size = f->layers[i]->bytes,
		};
	}
	j = oci_manifest_write(&m);
	text = jx_text(j);
	TRY(job_tmp(a->job, &tmp));
	return image_put_document(a->job->root, tmp, text, strlen(text), ret_digest);
}

static struct err *store_layer(const struct archive *a, const struct member *m, const char *diff_id)
{
	char got[DIGEST_CHARS];

	if (image_layer_exists(a->job->root, diff_id))
		job_progress(a->job, diff_id, "Already exists", 0, 0);
	else
		TRY(unpack_layer(a->job, m->path, diff_id, diff_id, got));
	return NULL;
}

/* The file may be needed by another image of the archive: it keeps its first name, too. */
static struct err *store_blob(const struct archive *a, const struct member *m)
{
	OWN(mem) char *copy = xasprintf("%s.blob", m->path);

	if (image_blob_exists(a->job->root, m->digest, m->bytes))
		return NULL;
	if (link(m->path, copy) < 0)
		return err_sys(errno, "%s", m->name);
	return image_commit_blob(a->job->root, copy, m->digest);
}

static struct err *store_image(struct archive *a, const struct found *f)
{
	OWN(oci_config) struct oci_config c = { 0 };
	OWN(json) json_t *config = NULL;
	char manifest[DIGEST_CHARS];
	json_t *image;

	TRY(member_json(f->config, &config));
	TRY(oci_config_read(config, &c));
	TRY(job_check_platform(a->job, f->refs.n ? f->refs.v[0] : f->config->digest, &c.platform));
	if (c.diff_ids.n != f->n_layers)
		return err_new(ERR_CORRUPT, "%s names %zu layers, the archive %zu", f->config->name,
			       c.diff_ids.n, f->n_layers);
	if (f->manifest)
		memcpy(manifest, f->manifest->digest, sizeof(manifest));
	else
		TRY(make_manifest(a, f, manifest));
	for (size_t i = 0; i < f->n_layers; i++) {
		TRY(store_layer(a, f->layers[i], c.diff_ids.v[i]));
		TRY(store_blob(a, f->layers[i]));
	}
	TRY(commit_document(a, f->config));
	if (f->manifest)
		TRY(commit_document(a, f->manifest));
	TRY(image_object(a->job->root, manifest, &f->refs, NULL, &image));
	json_array_append_new(a->images, image);
	return NULL;
}

/* ---- OCI layout ---- */

static struct err *blob_member(const struct archive *a, const struct oci_desc *d,
			       const struct member **ret)
{
	OWN(mem) char *name = xasprintf("blobs/sha256/%s", oci_digest_hex(d->digest));

	TRY(need_member(a, name, ret));
	if (!streq((*ret)->digest, d->digest) || (*ret)->bytes != d->size)
		return err_new(ERR_CORRUPT, "%s is damaged: it is %s of %lld bytes", name,
			       (*ret)->digest, (long long)(*ret)->bytes);
	return NULL;
}

static struct err *read_manifest(const struct archive *a, const struct oci_manifest *m,
				 struct found *f)
{
	TRY(blob_member(a, &m->config, &f->config));
	f->layers = m->n_layers ? xcalloc(m->n_layers, sizeof(struct member *)) : NULL;
	for (f->n_layers = 0; f->n_layers < m->n_layers; f->n_layers++)
		TRY(blob_member(a, &m->layers[f->n_layers], &f->layers[f->n_layers]));
	return NULL;
}

/* "latest" alone names no repository. */
static struct err *refs_of(const struct oci_desc *d, struct strv *refs)
{
	const char *full = strmap_get(&d->annotations, "io.containerd.image.name");
	const char *name = strmap_get(&d->annotations, "org.opencontainers.image.ref.name");
	OWN(oci_ref) struct oci_ref r = { 0 };

	if (!full && name && strpbrk(name, ":/"))
		full = name;
	if (!full)
		return NULL;
	TRY(oci_ref_parse(full, &r));
	OWN(mem) char *text = oci_ref_text(&r);

	strv_add(refs, text);
	return NULL;
}

static struct err *load_desc(struct archive *a, const struct oci_desc *d,
			     const struct oci_desc *top)
{
	OWN(json) json_t *j = NULL;
	OWN(found) struct found f = { 0 };
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	OWN(oci_index) struct oci_index x = { 0 };
	OWN(oci_platform) struct oci_platform want = { 0 };
	const struct oci_desc *chosen;
	enum oci_kind kind;

	TRY(blob_member(a, d, &f.manifest));
	TRY(member_json(f.manifest, &j));
	TRY(oci_kind_of(j, &kind));
	if (kind == OCI_INDEX && d == top) {
		TRY(oci_index_read(j, &x));
		TRY(job_platform(a->job, &want));
		chosen = oci_index_select(&x, &want);
		if (!chosen)
			return err_new(
			    ERR_UNSUPPORTED,
			    "no matching manifest for %s/%s in the manifest list entries", want.os,
			    want.arch);
		return load_desc(a, chosen, top);
	}
	TRY(oci_manifest_read(j, &m));
	TRY(refs_of(top, &f.refs));
	TRY(read_manifest(a, &m, &f));
	return store_image(a, &f);
}

static struct err *load_oci(struct archive *a, const struct member *index)
{
	OWN(json) json_t *j = NULL;
	OWN(oci_index) struct oci_index x = { 0 };
	OWN(oci_platform) struct oci_platform want = { 0 };
	size_t other = 0;

	TRY(member_json(index, &j));
	TRY(oci_index_read(j, &x));
	TRY(job_platform(a->job, &want));
	for (size_t i = 0; i < x.n_manifests; i++) {
		const struct oci_desc *d = &x.manifests[i];

		/* An index of one image for several platforms may be the top one. */
		if (d->platform.os && !oci_platform_matches(&want, &d->platform))
			other++;
		else
			TRY(load_desc(a, d, d));
	}
	if (other && other == x.n_manifests)
		return err_new(ERR_UNSUPPORTED,
			       "no matching manifest for %s/%s in the manifest list entries",
			       want.os, want.arch);
	return NULL;
}

/* ---- docker save ---- */

/* Newer archives are OCI layouts as well: then the manifest of the same config is kept. */
static void find_manifest(const struct archive *a, const struct member *index, struct found *f)
{
	OWN(json) json_t *j = NULL;
	OWN(oci_index) struct oci_index x = { 0 };
	OWN(err) struct err *e = member_json(index, &j);

	if (!e)
		e = oci_index_read(j, &x);
	for (size_t i = 0; !e && i < x.n_manifests && !f->manifest; i++) {
		OWN(oci_manifest) struct oci_manifest m = { 0 };
		OWN(found) struct found other = { 0 };
		OWN(json) json_t *doc = NULL;
		const struct member *member;
		OWN(err) struct err *skip = blob_member(a, &x.manifests[i], &member);

		if (!skip)
			skip = member_json(member, &doc);
		if (!skip)
			skip = oci_manifest_read(doc, &m);
		if (!skip)
			skip = read_manifest(a, &m, &other);
		if (!skip && streq(m.config.digest, f->config->digest) &&
		    other.n_layers == f->n_layers &&
		    !memcmp(other.layers, f->layers, f->n_layers * sizeof(*f->layers)))
			f->manifest = member;
	}
}

static struct err *read_image(const struct archive *a, const json_t *image, struct found *f)
{
	const json_t *layers = json_object_get(image, "Layers");
	OWN(strv) struct strv tags = { 0 };
	size_t n = json_array_size(layers);

	TRY(need_member(a, jx_str(image, "Config", "config named in manifest.json"), &f->config));
	if (n > OCI_LAYERS_MAX)
		return err_new(ERR_CORRUPT, "an image of %zu layers", n);
	f->layers = n ? xcalloc(n, sizeof(struct member *)) : NULL;
	for (f->n_layers = 0; f->n_layers < n; f->n_layers++) {
		const char *name = json_string_value(json_array_get(layers, f->n_layers));

		TRY(need_member(a, name ? name : "layer", &f->layers[f->n_layers]));
	}
	jx_strv(image, "RepoTags", &tags);
	for (size_t i = 0; i < tags.n; i++) {
		OWN(oci_ref) struct oci_ref r = { 0 };

		TRY_MSG(oci_ref_parse(tags.v[i], &r), "%s", tags.v[i]);
		OWN(mem) char *text = oci_ref_text(&r);

		strv_add(&f->refs, text);
	}
	return NULL;
}

static struct err *load_docker(struct archive *a, const struct member *list)
{
	const struct member *index = find_member(a, "index.json");
	OWN(json) json_t *j = NULL;

	TRY(member_json(list, &j));
	if (!json_is_array(j))
		return err_new(ERR_CORRUPT, "manifest.json is no array");
	for (size_t i = 0; i < json_array_size(j); i++) {
		OWN(found) struct found f = { 0 };

		TRY(read_image(a, json_array_get(j, i), &f));
		if (index)
			find_manifest(a, index, &f);
		TRY(store_image(a, &f));
	}
	return NULL;
}

struct err *job_load(struct job *j, json_t **ret_done)
{
	OWN(archive) struct archive a = { .job = j, .images = json_array() };
	const struct member *docker, *oci;

	TRY(read_archive(&a));
	docker = find_member(&a, "manifest.json");
	oci = find_member(&a, "index.json");
	if (docker)
		TRY(load_docker(&a, docker));
	else if (oci)
		TRY(load_oci(&a, oci));
	else
		return err_new(ERR_INVALID, "the archive has neither manifest.json nor index.json: "
					    "it holds no image (import takes a root file system)");
	*ret_done = json_pack("{s: O}", "images", a.images);
	return NULL;
}
