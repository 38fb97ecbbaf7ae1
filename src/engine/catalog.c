/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.json: what the store knows of images, references, volumes and kernels, and its few
 * facts about the host, in a file of its own that is renamed into place after each commit that
 * changed it.  Of instances and networks each has files of its own.  With both a store that was
 * lost or damaged is made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine_int.h"
#include "util/log.h"
#include "util/mem.h"

#define VERSION 1

static const struct {
	enum store_kind kind;
	const char *name;
	bool is_named; /* its key is its unique name too */
} kinds[] = {
	{ STORE_IMAGE, "images", false },
	{ STORE_REF, "references", false },
	{ STORE_VOLUME, "volumes", true },
	{ STORE_KERNEL, "kernels", true },
};

static const char *const facts[] = { "boot_id", "bridge", "nft_table", "drain",
				     "quotas",  "trust",  "policy" };

/* ---- out ---- */

static struct err *add_row(void *arg, const char *key, const json_t *doc)
{
	json_array_append_new(arg,
			      json_pack("{s:s, s:o}", "key", key, "document", json_deep_copy(doc)));
	return NULL;
}

static struct err *gather(struct engine *e, json_t *j)
{
	json_t *host = json_object();

	json_object_set_new(j, "version", json_integer(VERSION));
	json_object_set_new(j, "host", host);
	for (size_t n = 0; n < ARRAY_SIZE(facts); n++) {
		OWN(mem) char *value = store_meta_get(e->store, facts[n]);

		jx_set_str(host, facts[n], value);
	}
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		json_t *rows = json_array();

		json_object_set_new(j, kinds[n].name, rows);
		TRY(store_each(e->store, kinds[n].kind, add_row, rows));
	}
	return NULL;
}

static struct err *save(struct engine *e)
{
	OWN(json) json_t *j = json_object();
	OWN(mem) char *path = engine_path(e, "catalog.json");

	TRY(gather(e, j));
	return jx_save(AT_FDCWD, path, j, 0600);
}

void catalog_save(struct engine *e)
{
	OWN(err) struct err *err = NULL;

	if (!store_has_news(e->store))
		return;
	err = save(e);
	if (err)
		log_warn("catalog: %s", err_text(err)); /* the next change tries again */
	else
		store_news_done(e->store);
}

/* ---- in ---- */

static struct err *read_rows(struct engine *e, const json_t *j, size_t at)
{
	json_t *row;
	size_t n;

	json_array_foreach(json_object_get(j, kinds[at].name), n, row)
	{
		const char *key = jx_str(row, "key", NULL);
		const json_t *doc = json_object_get(row, "document");

		if (key && doc)
			TRY(store_put(e->store, kinds[at].kind, key,
				      kinds[at].is_named ? key : NULL, doc));
	}
	return NULL;
}

static struct err *read_all(struct engine *e, const json_t *j)
{
	const json_t *host = json_object_get(j, "host");

	if (jx_int(j, "version", 0) > VERSION)
		return err_new(ERR_UNSUPPORTED, "written by a newer hostel");
	TRY(store_begin(e->store));
	for (size_t n = 0; n < ARRAY_SIZE(facts); n++)
		if (jx_str(host, facts[n], NULL))
			TRY(store_meta_set(e->store, facts[n], jx_str(host, facts[n], "")));
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++)
		TRY(read_rows(e, j, n));
	return store_commit(e->store);
}

static struct err *load(struct engine *e)
{
	OWN(mem) char *path = engine_path(e, "catalog.json");
	OWN(json) json_t *j = NULL;
	struct err *err;

	TRY_MSG(jx_load(AT_FDCWD, path, &j), "%s", path);
	err = read_all(e, j);
	if (err)
		store_rollback(e->store);
	return err;
}

/* ---- the store that goes with it ---- */

static void set_aside(const char *path)
{
	static const char *const files[] = { "", "-wal", "-shm" };

	for (size_t n = 0; n < ARRAY_SIZE(files); n++) {
		OWN(mem) char *from = xasprintf("%s%s", path, files[n]);
		OWN(mem) char *to = xasprintf("%s.damaged%s", path, files[n]);

		if (rename(from, to) < 0 && errno != ENOENT)
			log_warn("%s: %s", from, strerror(errno));
	}
}

struct err *catalog_open_store(struct engine *e)
{
	OWN(mem) char *path = engine_path(e, "hostel.db");
	struct err *err = store_open(path, &e->store);

	if (err && err_kind(err) == ERR_CORRUPT) {
		log_error("%s; it is kept as %s.damaged and made anew from what lies beside it",
			  err_text(err), path);
		err_free(err);
		set_aside(path);
		err = store_open(path, &e->store);
	}
	TRY(err);
	e->is_new_store = store_is_new(e->store);
	if (!e->is_new_store)
		return NULL;
	err = load(e);
	if (err && err_kind(err) != ERR_NOT_FOUND)
		log_error("recovery: %s", err_text(err));
	else if (!err)
		log_warn("the store was lost: images, volumes and kernels are taken over from "
			 "catalog.json");
	err_free(err);
	return NULL;
}
