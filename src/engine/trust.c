/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which other hosts are trusted with instances: their certificates, pinned, each under a name.
 * Kept in the store (and catalog.json).  A worker reads certificates; here they are text.
 */
#include <string.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define STORED "trust"

json_t *engine_trust(struct engine *e)
{
	json_t *all = store_meta_json(e->store, STORED);

	return json_is_array(all) ? all : json_array();
}

static size_t find(const json_t *all, const char *member, const char *value)
{
	size_t n = 0;

	while (n < json_array_size(all) &&
	       !streq(jx_str(json_array_get(all, n), member, ""), value))
		n++;
	return n;
}

static struct err *keep(struct engine *e, const json_t *all)
{
	TRY(store_meta_json_set(e->store, STORED, all));
	engine_dirty(e);
	return NULL;
}

/* ---- add ---- */

struct adding {
	struct engine *e;
	char *name;
	struct engine_done done;
};

static struct err *add(struct engine *e, const char *name, const json_t *crt)
{
	OWN(json) json_t *all = engine_trust(e);
	const char *fingerprint = jx_str(crt, "fingerprint", "");
	size_t by_name = find(all, "name", name);
	size_t by_crt = find(all, "fingerprint", fingerprint);
	json_t *row;

	if (by_crt < json_array_size(all) && by_crt != by_name)
		return err_new(ERR_EXISTS, "this certificate is trusted already, as %s",
			       jx_str(json_array_get(all, by_crt), "name", ""));
	if (by_crt < json_array_size(all))
		return NULL;
	if (by_name < json_array_size(all))
		return err_new(ERR_EXISTS,
			       "%s is trusted already, with another certificate (hostel trust rm "
			       "%s first)",
			       name, name);
	row = json_object();
	jx_set_str(row, "name", name);
	jx_set_str(row, "fingerprint", fingerprint);
	jx_set_str(row, "certificate", jx_str(crt, "certificate", ""));
	json_object_set_new(row, "since_ns", json_integer(clock_wall_ns()));
	json_array_append_new(all, row);
	return keep(e, all);
}

static void on_read(void *arg, struct err *err, const json_t *crt)
{
	struct adding *a = arg;

	if (!err)
		err = add(a->e, a->name, crt);
	engine_finish(a->e, a->done, err, NULL);
	free(a->name);
	free(a);
}

#define NAME_CHARS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
#define NAME_MAX_CHARS 64

static struct err *check_name(const char *name)
{
	size_t n = strlen(name);

	if (!n || n > NAME_MAX_CHARS || strspn(name, NAME_CHARS) < n || *name == '-')
		return err_new(ERR_INVALID,
			       "\"%.64s\" is no name for a host: up to %d of [a-zA-Z0-9_.-]", name,
			       NAME_MAX_CHARS);
	return NULL;
}

struct err *engine_trust_add(struct engine *e, const char *name, const char *pem,
			     struct engine_done done)
{
	struct adding *a;
	struct err *err;

	TRY(check_name(name));
	if (!pem || !*pem)
		return err_new(ERR_INVALID, "\"certificate\" is missing");
	a = xnew(struct adding);
	*a = (struct adding) { .e = e, .name = xstrdup(name), .done = done };
	err = job_simple(e, json_pack("{s:s, s:o}", "job", "certificate", "pem", jx_string(pem)),
			 (struct engine_done) { on_read, a }, NULL);
	if (err) {
		free(a->name);
		free(a);
	}
	return err;
}

/* ---- the rest ---- */

struct err *engine_trust_remove(struct engine *e, const char *name, struct engine_done done)
{
	OWN(json) json_t *all = engine_trust(e);
	size_t n = find(all, "name", name);

	if (n == json_array_size(all))
		return err_new(ERR_NOT_FOUND, "No such trusted host: %s", name);
	json_array_remove(all, n);
	TRY(keep(e, all));
	engine_finish(e, done, NULL, NULL);
	return NULL;
}

struct err *engine_trust_own(struct engine *e, struct engine_done done)
{
	return job_simple(e, json_pack("{s:s}", "job", "identity"), done, NULL);
}
