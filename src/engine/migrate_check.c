/* SPDX-License-Identifier: Apache-2.0 */
/* Why an instance could not move: all reasons of a side, found before anything is touched. */
#include "engine/migrate_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/store.h"
#include "oci/image.h"
#include "util/mem.h"

static void add_err(struct strv *out, struct err *err)
{
	if (err)
		strv_add(out, err_text(err));
	err_free(err);
}

/* ---- here ---- */

static bool is_shared(const struct instance *i, const char *volume)
{
	const struct instance *other;

	TAILQ_FOREACH(other, &i->e->instances, link)
	for (size_t n = 0; other != i && n < other->spec->n_mounts; n++)
		if (other->spec->mounts[n].type == MOUNT_VOLUME &&
		    streq(other->spec->mounts[n].source, volume))
			return true;
	return false;
}

static void check_mounts(const struct instance *i, struct strv *out)
{
	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *m = &i->spec->mounts[n];

		if (m->type == MOUNT_BIND)
			strv_addf(out, "it mounts %s of this host at %s", m->source, m->target);
		else if (m->type == MOUNT_VOLUME && is_shared(i, m->source))
			strv_addf(out, "volume %s is used by another instance too", m->source);
	}
}

static void check_devices(const struct spec *s, struct strv *out)
{
	for (size_t n = 0; n < s->n_devices; n++)
		strv_addf(out, "it uses %s of this host", s->devices[n].host);
	for (size_t n = 0; n < s->n_disks; n++)
		if (s->disks[n].path)
			strv_addf(out, "its disk %s is a file of this host", s->disks[n].path);
	if (s->kernel)
		strv_addf(out, "its kernel %s is a file of this host", s->kernel);
	if (s->gpus)
		strv_add(out, "it uses gpus of this host");
}

static void check_joins(const struct instance *i, struct strv *out)
{
	const struct spec *s = i->spec;
	const char *const modes[] = { s->network_mode, s->ipc_mode, s->pid_mode };
	static const char *const what[] = { "network", "ipc", "pid" };

	for (size_t n = 0; n < ARRAY_SIZE(modes); n++)
		if (modes[n] && !strncmp(modes[n], "container:", 10))
			strv_addf(out, "it shares the %s namespace of %s", what[n], modes[n] + 10);
}

static void check_image(struct instance *i, struct strv *out)
{
	struct image *im = i->spec->image_id ? image_by_id(i->e, i->spec->image_id) : NULL;
	OWN(json) json_t *blobs = NULL;

	if (i->spec->image_id && !im)
		strv_addf(out, "its image %s is not here any more", i->spec->image);
	else if (im)
		add_err(out, migrate_blobs(i->e, im, &blobs));
}

void migrate_reasons_here(struct instance *i, struct strv *out)
{
	add_err(out, migrate_is_still(i));
	if (i->handover && handover_has_to_say(i->handover->state))
		strv_addf(out, "%s has still to be told that it stayed here", i->handover->peer);
	if (i->is_removing)
		strv_add(out, "it is being removed");
	if (i->op)
		strv_addf(out, "%s is under way", operation_text(i));
	if (engine_snapshots_count(i))
		strv_add(out, "it has snapshots, which do not move yet: export or remove them");
	if (i->spec->auto_remove)
		strv_add(out, "it is removed when it stops (--rm)");
	if (quota_project(i))
		strv_add(out, "its disk limit is a project quota: that does not move yet");
	check_mounts(i, out);
	check_devices(i->spec, out);
	check_joins(i, out);
	check_image(i, out);
}

void migrate_reasons_foreign(const struct spec *s, struct strv *out)
{
	for (size_t n = 0; n < s->n_mounts; n++)
		if (s->mounts[n].type == MOUNT_BIND)
			strv_addf(out, "it mounts %s of its host at %s", s->mounts[n].source,
				  s->mounts[n].target);
	check_devices(s, out);
}

/* ---- the image ---- */

/* @size: -1: it is not known beforehand */
static struct err *add_blob(struct engine *e, json_t *out, const char *digest, int64_t size)
{
	OWN(mem) char *path = image_blob_path(e->c.root, digest);
	struct stat st;

	if (size < 0 && stat(path, &st) == 0)
		size = st.st_size;
	if (size < 0 || !image_blob_exists(e->c.root, digest, size))
		return err_new(ERR_NOT_FOUND, "blob %s of its image is missing here", digest);
	json_array_append_new(out,
			      json_pack("{s:s, s:I}", "digest", digest, "size", (json_int_t)size));
	return NULL;
}

