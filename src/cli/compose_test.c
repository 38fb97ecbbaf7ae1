/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/compose.h"

#include <fcntl.h>
#include <stdlib.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

/* golden/project.json is a project, golden/bodies.txt what is made of it: a line each. */
static char *bodies_of(const json_t *doc)
{
	OWN(strv) struct strv notes = { 0 };
	OWN(json) json_t *list = NULL;
	struct str out = { 0 };
	json_t *one;
	size_t n;

	assert_null(compose_instances(doc, &list, &notes));
	json_array_foreach(list, n, one)
	{
		OWN(mem) char *body = jx_text(json_object_get(one, "Body"));

		str_addf(&out, "%s %s\n", jx_str(one, "Name", "?"), body);
	}
	for (n = 0; n < notes.n; n++)
		str_addf(&out, "note: %s\n", notes.v[n]);
	return str_take(&out);
}

static void a_project_becomes_the_bodies_that_docker_compose_sends(void **state)
{
	OWN(mem) char *want = NULL, *got = NULL;
	OWN(json) json_t *doc = NULL;

	(void)state;
	assert_null(jx_load(AT_FDCWD, GOLDEN_DIR "/project.json", &doc));
	got = bodies_of(doc);
	if (streq(getenv("HOSTEL_GOLDEN"), "write"))
		assert_null(
		    fd_write_file(AT_FDCWD, GOLDEN_DIR "/bodies.txt", got, strlen(got), 0644));
	assert_null(fd_read_file(AT_FDCWD, GOLDEN_DIR "/bodies.txt", 65536, &want));
	assert_string_equal(got, want);
}

static void what_is_wrong_is_named_with_its_service_and_member(void **state)
{
	static const struct {
		const char *service, *error;
	} cases[] = {
		{ "{'mem_limit':'much'}",
		  "service web: mem_limit: \"much\" is not a size; write 512m, 1g or bytes" },
		{ "{'mem_limit':1.5}", "service web: mem_limit: expected a whole number" },
		{ "{'cpus':-1}", "service web: cpus: expected a number of cpus like 0.5 or 2" },
		{ "{'cpus':true}", "service web: cpus: expected a number of cpus like 0.5 or 2" },
		{ "{'cpus':1e300}", "service web: cpus: expected a number of cpus like 0.5 or 2" },
		{ "{'deploy':{'resources':{'limits':{'cpus':'x'}}}}",
		  "service web: deploy.resources.limits.cpus: \"x\" is not a number like 0.5 or "
		  "2" },
		{ "{'deploy':{'replicas':1001}}", "service web: deploy.replicas: 0 to 1000" },
		{ "{'scale':'many'}", "service web: scale: \"many\" is not a whole number" },
		{ "{'command':{'a':'b'}}",
		  "service web: command: expected a text or an array of texts" },
		{ "{'command':['a',1]}", "service web: command: expected an array of texts" },
		{ "{'labels':'a=b'}", "service web: labels: expected an object" },
		{ "{'image':5}", "service web: image: expected a text" },
		{ "{'gpus':'all'}", "service web: gpus: expected an array" },
		{ "[]", "service web: expected an object" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *text = xasprintf("{'services':{'web':%s}}", cases[i].service);
		OWN(strv) struct strv notes = { 0 };
		OWN(json) json_t *doc = NULL, *list = NULL;
		OWN(err) struct err *err = NULL;

		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		assert_null(jx_parse(text, strlen(text), &doc));
		err = compose_instances(doc, &list, &notes);
		assert_non_null(err);
		assert_int_equal(err_kind(err), ERR_INVALID);
		assert_string_equal(err_text(err), cases[i].error);
		assert_null(list);
	}
}

static void what_depends_on_itself_is_there_once(void **state)
{
	static const char text[] = "{\"services\":{\"a\":{\"image\":\"i\",\"depends_on\":[\"b\"]},"
				   "\"b\":{\"image\":\"i\",\"depends_on\":[\"a\"]}}}";
	OWN(json) json_t *doc = NULL;
	OWN(mem) char *got = NULL;

	(void)state;
	assert_null(jx_parse(text, sizeof(text) - 1, &doc));
	got = bodies_of(doc);
	assert_string_equal(got, "b {\"Image\":\"i\"}\na {\"Image\":\"i\"}\n");
}

static void a_document_without_services_is_none(void **state)
{
	static const char *const texts[] = { "{}", "[]", "{\"services\":[]}", "7" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		OWN(strv) struct strv notes = { 0 };
		OWN(json) json_t *doc = json_loads(texts[i], JSON_DECODE_ANY, NULL), *list = NULL;
		OWN(err) struct err *err = compose_instances(doc, &list, &notes);

		assert_non_null(err);
		assert_non_null(strstr(err_text(err), "it has no services"));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_project_becomes_the_bodies_that_docker_compose_sends),
		cmocka_unit_test(what_is_wrong_is_named_with_its_service_and_member),
		cmocka_unit_test(what_depends_on_itself_is_there_once),
		cmocka_unit_test(a_document_without_services_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
