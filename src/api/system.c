/* SPDX-License-Identifier: Apache-2.0 */
/* What concerns the daemon as a whole. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define BUILD_TIME "2026-01-01T00:00:00.000000000+00:00"

/* ---- ping, version ---- */

struct err *sys_ping(struct call *c)
{
	http_add_header(c->r, "Builder-Version", "1");
	http_add_header(c->r, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_add_header(c->r, "Pragma", "no-cache");
	http_add_header(c->r, "Swarm", "inactive");
	call_text(c, 200, "text/plain; charset=utf-8",
		  streq(http_method(c->r), "HEAD") ? "" : "OK");
	return NULL;
}

struct err *sys_version(struct call *c)
{
	struct utsname u;
	json_t *details, *component, *j;

	uname(&u);
	details =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "ApiVersion", API_VERSION, "Arch",
		      "amd64", "BuildTime", BUILD_TIME, "Experimental", "true", "GitCommit", "",
		      "KernelVersion", u.release, "MinAPIVersion", API_VERSION_MIN, "Os", "linux");
	component = json_pack("{s:s, s:s, s:o}", "Name", "Engine", "Version", HOSTEL_VERSION,
			      "Details", details);
	j = json_pack("{s:{s:s}, s:[o], s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Platform",
		      "Name", "hostel", "Components", component, "Version", HOSTEL_VERSION,
		      "ApiVersion", API_VERSION, "MinAPIVersion", API_VERSION_MIN, "GitCommit", "",
		      "GoVersion", "", "Os", "linux", "Arch", "amd64", "KernelVersion", u.release,
		      "BuildTime", BUILD_TIME);
	call_json(c, 200, j);
	return NULL;
}

/* ---- info ---- */

struct counts {
	int all, running, paused;
	int images;
};

static bool count_instance(void *arg, struct instance *i)
{
	struct counts *n = arg;
	struct instance_view v = instance_view(i);
	const char *state = docker_state(&v);

	n->all++;
	n->running += streq(state, "running");
	n->paused += streq(state, "paused");
	return true;
}

static bool count_image(void *arg, const struct engine_image *im)
{
	struct counts *n = arg;

	(void)im;
	n->images++;
	return true;
}

/* PRETTY_NAME of /etc/os-release. */
static char *os_name(void)
{
	static const char key[] = "PRETTY_NAME=\"";
	OWN(mem) char *text = NULL;
	struct err *e = fd_read_file(AT_FDCWD, "/etc/os-release", 1 << 16, &text);
	const char *at = e ? NULL : strstr(text, key);

	err_free(e);
	if (!at)
		return xstrdup("Linux");
	at += sizeof(key) - 1;
	return xstrndup(at, strcspn(at, "\"\n"));
}

/* Facts as docker info prints them: pairs under the storage driver. */
static json_t *driver_status(const json_t *facts)
{
	json_t *a = json_array();
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)facts, key, v)
	{
		OWN(mem)
		char *text = json_is_string(v) ? xstrdup(json_string_value(v)) : jx_text(v);

		json_array_append_new(a, json_pack("[s, o]", key, jx_string(text)));
	}
	return a;
}

static json_t *plugins(void)
{
	return json_pack("{s:[s], s:[s,s,s], s:[], s:[s,s]}", "Volume", "local", "Network",
			 "bridge", "host", "null", "Authorization", "Log", "json-file", "none");
}

static json_t *registry_config(void)
{
	return json_pack("{s:[], s:[], s:[s], s:{s:{s:s, s:[], s:b, s:b}}, s:[]}",
			 "AllowNondistributableArtifactsCIDRs",
			 "AllowNondistributableArtifactsHostnames", "InsecureRegistryCIDRs",
			 "127.0.0.0/8", "IndexConfigs", "docker.io", "Name", "docker.io", "Mirrors",
			 "Secure", 1, "Official", 1, "Mirrors");
}

static json_t *runtimes(void)
{
	return json_pack("{s:{s:s}, s:{s:s}}", "hostel", "path", "hostel-shim", "vm", "path",
			 "qemu-system-x86_64");
}

