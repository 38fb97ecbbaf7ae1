/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine of the tests: every function of engine.h over a list in memory, nothing runs.
 * Labels steer it: "fake.hold" makes a start wait for ever, "fake.fail" makes it fail with
 * that text.  Linked instead of the engine into api_test and api-fake.
 */
#include "engine/engine.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/queue.h>
#include <unistd.h>

#include "shim/proto.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

struct instance {
	TAILQ_ENTRY(instance) link;
	char id[65];
	struct spec *spec;
	enum inst_state state;
	bool ever_ran, is_paused;
	int exit_code;
	int64_t created_ns, started_ns, finished_ns;
	const char *reason;
};

/* A completion to come, or a wait. */
struct engine_ticket {
	TAILQ_ENTRY(engine_ticket) link;
	struct engine *e;
	struct instance *i;
	struct engine_done done;
	bool is_wait, is_removed_wait, is_start;
	struct err *error;
	json_t *result;
	void (*on_reason)(void *arg, const char *reason);
	void *reason_arg;
	struct loop_timer *timer;
};

struct engine_subscription {
	TAILQ_ENTRY(engine_subscription) link;
	struct engine *e;
	void (*fn)(void *arg, const struct engine_event *ev);
	void *arg;
};

struct engine_job {
	struct engine *e;
	struct engine_job_io io;
	struct engine_done done;
	json_t *result;
	struct loop_watch *watch;
	struct loop_timer *timer;
	size_t bytes;
	bool fails;
};

struct fake_network {
	struct engine_network v;
	struct strmap labels, options;
	TAILQ_ENTRY(fake_network) link;
};

struct engine {
	struct engine_config config;
	struct loop *loop;
	TAILQ_HEAD(, instance) instances;
	TAILQ_HEAD(, engine_ticket) tickets;
	TAILQ_HEAD(, engine_subscription) subs;
	json_t *volumes;
	TAILQ_HEAD(, fake_network) networks;
	struct engine_image image;
	json_t *image_config;
	int made;
	uint64_t seq;
	bool exec_tty;
};

struct err *engine_new(const struct engine_config *c, struct loop *l, struct engine **ret)
{
	struct engine *e = xnew(struct engine);
	static const char config[] =
	    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2026-01-02T03:04:05Z\","
	    "\"config\":{\"Cmd\":[\"sh\"],\"Env\":[\"PATH=/bin\"]},\"rootfs\":{\"type\":\"layers\","
	    "\"diff_ids\":[\"sha256:11\"]},\"history\":[{\"created\":\"2026-01-02T03:04:05Z\","
	    "\"created_by\":\"import\"}]}";

	TAILQ_INIT(&e->instances);
	TAILQ_INIT(&e->tickets);
	TAILQ_INIT(&e->subs);
	e->config = *c;
	e->loop = l;
	e->volumes = json_array();
	TAILQ_INIT(&e->networks);
	TRY(engine_network_create(e, &(struct engine_network_wish) { .name = "bridge" },
				  &(const char *) { NULL }));
	TRY(jx_parse(config, sizeof(config) - 1, &e->image_config));
	e->image.id = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	e->image.manifest = e->image.id;
	e->image.size_bytes = 1000;
	e->image.created_ns = 1700000000000000000;
	e->image.config = e->image_config;
	strv_add(&e->image.tags, "debian:12");
	strv_add(&e->image.digests, "debian@sha256:bb");
	*ret = e;
	return NULL;
}

static void ticket_free(struct engine_ticket *t)
{
	TAILQ_REMOVE(&t->e->tickets, t, link);
	loop_timer_free(t->timer);
	err_free(t->error);
	json_decref(t->result);
	free(t);
}

static void instance_free(struct engine *e, struct instance *i)
{
	TAILQ_REMOVE(&e->instances, i, link);
	spec_free(i->spec);
	free(i);
}

void engine_free(struct engine *e)
{
	while (!TAILQ_EMPTY(&e->tickets))
		ticket_free(TAILQ_FIRST(&e->tickets));
	while (!TAILQ_EMPTY(&e->instances))
		instance_free(e, TAILQ_FIRST(&e->instances));
	json_decref(e->volumes);
	json_decref(e->image_config);
	strv_done(&e->image.tags);
	strv_done(&e->image.digests);
	free(e);
}

const struct engine_config *engine_config(const struct engine *e)
{
	return &e->config;
}

/* ---- completions ---- */

