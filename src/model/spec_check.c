/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spec.h"

#include <ctype.h>
#include <inttypes.h>

#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

#define NAME_MAX_BYTES   255
#define MEMORY_MIN_BYTES (6 << 20) /* Docker's own floor */
#define VM_MEMORY_MIN    (64 << 20)

struct err *spec_deadline(const char *text, int64_t from_ns, int64_t *ret_wall_ns)
{
	int64_t wait;

	if (clock_parse_rfc3339(text, ret_wall_ns))
		return NULL;
	if (num_parse_duration(text, &wait))
		return err_new(
		    ERR_INVALID,
		    "deadline \"%.64s\": expected a time like 2026-12-24T18:00:00Z, or a "
		    "duration like 2h",
		    text);
	*ret_wall_ns = from_ns + wait;
	return NULL;
}

static bool is_name_byte(char c, bool first)
{
	return isalnum((unsigned char)c) || (!first && strchr("_.-", c) && c);
}

struct err *spec_check_name(const char *name)
{
	size_t len = strlen(name);
	bool ok = len >= 2 && len <= NAME_MAX_BYTES;

	for (size_t i = 0; i < len && ok; i++)
		ok = is_name_byte(name[i], i == 0);
	if (ok)
		return NULL;
	/* The client sees bytes it can print: controls become '?'. */
	OWN(mem) char *shown = xstrndup(name, 64);

	for (char *p = shown; *p; p++)
		if (iscntrl((unsigned char)*p))
			*p = '?';
	return err_new(ERR_INVALID,
		       "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
		       shown);
}

static struct err *check_memory(const struct spec *s)
{
	int64_t m = s->memory_bytes;

	if (m < 0 || s->memory_reservation_bytes < 0)
		return err_new(ERR_INVALID, "memory must not be negative");
	/* Nobody means so few bytes; "1m" is a wish that cannot be met. */
	if (m > 0 && m < (1 << 20))
		return err_new(ERR_INVALID,
			       "Minimum memory limit allowed is 6MB, got %" PRId64
			       " bytes; did you mean %" PRId64 "m?",
			       m, m);
	if (m > 0 && m < MEMORY_MIN_BYTES)
		return err_new(ERR_INVALID,
			       "Minimum memory limit allowed is 6MB, got %" PRId64 " bytes", m);
	if (spec_is_vm(s) && m > 0 && m < VM_MEMORY_MIN)
		return err_new(ERR_INVALID,
			       "a VM needs at least 64 MiB of memory, got %" PRId64 " bytes", m);
	if (m > 0 && s->memory_reservation_bytes > m)
		return err_new(ERR_INVALID,
			       "Minimum memory limit can not be less than memory reservation "
			       "limit, see usage");
	if (s->memory_swap_bytes > 0 && !m)
		return err_new(ERR_INVALID, "You should always set the Memory limit when using "
					    "Memoryswap limit, see usage");
	if (s->memory_swap_bytes > 0 && s->memory_swap_bytes < m)
		return err_new(ERR_INVALID, "Minimum memoryswap limit should be larger than "
					    "memory limit, see usage");
	if (s->memory_swappiness < -1 || s->memory_swappiness > 100)
		return err_new(ERR_INVALID,
			       "invalid value: %" PRId64 ", valid memory swappiness "
			       "range is 0-100",
			       s->memory_swappiness);
	return NULL;
}

