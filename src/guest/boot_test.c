/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/boot.h"

#include "util/mem.h"
#include "util/test.h"

static struct err *plan_of(const char *doc, json_t **ret, struct str *bpf)
{
	OWN(json) json_t *j = NULL;

	assert_ok(jx_parse(doc, strlen(doc), &j));
	return guest_plan(j, ret, bpf);
}

static const json_t *at(const json_t *j, const char *a, const char *b, const char *c)
{
	j = json_object_get(j, a);
	j = b ? json_object_get(j, b) : j;
	return c ? json_object_get(j, c) : j;
}

static void an_image_becomes_a_container_on_the_guests_own_disks(void **state)
{
	OWN(json) json_t *plan = NULL;
	OWN(str) struct str bpf = { 0 };
	OWN(mem) char *rootfs = NULL;
	OWN(mem) char *spaces = NULL;
	OWN(mem) char *mounts = NULL;

	assert_ok(plan_of(
	    "{\"image\":true,\"seccomp\":\"0aff\",\"guest\":{\"user\":\"app\",\"groups\":[\"g\"],"
	    "\"files\":[{\"path\":\"/etc/hosts\",\"content\":\"x\"}],"
	    "\"oci\":{\"process\":{\"args\":[\"sh\"]},\"mounts\":[],\"linux\":{\"namespaces\":["
	    "{\"type\":\"network\",\"path\":\"/host\"}]}}}}",
	    &plan, &bpf));
	rootfs = jx_text(at(plan, "host", "rootfs", NULL));
	assert_string_equal(rootfs, "{\"lower\":[\"/run/image\"],\"upper\":\"/run/disk/upper\","
				    "\"work\":\"/run/disk/work\"}");
	spaces = jx_text(json_object_get(at(plan, "guest", "oci", "linux"), "namespaces"));
	assert_string_equal(spaces, "[{\"type\":\"pid\"},{\"type\":\"mount\"}]");
	mounts = jx_text(at(plan, "guest", "oci", "mounts"));
	assert_string_equal(mounts, "[{\"destination\":\"/etc/hosts\",\"type\":\"bind\","
				    "\"source\":\"/run/hostel/file-0\",\"options\":[\"bind\","
				    "\"rprivate\"]}]");
	assert_string_equal(jx_str(at(plan, "guest", NULL, NULL), "user", ""), "app");
	assert_string_equal(jx_str(at(plan, "guest", NULL, NULL), "seccomp_bpf", ""),
			    "/run/hostel/seccomp.bpf");
	assert_string_equal(jx_str(at(plan, "host", "net", NULL), "mode", ""), "host");
	assert_int_equal(bpf.len, 2);
	assert_memory_equal(bpf.buf, "\x0a\xff", 2);
}

static void without_an_image_the_payload_is_a_pause(void **state)
{
	OWN(json) json_t *plan = NULL;
	OWN(str) struct str bpf = { 0 };
	OWN(mem) char *args = NULL;

	assert_ok(plan_of("{\"guest\":{}}", &plan, &bpf));
	args = jx_text(json_object_get(at(plan, "guest", "oci", "process"), "args"));
	assert_string_equal(args, "[\"/sbin/init\",\"pause\"]");
	assert_null(json_object_get(at(plan, "guest", NULL, NULL), "seccomp_bpf"));
	assert_int_equal(bpf.len, 0);
}

static void a_start_that_is_not_whole_is_refused(void **state)
{
	static const char *const docs[] = {
		"{\"image\":true}",
		"{\"image\":true,\"guest\":{\"oci\":[]}}",
		"{\"seccomp\":\"0\"}",
		"{\"seccomp\":\"0g\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		json_t *plan = NULL;
		struct str bpf = { 0 };

		assert_err(plan_of(docs[i], &plan, &bpf), ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_becomes_a_container_on_the_guests_own_disks),
		cmocka_unit_test(without_an_image_the_payload_is_a_pause),
		cmocka_unit_test(a_start_that_is_not_whole_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
