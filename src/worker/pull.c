/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Pulling an image: manifest, config, then the layers' blobs, several at a time; a layer
 * is unpacked while others are still on their way.  Each blob and each layer goes into
 * the store when it is whole, so that the next pull fetches the rest only.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "image/commit.h"
#include "image/store.h"
#include "oci/ref.h"
#include "registry/registry.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/access.h"
#include "worker/data.h"
#include "worker/unpack.h"

#define UNPACKS_MAX 2
#define STEP_MS     100
#define PROGRESS_NS 100000000

enum layer_state { LAYER_FETCH, LAYER_FETCHING, LAYER_FETCHED, LAYER_UNPACKING, LAYER_DONE };

struct layer {
	struct pull *pull;
	const struct oci_desc *desc;
	const char *diff_id;
	char *path; /* of the download */
	enum layer_state state;
	struct unpack *unpack;
	int64_t shown_ns; /* when progress was last told */
};

struct pull {
	struct job *job;
	struct oci_ref ref;
	char *shown; /* short name */
	struct registry *registry;
	struct oci_manifest manifest;
	struct str manifest_text;
	struct oci_config config;
	char digest[DIGEST_CHARS];          /* as the registry names the image */
	char manifest_digest[DIGEST_CHARS]; /* of our platform's manifest */
	struct layer *layers;
	size_t n_layers;
	struct err *failed;
};

static void own_pull_release(struct pull *p)
{
	for (size_t i = 0; i < p->n_layers; i++) {
		unpack_free(p->layers[i].unpack);
		free(p->layers[i].path);
	}
	free(p->layers);
	registry_free(p->registry);
	oci_ref_done(&p->ref);
	oci_manifest_done(&p->manifest);
	oci_config_done(&p->config);
	str_done(&p->manifest_text);
	free(p->shown);
	err_free(p->failed);
}

static struct err *open_registry(struct pull *p)
{
	OWN(job_registry) struct job_registry own = { 0 };
	struct registry_options o = { 0 };

	job_registry_options(p->job, p->ref.domain, &own, &o);
	o.path = p->ref.path;
	return registry_new(&o, &p->registry);
}

/* ---- documents ---- */

static struct err *put_text(struct pull *p, const struct str *text)
{
	char digest[DIGEST_CHARS];
	const char *tmp;

	TRY(job_tmp(p->job, &tmp));
	return image_put_document(p->job->root, tmp, text->buf, text->len, digest);
}

static struct err *select_platform(struct pull *p, const json_t *j)
{
	OWN(oci_index) struct oci_index x = { 0 };
	OWN(oci_platform) struct oci_platform want = { 0 };
	OWN(mem) char *asked = NULL;
	const struct oci_desc *d;

	TRY(oci_index_read(j, &x));
	TRY(job_platform(p->job, &want));
	TRY(job_check_platform(p->job, p->shown, &want));
	d = oci_index_select(&x, &want);
	asked = oci_platform_text(&want);
	if (!d)
		return err_new(ERR_UNSUPPORTED,
			       "image %s is not made for this platform: no matching manifest for "
			       "%s in the manifest list entries",
			       p->shown, asked);
	return registry_manifest(p->registry, d->digest, p->shown, &p->manifest_text,
				 p->manifest_digest);
}

static struct err *fetch_manifest(struct pull *p)
{
	OWN(json) json_t *j = NULL;
	enum oci_kind kind;

	TRY(registry_manifest(p->registry, p->ref.digest ? p->ref.digest : p->ref.tag, p->shown,
			      &p->manifest_text, p->digest));
	memcpy(p->manifest_digest, p->digest, DIGEST_CHARS);
	TRY_MSG(jx_parse(p->manifest_text.buf, p->manifest_text.len, &j), "manifest of %s",
		p->shown);
	TRY_MSG(oci_kind_of(j, &kind), "%s", p->shown);
	if (kind == OCI_INDEX) {
		TRY(select_platform(p, j));
		json_decref(TAKE(j));
		TRY_MSG(jx_parse(p->manifest_text.buf, p->manifest_text.len, &j), "manifest of %s",
			p->shown);
	}
	TRY_MSG(oci_manifest_read(j, &p->manifest), "%s", p->shown);
	if (p->manifest.config.size > (int64_t)OCI_DOCUMENT_MAX)
		return err_new(ERR_CORRUPT, "the config of %s is too long", p->shown);
	return NULL;
}