static void on_ticket(void *arg)
{
	struct engine_ticket *t = arg;
	struct engine_done done = t->done;
	struct err *error = TAKE(t->error);
	json_t *result = TAKE(t->result);

	ticket_free(t);
	done.fn(done.arg, error, result);
	json_decref(result);
}

static struct engine_ticket *later(struct engine *e, struct instance *i, struct engine_done done,
				   struct err *error, json_t *result)
{
	struct engine_ticket *t = xnew(struct engine_ticket);

	*t = (struct engine_ticket) {
		.e = e, .i = i, .done = done, .error = error, .result = result
	};
	t->timer = loop_timer_new(e->loop, on_ticket, t);
	TAILQ_INSERT_TAIL(&e->tickets, t, link);
	return t;
}

static void soon(struct engine *e, struct instance *i, struct engine_done done)
{
	loop_timer_start(later(e, i, done, NULL, NULL)->timer, 0);
}

static void announce(struct engine *e, const struct instance *i, const char *action)
{
	struct engine_subscription *s;
	OWN(json) json_t *attributes = json_pack("{s:s}", "name", i->spec->name);
	struct engine_event ev = { .seq = ++e->seq,
				   .time_ns = clock_wall_ns(),
				   .type = "container",
				   .action = action,
				   .id = i->id,
				   .attributes = attributes };

	TAILQ_FOREACH(s, &e->subs, link) s->fn(s->arg, &ev);
}

static void fire_waits(struct engine *e, struct instance *i, bool removed)
{
	struct engine_ticket *t;

	TAILQ_FOREACH(t, &e->tickets, link)
	{
		if (t->i != i || !t->is_wait || t->is_removed_wait != removed)
			continue;
		t->result = json_pack("{s:i}", "StatusCode", i->exit_code);
		t->is_wait = false;
		loop_timer_start(t->timer, 0);
	}
}

static void end(struct engine *e, struct instance *i, int code)
{
	i->state = INST_EXITED;
	i->exit_code = code;
	i->is_paused = false;
	i->finished_ns = clock_wall_ns();
	announce(e, i, "die");
	fire_waits(e, i, false);
}

/* ---- instances ---- */

struct err *engine_find(struct engine *e, const char *ref, struct instance **ret)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		if (!streq(i->spec->name, ref) && (!*ref || strncmp(i->id, ref, strlen(ref))))
			continue;
		*ret = i;
		return NULL;
	}
	return err_new(ERR_NOT_FOUND, "No such container: %s", ref);
}

struct instance_view instance_view(const struct instance *i)
{
	struct instance_view v = { .id = i->id,
				   .spec = i->spec,
				   .state = i->state,
				   .is_paused = i->is_paused,
				   .ever_ran = i->ever_ran,
				   .pid = i->state == INST_RUNNING ? 4711 : 0,
				   .exit_code = i->exit_code,
				   .error = "",
				   .created_ns = i->created_ns,
				   .started_ns = i->started_ns,
				   .finished_ns = i->finished_ns,
				   .queue_reason = i->reason,
				   .address = i->state == INST_RUNNING ? "10.88.0.5" : NULL,
				   .gateway = "10.88.0.1",
				   .mac = "02:42:0a:58:00:05",
				   .prefix_len = 16,
				   .ports = i->spec->ports,
				   .n_ports = i->spec->n_ports,
				   .state_dir = "/nonexistent",
				   .log_dir = "/nonexistent/log" };
	static const struct spec_endpoint nothing_said;

	/* A real one has them from its creation; here the default network has to do. */
	if (spec_has_own_network(i->spec))
		v.endpoints[v.n_endpoints++] = (struct engine_endpoint) {
			.network = i->spec->network_mode ? i->spec->network_mode : "bridge",
			.network_id = i->spec->network_mode ? i->spec->network_mode : "bridge",
			.address = v.address,
			.gateway = v.gateway,
			.mac = v.mac,
			.prefix_len = v.prefix_len,
			.said = i->spec->n_endpoints ? i->spec->endpoints : &nothing_said,
		};
	return v;
}

void engine_each(struct engine *e, bool (*fn)(void *arg, struct instance *i), void *arg)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link) if (!fn(arg, i)) return;
}

struct err *engine_create(struct engine *e, struct spec *s, struct instance **ret,
			  struct strv *ret_warnings)
{
	OWN(spec) struct spec *spec = s;
	struct instance *i, *other;

