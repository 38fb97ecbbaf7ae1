/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ctr/plan_int.h"
#include "util/mem.h"

#define SHM_BYTES (INT64_C(64) << 20)

struct default_mount {
	const char *target, *type, *source;
	const char *options; /* separated by commas */
};

static const struct default_mount defaults[] = {
	{ "/proc", "proc", "proc", "nosuid,noexec,nodev" },
	{ "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k" },
	{ "/dev/pts", "devpts", "devpts",
	  "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro" },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev" },
	{ "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev" },
};

static const char *const masked[] = {
	"/proc/asound",      "/proc/acpi",          "/proc/kcore",
	"/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
	"/proc/timer_stats", "/proc/sched_debug",   "/proc/scsi",
	"/proc/interrupts",  "/sys/firmware",       "/sys/devices/virtual/powercap",
};

static const char *const readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static json_t *split(const char *options)
{
	json_t *a = json_array();

	while (*options) {
		size_t n = strcspn(options, ",");

		if (n)
			json_array_append_new(a, json_stringn(options, n));
		options += n + (options[n] == ',');
	}
	return a;
}

static json_t *mount_json(const char *target, const char *type, const char *source, json_t *options)
{
	return json_pack("{s:o, s:s, s:o, s:o}", "destination", jx_string(target), "type", type,
			 "source", jx_string(source), "options", options);
}

/* Does the user mount something there, or over a folder above it in /dev? */
static bool user_mounts(const struct spec *s, const char *target)
{
	bool in_dev = !strncmp(target, "/dev/", 5);

	for (size_t i = 0; i < s->n_mounts; i++)
		if (streq(s->mounts[i].target, target) ||
		    (in_dev && streq(s->mounts[i].target, "/dev")))
			return true;
	return strmap_get(&s->tmpfs, target) != NULL;
}

static void without(json_t *options, const char *which)
{
	for (size_t i = json_array_size(options); i-- > 0;)
		if (streq(json_string_value(json_array_get(options, i)), which))
			json_array_remove(options, i);
}

static void add_defaults(const struct spec *s, json_t *mounts)
{
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		const struct default_mount *d = &defaults[i];
		bool is_cgroup = streq(d->type, "cgroup");

		if (user_mounts(s, d->target) || (is_cgroup && spec_is_vm(s)))
			continue;
		json_t *options = split(d->options);

		if (s->privileged)
			without(options, "ro");
		json_array_append_new(mounts, mount_json(d->target, d->type, d->source, options));
	}
}

/* Who shares another's IPC namespace shares its /dev/shm: seen by way of its process. */
static char *shm_of_other(const struct spec *s, const struct guest_facts *in)
{
	bool joins = s->ipc_mode && !strncmp(s->ipc_mode, "container:", 10);
	size_t n = in->ipc_ns ? strlen(in->ipc_ns) : 0;

	if (!joins || spec_is_vm(s) || n < 7 || strcmp(in->ipc_ns + n - 7, "/ns/ipc") != 0)
		return NULL;
	return xasprintf("%.*s/root/dev/shm", (int)n - 7, in->ipc_ns);
}

static void add_shm(const struct spec *s, const struct guest_facts *in, json_t *mounts)
{
	OWN(mem) char *other = shm_of_other(s, in);
	bool is_host = plan_mode_is(s->ipc_mode, "host") && !spec_is_vm(s);
	json_t *options;

	if (user_mounts(s, "/dev/shm") || plan_mode_is(s->ipc_mode, "none"))
		return;
	if (other || is_host) {
		json_array_append_new(mounts,
				      mount_json("/dev/shm", "bind", other ? other : "/dev/shm",
						 split("rbind,rprivate")));
		return;
	}
	options = split("nosuid,noexec,nodev,mode=1777");
	OWN(mem) char *size = xasprintf("size=%ld", s->shm_bytes > 0 ? s->shm_bytes : SHM_BYTES);

	json_array_append_new(options, json_string(size));
	json_array_append_new(mounts, mount_json("/dev/shm", "tmpfs", "shm", options));
}

static json_t *tmpfs_options(const char *text)
{
	json_t *options = split("nosuid,nodev,noexec");
	json_t *more = split(text ? text : "");

	for (size_t i = 0; i < json_array_size(more); i++) {
		const char *o = json_string_value(json_array_get(more, i));

		if (streq(o, "exec") || streq(o, "suid") || streq(o, "dev")) {
			OWN(mem) char *no = xasprintf("no%s", o);

			without(options, no);
		}
		json_array_append(options, json_array_get(more, i));
	}
	json_decref(more);
	return options;
}

static json_t *tmpfs_json(const struct spec_mount *m)
{
	json_t *options = tmpfs_options(m->tmpfs_options);

	if (m->tmpfs_bytes > 0) {
		OWN(mem) char *size = xasprintf("size=%ld", m->tmpfs_bytes);

		json_array_append_new(options, json_string(size));
	}
	if (m->tmpfs_mode > 0) {
		OWN(mem) char *mode = xasprintf("mode=%o", (unsigned)m->tmpfs_mode);

		json_array_append_new(options, json_string(mode));
	}
	if (m->readonly)
		json_array_append_new(options, json_string("ro"));
	return mount_json(m->target, "tmpfs", "tmpfs", options);
}

