/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opt.h"

#include "util/mem.h"
#include "util/test.h"

static struct err *apply_upper(json_t *doc, const char *value)
{
	if (!strcmp(value, "bad"))
		return err_new(ERR_INVALID, "\"%s\" is bad", value);
	opt_set(doc, "Custom", json_string("applied"));
	return NULL;
}

static const struct opt rows[] = {
	{ "all", 'a', OPT_FLAG, NULL, "Everything", "All" },
	{ "name", 'n', OPT_TEXT, "NAME", "Its name", "Config.Name", .alias = "call" },
	{ "number", 0, OPT_INT, "N", "A number", "Config.Number" },
	{ "size", 's', OPT_BYTES, "SIZE", "A size", "Size" },
	{ "cpus", 0, OPT_NANO, "N", "Cpus", "Nano" },
	{ "time", 't', OPT_DURATION, "TIME", "A time", "Time" },
	{ "list", 'l', OPT_LIST, "WORD", "Words", "Config.List" },
	{ "map", 'm', OPT_MAP, "K=V", "Pairs", "Map" },
	{ "kind", 0, OPT_TEXT, "KIND", "One of two", .choices = "one two" },
	{ "custom", 0, OPT_TEXT, "WORD", "By function", .apply = apply_upper },
};
static const struct opt_table table = OPT_TABLE(rows);

static const struct command free_order = { .name = "demo",
					   .usage = "ARG...",
					   .summary = "For tests",
					   .tables = { &table },
					   .min_args = 1,
					   .max_args = 3 };
static const struct command stops = { .name = "run",
				      .usage = "IMAGE [COMMAND]",
				      .summary = "For tests",
				      .tables = { &table },
				      .max_args = SIZE_MAX,
				      .stops_at_first = true };

/* Parse @line; its words live in @words, whose last slot owns their text. */
static struct err *parse_line(const struct command *cmd, const char *line, struct args *ret,
			      char *words[32])
{
	char *save = NULL;
	size_t n = 0;

	words[31] = xstrdup(line);
	for (char *w = strtok_r(words[31], " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	words[n] = NULL;
	return args_parse(cmd, NULL, (const char *const *)words, ret);
}

static void options_come_in_every_form_and_order(void **state)
{
	static const char *const lines[] = {
		"-a --name web x --number 5 y",
		"x y -anweb --number=5",
		"--all=true --call web x y --number 5",
		"-a -n=web --number 5 -- x y",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct args a = { 0 };
		char *words[32];

		assert_ok(parse_line(&free_order, lines[i], &a, words));
		assert_true(args_flag(&a, "all"));
		assert_string_equal(args_text(&a, "name"), "web");
		assert_int_equal(args_int(&a, "number", 0), 5);
		assert_int_equal(a.n_rest, 2);
		assert_string_equal(a.rest[0], "x");
		assert_string_equal(a.rest[1], "y");
		args_done(&a);
		free(words[31]);
	}
}

static void words_after_an_image_belong_to_its_command(void **state)
{
	struct args a = { 0 };
	char *words[32];

	assert_ok(parse_line(&stops, "-a image -n --number x -- y", &a, words));
	assert_int_equal(a.n_rest, 6);
	assert_string_equal(a.rest[1], "-n");
	assert_string_equal(a.rest[4], "--");
	assert_false(args_has(&a, "name"));
	args_done(&a);
	free(words[31]);
}

static void members_are_set_by_type(void **state)
{
	static const char line[] = "x -a -n web --number -3 -s 2k --cpus 0.5 -t 3s -l a -l b "
				   "-m k=v -m e= -m n --custom word";
	static const char want[] =
	    "{\"All\": true, \"Config\": {\"Name\": \"web\", \"Number\": -3, \"List\": [\"a\", "
	    "\"b\"]}, \"Size\": 2048, \"Nano\": 500000000, \"Time\": 3000000000, \"Map\": {\"k\": "
	    "\"v\", \"e\": \"\", \"n\": \"\"}, \"Custom\": \"applied\"}";
	OWN(json) json_t *doc = json_object();
	OWN(mem) char *text = NULL;
	struct args a = { 0 };
	char *words[32];

	assert_ok(parse_line(&free_order, line, &a, words));
	assert_ok(args_apply(&a, doc));
	text = json_dumps(doc, JSON_PRESERVE_ORDER);
	assert_string_equal(text, want);
	args_done(&a);
	free(words[31]);
}

static void bad_lines_are_refused_in_one_line(void **state)
{
	static const struct {
		const char *line, *text;
	} bad[] = {
		{ "", "missing argument: ARG..." },
		{ "a b c d", "too many arguments: \"d\"" },
		{ "x --nope", "unknown option --nope" },
		{ "x -q", "unknown option -q" },
		{ "x --name", "--name needs a value" },
		{ "x -n", "-n needs a value" },
		{ "x --number five", "--number: \"five\" is not a whole number" },
		{ "x --size big", "--size: \"big\" is not a size" },
		{ "x --kind three", "--kind: one of: one two" },
		{ "x --kind on", "--kind: one of: one two" },
		{ "x --all=maybe", "--all: true or false" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct args a = { 0 };
		char *words[32];
		struct err *e = parse_line(&free_order, bad[i].line, &a, words);

		assert_non_null(e);
		if (!strstr(err_text(e), bad[i].text) || strchr(err_text(e), '\n'))
			fail_msg("%s: %s", bad[i].line, err_text(e));
		err_free(e);
		free(words[31]);
	}
}

static void an_apply_function_names_its_option_when_it_fails(void **state)
{
	OWN(json) json_t *doc = json_object();
	struct args a = { 0 };
	char *words[32];
	struct err *e;

	assert_ok(parse_line(&free_order, "x --custom bad", &a, words));
	e = args_apply(&a, doc);
	assert_string_equal(err_text(e), "--custom: \"bad\" is bad");
	err_free(e);
	args_done(&a);
	free(words[31]);
}

static void help_is_wanted_before_arguments_are_counted(void **state)
{
	struct args a = { 0 };
	char *words[32];

	assert_ok(parse_line(&free_order, "--help", &a, words));
	assert_true(a.wants_help);
	args_done(&a);
	free(words[31]);
	assert_ok(parse_line(&free_order, "-h", &a, words));
	assert_true(a.wants_help);
	args_done(&a);
	free(words[31]);
}

static void help_reads_the_table(void **state)
{
	static const char want[] = "Usage: hostel vm demo [OPTION...] ARG...\n"
				   "\n"
				   "For tests\n"
				   "\n"
				   "Options:\n"
				   "  -a, --all                      Everything\n"
				   "  -n, --name NAME                Its name\n"
				   "      --number N                 A number\n"
				   "  -s, --size SIZE                A size\n"
				   "      --cpus N                   Cpus\n"
				   "  -t, --time TIME                A time\n"
				   "  -l, --list WORD                Words\n"
				   "  -m, --map K=V                  Pairs\n"
				   "      --kind KIND                One of two\n"
				   "      --custom WORD              By function\n"
				   "      --help                     Show this help\n";
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	opt_help(&free_order, "vm", out);
	fclose(out);
	assert_string_equal(text, want);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_come_in_every_form_and_order),
		cmocka_unit_test(words_after_an_image_belong_to_its_command),
		cmocka_unit_test(members_are_set_by_type),
		cmocka_unit_test(bad_lines_are_refused_in_one_line),
		cmocka_unit_test(an_apply_function_names_its_option_when_it_fails),
		cmocka_unit_test(help_is_wanted_before_arguments_are_counted),
		cmocka_unit_test(help_reads_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
