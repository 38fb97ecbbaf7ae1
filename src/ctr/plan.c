/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/plan.h"

#include <string.h>

#include "backend/resources.h"
#include "ctr/plan_int.h"
#include "sys/cgroup.h"
#include "util/mem.h"

#define OCI_VERSION     "1.2.0"
#define BEST_EFFORT_ADJ 500 /* who declares no memory is the OOM killer's first victim */

const char *plan_security_opt(const struct spec *s, const char *key)
{
	const char *found = NULL;
	size_t n = strlen(key);

	for (size_t i = 0; i < s->security_opt.n; i++) {
		const char *o = s->security_opt.v[i];

		if (strncmp(o, key, n))
			continue;
		if (!o[n])
			found = "";
		else if (o[n] == '=' || o[n] == ':')
			found = o + n + 1;
	}
	return found;
}

bool plan_mode_is(const char *mode, const char *what)
{
	return mode && !strcmp(mode, what);
}

static bool joins_other(const char *mode)
{
	return mode && !strncmp(mode, "container:", 10);
}

const char *ctr_plan_seccomp(const struct spec *s)
{
	const char *v = plan_security_opt(s, "seccomp");

	if (v && (streq(v, "unconfined") || !*v))
		return NULL;
	if (s->privileged && !v)
		return NULL;
	return v && !streq(v, "builtin") ? v : "default";
}

/* ---- namespaces ---- */

static void add_ns(json_t *list, const char *type, const char *mode, const char *path)
{
	json_t *j;

	if (plan_mode_is(mode, "host"))
		return;
	j = json_pack("{s:s}", "type", type);
	if (joins_other(mode) && path)
		json_object_set_new(j, "path", json_string(path));
	json_array_append_new(list, j);
}

/* Docker's default: the host's with cgroup v1 and for privileged ones, else an own one. */
static const char *cgroupns_mode(const struct spec *s, const struct guest_facts *in)
{
	bool v2 = in->cgroup_version ? in->cgroup_version == 2 : cgroup_is_v2();

	if (s->cgroupns_mode && *s->cgroupns_mode)
		return s->cgroupns_mode;
	return s->privileged || !v2 ? "host" : "private";
}

static json_t *namespaces(const struct spec *s, const struct guest_facts *in)
{
	json_t *list = json_array();

	if (spec_is_vm(s))
		return list;
	add_ns(list, "mount", NULL, NULL);
	add_ns(list, "uts", s->uts_mode, NULL);
	add_ns(list, "pid", s->pid_mode, in->pid_ns);
	add_ns(list, "ipc", s->ipc_mode, in->ipc_ns);
	add_ns(list, "network", s->network_mode, in->net_ns);
	add_ns(list, "cgroup", cgroupns_mode(s, in), NULL);
	return list;
}

/* ---- sysctls ---- */

/* What belongs to a namespace; anything else would be set for the whole host. */
static const struct {
	const char *name; /* with a dot at its end: all below */
	size_t mode;      /* which mode of the spec says "host" */
} sysctls[] = {
	{ "kernel.msgmax", offsetof(struct spec, ipc_mode) },
	{ "kernel.msgmnb", offsetof(struct spec, ipc_mode) },
	{ "kernel.msgmni", offsetof(struct spec, ipc_mode) },
	{ "kernel.sem", offsetof(struct spec, ipc_mode) },
	{ "kernel.shmall", offsetof(struct spec, ipc_mode) },
	{ "kernel.shmmax", offsetof(struct spec, ipc_mode) },
	{ "kernel.shmmni", offsetof(struct spec, ipc_mode) },
	{ "kernel.shm_rmid_forced", offsetof(struct spec, ipc_mode) },
	{ "kernel.domainname", offsetof(struct spec, uts_mode) },
	{ "fs.mqueue.", offsetof(struct spec, ipc_mode) },
	{ "net.", offsetof(struct spec, network_mode) },
};

static bool is_own_sysctl(const struct spec *s, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++) {
		size_t n = strlen(sysctls[i].name);
		bool below = sysctls[i].name[n - 1] == '.';
		const char *const *mode =
		    (const char *const *)(const void *)((const char *)s + sysctls[i].mode);

		if (below ? !strncmp(key, sysctls[i].name, n) : !strcmp(key, sysctls[i].name))
			return !plan_mode_is(*mode, "host");
	}
	return false;
}

static struct err *add_sysctls(const struct spec *s, json_t *lin)
{
	for (size_t i = 0; i < s->sysctls.n && !spec_is_vm(s); i++)
		if (!is_own_sysctl(s, s->sysctls.v[i].key))
			return err_new(ERR_INVALID,
				       "sysctl \"%s\" is not in a separate kernel namespace",
				       s->sysctls.v[i].key);
	if (s->sysctls.n)
		json_object_set_new(lin, "sysctl", jx_from_map(&s->sysctls));
	return NULL;
}

/* ---- the whole ---- */

static struct err *linux_json(const struct spec *s, const struct guest_facts *in, json_t *oci)
{
	OWN(json) json_t *lin = json_object();
	json_t *resources = NULL;

	json_object_set_new(lin, "namespaces", namespaces(s, in));
	TRY(add_sysctls(s, lin));
	TRY(plan_mounts(s, in, oci, lin));
	if (!spec_is_vm(s)) {
		TRY(resources_from_spec(s, &resources));
		json_object_set_new(lin, "resources", resources);
		TRY(plan_devices(s, lin, resources));
		if (in->cgroup)
			jx_set_str(lin, "cgroupsPath", in->cgroup);
	} else if (s->pids_limit > 0) {
		/* Processes are the guest's: its own kernel counts them. */
		json_object_set_new(
		    lin, "resources",
		    json_pack("{s:{s:I}}", "pids", "limit", (json_int_t)s->pids_limit));
	}
	json_object_set(oci, "linux", lin);
	return NULL;
}

static void set_hostname(const struct spec *s, const struct guest_facts *in, json_t *oci)
{
	const char *name = in->hostname ? in->hostname : s->hostname;

	if (plan_mode_is(s->uts_mode, "host") && !spec_is_vm(s))
		return;
	if (name && *name)
		jx_set_str(oci, "hostname", name);
	else if (in->id)
		json_object_set_new(oci, "hostname", json_stringn(in->id, strnlen(in->id, 12)));
	if (s->domainname && *s->domainname)
		jx_set_str(oci, "domainname", s->domainname);
}

static void set_best_effort(const struct spec *s, json_t *process)
{
	if (spec_is_vm(s) || s->memory_bytes || s->memory_reservation_bytes || s->oom_score_adj)
		return;
	json_object_set_new(process, "oomScoreAdj", json_integer(BEST_EFFORT_ADJ));
}

struct err *ctr_plan_oci(const struct spec *s, const struct guest_facts *in, json_t **ret_oci)
{
	OWN(json) json_t *oci = json_pack("{s:s}", "ociVersion", OCI_VERSION);
	json_t *process = NULL;

	TRY(plan_process(s, in, &process));
	json_object_set_new(oci, "process", process);
	set_best_effort(s, process);
	json_object_set_new(oci, "root",
			    json_pack("{s:s, s:b}", "path", in->rootfs ? in->rootfs : "rootfs",
				      "readonly", s->readonly_rootfs));
	set_hostname(s, in, oci);
	TRY(linux_json(s, in, oci));
	*ret_oci = TAKE(oci);
	return NULL;
}
