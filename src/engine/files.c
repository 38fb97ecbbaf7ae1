/* SPDX-License-Identifier: Apache-2.0 */
/* Files of an instance, by a worker: cp, diff, export. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/mem.h"

/* Where the root file system is: through a living process, or put together from its parts. */
static json_t *rootfs_json(struct instance *i)
{
	struct image *im = image_by_id(i->e, i->spec->image_id ? i->spec->image_id : "");
	OWN(strv) struct strv layers = { 0 };
	json_t *j = json_object(), *lower = json_array();

	if (im)
		image_layers(im, &layers);
	for (size_t n = layers.n; n-- > 0;) {
		OWN(mem) char *path = engine_path(i->e, "layers/sha256/%s/fs", layers.v[n]);

		json_array_append_new(lower, json_string(path));
	}
	if (i->pid > 0)
		json_object_set_new(j, "pid", json_integer(i->pid));
	json_object_set_new(j, "lower", lower);
	if (i->spec->disk_bytes && !quota_project(i)) {
		json_object_set_new(j, "disk", json_sprintf("%s/rw.img", i->state_dir));
	} else {
		json_object_set_new(j, "upper", json_sprintf("%s/rw/upper", i->state_dir));
		json_object_set_new(j, "work", json_sprintf("%s/rw/work", i->state_dir));
	}
	return j;
}

static json_t *mounts_json(struct instance *i)
{
	json_t *a = json_array();

	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];
		OWN(mem) char *path = NULL;

		if (m->type == MOUNT_TMPFS)
			continue;
		path = m->type == MOUNT_VOLUME ? volume_path(i->e, m->source) : xstrdup(m->source);
		json_array_append_new(a, json_pack("{s:s, s:s, s:b}", "source", path, "target",
						   m->target, "readonly", m->readonly));
	}
	return a;
}

struct err *engine_files(struct engine *e, struct instance *i, const char *op, const char *path,
			 const struct engine_job_io *io, struct engine_done done,
			 struct engine_job **ret)
{
	if (spec_is_vm(i->spec)) {
		if (io && io->data_fd >= 0)
			close(io->data_fd);
		return err_new(ERR_UNSUPPORTED,
			       "%s: files of a VM cannot be reached from outside yet",
			       i->spec->name);
	}
	return engine_job_start(e,
				json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "job", "files", "op",
					  op, "name", i->spec->name, "path", path ? path : "/",
					  "rootfs", rootfs_json(i), "mounts", mounts_json(i)),
				io, done, ret);
}
