/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spec.h"

#include <inttypes.h>
#include <string.h>

#include "json/fields.h"
#include "util/mem.h"

static const char *const kind_names[] = { "container", "vm", "machine", NULL };
_Static_assert(ARRAY_SIZE(kind_names) == SPEC_KINDS + 1, "name every kind");

static const char *const mount_types[] = { "bind", "volume", "tmpfs", NULL };
static const char *const throttle_names[] = { "read-bps", "write-bps", "read-iops", "write-iops",
					      NULL };
static const char *const restart_names[] = { "no", "on-failure", "always", "unless-stopped", NULL };

static const struct json_field mount_fields[] = {
	JSON_ENUM(struct spec_mount, "Type", type, mount_types),
	JSON_FIELD(struct spec_mount, "Source", JF_STR, source),
	JSON_FIELD(struct spec_mount, "Target", JF_STR, target),
	JSON_FIELD(struct spec_mount, "ReadOnly", JF_BOOL, readonly),
	JSON_FIELD(struct spec_mount, "NoCopy", JF_BOOL, nocopy),
	JSON_FIELD(struct spec_mount, "CreateSource", JF_BOOL, create_source),
	JSON_FIELD(struct spec_mount, "NonRecursive", JF_BOOL, non_recursive),
	JSON_FIELD(struct spec_mount, "Propagation", JF_STR, propagation),
	JSON_FIELD(struct spec_mount, "TmpfsBytes", JF_I64, tmpfs_bytes),
	JSON_FIELD(struct spec_mount, "TmpfsMode", JF_INT, tmpfs_mode),
	JSON_FIELD(struct spec_mount, "TmpfsOptions", JF_STR, tmpfs_options),
};

static const struct json_field port_fields[] = {
	JSON_FIELD(struct spec_port, "Protocol", JF_STR, protocol),
	JSON_RANGE(struct spec_port, "ContainerPort", JF_INT, container_port, 1, 65535),
	JSON_FIELD(struct spec_port, "HostIp", JF_STR, host_ip),
	JSON_RANGE(struct spec_port, "HostPort", JF_INT, host_port, 0, 65535),
	JSON_RANGE(struct spec_port, "HostPortEnd", JF_INT, host_port_end, 0, 65535),
};

static const struct json_field device_fields[] = {
	JSON_FIELD(struct spec_device, "Host", JF_STR, host),
	JSON_FIELD(struct spec_device, "Inside", JF_STR, inside),
	JSON_FIELD(struct spec_device, "Permissions", JF_STR, permissions),
};

static const struct json_field ulimit_fields[] = {
	JSON_FIELD(struct spec_ulimit, "Name", JF_STR, name),
	JSON_FIELD(struct spec_ulimit, "Soft", JF_I64, soft),
	JSON_FIELD(struct spec_ulimit, "Hard", JF_I64, hard),
};

static const struct json_field throttle_fields[] = {
	JSON_ENUM(struct spec_throttle, "What", what, throttle_names),
	JSON_FIELD(struct spec_throttle, "Device", JF_STR, device),
	JSON_FIELD(struct spec_throttle, "Rate", JF_I64, rate),
};

static const struct json_field disk_fields[] = {
	JSON_FIELD(struct spec_disk, "Path", JF_STR, path),
	JSON_FIELD(struct spec_disk, "Format", JF_STR, format),
	JSON_FIELD(struct spec_disk, "Overlay", JF_BOOL, overlay),
	JSON_FIELD(struct spec_disk, "ReadOnly", JF_BOOL, readonly),
	JSON_FIELD(struct spec_disk, "NewBytes", JF_I64, new_bytes),
};

static const struct json_field endpoint_fields[] = {
	JSON_FIELD(struct spec_endpoint, "Network", JF_STR, network),
	JSON_FIELD(struct spec_endpoint, "Aliases", JF_STRV, aliases),
	JSON_FIELD(struct spec_endpoint, "Ip", JF_STR, ip),
	JSON_FIELD(struct spec_endpoint, "Mac", JF_STR, mac),
};

#define F(name, type, member) JSON_FIELD(struct spec, name, type, member)

