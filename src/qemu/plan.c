/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/plan.h"

#include <string.h>
#include <unistd.h>

#include "util/mem.h"

/*
 * quiet: every letter on a serial line costs an emulated exit.  panic=-1: a dead kernel
 * ends its VM at once (QEMU runs with -no-reboot).
 */
#define APPEND_AGENT "console=ttyS0 quiet panic=-1"

static struct err *complete_machine(json_t *vm, const struct qemu_facts *f)
{
	const char *machine = jx_str(vm, "machine", NULL);

	if (!machine) {
		jx_set_str(vm, "machine", "q35");
		return NULL;
	}
	if (!strcmp(machine, "q35"))
		return NULL;
	if (strcmp(machine, "microvm") != 0)
		return err_new(ERR_INVALID, "machine type %s: q35 or microvm", machine);
	if (!jx_int(vm, "tsc_khz", f->tsc_khz))
		return err_new(ERR_UNSUPPORTED,
			       "machine type microvm: the host's TSC rate is not known, and a "
			       "kernel may hang without it");
	if (!jx_str(vm, "kernel", NULL))
		return err_new(ERR_UNSUPPORTED,
			       "machine type microvm boots kernels only, no disks");
	if (!json_object_get(vm, "tsc_khz"))
		json_object_set_new(vm, "tsc_khz", json_integer(f->tsc_khz));
	return NULL;
}

/*
 * Under TCG a kernel of ours is told the rate of its TSC: on a busy host it measures a wrong one,
 * and its clock runs wrong by it until a better clock is found.
 */
static bool is_told_tsc(const json_t *vm)
{
	if (!jx_int(vm, "tsc_khz", 0) || !strcmp(jx_str(vm, "accel", "tcg"), "kvm"))
		return false;
	return jx_bool(vm, "agent", false) || !strcmp(jx_str(vm, "machine", ""), "microvm");
}

static void complete_append(json_t *vm)
{
	const char *user = jx_str(vm, "append", NULL);
	bool is_agent = jx_bool(vm, "agent", false);
	OWN(str) struct str text = { 0 };

	if (is_agent)
		str_adds(&text, APPEND_AGENT);
	if (is_told_tsc(vm))
		str_addf(&text, "%stsc_early_khz=%lld", text.len ? " " : "",
			 (long long)jx_int(vm, "tsc_khz", 0));
	if (user)
		str_addf(&text, "%s%s", text.len ? " " : "", user);
	if (text.len)
		jx_set_str(vm, "append", text.buf);
}

static struct err *complete_firmware(json_t *vm, const struct qemu_facts *f)
{
	OWN(mem) char *vars = NULL;

	if (strcmp(jx_str(vm, "firmware", "bios"), "uefi") != 0 ||
	    json_object_get(vm, "firmware_code"))
		return NULL;
	if (!f->ovmf_code || !f->ovmf_vars)
		return err_new(ERR_UNSUPPORTED, "firmware uefi: the package ovmf is not installed");
	vars = xasprintf("%s/ovmf-vars.fd", f->state_dir);
	jx_set_str(vm, "firmware_code", f->ovmf_code);
	jx_set_str(vm, "firmware_vars", vars);
	jx_set_str(vm, "firmware_template", f->ovmf_vars);
	return NULL;
}

static struct err *format_of(const char *path, const struct qemu_facts *f, json_t *disk,
			     const char *key)
{
	struct qemu_disk_info info;

	if (json_object_get(disk, key))
		return NULL;
	TRY(f->probe(path, &info));
	if (info.has_backing)
		return err_new(ERR_UNSUPPORTED,
			       "disk %s has another file below it: qemu-img convert -O qcow2 makes "
			       "one of both",
			       path);
	jx_set_str(disk, key, qemu_format_name(info.format));
	return NULL;
}

static struct err *complete_disk(json_t *disk, const struct qemu_facts *f)
{
	const char *path = jx_str(disk, "path", NULL), *backing = jx_str(disk, "backing", NULL);

	if (!path)
		return err_new(ERR_INVALID, "plan: a disk without a path");
	if (backing)
		TRY(format_of(backing, f, disk, "backing_format"));
	if (backing || jx_int(disk, "new_bytes", 0)) {
		jx_set_str(disk, "format", "qcow2");
		return NULL;
	}
	return format_of(path, f, disk, "format");
}

struct err *qemu_plan_complete(json_t *plan, const struct qemu_facts *f)
{
	json_t *vm = json_object_get(json_object_get(plan, "host"), "vm"), *disk;
	size_t i;

	if (!json_is_object(vm))
		return err_new(ERR_INVALID, "plan: no host.vm");
	if (jx_bool(vm, "agent", false) && !jx_str(vm, "initrd", NULL))
		return err_new(ERR_UNAVAILABLE, "the kernel has no initramfs with hostel-guest");
	TRY(complete_machine(vm, f));
	TRY(complete_firmware(vm, f));
	if (!jx_bool(vm, "complete", false))
		complete_append(vm);
	json_array_foreach(json_object_get(vm, "disks"), i, disk)
	{
		TRY(complete_disk(disk, f));
	}
	json_object_set_new(vm, "complete", json_true());
	return NULL;
}

static const char *existing(const char *path)
{
	return access(path, R_OK) == 0 ? path : NULL;
}

struct qemu_facts qemu_facts_of_host(const char *state_dir)
{
	return (struct qemu_facts) { .state_dir = state_dir,
				     .ovmf_code = existing("/usr/share/OVMF/OVMF_CODE_4M.fd"),
				     .ovmf_vars = existing("/usr/share/OVMF/OVMF_VARS_4M.fd"),
				     .probe = qemu_disk_probe };
}
