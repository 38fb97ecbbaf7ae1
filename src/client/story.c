/* SPDX-License-Identifier: Apache-2.0 */
#include "client/auth.h"
#include "client/client_int.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define API "/v1.47"

static void own_doc_release(json_t **slot)
{
	json_decref(*slot);
}

static int fail_memory(struct hostel *h)
{
	return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
}

/* POST or the like on one instance: prefix REF suffix. */
static int on_instance(struct hostel *h, const char *method, const char *ref, const char *suffix,
		       char **ret_body)
{
	struct buf path = { 0 };

	buf_adds(&path, API "/containers/");
	buf_encode(&path, ref);
	buf_adds(&path, suffix);
	return client_call_buf(h, method, &path, NULL, ret_body);
}

/* ---- create ---- */

/* Set a member, remembering a failure; consumes @value. */
static void set(json_t *doc, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(doc, key, value))
		*failed = true;
}

static void set_text(json_t *doc, const char *key, const char *text, bool *failed)
{
	if (text)
		set(doc, key, json_string(text), failed);
}

static void set_int(json_t *doc, const char *key, int64_t n, bool *failed)
{
	if (n)
		set(doc, key, json_integer(n), failed);
}

static void set_list(json_t *doc, const char *key, const char *const *list, bool *failed)
{
	json_t *array = list ? json_array() : NULL;

	if (!list)
		return;
	for (; *list; list++)
		if (json_array_append_new(array, json_string(*list)))
			*failed = true;
	set(doc, key, array, failed);
}

/* Lay the members of a document over @doc, one level into objects. */
static int lay_over(struct hostel *h, json_t *doc, const char *text)
{
	OWN(doc) json_t *over = text ? json_loads(text, 0, NULL) : NULL;
	const char *key;
	json_t *value;

	if (!text)
		return HOSTEL_OK;
	if (!json_is_object(over))
		return client_fail(h, HOSTEL_INVALID, "document_json is not a JSON object");
	json_object_foreach(over, key, value)
	{
		json_t *old = json_object_get(doc, key);
		int rc = json_is_object(old) && json_is_object(value)
			     ? json_object_update(old, value)
			     : json_object_set(doc, key, value);

		if (rc)
			return fail_memory(h);
	}
	return HOSTEL_OK;
}

/* Send a creation; the id is member @key of the answer. */
static int create(struct hostel *h, struct buf *path, json_t *doc, const char *key, char **ret_id)
{
	OWN(doc) json_t *answer = NULL;
	char *text = json_dumps(doc, JSON_COMPACT), *body = NULL, *id;
	int rc = text ? client_call_buf(h, "POST", path, text, &body) : fail_memory(h);

	free(text);
	own_buf_release(path);
	if (rc)
		return rc;
	answer = json_loads(body, 0, NULL);
	free(body);
	if (!json_string_value(json_object_get(answer, key)))
		return client_fail(h, HOSTEL_BROKEN, "hosteld's answer has no \"%s\"", key);
	if (!ret_id)
		return HOSTEL_OK;
	id = strdup(json_string_value(json_object_get(answer, key)));
	if (!id)
		return fail_memory(h);
	*ret_id = id;
	return HOSTEL_OK;
}

static void fill_host(json_t *host, const struct hostel_container *c, bool *failed)
{
	set_int(host, "Memory", c->memory_bytes, failed);
	set_int(host, "NanoCpus", c->cpu_milli * 1000000, failed);
	set_text(host, "NetworkMode", c->network, failed);
	set_list(host, "Binds", c->binds, failed);
	if (c->isolation && strcmp(c->isolation, "container"))
		set_text(host, "Runtime", c->isolation, failed);
	if (c->auto_remove)
		set(host, "AutoRemove", json_true(), failed);
}

int hostel_container_create(struct hostel *h, const struct hostel_container *c, char **ret_id)
{
	OWN(doc) json_t *doc = json_object();
	struct buf path = { 0 };
	json_t *host = json_object();
	bool failed = !doc;
	int rc;

	fill_host(host, c, &failed);
	set(doc, "HostConfig", host, &failed);
	set_text(doc, "Image", c->image, &failed);
	set_list(doc, "Cmd", c->argv, &failed);
	set_list(doc, "Env", c->env, &failed);
	set(doc, "Tty", json_boolean(c->tty), &failed);
	set(doc, "OpenStdin", json_boolean(c->open_stdin), &failed);
	rc = failed ? fail_memory(h) : lay_over(h, doc, c->document_json);
	if (rc)
		return rc;
	buf_adds(&path, API "/containers/create");
	if (c->name) {
		buf_adds(&path, "?name=");
		buf_encode(&path, c->name);
	}
	return create(h, &path, doc, "Id", ret_id);
}