	if (spec->image && strncmp(spec->image, "debian", 6))
		return err_new(ERR_NOT_FOUND, "No such image: %s", spec->image);
	if (!spec->name) {
		OWN(mem) char *name = xasprintf("fake%d", e->made);

		str_set(&spec->name, name);
	}
	TAILQ_FOREACH(other, &e->instances, link)
	if (streq(other->spec->name, spec->name))
		return err_new(ERR_EXISTS,
			       "Conflict. The container name \"/%s\" is already in use by "
			       "container \"%s\". You have to remove (or rename) that container to "
			       "be able to reuse that name.",
			       spec->name, other->id);
	if (strmap_get(&spec->labels, "fake.warn"))
		strv_add(ret_warnings, strmap_get(&spec->labels, "fake.warn"));
	i = xnew(struct instance);
	snprintf(i->id, sizeof(i->id), "%016x%048d", 0xabc000 + e->made++, 0);
	str_set(&spec->image_id, spec->image ? e->image.id : NULL);
	i->created_ns = clock_wall_ns();
	i->spec = TAKE(spec);
	TAILQ_INSERT_HEAD(&e->instances, i, link);
	announce(e, i, "create");
	*ret = i;
	return NULL;
}

struct err *engine_start(struct engine *e, struct instance *i, enum engine_hold hold,
			 struct engine_done done, bool *ret_already,
			 struct engine_ticket **ret_ticket)
{
	const char *fail = strmap_get(&i->spec->labels, "fake.fail");
	struct engine_ticket *t;

	if (i->state == INST_RUNNING) {
		*ret_already = true;
		return NULL;
	}
	if (strmap_get(&i->spec->labels, "fake.hold")) {
		i->state = INST_QUEUED;
		i->reason = "memory: needs 4 GiB, 1.2 GiB free";
		if (hold == HOLD_QUEUE || i->spec->queue_wait) {
			soon(e, i, done);
			return NULL;
		}
		t = later(e, i, done, NULL, NULL);
		t->is_start = true;
	} else {
		t = later(e, i, done, fail ? err_new(ERR_INVALID, "%s", fail) : NULL, NULL);
		if (!fail) {
			i->state = INST_RUNNING;
			i->ever_ran = true;
			i->started_ns = clock_wall_ns();
			announce(e, i, "start");
		}
		loop_timer_start(t->timer, 0);
	}
	if (ret_ticket)
		*ret_ticket = t;
	return NULL;
}

void engine_on_reason(struct engine_ticket *t, void (*fn)(void *arg, const char *reason), void *arg)
{
	t->on_reason = fn;
	t->reason_arg = arg;
	if (t->i->reason)
		fn(arg, t->i->reason);
}

void engine_cancel(struct engine_ticket *t)
{
	if (t->is_start) {
		t->i->state = INST_CREATED;
		t->i->reason = NULL;
	}
	ticket_free(t);
}

static struct err *not_running(const struct instance *i)
{
	return err_new(ERR_STATE, "container %s is not running", i->id);
}

struct err *engine_stop(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			struct engine_done done, bool *ret_already)
{
	*ret_already = i->state != INST_RUNNING;
	if (*ret_already)
		return NULL;
	end(e, i, 0);
	soon(e, i, done);
	return NULL;
}

struct err *engine_kill(struct engine *e, struct instance *i, const char *signal)
{
	if (streq(signal, "NOSUCH"))
		return err_new(ERR_INVALID, "Invalid signal: NOSUCH");
	if (i->state != INST_RUNNING)
		return err_new(ERR_STATE, "cannot kill container: %s: container %s is not running",
			       i->spec->name, i->id);
	end(e, i, 137);
	return NULL;
}

struct err *engine_restart(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			   struct engine_done done)
{
	i->state = INST_RUNNING;
	soon(e, i, done);
	return NULL;
}

struct err *engine_pause(struct engine *e, struct instance *i, bool on, struct engine_done done)
{
	if (i->state != INST_RUNNING)
		return not_running(i);
	i->is_paused = on;
	soon(e, i, done);
	return NULL;
}

struct err *engine_rename(struct engine *e, struct instance *i, const char *name)
{
	str_set(&i->spec->name, name);
	return NULL;
}

struct err *engine_update(struct engine *e, struct instance *i, const json_t *update,
			  struct strv *ret_warnings)
{
	return NULL;
}

struct err *engine_remove(struct engine *e, struct instance *i, bool force, bool volumes,
			  struct engine_done done)
{
	if (i->state == INST_RUNNING && !force)
		return err_new(ERR_STATE,
			       "cannot remove container \"%s\": container is running: stop the "
			       "container before removing or force remove",
			       i->spec->name);
	fire_waits(e, i, true);
	soon(e, NULL, done);
	instance_free(e, i);
	return NULL;
}

