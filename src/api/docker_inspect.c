/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_inspect.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/docker_spec.h"
#include "api/docker_text.h"
#include "util/clock.h"
#include "util/mem.h"

const char *docker_network_id(const char *name, char *buf)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a, run on over four words */

	if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64) {
		snprintf(buf, 65, "%s", name);
		return buf;
	}
	for (int word = 0; word < 4; word++) {
		for (const char *p = name; *p; p++)
			h = (h ^ (uint8_t)*p) * 1099511628211ULL;
		snprintf(buf + 16 * word, 17, "%016" PRIx64, h);
	}
	return buf;
}

static json_t *time_text(int64_t ns)
{
	char buf[40];

	return json_string(clock_rfc3339(ns, buf));
}

static bool is_alive(const struct instance_view *v)
{
	return v->state == INST_RUNNING || v->state == INST_STOPPING;
}

/* Only of what has a check, as in Docker. */
static void add_health(const struct instance_view *v, json_t *state)
{
	json_t *j;

	if (!v->health)
		return;
	j = json_object();
	jx_set_str(j, "Status", health_name(v->health));
	json_object_set_new(j, "FailingStreak", json_integer(v->health_streak));
	json_object_set_new(j, "Log", v->health_log ? json_deep_copy(v->health_log) : json_array());
	json_object_set_new(state, "Health", j);
}

static json_t *state_object(const struct instance_view *v)
{
	json_t *j = json_object();

	jx_set_str(j, "Status", docker_state(v));
	json_object_set_new(j, "Running", json_boolean(is_alive(v) || v->is_restarting));
	json_object_set_new(j, "Paused", json_boolean(is_alive(v) && v->is_paused));
	json_object_set_new(j, "Restarting", json_boolean(v->is_restarting));
	json_object_set_new(j, "OOMKilled", json_boolean(v->oom));
	json_object_set_new(j, "Dead", json_false());
	json_object_set_new(j, "Pid", json_integer(is_alive(v) ? v->pid : 0));
	json_object_set_new(j, "ExitCode", json_integer(is_alive(v) ? 0 : v->exit_code));
	jx_set_str(j, "Error", v->error ? v->error : "");
	json_object_set_new(j, "StartedAt", time_text(v->started_ns));
	json_object_set_new(j, "FinishedAt", time_text(v->finished_ns));
	if (v->queue_reason)
		jx_set_str(j, "QueueReason", v->queue_reason);
	add_health(v, j);
	return j;
}

static const struct strv *words_of(const struct spec *s)
{
	return s->entrypoint.n ? &s->entrypoint : &s->cmd;
}

/* What follows the program: the rest of the entrypoint, then cmd. */
static json_t *args_of(const struct spec *s)
{
	json_t *a = json_array();

	for (size_t i = 1; i < words_of(s)->n; i++)
		json_array_append_new(a, jx_string(words_of(s)->v[i]));
	for (size_t i = 0; s->entrypoint.n && i < s->cmd.n; i++)
		json_array_append_new(a, jx_string(s->cmd.v[i]));
	return a;
}

static json_t *mount_point(const struct spec_mount *m, const struct docker_paths *paths)
{
	json_t *j = json_object();
	OWN(mem) char *source = NULL;

	jx_set_str(j, "Type", docker_mount_types[m->type]);
	if (m->type == MOUNT_VOLUME) {
		jx_set_str(j, "Name", m->source ? m->source : "");
		source = xasprintf("%s/volumes/%s/_data", paths->root, m->source ? m->source : "");
		jx_set_str(j, "Driver", "local");
	} else {
		source = xstrdup(m->source && m->type == MOUNT_BIND ? m->source : "");
	}
	jx_set_str(j, "Source", source);
	jx_set_str(j, "Destination", m->target);
	jx_set_str(j, "Mode", m->type == MOUNT_VOLUME ? "z" : "");
	json_object_set_new(j, "RW", json_boolean(!m->readonly));
	jx_set_str(j, "Propagation",
		   m->type != MOUNT_BIND ? ""
		   : m->propagation      ? m->propagation
					 : "rprivate");
	return j;
}

