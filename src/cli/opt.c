/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opt.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/num.h"

static const struct opt help_row = { .name = "help", .letter = '\0', .help = "Show this help" };

const struct opt *opt_each(const struct command *cmd, size_t i)
{
	for (size_t t = 0; t < COMMAND_TABLES_MAX && cmd->tables[t]; t++) {
		if (i < cmd->tables[t]->n)
			return &cmd->tables[t]->rows[i];
		i -= cmd->tables[t]->n;
	}
	return i ? NULL : &help_row;
}

/* ---- find ---- */

static bool name_is(const char *name, const char *text, size_t len)
{
	return name && strlen(name) == len && !memcmp(name, text, len);
}

static const struct opt *find_long(const struct command *cmd, const char *text, size_t len)
{
	const struct opt *o;

	for (size_t i = 0; (o = opt_each(cmd, i)); i++)
		if (name_is(o->name, text, len) || name_is(o->alias, text, len))
			return o;
	return NULL;
}

static const struct opt *find_letter(const struct command *cmd, char letter)
{
	const struct opt *o;

	for (size_t i = 0; (o = opt_each(cmd, i)); i++)
		if (o->letter == letter)
			return o;
	return NULL;
}

/* ---- parse ---- */

static struct err *usage_err(const struct args *a, const char *fmt, const char *what)
{
	OWN(mem) char *text = xasprintf(fmt, what);

	return err_new(ERR_INVALID, "%s (see hostel %s%s%s --help)", text,
		       a->parent ? a->parent : "", a->parent ? " " : "", a->command->name);
}

static struct err *check_choice(const struct opt *o, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = o->choices; *p; p += strcspn(p, " "), p += *p == ' ')
		if (strcspn(p, " ") == len && !memcmp(p, value, len))
			return NULL;
	return err_new(ERR_INVALID, "--%s: one of: %s", o->name, o->choices);
}

static bool is_bool(const char *s)
{
	return streq(s, "true") || streq(s, "false") || streq(s, "1") || streq(s, "0");
}

static struct err *check_value(const struct opt *o, const char *value)
{
	int64_t n;

	if (o->choices)
		TRY(check_choice(o, value));
	if (o->apply)
		return NULL;
	switch (o->type) {
	case OPT_FLAG:
		if (!is_bool(value))
			return err_new(ERR_INVALID, "--%s: true or false", o->name);
		return NULL;
	case OPT_INT:
		TRY_MSG(num_parse_i64(value, INT64_MIN, INT64_MAX, &n), "--%s", o->name);
		return NULL;
	case OPT_BYTES:
		if (!streq(value, "-1"))
			TRY_MSG(num_parse_bytes(value, &n), "--%s", o->name);
		return NULL;
	case OPT_NANO:
		TRY_MSG(num_parse_milli(value, &n), "--%s", o->name);
		return NULL;
	case OPT_DURATION:
		TRY_MSG(num_parse_duration(value, &n), "--%s", o->name);
		return NULL;
	case OPT_TEXT:
	case OPT_LIST:
	case OPT_MAP:
	case OPT_TYPES:
		break;
	}
	return NULL;
}

static struct err *add_use(struct args *a, const struct opt *o, const char *value)
{
	TRY(check_value(o, value));
	if (o == &help_row)
		a->wants_help = true;
	a->uses = xrealloc(a->uses, a->n_uses + 1, sizeof(*a->uses));
	a->uses[a->n_uses++] = (struct opt_use) { .opt = o, .value = value };
	return NULL;
}

/* --name, --name VALUE, --name=VALUE; @ret_used: words taken */
static struct err *parse_long(struct args *a, const char *const *argv, size_t *ret_used)
{
	const char *name = argv[0] + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	const struct opt *o = find_long(a->command, name, len);

	*ret_used = 1;
	if (!o)
		return usage_err(a, "unknown option %s", argv[0]);
	if (eq)
		return add_use(a, o, eq + 1);
	if (o->type == OPT_FLAG)
		return add_use(a, o, "true");
	if (!argv[1])
		return usage_err(a, "--%s needs a value", o->name);
	*ret_used = 2;
	return add_use(a, o, argv[1]);
}

