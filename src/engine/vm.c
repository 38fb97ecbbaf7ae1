/* SPDX-License-Identifier: Apache-2.0 */
/* What is special about VMs in the daemon: kernels, accelerator, facts for their plan. */
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "sys/cgroup.h"
#include "util/mem.h"

#define BUSYBOX    "/bin/busybox"
#define KVM_DEVICE "/dev/kvm"

/* ---- kernel bundles ---- */

struct kernels {
	struct engine *e;
	json_t *out;
};

static struct err *list_kernel(void *arg, const char *key, const json_t *doc)
{
	struct kernels *k = arg;
	OWN(mem) char *path = engine_path(k->e, "kernels/%s", key);

	json_array_append_new(k->out, json_pack("{s:s, s:b, s:s, s:s}", "name", key, "default",
						json_array_size(k->out) == 0, "version",
						jx_str(doc, "kernel", ""), "path", path));
	return NULL;
}

json_t *engine_kernels(struct engine *e)
{
	struct kernels k = { e, json_array() };

	err_free(store_each(e->store, STORE_KERNEL, list_kernel, &k));
	return k.out;
}

struct err *engine_kernel_remove(struct engine *e, const char *name)
{
	OWN(json) json_t *doc = NULL;
	OWN(err) struct err *missing = store_get(e->store, STORE_KERNEL, name, &doc);
	OWN(mem) char *path = engine_path(e, "kernels/%s", name);
	struct instance *i;

	if (missing)
		return err_new(ERR_NOT_FOUND, "no such kernel: %s", name);
	TAILQ_FOREACH(i, &e->instances, link)
	if (spec_is_vm(i->spec) && instance_is_alive(i))
		return err_new(ERR_STATE, "kernel %s may be in use by %s", name, i->spec->name);
	TRY(store_begin(e->store));
	TRY(store_del(e->store, STORE_KERNEL, name));
	engine_dirty(e);
	strmap_done(&e->initrds);
	TRY(engine_commit(e));
	trash_put(e, path);
	return NULL;
}

static struct err *first_kernel(void *arg, const char *key, const json_t *doc)
{
	char **name = arg;

	if (!*name)
		*name = xstrdup(key);
	return NULL;
}

/* The oldest bundle is the default one. */
static char *kernel_default(struct engine *e)
{
	char *name = NULL;

	err_free(store_each(e->store, STORE_KERNEL, first_kernel, &name));
	return name;
}

/* Has hostel-guest inside: everything but a machine that boots its own disk or kernel. */
static bool has_agent(const struct spec *s)
{
	return s->kind == SPEC_IMAGE_VM || (s->kind == SPEC_MACHINE && !s->n_disks && !s->kernel);
}

/* A VM without an image gets the host's busybox, so that something can be run in it. */
static bool wants_busybox(const struct spec *s)
{
	return s->kind == SPEC_MACHINE && access(BUSYBOX, X_OK) == 0;
}

static char *initrd_key(const struct instance *i, const char *kernel)
{
	return xasprintf("%s%s", kernel, wants_busybox(i->spec) ? " with busybox" : "");
}

struct err *vm_check(struct engine *e, const struct spec *s)
{
	OWN(mem) char *kernel = NULL;

	if (!spec_is_vm(s) || s->kernel || s->n_disks)
		return NULL;
	kernel = kernel_default(e);
	if (!kernel)
		return err_new(ERR_UNAVAILABLE, "there is no kernel to boot it with: add one by "
						"\"hostel kernel add\"");
	return NULL;
}

void vm_initramfs_made(struct instance *i, const char *path)
{
	OWN(mem) char *kernel = kernel_default(i->e);
	OWN(mem) char *key = kernel ? initrd_key(i, kernel) : NULL;

	if (key)
		strmap_set(&i->e->initrds, key, path);
}

json_t *vm_initramfs_job(struct instance *i)
{
	OWN(mem) char *kernel = NULL;
	OWN(mem) char *guest = NULL;
	OWN(mem) char *key = NULL;
	const char *made;
	json_t *job;

	if (!spec_is_vm(i->spec) || !has_agent(i->spec))
		return NULL;
	kernel = kernel_default(i->e);
	key = kernel ? initrd_key(i, kernel) : NULL;
	made = key ? strmap_get(&i->e->initrds, key) : NULL;
	if (!kernel || (made && access(made, R_OK) == 0))
		return NULL; /* without a kernel the plan fails, with words */
	guest = xasprintf("%s/hostel-guest", i->e->c.libexec);
	job = json_pack("{s:s, s:s, s:s}", "job", "initramfs", "kernel", kernel, "guest", guest);
	if (wants_busybox(i->spec))
		jx_set_str(job, "busybox", BUSYBOX);
	return job;
}

/* ---- facts for the plan ---- */

static const char *keep(struct strv *texts, const char *text)
{
	strv_add(texts, text);
	return texts->v[texts->n - 1];
}

/* What the bundle adds to a command line, and the user's; the backend puts its own before. */
static char *bundle_append(const json_t *bundle, const char *user)
{
	return xasprintf("%s%s%s", jx_str(bundle, "append", ""), user ? " " : "", user ? user : "");
}

static struct err *find_bundle(struct instance *i, struct host_facts *f, struct strv *texts)
{
	OWN(mem) char *kernel = kernel_default(i->e);
	OWN(json) json_t *bundle = NULL;
	OWN(mem) char *key = NULL;
	OWN(mem) char *path = NULL;
	OWN(mem) char *append = NULL;

