/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/plan.h"

#include <fcntl.h>
#include <stdlib.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

#define GOLDEN "src/ctr/golden/"

/*
 * With HOSTEL_GOLDEN=write in the environment the files are written anew.  The text is
 * that of the whole document, since other programs read it.
 */
static void check_golden(const char *name, const json_t *j)
{
	OWN(mem) char *path = xasprintf(GOLDEN "%s.json", name);
	OWN(mem) char *got = json_dumps(j, JSON_INDENT(1));
	OWN(mem) char *want = NULL;

	if (streq(getenv("HOSTEL_GOLDEN"), "write"))
		assert_ok(fd_write_file(AT_FDCWD, path, got, strlen(got), 0644));
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 20, &want));
	assert_string_equal(got, want);
}

static const struct {
	const char *name, *spec;
} goldens[] = {
	{ "plain", "{\"Version\":1,\"Kind\":\"container\",\"Cmd\":[\"true\"]}" },
	{ "privileged", "{\"Version\":1,\"Kind\":\"container\",\"Cmd\":[\"true\"],\"CgroupnsMode\":"
			"\"private\",\"NetworkMode\":\"host\",\"IpcMode\":\"host\",\"UtsMode\":"
			"\"host\",\"PidMode\":\"container:x\",\"CapDrop\":[\"ALL\"],\"CapAdd\":["
			"\"ALL\"]}" },
	{ "limited",
	  "{\"Version\":1,\"Kind\":\"container\",\"Entrypoint\":[\"/e\"],\"Cmd\":[\"a\",\"b\"],"
	  "\"Env\":[\"PATH=/x\",\"HOSTNAME=mine\",\"A=1\"],\"WorkDir\":\"/w\",\"Tty\":true,"
	  "\"Hostname\":\"web\",\"MemoryBytes\":67108864,\"MemoryReservationBytes\":33554432,"
	  "\"CpuMilli\":1500,\"CpuShares\":512,\"CpusetCpus\":\"0\",\"PidsLimit\":9,"
	  "\"BlkioWeight\":300,\"OomScoreAdj\":-5,\"ReadonlyRootfs\":true,\"Init\":true,"
	  "\"SecurityOpt\":[\"no-new-privileges:true\"],\"Sysctls\":{\"net.core.somaxconn\":\"9\"},"
	  "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":5,\"Hard\":-1}],\"ShmBytes\":1048576,"
	  "\"Tmpfs\":{\"/t\":\"size=1m,exec\"},\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"s\","
	  "\"Target\":\"/a/b\",\"ReadOnly\":true},{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":"
	  "\"/a\",\"Propagation\":\"rslave\"},{\"Type\":\"tmpfs\",\"Target\":\"/dev/shm\","
	  "\"TmpfsBytes\":4096,\"TmpfsMode\":448}]}" },
	{ "vm", "{\"Version\":1,\"Kind\":\"vm\",\"Cmd\":[\"true\"],\"MemoryBytes\":67108864,"
		"\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"s\",\"Target\":\"/a\"}]}" },
};

static struct spec *read_spec(const char *text)
{
	OWN(json) json_t *j = NULL;
	struct spec *s = NULL;

	assert_ok(jx_parse(text, strlen(text), &j));
	assert_ok(spec_from_json(j, &s));
	return s;
}

static void configurations_are_these(void **state)
{
	static const char *const sources[] = { "/host/s", "/host/v", NULL };
	const struct guest_facts in = {
		.id = "0123456789abcdef",
		.cgroup = "/hostel/0123",
		.rootfs = "/i/rootfs",
		.hosts = "/i/hosts",
		.hostname_file = "/i/hostname",
		.resolv = "/i/resolv.conf",
		.init = "/l/hostel-init",
		.mount_sources = sources,
		.pid_ns = "/proc/7/ns/pid",
		.cgroup_version = 1,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
		OWN(spec) struct spec *s = read_spec(goldens[i].spec);
		OWN(json) json_t *oci = NULL;

		assert_ok(ctr_plan_oci(s, &in, &oci));
		check_golden(goldens[i].name, oci);
	}
}

static const struct {
	const char *options; /* of --security-opt */
	const char *want;
} filters[] = {
	{ "[]", "default" },
	{ "[\"no-new-privileges\"]", "default" },
	{ "[\"seccomp=unconfined\"]", NULL },
	{ "[\"seccomp:unconfined\"]", NULL },
	{ "[\"seccomp=builtin\"]", "default" },
	{ "[\"seccomp={}\"]", "{}" },
	{ "[\"seccomp=/p.json\"]", "/p.json" },
};

static void the_filter_is_what_the_option_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		OWN(mem)
		char *text = xasprintf("{\"Version\":1,\"Kind\":\"container\",\"Cmd\":["
				       "\"x\"],\"SecurityOpt\":%s}",
				       filters[i].options);
		OWN(spec) struct spec *s = read_spec(text);
		const char *got = ctr_plan_seccomp(s);

		assert_true(streq(got, filters[i].want));
	}
}

static void an_exec_adds_to_the_instances_environment(void **state)
{
	OWN(spec) struct spec *s = read_spec(goldens[2].spec);
	OWN(strv) struct strv cmd = { 0 };
	OWN(strv) struct strv env = { 0 };
	const struct guest_facts in = { .id = "0123456789abcdef" };
	struct guest_exec x = { .cmd = &cmd, .env = &env };
	OWN(json) json_t *j = NULL;

	(void)state;
	assert_err(ctr_plan_process(s, &in, &x, &j), ERR_INVALID);
	strv_add(&cmd, "ls");
	strv_add(&env, "A=2");
	assert_ok(ctr_plan_process(s, &in, &x, &j));
	OWN(mem) char *got = json_dumps(json_object_get(j, "env"), JSON_COMPACT);

	assert_string_equal(got, "[\"PATH=/x\",\"HOSTNAME=mine\",\"A=2\"]");
	assert_string_equal(jx_str(j, "cwd", ""), "/w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations_are_these),
		cmocka_unit_test(the_filter_is_what_the_option_says),
		cmocka_unit_test(an_exec_adds_to_the_instances_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