static json_t *swarm(void)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "NodeID", "", "NodeAddr", "",
			 "LocalNodeState", "inactive", "ControlAvailable", 0, "Error", "",
			 "RemoteManagers");
}

/* Members that are the same on every host. */
static json_t *constants(void)
{
	static const char *const on[] = { "MemoryLimit",       "SwapLimit",      "CpuCfsPeriod",
					  "CpuCfsQuota",       "CPUShares",      "CPUSet",
					  "PidsLimit",         "IPv4Forwarding", "OomKillDisable",
					  "LiveRestoreEnabled" };
	json_t *j =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Driver",
		      "overlay2", "LoggingDriver", "json-file", "CgroupDriver", "cgroupfs",
		      "OSType", "linux", "Architecture", "x86_64", "IndexServerAddress",
		      "https://index.docker.io/v1/", "HttpProxy", "", "HttpsProxy", "", "NoProxy",
		      "", "DefaultRuntime", "hostel", "Isolation", "", "InitBinary", "hostel-shim");

	for (size_t i = 0; i < ARRAY_SIZE(on); i++)
		json_object_set_new(j, on[i], json_true());
	json_object_set_new(j, "Debug", json_false());
	json_object_set_new(j, "ExperimentalBuild", json_true());
	json_object_set_new(j, "NGoroutines", json_integer(1));
	json_object_set_new(j, "NEventsListener", json_integer(0));
	json_object_set_new(j, "NFd", json_integer(0));
	json_object_set_new(j, "Labels", json_array());
	json_object_set_new(j, "Warnings", json_array());
	json_object_set_new(j, "GenericResources", json_array());
	json_object_set_new(j, "CDISpecDirs", json_array());
	json_object_set_new(j, "SecurityOptions",
			    json_pack("[s,s]", "name=seccomp,profile=builtin", "name=cgroupns"));
	return j;
}

struct err *sys_info(struct call *c)
{
	const struct engine_config *config = engine_config(c->api->engine);
	OWN(json) json_t *facts = engine_info(c->api->engine);
	OWN(mem) char *os = os_name();
	json_t *j = constants();
	struct counts n = { 0 };
	struct utsname u;
	struct sysinfo si;
	char now[40];

	uname(&u);
	sysinfo(&si);
	engine_each(c->api->engine, count_instance, &n);
	engine_each_image(c->api->engine, count_image, &n);
	json_t *more = json_pack(
	    "{s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}",
	    "ID", u.nodename, "Containers", n.all, "ContainersRunning", n.running,
	    "ContainersPaused", n.paused, "ContainersStopped", n.all - n.running - n.paused,
	    "Images", n.images, "KernelVersion", u.release, "OperatingSystem", os, "OSVersion", "",
	    "NCPU", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "MemTotal",
	    (json_int_t)((int64_t)si.totalram * si.mem_unit), "Name", u.nodename, "ServerVersion",
	    HOSTEL_VERSION, "SystemTime", clock_rfc3339(clock_wall_ns(), now), "DockerRootDir",
	    config ? config->root : "", "CgroupVersion", jx_str(facts, "cgroup_version", "1"));

	json_object_update(j, more);
	json_decref(more);
	json_object_set_new(j, "DriverStatus", driver_status(facts));
	json_object_set_new(j, "Plugins", plugins());
	json_object_set_new(j, "RegistryConfig", registry_config());
	json_object_set_new(j, "Runtimes", runtimes());
	json_object_set_new(j, "Swarm", swarm());
	json_object_set_new(j, "RuncCommit", json_pack("{s:s}", "ID", HOSTEL_VERSION));
	json_object_set_new(j, "ContainerdCommit", json_pack("{s:s}", "ID", ""));
	json_object_set_new(j, "InitCommit", json_pack("{s:s}", "ID", ""));
	call_json(c, 200, j);
	return NULL;
}

struct err *sys_unsupported(struct call *c)
{
	return err_new(ERR_UNSUPPORTED, "%s is not supported by hostel", c->route->path);
}

/* docker system prune asks; there is no build cache, so there is nothing to remove. */
struct err *sys_build_prune(struct call *c)
{
	call_json(c, 200, json_pack("{s:[], s:i}", "CachesDeleted", "SpaceReclaimed", 0));
	return NULL;
}