struct err *migrate_blobs(struct engine *e, const struct image *im, json_t **ret)
{
	OWN(json) json_t *out = json_array();
	OWN(oci_manifest) struct oci_manifest m = { 0 };

	TRY_MSG(image_manifest_load(e->c.root, im->manifest, &m), "its image");
	TRY(add_blob(e, out, im->manifest, -1));
	TRY(add_blob(e, out, m.config.digest, m.config.size));
	for (size_t n = 0; n < m.n_layers; n++)
		TRY(add_blob(e, out, m.layers[n].digest, m.layers[n].size));
	*ret = json_incref(out);
	return NULL;
}

/* ---- there ---- */

static void check_names(struct engine *e, const json_t *offer, const struct spec *s,
			struct strv *out)
{
	struct instance *by_id = instance_by_id(e, jx_str(offer, "id", ""));
	struct instance *by_name = s->name ? instance_by_name(e, s->name) : NULL;

	add_err(out, spec_check_name(s->name ? s->name : ""));
	if (by_id)
		strv_addf(out, "it is there already, as %s", by_id->spec->name);
	else if (by_name)
		strv_addf(out, "the name %s is taken there", s->name);
}

static void check_volumes(struct engine *e, const struct spec *s, struct strv *out)
{
	for (size_t n = 0; n < s->n_mounts; n++) {
		OWN(json) json_t *doc = NULL;
		struct err *none;

		if (s->mounts[n].type != MOUNT_VOLUME)
			continue;
		none = store_get(e->store, STORE_VOLUME, s->mounts[n].source, &doc);
		if (!none)
			strv_addf(out, "the volume name %s is taken there", s->mounts[n].source);
		err_free(none);
	}
}

static bool holds_port(const struct instance *i, const struct spec_port *p)
{
	for (size_t n = 0; instance_is_alive(i) && n < i->n_ports; n++)
		if (i->ports[n].host_port == p->host_port &&
		    streq(i->ports[n].protocol, p->protocol))
			return true;
	return false;
}

static void check_ports(struct engine *e, const struct spec *s, struct strv *out)
{
	const struct instance *i;

	for (size_t n = 0; n < s->n_ports; n++) {
		const struct spec_port *p = &s->ports[n];

		if (!p->host_port || (p->host_port_end && p->host_port_end != p->host_port))
			continue;
		TAILQ_FOREACH(i, &e->instances, link)
		if (holds_port(i, p))
			strv_addf(out, "port %d/%s is held there by %s", p->host_port, p->protocol,
				  i->spec->name);
	}
}

/* Its networks by their names; ids are a host's own. */
static void settle_networks(struct engine *e, const json_t *offer, struct spec *s, struct strv *out)
{
	const json_t *names = json_object_get(offer, "networks");

	for (size_t n = 0; n < s->n_endpoints; n++) {
		const char *id = s->endpoints[n].network;
		const char *name = jx_str(names, id, NULL);
		struct network *net = NULL;
		OWN(err) struct err *none = NULL;

		if (streq(id, NETWORK_DEFAULT))
			continue;
		none = name ? network_find(e, name, &net) : err_new(ERR_NOT_FOUND, "?");
		if (none) {
			strv_addf(out, "there is no network %s", name ? name : id);
			continue;
		}
		if (streq(s->network_mode, id))
			str_set(&s->network_mode, name);
		str_set(&s->endpoints[n].network, net->id);
	}
}

/* Could it ever start there? */
static void check_fit(struct engine *e, struct spec *s, struct strv *out)
{
	struct instance probe = { .e = e, .spec = s };
	struct sched_job job;

	snprintf(probe.id, sizeof(probe.id), "%064d", 0);
	probe.state_dir = (char *)(uintptr_t) "";
	job = queue_job(&probe);
	add_err(out, sched_check(e->sched, &job));
	add_err(out, vm_check(e, s));
	add_err(out, host_check(s));
	if (s->kind == SPEC_CONTAINER && s->disk_bytes && e->has_projects)
		strv_add(out, "its disk limit would be a project quota there: that does not move "
			      "yet");
}

void migrate_reasons_there(struct engine *e, const json_t *offer, struct spec *s, struct strv *out)
{
	check_names(e, offer, s, out);
	check_volumes(e, s, out);
	check_ports(e, s, out);
	settle_networks(e, offer, s, out);
	add_err(out, spec_check(s));
	check_fit(e, s, out);
}
