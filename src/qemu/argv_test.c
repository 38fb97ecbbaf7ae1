/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/argv.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/*
 * golden/NAME.json is a plan, golden/NAME.txt the files and the command line made of it.
 * With HOSTEL_GOLDEN=write in the environment they are written anew: look at the difference.
 */
#ifndef GOLDEN
#define GOLDEN "src/qemu/golden"
#endif

static char *render(const json_t *plan)
{
	struct qemu_file files[QEMU_FILES_MAX];
	OWN(strv) struct strv argv = { 0 };
	struct str s = { 0 };
	size_t n;

	assert_ok(qemu_files(plan, files, &n));
	assert_ok(qemu_argv(plan, &argv));
	for (size_t i = 0; i < n; i++)
		str_addf(&s, "%zu %s %s\n", QEMU_FD_FILES + i, files[i].is_writable ? "rw" : "ro",
			 files[i].path);
	for (size_t i = 0; i < argv.n; i++)
		str_addf(&s, "%s%s", argv.v[i],
			 i + 1 < argv.n && argv.v[i][0] == '-' && argv.v[i + 1][0] != '-' ? " "
											  : "\n");
	return str_take(&s);
}

static void a_plan_always_gives_the_same_command_line(void **state)
{
	static const char *const names[] = { "image",   "image-readonly", "machine", "overlay",
					     "kernel",  "uefi",           "microvm", "kvm",
					     "restored" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		OWN(mem) char *in = xasprintf(GOLDEN "/%s.json", names[i]);
		OWN(mem) char *out = xasprintf(GOLDEN "/%s.txt", names[i]);
		OWN(mem) char *want = NULL;
		OWN(mem) char *got = NULL;
		OWN(json) json_t *plan = NULL;

		assert_ok(jx_load(AT_FDCWD, in, &plan));
		got = render(plan);
		if (streq(getenv("HOSTEL_GOLDEN"), "write"))
			assert_ok(fd_write_file(AT_FDCWD, out, got, strlen(got), 0644));
		assert_ok(fd_read_file(AT_FDCWD, out, 1 << 20, &want));
		assert_string_equal(got, want);
	}
}

static void a_plan_without_a_vm_is_refused(void **state)
{
	static const char *const plans[] = { "{}", "{\"host\":{}}", "{\"host\":{\"vm\":[]}}",
					     "{\"host\":{\"vm\":{\"memory_bytes\":0}}}" };

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		OWN(json) json_t *plan = NULL;
		OWN(strv) struct strv argv = { 0 };
		struct qemu_file files[QEMU_FILES_MAX];
		size_t n;

		assert_ok(jx_parse(plans[i], strlen(plans[i]), &plan));
		assert_err(qemu_argv(plan, &argv), ERR_INVALID);
		assert_err(qemu_files(plan, files, &n), ERR_INVALID);
	}
}

static void devices_are_what_the_guest_sees_of_it(void **state)
{
	OWN(json) json_t *fresh = NULL;
	OWN(json) json_t *restored = NULL;
	OWN(strv) struct strv a = { 0 };
	OWN(strv) struct strv b = { 0 };
	OWN(strv) struct strv devices = { 0 };
	OWN(strv) struct strv again = { 0 };

	assert_ok(jx_load(AT_FDCWD, GOLDEN "/image.json", &fresh));
	assert_ok(jx_load(AT_FDCWD, GOLDEN "/restored.json", &restored));
	assert_ok(qemu_argv(fresh, &a));
	assert_ok(qemu_argv(restored, &b));
	qemu_devices(&a, &devices);
	qemu_devices(&b, &again);
	assert_int_equal(devices.n, again.n);
	for (size_t i = 0; i < devices.n; i++) {
		assert_string_equal(devices.v[i], again.v[i]);
		assert_null(strstr(devices.v[i], "02:42"));
		assert_null(strstr(devices.v[i], "/"));
	}
	assert_true(strv_has(&devices, "-m 512M"));
	assert_true(strv_has(&devices, "-device virtio-net-pci,netdev=net"));
}

static void seventeen_disks_are_too_many(void **state)
{
	OWN(json)
	json_t *plan = json_pack("{s:{s:{s:I,s:[]}}}", "host", "vm", "memory_bytes",
				 (json_int_t)1 << 30, "disks");
	json_t *disks =
	    json_object_get(json_object_get(json_object_get(plan, "host"), "vm"), "disks");
	struct qemu_file files[QEMU_FILES_MAX];
	size_t n;

	for (int i = 0; i < 16; i++)
		json_array_append_new(disks, json_pack("{s:s,s:s}", "path", "/d", "backing", "/b"));
	assert_ok(qemu_files(plan, files, &n));
	assert_int_equal(n, 32);
	json_array_append_new(disks, json_pack("{s:s}", "path", "/d"));
	assert_err(qemu_files(plan, files, &n), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_always_gives_the_same_command_line),
		cmocka_unit_test(a_plan_without_a_vm_is_refused),
		cmocka_unit_test(devices_are_what_the_guest_sees_of_it),
		cmocka_unit_test(seventeen_disks_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