/* ---- disk usage ---- */

struct usage {
	struct call *call;
	const json_t *sizes;
	json_t *shared; /* of each image */
	json_t *uses;   /* instances of each image, and "volume/NAME" */
	json_t *images, *containers;
};

static void count(json_t *uses, const char *key)
{
	json_object_set_new(uses, key, json_integer(jx_int(uses, key, 0) + 1));
}

static bool use_image(void *arg, const struct engine_image *im)
{
	struct usage *u = arg;
	json_t *j = image_summary(im);

	json_object_set_new(j, "SharedSize", json_integer(jx_int(u->shared, im->id, 0)));
	json_object_set_new(j, "Containers", json_integer(jx_int(u->uses, im->id, 0)));
	json_array_append_new(u->images, j);
	return true;
}

static bool use_instance(void *arg, struct instance *i)
{
	struct usage *u = arg;
	struct instance_view v = instance_view(i);
	struct docker_paths paths = call_paths(u->call);
	json_t *j = docker_summary(&v, &paths, clock_wall_ns());

	if (v.spec->image_id)
		count(u->uses, v.spec->image_id);
	for (size_t n = 0; n < v.spec->n_mounts; n++) {
		const struct spec_mount *m = &v.spec->mounts[n];
		OWN(mem) char *key = xasprintf("volume/%s", m->source ? m->source : "");

		if (m->type == MOUNT_VOLUME)
			count(u->uses, key);
	}
	call_add_sizes(u->call, &v, u->sizes, j);
	json_array_append_new(u->containers, j);
	return true;
}

static void use_volume(const struct usage *u, json_t *volume)
{
	OWN(mem) char *key = xasprintf("volume/%s", jx_str(volume, "Name", ""));

	volume_complete(volume);
	json_object_set_new(volume, "UsageData",
			    json_pack("{s:I, s:I}", "Size", (json_int_t)jx_int(u->sizes, key, 0),
				      "RefCount", (json_int_t)jx_int(u->uses, key, 0)));
}

static struct err *df(struct call *c, const json_t *sizes)
{
	struct engine *e = c->api->engine;
	OWN(json) json_t *uses = json_object();
	OWN(json) json_t *shared = engine_shared_bytes(e);
	struct usage u = { .call = c,
			   .sizes = sizes,
			   .shared = shared,
			   .uses = uses,
			   .images = json_array(),
			   .containers = json_array() };
	json_t *volumes = engine_volumes(e);

	engine_each(e, use_instance, &u);
	engine_each_image(e, use_image, &u);
	for (size_t i = 0; i < json_array_size(volumes); i++)
		use_volume(&u, json_array_get(volumes, i));
	call_json(c, 200,
		  json_pack("{s:I, s:o, s:o, s:o, s:[]}", "LayersSize",
			    (json_int_t)engine_layers_bytes(e), "Images", u.images, "Containers",
			    u.containers, "Volumes", volumes ? volumes : json_array(),
			    "BuildCache"));
	return NULL;
}

struct err *sys_df(struct call *c)
{
	return call_with_sizes(c, NULL, true, df);
}

/* ---- events ---- */

static const char *const event_filters[] = { "config",  "container", "daemon", "event",
					     "image",   "label",     "label!", "network",
					     "node",    "plugin",    "scope",  "secret",
					     "service", "type",      "volume", NULL };

struct events {
	struct docker_filters filters;
	int64_t since_ns, until_ns;
	struct engine_subscription *subscription;
	struct loop_timer *end;
};

static void events_free(void *arg)
{
	struct events *ev = arg;

	if (ev->subscription)
		engine_unsubscribe(ev->subscription);
	loop_timer_free(ev->end);
	docker_filters_done(&ev->filters);
	free(ev);
}

/* "exec_create: ls" is asked for as "exec_create". */
static bool action_matches(const void *thing, const char *value)
{
	size_t len = strlen(value);
	const char *action = thing;

	return !strncmp(action, value, len) && (!action[len] || action[len] == ':');
}

