/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/merge.h"

#include "util/mem.h"
#include "util/test.h"

static json_t *image_of(const char *config)
{
	json_t *j = NULL;
	OWN(mem) char *text = xasprintf("{\"config\":%s}", config);

	assert_null(jx_parse(text, strlen(text), &j));
	return j;
}

static char *joined(const struct strv *l)
{
	struct str s = { 0 };

	for (size_t i = 0; i < l->n; i++)
		str_addf(&s, "%s%s", i ? " " : "", l->v[i]);
	return str_take(&s);
}

static const struct {
	const char *image, *entrypoint, *cmd; /* user's; NULL: none */
	const char *want_entrypoint, *want_cmd;
} commands[] = {
	{ "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", NULL, NULL, "/e", "c" },
	{ "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", NULL, "d", "/e", "d" },
	{ "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", "/f", NULL, "/f", "" },
	{ "{\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"]}", "", "d", "", "d" },
	{ "{\"Cmd\":[\"sh\"]}", NULL, NULL, "", "sh" },
};

static void an_entrypoint_of_the_user_drops_the_images_command(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		OWN(spec) struct spec *s = spec_new();
		OWN(json) json_t *image = image_of(commands[i].image);

		if (commands[i].entrypoint)
			strv_add(&s->entrypoint, commands[i].entrypoint);
		if (commands[i].cmd)
			strv_add(&s->cmd, commands[i].cmd);
		assert_null(merge_image(s, image));
		OWN(mem) char *e = joined(&s->entrypoint);
		OWN(mem) char *c = joined(&s->cmd);

		assert_string_equal(e, commands[i].want_entrypoint);
		assert_string_equal(c, commands[i].want_cmd);
	}
}

static void nothing_to_run_is_refused(void **state)
{
	OWN(spec) struct spec *s = spec_new();
	OWN(json) json_t *image = image_of("{}");
	OWN(err) struct err *e = merge_image(s, image);

	assert_non_null(e);
	assert_int_equal(err_kind(e), ERR_INVALID);
	assert_string_equal(err_text(e), "no command specified");
}

static void what_the_user_said_wins_and_the_rest_is_the_images(void **state)
{
	OWN(spec) struct spec *s = spec_new();
	OWN(json)
	json_t *image = image_of(
	    "{\"Cmd\":[\"sh\"],\"Env\":[\"PATH=/bin\",\"A=image\"],\"User\":\"app\",\"WorkingDir\":"
	    "\"/w\",\"StopSignal\":\"SIGINT\",\"Labels\":{\"a\":\"image\",\"b\":\"image\"},"
	    "\"Volumes\":{\"/data\":{}},\"ExposedPorts\":{\"80/tcp\":{}}}");

	strv_add(&s->env, "A=user");
	strv_add(&s->exposed, "80/tcp");
	strmap_set(&s->labels, "a", "user");
	str_set(&s->user, "root");
	assert_null(merge_image(s, image));
	OWN(mem) char *env = joined(&s->env);

	assert_string_equal(env, "A=user PATH=/bin");
	assert_string_equal(s->user, "root");
	assert_string_equal(s->workdir, "/w");
	assert_string_equal(s->stop_signal, "SIGINT");
	assert_string_equal(strmap_get(&s->labels, "a"), "user");
	assert_string_equal(strmap_get(&s->labels, "b"), "image");
	assert_int_equal(s->volumes.n, 1);
	assert_int_equal(s->exposed.n, 1);
}

static void a_name_that_begins_like_another_is_another(void **state)
{
	OWN(strv) struct strv env = { 0 };

	strv_add(&env, "PATHS=/x");
	assert_false(env_has(&env, "PATH=/bin"));
	assert_true(env_has(&env, "PATHS="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entrypoint_of_the_user_drops_the_images_command),
		cmocka_unit_test(nothing_to_run_is_refused),
		cmocka_unit_test(what_the_user_said_wins_and_the_rest_is_the_images),
		cmocka_unit_test(a_name_that_begins_like_another_is_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
