/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image.h"

#include "util/mem.h"
#include "util/test.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static json_t *parse(const char *text)
{
	json_t *j = NULL;

	assert_ok(jx_parse(text, strlen(text), &j));
	return j;
}

static void a_manifest_is_read_and_written_the_same(void **state)
{
	static const char text[] =
	    "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"config\":{"
	    "\"mediaType\":\"" OCI_TYPE_CONFIG "\",\"digest\":\"" D1 "\",\"size\":7},"
	    "\"layers\":[{\"mediaType\":\"" OCI_TYPE_LAYER_GZIP "\",\"digest\":\"" D2
	    "\",\"size\":9}]}";
	OWN(json) json_t *j = parse(text);
	OWN(oci_manifest) struct oci_manifest m = { 0 };
	enum oci_kind kind;

	(void)state;
	assert_ok(oci_kind_of(j, &kind));
	assert_int_equal(kind, OCI_MANIFEST);
	assert_ok(oci_manifest_read(j, &m));
	assert_int_equal(m.n_layers, 1);
	assert_int_equal(m.layers[0].size, 9);
	OWN(json) json_t *back = oci_manifest_write(&m);
	OWN(mem) char *back_text = jx_text(back);

	assert_string_equal(back_text, text);
	assert_false(oci_manifest_to_oci(&m));
}

static void dockers_media_types_become_those_of_oci(void **state)
{
	OWN(json)
	json_t *j = parse(
	    "{\"mediaType\":\"" DOCKER_TYPE_MANIFEST "\",\"config\":{\"mediaType\":"
	    "\"" DOCKER_TYPE_CONFIG "\",\"digest\":\"" D1 "\",\"size\":7},\"layers\":[{"
	    "\"mediaType\":\"" DOCKER_TYPE_LAYER_GZIP "\",\"digest\":\"" D2 "\",\"size\":9}]}");
	OWN(oci_manifest) struct oci_manifest m = { 0 };

	(void)state;
	assert_ok(oci_manifest_read(j, &m));
	assert_true(oci_manifest_to_oci(&m));
	assert_string_equal(m.media_type, OCI_TYPE_MANIFEST);
	assert_string_equal(m.config.media_type, OCI_TYPE_CONFIG);
	assert_string_equal(m.layers[0].media_type, OCI_TYPE_LAYER_GZIP);
}

static void a_bad_manifest_is_refused_by_member(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"layers\":[]}", "manifest: config: expected an object" },
		{ "{\"config\":{\"digest\":\"" D1 "\"},\"layers\":[]}",
		  "manifest: config: size is missing" },
		{ "{\"config\":{\"size\":1},\"layers\":[]}",
		  "manifest: config: digest is missing" },
		{ "{\"config\":{\"size\":-1,\"digest\":\"" D1 "\"},\"layers\":[]}",
		  "manifest: config: size: -1 is out of range (0 to 9223372036854775807)" },
		{ "{\"config\":{\"size\":1,\"digest\":\"" D1 "\"},\"layers\":3}",
		  "manifest: layers: expected an array" },
		{ "{\"config\":{\"size\":1,\"digest\":\"" D1
		  "\"},\"layers\":[{\"digest\":\"sha256:../x\",\"size\":1}]}",
		  "manifest: layers: [0]: digest: \"sha256:../x\" is no sha256 digest" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(json) json_t *j = parse(cases[i][0]);
		OWN(oci_manifest) struct oci_manifest m = { 0 };
		OWN(err) struct err *e = oci_manifest_read(j, &m);

		assert_non_null(e);
		assert_int_equal(err_kind(e), ERR_CORRUPT);
		assert_string_equal(err_text(e), cases[i][1]);
	}
}

static void documents_of_other_kinds_are_told(void **state)
{
	enum oci_kind kind;
	OWN(json) json_t *old = parse("{\"schemaVersion\":1,\"fsLayers\":[]}");
	OWN(json) json_t *other = parse("{\"mediaType\":\"x/y\"}");
	OWN(json) json_t *list = parse("[]");
	OWN(json) json_t *index = parse("{\"manifests\":[]}");

	(void)state;
	assert_err(oci_kind_of(old, &kind), ERR_UNSUPPORTED);
	assert_err(oci_kind_of(other, &kind), ERR_UNSUPPORTED);
	assert_err(oci_kind_of(list, &kind), ERR_CORRUPT);
	assert_ok(oci_kind_of(index, &kind));
	assert_int_equal(kind, OCI_INDEX);
}

