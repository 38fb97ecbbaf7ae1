/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's checkpoints: the stateful snapshots of an instance.  They have its disk too, which a
 * start from one puts back; they lie with the instance, so a folder of the client's own is refused.
 */
#include "api/api_int.h"

#include "util/mem.h"

struct waiting {
	struct call *call;
	struct engine_operation *op; /* NULL: it is over */
	int status;                  /* when it is done */
};

static void on_done(void *arg, struct err *e, const json_t *result)
{
	struct waiting *w = arg;
	struct call *c = w->call;

	(void)result;
	w->op = NULL;
	/* A client that has gone hears nothing of it. */
	if (e)
		call_error(c, e);
	else
		call_empty(c, w->status);
}

static void on_client_gone(void *arg)
{
	struct waiting *w = arg;

	if (w->op)
		engine_operation_cancel(w->op);
}

static struct waiting *wait_for(struct call *c, int status)
{
	struct waiting *w = xnew(struct waiting);

	*w = (struct waiting) { .call = c, .status = status };
	c->state = w;
	c->state_free = free;
	return w;
}

static struct err *check_folder(const char *folder)
{
	if (!folder || !*folder)
		return NULL;
	return err_new(ERR_UNSUPPORTED,
		       "a checkpoint lies with its container, not in %s: take "
		       "hostel snapshot export to have it elsewhere",
		       folder);
}

static struct err *find(struct call *c, struct instance **ret)
{
	TRY(check_folder(call_query(c, "dir")));
	return call_instance(c, ret);
}

struct err *chk_create(struct call *c)
{
	struct engine_snapshot_wish wish = {
		.name = jx_str(c->body, "CheckpointID", NULL),
		.stateful = true,
		.is_checkpoint = true,
		.stops = jx_bool(c->body, "Exit", false),
	};
	struct waiting *w = wait_for(c, 201);
	struct instance *i;

	TRY(check_folder(jx_str(c->body, "CheckpointDir", NULL)));
	TRY(find(c, &i));
	TRY(engine_snapshot_create(c->api->engine, i, &wish, NULL,
				   (struct engine_done) { on_done, w }, &w->op));
	http_on_gone(c->r, on_client_gone, w);
	return NULL;
}

struct err *chk_list(struct call *c)
{
	json_t *list = json_array(), *all;
	struct instance *i;
	struct err *e = find(c, &i);

	if (e) {
		json_decref(list);
		return e;
	}
	all = engine_snapshots(c->api->engine, i);
	for (size_t n = 0; n < json_array_size(all); n++) {
		const json_t *j = json_array_get(all, n);

		if (jx_bool(j, "stateful", false))
			json_array_append_new(list,
					      json_pack("{s:s}", "Name", jx_str(j, "name", "")));
	}
	json_decref(all);
	call_json(c, 200, list);
	return NULL;
}

struct err *chk_remove(struct call *c)
{
	struct instance *i;

	TRY(find(c, &i));
	TRY(engine_snapshot_remove(i, call_param(c, "checkpoint")));
	call_empty(c, 204);
	return NULL;
}

struct err *chk_start(struct call *c, struct instance *i)
{
	struct engine_restore_wish wish = { .name = call_query(c, "checkpoint") };
	struct waiting *w = wait_for(c, 204);

	TRY(check_folder(call_query(c, "checkpoint-dir")));
	if (instance_view(i).pid) {
		call_empty(c, 304);
		return NULL;
	}
	TRY(engine_snapshot_restore(c->api->engine, i, &wish, NULL,
				    (struct engine_done) { on_done, w }, &w->op));
	http_on_gone(c->r, on_client_gone, w);
	return NULL;
}
