/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/mem.h"
#include "util/num.h"

/* ---- logs ---- */

/* "10m" ago, or what hosteld understands (seconds, RFC 3339). */
static char *moment(const char *text)
{
	int64_t ns = 0;
	struct err *e;

	if (!text)
		return xstrdup("");
	if (!strpbrk(text, "smhd") || strchr(text, '-'))
		return xstrdup(text);
	e = num_parse_duration(text, &ns);
	err_free(e);
	return e ? xstrdup(text) : xasprintf("%lld", (long long)time(NULL) - ns / 1000000000);
}

struct err *cmd_logs(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	OWN(reply) struct hostel_reply *r = NULL;
	const char *tail = args_text(a, "tail");
	OWN(mem)
	char *since = moment(args_text(a, "since")), *until = moment(args_text(a, "until"));
	OWN(mem) char *path = NULL;

	TRY(cli_call(c, "GET", NULL, &doc, "/containers/%s/json", a->rest[0]));
	path = cli_path("/containers/%s/logs?stdout=1&stderr=1&follow=%s&timestamps=%s&tail=%s"
			"&since=%s&until=%s",
			a->rest[0], args_flag(a, "follow") ? "1" : "0",
			args_flag(a, "timestamps") ? "1" : "0", tail ? tail : "all", since, until);
	TRY(cli_send(c, &(struct hostel_request) { .method = "GET", .path = path }, &r));
	if (jx_bool(json_object_get(doc, "Config"), "Tty", false))
		return show_copy(c, r, 1);
	return show_demux(c, r);
}

/* ---- inspect ---- */

static struct err *find_any(struct cli *c, const char *ref, const char *type, json_t **ret)
{
	static const struct {
		const char *type, *path;
	} kinds[] = {
		{ "container", "/containers/%s/json" },
		{ "image", "/images/%s/json" },
		{ "volume", "/volumes/%s" },
		{ "network", "/networks/%s" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct err *e;

		if (type && strcmp(type, kinds[i].type))
			continue;
		e = cli_call(c, "GET", NULL, ret, kinds[i].path, ref);
		if (!e || err_kind(e) != ERR_NOT_FOUND || type)
			return e;
		err_free(e);
	}
	return err_new(ERR_NOT_FOUND, "no instance, image, volume or network \"%s\"", ref);
}

struct err *cmd_inspect(struct cli *c, const struct args *a)
{
	OWN(json) json_t *list = json_array();
	const char *format = args_text(a, "format");
	struct err *e = NULL;
	const json_t *doc;
	size_t at;

	for (size_t i = 0; !e && i < a->n_rest; i++) {
		OWN(json) json_t *found = NULL;

		e = find_any(c, a->rest[i], args_text(a, "type"), &found);
		if (!e)
			json_array_append(list, found);
	}
	if (!format || streq(format, "json")) {
		show_json(list);
		return e;
	}
	json_array_foreach(list, at, doc) if (!e) e = show_template(format, doc);
	return e;
}

/* ---- top, diff, port ---- */

struct err *cmd_top(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	OWN(str) struct str ps = { 0 };
	OWN(table) struct table *t = NULL;
	const char *headings[64] = { NULL };
	const json_t *titles, *row, *cell;
	size_t i, k;

	for (i = 1; i < a->n_rest; i++)
		str_addf(&ps, "%s%s", i > 1 ? " " : "", a->rest[i]);
	TRY(cli_call(c, "GET", NULL, &doc, "/containers/%s/top?ps_args=%s", a->rest[0],
		     ps.len ? ps.buf : "-ef"));
	titles = json_object_get(doc, "Titles");
	for (i = 0; i < json_array_size(titles) && i < ARRAY_SIZE(headings) - 1; i++)
		headings[i] = json_string_value(json_array_get(titles, i));
	t = table_new(headings);
	json_array_foreach(json_object_get(doc, "Processes"), i, row)
	    json_array_foreach(row, k, cell) table_cell(t, "%s", json_string_value(cell));
	table_print(t, stdout);
	return NULL;
}

struct err *cmd_diff(struct cli *c, const struct args *a)
{
	OWN(json) json_t *list = NULL;
	const json_t *change;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/containers/%s/changes", a->rest[0]));
	if (show_wants_json(a)) {
		show_json(list);
		return NULL;
	}
	json_array_foreach(list, i, change)
	{
		int64_t kind = jx_int(change, "Kind", 0);

		printf("%c %s\n",
		       kind == 1   ? 'A'
		       : kind == 2 ? 'D'
				   : 'C',
		       jx_str(change, "Path", ""));
	}
	return NULL;
}

struct err *cmd_port(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = NULL;
	const char *key;
	json_t *list;
	const json_t *binding;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &doc, "/containers/%s/json", a->rest[0]));
	json_object_foreach(json_object_get(json_object_get(doc, "NetworkSettings"), "Ports"), key,
			    list)
	    json_array_foreach(list, i, binding) if (a->n_rest < 2 || streq(a->rest[1], key) ||
						     atoi(a->rest[1]) == atoi(key))
		printf("%s -> %s:%s\n", key, jx_str(binding, "HostIp", "0.0.0.0"),
		       jx_str(binding, "HostPort", ""));
	return NULL;
}

