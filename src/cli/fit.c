/* SPDX-License-Identifier: Apache-2.0 */
/* What would be admitted and what would wait, of a compose file or of what a dockerd runs here. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/compose.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

#define DOCKER_SOCKET "unix:///var/run/docker.sock"

static const struct opt rows[] = {
	{ "docker", 0, OPT_FLAG, NULL, "What a dockerd here runs, instead of a file" },
	{ "docker-host", 0, OPT_TEXT, "SOCKET", "Where that listens (" DOCKER_SOCKET ")",
	  .what = WHAT_FILE },
	{ "all", 'a', OPT_FLAG, NULL, "With --docker: what it has stopped, too" },
	{ "empty", 0, OPT_FLAG, NULL, "As if nothing ran or waited here" },
};
const struct opt_table fit_options = OPT_TABLE(rows);

/* ---- what a dockerd runs ---- */

/* Without a version: dockerd takes its own. @path: consumed */
static struct err *ask(struct cli *docker, char *path, json_t **ret)
{
	OWN(mem) char *whole = path, *answer = NULL;
	int rc = hostel_call(docker->h, "GET", whole, NULL, &answer);

	if (rc == HOSTEL_NO_DAEMON)
		return err_new(ERR_UNAVAILABLE, "none answers on %s (is it running?)",
			       hostel_socket(docker->h));
	if (rc)
		return cli_err(docker, rc);
	TRY_MSG(jx_parse(answer, strlen(answer), ret), "answer of dockerd");
	return NULL;
}

/* What it uses now counts as the host's, and will not when it has moved; 0 when it is not known. */
static int64_t used_memory(struct cli *docker, const char *id)
{
	OWN(json) json_t *stats = NULL;
	char *path = xasprintf("/containers/%s/stats?stream=false&one-shot=true", id);
	OWN(err) struct err *err = ask(docker, path, &stats);
	const json_t *m = json_object_get(stats, "memory_stats"),
		     *parts = json_object_get(m, "stats");
	int64_t used = jx_int(m, "usage", 0);
	int64_t cache = jx_int(parts, "inactive_file", jx_int(parts, "total_inactive_file", 0));

	return err || used < cache ? 0 : used - cache;
}

/* Inspect's Config and HostConfig are what it was created with. */
static struct err *add_container(struct cli *docker, const char *id, json_t *out)
{
	OWN(json) json_t *seen = NULL;
	const char *name;
	json_t *body, *one;

	TRY_MSG(ask(docker, xasprintf("/containers/%s/json", id), &seen), "container %.12s", id);
	name = jx_str(seen, "Name", id);
	body = json_deep_copy(json_object_get(seen, "Config"));
	if (!json_is_object(body) || !json_is_object(json_object_get(seen, "HostConfig"))) {
		json_decref(body);
		return err_new(ERR_INVALID, "container %.12s: dockerd says nothing of its Config",
			       id);
	}
	json_object_set(body, "HostConfig", json_object_get(seen, "HostConfig"));
	one = json_object();
	jx_set_str(one, "Name", name + (*name == '/'));
	json_object_set_new(one, "Body", body);
	if (jx_bool(json_object_get(seen, "State"), "Running", false))
		json_object_set_new(one, "HostMemory", json_integer(used_memory(docker, id)));
	json_array_append_new(out, one);
	return NULL;
}

static struct err *list_docker(struct cli *docker, bool all, json_t **ret)
{
	OWN(json) json_t *list = NULL, *out = json_array();

	TRY(ask(docker, xasprintf("/containers/json?all=%d", all), &list));
	/* The newest comes first. */
	for (size_t n = json_array_size(list); n--;) {
		const char *id = jx_str(json_array_get(list, n), "Id", NULL);

		if (!id || id[strspn(id, "0123456789abcdef")])
			return err_new(ERR_INVALID, "it lists a container without an Id");
		TRY(add_container(docker, id, out));
	}
	*ret = json_incref(out);
	return NULL;
}

static struct err *read_docker(struct cli *c, const struct args *a, json_t **ret)
{
	const char *host = args_text(a, "docker-host");
	struct cli docker = { .h = hostel_open(host ? host : DOCKER_SOCKET) };
	struct err *err;

	if (!docker.h)
		return err_new(ERR_LIMIT, "out of memory");
	if (streq(hostel_socket(docker.h), hostel_socket(c->h)))
		err = err_new(ERR_INVALID,
			      "%s: that is hosteld itself; name dockerd's socket by "
			      "--docker-host",
			      hostel_socket(docker.h));
	else
		err = list_docker(&docker, args_flag(a, "all"), ret);
	hostel_close(docker.h);
	TRY_MSG(err, "dockerd");
	return NULL;
}

/* ---- what is asked ---- */

static struct err *check_arguments(const struct args *a)
{
	bool is_docker = args_flag(a, "docker");

	if (is_docker && a->n_rest)
		return err_new(ERR_INVALID, "a file or --docker, not both");
	if (!is_docker && !a->n_rest)
		return err_new(ERR_INVALID, "name a compose file, or - for its JSON, or --docker");
	if (!is_docker && (args_flag(a, "all") || args_has(a, "docker-host")))
		return err_new(ERR_INVALID, "--all and --docker-host go with --docker");
	return NULL;
}

