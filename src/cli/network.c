/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <string.h>

#include "cli/show.h"
#include "cli/table.h"
#include "util/mem.h"

/* ---- options ---- */

/* The one range of addresses that a network has. */
static json_t *pool(json_t *doc)
{
	json_t *list = opt_member(doc, "IPAM.Config", true);

	if (!json_array_size(list))
		json_array_append_new(list, json_object());
	return json_array_get(list, 0);
}

static struct err *apply_subnet(json_t *doc, const char *value)
{
	jx_set_str(pool(doc), "Subnet", value);
	return NULL;
}

static struct err *apply_gateway(json_t *doc, const char *value)
{
	jx_set_str(pool(doc), "Gateway", value);
	return NULL;
}

static struct err *apply_range(json_t *doc, const char *value)
{
	jx_set_str(pool(doc), "IPRange", value);
	return NULL;
}

static struct err *apply_uplink(json_t *doc, const char *value)
{
	jx_set_str(opt_member(doc, "Options", false), "hostel.uplink", value);
	return NULL;
}

static const struct opt create_rows[] = {
	{ "subnet", 0, OPT_TEXT, "RANGE", "Its addresses, 10.1.0.0/16; else a free range",
	  .apply = apply_subnet },
	{ "gateway", 0, OPT_TEXT, "ADDRESS", "The host's address on it; else the first one",
	  .apply = apply_gateway },
	{ "ip-range", 0, OPT_TEXT, "RANGE", "Give addresses out of this part only",
	  .apply = apply_range },
	{ "uplink", 0, OPT_TEXT, "IFACE",
	  "An interface of the host, without address, that joins it to its link",
	  .apply = apply_uplink },
	{ "internal", 0, OPT_FLAG, NULL, "No way in or out", "Internal" },
	{ "attachable", 0, OPT_FLAG, NULL, "Kept and shown", "Attachable" },
	{ "driver", 'd', OPT_TEXT, "NAME", "bridge", "Driver" },
	{ "label", 'l', OPT_MAP, "KEY=VALUE", "Attach a label", "Labels" },
	{ "opt", 'o', OPT_MAP, "KEY=VALUE", "Option of the driver", "Options" },
};
const struct opt_table network_create_options = OPT_TABLE(create_rows);

static const struct opt connect_rows[] = {
	{ "alias", 0, OPT_LIST, "NAME", "Another name on this network", "EndpointConfig.Aliases" },
	{ "ip", 0, OPT_TEXT, "ADDRESS", "Its address", "EndpointConfig.IPAMConfig.IPv4Address" },
};
const struct opt_table network_connect_options = OPT_TABLE(connect_rows);

static const struct opt disconnect_rows[] = {
	{ "force", 'f', OPT_FLAG, NULL, "As docker has it; nothing more", "Force" },
};
const struct opt_table network_disconnect_options = OPT_TABLE(disconnect_rows);

static const struct opt filter_rows[] = {
	{ "filter", 'f', OPT_LIST, "KEY=VALUE", "Only those: name=, id=, label=, driver=, type=" },
};
const struct opt_table network_filter_options = OPT_TABLE(filter_rows);

/* ---- commands ---- */

struct err *cmd_network_create(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object(), *answer = NULL;

	TRY(args_apply(a, doc));
	json_object_set_new(doc, "Name", jx_string(a->rest[0]));
	TRY(cli_call(c, "POST", doc, &answer, "/networks/create"));
	printf("%s\n", jx_str(answer, "Id", ""));
	return NULL;
}

static const char *subnet_of(const json_t *network)
{
	const json_t *config = json_object_get(json_object_get(network, "IPAM"), "Config");

	return jx_str(json_array_get(config, 0), "Subnet", "");
}

static void ls_row(struct table *t, const json_t *n, bool is_whole)
{
	table_cell(t, "%.*s", is_whole ? 64 : 12, jx_str(n, "Id", ""));
	table_cell(t, "%s", jx_str(n, "Name", ""));
	table_cell(t, "%s", jx_str(n, "Driver", ""));
	table_cell(t, "%s", subnet_of(n));
	table_cell(t, "%s", jx_bool(n, "Internal", false) ? "yes" : "no");
}

struct err *cmd_network_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = {
		"ID", "NAME", "DRIVER", "SUBNET", "INTERNAL", NULL
	};
	OWN(table) struct table *t = table_new(headings);
	OWN(mem) char *filters = cli_filters(a);
	const char *format = args_text(a, "format");
	bool is_whole = args_flag(a, "no-trunc");
	OWN(json) json_t *doc = NULL;
	const json_t *n;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &doc, "/networks?filters=%s", filters));
	if (show_wants_json(a)) {
		show_json(doc);
		return NULL;
	}
	json_array_foreach(doc, i, n)
	{
		if (args_flag(a, "quiet"))
			printf("%.*s\n", is_whole ? 64 : 12, jx_str(n, "Id", ""));
		else if (format && !streq(format, "table"))
			TRY(show_template(format, n));
		else
			ls_row(t, n, is_whole);
	}
	if (!args_flag(a, "quiet") && (!format || streq(format, "table")))
		table_print(t, stdout);
	return NULL;
}

struct err *cmd_network_rm(struct cli *c, const struct args *a)
{
	return cli_delete_each(c, a, "/networks/%s");
}

struct err *cmd_network_inspect(struct cli *c, const struct args *a)
{
	const char *format = args_text(a, "format");
	OWN(json) json_t *list = json_array();

	for (size_t i = 0; i < a->n_rest; i++) {
		OWN(json) json_t *doc = NULL;

		TRY(cli_call(c, "GET", NULL, &doc, "/networks/%s", a->rest[i]));
		if (format && !streq(format, "json"))
			TRY(show_template(format, doc));
		json_array_append(list, doc);
	}
	if (!format || streq(format, "json"))
		show_json(list);
	return NULL;
}

static struct err *join_or_leave(struct cli *c, const struct args *a, const char *path)
{
	OWN(json) json_t *doc = json_object();

	TRY(args_apply(a, doc));
	json_object_set_new(doc, "Container", jx_string(a->rest[1]));
	return cli_call(c, "POST", doc, NULL, path, a->rest[0]);
}

struct err *cmd_network_connect(struct cli *c, const struct args *a)
{
	return join_or_leave(c, a, "/networks/%s/connect");
}

struct err *cmd_network_disconnect(struct cli *c, const struct args *a)
{
	return join_or_leave(c, a, "/networks/%s/disconnect");
}

struct err *cmd_network_prune(struct cli *c, const struct args *a)
{
	OWN(mem) char *filters = cli_filters(a);
	OWN(json) json_t *doc = NULL;
	const json_t *name;
	size_t i;

	TRY(cli_call(c, "POST", NULL, &doc, "/networks/prune?filters=%s", filters));
	json_array_foreach(json_object_get(doc, "NetworksDeleted"), i, name)
	    printf("%s\n", json_string_value(name));
	return NULL;
}
