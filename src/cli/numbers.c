/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

/* queue, resources and accounting: docs/numbers.md defines what is printed here. */

/* json or a template, if asked for; false: the caller prints its table. */
static bool shown_otherwise(const struct args *a, const json_t *doc, const char *list,
			    struct err **ret_err)
{
	const char *format = args_text(a, "format");
	const json_t *rows = list ? json_object_get(doc, list) : doc, *row;
	size_t i;

	*ret_err = NULL;
	if (!format || streq(format, "table"))
		return false;
	if (streq(format, "json")) {
		show_json(doc);
		return true;
	}
	if (!json_is_array(rows)) {
		*ret_err = show_template(format, doc);
		return true;
	}
	json_array_foreach(rows, i, row) if (!*ret_err) *ret_err = show_template(format, row);
	return true;
}

static const char *bytes_or_dash(int64_t n, char *buf)
{
	return n ? num_bytes_text(n, buf) : "-";
}

/* ---- queue ---- */

struct err *cmd_queue(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME",    "KIND",   "CPU", "MEM",
						"WAITING", "REASON", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	const json_t *q;
	struct err *e;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/queue"));
	if (!args_flag(a, "quiet") && shown_otherwise(a, list, NULL, &e))
		return e;
	json_array_foreach(list, i, q)
	{
		const json_t *demand = json_object_get(q, "demand");
		int64_t cpu = jx_int(demand, "cpu_milli", 0);
		char text[24];

		if (args_flag(a, "quiet"))
			printf("%.*s\n", args_flag(a, "no-trunc") ? 64 : 12, jx_str(q, "id", ""));
		table_cell(t, "%s", jx_str(q, "name", ""));
		table_cell(t, "%s", jx_str(q, "kind", ""));
		table_cell(t, "%s", cpu ? text_cpus(cpu, text) : "-");
		table_cell(t, "%s", bytes_or_dash(jx_int(demand, "memory_bytes", 0), text));
		table_cell(t, "%s", text_age(jx_int(q, "waiting_ns", 0), text));
		table_cell(t, "%s", jx_str(q, "reason", "-"));
	}
	if (!args_flag(a, "quiet"))
		table_print(t, stdout);
	return NULL;
}

/* ---- resources ---- */

static void resource_cells(struct table *t, const char *name, const json_t *r)
{
	char text[24];

	table_cell(t, "%s", name);
	table_cell(t, "%s", text_cpus(jx_int(r, "cpu_milli", 0), text));
	table_cell(t, "%s", num_bytes_text(jx_int(r, "memory_bytes", 0), text));
	table_cell(t, "%s", num_bytes_text(jx_int(r, "disk_bytes", 0), text));
	table_cell(t, "%" PRId64, jx_int(r, "gpus", 0));
}

static void print_sums(const json_t *doc)
{
	static const char *const headings[] = { "", "CPU", "MEMORY", "DISK", "GPUS", NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *h;
	size_t i;

	resource_cells(t, "R_total", json_object_get(doc, "R_total"));
	resource_cells(t, "R_free", json_object_get(doc, "R_free"));
	resource_cells(t, "sum of R_i", json_object_get(doc, "R_held"));
	json_array_foreach(json_object_get(doc, "holders"), i, h)
	{
		OWN(mem) char *name = xasprintf("  %s", jx_str(h, "name", ""));

		resource_cells(t, name, h);
	}
	table_print(t, stdout);
}

static void print_managing(const json_t *doc)
{
	static const char *const headings[] = { "", "MEMORY", NULL };
	static const struct {
		const char *key, *shown;
	} rows[] = {
		{ "M_total", "M_total" },
		{ "M_free", "M_free" },
		{ "M_held", "sum of M_i" },
		{ "M_0", "  M_0 (hosteld)" },
	};
	OWN(table) struct table *t = table_new(headings);
	const json_t *h;
	char text[24];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		table_cell(t, "%s", rows[i].shown);
		table_cell(t, "%s", num_bytes_text(jx_int(doc, rows[i].key, 0), text));
	}
	json_array_foreach(json_object_get(doc, "holders"), i, h)
	{
		int64_t m = jx_int(h, "manage_bytes", jx_int(h, "M", 0));

		if (!m)
			continue;
		table_cell(t, "  %s", jx_str(h, "name", ""));
		table_cell(t, "%s", num_bytes_text(m, text));
	}
	table_print(t, stdout);
}

