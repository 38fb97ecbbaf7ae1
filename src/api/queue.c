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
