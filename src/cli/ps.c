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

static char *state_text(const json_t *i)
{
	const char *state = jx_str(i, "state", "?"), *reason = jx_str(i, "reason", NULL);
	const char *operation = jx_str(i, "operation", NULL);

	const char *moving = jx_str(json_object_get(i, "migration"), "shown", NULL);

	if (moving)
		return xasprintf("%s (%s)", moving, state);
	if (reason && *reason)
		return xasprintf("%s (%s)", state, reason);
	if (jx_bool(i, "sliced", false) && !strcmp(state, "running"))
		return xstrdup("running (sliced)");
	if (operation)
		return xasprintf("%s (%s)", state, operation);
	if (!strcmp(state, "exited"))
		return xasprintf("exited (%d)", (int)jx_int(i, "exit_code", 0));
	return xstrdup(state);
}

/* What was asked for; else what is demanded; "-" for best effort. */
static int64_t resource(const json_t *i, const char *key)
{
	int64_t n = jx_int(json_object_get(i, "limit"), key, 0);

	return n ? n : jx_int(json_object_get(i, "demand"), key, 0);
}

static void cpu_cell(struct table *t, const json_t *i)
{
	int64_t milli = resource(i, "cpu_milli"), vcpus = resource(i, "vcpus");
	char text[24];

	if (!milli)
		milli = vcpus * 1000;
	table_cell(t, "%s", milli ? text_cpus(milli, text) : "-");
}

static void memory_cell(struct table *t, const json_t *i)
{
	int64_t bytes = resource(i, "memory_bytes");
	char text[24];

	table_cell(t, "%s", bytes ? num_bytes_text(bytes, text) : "-");
}

static void ports_cell(struct table *t, const json_t *i)
{
	OWN(str) struct str s = { 0 };
	const json_t *p;
	size_t at;

	json_array_foreach(json_object_get(i, "ports"), at, p)
	{
		int64_t host = jx_int(p, "host_port", 0);
		const char *ip = jx_str(p, "host_ip", "");

		str_addf(&s, "%s%s%s", at ? "," : "", ip, *ip ? ":" : "");
		if (host)
			str_addf(&s, "%" PRId64 "->", host);
		str_addf(&s, "%" PRId64 "/%s", jx_int(p, "container_port", 0),
			 jx_str(p, "protocol", "tcp"));
	}
	table_cell(t, "%s", s.len ? s.buf : "-");
}

static void row(struct table *t, const json_t *i)
{
	OWN(mem) char *state = state_text(i);
	const char *image = jx_str(i, "image", ""), *address = jx_str(i, "address", "");
	char age[24];

	table_cell(t, "%s", jx_str(i, "name", ""));
	table_cell(t, "%s", jx_str(i, "kind", ""));
	table_cell(t, "%s", *image ? image : "-");
	table_cell(t, "%s", state);
	cpu_cell(t, i);
	memory_cell(t, i);
	table_cell(t, "%s", *address ? address : "-");
	ports_cell(t, i);
	table_cell(t, "%s", jx_str(i, "user", ""));
	table_cell(t, "%s", text_age(clock_wall_ns() - jx_int(i, "created_ns", 0), age));
}

static void print_table(const json_t *list)
{
	static const char *const headings[] = { "NAME",    "KIND",  "IMAGE", "STATE", "CPU", "MEM",
						"ADDRESS", "PORTS", "USER",  "AGE",   NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *i;
	size_t at;

	json_array_foreach(list, at, i) row(t, i);
	table_print(t, stdout);
}

static struct err *print_list(const struct args *a, const json_t *list)
{
	const char *format = args_text(a, "format");
	const json_t *i;
	size_t at;

	if (args_flag(a, "quiet")) {
		json_array_foreach(list, at, i)
		{
			const char *id = jx_str(i, "id", "");

			printf("%.*s\n", args_flag(a, "no-trunc") ? 64 : 12, id);
		}
		return NULL;
	}
	if (show_wants_json(a)) {
		show_json(list);
		return NULL;
	}
	if (!format || streq(format, "table")) {
		print_table(list);
		return NULL;
	}
	json_array_foreach(list, at, i) TRY(show_template(format, i));
	return NULL;
}

static bool passes(const json_t *i, const char *filter)
{
	const char *eq = strchr(filter, '=');
	OWN(mem) char *key = xstrndup(filter, eq ? (size_t)(eq - filter) : strlen(filter));
	const char *value = eq ? eq + 1 : "";

	if (streq(key, "id"))
		return !strncmp(jx_str(i, "id", ""), value, strlen(value));
	if (streq(key, "name"))
		return strstr(jx_str(i, "name", ""), value) != NULL;
	return streq(jx_str(i, streq(key, "status") ? "state" : key, ""), value);
}

static void filter_list(const struct args *a, json_t *list)
{
	for (size_t u = 0; u < a->n_uses; u++)
		for (size_t i = json_array_size(list); i--;)
			if (streq(a->uses[u].opt->name, "filter") &&
			    !passes(json_array_get(list, i), a->uses[u].value))
				json_array_remove(list, i);
}

static struct err *list(struct cli *c, const struct args *a, const char *path)
{
	OWN(json) json_t *list = NULL;

	TRY(cli_call(c, "GET", NULL, &list, path, args_flag(a, "all") ? "true" : "false"));
	filter_list(a, list);
	return print_list(a, list);
}

struct err *cmd_ps(struct cli *c, const struct args *a)
{
	return list(c, a, "/hostel/v1/instances?all=%s");
}

struct err *cmd_vm_ls(struct cli *c, const struct args *a)
{
	return list(c, a, "/hostel/v1/vms?all=%s");
}
