/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H

/*
 * Spec: the checked, defaulted request; all that the user said, nothing that
 * the engine decided.  Immutable once the instance exists, but for what
 * update and rename change.  The API makes it from Docker's JSON, the store and
 * instances/ID/spec.json keep it in the form of spec_to_json().
 *
 * Pure: no clock, no I/O.
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "util/str.h"

#define SPEC_VERSION 1

enum spec_kind {
	SPEC_CONTAINER, /* an image, walled off by namespaces and cgroups */
	SPEC_IMAGE_VM,  /* an image under a kernel of its own */
	SPEC_MACHINE,   /* a VM with disks, or a kernel, or neither (hostel-guest alone) */
	SPEC_KINDS,
};

struct spec_mount {
	enum { MOUNT_BIND, MOUNT_VOLUME, MOUNT_TMPFS } type;
	char *source; /* path, or volume name (NULL: anonymous) */
	char *target; /* absolute path inside */
	bool readonly;
	bool nocopy;         /* volume: do not copy the image's files into an empty one */
	bool create_source;  /* bind: from -v, a missing source becomes a folder */
	bool non_recursive;  /* bind without submounts */
	char *propagation;   /* "rprivate" when NULL */
	int64_t tmpfs_bytes; /* 0: no limit */
	int tmpfs_mode;      /* 0: 01777 */
	char *tmpfs_options; /* verbatim, from --tmpfs */
};

struct spec_port {
	char *protocol;     /* "tcp" or "udp" */
	int container_port; /* 1 to 65535 */
	char *host_ip;      /* NULL or "": all addresses */
	int host_port;      /* 0: any free one */
	int host_port_end;  /* last of a range to choose from; 0 or host_port: no range */
};

struct spec_device {
	char *host, *inside, *permissions; /* "/dev/x", "/dev/y", "rwm" */
};

struct spec_ulimit {
	char *name;         /* "nofile" */
	int64_t soft, hard; /* -1: unlimited */
};

struct spec_throttle {
	enum { IO_READ_BPS, IO_WRITE_BPS, IO_READ_IOPS, IO_WRITE_IOPS } what;
	char *device;
	int64_t rate; /* bytes or operations per second */
};

struct spec_disk {
	char *path;   /* user's file; NULL for new: */
	char *format; /* "qcow2", "raw"; NULL: looked up in the file */
	bool overlay; /* keep path read-only under a disk of ours */
	bool readonly;
	int64_t new_bytes; /* new:SIZE */
};

/* A network that it joins, with what the user said about this end of it. */
struct spec_endpoint {
	char *network;       /* as the user wrote it; once created, its id, or "bridge" */
	struct strv aliases; /* further names on this network */
	char *ip, *mac;      /* NULL: chosen */
};

#define SPEC_NETWORKS_MAX 16

enum spec_restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_UNLESS_STOPPED };

struct spec {
	enum spec_kind kind;
	char *name;     /* without '/'; never NULL once created */
	char *image;    /* as the user wrote it; NULL for a machine without one */
	char *image_id; /* "sha256:..." of the image config; NULL without image */
	int64_t uid;    /* owner: socket peer's uid */

	/* process; after the image's defaults were merged in */
	struct strv entrypoint, cmd, env;
	char *workdir, *user;
	bool tty, open_stdin, stdin_once;
	bool attach_stdin, attach_stdout, attach_stderr; /* as Docker shows them */
	char *stop_signal;                               /* "SIGTERM" when NULL */
	int stop_timeout_s;                              /* -1: default 10 */
	json_t *healthcheck;                             /* Docker's object, or NULL */
	struct strmap labels;
	char *hostname, *domainname;
	struct strv volumes; /* anonymous volumes named by image or -v /path */
	struct strv exposed; /* "80/tcp" */

	/* resources; 0 means not said, except where noted */
	int64_t memory_bytes, memory_reservation_bytes, memory_swap_bytes; /* swap -1: unlimited */
	int64_t memory_swappiness;                                         /* -1: not said */
	int64_t cpu_milli;                                                 /* --cpus */
	int64_t cpu_shares, cpu_quota_us, cpu_period_us;
	char *cpuset_cpus, *cpuset_mems;
	int64_t pids_limit; /* 0 or -1: none */
	int64_t disk_bytes; /* --storage-opt size= */
	int64_t blkio_weight;
	struct spec_throttle *throttles;
	size_t n_throttles;
	struct spec_ulimit *ulimits;
	size_t n_ulimits;
	bool oom_kill_disable;
	int oom_score_adj;
	int64_t gpus;
	int64_t net_egress_bps,
	    net_ingress_bps; /* bits per second; --net-rate, label hostel.net-rate */

	/* security */
	struct strv cap_add, cap_drop, security_opt, group_add;
	bool privileged, readonly_rootfs, init;
	struct strv masked_paths, readonly_paths; /* only when said by the client */
	bool masked_paths_set, readonly_paths_set;
	struct strmap sysctls;
	struct spec_device *devices;
	size_t n_devices;
	struct strv device_cgroup_rules;
	char *cgroup_parent;