static bool ends_with(const char *s, size_t len, const char *end)
{
	return len > strlen(end) && !memcmp(s + len - strlen(end), end, strlen(end));
}

/* "20g" in bytes; 0 when it is no size */
static int64_t size_bytes(const char *text)
{
	static const char units[] = "kmgt";
	char *end = NULL;
	long long n = strtoll(text, &end, 10);
	const char *unit = *end ? strchr(units, *end | 0x20) : NULL;

	if (end == text || n <= 0 || (*end && (!unit || end[1])))
		return 0;
	for (; unit && unit >= units; unit--)
		if (__builtin_mul_overflow(n, 1024, &n))
			return 0;
	return n;
}

/* "FILE", "FILE,overlay", "FILE,ro" or "new:20g" as a member of "disks". */
static json_t *disk_doc(const char *text)
{
	size_t len = strlen(text);
	bool overlay = ends_with(text, len, ",overlay"), ro = ends_with(text, len, ",ro");

	if (!strncmp(text, "new:", 4))
		return json_pack("{s:I}", "new_bytes", (json_int_t)size_bytes(text + 4));
	if (overlay || ro)
		len -= overlay ? 8 : 3;
	return json_pack("{s:s%, s:b, s:b}", "path", text, len, "overlay", overlay, "readonly", ro);
}

static int add_disks(struct hostel *h, json_t *doc, const char *const *disks)
{
	json_t *array = json_array();

	for (; disks && *disks; disks++) {
		if (!strncmp(*disks, "new:", 4) && !size_bytes(*disks + 4)) {
			json_decref(array);
			return client_fail(h, HOSTEL_INVALID,
					   "disk \"%s\": not a size like new:20g", *disks);
		}
		if (json_array_append_new(array, disk_doc(*disks))) {
			json_decref(array);
			return fail_memory(h);
		}
	}
	return json_object_set_new(doc, "disks", array) ? fail_memory(h) : HOSTEL_OK;
}

int hostel_vm_create(struct hostel *h, const struct hostel_vm *vm, char **ret_id)
{
	OWN(doc) json_t *doc = json_object();
	struct buf path = { 0 };
	bool failed = !doc;
	int rc;

	set_text(doc, "name", vm->name, &failed);
	set_int(doc, "memory_bytes", vm->memory_mib * 1048576, &failed);
	set_int(doc, "vcpus", vm->vcpus, &failed);
	set_text(doc, "kernel", vm->kernel, &failed);
	set_text(doc, "initrd", vm->initrd, &failed);
	set_text(doc, "append", vm->append, &failed);
	rc = failed ? fail_memory(h) : add_disks(h, doc, vm->disks);
	if (!rc)
		rc = lay_over(h, doc, vm->document_json);
	if (rc)
		return rc;
	buf_adds(&path, "/hostel/v1/vms");
	return create(h, &path, doc, "id", ret_id);
}

/* ---- start ---- */

enum { START_GOES_ON = 1 };

/* One line of the start's answer. Return: START_GOES_ON, 0 started, or negative. */
static int start_line(struct hostel *h, const char *line,
		      int (*waiting)(void *arg, const char *reason), void *arg)
{
	OWN(doc) json_t *doc = json_loads(line, 0, NULL);
	const char *text = json_string_value(json_object_get(doc, "waiting"));

	if (text && waiting && waiting(arg, text))
		return client_fail(h, HOSTEL_FAILED, "not started: given up (%s)", text);
	if (text)
		return START_GOES_ON;
	text = json_string_value(json_object_get(doc, "error"));
	if (text)
		return client_fail(h, HOSTEL_FAILED, "%s", text);
	if (json_is_true(json_object_get(doc, "already")))
		h->status = 304;
	if (json_is_true(json_object_get(doc, "started")) ||
	    json_is_true(json_object_get(doc, "queued")))
		return HOSTEL_OK;
	return START_GOES_ON;
}

static int read_start(struct hostel *h, struct hostel_reply *r,
		      int (*waiting)(void *arg, const char *reason), void *arg)
{
	int rc = hostel_reply_head(r);

	while (!rc) {
		char *line = NULL;

		rc = hostel_reply_line(r, &line);
		if (!rc && !line)
			return client_fail(h, HOSTEL_BROKEN, "hosteld ended before the start");
		if (!rc)
			rc = start_line(h, line, waiting, arg);
		free(line);
		if (rc != START_GOES_ON)
			return rc;
		rc = HOSTEL_OK;
	}
	return rc;
}

