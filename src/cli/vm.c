/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/hint_opts.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/vm.h"
#include "util/mem.h"
#include "util/num.h"

/* ---- options of vm create ---- */

/* A bare number is MiB, as people say it of machines. */
static struct err *apply_memory(json_t *doc, const char *value)
{
	int64_t bytes;

	if (strspn(value, "0123456789") == strlen(value) && *value) {
		TRY(num_parse_i64(value, 1, INT32_MAX, &bytes));
		bytes *= 1048576;
	} else {
		TRY(num_parse_bytes(value, &bytes));
	}
	opt_set(doc, "memory_bytes", json_integer(bytes));
	return NULL;
}

/* The daemon has another working folder than we. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (*path == '/' || !getcwd(cwd, sizeof(cwd)))
		return xstrdup(path);
	return xasprintf("%s/%s", cwd, path);
}

static struct err *new_disk(json_t *disk, const char *value)
{
	const char *size = value + strlen("new:");
	int64_t bytes;

	TRY(num_parse_bytes(size, &bytes));
	if (bytes < 1048576)
		return err_new(ERR_INVALID, "\"%s\": at least 1m; write new:20g", value);
	json_object_set_new(disk, "new_bytes", json_integer(bytes));
	return NULL;
}

static struct err *disk_word(json_t *disk, const char *word)
{
	if (streq(word, "overlay"))
		json_object_set_new(disk, "overlay", json_true());
	else if (streq(word, "ro") || streq(word, "readonly"))
		json_object_set_new(disk, "readonly", json_true());
	else if (!strncmp(word, "format=", 7))
		json_object_set_new(disk, "format", jx_string(word + 7));
	else
		return err_new(ERR_INVALID, "\"%s\": overlay, readonly or format=raw|qcow2", word);
	return NULL;
}

static struct err *apply_disk(json_t *doc, const char *value)
{
	OWN(json) json_t *disk = json_object();
	OWN(mem) char *text = xstrdup(value), *path = NULL;
	char *save = NULL, *word = strtok_r(text, ",", &save);

	if (!word)
		return err_new(ERR_INVALID, "\"%s\" names no disk", value);
	if (!strncmp(word, "new:", 4)) {
		TRY(new_disk(disk, word));
	} else {
		path = absolute(word);
		json_object_set_new(disk, "path", jx_string(path));
	}
	while ((word = strtok_r(NULL, ",", &save)))
		TRY(disk_word(disk, word));
	json_array_append(opt_member(doc, "disks", true), disk);
	return NULL;
}

static struct err *set_path(json_t *doc, const char *member, const char *value)
{
	OWN(mem) char *path = absolute(value);

	opt_set(doc, member, jx_string(path));
	return NULL;
}

static struct err *apply_kernel(json_t *doc, const char *value)
{
	return set_path(doc, "kernel", value);
}

static struct err *apply_initrd(json_t *doc, const char *value)
{
	return set_path(doc, "initrd", value);
}

static struct err *apply_cpus(json_t *doc, const char *value)
{
	int64_t milli;

	TRY(num_parse_milli(value, &milli));
	opt_set(doc, "cpu_milli", json_integer(milli));
	return NULL;
}

/* [IP:][HOST:]PORT[/udp] in our own words. */
static struct err *apply_publish(json_t *doc, const char *value)
{
	OWN(mem) char *text = xstrdup(value);
	char *slash = strchr(text, '/'), *last;
	int64_t inside, host = 0;
	json_t *port = json_object();

	json_array_append_new(opt_member(doc, "ports", true), port);
	if (slash)
		*slash = '\0';
	json_object_set_new(port, "protocol", jx_string(slash ? slash + 1 : "tcp"));
	last = strrchr(text, ':');
	TRY(num_parse_i64(last ? last + 1 : text, 1, 65535, &inside));
	json_object_set_new(port, "container_port", json_integer(inside));
	if (!last)
		return NULL;
	*last = '\0';
	last = strrchr(text, ':');
	if (*(last ? last + 1 : text))
		TRY(num_parse_i64(last ? last + 1 : text, 1, 65535, &host));
	json_object_set_new(port, "host_port", json_integer(host));
	if (last)
		json_object_set_new(port, "host_ip", json_stringn(text, (size_t)(last - text)));
	return NULL;
}

/* "100mbit" in bits per second; powers of 1000, as network people count */
static struct err *parse_rate(const char *text, size_t len, int64_t *ret)
{
	static const struct {
		const char *unit;
		int64_t bits;
	} units[] = { { "bit", 1 },  { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 },
		      { "k", 1000 }, { "m", 1000000 }, { "g", 1000000000 }, { "", 1 } };
	OWN(mem) char *copy = xstrndup(text, len);
	size_t digits = strspn(copy, "0123456789");
	OWN(mem) char *number = xstrndup(copy, digits);
	int64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcasecmp(copy + digits, units[i].unit))
			continue;
		TRY(num_parse_i64(number, 0, INT64_MAX / 1000000000, &n));
		*ret = n * units[i].bits;
		return NULL;
	}
	return err_new(ERR_INVALID, "\"%s\" is no rate like 100mbit", copy);
}

