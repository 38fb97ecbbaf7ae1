/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

/* The queue: docs/numbers.md defines what is printed here. */

static const char *bytes_or_dash(int64_t n, char *buf)
{
	return n ? num_bytes_text(n, buf) : "-";
}

/* ---- queue ---- */

/* Beside the table, so that this has the queue only. */
static struct err *tell_drain(struct cli *c)
{
	OWN(json) json_t *state = NULL;
	const char *text;

	TRY(cli_call(c, "GET", NULL, &state, "/hostel/v1/drain"));
	text = jx_str(state, "text", NULL);
	if (text)
		fprintf(stderr, "%s\n", text);
	return NULL;
}

static const struct show_column csv_columns[] = {
	{ "position" },
	{ "id" },
	{ "name" },
	{ "kind" },
	{ "uid" },
	{ "cpu_milli", "demand", "cpu_milli" },
	{ "memory_bytes", "demand", "memory_bytes" },
	{ "disk_bytes", "demand", "disk_bytes" },
	{ "since_ns" },
	{ "waiting_ns" },
	{ "held" },
	{ "reason" },
	{ "expected_start_ns" },
	{ "estimate_ns", "estimate", "ns" },
	{ "estimate_source", "estimate", "source" },
};

/* "in 5 min", where it is known. */
static void starts_cell(struct table *t, int64_t starts_ns)
{
	char text[24];

	if (starts_ns)
		table_cell(t, "in %s", text_age(starts_ns - clock_wall_ns(), text));
	else
		table_cell(t, "-");
}

/* "5 min, given": the run time that counts, and where it comes from. */
static void expect_cell(struct table *t, const json_t *estimate)
{
	char text[24];

	if (json_is_object(estimate))
		table_cell(t, "%s, %s", text_age(jx_int(estimate, "ns", 0), text),
			   jx_str(estimate, "source", ""));
	else
		table_cell(t, "-");
}

static struct err *queue_once(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME",    "KIND",   "CPU",    "MEM", "WAITING",
						"EXPECTS", "STARTS", "REASON", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	const json_t *q;
	struct err *e;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/queue"));
	if (!args_flag(a, "quiet") && streq(args_text(a, "format"), "csv")) {
		show_csv_rows(csv_columns, ARRAY_SIZE(csv_columns), list);
		return NULL;
	}
	if (!args_flag(a, "quiet") && show_otherwise(a, list, NULL, &e))
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
		expect_cell(t, json_object_get(q, "estimate"));
		starts_cell(t, jx_int(q, "expected_start_ns", 0));
		table_cell(t, "%s", jx_str(q, "reason", "-"));
	}
	if (args_flag(a, "quiet"))
		return NULL;
	table_print(t, stdout);
	return tell_drain(c);
}

struct err *cmd_queue(struct cli *c, const struct args *a)
{
	bool is_watch = args_flag(a, "watch");

	do {
		if (is_watch && isatty(1))
			fputs("\033[H\033[2J", stdout);
		TRY(queue_once(c, a));
		if (fflush(stdout) != 0)
			return err_new(ERR_INTERNAL, "write to stdout failed");
	} while (is_watch && !sleep(1));
	return NULL;
}
