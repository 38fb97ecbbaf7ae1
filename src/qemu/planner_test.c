/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/planner.h"

#include "util/mem.h"
#include "util/test.h"

#define MIB (INT64_C(1) << 20)

static const struct host_facts facts = {
	.state_dir = "/s",
	.memory_bytes = 512 * MIB,
	.cpu_milli = 1500,
};

static char *machine_text(const struct spec *s, const struct host_facts *f)
{
	OWN(json) json_t *vm = NULL;

	assert_ok(qemu_host_planner.machine(s, f, &vm));
	return jx_text(vm);
}

static void the_cgroup_holds_guest_and_monitor(void **state)
{
	OWN(spec) struct spec *s = spec_new();
	OWN(json) json_t *r = NULL;
	OWN(mem) char *text = NULL;

	(void)state;
	s->kind = SPEC_IMAGE_VM;
	s->cpu_milli = 500;
	s->memory_bytes = 512 * MIB;
	s->pids_limit = 9; /* the guest's */
	assert_ok(qemu_host_planner.resources(s, &facts, &r));
	text = jx_text(r);
	assert_string_equal(text, "{\"cpu\":{\"quota\":50000,\"period\":100000},"
				  "\"memory\":{\"limit\":618659840}}");
}

static void an_image_vm_boots_what_the_engine_found(void **state)
{
	OWN(spec) struct spec *s = spec_new();
	struct host_facts f = facts;
	OWN(mem) char *text = NULL;

	(void)state;
	s->kind = SPEC_IMAGE_VM;
	f.kernel = "/k";
	f.initrd = "/i";
	f.append = "a";
	f.has_agent = f.has_kvm = true;
	f.tsc_khz = 2400000;
	text = machine_text(s, &f);
	assert_string_equal(text,
			    "{\"accel\":\"kvm\",\"qemu\":\"/usr/bin/qemu-system-x86_64\","
			    "\"vcpus\":2,\"memory_bytes\":536870912,\"kernel\":\"/k\","
			    "\"initrd\":\"/i\",\"append\":\"a\",\"tsc_khz\":2400000,\"disks\":[],"
			    "\"agent\":true,\"boot_timeout_ms\":120000}");
}

static void a_machine_boots_its_disks(void **state)
{
	OWN(spec) struct spec *s = spec_new();
	OWN(mem) char *text = NULL;
	struct spec_disk *d = xcalloc(3, sizeof(*d));

	(void)state;
	d[0] = (struct spec_disk) { .path = xstrdup("/u/a"), .format = xstrdup("raw") };
	d[1] = (struct spec_disk) { .path = xstrdup("/u/b"), .overlay = true };
	d[2] = (struct spec_disk) { .new_bytes = 5, .readonly = true };
	s->kind = SPEC_MACHINE;
	s->vcpus = 4;
	s->accel = xstrdup("tcg");
	s->machine_type = xstrdup("q35");
	s->firmware = xstrdup("uefi");
	s->disks = d;
	s->n_disks = 3;
	text = machine_text(s, &facts);
	assert_string_equal(
	    text, "{\"accel\":\"tcg\",\"machine\":\"q35\","
		  "\"qemu\":\"/usr/bin/qemu-system-x86_64\",\"vcpus\":4,"
		  "\"memory_bytes\":536870912,\"firmware\":\"uefi\",\"disks\":["
		  "{\"path\":\"/u/a\",\"format\":\"raw\",\"readonly\":false},"
		  "{\"path\":\"/s/disk1.qcow2\",\"backing\":\"/u/b\",\"format\":\"qcow2\","
		  "\"readonly\":false},"
		  "{\"path\":\"/s/disk2.qcow2\",\"new_bytes\":5,\"format\":\"qcow2\","
		  "\"readonly\":true}],\"agent\":false,\"boot_timeout_ms\":120000}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cgroup_holds_guest_and_monitor),
		cmocka_unit_test(an_image_vm_boots_what_the_engine_found),
		cmocka_unit_test(a_machine_boots_its_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
