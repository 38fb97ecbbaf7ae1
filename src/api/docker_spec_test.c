/* SPDX-License-Identifier: Apache-2.0 */
#include "api/docker_spec.h"

#include <fcntl.h>
#include <stdlib.h>

#include "api/docker_inspect.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static struct err *read_body(const char *text, struct spec **ret)
{
	OWN(json) json_t *j = NULL;

	TRY(jx_parse(text, strlen(text), &j));
	return docker_spec_read("/web", j, ret);
}

/* Compares with GOLDEN_DIR/@name; HOSTEL_GOLDEN=write makes the file. */
static void assert_golden(const json_t *j, const char *name)
{
	OWN(mem) char *path = xasprintf(GOLDEN_DIR "/%s", name);
	OWN(mem) char *got = json_dumps(j, JSON_INDENT(1));
	OWN(mem) char *want = NULL;

	if (streq(getenv("HOSTEL_GOLDEN"), "write"))
		assert_ok(fd_write_file(AT_FDCWD, path, got, strlen(got), 0644));
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 20, &want));
	assert_string_equal(got, want);
}

static void a_create_body_comes_back_in_inspect(void **state)
{
	OWN(mem) char *body = NULL;
	OWN(spec) struct spec *s = NULL;
	OWN(json) json_t *out = NULL;
	struct docker_paths paths = { .root = "/var/lib/hostel" };
	const struct spec_endpoint said = { .network = NULL };
	struct instance_view v = {
		.id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		.state = INST_RUNNING,
		.ever_ran = true,
		.pid = 77,
		.created_ns = 1700000000000000000,
		.started_ns = 1700000001000000000,
		.address = "10.88.0.9",
		.gateway = "10.88.0.1",
		.mac = "02:42:0a:58:00:09",
		.prefix_len = 16,
		.state_dir = "/s",
		.log_dir = "/s/log",
	};

	(void)state;
	assert_ok(fd_read_file(AT_FDCWD, GOLDEN_DIR "/create.json", 1 << 20, &body));
	assert_ok(read_body(body, &s));
	assert_int_equal(s->kind, SPEC_IMAGE_VM);
	assert_string_equal(s->name, "web");
	assert_int_equal(s->cpu_milli, 500);
	assert_int_equal(s->disk_bytes, 1 << 30);
	assert_int_equal(s->net_egress_bps, 100000000);
	assert_int_equal(s->net_ingress_bps, 50000000);
	assert_true(s->queue_wait);
	assert_int_equal(s->n_mounts, 4);
	v.spec = s;
	v.endpoints[0] = (struct engine_endpoint) { .network = "bridge",
						    .network_id = "bridge",
						    .address = v.address,
						    .gateway = v.gateway,
						    .mac = v.mac,
						    .prefix_len = v.prefix_len,
						    .said = &said };
	v.n_endpoints = 1;
	v.ports = s->ports;
	v.n_ports = s->n_ports;
	out = docker_inspect(&v, &paths);
	assert_golden(out, "inspect.json");
	json_decref(out);
	out = docker_summary(&v, &paths, 1700000063000000000);
	assert_golden(out, "summary.json");
}

