/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

/* A value as text: numbers whose name ends in _bytes, _ns, _milli with their unit. */
static void value_text(struct str *s, const char *name, const json_t *v)
{
	const char *unit = strrchr(name, '_');
	char text[32];

	if (json_is_string(v)) {
		str_adds(s, json_string_value(v));
	} else if (json_is_integer(v) && streq(unit, "_bytes")) {
		str_adds(s, num_bytes_text(json_integer_value(v), text));
	} else if (json_is_integer(v) && streq(unit, "_ns")) {
		str_addf(s, "%.3f s", (double)json_integer_value(v) / 1e9);
	} else if (json_is_integer(v) && streq(unit, "_milli")) {
		str_adds(s, text_cpus(json_integer_value(v), text));
	} else if (v) {
		OWN(mem) char *json = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

		str_adds(s, json ? json : "");
	}
}

/* The name without its unit. */
static int name_len(const char *name)
{
	static const char *const units[] = { "_bytes", "_ns", "_milli" };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *at = strrchr(name, '_');

		if (streq(at, units[i]))
			return (int)(at - name);
	}
	return (int)strlen(name);
}

static bool is_table(const json_t *v)
{
	return json_is_array(v) && json_is_object(json_array_get(v, 0));
}

/* An array of objects as a table: the first object's members are the columns. */
static void print_rows(const json_t *list, int indent)
{
	const char *headings[33] = { NULL }, *key;
	OWN(strv) struct strv names = { 0 };
	OWN(table) struct table *t = NULL;
	const json_t *row;
	json_t *value;
	size_t i, n = 0;

	json_object_foreach(json_array_get(list, 0), key, value)
	{
		OWN(mem) char *name = xstrndup(key, (size_t)name_len(key));

		for (char *p = name; *p; p++)
			*p = *p == '_' ? ' ' : (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		strv_add(&names, name);
	}
	for (n = 0; n < names.n && n < ARRAY_SIZE(headings) - 1; n++)
		headings[n] = names.v[n];
	if (!n)
		return;
	t = table_new(headings);
	json_array_foreach(list, i, row)
	{
		n = 0;
		json_object_foreach(json_array_get(list, 0), key, value)
		{
			OWN(str) struct str s = { 0 };

			if (n++ >= ARRAY_SIZE(headings) - 1)
				break;
			value_text(&s, key, json_object_get(row, key));
			table_cell(t, "%s", s.len ? s.buf : "-");
		}
	}
	table_print(t, stdout);
}

/* Any document for people: "name: value", objects indented, arrays of objects as tables. */
static void print_doc(const json_t *doc, int indent)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)doc, key, value)
	{
		OWN(str) struct str s = { 0 };

		printf("%*s%.*s:", indent, "", name_len(key), key);
		if (json_is_object(value) && json_object_size(value)) {
			printf("\n");
			print_doc(value, indent + 2);
			continue;
		}
		if (is_table(value)) {
			printf("\n");
			print_rows(value, indent + 2);
			continue;
		}
		value_text(&s, key, value);
		printf(" %s\n", s.len ? s.buf : "-");
	}
}

static struct err *show(const struct args *a, const json_t *doc)
{
	const char *format = args_text(a, "format");

	if (streq(format, "json"))
		show_json(doc);
	else if (format && !streq(format, "table"))
		return show_template(format, doc);
	else if (json_is_array(doc))
		print_rows(doc, 0);
	else
		print_doc(doc, 0);
	return NULL;
}

static struct err *get_and_show(struct cli *c, const struct args *a, const char *path)
{
	OWN(json) json_t *doc = NULL;

	TRY(cli_call(c, "GET", NULL, &doc, path));
	return show(a, doc);
}

struct err *cmd_config_show(struct cli *c, const struct args *a)
{
	return get_and_show(c, a, "/hostel/v1/config");
}

struct err *cmd_policy_show(struct cli *c, const struct args *a)
{
	return get_and_show(c, a, "/hostel/v1/policy");
}

struct err *cmd_policy_set(struct cli *c, const struct args *a)
{
	OWN(json) json_t *change = json_object();
	OWN(json) json_t *now = NULL;

	TRY(args_apply(a, change));
	if (!json_object_size(change))
		return err_new(ERR_INVALID, "what is to be changed? See hostel policy set --help");
	TRY(cli_call(c, "POST", change, &now, "/hostel/v1/policy"));
	return show(a, now);
}

struct err *cmd_info(struct cli *c, const struct args *a)
{
	return get_and_show(c, a, "/hostel/v1/info");
}

/* This program's version is worth printing when no hosteld answers. */
struct err *cmd_version(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object(), *daemon = NULL;
	struct err *e = cli_call(c, "GET", NULL, &daemon, "/version");

	json_object_set_new(doc, "client", json_pack("{s:s}", "version", HOSTEL_VERSION));
	if (!e)
		json_object_set_new(doc, "daemon",
				    json_pack("{s:s, s:s, s:s, s:s}", "version",
					      jx_str(daemon, "Version", "?"), "api",
					      jx_str(daemon, "ApiVersion", "?"), "kernel",
					      jx_str(daemon, "KernelVersion", "?"), "arch",
					      jx_str(daemon, "Arch", "?")));
	if (e) {
		OWN(err) struct err *bad = show(a, doc);

		return e;
	}
	return show(a, doc);
}

/* ---- volumes ---- */

struct err *cmd_volume_create(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object(), *answer = NULL;

	TRY(args_apply(a, doc));
	if (a->n_rest)
		json_object_set_new(doc, "Name", jx_string(a->rest[0]));
	TRY(cli_call(c, "POST", doc, &answer, "/volumes/create"));
	printf("%s\n", jx_str(answer, "Name", ""));
	return NULL;
}

struct err *cmd_volume_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME", "MOUNTPOINT", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *doc = NULL;
	const json_t *v;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &doc, "/volumes"));
	if (show_wants_json(a)) {
		show_json(json_object_get(doc, "Volumes"));
		return NULL;
	}
	json_array_foreach(json_object_get(doc, "Volumes"), i, v)
	{
		if (args_flag(a, "quiet"))
			printf("%s\n", jx_str(v, "Name", ""));
		table_cell(t, "%s", jx_str(v, "Name", ""));
		table_cell(t, "%s", jx_str(v, "Mountpoint", ""));
	}
	if (!args_flag(a, "quiet"))
		table_print(t, stdout);
	return NULL;
}

struct err *cmd_volume_rm(struct cli *c, const struct args *a)
{
	return cli_delete_each(
	    c, a, args_flag(a, "force") ? "/volumes/%s?force=1" : "/volumes/%s?force=0");
}

struct err *cmd_volume_inspect(struct cli *c, const struct args *a)
{
	OWN(json) json_t *list = json_array();

	for (size_t i = 0; i < a->n_rest; i++) {
		OWN(json) json_t *doc = NULL;

		TRY(cli_call(c, "GET", NULL, &doc, "/volumes/%s", a->rest[i]));
		json_array_append(list, doc);
	}
	show_json(list);
	return NULL;
}
