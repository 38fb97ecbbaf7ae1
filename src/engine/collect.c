/* SPDX-License-Identifier: Apache-2.0 */
/* Files of images that no image has: what failed pulls left for the next one, and it never came. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* Names of files that are needed, one set per folder. */
struct needed {
	json_t *blobs, *layers, *roots;
};

static void own_needed_release(struct needed *n)
{
	json_decref(n->blobs);
	json_decref(n->layers);
	json_decref(n->roots);
}

static void need(json_t *set, const char *digest, const char *suffix)
{
	OWN(mem) char *name = NULL;

	if (strncmp(digest, "sha256:", 7))
		return;
	name = xasprintf("%s%s", digest + 7, suffix);
	json_object_set_new(set, name, json_true());
}

static void need_image(struct needed *n, const struct image *im)
{
	size_t k;
	json_t *layer;

	need(n->blobs, im->id, "");
	need(n->blobs, im->manifest, "");
	need(n->roots, im->id, ".erofs");
	json_array_foreach(json_object_get(im->doc, "layers"), k, layer)
	{
		need(n->blobs, jx_str(layer, "digest", ""), "");
		need(n->layers, jx_str(layer, "diff_id", ""), "");
	}
}

/* An instance taken over from its folder may run on an image that the lost store knew. */
static bool has_unknown_image(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (i->spec->image_id && *i->spec->image_id && !image_by_id(e, i->spec->image_id))
		return true;
	return false;
}

static int64_t layer_bytes(const char *path)
{
	OWN(mem) char *file = xasprintf("%s/layer.json", path);
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = jx_load(AT_FDCWD, file, &j);

	return err ? 0 : jx_int(j, "bytes", 0);
}

/* Return: its bytes when it was put away, else 0. */
static int64_t collect_one(struct engine *e, const char *path, int64_t older_ns, json_t *out)
{
	struct stat st;
	int64_t bytes;

	if (lstat(path, &st) < 0 ||
	    clock_wall_ns() - st.st_mtim.tv_sec * INT64_C(1000000000) < older_ns)
		return 0;
	bytes = S_ISDIR(st.st_mode) ? layer_bytes(path) : st.st_size;
	log_debug("collected: %s", path);
	trash_put(e, path);
	if (out)
		json_array_append_new(
		    out, json_pack("{s:o}", "Deleted",
				   json_sprintf("sha256:%.64s", strrchr(path, '/') + 1)));
	return bytes;
}

static int64_t collect_folder(struct engine *e, const char *folder, const json_t *set,
			      int64_t older_ns, json_t *out)
{
	OWN(mem) char *dir = engine_path(e, "%s", folder);
	struct dirent *entry;
	int64_t bytes = 0;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d))) {
		OWN(mem) char *path = xasprintf("%s/%s", dir, entry->d_name);

		if (*entry->d_name != '.' && !json_object_get(set, entry->d_name))
			bytes += collect_one(e, path, older_ns, out);
	}
	if (d)
		closedir(d);
	return bytes;
}

int64_t images_collect(struct engine *e, int64_t older_ns, json_t *out)
{
	OWN(needed)
	struct needed n = { .blobs = json_object(),
			    .layers = json_object(),
			    .roots = json_object() };
	struct image *im;

	/* A worker counts on what it found, though no image has it yet. */
	if (jobs_use_images(e) || has_unknown_image(e))
		return 0;
	TAILQ_FOREACH(im, &e->images, link)
	need_image(&n, im);
	return collect_folder(e, "blobs/sha256", n.blobs, older_ns, out) +
	       collect_folder(e, "layers/sha256", n.layers, older_ns, out) +
	       collect_folder(e, "images", n.roots, older_ns, out);
}

int64_t engine_images_collect(struct engine *e, json_t *out)
{
	return images_collect(e, 0, out);
}

/* ---- sizes ---- */

/* Layers of all images by diff id: {"size": bytes, "uses": images that have it} */
static json_t *all_layers(struct engine *e)
{
	json_t *all = json_object(), *layer, *known;
	struct image *im;
	size_t k;

	TAILQ_FOREACH(im, &e->images, link)
	json_array_foreach(json_object_get(im->doc, "layers"), k, layer)
	{
		const char *diff_id = jx_str(layer, "diff_id", "");

		known = json_object_get(all, diff_id);
		if (!known) {
			known = json_pack("{s:I}", "size", (json_int_t)jx_int(layer, "size", 0));
			json_object_set_new(all, diff_id, known);
		}
		json_object_set_new(known, "uses", json_integer(jx_int(known, "uses", 0) + 1));
	}
	return all;
}

int64_t engine_layers_bytes(struct engine *e)
{
	OWN(json) json_t *all = all_layers(e);
	int64_t bytes = 0;
	const char *key;
	json_t *layer;

	json_object_foreach(all, key, layer) bytes += jx_int(layer, "size", 0);
	return bytes;
}

json_t *engine_shared_bytes(struct engine *e)
{
	OWN(json) json_t *all = all_layers(e);
	json_t *shared = json_object(), *layer;
	struct image *im;
	size_t k;

	TAILQ_FOREACH(im, &e->images, link)
	{
		int64_t bytes = 0;

		json_array_foreach(json_object_get(im->doc, "layers"), k, layer)
		{
			const json_t *known = json_object_get(all, jx_str(layer, "diff_id", ""));

			if (jx_int(known, "uses", 0) > 1)
				bytes += jx_int(known, "size", 0);
		}
		json_object_set_new(shared, im->id, json_integer(bytes));
	}
	return shared;
}

/* What an instance has written: a folder's files, or the blocks of a file system of its own. */
static char *written_path(const struct instance *i)
{
	char *disk = xasprintf("%s/rw.img", i->state_dir);

	if (access(disk, F_OK) == 0)
		return disk;
	free(disk);
	return xasprintf("%s/rw/upper", i->state_dir);
}

static void add_tree(json_t *trees, const char *key, char *path)
{
	jx_set_str(trees, key, path);
	free(path);
}

struct err *engine_sizes(struct engine *e, struct instance *only, bool with_volumes,
			 struct engine_done done, struct engine_job **ret)
{
	struct engine_job_io io = { .data_fd = -1 };
	json_t *trees = json_object(), *volumes = with_volumes ? engine_volumes(e) : NULL, *v;
	struct instance *i;
	size_t k;

	TAILQ_FOREACH(i, &e->instances, link)
	if (!only || i == only)
		add_tree(trees, i->id, written_path(i));
	json_array_foreach(volumes, k, v)
	{
		OWN(mem) char *key = xasprintf("volume/%s", jx_str(v, "Name", ""));

		jx_set_str(trees, key, jx_str(v, "Mountpoint", ""));
	}
	json_decref(volumes);
	return engine_job_start(e, json_pack("{s:s, s:o}", "job", "sizes", "trees", trees), &io,
				done, ret);
}
