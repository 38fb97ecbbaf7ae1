/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/base64.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

/* ---- documents ---- */

static json_t *strings_or_empty(const struct strv *l)
{
	return jx_from_strv(l);
}

static const json_t *run_config(const struct engine_image *im)
{
	return json_object_get(im->config, "config");
}

static json_t *labels_of(const struct engine_image *im)
{
	const json_t *labels = json_object_get(run_config(im), "Labels");

	return json_is_object(labels) ? json_incref((json_t *)(uintptr_t)labels) : json_object();
}

json_t *image_summary(const struct engine_image *im)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:i, s:o, s:i}", "Id", im->id, "ParentId",
			 im->parent ? im->parent : "", "RepoTags", strings_or_empty(&im->tags),
			 "RepoDigests", strings_or_empty(&im->digests), "Created",
			 (json_int_t)(im->created_ns / 1000000000), "Size",
			 (json_int_t)im->size_bytes, "SharedSize", -1, "Labels", labels_of(im),
			 "Containers", -1);
}

/* Config of an image as Docker has it: the OCI members and nothing that is null where a string is
 * due. */
static json_t *image_config(const struct engine_image *im)
{
	const json_t *from = run_config(im);
	json_t *j = json_is_object(from) ? json_copy((json_t *)(uintptr_t)from) : json_object();
	static const char *const strings[] = { "User", "WorkingDir" };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (!json_is_string(json_object_get(j, strings[i])))
			jx_set_str(j, strings[i], "");
	return j;
}

static json_t *image_document(const struct engine_image *im)
{
	const json_t *layers = json_object_get(json_object_get(im->config, "rootfs"), "diff_ids");
	json_t *j = json_object();

	jx_set_str(j, "Id", im->id);
	json_object_set_new(j, "RepoTags", strings_or_empty(&im->tags));
	json_object_set_new(j, "RepoDigests", strings_or_empty(&im->digests));
	jx_set_str(j, "Parent", im->parent ? im->parent : "");
	jx_set_str(j, "Comment", jx_str(im->config, "comment", ""));
	jx_set_str(j, "Created", jx_str(im->config, "created", "0001-01-01T00:00:00Z"));
	jx_set_str(j, "DockerVersion", jx_str(im->config, "docker_version", ""));
	jx_set_str(j, "Author", jx_str(im->config, "author", ""));
	jx_set_str(j, "Architecture", jx_str(im->config, "architecture", "amd64"));
	jx_set_str(j, "Os", jx_str(im->config, "os", "linux"));
	json_object_set_new(j, "Size", json_integer(im->size_bytes));
	json_object_set_new(j, "GraphDriver", json_pack("{s:s, s:{}}", "Name", "overlay2", "Data"));
	json_object_set_new(
	    j, "RootFS",
	    json_pack("{s:s, s:o}", "Type", "layers", "Layers",
		      layers ? json_incref((json_t *)(uintptr_t)layers) : json_array()));
	json_object_set_new(j, "Metadata",
			    json_pack("{s:s}", "LastTagTime", "0001-01-01T00:00:00Z"));
	json_object_set_new(j, "Config", image_config(im));
	return j;
}

struct err *img_inspect(struct call *c)
{
	const struct engine_image *im;
	json_t *doc;

	TRY(engine_image_find(c->api->engine, call_param(c, "name"), &im));
	doc = image_document(im);
	/* No longer Docker's, but compose 1 ends without it when it makes a container anew. */
	json_object_set(doc, "ContainerConfig", json_object_get(doc, "Config"));
	call_json(c, 200, doc);
	return NULL;
}

static int64_t time_of(const json_t *entry)
{
	int64_t ns = 0;

	err_free(docker_time_read(jx_str(entry, "created", "1970-01-01T00:00:00Z"), 0, &ns));
	return ns / 1000000000;
}

/* Bytes of the layer that an entry made; @at: layers seen so far, bottom first */
static int64_t layer_of(const struct engine_image *im, const json_t *entry, size_t *at)
{
	if (jx_bool(entry, "empty_layer", false))
		return 0;
	return jx_int(json_array_get(im->layers, (*at)++), "size", 0);
}

