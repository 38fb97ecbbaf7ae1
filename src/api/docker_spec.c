/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json/fields.h"
#include "util/mem.h"
#include "util/num.h"

/* ---- codecs: members whose form differs ---- */

/* Go's strslice: a string or an array of them. */
static struct err *read_words(const json_t *j, void *slot)
{
	OWN(strv) struct strv l = { 0 };

	if (json_is_string(j))
		strv_add(&l, json_string_value(j));
	else if (!json_is_array(j))
		return err_new(ERR_INVALID, "expected a string or an array of strings");
	for (size_t i = 0; i < json_array_size(j); i++) {
		const char *s = json_string_value(json_array_get(j, i));

		if (!s)
			return err_new(ERR_INVALID, "expected an array of strings");
		strv_add(&l, s);
	}
	strv_done(slot);
	*(struct strv *)slot = l;
	l = (struct strv) { 0 };
	return NULL;
}

static json_t *write_words(const void *slot)
{
	return jx_from_strv(slot);
}

/* An object whose keys are the list: Volumes. */
static struct err *read_keys(const json_t *j, void *slot)
{
	const char *key;
	json_t *v;

	if (!json_is_object(j))
		return err_new(ERR_INVALID, "expected an object");
	strv_done(slot);
	json_object_foreach((json_t *)(uintptr_t)j, key, v) strv_add(slot, key);
	return NULL;
}

static json_t *write_keys(const void *slot)
{
	const struct strv *l = slot;
	json_t *o;

	if (!l->n)
		return json_null();
	o = json_object();
	for (size_t i = 0; i < l->n; i++)
		json_object_set_new(o, l->v[i], json_object());
	return o;
}

static struct err *read_nano(const json_t *j, void *slot)
{
	int64_t n = json_integer_value(j);

	if (!json_is_integer(j) || n < 0)
		return err_new(ERR_INVALID, "expected an integer of 0 or more");
	if (n > 0 && n < 1000000)
		return err_new(ERR_INVALID, "range of CPUs is from 0.01 up");
	*(int64_t *)slot = n / 1000000;
	return NULL;
}

static json_t *write_nano(const void *slot)
{
	return json_integer(*(const int64_t *)slot * 1000000);
}

/* -1 is "not said". */
static json_t *write_swappiness(const void *slot)
{
	int64_t n = *(const int64_t *)slot;

	return n < 0 ? NULL : json_integer(n);
}

static struct err *read_i64(const json_t *j, void *slot)
{
	if (!json_is_integer(j))
		return err_new(ERR_INVALID, "expected an integer");
	*(int64_t *)slot = json_integer_value(j);
	return NULL;
}

static json_t *write_pids(const void *slot)
{
	int64_t n = *(const int64_t *)slot;

	return n ? json_integer(n) : json_null();
}

static struct err *read_stop_timeout(const json_t *j, void *slot)
{
	int64_t n = json_integer_value(j);

	if (!json_is_integer(j) || n < -1 || n > INT32_MAX)
		return err_new(ERR_INVALID, "expected seconds, -1 or more");
	*(int *)slot = (int)n;
	return NULL;
}

static json_t *write_stop_timeout(const void *slot)
{
	return *(const int *)slot < 0 ? NULL : json_integer(*(const int *)slot);
}

static const char *const restart_names[] = { "no", "on-failure", "always", "unless-stopped", NULL };

static struct err *restart_from(const char *name, int64_t max, struct spec *s)
{
	for (int i = 0; restart_names[i]; i++)
		if (streq(name, restart_names[i]) || (i == 0 && !*name)) {
			s->restart = (enum spec_restart)i;
			s->restart_max = (int)max;
			return NULL;
		}
	return err_new(ERR_INVALID,
		       "invalid restart policy: unknown policy '%s'; use one of 'no', 'always', "
		       "'on-failure', or 'unless-stopped'",
		       name);
}

struct err *docker_restart_read(const char *text, struct spec *s)
{
	OWN(mem) char *name = xstrndup(text, strcspn(text, ":"));
	int64_t max = 0;

	if (text[strlen(name)])
		TRY_MSG(num_parse_i64(text + strlen(name) + 1, 0, INT32_MAX, &max),
			"restart policy");
	return restart_from(name, max, s);
}