struct err *engine_resize(struct engine *e, struct instance *i, const char *exec_id, int rows,
			  int cols)
{
	return i->state == INST_RUNNING ? NULL : not_running(i);
}

struct engine_ticket *engine_wait(struct engine *e, struct instance *i, enum engine_wait until,
				  struct engine_done done)
{
	struct engine_ticket *t = later(e, i, done, NULL, NULL);

	t->is_wait = true;
	t->is_removed_wait = until == WAIT_REMOVED;
	if (until == WAIT_NOT_RUNNING && (i->state == INST_CREATED || i->state == INST_EXITED)) {
		t->result = json_pack("{s:i}", "StatusCode", i->exit_code);
		loop_timer_start(t->timer, 0);
	}
	return t;
}

/* ---- streams ---- */

static void say(int fd, const char *text, bool raw)
{
	unsigned char frame[8] = { 1, 0, 0, 0, 0, 0, 0, (unsigned char)strlen(text) };

	if (!raw)
		err_free(fd_write_all(fd, frame, sizeof(frame)));
	err_free(fd_write_all(fd, text, strlen(text)));
}

static void greet(const struct engine_attach *a, const char *what)
{
	OWN(mem)
	char *text = xasprintf("%s streams=%u keys=%s pre=%.*s\n", what, a->streams,
			       a->detach_keys ? a->detach_keys : "-", (int)a->pre_len,
			       a->pre ? (const char *)a->pre : "");

	say(a->fd, text, a->streams & SHIM_RAW);
	close(a->fd);
}

struct err *engine_attach(struct engine *e, struct instance *i, const struct engine_attach *a)
{
	greet(a, "attached");
	return NULL;
}

struct err *engine_exec_create(struct engine *e, struct instance *i,
			       const struct engine_exec_spec *x, char **ret_exec_id)
{
	e->exec_tty = x->tty;
	*ret_exec_id = xstrdup(streq(x->cmd.v[0], "missing") ? "bad" : "e1");
	return NULL;
}

struct err *engine_exec_start(struct engine *e, const char *exec_id, const struct engine_attach *a,
			      struct engine_done done)
{
	if (streq(exec_id, "bad")) {
		struct engine_ticket *t =
		    later(e, NULL, done,
			  err_new(ERR_INVALID, "exec: \"missing\": executable file not found in "
					       "$PATH"),
			  NULL);

		loop_timer_start(t->timer, 0);
		if (a)
			close(a->fd);
		return NULL;
	}
	soon(e, NULL, done);
	if (a)
		greet(a, "exec");
	return NULL;
}

struct err *engine_exec_inspect(struct engine *e, const char *exec_id, json_t **ret)
{
	if (strcmp(exec_id, "e1") && strcmp(exec_id, "bad"))
		return err_new(ERR_NOT_FOUND, "No such exec instance: %s", exec_id);
	*ret = json_pack("{s:s, s:b, s:n, s:{s:b, s:s, s:[]}, s:b, s:b, s:b, s:b, s:s, s:i, s:s}",
			 "ID", exec_id, "Running", 0, "ExitCode", "ProcessConfig", "tty",
			 e->exec_tty, "entrypoint", "ls", "arguments", "OpenStdin", 1, "OpenStdout",
			 1, "OpenStderr", 1, "CanRemove", 0, "ContainerID", "x", "Pid", 0,
			 "DetachKeys", "");
	return NULL;
}

struct err *engine_exec_resize(struct engine *e, const char *exec_id, int rows, int cols)
{
	return NULL;
}

struct err *engine_stats(struct engine *e, struct instance *i, struct engine_done done)
{
	struct engine_ticket *t;

	if (i->state != INST_RUNNING)
		return not_running(i);
	t = later(e, i, done, NULL,
		  json_pack("{s:s, s:{s:i}, s:{s:{s:i}, s:i, s:i}, s:{s:i, s:i}}", "read",
			    "2026-01-01T00:00:00Z", "pids_stats", "current", 1, "cpu_stats",
			    "cpu_usage", "total_usage", 5, "system_cpu_usage", 10, "online_cpus", 2,
			    "memory_stats", "usage", 1, "limit", 2));
	loop_timer_start(t->timer, 0);
	return NULL;
}

