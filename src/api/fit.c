/* SPDX-License-Identifier: Apache-2.0 */
/* POST /hostel/v1/fit: create bodies in, what would become of them out. */
#include "api/api_int.h"

#include "api/docker_spec.h"
#include "json/fields.h"
#include "util/mem.h"

#define CANDIDATES_MAX 1000

struct ask {
	char *name;
	json_t *body; /* borrowed */
	int64_t host_memory_bytes;
};

static struct err *read_body(const json_t *j, void *slot)
{
	if (!json_is_object(j))
		return err_new(ERR_INVALID, "expected an object, as of POST /containers/create");
	*(const json_t **)slot = j;
	return NULL;
}

static const struct json_field ask_fields[] = {
	JSON_FIELD(struct ask, "Name", JF_STR, name),
	JSON_CODEC(struct ask, "Body", body, read_body, NULL),
	JSON_RANGE(struct ask, "HostMemory", JF_I64, host_memory_bytes, 0, INT64_MAX),
};

/* What create would say to it. */
static struct err *read_spec(const struct call *c, const json_t *body, struct spec **ret)
{
	OWN(spec) struct spec *s = NULL;

	TRY(docker_spec_read(NULL, body, &s));
	TRY(call_owner(c, s));
	if (!s->image || !*s->image)
		return err_new(ERR_INVALID, "no image specified");
	*ret = TAKE(s);
	return NULL;
}

struct candidates {
	struct engine_candidate *v;
	size_t n;
};

static void own_candidates_release(struct candidates *l)
{
	for (size_t n = 0; n < l->n; n++) {
		free((char *)(uintptr_t)l->v[n].name);
		free((char *)(uintptr_t)l->v[n].problem);
		spec_free(l->v[n].spec);
	}
	free(l->v);
}

static bool is_named(const struct candidates *l, const char *name)
{
	for (size_t n = 0; n < l->n; n++)
		if (streq(l->v[n].name, name))
			return true;
	return false;
}

static struct err *add(const struct call *c, struct candidates *l, const json_t *j)
{
	const char *unknown = json_unknown_field(ask_fields, ARRAY_SIZE(ask_fields), j);
	struct engine_candidate *new = &l->v[l->n];
	OWN(err) struct err *problem = NULL;
	struct ask a = { 0 };
	struct err *err = json_read_fields(ask_fields, ARRAY_SIZE(ask_fields), j, &a);

	if (!err && unknown)
		err = err_new(ERR_INVALID, "unknown member \"%.64s\"", unknown);
	if (!err && (!a.name || !*a.name || !a.body))
		err = err_new(ERR_INVALID, "has no %s", a.body ? "Name" : "Body");
	if (!err && is_named(l, a.name))
		err = err_new(ERR_INVALID, "another one is named \"%.64s\" too", a.name);
	if (err) {
		free(a.name);
		return err;
	}
	problem = read_spec(c, a.body, &new->spec);
	if (problem)
		new->problem = xstrdup(err_text(problem));
	new->name = a.name;
	new->host_memory_bytes = a.host_memory_bytes;
	l->n++;
	return NULL;
}

struct err *hst_fit(struct call *c)
{
	const json_t *list = json_object_get(c->body, "Instances");
	const json_t *empty = json_object_get(c->body, "Empty"), *j;
	OWN(candidates) struct candidates l = { 0 };
	size_t n;

	if (!json_is_array(list))
		return err_new(ERR_INVALID, "Instances: expected an array of {Name, Body}");
	if (json_array_size(list) > CANDIDATES_MAX)
		return err_new(ERR_INVALID, "Instances: %d at most", CANDIDATES_MAX);
	if (empty && !json_is_boolean(empty))
		return err_new(ERR_INVALID, "Empty: expected true or false");
	l.v = xcalloc(json_array_size(list) + 1, sizeof(*l.v));
	json_array_foreach(list, n, j) TRY_MSG(add(c, &l, j), "Instances[%zu]", n);
	call_json(c, 200, engine_fit(c->api->engine, l.v, l.n, json_is_true(empty)));
	return NULL;
}