static struct err *apply_net_rate(json_t *doc, const char *value)
{
	const char *comma = strchr(value, ',');
	int64_t out, in;

	TRY(parse_rate(value, comma ? (size_t)(comma - value) : strlen(value), &out));
	in = out;
	if (comma)
		TRY(parse_rate(comma + 1, strlen(comma + 1), &in));
	opt_set(doc, "net_egress_bps", json_integer(out));
	opt_set(doc, "net_ingress_bps", json_integer(in));
	return NULL;
}

static const struct opt rows[] = {
	{ "memory", 'm', OPT_TEXT, "SIZE", "Memory: 1g, 1024m, or a bare number of MiB",
	  .apply = apply_memory },
	{ "vcpus", 0, OPT_INT, "N", "Virtual cpus", "vcpus" },
	{ "cpus", 0, OPT_NANO, "NUMBER", "Cpu quota, 0.5 for half of one", .apply = apply_cpus },
	{ "disk", 0, OPT_LIST, "FILE[,overlay]", "Disk: a file used in place, or new:20g",
	  .apply = apply_disk, .what = WHAT_FILE },
	{ "kernel", 0, OPT_TEXT, "FILE", "Boot this kernel", .apply = apply_kernel,
	  .what = WHAT_FILE },
	{ "initrd", 0, OPT_TEXT, "FILE", "Its initial ramdisk", .apply = apply_initrd,
	  .what = WHAT_FILE },
	{ "append", 0, OPT_TEXT, "TEXT", "Its command line", "append" },
	{ "firmware", 0, OPT_TEXT, "KIND", "bios (default) or uefi (OVMF, Secure Boot off)",
	  "firmware", .choices = "bios uefi" },
	{ "accel", 0, OPT_TEXT, "KIND", "kvm or tcg; else the best there is", "accel",
	  .choices = "kvm tcg" },
	{ "machine", 0, OPT_TEXT, "TYPE", "q35 or microvm", "machine_type",
	  .choices = "q35 microvm" },
	{ "hostname", 'h', OPT_TEXT, "NAME", "Host name", "hostname" },
	{ "network", 0, OPT_TEXT, "MODE", "bridge (default), none, or a network", "network",
	  .alias = "net", .what = WHAT_NETWORK },
	{ "publish", 'p', OPT_LIST, "[IP:][HOST:]PORT[/udp]", "Publish a port",
	  .apply = apply_publish },
	{ "mac-address", 0, OPT_TEXT, "MAC", "Its MAC address", "mac_address" },
	{ "net-rate", 0, OPT_TEXT, "OUT[,IN]", "Limit network traffic, 100mbit,50mbit; 0: no limit",
	  .apply = apply_net_rate },
	{ "label", 'l', OPT_MAP, "KEY=VALUE", "Attach a label", "labels" },
	{ "restart", 0, OPT_TEXT, "POLICY", "no, on-failure[:N], always, unless-stopped",
	  "restart" },
	{ "rm", 0, OPT_FLAG, NULL, "Remove it when it has ended", "auto_remove" },
	{ "stop-timeout", 0, OPT_INT, "SECONDS", "Time to shut down before it is killed",
	  "stop_timeout_s" },
};
const struct opt_table vm_options = OPT_TABLE(rows);

struct err *cmd_vm_create(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object(), *answer = NULL;
	const json_t *warning;
	size_t i;

	TRY(args_apply(a, doc));
	hint_labels_move(doc);
	if (a->n_rest)
		json_object_set_new(doc, "name", jx_string(a->rest[0]));
	TRY(cli_call(c, "POST", doc, &answer, "/hostel/v1/vms"));
	json_array_foreach(json_object_get(answer, "warnings"), i, warning)
	    fprintf(stderr, "warning: %s\n", json_string_value(warning));
	printf("%s\n", jx_str(answer, "id", ""));
	return NULL;
}

/* ---- kernels ---- */

static struct err *add_path(json_t *doc, const char *member, const char *value)
{
	return value ? set_path(doc, member, value) : NULL;
}

struct err *cmd_kernel_add(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object(), *answer = NULL;
	const char *name = args_text(a, "name");

	if (name)
		json_object_set_new(doc, "name", jx_string(name));
	TRY(add_path(doc, "source", a->rest[0]));
	TRY(add_path(doc, "modules", args_text(a, "modules")));
	TRY(cli_call(c, "POST", doc, &answer, "/hostel/v1/kernels"));
	printf("%s\n", jx_str(answer, "name", ""));
	return NULL;
}

struct err *cmd_kernel_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME", "VERSION", "DEFAULT", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	const json_t *k;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/kernels"));
	if (show_wants_json(a)) {
		show_json(list);
		return NULL;
	}
	json_array_foreach(list, i, k)
	{
		table_cell(t, "%s", jx_str(k, "name", ""));
		table_cell(t, "%s", jx_str(k, "version", "-"));
		table_cell(t, "%s", jx_bool(k, "default", false) ? "yes" : "-");
	}
	table_print(t, stdout);
	return NULL;
}

struct err *cmd_kernel_rm(struct cli *c, const struct args *a)
{
	return cli_delete_each(c, a, "/hostel/v1/kernels/%s");
}
