/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/create_opts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define FILE_BYTES_MAX (1 << 20)

/* ---- small words ---- */

static void append(json_t *doc, const char *path, const char *value)
{
	json_array_append_new(opt_member(doc, path, true), jx_string(value));
}

static void put(json_t *doc, const char *path, const char *key, const char *value)
{
	json_object_set_new(opt_member(doc, path, false), key, jx_string(value));
}

/* An existing name in the environment, "NAME" alone, takes its value from there. */
static void add_env(json_t *doc, const char *text)
{
	const char *value;

	if (strchr(text, '=')) {
		append(doc, "Env", text);
		return;
	}
	value = getenv(text);
	if (value) {
		OWN(mem) char *pair = xasprintf("%s=%s", text, value);

		append(doc, "Env", pair);
	}
}

static struct err *apply_env(json_t *doc, const char *value)
{
	if (!*value || *value == '=')
		return err_new(ERR_INVALID, "\"%s\" names no variable", value);
	add_env(doc, value);
	return NULL;
}

/* Call @fn for each line that is not empty and no comment. */
static struct err *each_line(const char *path, json_t *doc, void (*fn)(json_t *, const char *))
{
	OWN(mem) char *text = NULL;
	char *save = NULL;

	TRY_MSG(fd_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &text), "%s", path);
	for (char *l = strtok_r(text, "\r\n", &save); l; l = strtok_r(NULL, "\r\n", &save)) {
		l += strspn(l, " \t");
		if (*l && *l != '#')
			fn(doc, l);
	}
	return NULL;
}

static struct err *apply_env_file(json_t *doc, const char *value)
{
	return each_line(value, doc, add_env);
}

static void add_label(json_t *doc, const char *text)
{
	const char *eq = strchr(text, '=');
	OWN(mem) char *key = xstrndup(text, eq ? (size_t)(eq - text) : strlen(text));

	put(doc, "Labels", key, eq ? eq + 1 : "");
}

static struct err *apply_label_file(json_t *doc, const char *value)
{
	return each_line(value, doc, add_label);
}

static struct err *apply_entrypoint(json_t *doc, const char *value)
{
	append(doc, "Entrypoint", value);
	return NULL;
}

/* "1024" in bytes is never what somebody meant. */
static struct err *apply_memory(json_t *doc, const char *value)
{
	int64_t bytes;

	TRY(num_parse_bytes(value, &bytes));
	if (bytes && bytes < 6 * 1048576) {
		if (strspn(value, "0123456789") == strlen(value))
			return err_new(ERR_INVALID, "%s is bytes; did you mean %sm?", value, value);
		return err_new(ERR_INVALID, "%s is too small: at least 6m", value);
	}
	opt_set(doc, "HostConfig.Memory", json_integer(bytes));
	return NULL;
}

static struct err *apply_restart(json_t *doc, const char *value)
{
	const char *colon = strchr(value, ':');
	OWN(mem) char *name = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
	int64_t max = 0;

	if (!streq(name, "no") && !streq(name, "always") && !streq(name, "unless-stopped") &&
	    !streq(name, "on-failure"))
		return err_new(ERR_INVALID,
			       "\"%s\": one of no, on-failure[:N], always, unless-stopped", value);
	if (colon)
		TRY(num_parse_i64(colon + 1, 0, INT32_MAX, &max));
	opt_set(doc, "HostConfig.RestartPolicy",
		json_pack("{s:s, s:I}", "Name", name, "MaximumRetryCount", (json_int_t)max));
	return NULL;
}

static struct err *apply_isolation(json_t *doc, const char *value)
{
	if (streq(value, "vm"))
		opt_set(doc, "HostConfig.Runtime", json_string("vm"));
	else if (!streq(value, "container") && !streq(value, "default"))
		return err_new(ERR_INVALID, "\"%s\": one of container, vm", value);
	return NULL;
}

static struct err *apply_vm(json_t *doc, const char *value)
{
	return streq(value, "true") || streq(value, "1") ? apply_isolation(doc, "vm") : NULL;
}