/* Slot is spec.restart. */
static struct err *read_restart(const json_t *j, void *slot)
{
	int64_t max = jx_int(j, "MaximumRetryCount", 0);

	if (max < 0 || max > INT32_MAX)
		return err_new(ERR_INVALID, "maximum retry count cannot be negative");
	return restart_from(jx_str(j, "Name", ""), max, container_of(slot, struct spec, restart));
}

static json_t *write_restart(const void *slot)
{
	const struct spec *s = SPEC_OF(slot, restart);

	return json_pack("{s:s, s:i}", "Name", restart_names[s->restart], "MaximumRetryCount",
			 s->restart_max);
}

/* Slot is spec.log_driver. */
static struct err *read_log(const json_t *j, void *slot)
{
	struct spec *s = container_of(slot, struct spec, log_driver);
	static const struct json_field fields[] = {
		JSON_FIELD(struct spec, "Type", JF_STR, log_driver),
		JSON_FIELD(struct spec, "Config", JF_MAP, log_opts),
	};

	TRY(json_read_fields(fields, ARRAY_SIZE(fields), j, s));
	if (s->log_driver && !*s->log_driver)
		str_set(&s->log_driver, NULL);
	return NULL;
}

static json_t *write_log(const void *slot)
{
	const struct spec *s = SPEC_OF(slot, log_driver);

	return json_pack("{s:s, s:o}", "Type", s->log_driver ? s->log_driver : "json-file",
			 "Config", jx_from_map(&s->log_opts));
}

/* Slot is spec.gpus: the sum over device requests. */
static struct err *read_device_requests(const json_t *j, void *slot)
{
	int64_t sum = 0;

	for (size_t i = 0; i < json_array_size(j); i++) {
		const json_t *d = json_array_get(j, i);
		int64_t n = jx_int(d, "Count", 0);
		int64_t ids = (int64_t)json_array_size(json_object_get(d, "DeviceIDs"));

		sum += n ? n : ids ? ids : 1;
	}
	*(int64_t *)slot = sum;
	return NULL;
}

static json_t *write_no_requests(const void *slot)
{
	(void)slot;
	return json_array();
}

/* Slot is spec.masked_paths; null is "not said", an empty list is "none". */
static struct err *read_masked(const json_t *j, void *slot)
{
	container_of(slot, struct spec, masked_paths)->masked_paths_set = true;
	return read_words(j, slot);
}

static struct err *read_readonly(const json_t *j, void *slot)
{
	container_of(slot, struct spec, readonly_paths)->readonly_paths_set = true;
	return read_words(j, slot);
}

/* ---- the tables ---- */

#define F(name, type, member) JSON_FIELD(struct spec, name, type, member)
#define C(name, member, r, w) JSON_CODEC(struct spec, name, member, r, w)
#define N(name, member)       JSON_RANGE(struct spec, name, JF_I64, member, 0, INT64_MAX)

static const struct json_field config_fields[] = {
	F("Hostname", JF_STR, hostname),
	F("Domainname", JF_STR, domainname),
	F("User", JF_STR, user),
	F("AttachStdin", JF_BOOL, attach_stdin),
	F("AttachStdout", JF_BOOL, attach_stdout),
	F("AttachStderr", JF_BOOL, attach_stderr),
	C("ExposedPorts", exposed, docker_exposed_read, docker_exposed_write),
	F("Tty", JF_BOOL, tty),
	F("OpenStdin", JF_BOOL, open_stdin),
	F("StdinOnce", JF_BOOL, stdin_once),
	F("Env", JF_STRV, env),
	C("Cmd", cmd, read_words, write_words),
	F("Image", JF_STR, image),
	C("Volumes", volumes, read_keys, write_keys),
	F("WorkingDir", JF_STR, workdir),
	C("Entrypoint", entrypoint, read_words, write_words),
	F("Labels", JF_MAP, labels),
	F("StopSignal", JF_STR, stop_signal),
	C("StopTimeout", stop_timeout_s, read_stop_timeout, write_stop_timeout),
	F("MacAddress", JF_STR, mac_address),
};

static const struct json_field ulimit_fields[] = {
	JSON_FIELD(struct spec_ulimit, "Name", JF_STR, name),
	JSON_RANGE(struct spec_ulimit, "Hard", JF_I64, hard, -1, INT64_MAX),
	JSON_RANGE(struct spec_ulimit, "Soft", JF_I64, soft, -1, INT64_MAX),
};