/* "memory: T 23.5 GiB (/proc/meminfo), 2.2 GiB kept back, promised once" */
static void print_source(const char *name, const json_t *s)
{
	int64_t total = jx_int(s, "T", 0), kept = jx_int(s, "S", 0);
	char a[24], b[24], times[24];
	bool is_cpu = streq(name, "cpu");

	printf("%s: T %s (%s), S %s, overcommit %s\n", name,
	       is_cpu ? text_cpus(total, a) : num_bytes_text(total, a), jx_str(s, "source", "?"),
	       is_cpu ? text_cpus(kept, b) : num_bytes_text(kept, b),
	       text_cpus(jx_int(s, "overcommit_milli", 1000), times));
}

struct err *cmd_resources(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	const char *key;
	json_t *value;
	struct err *e;

	TRY(cli_call(c, "GET", NULL, &doc, "/hostel/v1/resources"));
	if (shown_otherwise(a, doc, NULL, &e))
		return e;
	print_sums(doc);
	printf("\n");
	print_managing(doc);
	printf("\n");
	json_object_foreach(json_object_get(doc, "sources"), key, value) print_source(key, value);
	printf("policy: %s\n", jx_str(doc, "policy", "?"));
	return NULL;
}

/* ---- accounting ---- */

static void seconds_cell(struct table *t, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_integer(v))
		table_cell(t, "%.3f", (double)json_integer_value(v) / 1e9);
	else
		table_cell(t, "-");
}

/* Wall clock, ns since the epoch, as a time of day. */
static void clock_cell(struct table *t, const json_t *row, const char *key)
{
	int64_t ns = jx_int(row, key, 0);
	time_t s = ns / 1000000000;
	char text[32];
	struct tm tm;

	if (!ns) {
		table_cell(t, "-");
		return;
	}
	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	table_cell(t, "%s.%03d", text, (int)(ns / 1000000 % 1000));
}

static void print_starts(const json_t *doc)
{
	static const char *const headings[] = { "NAME",     "KIND",           "ARRIVAL",
						"START",    "FINISH",         "T (s)",
						"WAIT (s)", "TURNAROUND (s)", NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(doc, "starts"), i, s)
	{
		table_cell(t, "%s", jx_str(s, "name", ""));
		table_cell(t, "%s", jx_str(s, "kind", ""));
		clock_cell(t, s, "arrival_ns");
		clock_cell(t, s, "start_ns");
		clock_cell(t, s, "finish_ns");
		seconds_cell(t, s, "T_ns");
		seconds_cell(t, s, "waiting_ns");
		seconds_cell(t, s, "turnaround_ns");
	}
	table_print(t, stdout);
}

static void print_totals(const json_t *sums)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)sums, key, value)
	{
		const char *unit = strrchr(key, '_');

		if (json_is_integer(value) && streq(unit, "_ns"))
			printf("%.*s: %.3f s\n", (int)(unit - key), key,
			       (double)json_integer_value(value) / 1e9);
		else if (json_is_integer(value))
			printf("%s: %" PRId64 "\n", key, (int64_t)json_integer_value(value));
		else if (json_is_real(value))
			printf("%s: %.2f\n", key, json_real_value(value));
	}
}

struct err *cmd_accounting(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	struct err *e;

	TRY(cli_call(c, "GET", NULL, &doc, "/hostel/v1/accounting"));
	if (shown_otherwise(a, doc, "starts", &e))
		return e;
	print_starts(doc);
	printf("\n");
	print_totals(json_object_get(doc, "sums"));
	return NULL;
}