static json_t *mount_points(const struct spec *s, const struct docker_paths *paths)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_mounts; i++)
		json_array_append_new(a, mount_point(&s->mounts[i], paths));
	return a;
}

static const char *network_name(const struct spec *s)
{
	return s->network_mode ? s->network_mode : "bridge";
}

const char *docker_endpoint_id(const struct instance_view *v, size_t k, char *buf)
{
	OWN(mem) char *text = xasprintf("%s %s", v->id, v->endpoints[k].network_id);

	if (k)
		return docker_network_id(text, buf);
	snprintf(buf, 65, "%s", v->id);
	return buf;
}

/* What a network that is none has: host, none. */
static json_t *no_endpoint(const char *name)
{
	char id[65];

	return json_pack(
	    "{s:n, s:[], s:[], s:s, s:n, s:i, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:[]}",
	    "IPAMConfig", "Links", "Aliases", "MacAddress", "", "DriverOpts", "GwPriority", 0,
	    "NetworkID", docker_network_id(name, id), "EndpointID", "", "Gateway", "", "IPAddress",
	    "", "IPPrefixLen", 0, "IPv6Gateway", "", "GlobalIPv6Address", "", "GlobalIPv6PrefixLen",
	    0, "DNSNames");
}

static json_t *aliases_of(const struct instance_view *v, const struct engine_endpoint *end,
			  const struct docker_paths *paths)
{
	json_t *a = jx_from_strv(&end->said->aliases);

	if (paths->short_alias && !streq(end->network_id, "bridge"))
		json_array_append_new(a, json_sprintf("%.12s", v->id));
	return a;
}

/* By what the others on a user's network find it. */
static json_t *dns_names(const struct instance_view *v, const struct engine_endpoint *end)
{
	OWN(strv) struct strv l = { 0 };
	OWN(mem) char *shortened = xasprintf("%.12s", v->id);
	const struct strv *more = &end->said->aliases;

	if (streq(end->network_id, "bridge"))
		return json_array();
	strv_add(&l, v->spec->name);
	for (size_t k = 0; k < more->n; k++)
		if (!strv_has(&l, more->v[k]))
			strv_add(&l, more->v[k]);
	if (!strv_has(&l, shortened))
		strv_add(&l, shortened);
	if (v->spec->hostname && !strv_has(&l, v->spec->hostname))
		strv_add(&l, v->spec->hostname);
	return jx_from_strv(&l);
}

static json_t *endpoint(const struct instance_view *v, size_t k, const struct docker_paths *paths)
{
	const struct engine_endpoint *end = &v->endpoints[k];
	json_t *j = no_endpoint(end->network_id);
	char id[65];

	json_object_set_new(j, "Aliases", aliases_of(v, end, paths));
	json_object_set_new(j, "DNSNames", dns_names(v, end));
	if (end->said->ip && *end->said->ip)
		json_object_set_new(j, "IPAMConfig",
				    json_pack("{s:s}", "IPv4Address", end->said->ip));
	if (!end->address)
		return j;
	jx_set_str(j, "MacAddress", end->mac ? end->mac : "");
	jx_set_str(j, "EndpointID", docker_endpoint_id(v, k, id));
	jx_set_str(j, "Gateway", end->gateway ? end->gateway : "");
	jx_set_str(j, "IPAddress", end->address);
	json_object_set_new(j, "IPPrefixLen", json_integer(end->prefix_len));
	return j;
}

static json_t *networks_object(const struct instance_view *v, const struct docker_paths *paths)
{
	json_t *o = json_object();
	const char *mode = v->spec->network_mode;

	for (size_t k = 0; k < v->n_endpoints; k++)
		json_object_set_new(o, v->endpoints[k].network, endpoint(v, k, paths));
	if (!spec_has_own_network(v->spec) && strncmp(mode, "container:", 10))
		json_object_set_new(o, mode, no_endpoint(mode));
	return o;
}