static json_t *history_row(const struct engine_image *im, const json_t *h, bool newest,
			   int64_t bytes)
{
	return json_pack("{s:s, s:I, s:s, s:o, s:I, s:s}", "Id", newest ? im->id : "<missing>",
			 "Created", (json_int_t)time_of(h), "CreatedBy",
			 jx_str(h, "created_by", ""), "Tags",
			 newest ? strings_or_empty(&im->tags) : json_array(), "Size",
			 (json_int_t)bytes, "Comment", jx_str(h, "comment", ""));
}

struct err *img_history(struct call *c)
{
	const struct engine_image *im;
	const json_t *history, *h;
	size_t i, layer = 0;
	json_t *out;

	TRY(engine_image_find(c->api->engine, call_param(c, "name"), &im));
	history = json_object_get(im->config, "history");
	out = json_array();
	json_array_foreach(history, i, h)
	{
		bool newest = i + 1 == json_array_size(history);
		json_t *row = history_row(im, h, newest, layer_of(im, h, &layer));

		json_array_insert_new(out, 0, row); /* newest first */
	}
	call_json(c, 200, out);
	return NULL;
}

/* ---- list ---- */

struct listing {
	struct docker_filters filters;
	int64_t before_ns, since_ns; /* made then; 0: whenever */
	json_t *out;
};

/* "debian", "debian:12", "deb*": a name without a tag stands for all of its tags. */
static bool reference_matches(const void *thing, const char *value)
{
	const struct engine_image *im = thing;
	const char *star = strchr(value, '*');
	size_t len = star ? (size_t)(star - value) : strlen(value);

	for (size_t i = 0; i < im->tags.n; i++) {
		const char *tag = im->tags.v[i];

		if (strncmp(tag, value, len))
			continue;
		if (star || !tag[len] || (tag[len] == ':' && !strchr(tag + len, '/')))
			return true;
	}
	return false;
}

static void own_listing_release(struct listing *l)
{
	docker_filters_done(&l->filters);
}

/* "before", "since": another image; "until": a time. */
static struct err *read_times(struct call *c, struct listing *l)
{
	const char *before = docker_filter_first(&l->filters, "before");
	const char *since = docker_filter_first(&l->filters, "since");
	const char *until = docker_filter_first(&l->filters, "until");
	const struct engine_image *im;

	if (until)
		TRY(docker_time_read(until, clock_wall_ns(), &l->before_ns));
	if (before) {
		TRY(engine_image_find(c->api->engine, before, &im));
		l->before_ns = im->created_ns;
	}
	if (since) {
		TRY(engine_image_find(c->api->engine, since, &im));
		l->since_ns = im->created_ns;
	}
	return NULL;
}

static bool is_listed(const struct listing *l, const struct engine_image *im)
{
	const struct docker_filters *f = &l->filters;
	const char *dangling = docker_filter_first(f, "dangling");
	struct strmap labels = { 0 };
	json_t *j = labels_of(im), *v;
	const char *key;
	bool match;

	json_object_foreach(j, key, v)
	    strmap_set(&labels, key, json_string_value(v) ? json_string_value(v) : "");
	match = docker_filter_labels(f, &labels);
	json_decref(j);
	strmap_done(&labels);
	if (dangling && docker_bool(dangling) != (im->tags.n == 0))
		return false;
	if ((l->before_ns && im->created_ns >= l->before_ns) ||
	    (l->since_ns && im->created_ns <= l->since_ns))
		return false;
	return match && docker_filter_match(f, "reference", reference_matches, im);
}

static bool list_one(void *arg, const struct engine_image *im)
{
	struct listing *l = arg;

	if (is_listed(l, im))
		json_array_append_new(l->out, image_summary(im));
	return true;
}

struct err *img_list(struct call *c)
{
	static const char *const allowed[] = { "dangling", "label",     "label!", "before",
					       "since",    "reference", "until",  NULL };
	OWN(listing) struct listing l = { 0 };