/* -abc, -n VALUE, -nVALUE, -n=VALUE */
static struct err *parse_short(struct args *a, const char *const *argv, size_t *ret_used)
{
	*ret_used = 1;
	for (const char *p = argv[0] + 1; *p; p++) {
		const struct opt *o = find_letter(a->command, *p);
		char text[3] = { '-', *p, '\0' };

		if (!o && *p == 'h')
			o = &help_row;
		if (!o)
			return usage_err(a, "unknown option %s", text);
		if (o->type == OPT_FLAG && p[1] != '=') {
			TRY(add_use(a, o, "true"));
			continue;
		}
		if (p[1])
			return add_use(a, o, p[1] == '=' ? p + 2 : p + 1);
		if (!argv[1])
			return usage_err(a, "%s needs a value", text);
		*ret_used = 2;
		return add_use(a, o, argv[1]);
	}
	return NULL;
}

static void add_rest(struct args *a, const char *word)
{
	a->list = xrealloc(a->list, a->n_rest + 2, sizeof(*a->list));
	a->list[a->n_rest++] = word;
	a->list[a->n_rest] = NULL;
}

static struct err *parse_words(struct args *a, const char *const *argv)
{
	bool only_args = false;

	while (*argv) {
		size_t used = 1;

		if (only_args || argv[0][0] != '-' || !argv[0][1]) {
			add_rest(a, argv[0]);
			only_args = only_args || a->command->stops_at_first;
		} else if (streq(argv[0], "--")) {
			only_args = true;
		} else if (argv[0][1] == '-') {
			TRY(parse_long(a, argv, &used));
		} else {
			TRY(parse_short(a, argv, &used));
		}
		argv += used;
	}
	return NULL;
}

static struct err *check_count(const struct args *a)
{
	if (a->wants_help)
		return NULL;
	if (a->n_rest < a->command->min_args)
		return usage_err(a, "missing argument: %s", a->command->usage);
	if (a->n_rest > a->command->max_args)
		return usage_err(a, "too many arguments: \"%s\"", a->rest[a->command->max_args]);
	return NULL;
}

struct err *args_parse(const struct command *cmd, const char *parent, const char *const *argv,
		       struct args *ret)
{
	static const char *const none[] = { NULL };
	struct args a = { .command = cmd, .parent = parent };
	struct err *e = parse_words(&a, argv);

	a.rest = a.list ? a.list : none;
	if (!e)
		e = check_count(&a);
	if (e)
		args_done(&a);
	else
		*ret = a;
	return e;
}

void args_done(struct args *a)
{
	free(a->uses);
	free(a->list);
	*a = (struct args) { 0 };
}

/* ---- read ---- */

const char *args_text(const struct args *a, const char *name)
{
	for (size_t i = a->n_uses; i--;)
		if (streq(a->uses[i].opt->name, name))
			return a->uses[i].value;
	return NULL;
}

bool args_has(const struct args *a, const char *name)
{
	return args_text(a, name) != NULL;
}

static bool is_true(const char *value)
{
	return streq(value, "true") || streq(value, "1");
}

bool args_flag(const struct args *a, const char *name)
{
	const char *value = args_text(a, name);

	return value && is_true(value);
}

int64_t args_int(const struct args *a, const char *name, int64_t fallback)
{
	const char *value = args_text(a, name);

	return value ? strtoll(value, NULL, 10) : fallback;
}

/* ---- apply ---- */

/* The object that holds the last part of @path; @ret_last: that part. */
static json_t *walk(json_t *doc, const char *path, const char **ret_last)
{
	const char *dot;

	for (; (dot = strchr(path, '.')); path = dot + 1) {
		OWN(mem) char *key = xstrndup(path, (size_t)(dot - path));
		json_t *next = json_object_get(doc, key);

		if (!next) {
			next = json_object();
			json_object_set_new(doc, key, next);
		}
		doc = next;
	}
	*ret_last = path;
	return doc;
}