	TRY(vm_check(i->e, i->spec));
	TRY(store_get(i->e->store, STORE_KERNEL, kernel, &bundle));
	key = initrd_key(i, kernel);
	/* Unpacked where there is such a one: it starts half a second sooner under TCG. */
	path = engine_path(i->e, "kernels/%s/%s", kernel, jx_str(bundle, "vmlinux", "vmlinuz"));
	append = bundle_append(bundle, i->spec->append);
	f->kernel = keep(texts, path);
	f->append = keep(texts, append);
	f->initrd = strmap_get(&i->e->initrds, key);
	return NULL;
}

static struct err *find_kernel(struct instance *i, struct host_facts *f, struct strv *texts)
{
	const struct spec *s = i->spec;

	if (!s->kernel)
		return s->n_disks ? NULL : find_bundle(i, f, texts);
	f->kernel = s->kernel;
	f->initrd = s->initrd;
	f->append = s->append;
	return NULL;
}

/* Measured from the engine's start on, once. */
static int64_t tsc_rate(struct engine *e)
{
	const struct tsc_sample now = tsc_sample();

	if (!e->tsc_khz)
		e->tsc_khz = tsc_khz(&e->tsc_start, &now);
	return e->tsc_khz;
}

struct err *vm_facts(struct instance *i, struct host_facts *f, struct strv *texts)
{
	struct sched_job job;

	if (!spec_is_vm(i->spec))
		return NULL;
	job = queue_job(i);
	f->memory_bytes = job.demand.v[RES_MEMORY];
	f->cpu_milli = spec_demand_cpu_milli(i->spec);
	f->has_agent = has_agent(i->spec);
	f->has_kvm = i->e->has_kvm;
	f->tsc_khz = tsc_rate(i->e);
	return find_kernel(i, f, texts);
}

struct err *vm_facts_alone(struct instance *i, int64_t memory_bytes, struct host_facts *f,
			   struct strv *texts)
{
	f->memory_bytes = memory_bytes;
	f->cpu_milli = 1000;
	f->has_agent = true;
	f->has_kvm = i->e->has_kvm;
	f->tsc_khz = tsc_rate(i->e);
	return find_bundle(i, f, texts);
}

struct err *vm_check_agent(const struct instance *i)
{
	if (!spec_is_vm(i->spec) || has_agent(i->spec))
		return NULL;
	return err_new(ERR_UNSUPPORTED,
		       "%s is a machine without hostel-guest inside: reach it by its console",
		       i->spec->name);
}

struct top {
	struct engine *e;
	struct engine_done done;
};

/* hostel-guest's answer is in the form that we give; what a guest says is checked all the same. */
static void on_top(void *arg, struct err *err, const char *text)
{
	struct top *t = arg;
	json_t *j = NULL;

	if (!err)
		err = jx_parse(text, strlen(text), &j);
	if (!err && (!json_is_array(json_object_get(j, "Titles")) ||
		     !json_is_array(json_object_get(j, "Processes"))))
		err = err_new(ERR_CORRUPT, "hostel-guest gave no list of processes");
	if (err)
		json_decref(TAKE(j));
	engine_finish(t->e, t->done, err, j);
	free(t);
}

struct err *vm_top(struct instance *i, struct engine_done done)
{
	struct top *t;

	TRY(vm_check_agent(i));
	if (!i->conn)
		return err_new(ERR_STATE, "container %s is not running", i->id);
	t = xnew(struct top);
	*t = (struct top) { i->e, slicing_hold(i, done) };
	shim_conn_query(i->conn, "top", (struct shim_done) { on_top, t });
	return NULL;
}

/* ---- KVM ---- */

static void on_probed(void *arg, struct err *err, const json_t *result)
{
	struct engine *e = arg;

	e->has_kvm = !err && streq(jx_str(result, "verdict", NULL), "usable");
	str_set(&e->kvm_reason, err ? err_text(err) : jx_str(result, "reason", "no answer"));
	err_free(err);
}

/* Until the answer is there (a few milliseconds, two seconds at most), VMs start under TCG. */
void vm_probe_kvm(struct engine *e)
{
	struct engine_done done = { .fn = on_probed, .arg = e };
	struct err *err;

	if (access(KVM_DEVICE, F_OK) < 0) {
		str_set(&e->kvm_reason, KVM_DEVICE " is absent");
		return;
	}
	err = job_simple(e, json_pack("{s:s, s:s}", "job", "kvm-probe", "path", KVM_DEVICE), done,
			 NULL);
	if (err)
		on_probed(e, err, NULL);
}

/* ---- facts ---- */

json_t *engine_info(struct engine *e)
{
	json_t *j = json_object();

	json_object_set_new(j, "kvm", json_boolean(e->has_kvm));
	jx_set_str(j, "kvm_reason", e->kvm_reason ? e->kvm_reason : "not probed yet");
	json_object_set_new(j, "cgroup_version", json_integer(cgroup_is_v2() ? 2 : 1));
	json_object_set_new(j, "kernels", engine_kernels(e));
	jx_set_str(j, "bridge", e->c.bridge);
	jx_set_str(j, "gateway", network_default(e)->is_ready ? network_default(e)->gateway : NULL);
	jx_set_str(j, "root", e->c.root);
	jx_set_str(j, "run", e->c.run);
	jx_set_str(j, "nft_table", e->c.nft_table);
	jx_set_str(j, "cgroup_parent", e->c.cgroup_parent);
	jx_set_str(j, "policy", sched_policy(e->sched));
	json_object_set_new(j, "drain", engine_drain_state(e));
	json_object_set_new(j, "memory_bytes", json_integer(e->memory_bytes));
	json_object_set_new(j, "cpu_milli", json_integer(e->cpu_milli));
	return j;
}
