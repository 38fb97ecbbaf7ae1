/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas: what a user's admitted instances may hold together.  By uid of whoever created them
 * (spec.uid: peer credentials of the socket).  Kept in the store.
 */
#include <string.h>

#include "engine/engine_int.h"
#include "json/fields.h"
#include "util/mem.h"

#define STORED "quotas"

#define N(name, member) JSON_RANGE(struct user_quota, name, JF_I64, member, 0, INT64_MAX)

static const struct json_field fields[] = {
	N("cpu_milli", most.v[RES_CPU]),
	N("memory_bytes", most.v[RES_MEMORY]),
	N("disk_bytes", most.v[RES_DISK]),
	N("gpus", most.v[RES_GPUS]),
	JSON_RANGE(struct user_quota, "instances", JF_I64, instances, 0, UINT32_MAX),
};

static const struct json_field key_fields[] = {
	JSON_RANGE(struct user_quota, "uid", JF_I64, uid, 0, UINT32_MAX - 1),
};

static size_t find(const struct engine *e, int64_t uid)
{
	size_t n = 0;

	while (n < e->n_quotas && e->quotas[n].uid != uid)
		n++;
	return n;
}

static bool limits_nothing(const struct user_quota *q)
{
	for (int r = 0; r < RES_COUNT; r++)
		if (q->most.v[r])
			return false;
	return !q->instances;
}

/* @q from now on; one that limits nothing is none. */
static void enter(struct engine *e, const struct user_quota *q)
{
	size_t n = find(e, q->uid);

	if (n == e->n_quotas)
		e->quotas = xrealloc(e->quotas, ++e->n_quotas, sizeof(*e->quotas));
	e->quotas[n] = *q;
	if (limits_nothing(q))
		e->quotas[n] = e->quotas[--e->n_quotas];
	sched_quota(e->sched, q->uid, q->most, (uint32_t)q->instances);
	engine_queue_dirty(e);
}

static json_t *quota_json(const struct user_quota *q)
{
	json_t *j = json_object();

	json_write_fields(key_fields, ARRAY_SIZE(key_fields), q, j);
	json_write_fields(fields, ARRAY_SIZE(fields), q, j);
	return j;
}

static struct err *keep(struct engine *e)
{
	OWN(json) json_t *all = json_array();

	for (size_t n = 0; n < e->n_quotas; n++)
		json_array_append_new(all, quota_json(&e->quotas[n]));
	return store_meta_json_set(e->store, STORED, all);
}

static struct err *read_quota(const json_t *j, struct user_quota *q)
{
	TRY(json_read_fields(key_fields, ARRAY_SIZE(key_fields), j, q));
	return json_read_fields(fields, ARRAY_SIZE(fields), j, q);
}

struct err *user_quotas_init(struct engine *e)
{
	OWN(json) json_t *all = store_meta_json(e->store, STORED);
	const json_t *j;
	size_t n;

	json_array_foreach(all, n, j)
	{
		struct user_quota q = { 0 };

		TRY_MSG(read_quota(j, &q), "quotas");
		enter(e, &q);
	}
	return NULL;
}

static struct err *change(struct engine *e, const struct user_quota *q, struct engine_done done)
{
	size_t n = find(e, q->uid);
	struct user_quota before =
	    n < e->n_quotas ? e->quotas[n] : (struct user_quota) { .uid = q->uid };
	struct err *err;

	enter(e, q);
	err = keep(e);
	if (err) {
		enter(e, &before);
		return err;
	}
	engine_dirty(e);
	engine_finish(e, done, NULL, NULL);
	return NULL;
}

struct err *engine_quota_set(struct engine *e, int64_t uid, const json_t *limits,
			     struct engine_done done)
{
	size_t n = find(e, uid);
	struct user_quota q = n < e->n_quotas ? e->quotas[n] : (struct user_quota) { .uid = uid };
	const char *unknown = json_unknown_field(fields, ARRAY_SIZE(fields), limits);

	if (!json_object_size(limits))
		return err_new(ERR_INVALID, "a quota has cpu_milli, memory_bytes, disk_bytes, "
					    "gpus or instances");
	if (unknown)
		return err_new(ERR_INVALID, "a quota has no \"%.64s\"", unknown);
	TRY(json_read_fields(fields, ARRAY_SIZE(fields), limits, &q));
	return change(e, &q, done);
}

struct err *engine_quota_remove(struct engine *e, int64_t uid, struct engine_done done)
{
	OWN(mem) char *name = engine_user_name(uid);

	if (find(e, uid) == e->n_quotas)
		return err_new(ERR_NOT_FOUND, "%s has no quota", name);
	return change(e, &(struct user_quota) { .uid = uid }, done);
}

/* What counts against it: declared demands of what is admitted. */
static struct user_quota used(const struct engine *e, int64_t uid)
{
	struct user_quota u = { .uid = uid };
	struct amounts unused;
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		struct sched_job job;

		if (i->spec->uid != uid || !sched_held(e->sched, i->id, &unused))
			continue;
		job = queue_job(i);
		for (int r = 0; r < RES_MANAGE; r++)
			u.most.v[r] += job.demand.v[r];
		u.instances++;
	}
	return u;
}

json_t *engine_quotas(struct engine *e)
{
	json_t *all = json_array();

	for (size_t n = 0; n < e->n_quotas; n++) {
		OWN(mem) char *name = engine_user_name(e->quotas[n].uid);
		struct user_quota u = used(e, e->quotas[n].uid);
		json_t *j = quota_json(&e->quotas[n]), *held = json_object();

		json_write_fields(fields, ARRAY_SIZE(fields), &u, held);
		jx_set_str(j, "user", name);
		json_object_set_new(j, "held", held);
		json_array_append_new(all, j);
	}
	return all;
}
