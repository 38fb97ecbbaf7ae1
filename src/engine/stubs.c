/* SPDX-License-Identifier: Apache-2.0 */
/* What engine.h promises and the engine cannot do yet. */
#include "engine/engine.h"

#define NOT_YET return err_new(ERR_UNSUPPORTED, "not implemented yet")

struct err *engine_new(const struct engine_config *c, struct loop *l, struct engine **ret)
{
	NOT_YET;
}
void engine_free(struct engine *e)
{
}
const struct engine_config *engine_config(const struct engine *e)
{
	return NULL;
}
struct err *engine_find(struct engine *e, const char *ref, struct instance **ret)
{
	return err_new(ERR_NOT_FOUND, "No such container: %s", ref);
}
struct instance_view instance_view(const struct instance *i)
{
	return (struct instance_view) { 0 };
}
void engine_each(struct engine *e, bool (*fn)(void *arg, struct instance *i), void *arg)
{
}
struct err *engine_create(struct engine *e, struct spec *s, struct instance **ret,
			  struct strv *ret_warnings)
{
	NOT_YET;
}
struct err *engine_start(struct engine *e, struct instance *i, enum engine_hold hold,
			 struct engine_done done, bool *ret_already,
			 struct engine_ticket **ret_ticket)
{
	NOT_YET;
}
void engine_on_reason(struct engine_ticket *t, void (*fn)(void *arg, const char *reason), void *arg)
{
}
void engine_cancel(struct engine_ticket *t)
{
}
struct err *engine_stop(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			struct engine_done done, bool *ret_already)
{
	NOT_YET;
}
struct err *engine_kill(struct engine *e, struct instance *i, const char *signal)
{
	NOT_YET;
}
struct err *engine_restart(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			   struct engine_done done)
{
	NOT_YET;
}
struct err *engine_pause(struct engine *e, struct instance *i, bool on, struct engine_done done)
{
	NOT_YET;
}
struct err *engine_rename(struct engine *e, struct instance *i, const char *name)
{
	NOT_YET;
}
struct err *engine_update(struct engine *e, struct instance *i, const json_t *update,
			  struct strv *ret_warnings)
{
	NOT_YET;
}
struct err *engine_remove(struct engine *e, struct instance *i, bool force, bool volumes,
			  struct engine_done done)
{
	NOT_YET;
}
struct err *engine_resize(struct engine *e, struct instance *i, const char *exec_id, int rows,
			  int cols)
{
	NOT_YET;
}
struct engine_ticket *engine_wait(struct engine *e, struct instance *i, enum engine_wait until,
				  struct engine_done done)
{
	return NULL;
}
struct err *engine_attach(struct engine *e, struct instance *i, const struct engine_attach *a)
{
	NOT_YET;
}
struct err *engine_exec_create(struct engine *e, struct instance *i,
			       const struct engine_exec_spec *x, char **ret_exec_id)
{
	NOT_YET;
}
struct err *engine_exec_start(struct engine *e, const char *exec_id, const struct engine_attach *a,
			      struct engine_done done)
{
	NOT_YET;
}
struct err *engine_exec_inspect(struct engine *e, const char *exec_id, json_t **ret)
{
	NOT_YET;
}
struct err *engine_exec_resize(struct engine *e, const char *exec_id, int rows, int cols)
{
	NOT_YET;
}
struct err *engine_stats(struct engine *e, struct instance *i, struct engine_done done)
{
	NOT_YET;
}
struct err *engine_top(struct engine *e, struct instance *i, const char *ps_args,
		       struct engine_done done)
{
	NOT_YET;
}
struct engine_subscription *
engine_subscribe(struct engine *e, void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	return NULL;
}
void engine_unsubscribe(struct engine_subscription *s)
{
}
void engine_past_events(struct engine *e, int64_t since_ns, int64_t until_ns,
			void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
}
void engine_each_image(struct engine *e, bool (*fn)(void *arg, const struct engine_image *im),
		       void *arg)
{
}
struct err *engine_image_find(struct engine *e, const char *ref, const struct engine_image **ret)
{
	return err_new(ERR_NOT_FOUND, "No such image: %s", ref);
}
struct err *engine_image_tag(struct engine *e, const char *ref, const char *new_ref)
{
	NOT_YET;
}
struct err *engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune,
				json_t **ret)
{
	NOT_YET;
}
struct err *engine_job_start(struct engine *e, json_t *job, const struct engine_job_io *io,
			     struct engine_done done, struct engine_job **ret)
{
	NOT_YET;
}
void engine_job_cancel(struct engine_job *j)
{
}
struct err *engine_files(struct engine *e, struct instance *i, const char *op, const char *path,
			 const struct engine_job_io *io, struct engine_done done)
{
	NOT_YET;
}
struct err *engine_volume_create(struct engine *e, const char *name, const struct strmap *labels,
				 json_t **ret)
{
	NOT_YET;
}
struct err *engine_volume_find(struct engine *e, const char *name, json_t **ret)
{
	return err_new(ERR_NOT_FOUND, "get %s: no such volume", name);
}
json_t *engine_volumes(struct engine *e)
{
	return json_array();
}
struct err *engine_volume_remove(struct engine *e, const char *name, bool force,
				 struct engine_done done)
{
	NOT_YET;
}
json_t *engine_queue(struct engine *e)
{
	return json_array();
}
json_t *engine_resources(struct engine *e)
{
	return json_object();
}
json_t *engine_accounting(struct engine *e)
{
	return json_object();
}
json_t *engine_info(struct engine *e)
{
	return json_object();
}
json_t *engine_kernels(struct engine *e)
{
	return json_array();
}
struct err *engine_kernel_remove(struct engine *e, const char *name)
{
	return err_new(ERR_NOT_FOUND, "no such kernel: %s", name);
}