	TRY(docker_filters_read(call_query(c, "filters"), allowed, &l.filters));
	TRY(read_times(c, &l));
	l.out = json_array();
	engine_each_image(c->api->engine, list_one, &l);
	call_json(c, 200, l.out);
	return NULL;
}

struct err *img_distribution(struct call *c)
{
	(void)c;
	return err_new(ERR_UNSUPPORTED, "distribution inspect is not supported by hostel; use "
					"docker pull");
}

/* ---- tag, remove ---- */

struct err *img_tag(struct call *c)
{
	const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
	OWN(mem) char *ref = NULL;

	if (!repo || !*repo)
		return err_new(ERR_INVALID, "invalid reference format");
	ref = xasprintf("%s:%s", repo, tag && *tag ? tag : "latest");
	TRY(engine_image_tag(c->api->engine, call_param(c, "name"), ref));
	call_empty(c, 201);
	return NULL;
}

struct err *img_remove(struct call *c)
{
	json_t *out = NULL;

	TRY(engine_image_remove(c->api->engine, call_param(c, "name"), call_flag(c, "force"),
				call_flag(c, "noprune"), &out));
	call_json(c, 200, out);
	return NULL;
}

struct pruning {
	struct listing which;
	bool only_dangling;
	struct strv ids;
};

static void own_pruning_release(struct pruning *p)
{
	docker_filters_done(&p->which.filters);
	strv_done(&p->ids);
}

static bool uses_image(void *arg, struct instance *i)
{
	struct strv *used = arg;
	struct instance_view v = instance_view(i);

	if (v.spec->image_id)
		strv_add(used, v.spec->image_id);
	return true;
}

static bool note_prunable(void *arg, const struct engine_image *im)
{
	struct pruning *p = arg;

	if ((!p->only_dangling || im->tags.n == 0) && is_listed(&p->which, im))
		strv_add(&p->ids, im->id);
	return true;
}

static json_t *prune_images(struct engine *e, const struct strv *ids)
{
	OWN(strv) struct strv used = { 0 };
	json_t *deleted = json_array();

	engine_each(e, uses_image, &used);
	for (size_t i = 0; i < ids->n; i++) {
		OWN(json) json_t *out = NULL;

		if (strv_has(&used, ids->v[i]))
			continue;
		err_free(engine_image_remove(e, ids->v[i], true, false, &out));
		if (out)
			json_array_extend(deleted, out);
	}
	return deleted;
}

/* What pulls left that failed goes with the first prune that is not choosy. */
struct err *img_prune(struct call *c)
{
	static const char *const allowed[] = { "dangling", "until", "label", "label!", NULL };
	OWN(pruning) struct pruning p = { .only_dangling = true };
	struct docker_filters *f = &p.which.filters;
	struct engine *e = c->api->engine;
	const char *dangling;
	int64_t bytes;
	json_t *deleted;

	TRY(docker_filters_read(call_query(c, "filters"), allowed, f));
	TRY(read_times(c, &p.which));
	dangling = docker_filter_first(f, "dangling");
	p.only_dangling = !dangling || docker_bool(dangling);
	/* dangling=false means: unused ones too. */
	for (size_t i = 0; i < f->keys.n; i++)
		if (streq(f->keys.v[i], "dangling"))
			str_set(&f->keys.v[i], "-");
	engine_each_image(e, note_prunable, &p);
	bytes = engine_layers_bytes(e);
	deleted = prune_images(e, &p.ids);
	bytes -= engine_layers_bytes(e);
	if (!docker_filter_first(f, "until") && !docker_filter_first(f, "label") &&
	    !docker_filter_first(f, "label!"))
		bytes += engine_images_collect(e, deleted);
	call_json(
	    c, 200,
	    json_pack("{s:o, s:I}", "ImagesDeleted", deleted, "SpaceReclaimed", (json_int_t)bytes));
	return NULL;
}

/* ---- pull, import, load: progress as it comes ---- */

struct transfer {
	char *ref;    /* as the client named it */
	char *old_id; /* what it was before a pull */
	char *last;   /* status shown last for the bar's layer */
	void (*finish)(struct call *c, const json_t *result);
};