static struct err *apply_gpus(json_t *doc, const char *value)
{
	return err_new(ERR_UNSUPPORTED, "GPUs cannot be given to instances yet");
}

/* A seccomp profile is a file of the client's; the daemon gets its text. */
static struct err *apply_security_opt(json_t *doc, const char *value)
{
	OWN(mem) char *text = NULL, *option = NULL;
	const char *path = value + strlen("seccomp=");

	if (strncmp(value, "seccomp=", 8) || streq(path, "unconfined") || streq(path, "builtin") ||
	    *path == '{') {
		append(doc, "HostConfig.SecurityOpt", value);
		return NULL;
	}
	TRY_MSG(fd_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &text), "%s", path);
	option = xasprintf("seccomp=%s", text);
	append(doc, "HostConfig.SecurityOpt", option);
	return NULL;
}

static struct err *apply_add_host(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *eq = strchr(text, '=');

	if (eq)
		*eq = ':';
	if (!strchr(text, ':'))
		return err_new(ERR_INVALID, "\"%s\": expected HOST:ADDRESS", value);
	append(doc, "HostConfig.ExtraHosts", text);
	return NULL;
}

/* The first is its mode; further ones are joined too. */
static struct err *apply_network(json_t *doc, const char *value)
{
	json_t *host = opt_member(doc, "HostConfig", false);
	json_t *ends;

	if (!json_object_get(host, "NetworkMode")) {
		jx_set_str(host, "NetworkMode", value);
		return NULL;
	}
	ends = opt_member(doc, "NetworkingConfig.EndpointsConfig", false);
	json_object_set_new(ends, value, json_object());
	return NULL;
}

/* ---- labels that the queue reads ---- */

static struct err *apply_net_rate(json_t *doc, const char *value)
{
	put(doc, "Labels", "hostel.net-rate", value);
	return NULL;
}

/* ---- files ---- */

static struct err *apply_volume(json_t *doc, const char *value)
{
	OWN(mem) char *absolute = NULL, *bind = NULL;
	const char *colon = strchr(value, ':');

	if (!colon) {
		if (*value != '/')
			return err_new(ERR_INVALID, "\"%s\": the path inside must be absolute",
				       value);
		json_object_set_new(opt_member(doc, "Volumes", false), value, json_object());
		return NULL;
	}
	if (*value != '.') {
		append(doc, "HostConfig.Binds", value);
		return NULL;
	}
	bind = xstrndup(value, (size_t)(colon - value));
	absolute = realpath(bind, NULL);
	if (!absolute)
		return err_new(ERR_NOT_FOUND, "%s: no such file or folder", bind);
	free(bind);
	bind = xasprintf("%s%s", absolute, colon);
	append(doc, "HostConfig.Binds", bind);
	return NULL;
}

static struct err *apply_tmpfs(json_t *doc, const char *value)
{
	const char *colon = strchr(value, ':');
	OWN(mem) char *path = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));

	put(doc, "HostConfig.Tmpfs", path, colon ? colon + 1 : "");
	return NULL;
}

/* One key of --mount. */
enum mount_value { MV_TEXT, MV_FLAG, MV_BYTES, MV_OCTAL };

static const struct mount_key {
	const char *name, *member;
	enum mount_value type;
} mount_keys[] = {
	{ "type", "Type", MV_TEXT },
	{ "source", "Source", MV_TEXT },
	{ "src", "Source", MV_TEXT },
	{ "target", "Target", MV_TEXT },
	{ "destination", "Target", MV_TEXT },
	{ "dst", "Target", MV_TEXT },
	{ "readonly", "ReadOnly", MV_FLAG },
	{ "ro", "ReadOnly", MV_FLAG },
	{ "bind-propagation", "BindOptions.Propagation", MV_TEXT },
	{ "bind-nonrecursive", "BindOptions.NonRecursive", MV_FLAG },
	{ "bind-create-mountpoint", "BindOptions.CreateMountpoint", MV_FLAG },
	{ "volume-nocopy", "VolumeOptions.NoCopy", MV_FLAG },
	{ "tmpfs-size", "TmpfsOptions.SizeBytes", MV_BYTES },
	{ "tmpfs-mode", "TmpfsOptions.Mode", MV_OCTAL },
};