struct err *engine_top(struct engine *e, struct instance *i, const char *ps_args,
		       struct engine_done done)
{
	if (i->state != INST_RUNNING)
		return not_running(i);
	loop_timer_start(
	    later(e, i, done, NULL,
		  json_pack("{s:[s,s], s:[[s,s]]}", "Titles", "PID", "CMD", "Processes", "1", "sh"))
		->timer,
	    0);
	return NULL;
}

struct engine_subscription *
engine_subscribe(struct engine *e, void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	struct engine_subscription *s = xnew(struct engine_subscription);

	*s = (struct engine_subscription) { .e = e, .fn = fn, .arg = arg };
	TAILQ_INSERT_TAIL(&e->subs, s, link);
	return s;
}

void engine_unsubscribe(struct engine_subscription *s)
{
	TAILQ_REMOVE(&s->e->subs, s, link);
	free(s);
}

void engine_past_events(struct engine *e, int64_t since_ns, int64_t until_ns,
			void (*fn)(void *arg, const struct engine_event *ev), void *arg)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	{
		OWN(json) json_t *attributes = json_pack("{s:s}", "name", i->spec->name);

		fn(arg, &(struct engine_event) { .time_ns = i->created_ns,
						 .type = "container",
						 .action = "create",
						 .id = i->id,
						 .attributes = attributes });
	}
}

/* ---- images ---- */

void engine_each_image(struct engine *e, bool (*fn)(void *arg, const struct engine_image *im),
		       void *arg)
{
	fn(arg, &e->image);
}

struct err *engine_image_find(struct engine *e, const char *ref, const struct engine_image **ret)
{
	if (!strv_has(&e->image.tags, ref) && strncmp(e->image.id + 7, ref, strlen(ref)))
		return err_new(ERR_NOT_FOUND, "No such image: %s", ref);
	*ret = &e->image;
	return NULL;
}

struct err *engine_image_tag(struct engine *e, const char *ref, const char *new_ref)
{
	const struct engine_image *im;

	TRY(engine_image_find(e, ref, &im));
	strv_add(&e->image.tags, new_ref);
	return NULL;
}

struct err *engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune,
				json_t **ret)
{
	const struct engine_image *im;

	TRY(engine_image_find(e, ref, &im));
	*ret = json_pack("[{s:s}]", "Untagged", ref);
	return NULL;
}

int64_t engine_images_collect(struct engine *e, json_t *out)
{
	return 0;
}

int64_t engine_layers_bytes(struct engine *e)
{
	return e->image.size_bytes;
}

json_t *engine_shared_bytes(struct engine *e)
{
	return json_object();
}

/* ---- jobs ---- */

static void job_end(struct engine_job *j)
{
	loop_watch_free(j->watch);
	loop_timer_free(j->timer);
	own_fd_release(&j->io.data_fd);
	json_decref(j->result);
	free(j);
}

static void job_done(void *arg)
{
	struct engine_job *j = arg;

	if (j->io.progress && !j->fails) {
		json_t *stat = json_object_get(j->result, "stat");
		OWN(json)
		json_t *p =
		    stat ? json_pack("{s:O}", "stat", stat)
			 : json_pack("{s:{s:s, s:s, s:i, s:i}}", "progress", "id", "abcdefabcdef",
				     "status", "Downloading", "current", 5, "total", 10);

		j->io.progress(j->io.arg, p);
	}
	j->done.fn(j->done.arg,
		   j->fails ? err_new(ERR_NOT_FOUND, "manifest for it not found") : NULL,
		   j->fails ? NULL : j->result);
	job_end(j);
}

static void job_input(void *arg, int events)
{
	struct engine_job *j = arg;
	char buf[65536];
	ssize_t n = read(j->io.data_fd, buf, sizeof(buf));

	if (n > 0) {
		j->bytes += (size_t)n;
		return;
	}
	loop_watch_free(TAKE(j->watch));
	json_object_set_new(j->result, "bytes", json_integer((json_int_t)j->bytes));
	loop_timer_start(j->timer, 0);
}

/* @reads: it takes its data; else it writes some. */
static struct err *begin(struct engine *e, json_t *result, bool reads,
			 const struct engine_job_io *io, struct engine_done done,
			 struct engine_job **ret)
{
	struct engine_job *j = xnew(struct engine_job);

	j->e = e;
	j->io = *io;
	j->done = done;
	j->result = result;
	j->timer = loop_timer_new(e->loop, job_done, j);
	if (ret)
		*ret = j;
	if (reads && io->data_fd >= 0)
		return loop_watch_new(e->loop, io->data_fd, LOOP_READ, job_input, j, &j->watch);
	if (io->data_fd >= 0)
		err_free(fd_write_all(io->data_fd, "a tar\n", 6));
	loop_timer_start(j->timer, 20000000);
	return NULL;
}

