/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CGROUP_H
#define SYS_CGROUP_H

/*
 * One control group per instance, named by a path ("/hostel/ID") that is the same
 * below every hierarchy: v2 alone, or v1 with a hierarchy per controller (and, in
 * hybrid hosts, a v2 one without controllers, which still freezes and kills).
 *
 * Only what the instance needs is joined: cpuset groups exist when a cpu set was asked
 * for.  Functions write and read a few small files and do not block, but for
 * cgroup_kill() and cgroup_remove(), which may wait.
 *
 * Context: any process that may write below /sys/fs/cgroup; hosteld calls all but the
 * last two inline.
 * Spec: kernel Documentation/admin-guide/cgroup-v1, cgroup-v2.rst.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

enum cgroup_io { CGROUP_READ_BPS, CGROUP_WRITE_BPS, CGROUP_READ_IOPS, CGROUP_WRITE_IOPS };

struct cgroup_throttle {
	enum cgroup_io what;
	unsigned major, minor;
	uint64_t rate; /* bytes or operations per second */
};

struct cgroup_device {
	bool allow;
	char type;            /* 'a', 'b', 'c' */
	int64_t major, minor; /* -1: any */
	char access[4];       /* of "rwm" */
};

struct cgroup_weight {
	unsigned major, minor;
	unsigned weight; /* 10 to 1000 */
};

/* 0 (NULL) means not said, -1 no limit.  Strings and arrays are borrowed. */
struct cgroup_limits {
	int64_t memory, memory_swap, memory_reservation; /* bytes; swap: memory plus swap */
	int64_t swappiness;                              /* in percent; -1: not said */
	bool oom_kill_disable;
	int64_t cpu_shares, cpu_quota_us, cpu_period_us;
	const char *cpuset_cpus, *cpuset_mems;
	int64_t pids;
	int64_t blkio_weight; /* 10 to 1000 */
	const struct cgroup_weight *weights;
	size_t n_weights;
	const struct cgroup_throttle *throttles;
	size_t n_throttles;
	const struct cgroup_device *devices; /* in order; none: everything is allowed */
	size_t n_devices;
};

#define CGROUP_LIMITS_NONE                                                                         \
	{                                                                                          \
		.swappiness = -1                                                                   \
	}

struct cgroup_stats {
	uint64_t cpu_ns, cpu_user_ns, cpu_system_ns;
	uint64_t throttled_ns, periods, throttled_periods;
	uint64_t memory, memory_max, memory_limit; /* usage; highest; UINT64_MAX: no limit */
	uint64_t memory_inactive_file, memory_anon, memory_file;
	uint64_t memory_failures, oom_kills;
	uint64_t pids, pids_limit; /* UINT64_MAX: no limit */
	uint64_t read_bytes, write_bytes, read_ops, write_ops;
};

/** cgroup_is_v2() - has this host the unified hierarchy alone? */
bool cgroup_is_v2(void);

/**
 * cgroup_dir() - folder of a group in one hierarchy
 * @controller: "memory", "cpu", …; in a v2 host all are the same; "unified" is the v2
 *              hierarchy of a hybrid host
 * Return: "/sys/fs/cgroup/memory/hostel/ID", owned by the caller.
 */
char *cgroup_dir(const char *controller, const char *path);

/**
 * cgroup_create() - make the group (and its parents) in every hierarchy and set its limits
 * An existing group is used again.
 * Return: NULL; ERR_INVALID for a limit that the kernel refuses; ERR_UNSUPPORTED for one
 *         whose controller is not there; a system error.
 */
struct err *cgroup_create(const char *path, const struct cgroup_limits *l) MUST_USE;

/**
 * cgroup_set() - change the limits that are said in @l; devices are left as they are
 * Memory and memory plus swap are written in the order that the kernel accepts.
 */
struct err *cgroup_set(const char *path, const struct cgroup_limits *l) MUST_USE;

/** cgroup_join() - move the calling (single-threaded) process into the group */
struct err *cgroup_join(const char *path) MUST_USE;

/**
 * cgroup_join_core() - move the calling process into the one hierarchy that freezes, kills and
 * lists, and no other: with a hierarchy per controller no limit counts it then
 */
struct err *cgroup_join_core(const char *path) MUST_USE;

/** cgroup_freezer_dir() - the group's folder in that hierarchy; owned by the caller */
char *cgroup_freezer_dir(const char *path);

/** cgroup_add() - move another process with all its threads into the group */
struct err *cgroup_add(const char *path, pid_t pid) MUST_USE;

/** cgroup_stats() - what the group used; what a host does not count is 0 */
struct err *cgroup_read_stats(const char *path, struct cgroup_stats *ret) MUST_USE;

/** cgroup_pids() - process ids in the group, as many as fit in @pids; returns their true number */
size_t cgroup_pids(const char *path, pid_t *pids, size_t max);

/**
 * cgroup_freeze() - stop or let run all in the group; waits (at most 0.1 s) until it is so
 * Return: NULL; ERR_NOT_FOUND when there is no such group; a system error.
 */
struct err *cgroup_freeze(const char *path, bool on) MUST_USE;

/**
 * cgroup_freeze_ask() - the same without waiting; cgroup_is_frozen() says when it is so
 * Repeating it does no harm.
 */
struct err *cgroup_freeze_ask(const char *path, bool on) MUST_USE;

/** cgroup_is_frozen() - has all in the group stopped? false too when there is no such group */
bool cgroup_is_frozen(const char *path);

/**
 * cgroup_kill() - send SIGKILL to all in the group (frozen or not) and in groups below it, and
 * wait for their end
 * @timeout_ms: how long to wait; 0: do not
 * Return: NULL (also when there is no such group); ERR_UNAVAILABLE when something still runs.
 */
struct err *cgroup_kill(const char *path, int timeout_ms) MUST_USE;

/**
 * cgroup_remove() - remove the group and those below it from every hierarchy; idempotent
 * @timeout_ms: how long to try while the kernel says that it is busy
 */
struct err *cgroup_remove(const char *path, int timeout_ms) MUST_USE;

/**
 * cgroup_watch_oom() - descriptor that tells of kills for memory
 * v1: an eventfd, readable (POLLIN); v2: memory.events, exceptional (POLLPRI). Owned by the
 * caller.  ERR_UNSUPPORTED without a memory controller.
 */
struct err *cgroup_watch_oom(const char *path, int *ret_fd) MUST_USE;

/** cgroup_oom_kills() - how many processes of the group the kernel killed for memory */
uint64_t cgroup_oom_kills(const char *path);

/**
 * cgroup_attach_devices() - device rules on a group of a v2 hierarchy, by BPF
 * @dir: the group's folder
 * cgroup_create() does this in v2 hosts; the tests do it in the v2 part of hybrid ones.
 */
struct err *cgroup_attach_devices(const char *dir, const struct cgroup_device *devices,
				  size_t n) MUST_USE;

#endif