static struct err *set_mount_value(json_t *mount, const struct mount_key *k, const char *value)
{
	int64_t n;

	switch (k->type) {
	case MV_TEXT:
		opt_set(mount, k->member, jx_string(value));
		return NULL;
	case MV_FLAG:
		opt_set(mount, k->member,
			json_boolean(!*value || streq(value, "true") || streq(value, "1")));
		return NULL;
	case MV_BYTES:
		TRY(num_parse_bytes(value, &n));
		opt_set(mount, k->member, json_integer(n));
		return NULL;
	case MV_OCTAL:
		opt_set(mount, k->member, json_integer(strtol(value, NULL, 8)));
		return NULL;
	}
	return NULL;
}

static struct err *set_mount_key(json_t *mount, char *pair)
{
	char *eq = strchr(pair, '=');

	if (eq)
		*eq = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(mount_keys); i++)
		if (streq(mount_keys[i].name, pair))
			return set_mount_value(mount, &mount_keys[i], eq ? eq + 1 : "");
	return err_new(ERR_INVALID, "unknown key \"%s\"", pair);
}

static struct err *apply_mount(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	OWN(json) json_t *mount = json_pack("{s:s}", "Type", "volume");
	char *save = NULL;

	for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save))
		TRY(set_mount_key(mount, p));
	if (!jx_str(mount, "Target", NULL))
		return err_new(ERR_INVALID, "\"%s\" names no target", value);
	json_array_append(opt_member(doc, "HostConfig.Mounts", true), mount);
	return NULL;
}

/* ---- ports ---- */

struct port_range {
	int64_t first, last;
};

static struct err *parse_range(const char *text, struct port_range *ret)
{
	const char *dash = strchr(text, '-');
	OWN(mem) char *first = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));

	TRY_MSG(num_parse_i64(first, 1, 65535, &ret->first), "port \"%s\"", text);
	ret->last = ret->first;
	if (dash)
		TRY_MSG(num_parse_i64(dash + 1, ret->first, 65535, &ret->last), "port \"%s\"",
			text);
	return NULL;
}

static void bind_port(json_t *doc, const char *key, const char *ip, const char *host)
{
	json_t *list = json_object_get(opt_member(doc, "HostConfig.PortBindings", false), key);

	json_object_set_new(opt_member(doc, "ExposedPorts", false), key, json_object());
	if (!list) {
		list = json_array();
		json_object_set_new(opt_member(doc, "HostConfig.PortBindings", false), key, list);
	}
	json_array_append_new(list, json_pack("{s:s, s:s}", "HostIp", ip, "HostPort", host));
}

/* Split "[IP:][HOST:]INSIDE", an IPv6 address in brackets, from the end. */
static void split_ports(char *text, char **ret_ip, char **ret_host, char **ret_inside)
{
	char *colon = strrchr(text, ':');

	*ret_ip = *ret_host = text + strlen(text);
	*ret_inside = colon ? colon + 1 : text;
	if (!colon)
		return;
	*colon = '\0';
	colon = strrchr(text, ':');
	*ret_host = colon ? colon + 1 : text;
	if (!colon)
		return;
	*colon = '\0';
	*ret_ip = text;
	if (**ret_ip == '[' && strchr(*ret_ip, ']')) {
		(*ret_ip)++;
		*strchr(*ret_ip, ']') = '\0';
	}
}

static struct err *publish(json_t *doc, char *text, const char *protocol)
{
	struct port_range in, out = { 0 };
	char *ip, *host, *inside;