int hostel_start(struct hostel *h, const char *ref, int (*waiting)(void *arg, const char *reason),
		 void *arg)
{
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(buf) struct buf path = { 0 };
	int rc;

	buf_adds(&path, "/hostel/v1/instances/");
	buf_encode(&path, ref);
	buf_adds(&path, "/start?hold=client");
	if (path.failed)
		return fail_memory(h);
	rc = hostel_send(h,
			 &(struct hostel_request) {
			     .method = "POST", .path = path.p, .no_reuse = waiting != NULL },
			 &r);
	return rc ? rc : read_start(h, r, waiting, arg);
}

/* ---- run ---- */

/* Everything that a framed stream gives. */
static int drain_frames(struct hostel *h, struct hostel_reply *r, bool is_raw, struct buf *out)
{
	char data[8192];
	ssize_t n;
	int stream;

	do {
		n = is_raw ? hostel_reply_read(r, data, sizeof(data))
			   : hostel_frame_read(r, &stream, data, sizeof(data));
		if (n > 0)
			buf_add(out, data, (size_t)n);
	} while (n > 0);
	return out->failed ? fail_memory(h) : (int)n;
}

static int get_doc(struct hostel *h, const char *ref, json_t **ret)
{
	char *body = NULL;
	int rc = hostel_inspect(h, ref, &body);
	json_t *doc;

	if (rc)
		return rc;
	doc = json_loads(body, 0, NULL);
	free(body);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return client_fail(h, HOSTEL_BROKEN, "hosteld's answer is no document");
	}
	*ret = doc;
	return HOSTEL_OK;
}

static int read_logs(struct hostel *h, const char *ref, bool is_raw, struct buf *out)
{
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(buf) struct buf path = { 0 };
	int rc;

	buf_adds(&path, API "/containers/");
	buf_encode(&path, ref);
	buf_adds(&path, "/logs?stdout=1&stderr=1");
	if (path.failed)
		return fail_memory(h);
	rc = hostel_send(h, &(struct hostel_request) { .method = "GET", .path = path.p }, &r);
	if (!rc)
		rc = hostel_reply_head(r);
	return rc ? rc : drain_frames(h, r, is_raw, out);
}

/* Wait up to @timeout_ms (-1: for ever) until it does not run. */
static int wait_end(struct hostel *h, const char *ref, int timeout_ms)
{
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(buf) struct buf path = { 0 };
	char data[512];
	ssize_t n = 1;
	int rc;

	buf_adds(&path, API "/containers/");
	buf_encode(&path, ref);
	buf_adds(&path, "/wait");
	if (path.failed)
		return fail_memory(h);
	rc = hostel_send(
	    h, &(struct hostel_request) { .method = "POST", .path = path.p, .no_reuse = 1 }, &r);
	if (!rc)
		rc = hostel_reply_head(r);
	while (!rc && n > 0) {
		struct pollfd p = { .fd = hostel_reply_fd(r), .events = POLLIN };

		if (!hostel_reply_pending(r) && poll(&p, 1, timeout_ms) == 0)
			return HOSTEL_OK;
		n = hostel_reply_read(r, data, sizeof(data));
		rc = n < 0 ? (int)n : HOSTEL_OK;
	}
	return rc;
}

static bool never_started(const json_t *doc)
{
	const json_t *state = json_object_get(doc, "State");
	const char *status = json_string_value(json_object_get(state, "Status"));

	return status && !strcmp(status, "created");
}

static bool is_tty(const json_t *doc)
{
	return json_is_true(json_object_get(json_object_get(doc, "Config"), "Tty"));
}

/* State and output as they are now. */
static int take_output(struct hostel *h, const char *ref, struct hostel_output *ret)
{
	OWN(doc) json_t *doc = NULL;
	OWN(buf) struct buf out = { 0 };
	struct hostel_output o = { 0 };
	json_t *state;
	int rc = get_doc(h, ref, &doc);

	if (!rc)
		rc = read_logs(h, ref, is_tty(doc), &out);
	if (rc)
		return rc;
	state = json_object_get(doc, "State");
	o.is_ended = !json_is_true(json_object_get(state, "Running"));
	o.exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
	o.len = out.len;
	o.text = buf_take(&out);
	if (!o.text)
		return fail_memory(h);
	*ret = o;
	return HOSTEL_OK;
}