static struct err *read_file(const char *file, json_t **ret)
{
	OWN(strv) struct strv notes = { 0 };
	OWN(json) json_t *doc = NULL;

	TRY(compose_load(file, &doc));
	TRY_MSG(compose_instances(doc, ret, &notes), "%s", streq(file, "-") ? "stdin" : file);
	for (size_t n = 0; n < notes.n; n++)
		fprintf(stderr, "%s\n", notes.v[n]);
	return NULL;
}

static struct err *ask_fit(struct cli *c, const struct args *a, json_t **ret)
{
	OWN(json) json_t *list = NULL, *body = NULL;

	TRY(check_arguments(a));
	if (args_flag(a, "docker"))
		TRY(read_docker(c, a, &list));
	else
		TRY(read_file(a->rest[0], &list));
	body = json_pack("{s:O, s:b}", "Instances", list, "Empty", args_flag(a, "empty"));
	return cli_call(c, "POST", body, ret, "/hostel/v1/fit");
}

/* ---- what is said ---- */

static const struct show_column csv_columns[] = {
	{ "name" },
	{ "verdict" },
	{ "kind" },
	{ "cpu_milli", "demand", "cpu_milli" },
	{ "memory_bytes", "demand", "memory_bytes" },
	{ "disk_bytes", "demand", "disk_bytes" },
	{ "gpus", "demand", "gpus" },
	{ "manage_bytes" },
	{ "estimate_ns", "estimate", "ns" },
	{ "estimate_source", "estimate", "source" },
	{ "expected_start_ns" },
	{ "reason" },
};

static void amount_cells(struct table *t, const json_t *amounts, const char *none)
{
	int64_t cpu = jx_int(amounts, "cpu_milli", 0), memory = jx_int(amounts, "memory_bytes", 0);
	int64_t disk = jx_int(amounts, "disk_bytes", 0);
	char text[24];

	table_cell(t, "%s", cpu || !none ? text_cpus(cpu, text) : none);
	table_cell(t, "%s", memory || !none ? num_bytes_text(memory, text) : none);
	table_cell(t, "%s", disk || !none ? num_bytes_text(disk, text) : none);
}

static void print_instances(const json_t *list)
{
	static const char *const headings[] = { "NAME",    "KIND",   "CPU",    "MEM", "DISK",
						"VERDICT", "STARTS", "REASON", NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *q;
	size_t i;

	json_array_foreach(list, i, q)
	{
		int64_t starts_ns = jx_int(q, "expected_start_ns", 0);
		char text[24];

		table_cell(t, "%s", jx_str(q, "name", ""));
		table_cell(t, "%s", jx_str(q, "kind", "-"));
		amount_cells(t, json_object_get(q, "demand"), "-");
		table_cell(t, "%s", jx_str(q, "verdict", ""));
		if (starts_ns)
			table_cell(t, "in %s", text_age(starts_ns - clock_wall_ns(), text));
		else
			table_cell(t, "%s",
				   streq(jx_str(q, "verdict", ""), "admitted") ? "now" : "-");
		table_cell(t, "%s", jx_str(q, "reason", "-"));
	}
	table_print(t, stdout);
}

static void print_totals(const json_t *doc)
{
	static const char *const headings[] = { "", "CPU", "MEM", "DISK", "M", NULL };
	static const struct {
		const char *heading, *amounts, *manage;
	} lines[] = {
		{ "demand", "demand", "M_demand" },
		{ "R_total", "R_total", "M_total" },
		{ "R_free", "R_free", "M_free" },
		{ "R_free after", "R_free_after", "M_free_after" },
	};
	OWN(table) struct table *t = table_new(headings);
	char text[24];

	for (size_t n = 0; n < ARRAY_SIZE(lines); n++) {
		table_cell(t, "%s", lines[n].heading);
		amount_cells(t, json_object_get(doc, lines[n].amounts), NULL);
		table_cell(t, "%s", num_bytes_text(jx_int(doc, lines[n].manage, 0), text));
	}
	table_print(t, stdout);
}

/* By --format. */
static struct err *print(const struct args *a, const json_t *doc)
{
	const json_t *list = json_object_get(doc, "instances"),
		     *counts = json_object_get(doc, "counts");
	struct err *err = NULL;

	if (streq(args_text(a, "format"), "csv")) {
		show_csv_rows(csv_columns, ARRAY_SIZE(csv_columns), list);
		return NULL;
	}
	if (show_otherwise(a, doc, "instances", &err))
		return err;
	print_instances(list);
	printf("\n");
	print_totals(doc);
	printf("\n%" PRId64 " admitted, %" PRId64 " would wait, %" PRId64 " never\n",
	       jx_int(counts, "admitted", 0), jx_int(counts, "waits", 0),
	       jx_int(counts, "never", 0));
	return NULL;
}

struct err *cmd_fit(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	const json_t *counts;

	c->exit_code = CLI_USAGE_CODE; /* 1 says that something would wait */
	TRY(ask_fit(c, a, &doc));
	TRY(print(a, doc));
	counts = json_object_get(doc, "counts");
	c->exit_code = jx_int(counts, "never", 0) ? 2 : jx_int(counts, "waits", 0) ? 1 : 0;
	return NULL;
}
