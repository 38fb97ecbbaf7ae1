/* SPDX-License-Identifier: Apache-2.0 */
/* /hostel/v1/trust: whom instances may be sent to, and come from. */
#include "api/api_int.h"

#include "util/mem.h"

struct err *mig_trust(struct call *c)
{
	call_json(c, 200, engine_trust(c->api->engine));
	return NULL;
}

struct err *mig_trust_own(struct call *c)
{
	return engine_trust_own(c->api->engine, call_done_json(c, 200));
}

struct err *mig_trust_add(struct call *c)
{
	return engine_trust_add(c->api->engine, call_param(c, "name"),
				jx_str(c->body, "certificate", ""), call_done(c, 204));
}

struct err *mig_trust_remove(struct call *c)
{
	return engine_trust_remove(c->api->engine, call_param(c, "name"), call_done(c, 204));
}

/* ---- moving ---- */

struct moving {
	int64_t number;
};

static void on_progress(void *arg, const json_t *message)
{
	struct call *c = arg;

	if (c->stream && !c->is_gone)
		call_line(c, json_incref((json_t *)(uintptr_t)message));
}

/* Ctrl-C: before the hand-over it stays here. */
static void on_client_gone(struct call *c)
{
	struct moving *m = c->state;

	engine_migrate_cancel(c->api->engine, m->number);
}

static void on_moved(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	c->is_busy = false;
	if (!c->stream && e) {
		call_error(c, e);
		return;
	}
	if (!c->stream) {
		call_json(c, 200, json_incref((json_t *)(uintptr_t)result));
		return;
	}
	if (!c->is_gone)
		call_line(c, e ? json_pack("{s:o}", "error", api_error_json(e))
			       : json_pack("{s:{}}", "done"));
	err_free(e);
	call_stream_end(c);
}

static struct err *read_bandwidth(const struct call *c, int64_t *ret)
{
	const json_t *j = json_object_get(c->body, "bandwidth_bytes");

	if (j && !json_is_integer(j))
		return err_new(ERR_INVALID, "bandwidth_bytes: expected bytes per second");
	*ret = j ? json_integer_value(j) : 0;
	return *ret < 0 ? err_new(ERR_INVALID, "bandwidth_bytes: less than none") : NULL;
}

struct err *mig_migrate(struct call *c)
{
	struct moving *m = xnew(struct moving);
	struct engine_migrate_wish w = {
		.to = jx_str(c->body, "to", ""),
		.is_check = jx_bool(c->body, "check", false),
		.is_cold = jx_bool(c->body, "cold", false),
		.progress = on_progress,
		.progress_arg = c,
	};
	struct instance *i;

	c->state = m;
	c->state_free = free;
	TRY(call_instance(c, &i));
	TRY(read_bandwidth(c, &w.bandwidth_bytes));
	if (w.is_check)
		w.progress = NULL;
	TRY(engine_migrate(c->api->engine, i, &w, (struct engine_done) { on_moved, c },
			   &m->number));
	c->is_busy = true; /* its completion comes in any case */
	c->stop = on_client_gone;
	if (!w.is_check)
		call_stream(c, "application/json");
	return NULL;
}

struct err *mig_resolve(struct call *c)
{
	const json_t *here = json_object_get(c->body, "here");
	struct instance *i;

	TRY(call_instance(c, &i));
	if (!json_is_boolean(here))
		return err_new(ERR_INVALID, "\"here\" is true or false");
	return engine_migrate_resolve(c->api->engine, i, json_is_true(here), call_done(c, 204));
}
