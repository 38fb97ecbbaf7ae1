/* SPDX-License-Identifier: Apache-2.0 */
/* What users may hold. */
#include <inttypes.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/mem.h"
#include "util/num.h"

#define BYTES_MIN (1 << 20)

static struct err *apply_cpus(json_t *doc, const char *value)
{
	int64_t milli;

	TRY(num_parse_milli(value, &milli));
	opt_set(doc, "cpu_milli", json_integer(milli));
	return NULL;
}

/* 64 without a unit is a slip, and no instance is that small. */
static struct err *apply_bytes(json_t *doc, const char *member, const char *value)
{
	int64_t bytes;

	TRY(num_parse_bytes(value, &bytes));
	if (bytes > 0 && bytes < BYTES_MIN)
		return err_new(ERR_INVALID, "%s is less than 1 MiB; say 512m or 64g", value);
	opt_set(doc, member, json_integer(bytes));
	return NULL;
}

static struct err *apply_memory(json_t *doc, const char *value)
{
	return apply_bytes(doc, "memory_bytes", value);
}

static struct err *apply_disk(json_t *doc, const char *value)
{
	return apply_bytes(doc, "disk_bytes", value);
}

static const struct opt set_rows[] = {
	{ "memory", 'm', OPT_BYTES, "BYTES", "Memory together; 0: no limit",
	  .apply = apply_memory },
	{ "cpus", 0, OPT_NANO, "N", "Cpus together; 0: no limit", .apply = apply_cpus },
	{ "disk", 0, OPT_BYTES, "BYTES", "Disk together; 0: no limit", .apply = apply_disk },
	{ "gpus", 0, OPT_INT, "N", "Gpus together; 0: no limit", "gpus" },
	{ "instances", 0, OPT_INT, "N", "Instances at once; 0: no limit", "instances" },
};
const struct opt_table quota_set_options = OPT_TABLE(set_rows);

struct err *cmd_quota_set(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object();

	TRY(args_apply(a, doc));
	if (!json_object_size(doc))
		return err_new(ERR_INVALID,
			       "name a limit: --memory, --cpus, --disk, --gpus or --instances");
	TRY(cli_call(c, "POST", doc, NULL, "/hostel/v1/quotas/%s", a->rest[0]));
	printf("%s\n", a->rest[0]);
	return NULL;
}

struct err *cmd_quota_rm(struct cli *c, const struct args *a)
{
	return cli_delete_each(c, a, "/hostel/v1/quotas/%s");
}

/* ---- ls ---- */

static const char *plain_text(int64_t n, char *buf)
{
	snprintf(buf, 24, "%" PRId64, n);
	return buf;
}

static const struct {
	const char *member;
	const char *(*text)(int64_t n, char *buf);
} columns[] = {
	{ "memory_bytes", num_bytes_text }, { "cpu_milli", text_cpus },
	{ "disk_bytes", num_bytes_text },   { "gpus", plain_text },
	{ "instances", plain_text },
};

/* "1 GiB / 4 GiB"; what has no limit: "1 GiB" */
static void used_cell(struct table *t, const json_t *q, size_t column)
{
	const char *member = columns[column].member;
	int64_t most = jx_int(q, member, 0);
	char held[32], limit[32];

	columns[column].text(jx_int(json_object_get(q, "held"), member, 0), held);
	table_cell(t, "%s%s%s", held, most ? " / " : "",
		   most ? columns[column].text(most, limit) : "");
}

struct err *cmd_quota_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "USER", "MEMORY",    "CPUS", "DISK",
						"GPUS", "INSTANCES", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	const char *format = args_text(a, "format");
	const json_t *q;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/quotas"));
	if (show_wants_json(a)) {
		show_json(list);
		return NULL;
	}
	json_array_foreach(list, i, q)
	{
		if (format && !streq(format, "table")) {
			TRY(show_template(format, q));
			continue;
		}
		table_cell(t, "%s", jx_str(q, "user", ""));
		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			used_cell(t, q, k);
	}
	if (!format || streq(format, "table"))
		table_print(t, stdout);
	return NULL;
}