static void transfer_free(void *arg)
{
	struct transfer *t = arg;

	free(t->ref);
	free(t->old_id);
	free(t->last);
	free(t);
}

/* The reply begins with the first thing to say: an early failure has a status of its own. */
static void begin(struct call *c)
{
	if (!c->stream)
		call_stream(c, "application/json");
}

static json_t *progress_line(const json_t *p)
{
	int64_t current = jx_int(p, "current", 0), total = jx_int(p, "total", 0);
	OWN(str) struct str bar = { 0 };
	json_t *j = json_pack("{s:s, s:{}, s:s}", "status", jx_str(p, "status", ""),
			      "progressDetail", "id", jx_str(p, "id", ""));

	if (!current && !total)
		return j;
	docker_progress(current, total, &bar);
	json_object_set_new(
	    j, "progressDetail",
	    json_pack("{s:I, s:I}", "current", (json_int_t)current, "total", (json_int_t)total));
	jx_set_str(j, "progress", bar.buf);
	return j;
}

static void on_progress(void *arg, const json_t *message)
{
	struct call *c = arg;
	const json_t *p = json_object_get(message, "progress");

	begin(c);
	if (!c->stream)
		return;
	if (p)
		call_line(c, progress_line(p));
	else if (json_object_get(message, "status"))
		call_line(c, json_incref((json_t *)(uintptr_t)message));
}

static json_t *error_line(const char *text)
{
	return json_pack("{s:{s:s}, s:s}", "errorDetail", "message", text, "error", text);
}

static void on_transferred(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;
	struct transfer *t = c->state;

	c->job = NULL;
	if (e && !c->stream) {
		call_error(c, e);
		return;
	}
	begin(c);
	if (e)
		call_line(c, error_line(err_text(e)));
	else
		t->finish(c, result);
	err_free(e);
	call_stream_end(c);
}

static struct transfer *transfer_new(struct call *c, const char *ref,
				     void (*finish)(struct call *c, const json_t *result))
{
	struct transfer *t = xnew(struct transfer);

	t->ref = xstrdup(ref);
	t->finish = finish;
	c->state = t;
	c->state_free = transfer_free;
	return t;
}

static struct err *run_job(struct call *c, json_t *job, int data_fd)
{
	struct engine_job_io io = { .data_fd = data_fd, .progress = on_progress, .arg = c };

	TRY(engine_job_start(c->api->engine, job, &io,
			     (struct engine_done) { .fn = on_transferred, .arg = c }, &c->job));
	call_cancel_when_gone(c);
	return NULL;
}

/* X-Registry-Auth: a JSON object in base64; NULL when it is none. */
static json_t *read_auth(const char *text)
{
	OWN(mem) char *out = text ? xcalloc(BASE64_DATA_SIZE(strlen(text)), 1) : NULL;
	json_t *j = NULL;
	size_t len = 0;

	if (text && base64_decode(text, out, &len) && len)
		err_free(jx_parse(out, len, &j));
	return j;
}

/* Members that mean something to a worker; an empty one means nothing. */
static void copy_auth(const json_t *from, json_t *job)
{
	static const char *const members[] = { "username", "password", "identitytoken",
					       "registrytoken" };
	json_t *auth = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *value = jx_str(from, members[i], "");

		if (*value)
			jx_set_str(auth, members[i], value);
	}
	json_object_set_new(job, "auth", auth);
}

static void add_auth(struct call *c, json_t *job)
{
	OWN(json) json_t *auth = read_auth(http_header(c->r, "X-Registry-Auth"));

	if (auth)
		copy_auth(auth, job);
}

/* ---- login ---- */

static void on_login(void *arg, struct err *e, const json_t *result)
{
	struct call *c = arg;

	(void)result;
	c->job = NULL;
	if (e && err_kind(e) == ERR_DENIED) {
		call_json(c, 401, api_error_json(e)); /* as dockerd, for docker login asks again */
		err_free(e);
	} else if (e) {
		call_error(c, e);
	} else {
		call_json(
		    c, 200,
		    json_pack("{s:s, s:s}", "Status", "Login Succeeded", "IdentityToken", ""));
	}
}