static struct err *check_cpu(const struct spec *s)
{
	if (s->cpu_milli < 0)
		return err_new(ERR_INVALID, "--cpus must not be negative");
	if (s->cpu_milli && s->cpu_milli < 10)
		return err_new(ERR_INVALID, "--cpus is at least 0.01");
	if (s->cpu_milli && (s->cpu_quota_us || s->cpu_period_us))
		return err_new(ERR_INVALID,
			       "Conflicting options: Nano CPUs and CPU %s cannot both "
			       "be set",
			       s->cpu_quota_us ? "Quota" : "Period");
	if (s->cpu_shares < 0)
		return err_new(ERR_INVALID, "cpu shares must not be negative");
	if (s->cpu_period_us && (s->cpu_period_us < 1000 || s->cpu_period_us > 1000000))
		return err_new(ERR_INVALID,
			       "CPU cfs period can not be less than 1ms (i.e. 1000) or "
			       "larger than 1s (i.e. 1000000)");
	if (s->cpu_quota_us > 0 && s->cpu_quota_us < 1000)
		return err_new(ERR_INVALID, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	return NULL;
}

static bool has_no_link(const char *mode)
{
	return mode &&
	       (!strcmp(mode, "none") || !strcmp(mode, "host") || !strncmp(mode, "container:", 10));
}

static struct err *check_rates(const struct spec *s)
{
	if (s->disk_bytes < 0 || (s->disk_bytes && s->disk_bytes < (8 << 20)))
		return err_new(ERR_INVALID, "--storage-opt size= is at least 8m");
	if (s->shm_bytes < 0)
		return err_new(ERR_INVALID, "SHM size can not be less than 0");
	if (s->pids_limit < -1)
		return err_new(ERR_INVALID, "--pids-limit must be -1 or more");
	if (s->net_egress_bps < 0 || s->net_ingress_bps < 0)
		return err_new(ERR_INVALID, "--net-rate must not be negative");
	if ((s->net_egress_bps || s->net_ingress_bps) && has_no_link(s->network_mode))
		return err_new(ERR_INVALID, "--net-rate needs a network of its own, not %s",
			       s->network_mode);
	if (s->oom_score_adj < -1000 || s->oom_score_adj > 1000)
		return err_new(ERR_INVALID,
			       "Invalid value %d, range for oom score adj is "
			       "[-1000, 1000]",
			       s->oom_score_adj);
	if (s->blkio_weight && (s->blkio_weight < 10 || s->blkio_weight > 1000))
		return err_new(ERR_INVALID, "Range of blkio weight is from 10 to 1000");
	for (size_t i = 0; i < s->n_throttles; i++)
		if (s->throttles[i].rate <= 0)
			return err_new(ERR_INVALID, "rate of %s must be above 0",
				       s->throttles[i].device);
	return NULL;
}

/* Those of Docker's json-file; the first two do something here, the others only add to entries. */
static const char *const log_opts[] = { "max-size",       "max-file",     "compress",
					"labels",         "labels-regex", "env",
					"env-regex",      "tag",          "mode",
					"max-buffer-size" };

static bool is_log_opt(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(log_opts); i++)
		if (streq(name, log_opts[i]))
			return true;
	return false;
}

static struct err *check_log(const struct spec *s)
{
	const char *size = strmap_get(&s->log_opts, "max-size");
	const char *files = strmap_get(&s->log_opts, "max-file");
	int64_t n;

	if (s->log_driver && !streq(s->log_driver, "json-file") && !streq(s->log_driver, "none"))
		return err_new(ERR_UNSUPPORTED,
			       "logger: no log driver named '%s' is registered; "
			       "hostel has json-file and none",
			       s->log_driver);
	for (size_t i = 0; i < s->log_opts.n && !streq(s->log_driver, "none"); i++)
		if (!is_log_opt(s->log_opts.v[i].key))
			return err_new(ERR_INVALID, "unknown log opt '%s' for json-file log driver",
				       s->log_opts.v[i].key);
	if (size && strcmp(size, "-1"))
		TRY_MSG(num_parse_bytes(size, &n), "log opt max-size");
	if (files)
		TRY_MSG(num_parse_i64(files, 1, 1000, &n), "log opt max-file");
	return NULL;
}

static struct err *check_networks(const struct spec *s)
{
	if (s->n_endpoints > SPEC_NETWORKS_MAX)
		return err_new(ERR_LIMIT, "at most %d networks for one instance",
			       SPEC_NETWORKS_MAX);
	if (s->n_endpoints && !spec_has_own_network(s))
		return err_new(ERR_INVALID,
			       "conflicting options: a network cannot be joined with network mode "
			       "%s",
			       s->network_mode);
	return NULL;
}

/* A step up would leave groups behind that nobody removes. */
static struct err *check_cgroup(const char *parent)
{
	for (const char *p = parent; p && *p; p += strcspn(p, "/"), p += *p == '/')
		if (strcspn(p, "/") == 2 && !strncmp(p, "..", 2))
			return err_new(ERR_INVALID, "cgroup parent %.64s: \"..\" is not allowed",
				       parent);
	return NULL;
}