static const struct json_field device_fields[] = {
	JSON_FIELD(struct spec_device, "PathOnHost", JF_STR, host),
	JSON_FIELD(struct spec_device, "PathInContainer", JF_STR, inside),
	JSON_FIELD(struct spec_device, "CgroupPermissions", JF_STR, permissions),
};

static const struct json_field host_fields[] = {
	F("Binds", JF_STRV, binds),
	F("ContainerIDFile", JF_STR, container_id_file),
	C("LogConfig", log_driver, read_log, write_log),
	F("NetworkMode", JF_STR, network_mode),
	C("PortBindings", ports, docker_port_bindings_read, docker_port_bindings_write),
	C("RestartPolicy", restart, read_restart, write_restart),
	F("AutoRemove", JF_BOOL, auto_remove),
	F("CapAdd", JF_STRV, cap_add),
	F("CapDrop", JF_STRV, cap_drop),
	F("CgroupnsMode", JF_STR, cgroupns_mode),
	F("Dns", JF_STRV, dns),
	F("DnsOptions", JF_STRV, dns_options),
	F("DnsSearch", JF_STRV, dns_search),
	F("ExtraHosts", JF_STRV, extra_hosts),
	F("GroupAdd", JF_STRV, group_add),
	F("IpcMode", JF_STR, ipc_mode),
	F("Links", JF_STRV, links),
	F("OomScoreAdj", JF_INT, oom_score_adj),
	F("PidMode", JF_STR, pid_mode),
	F("Privileged", JF_BOOL, privileged),
	F("PublishAllPorts", JF_BOOL, publish_all),
	F("ReadonlyRootfs", JF_BOOL, readonly_rootfs),
	F("SecurityOpt", JF_STRV, security_opt),
	F("StorageOpt", JF_MAP, storage_opt),
	F("Tmpfs", JF_MAP, tmpfs),
	F("UTSMode", JF_STR, uts_mode),
	F("UsernsMode", JF_STR, userns_mode),
	N("ShmSize", shm_bytes),
	F("Sysctls", JF_MAP, sysctls),
	N("CpuShares", cpu_shares),
	N("Memory", memory_bytes),
	C("NanoCpus", cpu_milli, read_nano, write_nano),
	F("CgroupParent", JF_STR, cgroup_parent),
	JSON_RANGE(struct spec, "BlkioWeight", JF_I64, blkio_weight, 0, 1000),
	N("CpuPeriod", cpu_period_us),
	JSON_RANGE(struct spec, "CpuQuota", JF_I64, cpu_quota_us, -1, INT64_MAX),
	F("CpusetCpus", JF_STR, cpuset_cpus),
	F("CpusetMems", JF_STR, cpuset_mems),
	JSON_ARRAY(struct spec, "Devices", devices, n_devices, device_fields),
	F("DeviceCgroupRules", JF_STRV, device_cgroup_rules),
	C("DeviceRequests", gpus, read_device_requests, write_no_requests),
	N("MemoryReservation", memory_reservation_bytes),
	JSON_RANGE(struct spec, "MemorySwap", JF_I64, memory_swap_bytes, -1, INT64_MAX),
	C("MemorySwappiness", memory_swappiness, read_i64, write_swappiness),
	F("OomKillDisable", JF_BOOL, oom_kill_disable),
	C("PidsLimit", pids_limit, read_i64, write_pids),
	JSON_ARRAY(struct spec, "Ulimits", ulimits, n_ulimits, ulimit_fields),
	C("Mounts", mounts, docker_mounts_read, docker_mounts_write),
	C("MaskedPaths", masked_paths, read_masked, write_words),
	C("ReadonlyPaths", readonly_paths, read_readonly, write_words),
	F("Init", JF_BOOL, init),
};

static const struct {
	const char *name;
	int what;
} throttle_members[] = {
	{ "BlkioDeviceReadBps", IO_READ_BPS },
	{ "BlkioDeviceWriteBps", IO_WRITE_BPS },
	{ "BlkioDeviceReadIOps", IO_READ_IOPS },
	{ "BlkioDeviceWriteIOps", IO_WRITE_IOPS },
};