/* "https://index.docker.io/v1/", as Docker calls its own; "localhost:5000"; "https://host/" */
static char *registry_name(const char *address)
{
	const char *at = strstr(address, "://");
	const char *host = at ? at + 3 : address;
	size_t n = strcspn(host, "/");

	if (!n || (n == 15 && !strncmp(host, "index.docker.io", n)))
		return xstrdup("docker.io");
	return xstrndup(host, n);
}

struct err *img_login(struct call *c)
{
	OWN(mem) char *registry = registry_name(jx_str(c->body, "serveraddress", ""));
	struct engine_job_io io = { .data_fd = -1 };
	json_t *job;

	if (!*jx_str(c->body, "username", "") && !*jx_str(c->body, "identitytoken", ""))
		return err_new(ERR_INVALID, "no username given");
	job = json_pack("{s:s, s:s}", "job", "login", "registry", registry);
	if (!job)
		return err_new(ERR_INVALID, "invalid server address");
	copy_auth(c->body, job);
	TRY(engine_job_start(c->api->engine, job, &io,
			     (struct engine_done) { .fn = on_login, .arg = c }, &c->job));
	call_cancel_when_gone(c);
	return NULL;
}

/* ---- pull ---- */

static void finish_pull(struct call *c, const json_t *result)
{
	const struct transfer *t = c->state;
	const char *digest = jx_str(result, "digest", NULL);
	OWN(mem) char *line = NULL;
	OWN(mem) char *digest_line = NULL;

	if (digest) {
		digest_line = xasprintf("Digest: %s", digest);
		call_line(c, json_pack("{s:s}", "status", digest_line));
	}
	line = xasprintf("Status: %s %s",
			 streq(t->old_id, jx_str(result, "id", "")) ? "Image is up to date for"
								    : "Downloaded newer image for",
			 t->ref);
	call_line(c, json_pack("{s:s}", "status", line));
}

static struct err *pull(struct call *c, const char *from)
{
	const char *tag = call_query(c, "tag"), *platform = call_query(c, "platform");
	const char *slash = strrchr(from, '/');
	bool named = strchr(slash ? slash : from, ':') || strchr(from, '@');
	OWN(mem) char *ref = NULL;
	const struct engine_image *im;
	struct transfer *t;
	struct err *e;
	json_t *job;

	if (tag && *tag)
		ref = xasprintf("%s%s%s", from, strchr(tag, ':') ? "@" : ":", tag);
	else
		ref = xasprintf("%s%s", from, named ? "" : ":latest");
	t = transfer_new(c, ref, finish_pull);
	e = engine_image_find(c->api->engine, ref, &im);
	t->old_id = e ? NULL : xstrdup(im->id);
	err_free(e);
	job = json_pack("{s:s, s:s, s:s}", "job", "pull", "ref", ref, "platform",
			platform && *platform ? platform : "linux/amd64");
	if (!job)
		return err_new(ERR_INVALID, "invalid reference format");
	add_auth(c, job);
	return run_job(c, job, -1);
}

static void finish_import(struct call *c, const json_t *result)
{
	call_line(c, json_pack("{s:s}", "status", jx_str(result, "id", "")));
}

/* The body goes into a pipe; the other end is what the job reads. */
static struct err *run_job_on_body(struct call *c, json_t *job)
{
	OWN(fd) int ours = -1;
	struct err *e;
	int theirs;

	e = fd_pipe(&theirs, &ours);
	if (e) {
		json_decref(job);
		return e;
	}
	TRY(run_job(c, job, theirs));
	http_body_to(c->r, TAKE_FD(ours));
	return NULL;
}

static struct err *import(struct call *c, const char *source)
{
	const char *repo = call_query(c, "repo"), *tag = call_query(c, "tag");
	const char *message = call_query(c, "message");
	OWN(strv) struct strv changes = { 0 };
	OWN(mem) char *ref = NULL;
	json_t *job;