json_t *opt_member(json_t *doc, const char *path, bool is_array)
{
	const char *last;
	json_t *holder = walk(doc, path, &last), *found = json_object_get(holder, last);

	if (found)
		return found;
	found = is_array ? json_array() : json_object();
	json_object_set_new(holder, last, found);
	return found;
}

void opt_set(json_t *doc, const char *path, json_t *value)
{
	const char *last;
	json_t *holder = walk(doc, path, &last);

	json_object_set_new(holder, last, value);
}

static struct err *set_number(json_t *doc, const struct opt *o, const char *value)
{
	int64_t n = 0;

	if (o->type == OPT_INT)
		TRY(num_parse_i64(value, INT64_MIN, INT64_MAX, &n));
	else if (o->type == OPT_NANO)
		TRY(num_parse_milli(value, &n));
	else if (o->type == OPT_DURATION)
		TRY(num_parse_duration(value, &n));
	else if (streq(value, "-1"))
		n = -1;
	else
		TRY(num_parse_bytes(value, &n));
	opt_set(doc, o->member, json_integer(o->type == OPT_NANO ? n * 1000000 : n));
	return NULL;
}

static void set_pair(json_t *map, const char *pair)
{
	const char *eq = strchr(pair, '=');
	OWN(mem) char *key = xstrndup(pair, eq ? (size_t)(eq - pair) : strlen(pair));

	json_object_set_new(map, key, jx_string(eq ? eq + 1 : ""));
}

static struct err *apply_use(json_t *doc, const struct opt *o, const char *value)
{
	if (o->apply)
		return o->apply(doc, value);
	if (!o->member)
		return NULL;
	switch (o->type) {
	case OPT_FLAG:
		opt_set(doc, o->member, json_boolean(is_true(value)));
		return NULL;
	case OPT_TEXT:
		opt_set(doc, o->member, jx_string(value));
		return NULL;
	case OPT_INT:
	case OPT_BYTES:
	case OPT_NANO:
	case OPT_DURATION:
		return set_number(doc, o, value);
	case OPT_LIST:
		json_array_append_new(opt_member(doc, o->member, true), jx_string(value));
		return NULL;
	case OPT_MAP:
		set_pair(opt_member(doc, o->member, false), value);
		return NULL;
	case OPT_TYPES:
		break;
	}
	return NULL;
}

struct err *args_apply(const struct args *a, json_t *doc)
{
	for (size_t i = 0; i < a->n_uses; i++)
		TRY_MSG(apply_use(doc, a->uses[i].opt, a->uses[i].value), "--%s",
			a->uses[i].opt->name);
	return NULL;
}

/* ---- help ---- */

static void help_option(const struct opt *o, FILE *out)
{
	OWN(str) struct str left = { 0 };

	if (o->letter)
		str_addf(&left, "  -%c, --%s", o->letter, o->name);
	else
		str_addf(&left, "      --%s", o->name);
	if (o->arg)
		str_addf(&left, " %s", o->arg);
	fprintf(out, left.len < 32 ? "%-32s %s\n" : "%s\n%33s%s\n", left.buf,
		left.len < 32 ? o->help : "", o->help);
}

static void help_subs(const struct command *cmd, FILE *out)
{
	fprintf(out, "\nCommands:\n");
	for (size_t i = 0; i < cmd->n_subs; i++)
		if (!cmd->subs[i].is_hidden)
			fprintf(out, "  %-14s %s\n", cmd->subs[i].name, cmd->subs[i].summary);
}

void opt_help(const struct command *cmd, const char *parent, FILE *out)
{
	const struct opt *o;
	bool has_options = cmd->tables[0] != NULL;

	fprintf(out, "Usage: hostel %s%s%s%s%s%s\n\n%s\n", parent ? parent : "", parent ? " " : "",
		cmd->name, has_options ? " [OPTION...]" : "", cmd->usage && *cmd->usage ? " " : "",
		cmd->usage ? cmd->usage : "", cmd->summary);
	if (cmd->details)
		fprintf(out, "\n%s\n", cmd->details);
	if (cmd->n_subs)
		help_subs(cmd, out);
	fprintf(out, "\nOptions:\n");
	for (size_t i = 0; (o = opt_each(cmd, i)); i++)
		help_option(o, out);
}