static bool actor_matches(const void *thing, const char *value)
{
	const struct engine_event *e = thing;

	return (*value && !strncmp(e->id, value, strlen(value))) ||
	       streq(jx_str(e->attributes, "name", ""), value) ||
	       streq(jx_str(e->attributes, "image", ""), value);
}

static bool labels_match(const struct docker_filters *f, const json_t *attributes)
{
	struct strmap m = { 0 };
	const char *key;
	json_t *v;
	bool match;

	json_object_foreach((json_t *)(uintptr_t)attributes, key, v)
	    strmap_set(&m, key, json_string_value(v) ? json_string_value(v) : "");
	match = docker_filter_labels(f, &m);
	strmap_done(&m);
	return match;
}

static bool is_wanted(const struct docker_filters *f, const struct engine_event *e)
{
	static const char *const actors[] = { "container", "volume", "network", "daemon", NULL };

	for (size_t i = 0; actors[i]; i++)
		if (docker_filter_first(f, actors[i]) &&
		    (strcmp(e->type, actors[i]) ||
		     !docker_filter_match(f, actors[i], actor_matches, e)))
			return false;
	return docker_filter_match(f, "event", action_matches, e->action) &&
	       docker_filter_exact(f, "type", e->type) &&
	       docker_filter_exact(f, "scope", "local") &&
	       docker_filter_match(f, "image", actor_matches, e) && labels_match(f, e->attributes);
}

static void on_event(void *arg, const struct engine_event *e)
{
	struct call *c = arg;
	const struct events *ev = c->state;
	json_t *j;

	if (!c->stream || !is_wanted(&ev->filters, e))
		return;
	j = json_pack("{s:s, s:s, s:{s:s, s:O}, s:s, s:I, s:I}", "Type", e->type, "Action",
		      e->action, "Actor", "ID", e->id, "Attributes", e->attributes, "scope",
		      "local", "time", (json_int_t)(e->time_ns / 1000000000), "timeNano",
		      (json_int_t)e->time_ns);
	/* Members that newer clients no longer read. */
	if (streq(e->type, "container") || streq(e->type, "image")) {
		jx_set_str(j, "status", e->action);
		jx_set_str(j, "id", e->id);
		if (json_object_get(e->attributes, "image"))
			jx_set_str(j, "from", jx_str(e->attributes, "image", ""));
	}
	call_line(c, j);
}

static void events_stop(struct call *c)
{
	struct events *ev = c->state;

	if (ev->subscription)
		engine_unsubscribe(TAKE(ev->subscription));
	loop_timer_stop(ev->end);
}

static void on_events_end(void *arg)
{
	struct call *c = arg;

	events_stop(c);
	call_stream_end(c);
}

static struct err *read_bound(struct call *c, const char *key, int64_t *ret_ns)
{
	const char *text = call_query(c, key);

	if (text && *text && !streq(text, "0"))
		TRY(docker_time_read(text, clock_wall_ns(), ret_ns));
	return NULL;
}

struct err *sys_events(struct call *c)
{
	struct events *ev = xnew(struct events);
	int64_t now = clock_wall_ns();

	c->state = ev;
	c->state_free = events_free;
	TRY(read_bound(c, "since", &ev->since_ns));
	TRY(read_bound(c, "until", &ev->until_ns));
	TRY(docker_filters_read(call_query(c, "filters"), event_filters, &ev->filters));
	if (ev->since_ns && ev->until_ns && ev->until_ns < ev->since_ns)
		return err_new(ERR_INVALID, "`since` time cannot be after `until` time");
	ev->end = loop_timer_new(c->api->loop, on_events_end, c);
	c->stop = events_stop;
	call_stream(c, "application/json");
	if (ev->since_ns || (ev->until_ns && ev->until_ns <= now))
		engine_past_events(c->api->engine, ev->since_ns, ev->until_ns, on_event, c);
	if (ev->until_ns && ev->until_ns <= now) {
		call_stream_end(c);
		return NULL;
	}
	ev->subscription = engine_subscribe(c->api->engine, on_event, c);
	if (ev->until_ns)
		loop_timer_start(ev->end, ev->until_ns - now);
	return NULL;
}
