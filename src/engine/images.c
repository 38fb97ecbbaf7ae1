/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "engine/engine_int.h"
#include "oci/ref.h"
#include "util/clock.h"
#include "util/mem.h"

/* ---- references: stored whole, shown short ---- */

static struct err *ref_whole(const char *text, char **ret)
{
	OWN(oci_ref) struct oci_ref r = { 0 };

	TRY(oci_ref_parse(text, &r));
	*ret = oci_ref_text(&r);
	return NULL;
}

/* Of a stored one, which parses. @show: oci_ref_familiar() or oci_ref_name() */
static char *ref_shown(const char *whole, char *(*show)(const struct oci_ref *r))
{
	OWN(oci_ref) struct oci_ref r = { 0 };
	OWN(err) struct err *err = oci_ref_parse(whole, &r);

	return err ? xstrdup(whole) : show(&r);
}

/* May it be (the start of) an id, with or without "sha256:"? */
static bool ref_is_id(const char *text)
{
	const char *hex = strncmp(text, "sha256:", 7) ? text : text + 7;
	size_t n = strlen(hex);

	return n > 0 && n <= 64 && strspn(hex, "0123456789abcdef") == n;
}

/* ---- table ---- */

static void image_drop(struct engine *e, struct image *im)
{
	TAILQ_REMOVE(&e->images, im, link);
	free(im->id);
	free(im->manifest);
	json_decref(im->doc);
	json_decref(im->config);
	free(im);
}

static void ref_drop(struct engine *e, struct image_ref *r)
{
	TAILQ_REMOVE(&e->refs, r, link);
	free(r->ref);
	free(r->image);
	free(r->digest);
	free(r);
}

struct image *image_by_id(struct engine *e, const char *id)
{
	struct image *im;

	TAILQ_FOREACH(im, &e->images, link)
	if (streq(im->id, id))
		return im;
	return NULL;
}

static struct image_ref *ref_find(struct engine *e, const char *ref)
{
	struct image_ref *r;

	TAILQ_FOREACH(r, &e->refs, link)
	if (streq(r->ref, ref))
		return r;
	return NULL;
}

static struct image *image_add(struct engine *e, const char *id, const json_t *doc)
{
	struct image *im = image_by_id(e, id);

	if (!im) {
		im = xnew(struct image);
		im->id = xstrdup(id);
		TAILQ_INSERT_TAIL(&e->images, im, link);
	}
	json_decref(im->doc);
	im->doc = json_deep_copy(doc);
	str_set(&im->manifest, jx_str(doc, "manifest", ""));
	return im;
}

static void ref_add(struct engine *e, const char *ref, const char *image, const char *digest)
{
	struct image_ref *r = ref_find(e, ref);

	if (!r) {
		r = xnew(struct image_ref);
		r->ref = xstrdup(ref);
		TAILQ_INSERT_TAIL(&e->refs, r, link);
	}
	str_set(&r->image, image);
	str_set(&r->digest, digest);
}

static struct err *load_image(void *arg, const char *key, const json_t *doc)
{
	image_add(arg, key, doc);
	return NULL;
}

static struct err *load_ref(void *arg, const char *key, const json_t *doc)
{
	ref_add(arg, key, jx_str(doc, "image", ""), jx_str(doc, "digest", ""));
	return NULL;
}

struct err *images_load(struct engine *e)
{
	TRY(store_each(e->store, STORE_IMAGE, load_image, e));
	return store_each(e->store, STORE_REF, load_ref, e);
}

static void shown_done(struct engine *e)
{
	strv_done(&e->shown.tags);
	strv_done(&e->shown.digests);
	memset(&e->shown, 0, sizeof(e->shown));
}

void images_free(struct engine *e)
{
	json_decref(e->doomed);
	while (!TAILQ_EMPTY(&e->images))
		image_drop(e, TAILQ_FIRST(&e->images));
	while (!TAILQ_EMPTY(&e->refs))
		ref_drop(e, TAILQ_FIRST(&e->refs));
	shown_done(e);
}

/* ---- entering ---- */

static struct err *put_ref(struct engine *e, const char *ref, const char *image, const char *digest)
{
	OWN(json) json_t *doc = json_pack("{s:s, s:s}", "image", image, "digest", digest);

	TRY(store_begin(e->store));
	TRY(store_put(e->store, STORE_REF, ref, NULL, doc));
	ref_add(e, ref, image, digest);
	engine_dirty(e);
	return NULL;
}

