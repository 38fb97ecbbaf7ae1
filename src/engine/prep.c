/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must exist before an instance can start, and is made once by a worker: the
 * seccomp filter, a VM's read-only root and initramfs, the first content of volumes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/hash.h"
#include "util/log.h"
#include "util/mem.h"

/* For the name of a cache file. */
static uint64_t hash_add(uint64_t h, const char *text)
{
	return hash_byte(hash_text(h, text), 0xff);
}

char *prep_seccomp_path(const struct instance *i)
{
	const struct guest_planner *guest = planner_of(i->e, i->spec)->guest;
	const char *profile = i->spec->kind == SPEC_MACHINE ? NULL : guest->seccomp(i->spec);
	OWN(strv) struct strv caps = { 0 };
	uint64_t h = HASH_START, h2;

	if (!profile)
		return NULL;
	err_free(guest->caps(i->spec, &caps)); /* a bad name fails the plan, with words */
	h = hash_add(h, profile);
	for (size_t n = 0; n < caps.n; n++)
		h = hash_add(h, caps.v[n]);
	h2 = hash_add(h, quota_project(i) ? "x86_64 1 project" : "x86_64 1");
	return engine_path(i->e, "seccomp/%016llx%016llx.bpf", (unsigned long long)h,
			   (unsigned long long)h2);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- one function per kind: the job that is needed, or NULL ---- */

static json_t *need_seccomp(struct instance *i)
{
	const struct guest_planner *guest = planner_of(i->e, i->spec)->guest;
	OWN(mem) char *path = prep_seccomp_path(i);
	OWN(strv) struct strv caps = { 0 };

	if (!path || is_there(path))
		return NULL;
	err_free(guest->caps(i->spec, &caps));
	return json_pack("{s:s, s:s, s:o, s:b, s:s}", "job", "seccomp", "profile",
			 guest->seccomp(i->spec), "caps", jx_from_strv(&caps), "keep_project",
			 quota_project(i) != 0, "out", path);
}

static json_t *diff_ids(const struct image *im)
{
	json_t *ids = json_array(), *layer;
	size_t n;

	json_array_foreach(json_object_get(im->doc, "layers"), n, layer)
	    json_array_append_new(ids, json_string(jx_str(layer, "diff_id", "")));
	return ids;
}

static json_t *need_erofs(struct instance *i)
{
	struct image *im = i->spec->image_id ? image_by_id(i->e, i->spec->image_id) : NULL;

	if (i->spec->kind != SPEC_IMAGE_VM || !im)
		return NULL;
	OWN(mem) char *path = engine_path(i->e, "images/%s.erofs", im->id + 7);

	if (is_there(path))
		return NULL;
	return json_pack("{s:s, s:o, s:s}", "job", "erofs", "layers", diff_ids(im), "config",
			 im->id);
}

static json_t *need_initramfs(struct instance *i)
{
	return vm_initramfs_job(i);
}

/* Has the image anything at a path? A look at names only, no links are followed at its end. */
static bool image_has(struct engine *e, const struct image *im, const char *path)
{
	OWN(strv) struct strv layers = { 0 };
	struct stat st;

	image_layers(im, &layers);
	for (size_t n = 0; n < layers.n; n++) {
		OWN(mem) char *at = engine_path(e, "layers/sha256/%s/fs%s", layers.v[n], path);

		if (lstat(at, &st) == 0)
			return true;
	}
	return false;
}

static struct err *not_fresh(struct engine *e, const char *name, json_t *doc)
{
	json_object_set_new(doc, "fresh", json_false());
	TRY(store_begin(e->store));
	TRY(store_put(e->store, STORE_VOLUME, name, name, doc));
	engine_dirty(e);
	return NULL;
}

static json_t *copy_job(struct instance *i, const struct image *im, const struct spec_mount *m)
{
	OWN(mem) char *folder = volume_path(i->e, m->source);

	return json_pack("{s:s, s:o, s:s, s:s}", "job", "volume-copy", "layers", diff_ids(im),
			 "path", m->target, "volume", folder);
}

/* The first volume that was never used yet gets what the image has at its place. */
static json_t *need_volumes(struct instance *i)
{
	struct image *im = i->spec->image_id ? image_by_id(i->e, i->spec->image_id) : NULL;

	for (size_t n = 0; im && n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(json) json_t *doc = NULL;
		OWN(err) struct err *err = NULL;

		if (m->type != MOUNT_VOLUME)
			continue;
		err = store_get(i->e->store, STORE_VOLUME, m->source, &doc);
		if (err || !jx_bool(doc, "fresh", false))
			continue;
		err_free(not_fresh(i->e, m->source, doc));
		if (!m->nocopy && image_has(i->e, im, m->target))
			return copy_job(i, im, m);
	}
	return NULL;
}

static const struct {
	const char *status;
	bool is_repeated; /* one job per volume */
	json_t *(*need)(struct instance *i);
} preps[] = {
	[PREP_SECCOMP] = { "preparing: compiling the seccomp profile", false, need_seccomp },
	[PREP_EROFS] = { "preparing: packing the image for VMs (once per image)", false,
			 need_erofs },
	[PREP_INITRAMFS] = { "preparing: building the initramfs (once per kernel)", false,
			     need_initramfs },
	[PREP_VOLUMES] = { "preparing: copying the image's files into a new volume", true,
			   need_volumes },
};

static void on_prep_done(void *arg, struct err *e, const json_t *result)
{
	struct instance *i = arg;

	i->prep = NULL;
	i->preparing = NULL;
	if (!e && i->prep_kind == PREP_INITRAMFS)
		vm_initramfs_made(i, jx_str(result, "path", ""));
	if (e)
		start_failed(i, err_kind(e), err_text(e));
	else
		start_admitted(i);
	err_free(e);
}

bool prep_next(struct instance *i)
{
	for (enum prep_kind k = 0; k < PREP_KINDS; k++) {
		json_t *job = i->prep_done & (1U << k) ? NULL : preps[k].need(i);
		struct err *err;

		if (!job) {
			i->prep_done |= 1U << k;
			continue;
		}
		if (!preps[k].is_repeated)
			i->prep_done |= 1U << k;
		i->preparing = preps[k].status;
		i->prep_kind = k;
		log_debug("instance=%.12s %s", i->id, preps[k].status);
		err = job_simple(i->e, job, (struct engine_done) { on_prep_done, i }, &i->prep);
		if (err)
			engine_finish(i->e, (struct engine_done) { on_prep_done, i }, err, NULL);
		return true;
	}
	return false;
}

json_t *prep_vm_job(struct instance *i, bool *ret_is_initramfs)
{
	json_t *job = need_erofs(i);

	*ret_is_initramfs = !job;
	return job ? job : need_initramfs(i);
}

void prep_cancel(struct instance *i)
{
	engine_job_cancel(TAKE(i->prep));
	i->preparing = NULL;
}