/* ---- reading ---- */

static void add_throttle(struct spec *s, int what, const json_t *d)
{
	struct spec_throttle *t;

	s->throttles = xrealloc(s->throttles, s->n_throttles + 1, sizeof(*s->throttles));
	t = &s->throttles[s->n_throttles++];
	*t = (struct spec_throttle) { .device = xstrdup(jx_str(d, "Path", "")),
				      .rate = jx_int(d, "Rate", 0) };
	t->what = what;
}

static void read_throttles(const json_t *host, struct spec *s)
{
	for (size_t m = 0; m < ARRAY_SIZE(throttle_members); m++) {
		const json_t *a = json_object_get(host, throttle_members[m].name);

		for (size_t i = 0; i < json_array_size(a); i++)
			add_throttle(s, throttle_members[m].what, json_array_get(a, i));
	}
}

static const struct {
	const char *name; /* of a runtime, or an isolation */
	enum spec_kind kind;
} kinds[] = {
	{ "", SPEC_CONTAINER },        { "hostel", SPEC_CONTAINER },
	{ "runc", SPEC_CONTAINER },    { "default", SPEC_CONTAINER },
	{ "process", SPEC_CONTAINER }, { "container", SPEC_CONTAINER },
	{ "vm", SPEC_IMAGE_VM },
};

static struct err *read_kind(const json_t *host, struct spec *s)
{
	const char *runtime = jx_str(host, "Runtime", "");
	const char *isolation = jx_str(host, "Isolation", "");
	int found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (int k = 0; k < 2; k++)
			if (streq(k ? isolation : runtime, kinds[i].name)) {
				found |= 1 << k;
				if (kinds[i].kind != SPEC_CONTAINER)
					s->kind = kinds[i].kind;
			}
	if (!(found & 1))
		return err_new(ERR_INVALID, "unknown or invalid runtime name: %s", runtime);
	if (!(found & 2))
		return err_new(ERR_INVALID, "invalid isolation '%s' on linux", isolation);
	return NULL;
}

/* What hostel does not have and must not pretend to. */
static struct err *refuse_unsupported(const json_t *host)
{
	static const char *const lists[] = { "VolumesFrom", "BlkioWeightDevice" };
	static const char *const numbers[] = { "CpuRealtimePeriod", "CpuRealtimeRuntime" };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (json_array_size(json_object_get(host, lists[i])))
			return err_new(ERR_UNSUPPORTED, "HostConfig.%s is not supported by hostel",
				       lists[i]);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (jx_int(host, numbers[i], 0))
			return err_new(ERR_UNSUPPORTED, "HostConfig.%s is not supported by hostel",
				       numbers[i]);
	if (*jx_str(host, "VolumeDriver", "") && strcmp(jx_str(host, "VolumeDriver", ""), "local"))
		return err_new(ERR_NOT_FOUND,
			       "error looking up volume plugin %s: plugin \"%s\" not found",
			       jx_str(host, "VolumeDriver", ""), jx_str(host, "VolumeDriver", ""));
	return NULL;
}

static struct err *read_network_mode(struct spec *s)
{
	const char *mode = s->network_mode;

	if (!mode || !*mode || streq(mode, "default"))
		str_set(&s->network_mode, NULL);
	else if (!strncmp(mode, "container:", 10) && !mode[10])
		return err_new(ERR_INVALID, "invalid container format container:<name|id>");
	return NULL;
}

/* ---- ends of networks ---- */

struct ipam {
	char *v4, *v6;
};

static const struct json_field ipam_fields[] = {
	JSON_FIELD(struct ipam, "IPv4Address", JF_STR, v4),
	JSON_FIELD(struct ipam, "IPv6Address", JF_STR, v6),
};

static const struct json_field endpoint_fields[] = {
	JSON_FIELD(struct spec_endpoint, "Aliases", JF_STRV, aliases),
	JSON_FIELD(struct spec_endpoint, "MacAddress", JF_STR, mac),
};

static struct err *read_ipam(const json_t *j, struct spec_endpoint *end)
{
	struct ipam m = { 0 };
	struct err *e = json_read_fields(ipam_fields, ARRAY_SIZE(ipam_fields), j, &m);

