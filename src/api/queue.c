/* SPDX-License-Identifier: Apache-2.0 */
/* /hostel/v1/queue/…: what a user does with the queue. */
#include "api/api_int.h"

#include "util/mem.h"

struct err *que_hold(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_queue_hold(c->api->engine, i, http_peer_uid(c->r), call_done(c, 204));
}

struct err *que_release(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_queue_release(c->api->engine, i, call_done(c, 204));
}

struct err *que_cancel(struct call *c)
{
	struct instance *i;

	TRY(call_instance(c, &i));
	return engine_queue_cancel(c->api->engine, i, http_peer_uid(c->r), call_done(c, 204));
}

/* {"where":"first"}, {"where":"before","other":"NAME"} */
static struct err *read_where(const struct call *c, enum engine_where *ret_where,
			      struct instance **ret_other)
{
	static const char *const names[] = {
		[QUEUE_FIRST] = "first",
		[QUEUE_LAST] = "last",
		[QUEUE_BEFORE] = "before",
		[QUEUE_AFTER] = "after",
	};
	const char *where = jx_str(c->body, "where", ""), *other = jx_str(c->body, "other", NULL);
	size_t k = 0;

	while (k < ARRAY_SIZE(names) && !streq(names[k], where))
		k++;
	if (k == ARRAY_SIZE(names))
		return err_new(ERR_INVALID, "where is first, last, before or after, not \"%.64s\"",
			       where);
	*ret_where = (enum engine_where)k;
	if (*ret_where == QUEUE_FIRST || *ret_where == QUEUE_LAST)
		return NULL;
	if (!other)
		return err_new(ERR_INVALID, "\"other\" says %s which instance", where);
	return engine_find(c->api->engine, other, ret_other);
}

struct err *que_move(struct call *c)
{
	struct instance *i, *other = NULL;
	enum engine_where where;

	TRY(call_instance(c, &i));
	TRY(read_where(c, &where, &other));
	return engine_queue_move(c->api->engine, i, where, other, call_done(c, 204));
}

/* ---- the host drained ---- */

struct err *que_drain(struct call *c)
{
	call_json(c, 200, engine_drain_state(c->api->engine));
	return NULL;
}

struct err *que_drain_set(struct call *c)
{
	const json_t *on = json_object_get(c->body, "on");

	if (!json_is_boolean(on))
		return err_new(ERR_INVALID, "\"on\" is true or false");
	return engine_drain(c->api->engine, json_is_true(on), http_peer_uid(c->r),
			    call_done(c, 204));
}

/* ---- quotas ---- */

struct err *que_quotas(struct call *c)
{
	call_json(c, 200, engine_quotas(c->api->engine));
	return NULL;
}

/* A quota that its user may lift is none. */
static struct err *quota_user(const struct call *c, int64_t *ret_uid)
{
	if (http_peer_uid(c->r) != 0)
		return err_new(ERR_DENIED, "only root may change quotas");
	return engine_user_find(call_param(c, "user"), ret_uid);
}

struct err *que_quota_set(struct call *c)
{
	int64_t uid;

	TRY(quota_user(c, &uid));
	return engine_quota_set(c->api->engine, uid, c->body, call_done(c, 204));
}

struct err *que_quota_remove(struct call *c)
{
	int64_t uid;

	TRY(quota_user(c, &uid));
	return engine_quota_remove(c->api->engine, uid, call_done(c, 204));
}