	split_ports(text, &ip, &host, &inside);
	TRY(parse_range(inside, &in));
	if (*host)
		TRY(parse_range(host, &out));
	if (*host && in.last != in.first && out.last - out.first != in.last - in.first)
		return err_new(ERR_INVALID, "%s and %s are not equally long", host, inside);
	for (int64_t p = in.first; p <= in.last; p++) {
		OWN(mem) char *key = xasprintf("%" PRId64 "/%s", p, protocol);
		OWN(mem) char *one = xasprintf("%" PRId64, out.first + p - in.first);

		bind_port(doc, key, ip, !*host ? "" : in.first == in.last ? host : one);
	}
	return NULL;
}

static struct err *apply_publish(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *slash = strchr(text, '/');
	const char *protocol = slash ? slash + 1 : "tcp";

	if (slash)
		*slash = '\0';
	if (!streq(protocol, "tcp") && !streq(protocol, "udp"))
		return err_new(ERR_INVALID, "\"%s\": tcp or udp", value);
	return publish(doc, text, protocol);
}

static struct err *apply_expose(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *slash = strchr(text, '/');
	struct port_range r;

	if (slash)
		*slash = '\0';
	TRY(parse_range(text, &r));
	for (int64_t p = r.first; p <= r.last; p++) {
		OWN(mem) char *key = xasprintf("%" PRId64 "/%s", p, slash ? slash + 1 : "tcp");

		json_object_set_new(opt_member(doc, "ExposedPorts", false), key, json_object());
	}
	return NULL;
}

/* ---- devices and limits ---- */

static struct err *apply_device(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *save = NULL, *host = strtok_r(text, ":", &save), *inside, *mode;

	if (!host)
		return err_new(ERR_INVALID, "\"%s\" names no device", value);
	inside = strtok_r(NULL, ":", &save);
	mode = strtok_r(NULL, ":", &save);
	if (inside && *inside != '/' && !mode) {
		mode = inside;
		inside = NULL;
	}
	json_array_append_new(opt_member(doc, "HostConfig.Devices", true),
			      json_pack("{s:s, s:s, s:s}", "PathOnHost", host, "PathInContainer",
					inside ? inside : host, "CgroupPermissions",
					mode ? mode : "rwm"));
	return NULL;
}

static struct err *parse_ulimit_number(const char *text, int64_t *ret)
{
	if (streq(text, "unlimited")) {
		*ret = -1;
		return NULL;
	}
	return num_parse_i64(text, -1, INT64_MAX, ret);
}

static struct err *apply_ulimit(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *eq = strchr(text, '='), *colon;
	int64_t soft, hard;

	if (!eq)
		return err_new(ERR_INVALID, "\"%s\": expected NAME=SOFT[:HARD]", value);
	*eq = '\0';
	colon = strchr(eq + 1, ':');
	if (colon)
		*colon = '\0';
	TRY(parse_ulimit_number(eq + 1, &soft));
	hard = soft;
	if (colon)
		TRY(parse_ulimit_number(colon + 1, &hard));
	json_array_append_new(opt_member(doc, "HostConfig.Ulimits", true),
			      json_pack("{s:s, s:I, s:I}", "Name", text, "Soft", (json_int_t)soft,
					"Hard", (json_int_t)hard));
	return NULL;
}

static struct err *throttle(json_t *doc, const char *member, const char *value, bool is_bytes)
{
	const char *colon = strrchr(value, ':');
	OWN(mem) char *device = NULL;
	int64_t rate;

	if (!colon || *value != '/')
		return err_new(ERR_INVALID, "\"%s\": expected /dev/NAME:RATE", value);
	device = xstrndup(value, (size_t)(colon - value));
	if (is_bytes)
		TRY(num_parse_bytes(colon + 1, &rate));
	else
		TRY(num_parse_i64(colon + 1, 0, INT64_MAX, &rate));
	json_array_append_new(opt_member(doc, member, true),
			      json_pack("{s:s, s:I}", "Path", device, "Rate", (json_int_t)rate));
	return NULL;
}

