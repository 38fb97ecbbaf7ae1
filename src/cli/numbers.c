/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

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
		table_cell(t, "%s", jx_str(q, "reason", "-"));
	}
	if (args_flag(a, "quiet"))
		return NULL;
	table_print(t, stdout);
	return tell_drain(c);
}