	if (!e && m.v4 && *m.v4)
		str_set(&end->ip, m.v4);
	if (!e && m.v6 && *m.v6)
		e = err_new(ERR_UNSUPPORTED, "IPv6 addresses are not supported by hostel");
	json_free_fields(ipam_fields, ARRAY_SIZE(ipam_fields), &m);
	return e;
}

struct err *docker_endpoint_read(const json_t *j, struct spec_endpoint *ret)
{
	const json_t *ipam = json_object_get(j, "IPAMConfig");

	if (!json_is_object(j))
		return NULL;
	TRY(json_read_fields(endpoint_fields, ARRAY_SIZE(endpoint_fields), j, ret));
	return json_is_object(ipam) ? read_ipam(ipam, ret) : NULL;
}

void docker_endpoint_done(struct spec_endpoint *end)
{
	json_free_fields(endpoint_fields, ARRAY_SIZE(endpoint_fields), end);
	free(end->ip);
	free(end->network);
	*end = (struct spec_endpoint) { 0 };
}

/* A default of the client's, or the place of a mode that is no network. */
static const char *endpoint_name(const struct spec *s, const char *name)
{
	if (streq(name, "default"))
		return s->network_mode ? s->network_mode : "bridge";
	return name;
}

/* Docker's clients describe the mode's own "network" too, be it none: that says nothing. */
static bool is_the_mode_itself(const struct spec *s, const char *name)
{
	return !spec_has_own_network(s) && streq(name, s->network_mode);
}

static struct err *read_endpoints(const json_t *body, struct spec *s)
{
	const json_t *all =
	    json_object_get(json_object_get(body, "NetworkingConfig"), "EndpointsConfig");
	const char *key;
	json_t *e;

	json_object_foreach((json_t *)(uintptr_t)all, key, e)
	{
		const char *name = endpoint_name(s, key);

		if (is_the_mode_itself(s, name))
			continue;
		if (spec_endpoint_on(s, name))
			return err_new(ERR_INVALID, "network %s is named twice", name);
		TRY_MSG(docker_endpoint_read(e, spec_endpoint_add(s, name)), "network %s", name);
		jx_strv(e, "Links", &s->links);
	}
	return NULL;
}

static struct err *read_storage(struct spec *s)
{
	for (size_t i = 0; i < s->storage_opt.n; i++) {
		const struct strpair *p = &s->storage_opt.v[i];

		if (strcmp(p->key, "size"))
			return err_new(ERR_INVALID, "Unknown option %s", p->key);
		TRY_MSG(num_parse_bytes(p->value, &s->disk_bytes), "storage-opt size");
	}
	return NULL;
}

/* An empty string says nothing. */
static void drop_empty(struct spec *s)
{
	char **const slots[] = {
		&s->hostname,      &s->domainname,  &s->workdir,           &s->user,
		&s->stop_signal,   &s->cpuset_cpus, &s->cpuset_mems,       &s->cgroup_parent,
		&s->ipc_mode,      &s->pid_mode,    &s->uts_mode,          &s->userns_mode,
		&s->cgroupns_mode, &s->mac_address, &s->container_id_file,
	};

	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		if (*slots[i] && !**slots[i])
			str_set(slots[i], NULL);
}

static struct err *read_host_config(const json_t *host, struct spec *s)
{
	if (!host || json_is_null(host))
		return NULL;
	TRY_MSG(json_read_fields(host_fields, ARRAY_SIZE(host_fields), host, s), "HostConfig");
	TRY(refuse_unsupported(host));
	TRY(read_kind(host, s));
	read_throttles(host, s);
	TRY(docker_binds_read(s));
	return NULL;
}

struct err *docker_spec_read(const char *name, const json_t *body, struct spec **ret)
{
	OWN(spec) struct spec *s = spec_new();
	const json_t *health = json_object_get(body, "Healthcheck");

	if (name && *name)
		str_set(&s->name, name + (name[0] == '/'));
	TRY(json_read_fields(config_fields, ARRAY_SIZE(config_fields), body, s));
	if (json_is_object(health))
		s->healthcheck = json_incref((json_t *)(uintptr_t)health);
	TRY(read_host_config(json_object_get(body, "HostConfig"), s));
	drop_empty(s);
	TRY(read_network_mode(s));
	TRY(read_endpoints(body, s));
	TRY(read_storage(s));
	TRY(docker_labels_read(s));
	TRY(docker_mounts_check(s));
	*ret = TAKE(s);
	return NULL;
}

