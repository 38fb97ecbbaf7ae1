/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/merge.h"
#include "engine/names.h"
#include "engine/snapshot.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

/* The image by name, its defaults under what the user said. */
static struct err *look_up_image(struct engine *e, struct spec *s)
{
	const json_t *config;
	struct image *im;

	if (!s->image)
		return NULL;
	im = image_by_ref(e, s->image);
	if (!im)
		return err_new(ERR_NOT_FOUND, "No such image: %s", s->image);
	TRY(image_config(e, im, &config));
	str_set(&s->image_id, im->id);
	return merge_image(s, config);
}

static struct err *name_taken(const struct instance *by, const char *name)
{
	return err_new(
	    ERR_EXISTS,
	    "Conflict. The container name \"/%s\" is already in use by container \"%s\". "
	    "You have to remove (or rename) that container to be able to reuse that "
	    "name.",
	    name, by->id);
}

static void choose_name(struct engine *e, struct spec *s)
{
	for (unsigned try = 0;; try++) {
		char raw[65];

		engine_random_id(raw);
		raw[16] = '\0';
		OWN(mem) char *name = name_make(strtoull(raw, NULL, 16), try);

		if (!instance_by_name(e, name)) {
			str_set(&s->name, name);
			return;
		}
	}
}

static struct err *settle_name(struct engine *e, struct spec *s)
{
	struct instance *other;

	if (!s->name || !*s->name) {
		choose_name(e, s);
		return NULL;
	}
	if (*s->name == '/')
		memmove(s->name, s->name + 1, strlen(s->name));
	TRY(spec_check_name(s->name));
	other = instance_by_name(e, s->name);
	return other ? name_taken(other, s->name) : NULL;
}

static bool is_mounted(const struct spec *s, const char *target)
{
	for (size_t n = 0; n < s->n_mounts; n++)
		if (streq(s->mounts[n].target, target))
			return true;
	return strmap_get(&s->tmpfs, target) != NULL;
}

static void add_volume(struct spec *s, const char *target)
{
	s->mounts = xrealloc(s->mounts, s->n_mounts + 1, sizeof(*s->mounts));
	s->mounts[s->n_mounts++] = (struct spec_mount) {
		.type = MOUNT_VOLUME,
		.target = xstrdup(target),
	};
}

/* Paths of anonymous volumes become mounts, and each such mount gets a name of its own. */
static void settle_volumes(struct spec *s)
{
	if (spec_is_vm(s))
		return; /* no virtiofs yet: what the image calls a volume is a plain folder */
	for (size_t n = 0; n < s->volumes.n; n++)
		if (!is_mounted(s, s->volumes.v[n]))
			add_volume(s, s->volumes.v[n]);
	for (size_t n = 0; n < s->n_mounts; n++) {
		struct spec_mount *m = &s->mounts[n];
		char id[65];

		if (m->type != MOUNT_VOLUME || (m->source && *m->source))
			continue;
		engine_random_id(id);
		str_set(&m->source, id);
	}
}

static struct err *make_dir(const char *base, const char *name)
{
	OWN(mem) char *path = xasprintf("%s%s%s", base, *name ? "/" : "", name);

	return mkdir(path, 0755) < 0 && errno != EEXIST ? err_sys(errno, "%s", path) : NULL;
}

static const char *const folders[] = { "", "log", "rootfs", "rw", "rw/upper", "rw/work" };

/* @staged: a disk that is there, with its project; NULL: none */
static struct err *make_folder(struct instance *i, const char *staged)
{
	for (size_t n = 0; n < ARRAY_SIZE(folders); n++)
		TRY(make_dir(i->state_dir, folders[n]));
	TRY(staged ? snapshot_take_over(i, staged) : quota_claim(i));
	return instance_save_spec(i);
}

/* What cannot ever start is created all the same, with a warning. */
static void warn_too_big(struct instance *i, struct strv *warnings)
{
	struct sched_job job = queue_job(i);
	OWN(err) struct err *err = sched_check(i->e->sched, &job);

	if (err)
		strv_addf(warnings, "it cannot start on this host: %s", err_text(err));
}

static struct err *enter(struct instance *i, const char *staged)
{
	i->created_ns = clock_wall_ns();
	TRY(volumes_prepare(i));
	TRY(make_folder(i, staged));
	crash_point(i->e, CRASH_CREATE_FOLDER);
	i->spec_dirty = true;
	instance_touch(i);
	TRY(engine_commit(i->e));
	crash_point(i->e, CRASH_CREATE_COMMIT);
	return NULL;
}

struct err *engine_create(struct engine *e, struct spec *spec, struct instance **ret,
			  struct strv *ret_warnings)
{
	OWN(spec) struct spec *s = spec;
	struct instance *i;
	struct err *err;
	char id[65];

	TRY(look_up_image(e, s));
	TRY(settle_name(e, s));
	settle_volumes(s);
	TRY(networks_settle(e, s));
	TRY(after_settle(e, s));
	TRY(spec_check(s));
	TRY(host_check(s));
	engine_random_id(id);
	i = instance_new(e, id);
	i->spec = TAKE(s);
	err = enter(i, NULL);
	if (err) {
		trash_put(e, i->state_dir);
		instance_bury(i);
		return err;
	}
	warn_too_big(i, ret_warnings);
	instance_emit(i, "create", NULL);
	*ret = i;
	return NULL;
}

struct err *instance_create_whole(struct engine *e, struct spec *spec, const char *staged,
				  struct instance **ret)
{
	OWN(spec) struct spec *s = spec;
	struct instance *i;
	struct err *err;
	char id[65];

	if (s->image_id && !image_by_id(e, s->image_id))
		return err_new(ERR_NOT_FOUND, "its image %s is not here (%s)",
			       s->image ? s->image : "", s->image_id);
	TRY(settle_name(e, s));
	settle_volumes(s);
	TRY(networks_settle(e, s));
	TRY(spec_check(s));
	TRY(host_check(s));
	engine_random_id(id);
	i = instance_new(e, id);
	i->spec = TAKE(s);
	err = enter(i, staged);
	if (err) {
		trash_put(e, i->state_dir);
		instance_bury(i);
		return err;
	}
	instance_emit(i, "create", NULL);
	*ret = i;
	return NULL;
}

struct err *engine_rename(struct engine *e, struct instance *i, const char *name)
{
	const char *bare = *name == '/' ? name + 1 : name;
	struct instance *other = instance_by_name(e, bare);
	OWN(mem) char *old = xstrdup(i->spec->name);
	json_t *more;

	TRY(spec_check_name(bare));
	TRY(migrate_is_still(i));
	if (other == i)
		return err_new(ERR_INVALID,
			       "Renaming a container with the same name as its current "
			       "name");
	if (other)
		return name_taken(other, bare);
	str_set(&i->spec->name, bare);
	i->spec_dirty = true;
	instance_touch(i);
	struct err *err = instance_save_spec(i);

	if (!err)
		err = engine_commit(e);
	if (err) {
		str_set(&i->spec->name, old);
		return err;
	}
	more = json_object();
	json_object_set_new(more, "oldName", json_pack("s+", "/", old));
	instance_emit(i, "rename", more);
	return NULL;
}