	if (strcmp(source, "-"))
		return err_new(ERR_UNSUPPORTED, "import from a URL is not supported by hostel; "
						"fetch it and import the file");
	if (repo && *repo)
		ref = xasprintf("%s%s%s", repo, tag && *tag ? ":" : "", tag && *tag ? tag : "");
	http_query_all(c->r, "changes", &changes);
	job = json_pack("{s:s, s:s, s:o, s:s}", "job", "import", "ref", ref ? ref : "", "changes",
			jx_from_strv(&changes), "message", message ? message : "");
	if (!job)
		return err_new(ERR_INVALID, "invalid reference format");
	transfer_new(c, ref, finish_import);
	return run_job_on_body(c, job);
}

struct err *img_create(struct call *c)
{
	const char *image = call_query(c, "fromImage"), *source = call_query(c, "fromSrc");

	if (image && *image)
		return pull(c, image);
	if (source && *source)
		return import(c, source);
	return err_new(ERR_INVALID, "invalid reference format");
}

static void finish_load(struct call *c, const json_t *result)
{
	const json_t *images = json_object_get(result, "images");

	for (size_t i = 0; i < json_array_size(images); i++) {
		const json_t *im = json_array_get(images, i);
		const json_t *refs = json_object_get(im, "refs");

		for (size_t k = 0; k < json_array_size(refs); k++) {
			const char *ref = json_string_value(json_array_get(refs, k));
			static const char hub[] = "docker.io/library/";
			OWN(mem) char *line = NULL;

			if (!strncmp(ref, hub, sizeof(hub) - 1))
				ref += sizeof(hub) - 1;
			line = xasprintf("Loaded image: %s\n", ref);
			call_line(c, json_pack("{s:s}", "stream", line));
		}
		if (!json_array_size(refs)) {
			OWN(mem)
			char *line = xasprintf("Loaded image ID: %s\n", jx_str(im, "id", ""));

			call_line(c, json_pack("{s:s}", "stream", line));
		}
	}
}

struct err *img_load(struct call *c)
{
	transfer_new(c, "", finish_load);
	return run_job_on_body(c, json_pack("{s:s}", "job", "load"));
}

/* ---- save ---- */

static struct err *add_saved(struct call *c, const char *name, json_t *images)
{
	const struct engine_image *im;
	json_t *refs;

	TRY(engine_image_find(c->api->engine, name, &im));
	refs = json_array();
	for (size_t i = 0; i < im->tags.n; i++) {
		OWN(mem) char *latest = xasprintf("%s:latest", name);

		if (streq(im->tags.v[i], name) || streq(im->tags.v[i], latest))
			json_array_append_new(refs, jx_string(im->tags.v[i]));
	}
	/* Saved by id it has no name, as docker does it. */
	json_array_append_new(images, json_pack("{s:s, s:s, s:o}", "id", im->id, "manifest",
						im->manifest ? im->manifest : "", "refs", refs));
	return NULL;
}

static struct err *save(struct call *c, const struct strv *names)
{
	OWN(json) json_t *images = json_array();
	OWN(fd) int ours = -1;
	struct engine_job_io io = { 0 };

	for (size_t i = 0; i < names->n; i++)
		TRY(add_saved(c, names->v[i], images));
	TRY(fd_pipe(&ours, &io.data_fd));
	TRY(engine_job_start(c->api->engine,
			     json_pack("{s:s, s:O}", "job", "save", "images", images), &io,
			     call_sent(c), &c->job));
	call_send_job(c, "application/x-tar", TAKE_FD(ours));
	return NULL;
}

struct err *img_save(struct call *c)
{
	OWN(strv) struct strv names = { 0 };

	http_query_all(c->r, "names", &names);
	if (!names.n)
		return err_new(ERR_INVALID, "no images to save");
	return save(c, &names);
}

struct err *img_save_one(struct call *c)
{
	OWN(strv) struct strv names = { 0 };

	strv_add(&names, call_param(c, "name"));
	return save(c, &names);
}
