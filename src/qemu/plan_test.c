/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/plan.h"

#include "util/mem.h"
#include "util/test.h"

static struct err *probe(const char *path, struct qemu_disk_info *ret)
{
	*ret = (struct qemu_disk_info) {
		.format = strstr(path, "qcow2") ? QEMU_QCOW2 : QEMU_RAW,
		.has_backing = strstr(path, "chain") != NULL,
	};
	return NULL;
}

static struct err *complete(const char *vm, const struct qemu_facts *f, char **ret)
{
	OWN(json) json_t *plan = NULL;
	OWN(mem) char *text = xasprintf("{\"host\":{\"vm\":%s}}", vm);

	assert_ok(jx_parse(text, strlen(text), &plan));
	TRY(qemu_plan_complete(plan, f));
	TRY(qemu_plan_complete(plan, f)); /* a second time changes nothing */
	*ret = jx_text(json_object_get(json_object_get(plan, "host"), "vm"));
	return NULL;
}

static const struct qemu_facts facts = { .state_dir = "/s", .probe = probe };

static void what_the_engine_did_not_say_is_filled_in(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "{\"agent\":true,\"initrd\":\"i\"}",
		  "{\"agent\":true,\"initrd\":\"i\",\"machine\":\"q35\","
		  "\"append\":\"console=ttyS0 quiet panic=-1\",\"complete\":true}" },
		{ "{\"agent\":true,\"initrd\":\"i\",\"append\":\"debug\",\"machine\":\"q35\"}",
		  "{\"agent\":true,\"initrd\":\"i\",\"append\":\"console=ttyS0 quiet panic=-1 "
		  "debug\","
		  "\"machine\":\"q35\",\"complete\":true}" },
		{ "{\"agent\":true,\"initrd\":\"i\",\"machine\":\"q35\",\"tsc_khz\":2400000}",
		  "{\"agent\":true,\"initrd\":\"i\",\"machine\":\"q35\",\"tsc_khz\":2400000,"
		  "\"append\":\"console=ttyS0 quiet panic=-1 tsc_early_khz=2400000\","
		  "\"complete\":true}" },
		{ "{\"agent\":true,\"initrd\":\"i\",\"machine\":\"q35\",\"tsc_khz\":2400000,"
		  "\"accel\":\"kvm\"}",
		  "{\"agent\":true,\"initrd\":\"i\",\"machine\":\"q35\",\"tsc_khz\":2400000,"
		  "\"accel\":\"kvm\",\"append\":\"console=ttyS0 quiet panic=-1\","
		  "\"complete\":true}" },
		{ "{\"kernel\":\"k\",\"machine\":\"microvm\",\"tsc_khz\":2400000}",
		  "{\"kernel\":\"k\",\"machine\":\"microvm\",\"tsc_khz\":2400000,"
		  "\"append\":\"tsc_early_khz=2400000\",\"complete\":true}" },
		{ "{\"disks\":[{\"path\":\"/u/a.qcow2\"},{\"path\":\"/u/b\"},"
		  "{\"path\":\"/s/c\",\"backing\":\"/u/d.qcow2\"},{\"path\":\"/s/"
		  "e\",\"new_bytes\":5}]}",
		  "{\"disks\":[{\"path\":\"/u/a.qcow2\",\"format\":\"qcow2\"},"
		  "{\"path\":\"/u/b\",\"format\":\"raw\"},"
		  "{\"path\":\"/s/c\",\"backing\":\"/u/d.qcow2\",\"backing_format\":\"qcow2\","
		  "\"format\":\"qcow2\"},{\"path\":\"/s/e\",\"new_bytes\":5,\"format\":\"qcow2\"}],"
		  "\"machine\":\"q35\",\"complete\":true}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *out = NULL;

		assert_ok(complete(cases[i].in, &facts, &out));
		assert_string_equal(out, cases[i].out);
	}
}

static void what_cannot_be_is_refused_by_name(void **state)
{
	static const struct {
		const char *in;
		enum err_kind kind;
	} cases[] = {
		{ "{\"agent\":true}", ERR_UNAVAILABLE },
		{ "{\"machine\":\"pc-0.12\"}", ERR_INVALID },
		{ "{\"machine\":\"microvm\",\"kernel\":\"k\"}", ERR_UNSUPPORTED },
		{ "{\"machine\":\"microvm\",\"tsc_khz\":1}", ERR_UNSUPPORTED },
		{ "{\"firmware\":\"uefi\"}", ERR_UNSUPPORTED },
		{ "{\"disks\":[{\"path\":\"/u/chain.qcow2\"}]}", ERR_UNSUPPORTED },
		{ "{\"disks\":[{}]}", ERR_INVALID },
		{ "null", ERR_INVALID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *out = NULL;

		assert_err(complete(cases[i].in, &facts, &out), cases[i].kind);
	}
}

static void uefi_gets_variables_of_its_own(void **state)
{
	const struct qemu_facts f = {
		.state_dir = "/s", .ovmf_code = "/o/c", .ovmf_vars = "/o/v", .probe = probe
	};
	OWN(mem) char *out = NULL;

	assert_ok(complete("{\"firmware\":\"uefi\"}", &f, &out));
	assert_non_null(strstr(out, "\"firmware_vars\":\"/s/ovmf-vars.fd\""));
	assert_non_null(strstr(out, "\"firmware_template\":\"/o/v\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_engine_did_not_say_is_filled_in),
		cmocka_unit_test(what_cannot_be_is_refused_by_name),
		cmocka_unit_test(uefi_gets_variables_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
