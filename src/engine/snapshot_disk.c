/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance's disk is made of, and how another takes its place: the folder that has it
 * whole is renamed to instances/ID/staged, and from then on it counts.  What is left to do is
 * done at once, or by recovery: each name in it replaces the one beside it, and what the list says
 * is not in it, goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/snapshot.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define STAGED "staged"
#define LIST   "list.json"

/* Beside the disk: what a restored state needs at the start that brings it back. */
static const char *const extras[] = { "restore", "restore.json" };

void snapshot_disk_files(const struct instance *i, struct strv *ret)
{
	strv_add(ret, "rw.img");
	strv_add(ret, "ovmf-vars.fd");
	for (size_t n = 0; n < i->spec->n_disks; n++)
		if (!i->spec->disks[n].path || i->spec->disks[n].overlay)
			strv_addf(ret, "disk%zu.qcow2", n);
}

static void add_source(const struct instance *i, json_t *a, const char *name)
{
	OWN(mem) char *path = xasprintf("%s/%s", i->state_dir, name);

	json_array_append_new(a, json_pack("{s:s, s:s}", "path", path, "name", name));
}

/* A VM writes to its image, whose folders rw/ are there, and empty. */
json_t *snapshot_disk_sources(const struct instance *i)
{
	OWN(strv) struct strv files = { 0 };
	json_t *a = json_array();

	if (i->spec->kind == SPEC_CONTAINER && (!i->spec->disk_bytes || quota_project(i)))
		add_source(i, a, "rw/upper");
	snapshot_disk_files(i, &files);
	for (size_t n = 0; n < files.n; n++)
		add_source(i, a, files.v[n]);
	return a;
}

/* ---- taking over ---- */

/* All names that a disk of this instance may have. */
static void all_names(const struct instance *i, struct strv *ret)
{
	if (i->spec->kind == SPEC_CONTAINER)
		strv_add(ret, "rw");
	snapshot_disk_files(i, ret);
	for (size_t n = 0; n < ARRAY_SIZE(extras); n++)
		strv_add(ret, extras[n]);
}

static bool has(const char *folder, const char *name)
{
	OWN(mem) char *path = xasprintf("%s/%s", folder, name);

	return access(path, F_OK) == 0;
}

static struct err *write_list(const struct instance *i, const char *staged)
{
	OWN(mem) char *path = xasprintf("%s/" LIST, staged);
	OWN(strv) struct strv names = { 0 };
	OWN(json) json_t *list = json_array();

	all_names(i, &names);
	for (size_t n = 0; n < names.n; n++)
		if (has(staged, names.v[n]))
			json_array_append_new(list, json_string(names.v[n]));
	return jx_save(AT_FDCWD, path, list, 0600);
}

static bool is_listed(const json_t *list, const char *name)
{
	const json_t *one;
	size_t n;

	json_array_foreach(list, n, one) if (streq(json_string_value(one), name)) return true;
	return false;
}

/* May be done again. */
static struct err *take_name(struct instance *i, const char *staged, const json_t *list,
			     const char *name)
{
	OWN(mem) char *from = xasprintf("%s/%s", staged, name);
	OWN(mem) char *to = xasprintf("%s/%s", i->state_dir, name);
	bool is_new = access(from, F_OK) == 0;

	/* In the list and not there: it was taken over already.  In an empty rw/ it may write. */
	if (is_new || (!is_listed(list, name) && !streq(name, "rw")))
		trash_put(i->e, to);
	crash_point(i->e, CRASH_RESTORE_HALF);
	if (is_new && rename(from, to) < 0)
		return err_sys(errno, "%s", to);
	return NULL;
}

static struct err *finish(struct instance *i)
{
	OWN(mem) char *staged = xasprintf("%s/" STAGED, i->state_dir);
	OWN(mem) char *path = xasprintf("%s/" LIST, staged);
	OWN(strv) struct strv names = { 0 };
	OWN(json) json_t *list = NULL;

	TRY(jx_load(AT_FDCWD, path, &list));
	all_names(i, &names);
	for (size_t n = 0; n < names.n; n++)
		TRY(take_name(i, staged, list, names.v[n]));
	trash_put(i->e, staged);
	return NULL;
}

struct err *snapshot_take_over(struct instance *i, const char *staged)
{
	OWN(mem) char *to = xasprintf("%s/" STAGED, i->state_dir);

	TRY(write_list(i, staged));
	crash_point(i->e, CRASH_RESTORE_STAGED);
	if (rename(staged, to) < 0)
		return err_sys(errno, "%s", to);
	crash_point(i->e, CRASH_RESTORE_DUE);
	return finish(i);
}

void snapshot_recover(struct instance *i)
{
	OWN(err) struct err *err = NULL;

	if (!has(i->state_dir, STAGED))
		return;
	err = finish(i);
	if (err)
		log_error("%.12s: restore: %s", i->id, err_text(err));
	else
		log_info("recovery: %.12s: its restore was finished", i->id);
}

/* ---- the start that brings a state back ---- */

char *snapshot_restore_dir(const struct instance *i)
{
	return has(i->state_dir, "restore") ? xasprintf("%s/restore", i->state_dir) : NULL;
}

void snapshot_restore_over(struct instance *i)
{
	for (size_t n = 0; n < ARRAY_SIZE(extras); n++) {
		OWN(mem) char *path = xasprintf("%s/%s", i->state_dir, extras[n]);

		if (access(path, F_OK) == 0)
			trash_put(i->e, path);
	}
}

bool snapshot_wanted_end(const struct instance *i, const char *network, char address[], char mac[])
{
	OWN(mem) char *path = xasprintf("%s/restore.json", i->state_dir);
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = NULL;
	const json_t *end;
	size_t n;

	if (access(path, F_OK) < 0)
		return false;
	err = jx_load(AT_FDCWD, path, &j);
	json_array_foreach(json_object_get(j, "ends"), n, end)
	{
		if (!streq(jx_str(end, "network", ""), network))
			continue;
		snprintf(address, NET_ADDRESS_TEXT, "%s", jx_str(end, "address", ""));
		snprintf(mac, NET_MAC_TEXT, "%s", jx_str(end, "mac", ""));
		return true;
	}
	return false;
}