static json_t *published(const struct instance_view *v)
{
	return docker_ports_map(v->ports, is_alive(v) ? v->n_ports : 0, &v->spec->exposed);
}

static json_t *network_settings(const struct instance_view *v, const struct docker_paths *paths)
{
	bool up = v->address != NULL;
	OWN(mem)
	char *key = is_alive(v) && v->pid ? xasprintf("/proc/%d/ns/net", (int)v->pid) : xstrdup("");

	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:b, s:s, s:i, s:n, s:n, s:s, s:s, s:s, s:i, s:s, s:i, s:s, s:s,"
	    " s:o}",
	    "Bridge", "", "SandboxID", up ? v->id : "", "SandboxKey", key, "Ports", published(v),
	    "HairpinMode", 0, "LinkLocalIPv6Address", "", "LinkLocalIPv6PrefixLen", 0,
	    "SecondaryIPAddresses", "SecondaryIPv6Addresses", "EndpointID", up ? v->id : "",
	    "Gateway", up && v->gateway ? v->gateway : "", "GlobalIPv6Address", "",
	    "GlobalIPv6PrefixLen", 0, "IPAddress", up ? v->address : "", "IPPrefixLen",
	    up ? v->prefix_len : 0, "IPv6Gateway", "", "MacAddress", up && v->mac ? v->mac : "",
	    "Networks", networks_object(v, paths));
}

static void set_file(json_t *j, const char *member, const char *dir, const char *file)
{
	OWN(mem) char *path = dir ? xasprintf("%s/%s", dir, file) : xstrdup("");

	jx_set_str(j, member, path);
}

static void add_files(const struct instance_view *v, json_t *j)
{
	bool logs = !streq(v->spec->log_driver, "none");

	set_file(j, "ResolvConfPath", v->state_dir, "resolv.conf");
	set_file(j, "HostnamePath", v->state_dir, "hostname");
	set_file(j, "HostsPath", v->state_dir, "hosts");
	set_file(j, "LogPath", logs ? v->log_dir : NULL, "json.log");
}

/* What hostel knows and Docker has no member for. */
static json_t *hostel_object(const struct instance_view *v)
{
	return json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "Kind", spec_kind_name(v->spec->kind),
	    "State", inst_state_name(v->state), "Uid", (json_int_t)v->spec->uid, "DemandCpuMilli",
	    (json_int_t)v->demand_cpu_milli, "DemandMemoryBytes",
	    (json_int_t)v->demand_memory_bytes, "DemandDiskBytes", (json_int_t)v->demand_disk_bytes,
	    "ManageBytes", (json_int_t)v->manage_bytes, "NetEgressBps",
	    (json_int_t)v->spec->net_egress_bps, "NetIngressBps",
	    (json_int_t)v->spec->net_ingress_bps);
}

/* The hostname that it has, also when nobody chose one; with another's network it is the other's.
 */
static json_t *config_object(const struct instance_view *v)
{
	const struct spec *s = v->spec;
	json_t *j = docker_config(s);
	bool own = !streq(s->network_mode, "host") &&
		   !(s->network_mode && !strncmp(s->network_mode, "container:", 10));
	char name[16];

	snprintf(name, sizeof(name), "%.12s", v->id);
	if (own && (!s->hostname || !*s->hostname))
		jx_set_str(j, "Hostname", name);
	return j;
}