/* The same image came by another manifest, with its layers packed otherwise. */
static void doom_replaced(struct engine *e, const struct image *old, const json_t *doc)
{
	if (!old || streq(old->manifest, jx_str(doc, "manifest", "")))
		return;
	if (!e->doomed)
		e->doomed = json_array();
	json_array_append(e->doomed, old->doc);
}

struct err *image_enter(struct engine *e, const json_t *doc)
{
	const char *id = jx_str(doc, "id", NULL);
	size_t n;
	json_t *ref;

	if (!id)
		return err_new(ERR_INTERNAL, "the worker named no image");
	doom_replaced(e, image_by_id(e, id), doc);
	TRY(store_begin(e->store));
	TRY(store_put(e->store, STORE_IMAGE, id, NULL, doc));
	engine_dirty(e);
	image_add(e, id, doc);
	json_array_foreach(json_object_get(doc, "refs"), n, ref)
	{
		OWN(mem) char *whole = NULL;

		TRY(ref_whole(json_string_value(ref), &whole));
		TRY(put_ref(e, whole, id, jx_str(doc, "digest", "")));
	}
	return engine_commit(e);
}

/* ---- lookup ---- */

static struct image *image_by_prefix(struct engine *e, const char *text)
{
	const char *hex = strncmp(text, "sha256:", 7) ? text : text + 7;
	struct image *im, *found = NULL;

	if (!ref_is_id(text))
		return NULL;
	TAILQ_FOREACH(im, &e->images, link)
	if (!strncmp(im->id + 7, hex, strlen(hex))) {
		if (found)
			return NULL; /* ambiguous: as not found */
		found = im;
	}
	return found;
}

/* name@sha256:… finds what a pull of that name had as its digest. */
static struct image *image_by_digest(struct engine *e, const char *whole)
{
	const char *at = strchr(whole, '@');
	OWN(mem) char *wanted = ref_shown(whole, oci_ref_name);
	struct image_ref *r;

	if (!at)
		return NULL;
	TAILQ_FOREACH(r, &e->refs, link)
	{
		OWN(mem) char *name = ref_shown(r->ref, oci_ref_name);

		if (streq(r->digest, at + 1) && streq(name, wanted))
			return image_by_id(e, r->image);
	}
	return NULL;
}

struct image *image_by_ref(struct engine *e, const char *ref)
{
	OWN(mem) char *whole = NULL;
	OWN(err) struct err *err = ref_whole(ref, &whole);
	struct image_ref *r = err ? NULL : ref_find(e, whole);
	struct image *im = r ? image_by_id(e, r->image) : NULL;

	if (!im && whole)
		im = image_by_digest(e, whole);
	return im ? im : image_by_prefix(e, ref);
}

struct err *image_config(struct engine *e, struct image *im, const json_t **ret)
{
	if (!im->config) {
		OWN(mem) char *path = engine_path(e, "blobs/sha256/%s", im->id + 7);

		TRY_MSG(jx_load(AT_FDCWD, path, &im->config), "image %.19s", im->id);
	}
	*ret = im->config;
	return NULL;
}

void image_layers(const struct image *im, struct strv *ret)
{
	size_t n;
	json_t *layer;

	json_array_foreach(json_object_get(im->doc, "layers"), n, layer)
	{
		const char *id = jx_str(layer, "diff_id", "sha256:");

		strv_add(ret, strchr(id, ':') ? strchr(id, ':') + 1 : id);
	}
}

/* ---- for the faces ---- */

static int64_t created_ns(const json_t *doc)
{
	struct tm tm = { 0 };
	const char *text = jx_str(doc, "created", "");

	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) * INT64_C(1000000000) : 0;
}

static char *digest_line(const struct image_ref *r)
{
	OWN(mem) char *name = ref_shown(r->ref, oci_ref_name);

	return xasprintf("%s@%s", name, r->digest);
}

static void show_refs(struct engine *e, const struct image *im)
{
	struct image_ref *r;

	TAILQ_FOREACH(r, &e->refs, link)
	{
		OWN(mem) char *tag = ref_shown(r->ref, oci_ref_familiar);
		OWN(mem) char *line = digest_line(r);

		if (!streq(r->image, im->id))
			continue;
		if (!strchr(r->ref, '@'))
			strv_add(&e->shown.tags, tag);
		if (r->digest && *r->digest && !strv_has(&e->shown.digests, line))
			strv_add(&e->shown.digests, line);
	}
}

static const struct engine_image *show(struct engine *e, struct image *im)
{
	shown_done(e);
	e->shown.id = im->id;
	e->shown.manifest = im->manifest;
	e->shown.layers = json_object_get(im->doc, "layers");
	e->shown.size_bytes = jx_int(im->doc, "size", 0);
	e->shown.created_ns = created_ns(im->doc);
	err_free(image_config(e, im, &e->shown.config)); /* NULL when it is damaged */
	show_refs(e, im);
	return &e->shown;
}