/* The stored form; a row per member of struct spec, in its order. */
static const struct json_field fields[] = {
	JSON_ENUM(struct spec, "Kind", kind, kind_names),
	F("Name", JF_STR, name),
	F("Image", JF_STR, image),
	F("ImageId", JF_STR, image_id),
	F("Uid", JF_I64, uid),
	F("Entrypoint", JF_STRV, entrypoint),
	F("Cmd", JF_STRV, cmd),
	F("Env", JF_STRV, env),
	F("WorkDir", JF_STR, workdir),
	F("User", JF_STR, user),
	F("Tty", JF_BOOL, tty),
	F("OpenStdin", JF_BOOL, open_stdin),
	F("StdinOnce", JF_BOOL, stdin_once),
	F("AttachStdin", JF_BOOL, attach_stdin),
	F("AttachStdout", JF_BOOL, attach_stdout),
	F("AttachStderr", JF_BOOL, attach_stderr),
	F("StopSignal", JF_STR, stop_signal),
	F("StopTimeoutS", JF_INT, stop_timeout_s),
	F("Healthcheck", JF_JSON, healthcheck),
	F("Labels", JF_MAP, labels),
	F("Hostname", JF_STR, hostname),
	F("Domainname", JF_STR, domainname),
	F("Volumes", JF_STRV, volumes),
	F("Exposed", JF_STRV, exposed),
	F("MemoryBytes", JF_I64, memory_bytes),
	F("MemoryReservationBytes", JF_I64, memory_reservation_bytes),
	F("MemorySwapBytes", JF_I64, memory_swap_bytes),
	F("MemorySwappiness", JF_I64, memory_swappiness),
	F("CpuMilli", JF_I64, cpu_milli),
	F("CpuShares", JF_I64, cpu_shares),
	F("CpuQuotaUs", JF_I64, cpu_quota_us),
	F("CpuPeriodUs", JF_I64, cpu_period_us),
	F("CpusetCpus", JF_STR, cpuset_cpus),
	F("CpusetMems", JF_STR, cpuset_mems),
	F("PidsLimit", JF_I64, pids_limit),
	F("DiskBytes", JF_I64, disk_bytes),
	F("BlkioWeight", JF_I64, blkio_weight),
	JSON_ARRAY(struct spec, "Throttles", throttles, n_throttles, throttle_fields),
	JSON_ARRAY(struct spec, "Ulimits", ulimits, n_ulimits, ulimit_fields),
	F("OomKillDisable", JF_BOOL, oom_kill_disable),
	F("OomScoreAdj", JF_INT, oom_score_adj),
	F("Gpus", JF_I64, gpus),
	F("NetEgressBps", JF_I64, net_egress_bps),
	F("NetIngressBps", JF_I64, net_ingress_bps),
	F("CapAdd", JF_STRV, cap_add),
	F("CapDrop", JF_STRV, cap_drop),
	F("SecurityOpt", JF_STRV, security_opt),
	F("GroupAdd", JF_STRV, group_add),
	F("Privileged", JF_BOOL, privileged),
	F("ReadonlyRootfs", JF_BOOL, readonly_rootfs),
	F("Init", JF_BOOL, init),
	F("MaskedPaths", JF_STRV, masked_paths),
	F("ReadonlyPaths", JF_STRV, readonly_paths),
	F("MaskedPathsSet", JF_BOOL, masked_paths_set),
	F("ReadonlyPathsSet", JF_BOOL, readonly_paths_set),
	F("Sysctls", JF_MAP, sysctls),
	JSON_ARRAY(struct spec, "Devices", devices, n_devices, device_fields),
	F("DeviceCgroupRules", JF_STRV, device_cgroup_rules),
	F("CgroupParent", JF_STR, cgroup_parent),
	JSON_ARRAY(struct spec, "Mounts", mounts, n_mounts, mount_fields),
	F("Binds", JF_STRV, binds),
	F("Tmpfs", JF_MAP, tmpfs),
	F("StorageOpt", JF_MAP, storage_opt),
	F("ShmBytes", JF_I64, shm_bytes),
	F("NetworkMode", JF_STR, network_mode),
	F("IpcMode", JF_STR, ipc_mode),
	F("PidMode", JF_STR, pid_mode),
	F("UtsMode", JF_STR, uts_mode),
	F("UsernsMode", JF_STR, userns_mode),
	F("CgroupnsMode", JF_STR, cgroupns_mode),
	JSON_ARRAY(struct spec, "Ports", ports, n_ports, port_fields),
	F("PublishAll", JF_BOOL, publish_all),
	F("MacAddress", JF_STR, mac_address),
	F("IpAddress", JF_STR, ip_address),
	JSON_ARRAY(struct spec, "Endpoints", endpoints, n_endpoints, endpoint_fields),
	F("Dns", JF_STRV, dns),
	F("DnsSearch", JF_STRV, dns_search),
	F("DnsOptions", JF_STRV, dns_options),
	F("ExtraHosts", JF_STRV, extra_hosts),
	F("Links", JF_STRV, links),
	JSON_ENUM(struct spec, "Restart", restart, restart_names),
	F("RestartMax", JF_INT, restart_max),
	F("AutoRemove", JF_BOOL, auto_remove),
	F("LogDriver", JF_STR, log_driver),
	F("LogOpts", JF_MAP, log_opts),
	F("ContainerIdFile", JF_STR, container_id_file),
	F("QueueWait", JF_BOOL, queue_wait),
	F("WaitTimeoutNs", JF_I64, wait_timeout_ns),
	F("NoWait", JF_BOOL, no_wait),
	F("Priority", JF_I64, priority),
	F("ExpectNs", JF_I64, expect_ns),
	F("TimeLimitNs", JF_I64, time_limit_ns),
	F("MaxWaitNs", JF_I64, max_wait_ns),
	F("Deadline", JF_STR, deadline),
	F("After", JF_STRV, after),
	JSON_RANGE(struct spec, "Vcpus", JF_INT, vcpus, 0, 1024),
	JSON_ARRAY(struct spec, "Disks", disks, n_disks, disk_fields),
	F("Kernel", JF_STR, kernel),
	F("Initrd", JF_STR, initrd),
	F("Append", JF_STR, append),
	F("Firmware", JF_STR, firmware),
	F("Accel", JF_STR, accel),
	F("MachineType", JF_STR, machine_type),
};