struct err *engine_job_start(struct engine *e, json_t *job, const struct engine_job_io *io,
			     struct engine_done done, struct engine_job **ret)
{
	OWN(json) json_t *mine = job;
	const char *kind = jx_str(mine, "job", "");
	bool reads = streq(kind, "load") || streq(kind, "import");
	json_t *result = streq(kind, "load")
			     ? json_pack("{s:[{s:s, s:[s]}]}", "images", "id", e->image.id, "refs",
					 "docker.io/library/debian:12")
			     : json_pack("{s:s, s:s}", "id", e->image.id, "digest", "sha256:cc");
	struct engine_job *j;

	TRY(begin(e, result, reads, io, done, &j));
	j->fails = strstr(jx_str(mine, "ref", ""), "missing") != NULL;
	if (ret)
		*ret = j;
	return NULL;
}

struct err *engine_sizes(struct engine *e, struct instance *only, bool with_volumes,
			 struct engine_done done, struct engine_job **ret)
{
	struct engine_job_io io = { .data_fd = -1 };

	return begin(e, json_pack("{s:{}}", "sizes"), false, &io, done, ret);
}

void engine_job_cancel(struct engine_job *j)
{
	job_end(j);
}

struct err *engine_files(struct engine *e, struct instance *i, const char *op, const char *path,
			 const struct engine_job_io *io, struct engine_done done,
			 struct engine_job **ret)
{
	json_t *result = json_pack("{s:{s:s, s:i, s:i, s:s, s:s}, s:[{s:s, s:i}]}", "stat", "name",
				   path, "size", 3, "mode", 0755, "mtime", "2026-01-01T00:00:00Z",
				   "linkTarget", "", "changes", "Path", "/x", "Kind", 1);

	if (streq(path, "/missing")) {
		json_decref(result);
		own_fd_release(&(int) { io->data_fd });
		return err_new(ERR_NOT_FOUND, "Could not find the file /missing in container %s",
			       i->spec->name);
	}
	return begin(e, result, streq(op, "put"), io, done, NULL);
}

/* ---- volumes and numbers ---- */

struct err *engine_volume_create(struct engine *e, const char *name, const struct strmap *labels,
				 json_t **ret)
{
	json_t *v =
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:{}}", "CreatedAt", "2026-01-01T00:00:00Z",
		      "Driver", "local", "Mountpoint", "/v", "Name", name ? name : "anonymous",
		      "Labels", jx_from_map(labels), "Scope", "local", "Options");

	json_array_append(e->volumes, v);
	*ret = v;
	return NULL;
}

static size_t volume_index(struct engine *e, const char *name)
{
	size_t i = 0;

	while (i < json_array_size(e->volumes) &&
	       strcmp(jx_str(json_array_get(e->volumes, i), "Name", ""), name))
		i++;
	return i;
}

struct err *engine_volume_find(struct engine *e, const char *name, json_t **ret)
{
	json_t *v = json_array_get(e->volumes, volume_index(e, name));

	if (!v)
		return err_new(ERR_NOT_FOUND, "get %s: no such volume", name);
	*ret = json_incref(v);
	return NULL;
}

json_t *engine_volumes(struct engine *e)
{
	return json_deep_copy(e->volumes);
}

struct err *engine_volume_remove(struct engine *e, const char *name, bool force,
				 struct engine_done done)
{
	json_t *v = NULL;

	TRY(engine_volume_find(e, name, &v));
	json_decref(v);
	json_array_remove(e->volumes, volume_index(e, name));
	soon(e, NULL, done);
	return NULL;
}

static struct fake_network *network_at(struct engine *e, const char *ref)
{
	struct fake_network *n;

	TAILQ_FOREACH(n, &e->networks, link)
	if (streq(n->v.name, ref) || streq(n->v.id, ref))
		return n;
	return NULL;
}

void engine_each_network(struct engine *e, void (*fn)(void *arg, const struct engine_network *n),
			 void *arg)
{
	struct fake_network *n, *next;

	for (n = TAILQ_FIRST(&e->networks); n; n = next) {
		next = TAILQ_NEXT(n, link);
		fn(arg, &n->v);
	}
}

struct err *engine_network_find(struct engine *e, const char *ref, struct engine_network *ret)
{
	struct fake_network *n = network_at(e, ref);