static json_t *bind_json(const struct spec_mount *m, const char *source)
{
	json_t *options = json_array();

	json_array_append_new(options, json_string(m->non_recursive ? "bind" : "rbind"));
	if (m->readonly)
		json_array_append_new(options, json_string(m->non_recursive ? "ro" : "rro"));
	json_array_append_new(
	    options, json_string(m->propagation && *m->propagation ? m->propagation : "rprivate"));
	return mount_json(m->target, "bind", source, options);
}

static struct err *add_user_mount(const struct spec *s, size_t i, const struct guest_facts *in,
				  json_t *mounts)
{
	const struct spec_mount *m = &s->mounts[i];
	const char *source = in->mount_sources ? in->mount_sources[i] : m->source;

	if (m->type == MOUNT_TMPFS) {
		json_array_append_new(mounts, tmpfs_json(m));
		return NULL;
	}
	if (spec_is_vm(s))
		return NULL;
	if (!source)
		return err_new(ERR_INTERNAL, "mount %s has no source", m->target);
	json_array_append_new(mounts, bind_json(m, source));
	return NULL;
}

static size_t depth(const json_t *mount)
{
	size_t n = 0;

	for (const char *p = jx_str(mount, "destination", ""); *p; p++)
		n += *p == '/' && p[1] && p[1] != '/';
	return n;
}

/* What lies above must be mounted first; otherwise the order given is kept. */
static void append_by_depth(json_t *mounts, json_t *more)
{
	for (size_t level = 0, left = json_array_size(more); left; level++)
		for (size_t i = 0; i < json_array_size(more); i++) {
			if (depth(json_array_get(more, i)) != level)
				continue;
			json_array_append(mounts, json_array_get(more, i));
			left--;
		}
}

static void add_file(const struct spec *s, json_t *mounts, const char *source, const char *target)
{
	if (!source || user_mounts(s, target))
		return;
	json_array_append_new(
	    mounts, mount_json(target, "bind", source,
			       split(s->readonly_rootfs ? "rbind,rprivate,ro" : "rbind,rprivate")));
}

static struct err *add_users(const struct spec *s, const struct guest_facts *in, json_t *mounts)
{
	OWN(json) json_t *more = json_array();

	for (size_t i = 0; i < s->n_mounts; i++)
		TRY(add_user_mount(s, i, in, more));
	for (size_t i = 0; i < s->tmpfs.n; i++)
		json_array_append_new(more, mount_json(s->tmpfs.v[i].key, "tmpfs", "tmpfs",
						       tmpfs_options(s->tmpfs.v[i].value)));
	if (!spec_is_vm(s)) {
		add_file(s, more, in->resolv, "/etc/resolv.conf");
		add_file(s, more, in->hostname_file, "/etc/hostname");
		add_file(s, more, in->hosts, "/etc/hosts");
	}
	if (s->init && in->init && !spec_is_vm(s))
		json_array_append_new(
		    more, mount_json("/sbin/docker-init", "bind", in->init, split("bind,ro")));
	append_by_depth(mounts, more);
	return NULL;
}

static json_t *paths(const struct spec *s, bool is_set, const struct strv *own,
		     const char *const *table, size_t n)
{
	json_t *a = json_array();

	if (is_set) {
		json_decref(a);
		return jx_from_strv(own);
	}
	for (size_t i = 0; i < n && !s->privileged; i++)
		json_array_append_new(a, json_string(table[i]));
	return a;
}

/* Binds that share with the host need a root that does not cut the connection. */
static void set_propagation(const struct spec *s, json_t *oci_linux)
{
	const char *found = NULL;

	for (size_t i = 0; i < s->n_mounts && !spec_is_vm(s); i++) {
		const char *p = s->mounts[i].propagation;

		if (p && strstr(p, "shared"))
			found = "shared";
		else if (p && strstr(p, "slave") && !found)
			found = "slave";
	}
	if (found)
		json_object_set_new(oci_linux, "rootfsPropagation", json_string(found));
}

struct err *plan_mounts(const struct spec *s, const struct guest_facts *in, json_t *oci,
			json_t *oci_linux)
{
	OWN(json) json_t *mounts = json_array();

	add_defaults(s, mounts);
	add_shm(s, in, mounts);
	TRY(add_users(s, in, mounts));
	json_object_set(oci, "mounts", mounts);
	json_object_set_new(
	    oci_linux, "maskedPaths",
	    paths(s, s->masked_paths_set, &s->masked_paths, masked, ARRAY_SIZE(masked)));
	json_object_set_new(
	    oci_linux, "readonlyPaths",
	    paths(s, s->readonly_paths_set, &s->readonly_paths, readonly, ARRAY_SIZE(readonly)));
	set_propagation(s, oci_linux);
	return NULL;
}