json_t *docker_inspect(const struct instance_view *v, const struct docker_paths *paths)
{
	const struct spec *s = v->spec;
	OWN(mem) char *name = xasprintf("/%s", s->name);
	json_t *j = json_object();

	jx_set_str(j, "Id", v->id);
	json_object_set_new(j, "Created", time_text(v->created_ns));
	jx_set_str(j, "Path", words_of(s)->n ? words_of(s)->v[0] : "");
	json_object_set_new(j, "Args", args_of(s));
	json_object_set_new(j, "State", state_object(v));
	jx_set_str(j, "Image", s->image_id ? s->image_id : "");
	add_files(v, j);
	jx_set_str(j, "Name", name);
	json_object_set_new(j, "RestartCount", json_integer(v->restart_count));
	jx_set_str(j, "Driver", "overlay2");
	jx_set_str(j, "Platform", "linux");
	jx_set_str(j, "MountLabel", "");
	jx_set_str(j, "ProcessLabel", "");
	jx_set_str(j, "AppArmorProfile", "");
	json_object_set_new(j, "ExecIDs", json_null());
	json_object_set_new(j, "HostConfig", docker_host_config(s));
	json_object_set_new(j, "GraphDriver", json_pack("{s:s, s:{}}", "Name", "overlay2", "Data"));
	json_object_set_new(j, "Mounts", mount_points(s, paths));
	json_object_set_new(j, "Config", config_object(v));
	json_object_set_new(j, "NetworkSettings", network_settings(v, paths));
	json_object_set_new(j, "Hostel", hostel_object(v));
	return j;
}

/* ---- list ---- */

static json_t *port_list(const struct instance_view *v)
{
	json_t *a = json_array();

	for (size_t i = 0; is_alive(v) && i < v->n_ports; i++) {
		const struct spec_port *p = &v->ports[i];

		json_array_append_new(a,
				      json_pack("{s:s, s:i, s:i, s:s}", "IP",
						p->host_ip && *p->host_ip ? p->host_ip : "0.0.0.0",
						"PrivatePort", p->container_port, "PublicPort",
						p->host_port, "Type", p->protocol));
	}
	for (size_t i = 0; is_alive(v) && i < v->spec->exposed.n; i++) {
		int port = atoi(v->spec->exposed.v[i]);
		const char *slash = strchr(v->spec->exposed.v[i], '/');
		bool is_published = false;

		for (size_t k = 0; k < v->n_ports; k++)
			is_published |= v->ports[k].container_port == port;
		if (!is_published)
			json_array_append_new(a, json_pack("{s:i, s:s}", "PrivatePort", port,
							   "Type", slash ? slash + 1 : "tcp"));
	}
	return a;
}

static json_t *command_text(const struct spec *s)
{
	OWN(str) struct str out = { 0 };

	for (size_t i = 0; i < s->entrypoint.n; i++)
		str_addf(&out, "%s%s", out.len ? " " : "", s->entrypoint.v[i]);
	for (size_t i = 0; i < s->cmd.n; i++)
		str_addf(&out, "%s%s", out.len ? " " : "", s->cmd.v[i]);
	return jx_string(out.buf ? out.buf : "");
}

static const char *shown_image(const struct instance_view *v)
{
	if (v->image_name)
		return v->image_name;
	return v->spec->image ? v->spec->image : "";
}

json_t *docker_summary(const struct instance_view *v, const struct docker_paths *paths,
		       int64_t now_ns)
{
	const struct spec *s = v->spec;
	OWN(str) struct str status = { 0 };
	OWN(mem) char *name = xasprintf("/%s", s->name);
	json_t *j = json_object();

	docker_status(v, now_ns, &status);
	jx_set_str(j, "Id", v->id);
	json_object_set_new(j, "Names", json_pack("[s]", name));
	jx_set_str(j, "Image", shown_image(v));
	jx_set_str(j, "ImageID", s->image_id ? s->image_id : "");
	json_object_set_new(j, "Command", command_text(s));
	json_object_set_new(j, "Created", json_integer(v->created_ns / 1000000000));
	json_object_set_new(j, "Ports", port_list(v));
	json_object_set_new(j, "Labels", jx_from_map(&s->labels));
	jx_set_str(j, "State", docker_state(v));
	json_object_set_new(j, "Status", jx_string(status.buf));
	json_object_set_new(j, "HostConfig", json_pack("{s:s}", "NetworkMode", network_name(s)));
	json_object_set_new(j, "NetworkSettings",
			    json_pack("{s:o}", "Networks", networks_object(v, paths)));
	json_object_set_new(j, "Mounts", mount_points(s, paths));
	return j;
}