static void on_config(void *arg, struct err *e)
{
	struct pull *p = arg;

	err_free(p->failed);
	p->failed = e;
}

static struct err *fetch_config(struct pull *p)
{
	const struct oci_desc *d = &p->manifest.config;
	OWN(mem) char *path = NULL;
	const char *tmp;

	if (!image_blob_exists(p->job->root, d->digest, d->size)) {
		TRY(job_tmp(p->job, &tmp));
		path = xasprintf("%s/config", tmp);
		registry_blob_add(p->registry, &(struct registry_blob) { .digest = d->digest,
									 .size = d->size,
									 .path = path,
									 .done = on_config,
									 .arg = p });
		while (!registry_is_idle(p->registry))
			registry_step(p->registry, NULL, 0, STEP_MS);
		if (p->failed)
			return TAKE(p->failed);
		TRY(image_commit_blob(p->job->root, path, d->digest));
	}
	TRY(image_config_load(p->job->root, d->digest, &p->config));
	if (p->config.diff_ids.n != p->manifest.n_layers)
		return err_new(ERR_CORRUPT, "%s: manifest has %zu layers, config %zu", p->shown,
			       p->manifest.n_layers, p->config.diff_ids.n);
	return job_check_platform(p->job, p->shown, &p->config.platform);
}

/* ---- layers ---- */

static void fail(struct pull *p, struct err *e)
{
	if (e && p->failed)
		err_free(e); /* the first one is told */
	else if (e)
		p->failed = e;
}

static bool is_due(struct layer *l)
{
	int64_t now = clock_boot_ns();

	if (now - l->shown_ns < PROGRESS_NS)
		return false;
	l->shown_ns = now;
	return true;
}

static void on_progress(void *arg, int64_t received)
{
	struct layer *l = arg;

	if (is_due(l))
		job_progress(l->pull->job, l->desc->digest, "Downloading", received, l->desc->size);
}

static void on_fetched(void *arg, struct err *e)
{
	struct layer *l = arg;
	struct pull *p = l->pull;

	l->state = LAYER_FETCHED;
	if (!e)
		e = image_commit_blob(p->job->root, l->path, l->desc->digest);
	if (!e)
		job_progress(p->job, l->desc->digest, "Download complete", l->desc->size,
			     l->desc->size);
	fail(p, e);
}

static bool is_duplicate(const struct pull *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(p->layers[i].desc->digest, p->layers[n].desc->digest) &&
		    streq(p->layers[i].diff_id, p->layers[n].diff_id))
			return true;
	return false;
}

static struct err *plan_layer(struct pull *p, size_t i)
{
	struct layer *l = &p->layers[i];
	bool have_blob, have_layer;
	const char *tmp;

	*l = (struct layer) { .pull = p,
			      .desc = &p->manifest.layers[i],
			      .diff_id = p->config.diff_ids.v[i] };
	have_blob = image_blob_exists(p->job->root, l->desc->digest, l->desc->size);
	have_layer = image_layer_exists(p->job->root, l->diff_id);
	if (is_duplicate(p, i) || (have_blob && have_layer)) {
		l->state = LAYER_DONE;
		job_progress(p->job, l->desc->digest, "Already exists", 0, 0);
		return NULL;
	}
	if (have_blob) {
		l->state = LAYER_FETCHED;
		return NULL;
	}
	TRY(job_tmp(p->job, &tmp));
	l->path = xasprintf("%s/blob-%zu", tmp, i);
	l->state = LAYER_FETCHING;
	job_progress(p->job, l->desc->digest, "Pulling fs layer", 0, l->desc->size);
	registry_blob_add(p->registry, &(struct registry_blob) { .digest = l->desc->digest,
								 .size = l->desc->size,
								 .path = l->path,
								 .progress = on_progress,
								 .done = on_fetched,
								 .arg = l });
	return NULL;
}