static struct err *apply_read_bps(json_t *doc, const char *value)
{
	return throttle(doc, "HostConfig.BlkioDeviceReadBps", value, true);
}

static struct err *apply_write_bps(json_t *doc, const char *value)
{
	return throttle(doc, "HostConfig.BlkioDeviceWriteBps", value, true);
}

static struct err *apply_read_iops(json_t *doc, const char *value)
{
	return throttle(doc, "HostConfig.BlkioDeviceReadIOps", value, false);
}

static struct err *apply_write_iops(json_t *doc, const char *value)
{
	return throttle(doc, "HostConfig.BlkioDeviceWriteIOps", value, false);
}

/* ---- health ---- */

static struct err *apply_health_cmd(json_t *doc, const char *value)
{
	opt_set(doc, "Healthcheck.Test", json_pack("[s, s]", "CMD-SHELL", value));
	return NULL;
}

static struct err *apply_no_health(json_t *doc, const char *value)
{
	opt_set(doc, "Healthcheck.Test", json_pack("[s]", "NONE"));
	return NULL;
}

/* ---- the table ---- */

#define H "HostConfig."

static const struct opt rows[] = {
	/* process */
	{ "name", 0, OPT_TEXT, "NAME", "Its name; else one is made up" },
	{ "interactive", 'i', OPT_FLAG, NULL, "Keep stdin open" },
	{ "tty", 't', OPT_FLAG, NULL, "Give it a terminal", "Tty" },
	{ "env", 'e', OPT_LIST, "NAME[=VALUE]", "Set a variable", .apply = apply_env },
	{ "env-file", 0, OPT_LIST, "FILE", "Read variables from a file", .apply = apply_env_file,
	  .what = WHAT_FILE },
	{ "user", 'u', OPT_TEXT, "USER[:GROUP]", "Run as this user", "User" },
	{ "group-add", 0, OPT_LIST, "GROUP", "Add a group", H "GroupAdd" },
	{ "workdir", 'w', OPT_TEXT, "DIR", "Working folder inside", "WorkingDir" },
	{ "entrypoint", 0, OPT_TEXT, "PROGRAM", "Instead of the image's entrypoint",
	  .apply = apply_entrypoint },
	{ "hostname", 'h', OPT_TEXT, "NAME", "Host name inside", "Hostname" },
	{ "domainname", 0, OPT_TEXT, "NAME", "Domain name inside", "Domainname" },
	{ "init", 0, OPT_FLAG, NULL, "Run a small init that reaps processes", H "Init" },
	{ "label", 'l', OPT_MAP, "KEY=VALUE", "Attach a label", "Labels" },
	{ "label-file", 0, OPT_LIST, "FILE", "Read labels from a file", .apply = apply_label_file,
	  .what = WHAT_FILE },
	{ "annotation", 0, OPT_MAP, "KEY=VALUE", "Add an OCI annotation", H "Annotations" },
	/* isolation */
	{ "vm", 0, OPT_FLAG, NULL, "Under a kernel of its own (= --isolation vm)",
	  .apply = apply_vm },
	{ "isolation", 0, OPT_TEXT, "KIND", "container or vm", .apply = apply_isolation,
	  .choices = "container vm default" },
	{ "runtime", 0, OPT_TEXT, "NAME", "Runtime: vm", H "Runtime" },
	{ "platform", 0, OPT_TEXT, "OS/ARCH", "Platform of the image" },
	{ "pull", 0, OPT_TEXT, "WHEN", "Fetch the image: always, missing (default), never",
	  .choices = "always missing never" },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress while the image is fetched" },
	{ "cidfile", 0, OPT_TEXT, "FILE", "Write the id to a file", .what = WHAT_FILE },
	/* life */
	{ "rm", 0, OPT_FLAG, NULL, "Remove it when it has ended", H "AutoRemove" },
	{ "restart", 0, OPT_TEXT, "POLICY", "no, on-failure[:N], always, unless-stopped",
	  .apply = apply_restart },
	{ "stop-signal", 0, OPT_TEXT, "SIGNAL", "Signal that stops it", "StopSignal" },
	{ "stop-timeout", 0, OPT_INT, "SECONDS", "Time to stop before it is killed",
	  "StopTimeout" },
	{ "health-cmd", 0, OPT_TEXT, "COMMAND", "Command that checks health (kept, not run yet)",
	  .apply = apply_health_cmd },
	{ "health-interval", 0, OPT_DURATION, "TIME", "Time between checks",
	  "Healthcheck.Interval" },
	{ "health-timeout", 0, OPT_DURATION, "TIME", "Time for one check", "Healthcheck.Timeout" },
	{ "health-retries", 0, OPT_INT, "N", "Failures before it counts as unhealthy",
	  "Healthcheck.Retries" },
	{ "health-start-period", 0, OPT_DURATION, "TIME", "Time to come up",
	  "Healthcheck.StartPeriod" },
	{ "health-start-interval", 0, OPT_DURATION, "TIME", "Time between checks while it starts",
	  "Healthcheck.StartInterval" },
	{ "no-healthcheck", 0, OPT_FLAG, NULL, "Not even the image's", .apply = apply_no_health },
	{ "log-driver", 0, OPT_TEXT, "NAME", "json-file (default) or none", H "LogConfig.Type" },
	{ "log-opt", 0, OPT_MAP, "KEY=VALUE", "max-size, max-file", H "LogConfig.Config" },
	/* resources */
	{ "memory", 'm', OPT_BYTES, "SIZE", "Memory limit, and what it asks of the queue",
	  .apply = apply_memory },
	{ "memory-reservation", 0, OPT_BYTES, "SIZE", "What it asks of the queue instead",
	  H "MemoryReservation" },
	{ "memory-swap", 0, OPT_BYTES, "SIZE", "Memory and swap together; -1: no limit",
	  H "MemorySwap" },
	{ "memory-swappiness", 0, OPT_INT, "0-100", "How readily it is swapped",
	  H "MemorySwappiness" },
	{ "cpus", 0, OPT_NANO, "NUMBER", "Cpus, 0.5 for half of one; vcpus of a VM", H "NanoCpus" },
	{ "cpu-shares", 'c', OPT_INT, "N", "Weight against others", H "CpuShares" },
	{ "cpu-period", 0, OPT_INT, "US", "Period of the quota", H "CpuPeriod" },
	{ "cpu-quota", 0, OPT_INT, "US", "Quota in each period", H "CpuQuota" },
	{ "cpuset-cpus", 0, OPT_TEXT, "LIST", "Only these cpus, 0-2,4", H "CpusetCpus" },
	{ "cpuset-mems", 0, OPT_TEXT, "LIST", "Only these memory nodes", H "CpusetMems" },
	{ "pids-limit", 0, OPT_INT, "N", "Processes and threads; -1: no limit", H "PidsLimit" },
	{ "oom-kill-disable", 0, OPT_FLAG, NULL, "No OOM killer", H "OomKillDisable" },
	{ "oom-score-adj", 0, OPT_INT, "N", "OOM killer's preference", H "OomScoreAdj" },
	{ "ulimit", 0, OPT_LIST, "NAME=SOFT[:HARD]", "Process limit", .apply = apply_ulimit },
	{ "shm-size", 0, OPT_BYTES, "SIZE", "Size of /dev/shm", H "ShmSize" },
	{ "storage-opt", 0, OPT_MAP, "KEY=VALUE", "size=10g: disk limit and demand",
	  H "StorageOpt" },
	{ "blkio-weight", 0, OPT_INT, "10-1000", "Disk weight against others", H "BlkioWeight" },
	{ "device-read-bps", 0, OPT_LIST, "DEVICE:RATE", "Limit bytes read per second",
	  .apply = apply_read_bps },
	{ "device-write-bps", 0, OPT_LIST, "DEVICE:RATE", "Limit bytes written per second",
	  .apply = apply_write_bps },
	{ "device-read-iops", 0, OPT_LIST, "DEVICE:RATE", "Limit reads per second",
	  .apply = apply_read_iops },
	{ "device-write-iops", 0, OPT_LIST, "DEVICE:RATE", "Limit writes per second",
	  .apply = apply_write_iops },
	{ "net-rate", 0, OPT_TEXT, "OUT[,IN]", "Limit network traffic, 100mbit,50mbit; 0: no limit",
	  .apply = apply_net_rate },
	{ "gpus", 0, OPT_TEXT, "WHICH", "Refused: GPUs cannot be given yet", .apply = apply_gpus },
	/* files */
	{ "volume", 'v', OPT_LIST, "SOURCE:PATH[:ro]", "Mount a folder or a volume",
	  .apply = apply_volume, .what = WHAT_FILE },
	{ "mount", 0, OPT_LIST, "KEY=VALUE,...", "type=bind|volume|tmpfs,source=,target=,readonly",
	  .apply = apply_mount },
	{ "tmpfs", 0, OPT_LIST, "PATH[:OPTIONS]", "Mount a tmpfs", .apply = apply_tmpfs },
	{ "volumes-from", 0, OPT_LIST, "NAME", "Mount what another one mounts", H "VolumesFrom",
	  .what = WHAT_INSTANCE },
	{ "read-only", 0, OPT_FLAG, NULL, "Root file system read-only", H "ReadonlyRootfs" },
	{ "device", 0, OPT_LIST, "HOST[:INSIDE[:rwm]]", "Give it a device", .apply = apply_device,
	  .what = WHAT_FILE },
	{ "device-cgroup-rule", 0, OPT_LIST, "RULE", "Allow devices, \"c 1:3 rwm\"",
	  H "DeviceCgroupRules" },
	/* network */
	{ "network", 0, OPT_LIST, "MODE",
	  "bridge, none, host, container:NAME, a network; several are joined",
	  .apply = apply_network, .alias = "net", .what = WHAT_NETWORK },
	{ "network-alias", 0, OPT_LIST, "NAME", "Another name on its network",
	  "NetworkingConfig.EndpointsConfig.default.Aliases" },
	{ "publish", 'p', OPT_LIST, "[IP:][HOST:]PORT[/udp]", "Publish a port",
	  .apply = apply_publish },
	{ "publish-all", 'P', OPT_FLAG, NULL, "Publish every exposed port", H "PublishAllPorts" },
	{ "expose", 0, OPT_LIST, "PORT", "Name a port", .apply = apply_expose },
	{ "ip", 0, OPT_TEXT, "ADDRESS", "Its address",
	  "NetworkingConfig.EndpointsConfig.default.IPAMConfig.IPv4Address" },
	{ "mac-address", 0, OPT_TEXT, "MAC", "Its MAC address", "MacAddress" },
	{ "dns", 0, OPT_LIST, "ADDRESS", "Name server", H "Dns" },
	{ "dns-search", 0, OPT_LIST, "DOMAIN", "Search domain", H "DnsSearch" },
	{ "dns-option", 0, OPT_LIST, "OPTION", "Resolver option", H "DnsOptions" },
	{ "add-host", 0, OPT_LIST, "HOST:ADDRESS", "Line for /etc/hosts", .apply = apply_add_host },
	{ "link", 0, OPT_LIST, "NAME[:ALIAS]", "Name another one in /etc/hosts", H "Links",
	  .what = WHAT_INSTANCE },
	/* security */
	{ "privileged", 0, OPT_FLAG, NULL, "Give it all rights", H "Privileged" },
	{ "cap-add", 0, OPT_LIST, "NAME", "Add a capability", H "CapAdd" },
	{ "cap-drop", 0, OPT_LIST, "NAME", "Drop a capability", H "CapDrop" },
	{ "security-opt", 0, OPT_LIST, "OPTION", "seccomp=FILE, no-new-privileges, ...",
	  .apply = apply_security_opt },
	{ "sysctl", 0, OPT_MAP, "NAME=VALUE", "Kernel setting of its namespaces", H "Sysctls" },
	{ "userns", 0, OPT_TEXT, "MODE", "User namespace", H "UsernsMode" },
	{ "pid", 0, OPT_TEXT, "MODE", "Process namespace: host, container:NAME", H "PidMode" },
	{ "ipc", 0, OPT_TEXT, "MODE", "IPC namespace: private, shareable, host, container:NAME",
	  H "IpcMode" },
	{ "uts", 0, OPT_TEXT, "MODE", "Host name namespace: host", H "UTSMode" },
	{ "cgroupns", 0, OPT_TEXT, "MODE", "cgroup namespace: private, host", H "CgroupnsMode" },
	{ "cgroup-parent", 0, OPT_TEXT, "PATH", "Parent of its cgroup", H "CgroupParent" },
};