	if (!n)
		return err_new(ERR_NOT_FOUND, "network %s not found", ref);
	*ret = n->v;
	return NULL;
}

struct err *engine_network_create(struct engine *e, const struct engine_network_wish *w,
				  const char **ret_id)
{
	bool is_default = TAILQ_EMPTY(&e->networks);
	struct fake_network *n;

	if (!w->name || network_at(e, w->name))
		return err_new(ERR_EXISTS, "network with name %s already exists", w->name);
	n = xnew(struct fake_network);
	if (w->labels)
		strmap_copy(&n->labels, w->labels);
	if (w->options)
		strmap_copy(&n->options, w->options);
	n->v = (struct engine_network) {
		.id = is_default ? "bridge" : xasprintf("%064d", ++e->made),
		.name = xstrdup(w->name),
		.bridge = is_default ? "hostel0" : "br-fake",
		.subnet = w->subnet && *w->subnet ? xstrdup(w->subnet) : "10.88.0.0/16",
		.gateway = w->gateway && *w->gateway ? xstrdup(w->gateway) : "10.88.0.1",
		.is_internal = w->is_internal,
		.is_attachable = w->is_attachable,
		.labels = &n->labels,
		.options = &n->options,
		.created_ns = is_default ? 0 : 1700000000000000000,
	};
	TAILQ_INSERT_TAIL(&e->networks, n, link);
	*ret_id = n->v.id;
	return NULL;
}

struct err *engine_network_remove(struct engine *e, const char *ref)
{
	struct fake_network *n = network_at(e, ref);

	if (!n)
		return err_new(ERR_NOT_FOUND, "network %s not found", ref);
	if (n == TAILQ_FIRST(&e->networks))
		return err_new(ERR_DENIED, "%s is a pre-defined network and cannot be removed",
			       ref);
	TAILQ_REMOVE(&e->networks, n, link);
	strmap_done(&n->labels);
	strmap_done(&n->options);
	free(n);
	return NULL;
}

struct err *engine_network_connect(struct engine *e, const char *ref, struct instance *i,
				   const struct spec_endpoint *how)
{
	struct engine_network n;

	(void)i;
	if (how->ip && !strncmp(how->ip, "192.", 4))
		return err_new(ERR_INVALID, "no configured subnet contains IP address %s", how->ip);
	return engine_network_find(e, ref, &n);
}

struct err *engine_network_disconnect(struct engine *e, const char *ref, struct instance *i)
{
	struct engine_network n;

	(void)i;
	return engine_network_find(e, ref, &n);
}

json_t *engine_queue(struct engine *e)
{
	return json_array();
}

json_t *engine_policy(const struct engine *e)
{
	return json_object();
}

struct err *engine_policy_set(struct engine *e, const json_t *change)
{
	return NULL;
}

struct err *engine_queue_hold(struct engine *e, struct instance *i, int64_t uid,
			      struct engine_done done)
{
	if (i->state != INST_QUEUED)
		return err_new(ERR_STATE, "%s does not wait in the queue", i->spec->name);
	soon(e, i, done);
	return NULL;
}

struct err *engine_queue_release(struct engine *e, struct instance *i, struct engine_done done)
{
	return engine_queue_hold(e, i, 0, done);
}

struct err *engine_queue_cancel(struct engine *e, struct instance *i, int64_t uid,
				struct engine_done done)
{
	return engine_queue_hold(e, i, uid, done);
}

struct err *engine_queue_move(struct engine *e, struct instance *i, enum engine_where where,
			      struct instance *other, struct engine_done done)
{
	return engine_queue_hold(e, i, 0, done);
}

struct err *engine_drain(struct engine *e, bool on, int64_t uid, struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

json_t *engine_drain_state(struct engine *e)
{
	return json_pack("{s:b, s:i, s:[], s:i}", "draining", 0, "running", 0, "names", "waiting",
			 0);
}

json_t *engine_fit(struct engine *e, const struct engine_candidate *list, size_t n, bool is_empty)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_pack("{s:s, s:s, s:s?}", "name", list[i].name,
						     "verdict", list[i].spec ? "admitted" : "never",
						     "reason", list[i].problem));
	return json_pack("{s:o, s:b}", "instances", all, "empty", is_empty);
}

