/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * What this host has, what is held, by whom (docs/numbers.md), as columns that add up: each is
 * T, then what goes off, then what is left.  Where figures are rounded, the balance is, so that
 * the figures shown add up too.
 */

#define MIB_TENTH (INT64_C(1) << 20) / 10.0

enum how { CPUS, MEGABYTES, WHOLE };

/* One column of the table of R. */
struct column {
	const char *name, *member;
	enum how how;
};

static const struct column columns[] = {
	{ "cpu", "cpu_milli", CPUS },
	{ "memory", "memory_bytes", MEGABYTES },
	{ "disk", "disk_bytes", MEGABYTES },
	{ "gpus", "gpus", WHOLE },
};

/* An amount in the unit that is shown: thousandths, tenths of MiB, pieces. */
static int64_t rounded(enum how how, int64_t amount)
{
	double d = (double)amount / MIB_TENTH;

	if (how != MEGABYTES)
		return amount;
	return (int64_t)(d < 0 ? d - 0.5 : d + 0.5);
}

static void cell(struct table *t, enum how how, int64_t shown, bool is_taken)
{
	const char *sign = is_taken ? shown < 0 ? "+ " : "- " : shown < 0 ? "-" : "";
	int64_t abs = shown < 0 ? -shown : shown;
	char text[24];

	if (how == CPUS)
		table_cell(t, "%s%s", sign, text_cpus(abs, text));
	else if (how == MEGABYTES)
		table_cell(t, "%s%" PRId64 ".%d", sign, abs / 10, (int)(abs % 10));
	else
		table_cell(t, "%s%" PRId64, sign, abs);
}

/* What is left of each column so far. */
struct balance {
	int64_t left[ARRAY_SIZE(columns)];
};

static void total_row(struct table *t, const char *name, struct balance *b, const json_t *r)
{
	table_cell(t, "%s", name);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		b->left[i] = jx_int(r, columns[i].member, 0);
		cell(t, columns[i].how, rounded(columns[i].how, b->left[i]), false);
	}
}

static void taken_cell(struct table *t, enum how how, int64_t *left, int64_t amount)
{
	int64_t before = rounded(how, *left);

	*left -= amount;
	cell(t, how, before - rounded(how, *left), true);
}

static void holder_row(struct table *t, struct balance *b, const json_t *h)
{
	table_cell(t, "%s", jx_str(h, "name", ""));
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		taken_cell(t, columns[i].how, &b->left[i], jx_int(h, columns[i].member, 0));
}

static void print_resources(const json_t *doc)
{
	static const char *const headings[] = { "",           "CPU",  "MEMORY (MiB)",
						"DISK (MiB)", "GPUS", NULL };
	OWN(table) struct table *t = table_new(headings);
	struct balance b;
	const json_t *h;
	size_t i;

	total_row(t, "R_total", &b, json_object_get(doc, "R_total"));
	json_array_foreach(json_object_get(doc, "holders"), i, h)
	{
		if (!streq(jx_str(h, "kind", ""), "files")) /* those hold M only */
			holder_row(t, &b, h);
	}
	total_row(t, "R_free", &b, json_object_get(doc, "R_free"));
	table_print(t, stdout);
}

static void print_managing(const json_t *doc)
{
	static const char *const headings[] = { "", "MEMORY (MiB)", NULL };
	OWN(table) struct table *t = table_new(headings);
	int64_t left = jx_int(doc, "M_total", 0);
	const json_t *h;
	size_t i;

	table_cell(t, "M_total");
	cell(t, MEGABYTES, rounded(MEGABYTES, left), false);
	table_cell(t, "M_0 (hosteld)");
	taken_cell(t, MEGABYTES, &left, jx_int(doc, "M_0", 0));
	json_array_foreach(json_object_get(doc, "holders"), i, h)
	{
		if (!jx_int(h, "manage_bytes", 0) || streq(jx_str(h, "kind", ""), "host"))
			continue;
		table_cell(t, "%s", jx_str(h, "name", ""));
		taken_cell(t, MEGABYTES, &left, jx_int(h, "manage_bytes", 0));
	}
	table_cell(t, "M_free");
	cell(t, MEGABYTES, rounded(MEGABYTES, jx_int(doc, "M_free", 0)), false);
	table_print(t, stdout);
}

/* How R_total comes about. */
static void print_sources(const json_t *doc)
{
	static const char *const headings[] = { "",  "T",       "S",      "OVERCOMMIT",
						"=", "R_TOTAL", "T FROM", NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *total = json_object_get(doc, "R_total");

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		const struct column *c = &columns[i];
		const json_t *s = json_object_get(json_object_get(doc, "sources"), c->name);
		char text[24];

		if (!s)
			continue;
		table_cell(t, c->how == MEGABYTES ? "%s (MiB)" : "%s", c->name);
		cell(t, c->how, rounded(c->how, jx_int(s, "T", 0)), false);
		cell(t, c->how,
		     rounded(c->how, jx_int(s, "T", 0)) -
			 rounded(c->how, jx_int(s, "T", 0) - jx_int(s, "S", 0)),
		     true);
		table_cell(t, "* %s", text_cpus(jx_int(s, "overcommit_milli", 1000), text));
		table_cell(t, "=");
		cell(t, c->how, rounded(c->how, jx_int(total, c->member, 0)), false);
		table_cell(t, "%s", jx_str(s, "source", "?"));
	}
	table_print(t, stdout);
}

/* ---- CSV: exact amounts ---- */

static void csv_row(const char *row, const char *name, const char *kind, const json_t *r,
		    int64_t manage)
{
	show_csv(row, true);
	show_csv(name, false);
	show_csv(kind, false);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		printf(",%" PRId64, jx_int(r, columns[i].member, 0));
	printf(",%" PRId64 "\n", manage);
}

static void print_csv(const json_t *doc)
{
	const json_t *h;
	size_t i;

	printf("row,name,kind");
	for (i = 0; i < ARRAY_SIZE(columns); i++)
		printf(",%s", columns[i].member);
	printf(",manage_bytes\n");
	csv_row("total", "", "", json_object_get(doc, "R_total"), jx_int(doc, "M_total", 0));
	json_array_foreach(json_object_get(doc, "holders"), i, h)
	    csv_row("holder", jx_str(h, "name", ""), jx_str(h, "kind", ""), h,
		    jx_int(h, "manage_bytes", 0));
	csv_row("free", "", "", json_object_get(doc, "R_free"), jx_int(doc, "M_free", 0));
}

struct err *cmd_resources(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	struct err *e;

	TRY(cli_call(c, "GET", NULL, &doc, "/hostel/v1/resources"));
	if (streq(args_text(a, "format"), "csv")) {
		print_csv(doc);
		return NULL;
	}
	if (show_otherwise(a, doc, NULL, &e))
		return e;
	print_sources(doc);
	printf("\n");
	print_resources(doc);
	printf("\n");
	print_managing(doc);
	printf("\npolicy: %s\n", jx_str(doc, "policy", "?"));
	return NULL;
}