const struct opt_table create_options = OPT_TABLE(rows);

/* What update may change; the rows say the same as those of run. */
static const struct opt update_rows[] = {
	{ "memory", 'm', OPT_BYTES, "SIZE", "Memory limit", .apply = apply_memory },
	{ "memory-reservation", 0, OPT_BYTES, "SIZE", "What it asks of the queue instead",
	  H "MemoryReservation" },
	{ "memory-swap", 0, OPT_BYTES, "SIZE", "Memory and swap together; -1: no limit",
	  H "MemorySwap" },
	{ "cpus", 0, OPT_NANO, "NUMBER", "Cpus, 0.5 for half of one", H "NanoCpus" },
	{ "cpu-shares", 'c', OPT_INT, "N", "Weight against others", H "CpuShares" },
	{ "cpu-period", 0, OPT_INT, "US", "Period of the quota", H "CpuPeriod" },
	{ "cpu-quota", 0, OPT_INT, "US", "Quota in each period", H "CpuQuota" },
	{ "cpuset-cpus", 0, OPT_TEXT, "LIST", "Only these cpus, 0-2,4", H "CpusetCpus" },
	{ "cpuset-mems", 0, OPT_TEXT, "LIST", "Only these memory nodes", H "CpusetMems" },
	{ "pids-limit", 0, OPT_INT, "N", "Processes and threads; -1: no limit", H "PidsLimit" },
	{ "blkio-weight", 0, OPT_INT, "10-1000", "Disk weight against others", H "BlkioWeight" },
	{ "net-rate", 0, OPT_TEXT, "OUT[,IN]", "Limit network traffic, 100mbit,50mbit; 0: no limit",
	  H "NetRate" },
	{ "restart", 0, OPT_TEXT, "POLICY", "no, on-failure[:N], always, unless-stopped",
	  .apply = apply_restart },
};
const struct opt_table update_options = OPT_TABLE(update_rows);

static void add_words(json_t *doc, const struct args *a)
{
	json_t *cmd = json_array();

	for (size_t i = 1; i < a->n_rest; i++)
		json_array_append_new(cmd, jx_string(a->rest[i]));
	if (json_array_size(cmd))
		json_object_set(doc, "Cmd", cmd);
	json_decref(cmd);
}

struct err *create_body(const struct args *a, bool is_attached, json_t **ret)
{
	OWN(json) json_t *doc = json_object();
	bool is_interactive = args_flag(a, "interactive");

	opt_member(doc, "HostConfig", false);
	TRY(args_apply(a, doc));
	opt_set(doc, "Image", jx_string(a->rest[0]));
	add_words(doc, a);
	opt_set(doc, "OpenStdin", json_boolean(is_interactive));
	opt_set(doc, "StdinOnce", json_boolean(is_interactive && is_attached));
	opt_set(doc, "AttachStdin", json_boolean(is_interactive && is_attached));
	opt_set(doc, "AttachStdout", json_boolean(is_attached));
	opt_set(doc, "AttachStderr", json_boolean(is_attached));
	*ret = TAKE(doc);
	return NULL;
}