struct spec *spec_new(void)
{
	struct spec *s = xnew(struct spec);

	s->memory_swappiness = -1;
	s->stop_timeout_s = -1;
	return s;
}

void spec_free(struct spec *s)
{
	if (!s)
		return;
	json_free_fields(fields, ARRAY_SIZE(fields), s);
	free(s);
}

/* A string that was never said is left out, so that it reads back as NULL. */
static void drop_empty_strings(json_t *j)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(j, next, key, v)
	{
		size_t i;
		json_t *elem;

		if (json_is_string(v) && json_string_length(v) == 0)
			json_object_del(j, key);
		else if (json_is_array(v))
			json_array_foreach(v, i, elem) if (json_is_object(elem))
			    drop_empty_strings(elem);
	}
}

json_t *spec_to_json(const struct spec *s)
{
	json_t *j = json_object();

	json_object_set_new(j, "Version", json_integer(SPEC_VERSION));
	json_write_fields(fields, ARRAY_SIZE(fields), s, j);
	drop_empty_strings(j);
	return j;
}

struct err *spec_from_json(const json_t *j, struct spec **ret)
{
	OWN(spec) struct spec *s = spec_new();
	int64_t version = jx_int(j, "Version", 0);

	if (version > SPEC_VERSION)
		return err_new(ERR_UNSUPPORTED,
			       "spec has version %" PRId64 ", this hostel reads up to %d", version,
			       SPEC_VERSION);
	if (version < 1)
		return err_new(ERR_INVALID, "spec has no version");
	TRY_MSG(json_read_fields(fields, ARRAY_SIZE(fields), j, s), "spec");
	*ret = TAKE(s);
	return NULL;
}

/* ---- networks ---- */

bool spec_has_own_network(const struct spec *s)
{
	const char *m = s->network_mode;

	return !m || (strcmp(m, "none") && strcmp(m, "host") && strncmp(m, "container:", 10));
}

struct spec_endpoint *spec_endpoint_on(const struct spec *s, const char *network)
{
	for (size_t n = 0; n < s->n_endpoints; n++)
		if (streq(s->endpoints[n].network, network))
			return &s->endpoints[n];
	return NULL;
}

struct spec_endpoint *spec_endpoint_add(struct spec *s, const char *network)
{
	s->endpoints = xrealloc(s->endpoints, s->n_endpoints + 1, sizeof(*s->endpoints));
	s->endpoints[s->n_endpoints] = (struct spec_endpoint) { .network = xstrdup(network) };
	return &s->endpoints[s->n_endpoints++];
}

void spec_endpoint_drop(struct spec *s, const char *network)
{
	struct spec_endpoint *at = spec_endpoint_on(s, network);
	size_t n = at ? (size_t)(at - s->endpoints) : s->n_endpoints;

	if (!at)
		return;
	json_free_fields(endpoint_fields, ARRAY_SIZE(endpoint_fields), at);
	memmove(at, at + 1, (s->n_endpoints - n - 1) * sizeof(*at));
	s->n_endpoints--;
}

const char *spec_kind_name(enum spec_kind kind)
{
	return kind_names[kind];
}