/* ---- events ---- */

static void print_event(const json_t *ev)
{
	const json_t *actor = json_object_get(ev, "Actor");
	int64_t ns = jx_int(ev, "timeNano", jx_int(ev, "time", 0) * 1000000000);
	time_t s = ns / 1000000000;
	const char *key;
	json_t *value;
	struct tm tm;
	char when[32];
	bool first = true;

	localtime_r(&s, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	printf("%s.%09" PRId64 " %s %s %s", when, ns % 1000000000, jx_str(ev, "Type", ""),
	       jx_str(ev, "Action", ""), jx_str(actor, "ID", ""));
	json_object_foreach(json_object_get(actor, "Attributes"), key, value)
	{
		printf("%s%s=%s", first ? " (" : ", ", key, json_string_value(value));
		first = false;
	}
	printf("%s\n", first ? "" : ")");
}

char *cli_filters(const struct args *a)
{
	OWN(json) json_t *filters = json_object();

	for (size_t i = 0; i < a->n_uses; i++) {
		const char *value = a->uses[i].value, *eq = strchr(value, '=');
		OWN(mem) char *key = eq ? xstrndup(value, (size_t)(eq - value)) : NULL;

		if (streq(a->uses[i].opt->name, "filter") && key)
			json_array_append_new(opt_member(filters, key, true), jx_string(eq + 1));
	}
	return jx_text(filters);
}

static struct err *print_events(struct cli *c, const struct args *a, struct hostel_reply *r)
{
	const char *format = args_text(a, "format");

	for (;;) {
		OWN(mem) char *line = NULL;
		OWN(json) json_t *doc = NULL;

		TRY(cli_line(c, r, &line, &doc));
		if (!line)
			return NULL;
		if (streq(format, "json"))
			printf("%s\n", line);
		else if (format && !streq(format, "table"))
			TRY(show_template(format, doc));
		else
			print_event(doc);
		fflush(stdout);
	}
}

struct err *cmd_events(struct cli *c, const struct args *a)
{
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(mem)
	char *since = moment(args_text(a, "since")), *until = moment(args_text(a, "until"));
	OWN(mem) char *filters = cli_filters(a);
	OWN(mem)
	char *path = cli_path("/events?since=%s&until=%s&filters=%s", since, until, filters);

	TRY(cli_send(c, &(struct hostel_request) { .method = "GET", .path = path }, &r));
	return print_events(c, a, r);
}

/* ---- stats ---- */

static int64_t deep_int(const json_t *doc, const char *one, const char *two, const char *three)
{
	doc = json_object_get(doc, one);
	if (three)
		doc = json_object_get(doc, two);
	return jx_int(doc, three ? three : two, 0);
}

/* Thousandths of one cpu between the two moments of a document. */
static int64_t cpu_permille(const json_t *doc)
{
	int64_t used = deep_int(doc, "cpu_stats", "cpu_usage", "total_usage") -
		       deep_int(doc, "precpu_stats", "cpu_usage", "total_usage");
	int64_t system = deep_int(doc, "cpu_stats", "system_cpu_usage", NULL) -
			 deep_int(doc, "precpu_stats", "system_cpu_usage", NULL);
	int64_t cpus = deep_int(doc, "cpu_stats", "online_cpus", NULL);

	if (used <= 0 || system <= 0)
		return 0;
	return (int64_t)((double)used / (double)system * (double)(cpus ? cpus : 1) * 1000);
}

static void sum_io(const json_t *doc, int64_t *ret_read, int64_t *ret_write)
{
	const json_t *row;
	size_t i;

	*ret_read = *ret_write = 0;
	json_array_foreach(
	    json_object_get(json_object_get(doc, "blkio_stats"), "io_service_bytes_recursive"), i,
	    row)
	{
		if (!strcasecmp(jx_str(row, "op", ""), "read"))
			*ret_read += jx_int(row, "value", 0);
		if (!strcasecmp(jx_str(row, "op", ""), "write"))
			*ret_write += jx_int(row, "value", 0);
	}
}

static void sum_net(const json_t *doc, int64_t *ret_in, int64_t *ret_out)
{
	const char *key;
	json_t *net;

	*ret_in = *ret_out = 0;
	json_object_foreach(json_object_get(doc, "networks"), key, net)
	{
		*ret_in += jx_int(net, "rx_bytes", 0);
		*ret_out += jx_int(net, "tx_bytes", 0);
	}
}

static void pair_cell(struct table *t, int64_t one, int64_t two)
{
	char a[24], b[24];

	table_cell(t, "%s / %s", num_bytes_text(one, a), two ? num_bytes_text(two, b) : "-");
}

static void stats_row(struct table *t, const char *name, const json_t *doc)
{
	int64_t cpu = cpu_permille(doc), one, two;

	if (name[0] == '/')
		name++;
	table_cell(t, "%s", name);
	table_cell(t, "%" PRId64 ".%d%%", cpu / 10, (int)(cpu % 10));
	pair_cell(t, deep_int(doc, "memory_stats", "usage", NULL),
		  deep_int(doc, "memory_stats", "limit", NULL));
	sum_net(doc, &one, &two);
	pair_cell(t, one, two);
	sum_io(doc, &one, &two);
	pair_cell(t, one, two);
	table_cell(t, "%" PRId64, deep_int(doc, "pids_stats", "current", NULL));
}

/* Names of all that run. */
static struct err *running(struct cli *c, struct strv *ret)
{
	OWN(json) json_t *list = NULL;
	const json_t *i;
	size_t at;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/instances"));
	json_array_foreach(list, at, i) if (streq(jx_str(i, "state", NULL), "running"))
	    strv_add(ret, jx_str(i, "name", ""));
	return NULL;
}

static struct err *stats_round(struct cli *c, const struct args *a, bool is_strict)
{
	static const char *const headings[] = {
		"NAME", "CPU", "MEM / LIMIT", "NET IN / OUT", "DISK READ / WRITE", "PIDS", NULL
	};
	OWN(table) struct table *t = table_new(headings);
	OWN(strv) struct strv names = { 0 };

	for (size_t i = 0; i < a->n_rest; i++)
		strv_add(&names, a->rest[i]);
	if (!names.n)
		TRY(running(c, &names));
	for (size_t i = 0; i < names.n; i++) {
		OWN(json) json_t *doc = NULL;
		struct err *e =
		    cli_call(c, "GET", NULL, &doc, "/containers/%s/stats?stream=0", names.v[i]);

		if (e && is_strict)
			return e;
		if (!e && show_wants_json(a))
			show_json(doc);
		else if (!e)
			stats_row(t, jx_str(doc, "name", names.v[i]), doc);
		err_free(e);
	}
	if (!show_wants_json(a))
		table_print(t, stdout);
	return NULL;
}

struct err *cmd_stats(struct cli *c, const struct args *a)
{
	bool once = args_flag(a, "no-stream") || !isatty(1) || show_wants_json(a);

	TRY(stats_round(c, a, a->n_rest > 0));
	while (!once) {
		sleep(1);
		fputs("\033[H\033[2J", stdout);
		TRY(stats_round(c, a, false));
		fflush(stdout);
	}
	return NULL;
}