void engine_each_image(struct engine *e, bool (*fn)(void *arg, const struct engine_image *im),
		       void *arg)
{
	struct image *im, *next;

	for (im = TAILQ_LAST(&e->images, image_list); im; im = next) {
		next = TAILQ_PREV(im, image_list, link);
		if (!fn(arg, show(e, im)))
			return;
	}
}

struct err *engine_image_find(struct engine *e, const char *ref, const struct engine_image **ret)
{
	struct image *im = image_by_ref(e, ref);

	if (!im)
		return err_new(ERR_NOT_FOUND, "No such image: %s", ref);
	*ret = show(e, im);
	return NULL;
}

static void image_event(struct engine *e, const char *action, const struct image *im,
			const char *name)
{
	json_t *a = json_object();

	jx_set_str(a, "name", name);
	event_emit(e, "image", action, im->id, a);
}

struct err *engine_image_tag(struct engine *e, const char *ref, const char *new_ref)
{
	struct image *im = image_by_ref(e, ref);
	OWN(mem) char *whole = NULL;

	if (!im)
		return err_new(ERR_NOT_FOUND, "No such image: %s", ref);
	TRY(ref_whole(new_ref, &whole));
	if (strchr(whole, '@'))
		return err_new(ERR_INVALID, "refusing to create a tag with a digest reference");
	TRY(put_ref(e, whole, im->id, ""));
	OWN(mem) char *tag = ref_shown(whole, oci_ref_familiar);

	image_event(e, "tag", im, tag);
	return engine_commit(e);
}

/* ---- removal ---- */

static size_t refs_of(struct engine *e, const struct image *im)
{
	struct image_ref *r;
	size_t n = 0;

	TAILQ_FOREACH(r, &e->refs, link)
	n += streq(r->image, im->id);
	return n;
}

static bool is_in_use(const struct instance *i)
{
	return instance_is_alive(i) || instance_is_waiting(i);
}

/* An instance made from it, one that runs if there is any. */
static struct instance *user_of(struct engine *e, const struct image *im)
{
	struct instance *i, *found = NULL;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		if (!streq(i->spec->image_id, im->id))
			continue;
		if (is_in_use(i))
			return i;
		found = i;
	}
	return found;
}

static struct err *untag(struct engine *e, struct image *im, struct image_ref *r, json_t *out)
{
	OWN(mem) char *tag = ref_shown(r->ref, oci_ref_familiar);

	TRY(store_begin(e->store));
	TRY(store_del(e->store, STORE_REF, r->ref));
	engine_dirty(e);
	json_array_append_new(out, json_pack("{s:s}", "Untagged", tag));
	if (r->digest && *r->digest) {
		OWN(mem) char *line = digest_line(r);

		json_array_append_new(out, json_pack("{s:s}", "Untagged", line));
	}
	image_event(e, "untag", im, im->id);
	ref_drop(e, r);
	return NULL;
}

static bool is_layer_used(struct engine *e, const char *hex)
{
	struct image *im;

	TAILQ_FOREACH(im, &e->images, link)
	{
		OWN(strv) struct strv layers = { 0 };

		image_layers(im, &layers);
		if (strv_has(&layers, hex))
			return true;
	}
	return false;
}

static bool is_blob_used(struct engine *e, const char *digest)
{
	struct image *im;

	TAILQ_FOREACH(im, &e->images, link)
	{
		size_t n;
		json_t *layer;

		if (streq(im->id, digest) || streq(im->manifest, digest))
			return true;
		json_array_foreach(
		    json_object_get(im->doc, "layers"), n,
		    layer) if (streq(jx_str(layer, "digest", ""), digest)) return true;
	}
	return false;
}

static void trash_blob(struct engine *e, const char *digest)
{
	const char *hex = strchr(digest, ':');

	if (!hex || is_blob_used(e, digest))
		return;
	OWN(mem) char *path = engine_path(e, "blobs/sha256/%s", hex + 1);

	trash_put(e, path);
}