static int run_own(struct hostel *h, const char *ref, int timeout_ms, struct hostel_output *ret)
{
	OWN(doc) json_t *doc = NULL;
	int rc = get_doc(h, ref, &doc);

	if (!rc && never_started(doc))
		rc = hostel_start(h, ref, NULL, NULL);
	if (!rc)
		rc = wait_end(h, ref, timeout_ms);
	return rc ? rc : take_output(h, ref, ret);
}

static int exec_create(struct hostel *h, const char *ref, const char *const *argv, char **ret_id)
{
	OWN(doc) json_t *doc = json_pack("{s:b, s:b}", "AttachStdout", 1, "AttachStderr", 1);
	struct buf path = { 0 };
	bool failed = !doc;

	set_list(doc, "Cmd", argv, &failed);
	if (failed)
		return fail_memory(h);
	buf_adds(&path, API "/containers/");
	buf_encode(&path, ref);
	buf_adds(&path, "/exec");
	return create(h, &path, doc, "Id", ret_id);
}

static int exec_output(struct hostel *h, const char *exec_id, struct buf *out)
{
	OWN(reply) struct hostel_reply *r = NULL;
	char path[160];
	int rc;

	snprintf(path, sizeof(path), API "/exec/%.100s/start", exec_id);
	rc = hostel_send(h,
			 &(struct hostel_request) {
			     .method = "POST", .path = path, .body = "{\"Detach\":false}" },
			 &r);
	if (!rc)
		rc = hostel_reply_head(r);
	return rc ? rc : drain_frames(h, r, false, out);
}

static int exec_code(struct hostel *h, const char *exec_id, int *ret_code)
{
	OWN(doc) json_t *doc = NULL;
	char path[160], *body = NULL;
	int rc;

	snprintf(path, sizeof(path), API "/exec/%.100s/json", exec_id);
	rc = hostel_call(h, "GET", path, NULL, &body);
	if (rc)
		return rc;
	doc = json_loads(body, 0, NULL);
	free(body);
	*ret_code = (int)json_integer_value(json_object_get(doc, "ExitCode"));
	return HOSTEL_OK;
}

static int run_inside(struct hostel *h, const char *ref, const char *const *argv,
		      struct hostel_output *ret)
{
	OWN(buf) struct buf out = { 0 };
	OWN(doc) json_t *doc = NULL;
	struct hostel_output o = { .is_ended = 1 };
	char *exec_id = NULL;
	int rc = get_doc(h, ref, &doc);

	if (!rc && never_started(doc))
		rc = hostel_start(h, ref, NULL, NULL);
	if (!rc)
		rc = exec_create(h, ref, argv, &exec_id);
	if (!rc)
		rc = exec_output(h, exec_id, &out);
	if (!rc)
		rc = exec_code(h, exec_id, &o.exit_code);
	free(exec_id);
	if (rc)
		return rc;
	o.len = out.len;
	o.text = buf_take(&out);
	if (!o.text)
		return fail_memory(h);
	*ret = o;
	return HOSTEL_OK;
}

int hostel_run(struct hostel *h, const char *ref, const char *const *argv, int timeout_ms,
	       struct hostel_output *ret)
{
	return argv && *argv ? run_inside(h, ref, argv, ret) : run_own(h, ref, timeout_ms, ret);
}

/* ---- verbs ---- */

int hostel_stop(struct hostel *h, const char *ref, int timeout_s)
{
	char query[32] = "/stop";

	if (timeout_s >= 0)
		snprintf(query, sizeof(query), "/stop?t=%d", timeout_s);
	return on_instance(h, "POST", ref, query, NULL);
}

int hostel_restart(struct hostel *h, const char *ref, int timeout_s)
{
	char query[32] = "/restart";

	if (timeout_s >= 0)
		snprintf(query, sizeof(query), "/restart?t=%d", timeout_s);
	return on_instance(h, "POST", ref, query, NULL);
}

/* POST prefix REF verb VALUE, the value encoded. */
static int with_value(struct hostel *h, const char *ref, const char *verb, const char *value)
{
	struct buf path = { 0 };

	buf_adds(&path, API "/containers/");
	buf_encode(&path, ref);
	buf_adds(&path, verb);
	buf_encode(&path, value);
	return client_call_buf(h, "POST", &path, NULL, NULL);
}

int hostel_kill(struct hostel *h, const char *ref, const char *signal)
{
	return with_value(h, ref, "/kill?signal=", signal ? signal : "KILL");
}

int hostel_rename(struct hostel *h, const char *ref, const char *name)
{
	return with_value(h, ref, "/rename?name=", name);
}