static struct err *plan_layers(struct pull *p)
{
	p->layers = p->manifest.n_layers ? xcalloc(p->manifest.n_layers, sizeof(*p->layers)) : NULL;
	for (size_t i = 0; i < p->manifest.n_layers; i++) {
		p->n_layers = i + 1;
		TRY(plan_layer(p, i));
	}
	return NULL;
}

static void layer_done(struct layer *l)
{
	l->state = LAYER_DONE;
	job_progress(l->pull->job, l->desc->digest, "Pull complete", l->desc->size, l->desc->size);
}

static struct err *start_unpack(struct layer *l)
{
	OWN(mem) char *blob = image_blob_path(l->pull->job->root, l->desc->digest);

	if (image_layer_exists(l->pull->job->root, l->diff_id)) {
		layer_done(l);
		return NULL;
	}
	TRY(unpack_start(l->pull->job, blob, l->diff_id, &l->unpack));
	l->state = LAYER_UNPACKING;
	return NULL;
}

static struct err *end_unpack(struct layer *l)
{
	char diff_id[DIGEST_CHARS];

	TRY_MSG(unpack_finish(l->unpack, diff_id), "layer %.19s", l->desc->digest);
	unpack_free(TAKE(l->unpack));
	layer_done(l);
	return NULL;
}

/* Start what can start; note what is to be watched. */
static size_t watch_unpacks(struct pull *p, struct pollfd *fds, struct layer **of)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_layers; i++)
		n += p->layers[i].state == LAYER_UNPACKING ? 1 : 0;
	for (size_t i = 0; i < p->n_layers && n < UNPACKS_MAX && !p->failed; i++) {
		if (p->layers[i].state != LAYER_FETCHED)
			continue;
		fail(p, start_unpack(&p->layers[i]));
		n += p->layers[i].state == LAYER_UNPACKING ? 1 : 0;
	}
	n = 0;
	for (size_t i = 0; i < p->n_layers; i++) {
		if (p->layers[i].state != LAYER_UNPACKING)
			continue;
		fds[n] = (struct pollfd) { .fd = unpack_fd(p->layers[i].unpack), .events = POLLIN };
		of[n++] = &p->layers[i];
	}
	return n;
}

static bool all_done(const struct pull *p)
{
	for (size_t i = 0; i < p->n_layers; i++)
		if (p->layers[i].state != LAYER_DONE)
			return false;
	return true;
}

static struct err *fetch_layers(struct pull *p)
{
	struct pollfd fds[UNPACKS_MAX];
	struct layer *of[UNPACKS_MAX];

	TRY(plan_layers(p));
	while (!p->failed && !all_done(p)) {
		size_t n = watch_unpacks(p, fds, of);

		if (p->failed || all_done(p))
			break;
		registry_step(p->registry, fds, n, STEP_MS);
		for (size_t i = 0; i < n; i++) {
			if (fds[i].revents)
				fail(p, end_unpack(of[i]));
			else if (is_due(of[i]))
				job_progress(p->job, of[i]->desc->digest, "Extracting",
					     unpack_read_bytes(of[i]->unpack), of[i]->desc->size);
		}
	}
	return TAKE(p->failed);
}

/* ---- the job ---- */

static void tell_start(struct pull *p)
{
	OWN(mem) char *text = xasprintf("Pulling from %s", p->ref.path);

	job_status(p->job, p->ref.digest ? p->ref.digest : p->ref.tag, text);
}

struct err *job_pull(struct job *j, json_t **ret_done)
{
	OWN(pull) struct pull p = { .job = j };
	OWN(strv) struct strv refs = { 0 };
	OWN(mem) char *full = NULL;
	const char *ref;

	TRY(job_arg(j, "ref", &ref));
	TRY(oci_ref_parse(ref, &p.ref));
	p.shown = oci_ref_familiar(&p.ref);
	TRY(open_registry(&p));
	TRY(fetch_manifest(&p));
	tell_start(&p);
	TRY(fetch_config(&p));
	TRY(fetch_layers(&p));
	TRY(put_text(&p, &p.manifest_text));
	full = oci_ref_text(&p.ref);
	strv_add(&refs, full);
	return image_object(j->root, p.manifest_digest, &refs, p.digest, ret_done);
}