static void an_index_is_searched_by_platform(void **state)
{
	OWN(json)
	json_t *j = parse("{\"manifests\":[{\"digest\":\"" D1 "\",\"size\":1,\"platform\":{\"os\":"
			  "\"unknown\",\"architecture\":\"unknown\"}},{\"digest\":\"" D2
			  "\",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":"
			  "\"arm64\",\"variant\":\"v8\"}}]}");
	static const struct {
		const char *platform;
		const char *digest;
	} cases[] = {
		{ "linux/arm64", D2 },      { "linux/aarch64", D2 }, { "linux/arm64/v8", D2 },
		{ "linux/arm64/v9", NULL }, { "linux/amd64", NULL }, { "windows/arm64", NULL }
	};
	OWN(oci_index) struct oci_index x = { 0 };

	(void)state;
	assert_ok(oci_index_read(j, &x));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(oci_platform) struct oci_platform p = { 0 };

		assert_ok(oci_platform_parse(cases[i].platform, &p));
		const struct oci_desc *d = oci_index_select(&x, &p);

		assert_true(streq(d ? d->digest : NULL, cases[i].digest));
	}
}

static void a_platform_has_two_or_three_parts(void **state)
{
	static const char *const bad[] = { "",         "linux",   "linux/", "/amd64",
					   "linux/a/", "a/b/c/d", "a//b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(oci_platform) struct oci_platform p = { 0 };

		assert_err(oci_platform_parse(bad[i], &p), ERR_INVALID);
	}
}

static void a_config_is_read(void **state)
{
	OWN(json)
	json_t *j = parse("{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"x\","
			  "\"rootfs\":{\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}");
	OWN(json)
	json_t *bad = parse("{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{"
			    "\"diff_ids\":[\"../../x\"]}}");
	OWN(json) json_t *none = parse("{\"rootfs\":{}}");
	OWN(oci_config) struct oci_config c = { 0 };
	OWN(oci_config) struct oci_config d = { 0 };

	(void)state;
	assert_ok(oci_config_read(j, &c));
	assert_int_equal(c.diff_ids.n, 2);
	assert_string_equal(c.platform.arch, "amd64");
	assert_err(oci_config_read(bad, &d), ERR_CORRUPT);
	assert_err(oci_config_read(none, &d), ERR_CORRUPT);
}

static void changes_are_applied_as_a_dockerfile_says(void **state)
{
	static const struct {
		const char *changes[4];
		const char *config;
	} cases[] = {
		{ { "CMD [\"a\", \"b c\"]" }, "{\"Cmd\":[\"a\",\"b c\"]}" },
		{ { "cmd echo hi" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo hi\"]}" },
		{ { "CMD [not json" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[not json\"]}" },
		{ { "ENTRYPOINT [\"/e\"]" }, "{\"Entrypoint\":[\"/e\"]}" },
		{ { "ENV A=1 B=\"2 3\"", "ENV A=4", "ENV C d e" },
		  "{\"Env\":[\"A=4\",\"B=2 3\",\"C=d e\"]}" },
		{ { "LABEL a=b", "LABEL \"c d\"='e f'" },
		  "{\"Labels\":{\"a\":\"b\",\"c d\":\"e f\"}}" },
		{ { "EXPOSE 80 53/udp" }, "{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}}" },
		{ { "VOLUME /a /b" }, "{\"Volumes\":{\"/a\":{},\"/b\":{}}}" },
		{ { "VOLUME [\"/a b\"]" }, "{\"Volumes\":{\"/a b\":{}}}" },
		{ { "USER app", "WORKDIR /w", "STOPSIGNAL SIGINT" },
		  "{\"User\":\"app\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\"}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(json) json_t *config = json_object();

		for (size_t k = 0; k < 4 && cases[i].changes[k]; k++)
			assert_ok(oci_change_apply(config, cases[i].changes[k]));
		OWN(mem) char *text = jx_text(config);

		assert_string_equal(text, cases[i].config);
	}
}

static void a_wrong_change_is_refused(void **state)
{
	static const char *const cases[] = {
		"",       "CMD",           "FROM debian", "RUN x",
		"ENV =x", "LABEL novalue", "EXPOSE http", "ENV A=\"x"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(json) json_t *config = json_object();

		assert_err(oci_change_apply(config, cases[i]), ERR_INVALID);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_is_read_and_written_the_same),
		cmocka_unit_test(dockers_media_types_become_those_of_oci),
		cmocka_unit_test(a_bad_manifest_is_refused_by_member),
		cmocka_unit_test(documents_of_other_kinds_are_told),
		cmocka_unit_test(an_index_is_searched_by_platform),
		cmocka_unit_test(a_platform_has_two_or_three_parts),
		cmocka_unit_test(a_config_is_read),
		cmocka_unit_test(changes_are_applied_as_a_dockerfile_says),
		cmocka_unit_test(a_wrong_change_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
