/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that say how much disk there is in use: a worker counts it first. */
#include "api/api_int.h"
#include "util/mem.h"

struct sizing {
	struct err *(*answer)(struct call *c, const json_t *sizes);
};

static void on_sizes(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;
	struct sizing *s = c->state;

	c->job = NULL;
	if (!e)
		e = s->answer(c, json_object_get(result, "sizes"));
	if (e)
		call_error(c, e);
}

struct err *call_with_sizes(struct call *c, struct instance *only, bool with_volumes,
			    struct err *(*answer)(struct call *c, const json_t *sizes))
{
	struct sizing *s = xnew(struct sizing);

	s->answer = answer;
	c->state = s;
	c->state_free = free;
	TRY(engine_sizes(c->api->engine, only, with_volumes,
			 (struct engine_done) { .fn = on_sizes, .arg = c }, &c->job));
	call_cancel_when_gone(c);
	return NULL;
}

void call_add_sizes(struct call *c, const struct instance_view *v, const json_t *sizes, json_t *j)
{
	int64_t written = jx_int(sizes, v->id, 0), image = 0;
	const struct engine_image *im;
	struct err *e = v->spec->image_id && *v->spec->image_id
			    ? engine_image_find(c->api->engine, v->spec->image_id, &im)
			    : err_new(ERR_NOT_FOUND, "without an image");

	if (!e)
		image = im->size_bytes;
	err_free(e);
	json_object_set_new(j, "SizeRw", json_integer(written));
	json_object_set_new(j, "SizeRootFs", json_integer(written + image));
}