static struct err *check_life(const struct spec *s)
{
	if (s->auto_remove && s->restart != RESTART_NO)
		return err_new(ERR_INVALID,
			       "can't create 'AutoRemove' container with restart policy");
	if (s->restart_max < 0)
		return err_new(ERR_INVALID, "maximum retry count cannot be negative");
	if (s->restart_max && s->restart != RESTART_ON_FAILURE)
		return err_new(ERR_INVALID, "invalid restart policy: maximum retry count can only "
					    "be used with 'on-failure'");
	TRY(check_cgroup(s->cgroup_parent));
	return check_log(s);
}

static struct err *check_files(const struct spec *s)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct spec_mount *m = &s->mounts[i];

		if (!m->target || m->target[0] != '/')
			return err_new(ERR_INVALID,
				       "invalid mount path: '%s' mount path must be absolute",
				       m->target ? m->target : "");
		if (streq(m->target, "/"))
			return err_new(ERR_INVALID,
				       "invalid volume specification: destination can't be '/'");
		if (m->type == MOUNT_BIND && (!m->source || m->source[0] != '/'))
			return err_new(ERR_INVALID,
				       "invalid mount config for type \"bind\": "
				       "source must be an absolute path, got '%s'",
				       m->source ? m->source : "");
	}
	if (s->workdir && s->workdir[0] && s->workdir[0] != '/')
		return err_new(ERR_INVALID,
			       "the working directory '%s' is invalid, it needs to be "
			       "an absolute path",
			       s->workdir);
	return NULL;
}

static bool is_host(const char *mode)
{
	return streq(mode, "host");
}

/* What an image VM cannot do yet, by name. */
static struct err *check_vm(const struct spec *s)
{
	const struct {
		bool asked;
		const char *what;
	} not_yet[] = {
		{ s->n_mounts > 0 || s->binds.n > 0, "-v and bind mounts (until virtiofs comes)" },
		{ s->tmpfs.n > 0 && s->kind == SPEC_MACHINE, "--tmpfs" },
		{ is_host(s->network_mode), "--network host" },
		{ s->network_mode && !strncmp(s->network_mode, "container:", 10),
		  "--network container:" },
		{ s->n_endpoints > 1, "more than one network" },
		{ is_host(s->pid_mode), "--pid host" },
		{ is_host(s->ipc_mode), "--ipc host" },
		{ is_host(s->uts_mode), "--uts host" },
		{ s->n_devices > 0, "--device" },
		{ s->n_throttles > 0 && s->kind == SPEC_MACHINE, "--device-read-bps and kin" },
		{ s->gpus != 0, "--gpus" },
		{ s->pids_limit > 0 && s->kind == SPEC_MACHINE, "--pids-limit" },
	};

	if (!spec_is_vm(s))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(not_yet); i++)
		if (not_yet[i].asked)
			return err_new(ERR_UNSUPPORTED, "a VM cannot have %s", not_yet[i].what);
	return NULL;
}

static struct err *check_machine(const struct spec *s)
{
	if (s->kind != SPEC_MACHINE && (s->n_disks || s->kernel || s->initrd))
		return err_new(ERR_INVALID, "disks and kernels belong to machines; use hostel vm "
					    "create");
	if (s->initrd && !s->kernel)
		return err_new(ERR_INVALID, "--initrd needs --kernel");
	if (s->append && !s->kernel && s->kind == SPEC_MACHINE)
		return err_new(ERR_INVALID, "--append needs --kernel");
	if (s->firmware && !streq(s->firmware, "bios") && !streq(s->firmware, "uefi"))
		return err_new(ERR_INVALID, "firmware is bios or uefi, not \"%s\"", s->firmware);
	for (size_t i = 0; i < s->n_disks; i++) {
		const struct spec_disk *d = &s->disks[i];

		if (!d->path && d->new_bytes < (1 << 20))
			return err_new(ERR_INVALID, "a new disk has at least 1m");
		if (d->path && d->path[0] != '/')
			return err_new(ERR_INVALID, "disk path %s is not absolute", d->path);
	}
	return NULL;
}

struct err *spec_check(const struct spec *s)
{
	if (s->name)
		TRY(spec_check_name(s->name));
	TRY(check_memory(s));
	TRY(check_cpu(s));
	TRY(check_rates(s));
	TRY(check_life(s));
	TRY(check_networks(s));
	TRY(check_files(s));
	TRY(check_machine(s));
	TRY(check_vm(s));
	return s->gpus ? err_new(ERR_UNSUPPORTED, "could not select device driver \"\" with "
						  "capabilities: [[gpu]]")
		       : NULL;
}