/* Files of an image whose row is gone: whatever no other image has. */
static void trash_files(struct engine *e, const json_t *doc)
{
	const char *id = jx_str(doc, "id", "sha256:");
	OWN(mem) char *erofs = engine_path(e, "images/%s.erofs", id + 7);
	size_t n;
	json_t *layer;

	json_array_foreach(json_object_get(doc, "layers"), n, layer)
	{
		const char *diff = jx_str(layer, "diff_id", "sha256:");

		trash_blob(e, jx_str(layer, "digest", ""));
		if (is_layer_used(e, diff + 7))
			continue;
		OWN(mem) char *path = engine_path(e, "layers/sha256/%s", diff + 7);

		trash_put(e, path);
	}
	trash_blob(e, id);
	trash_blob(e, jx_str(doc, "manifest", ""));
	if (!image_by_id(e, id))
		trash_put(e, erofs);
}

void images_sweep(struct engine *e)
{
	size_t n;
	json_t *doc;

	/* A pull counts on the layers that it found, though no row names them yet. */
	if (!e->doomed || jobs_use_images(e))
		return;
	OWN(json) json_t *doomed = TAKE(e->doomed);

	json_array_foreach(doomed, n, doc) trash_files(e, doc);
}

static void doom(struct engine *e, json_t *doc, json_t *out)
{
	size_t n;
	json_t *layer;

	json_array_foreach(json_object_get(doc, "layers"), n, layer)
	{
		const char *diff = jx_str(layer, "diff_id", "sha256:");

		if (!is_layer_used(e, diff + 7))
			json_array_append_new(out, json_pack("{s:s}", "Deleted", diff));
	}
	if (!e->doomed)
		e->doomed = json_array();
	json_array_append(e->doomed, doc);
	images_sweep(e);
}

static struct err *delete_image(struct engine *e, struct image *im, json_t *out)
{
	OWN(json) json_t *doc = json_incref(im->doc);
	OWN(mem) char *id = xstrdup(im->id);

	TRY(store_begin(e->store));
	TRY(store_del(e->store, STORE_IMAGE, im->id));
	engine_dirty(e);
	image_event(e, "delete", im, im->id);
	json_array_append_new(out, json_pack("{s:s}", "Deleted", id));
	image_drop(e, im);
	TRY(engine_commit(e)); /* the row first: files without a row are only garbage */
	doom(e, doc, out);
	return NULL;
}

static struct err *untag_all(struct engine *e, struct image *im, json_t *out)
{
	struct image_ref *r, *next;

	for (r = TAILQ_FIRST(&e->refs); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (streq(r->image, im->id))
			TRY(untag(e, im, r, out));
	}
	return NULL;
}

/*
 * As dockerd has it: a name can always be taken away by force.  The image itself stays for
 * as long as an instance is made from it.
 */
static struct err *remove_ref(struct engine *e, struct image *im, struct image_ref *r,
			      const char *ref, bool force, json_t *out)
{
	const struct instance *user = user_of(e, im);

	if (refs_of(e, im) > 1)
		return untag(e, im, r, out);
	if (user && !force)
		return err_new(
		    ERR_STATE,
		    "conflict: unable to remove repository reference \"%s\" (must force) "
		    "- container %.12s is using its referenced image %.12s",
		    ref, user->id, im->id + 7);
	TRY(untag(e, im, r, out));
	return user ? NULL : delete_image(e, im, out);
}

static struct err *conflict(const struct image *im, bool is_hard, const char *why,
			    const struct instance *user)
{
	return err_new(ERR_STATE,
		       "conflict: unable to delete %.12s (%s be forced) - image is %s%.12s",
		       im->id + 7, is_hard ? "cannot" : "must", why, user ? user->id : "");
}

/* By its id what goes is the image: no force takes it from what runs. */
static struct err *remove_id(struct engine *e, struct image *im, bool force, json_t *out)
{
	const struct instance *user = user_of(e, im);

	if (user && is_in_use(user))
		return conflict(im, true, "being used by running container ", user);
	if (refs_of(e, im) > 1 && !force)
		return conflict(im, false, "referenced in multiple repositories", NULL);
	if (user && !force)
		return conflict(im, false, "being used by stopped container ", user);
	TRY(untag_all(e, im, out));
	return user ? NULL : delete_image(e, im, out);
}

struct err *engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune,
				json_t **ret)
{
	struct image *im = image_by_ref(e, ref);
	OWN(json) json_t *out = json_array();
	OWN(mem) char *whole = NULL;
	OWN(err) struct err *bad = ref_whole(ref, &whole);
	struct image_ref *r = bad ? NULL : ref_find(e, whole);

	if (!im)
		return err_new(ERR_NOT_FOUND, "No such image: %s", ref);
	if (r)
		TRY(remove_ref(e, im, r, ref, force, out));
	else
		TRY(remove_id(e, im, force, out));
	TRY(engine_commit(e));
	*ret = json_incref(out);
	return NULL;
}