/* ---- writing ---- */

json_t *docker_config(const struct spec *s)
{
	json_t *j = json_object();

	json_write_fields(config_fields, ARRAY_SIZE(config_fields), s, j);
	json_object_set_new(j, "OnBuild", json_null());
	if (!s->mac_address)
		json_object_del(j, "MacAddress");
	if (s->healthcheck)
		json_object_set(j, "Healthcheck", s->healthcheck);
	if (!s->exposed.n)
		json_object_del(j, "ExposedPorts");
	return j;
}

static json_t *throttles_of(const struct spec *s, int what)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->n_throttles; i++)
		if ((int)s->throttles[i].what == what)
			json_array_append_new(a, json_pack("{s:s, s:I}", "Path",
							   s->throttles[i].device, "Rate",
							   (json_int_t)s->throttles[i].rate));
	return a;
}

/* Paths that runtimes hide unless told otherwise, as dockerd shows them. */
static json_t *default_paths(bool masked)
{
	static const char *const hidden[] = {
		"/proc/asound",     "/proc/acpi",        "/proc/interrupts",
		"/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap",
	};
	static const char *const fixed[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
					     "/proc/sysrq-trigger" };
	json_t *a = json_array();

	for (size_t i = 0; i < (masked ? ARRAY_SIZE(hidden) : ARRAY_SIZE(fixed)); i++)
		json_array_append_new(a, json_string(masked ? hidden[i] : fixed[i]));
	return a;
}

/* Members that no field of the spec stands behind, or that show another value when unsaid. */
static void add_host_constants(const struct spec *s, json_t *j)
{
	json_t *more =
	    json_pack("{s:[], s:s, s:s, s:s, s:[i,i], s:[], s:I, s:i, s:i, s:i, s:i, s:i}",
		      "VolumesFrom", "VolumeDriver", "", "Cgroup", "", "Isolation", "",
		      "ConsoleSize", 0, 0, "BlkioWeightDevice", "ShmSize",
		      (json_int_t)(s->shm_bytes ? s->shm_bytes : 64 << 20), "CpuRealtimePeriod", 0,
		      "CpuRealtimeRuntime", 0, "CpuCount", 0, "CpuPercent", 0, "IOMaximumIOps", 0);

	json_object_update(j, more);
	json_decref(more);
	json_object_set_new(j, "IOMaximumBandwidth", json_integer(0));
	jx_set_str(j, "NetworkMode", s->network_mode ? s->network_mode : "bridge");
	jx_set_str(j, "Runtime", spec_is_vm(s) ? "vm" : "hostel");
	jx_set_str(j, "IpcMode", s->ipc_mode ? s->ipc_mode : "private");
	jx_set_str(j, "CgroupnsMode", s->cgroupns_mode ? s->cgroupns_mode : "private");
	json_object_set_new(j, "MaskedPaths",
			    s->masked_paths_set ? jx_from_strv(&s->masked_paths)
			    : s->privileged     ? json_null()
						: default_paths(true));
	json_object_set_new(j, "ReadonlyPaths",
			    s->readonly_paths_set ? jx_from_strv(&s->readonly_paths)
			    : s->privileged       ? json_null()
						  : default_paths(false));
}

json_t *docker_host_config(const struct spec *s)
{
	json_t *j = json_object();
	static const char *const absent_when_empty[] = { "Mounts", "Tmpfs", "Sysctls", "StorageOpt",
							 "Init" };

	json_write_fields(host_fields, ARRAY_SIZE(host_fields), s, j);
	for (size_t m = 0; m < ARRAY_SIZE(throttle_members); m++)
		json_object_set_new(j, throttle_members[m].name,
				    throttles_of(s, throttle_members[m].what));
	add_host_constants(s, j);
	for (size_t i = 0; i < ARRAY_SIZE(absent_when_empty); i++) {
		const json_t *v = json_object_get(j, absent_when_empty[i]);

		if (!json_object_size(v) && !json_array_size(v) && !json_is_true(v))
			json_object_del(j, absent_when_empty[i]);
	}
	return j;
}