	/* files */
	struct spec_mount *mounts;
	size_t n_mounts;
	struct strv binds; /* -v as written, for inspect */
	struct strmap tmpfs;
	struct strmap storage_opt;
	int64_t shm_bytes; /* 0: 64 MiB */

	/* namespaces: "", "host", "private", "container:NAME", "shareable" */
	/* "bridge", "none", "host", "container:NAME", a network's name or id; NULL: default bridge
	 */
	char *network_mode;
	char *ipc_mode, *pid_mode, *uts_mode, *userns_mode, *cgroupns_mode;

	/* network */
	struct spec_port *ports;
	size_t n_ports;
	bool publish_all;
	char *mac_address, *ip_address; /* of the network of network_mode */
	/* Once created: all that it joins, that of network_mode first; connect and disconnect
	 * change it. Before: what the user said of some of them. */
	struct spec_endpoint *endpoints;
	size_t n_endpoints;
	struct strv dns, dns_search, dns_options, extra_hosts, links;

	/* life */
	enum spec_restart restart;
	int restart_max; /* on-failure:N; 0 without end */
	bool auto_remove;
	char *log_driver; /* "json-file" when NULL; "none" */
	struct strmap log_opts;
	char *container_id_file;

	/* queue, from labels hostel.* or hostel's own flags */
	bool queue_wait;         /* label hostel.queue=wait */
	int64_t wait_timeout_ns; /* 0: none */
	bool no_wait;
	int64_t priority;
	int64_t expect_ns;     /* expected run time; 0 unknown */
	int64_t time_limit_ns; /* of run time; 0: none */
	int64_t max_wait_ns;   /* instead of the policy's; 0: that */
	char *deadline;        /* spec_deadline(); NULL: none */
	struct strv after; /* NAME or NAME:ok; once created, ids: it starts when they have ended */

	/* machine */
	int vcpus; /* VM: 0 means from cpu_milli, else the kind's default */
	struct spec_disk *disks;
	size_t n_disks;
	char *kernel, *initrd, *append; /* user's files, NULL: default bundle */
	char *firmware;                 /* "bios" (default) or "uefi" */
	char *accel;                    /* NULL: best; "kvm", "tcg" */
	char *machine_type;             /* NULL: chosen; "q35", "microvm" */
};

/** spec_new() - a spec with the defaults that are not zero (swappiness -1, stop timeout -1) */
struct spec *spec_new(void);

/**
 * spec_deadline() - when a deadline is: a time as RFC 3339 writes it, or a duration from @from_ns
 * @ret_wall_ns: wall clock, ns since the epoch
 * Return: NULL, or ERR_INVALID.
 */
struct err *spec_deadline(const char *text, int64_t from_ns, int64_t *ret_wall_ns) MUST_USE;

void spec_free(struct spec *s);
DEFINE_OWN(spec, spec_free)

/** spec_to_json() - the stored form; new reference, carries "Version" */
json_t *spec_to_json(const struct spec *s);

/**
 * spec_from_json() - read the stored form
 * Return: NULL, or ERR_INVALID; ERR_UNSUPPORTED for a newer version.
 */
struct err *spec_from_json(const json_t *j, struct spec **ret) MUST_USE;

/** spec_has_own_network() - does network_mode give it a network of its own, which can join bridges?
 */
bool spec_has_own_network(const struct spec *s);

/** spec_endpoint_on() - its end of a network, by the name that is stored; NULL: it is not there */
struct spec_endpoint *spec_endpoint_on(const struct spec *s, const char *network);

/** spec_endpoint_add() - a further one, empty; only for fewer than SPEC_NETWORKS_MAX */
struct spec_endpoint *spec_endpoint_add(struct spec *s, const char *network);

/** spec_endpoint_drop() - take it out of the list */
void spec_endpoint_drop(struct spec *s, const char *network);

/** spec_kind_name() - "container", "vm" (image) or "machine"; static storage */
const char *spec_kind_name(enum spec_kind kind);

/** spec_is_vm() - does it run under a kernel of its own? */
static inline bool spec_is_vm(const struct spec *s)
{
	return s->kind != SPEC_CONTAINER;
}

/**
 * spec_check_name() - may this be an instance's name?
 * @name: [a-zA-Z0-9][a-zA-Z0-9_.-]+, at most 255 bytes
 * Return: NULL, or ERR_INVALID with what is wrong.
 */
struct err *spec_check_name(const char *name) MUST_USE;

/**
 * spec_check() - the rules that hold between fields, whoever made the spec
 * For example: a memory limit under 6 MiB, a reservation above the limit, --cpus with
 * --cpu-quota, auto-remove with a restart policy, what a VM cannot do yet.
 * Return: NULL, or ERR_INVALID / ERR_UNSUPPORTED with one clear line.
 */
struct err *spec_check(const struct spec *s) MUST_USE;

#endif