int hostel_pause(struct hostel *h, const char *ref)
{
	return on_instance(h, "POST", ref, "/pause", NULL);
}

int hostel_unpause(struct hostel *h, const char *ref)
{
	return on_instance(h, "POST", ref, "/unpause", NULL);
}

int hostel_remove(struct hostel *h, const char *ref, int force, int volumes)
{
	static const char *const queries[] = { "", "?force=1", "?v=1", "?force=1&v=1" };

	return on_instance(h, "DELETE", ref, queries[!!force + 2 * !!volumes], NULL);
}

int hostel_wait(struct hostel *h, const char *ref, int *ret_code)
{
	OWN(doc) json_t *doc = NULL;
	char *body = NULL;
	int rc = on_instance(h, "POST", ref, "/wait", &body);

	if (rc)
		return rc;
	doc = json_loads(body, 0, NULL);
	free(body);
	if (!json_is_integer(json_object_get(doc, "StatusCode")))
		return client_fail(h, HOSTEL_BROKEN, "hosteld's answer has no status code");
	*ret_code = (int)json_integer_value(json_object_get(doc, "StatusCode"));
	return HOSTEL_OK;
}

int hostel_inspect(struct hostel *h, const char *ref, char **ret_json)
{
	return on_instance(h, "GET", ref, "/json", ret_json);
}

int hostel_list(struct hostel *h, int all, char **ret_json)
{
	return hostel_call(h, "GET", all ? "/hostel/v1/instances?all=1" : "/hostel/v1/instances",
			   NULL, ret_json);
}

/* ---- images ---- */

/* Read progress messages up to the end; the last error among them fails the call. */
static int follow(struct hostel *h, struct hostel_reply *r,
		  void (*progress)(void *arg, const char *message_json), void *arg)
{
	int rc = hostel_reply_head(r), bad = HOSTEL_OK;

	while (!rc) {
		OWN(doc) json_t *doc = NULL;
		const char *text;
		char *line = NULL;

		rc = hostel_reply_line(r, &line);
		if (rc || !line)
			break;
		doc = json_loads(line, 0, NULL);
		text = json_string_value(json_object_get(doc, "error"));
		if (text)
			bad = client_fail(h, HOSTEL_FAILED, "%s", text);
		else if (doc && progress)
			progress(arg, line);
		free(line);
	}
	return rc ? rc : bad;
}

int hostel_pull(struct hostel *h, const char *image, const char *platform,
		void (*progress)(void *arg, const char *message_json), void *arg)
{
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(buf) struct buf path = { 0 };
	char *auth = NULL;
	int rc = client_auth_header(h, image, &auth);

	if (rc)
		return rc;
	buf_adds(&path, API "/images/create?fromImage=");
	buf_encode(&path, image);
	if (!strchr(strrchr(image, '/') ? strrchr(image, '/') : image, ':') && !strchr(image, '@'))
		buf_adds(&path, "&tag=latest");
	if (platform) {
		buf_adds(&path, "&platform=");
		buf_encode(&path, platform);
	}
	rc = path.failed ? fail_memory(h)
			 : hostel_send(h,
				       &(struct hostel_request) {
					   .method = "POST", .path = path.p, .headers = auth },
				       &r);
	free(auth);
	return rc ? rc : follow(h, r, progress, arg);
}

int hostel_load(struct hostel *h, int fd, void (*progress)(void *arg, const char *message_json),
		void *arg)
{
	OWN(reply) struct hostel_reply *r = NULL;
	int rc = hostel_send(h,
			     &(struct hostel_request) { .method = "POST",
							.path = API "/images/load?quiet=0",
							.has_body_fd = 1,
							.body_fd = fd },
			     &r);

	return rc ? rc : follow(h, r, progress, arg);
}

int hostel_image_remove(struct hostel *h, const char *ref, int force, char **ret_json)
{
	struct buf path = { 0 };

	buf_adds(&path, API "/images/");
	buf_encode(&path, ref);
	if (force)
		buf_adds(&path, "?force=1");
	return client_call_buf(h, "DELETE", &path, NULL, ret_json);
}

int hostel_images(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", API "/images/json", NULL, ret_json);
}

int hostel_queue(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", "/hostel/v1/queue", NULL, ret_json);
}

int hostel_resources(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", "/hostel/v1/resources", NULL, ret_json);
}

int hostel_accounting(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", "/hostel/v1/accounting", NULL, ret_json);
}

int hostel_version(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", API "/version", NULL, ret_json);
}

int hostel_info(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", API "/info", NULL, ret_json);
}