struct err *engine_quota_set(struct engine *e, int64_t uid, const json_t *limits,
			     struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

struct err *engine_quota_remove(struct engine *e, int64_t uid, struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

json_t *engine_quotas(struct engine *e)
{
	return json_array();
}

json_t *engine_trust(struct engine *e)
{
	return json_array();
}

struct err *engine_trust_add(struct engine *e, const char *name, const char *pem,
			     struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

struct err *engine_trust_remove(struct engine *e, const char *name, struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

struct err *engine_trust_own(struct engine *e, struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

struct err *engine_migrate(struct engine *e, struct instance *i,
			   const struct engine_migrate_wish *w, struct engine_done done,
			   int64_t *ret_number)
{
	soon(e, NULL, done);
	return NULL;
}

void engine_migrate_cancel(struct engine *e, int64_t number)
{
}

struct err *engine_migrate_resolve(struct engine *e, struct instance *i, bool here,
				   struct engine_done done)
{
	soon(e, NULL, done);
	return NULL;
}

char *engine_user_name(int64_t uid)
{
	return xasprintf("%d", (int)uid);
}

struct err *engine_user_find(const char *text, int64_t *ret_uid)
{
	*ret_uid = 0;
	return streq(text, "root") ? NULL : err_new(ERR_NOT_FOUND, "no such user: %s", text);
}

json_t *engine_resources(struct engine *e)
{
	return json_object();
}

json_t *engine_accounting(struct engine *e, const struct engine_accounts *which)
{
	return json_pack("{s:[], s:I, s:I}", "starts", "before", (json_int_t)which->before,
			 "since_ns", (json_int_t)which->since_ns);
}

json_t *engine_info(struct engine *e)
{
	return json_pack("{s:s, s:s}", "cgroup_version", "1", "accel", "tcg: no /dev/kvm");
}

json_t *engine_kernels(struct engine *e)
{
	return json_pack("[{s:s, s:b}]", "name", "cloud", "default", 1);
}

struct err *engine_kernel_remove(struct engine *e, const char *name)
{
	return streq(name, "cloud") ? NULL : err_new(ERR_NOT_FOUND, "No such kernel: %s", name);
}

/* ---- snapshots: there is one of each instance, and none can be made ---- */

static struct err *no_snapshots(void)
{
	return err_new(ERR_UNSUPPORTED, "nothing runs here");
}

void engine_operation_cancel(struct engine_operation *op)
{
	(void)op;
}

struct err *engine_operation_stop(struct instance *i)
{
	return err_new(ERR_STATE, "%s: nothing is under way", i->spec->name);
}

struct err *engine_snapshot_create(struct engine *e, struct instance *i,
				   const struct engine_snapshot_wish *wish,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret)
{
	return no_snapshots();
}

static bool add_snapshot(void *arg, struct instance *i)
{
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:I, s:b, s:I}", "name", "snap0",
					     "instance", i->spec->name, "instance_id", i->id,
					     "created_ns", (json_int_t)i->created_ns, "stateful", 0,
					     "bytes", (json_int_t)4096));
	return true;
}

json_t *engine_snapshots(struct engine *e, struct instance *only)
{
	json_t *out = json_array();

	if (only)
		add_snapshot(out, only);
	else
		engine_each(e, add_snapshot, out);
	return out;
}

size_t engine_snapshots_count(const struct instance *i)
{
	return 1;
}

struct err *engine_snapshot_remove(struct instance *i, const char *name)
{
	return streq(name, "snap0")
		   ? NULL
		   : err_new(ERR_NOT_FOUND, "%s has no snapshot %s", i->spec->name, name);
}

struct err *engine_snapshot_restore(struct engine *e, struct instance *i,
				    const struct engine_restore_wish *wish,
				    const struct engine_watch *watch, struct engine_done done,
				    struct engine_operation **ret)
{
	return no_snapshots();
}

struct err *engine_fork(struct engine *e, struct instance *i, int64_t n,
			const struct engine_watch *watch, struct engine_done done,
			struct engine_operation **ret)
{
	return no_snapshots();
}

struct err *engine_snapshot_export(struct engine *e, struct instance *i, const char *name, int fd,
				   struct engine_done done, struct engine_job **ret)
{
	close(fd);
	return no_snapshots();
}

struct err *engine_backup_create(struct engine *e, struct instance *i, int fd,
				 const struct engine_watch *watch, struct engine_done done,
				 struct engine_operation **ret)
{
	close(fd);
	return no_snapshots();
}

struct err *engine_snapshot_import(struct engine *e, int fd, const char *as, bool is_backup,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret)
{
	close(fd);
	return no_snapshots();
}
