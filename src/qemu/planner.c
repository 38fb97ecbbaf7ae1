/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/planner.h"

#include "backend/resources.h"
#include "util/mem.h"

#define QEMU            "/usr/bin/qemu-system-x86_64"
#define BOOT_TIMEOUT_MS 120000

#define MIB (INT64_C(1) << 20)

/* Measured (docs/numbers.md), with some more. */
#define BASE_BYTES (40 * MIB) /* QEMU's heap and libraries, and the shim */
#define TCG_BYTES  (32 * MIB) /* translated code, argv.c */
#define VCPU_BYTES (2 * MIB)  /* each one's thread */

static const char *accel_of(const struct spec *s, const struct host_facts *f)
{
	if (s->accel)
		return s->accel;
	return f->has_kvm ? "kvm" : "tcg";
}

static int64_t vcpus_of(const struct spec *s, const struct host_facts *f)
{
	return s->vcpus ? s->vcpus : (f->cpu_milli + 999) / 1000;
}

/* Page tables of the guest's memory are QEMU's too. */
static int64_t manage_bytes(const struct spec *s, const struct host_facts *f)
{
	bool is_kvm = streq(accel_of(s, f), "kvm");

	return BASE_BYTES + (is_kvm ? 0 : TCG_BYTES) + vcpus_of(s, f) * VCPU_BYTES +
	       f->memory_bytes / 256;
}

/* The cgroup holds QEMU: the guest's memory and what managing costs; processes are the guest's. */
static struct err *host_resources(const struct spec *s, const struct host_facts *f, json_t **ret)
{
	int64_t limit = f->memory_bytes + manage_bytes(s, f);
	OWN(json) json_t *r = NULL;

	TRY(resources_from_spec(s, &r));
	json_object_del(r, "memory");
	if (f->memory_bytes)
		json_object_set_new(r, "memory", json_pack("{s:I}", "limit", (json_int_t)limit));
	json_object_del(r, "pids");
	*ret = json_incref(r);
	return NULL;
}

static json_t *disk_json(const struct spec_disk *d, size_t n, const char *state_dir)
{
	json_t *j = json_object();

	if (d->path && !d->overlay) {
		jx_set_str(j, "path", d->path);
		if (d->format)
			jx_set_str(j, "format", d->format);
	} else {
		json_object_set_new(j, "path", json_sprintf("%s/disk%zu.qcow2", state_dir, n));
		if (d->path)
			jx_set_str(j, "backing", d->path);
		else
			json_object_set_new(j, "new_bytes", json_integer(d->new_bytes));
		jx_set_str(j, "format", "qcow2");
	}
	json_object_set_new(j, "readonly", json_boolean(d->readonly));
	return j;
}

static json_t *disks_json(const struct spec *s, const char *state_dir)
{
	json_t *a = json_array();

	for (size_t n = 0; n < s->n_disks; n++)
		json_array_append_new(a, disk_json(&s->disks[n], n, state_dir));
	return a;
}

static void put_if(json_t *j, const char *key, const char *value)
{
	if (value)
		jx_set_str(j, key, value);
}

static struct err *machine(const struct spec *s, const struct host_facts *f, json_t **ret)
{
	json_t *vm = json_object();

	jx_set_str(vm, "accel", accel_of(s, f));
	put_if(vm, "machine", s->machine_type);
	jx_set_str(vm, "qemu", QEMU);
	json_object_set_new(vm, "vcpus", json_integer(vcpus_of(s, f)));
	json_object_set_new(vm, "memory_bytes", json_integer(f->memory_bytes));
	put_if(vm, "kernel", f->kernel);
	put_if(vm, "initrd", f->initrd);
	put_if(vm, "append", f->append);
	put_if(vm, "firmware", s->firmware);
	if (f->tsc_khz)
		json_object_set_new(vm, "tsc_khz", json_integer(f->tsc_khz));
	json_object_set_new(vm, "disks", disks_json(s, f->state_dir));
	json_object_set_new(vm, "agent", json_boolean(f->has_agent));
	json_object_set_new(vm, "boot_timeout_ms", json_integer(BOOT_TIMEOUT_MS));
	*ret = vm;
	return NULL;
}

const struct host_planner qemu_host_planner = {
	.name = "qemu",
	.resources = host_resources,
	.manage_bytes = manage_bytes,
	.machine = machine,
};