static void an_empty_body_has_dockers_defaults(void **state)
{
	OWN(spec) struct spec *s = NULL;
	OWN(json) json_t *out = NULL;

	(void)state;
	assert_ok(read_body("{\"Image\":\"x\",\"HostConfig\":null,\"Cmd\":null}", &s));
	assert_int_equal(s->kind, SPEC_CONTAINER);
	assert_null(s->network_mode);
	out = docker_host_config(s);
	assert_golden(out, "host_config.json");
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *body;
		enum err_kind kind;
		const char *text;
	} cases[] = {
		{ "[]", ERR_INVALID, "expected an object, got an array" },
		{ "{\"Tty\":1}", ERR_INVALID, "Tty: expected a boolean, got an integer" },
		{ "{\"HostConfig\":{\"Memory\":-1}}", ERR_INVALID,
		  "HostConfig: Memory: -1 is out of" },
		{ "{\"HostConfig\":{\"Memory\":1e30}}", ERR_INVALID,
		  "HostConfig: Memory: expected an" },
		{ "{\"HostConfig\":{\"ShmSize\":-5}}", ERR_INVALID,
		  "HostConfig: ShmSize: -5 is out" },
		{ "{\"HostConfig\":{\"NanoCpus\":-5}}", ERR_INVALID,
		  "HostConfig: NanoCpus: expected" },
		{ "{\"HostConfig\":{\"Runtime\":\"kata\"}}", ERR_INVALID,
		  "unknown or invalid runtime name: kata" },
		{ "{\"HostConfig\":{\"Isolation\":\"x\"}}", ERR_INVALID, "invalid isolation 'x'" },
		{ "{\"HostConfig\":{\"NetworkMode\":\"container:\"}}", ERR_INVALID,
		  "invalid container format container:<name|id>" },
		{ "{\"HostConfig\":{\"Binds\":[\"x\"]}}", ERR_INVALID,
		  "invalid volume specification: 'x'" },
		{ "{\"HostConfig\":{\"Binds\":[\"/a:b\"]}}", ERR_INVALID,
		  "invalid volume specification: '/a:b'" },
		{ "{\"HostConfig\":{\"Binds\":[\"/a:/b:rx\"]}}", ERR_INVALID,
		  "invalid volume specification: '/a:/b:rx': invalid mode: rx" },
		{ "{\"HostConfig\":{\"Binds\":[\"a/b:/c\"]}}", ERR_INVALID,
		  "create a/b: \"a/b\" includes invalid characters" },
		{ "{\"HostConfig\":{\"Binds\":[\"/a:/c\",\"/b:/c/\"]}}", ERR_INVALID,
		  "Duplicate mount point: /c" },
		{ "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"npipe\"}]}}", ERR_INVALID,
		  "HostConfig: Mounts: mount type unknown: \"npipe\"" },
		{ "{\"HostConfig\":{\"PortBindings\":{\"80/sctp\":[]}}}", ERR_INVALID,
		  "HostConfig: PortBindings: invalid port specification: \"80/sctp\"" },
		{ "{\"HostConfig\":{\"PortBindings\":{\"0/tcp\":[]}}}", ERR_INVALID,
		  "HostConfig: PortBindings: invalid port specification: \"0/tcp\"" },
		{ "{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"70000\"}]}}}",
		  ERR_INVALID, "HostConfig: PortBindings: invalid host port of \"80/tcp\"" },
		{ "{\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"often\"}}}", ERR_INVALID,
		  "HostConfig: RestartPolicy: invalid restart policy: unknown policy 'often'" },
		{ "{\"HostConfig\":{\"StorageOpt\":{\"size\":\"x\"}}}", ERR_INVALID,
		  "storage-opt size: " },
		{ "{\"HostConfig\":{\"StorageOpt\":{\"dm\":\"x\"}}}", ERR_INVALID,
		  "Unknown option dm" },
		{ "{\"HostConfig\":{\"VolumesFrom\":[\"x\"]}}", ERR_UNSUPPORTED,
		  "HostConfig.VolumesFrom is not supported" },
		{ "{\"Labels\":{\"hostel.net-rate\":\"fast\"}}", ERR_INVALID,
		  "label hostel.net-rate: " },
		{ "{\"Labels\":{\"hostel.queue\":\"x\"}}", ERR_INVALID, "label hostel.queue: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct spec *s = NULL;
		OWN(err) struct err *e = read_body(cases[i].body, &s);

		if (!e || err_kind(e) != cases[i].kind ||
		    strncmp(err_text(e), cases[i].text, strlen(cases[i].text)))
			fail_msg("%s: %s", cases[i].body, e ? err_text(e) : "accepted");
		assert_null(s);
	}
}

static void rates_are_bits_per_second(void **state)
{
	static const struct {
		const char *text;
		int64_t egress, ingress; /* 0: refused */
	} cases[] = {
		{ "100mbit", 100000000, 100000000 },
		{ "1.5mbit,64kbit", 1500000, 64000 },
		{ "1GBIT", 1000000000, 1000000000 },
		{ "500", 500, 500 },
		{ "0,64kbit", 0, 64000 },
		{ "0", 0, 0 },
		{ "-1mbit", -1, -1 },
		{ "1mbit,", -1, -1 },
		{ "mbit", -1, -1 },
		{ "", -1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t egress = -1, ingress = -1;
		struct err *e = docker_net_rate_read(cases[i].text, &egress, &ingress);

		assert_int_equal(e != NULL, cases[i].egress < 0);
		assert_int_equal(egress, cases[i].egress);
		assert_int_equal(ingress, cases[i].ingress);
		err_free(e);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_create_body_comes_back_in_inspect),
		cmocka_unit_test(an_empty_body_has_dockers_defaults),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(rates_are_bits_per_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
