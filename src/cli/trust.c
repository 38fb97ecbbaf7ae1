/* SPDX-License-Identifier: Apache-2.0 */
/* Which other hosts are trusted with instances. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/source.h"

#define PEM_MAX 65536

static struct err *read_input(struct str *out)
{
	int fd = STDIN_FILENO;
	struct source in = source_fd(&fd);
	char buf[4096];
	size_t n = 1;

	while (n) {
		TRY(in.read(in.arg, buf, sizeof(buf), &n));
		str_add(out, buf, n);
		if (out->len > PEM_MAX)
			return err_new(ERR_INVALID, "that is too long for a certificate");
	}
	return NULL;
}

static struct err *read_certificate(const char *from, char **ret)
{
	OWN(str) struct str text = { 0 };

	if (!streq(from, "-"))
		return fd_read_file(AT_FDCWD, from, PEM_MAX, ret);
	TRY(read_input(&text));
	*ret = str_take(&text);
	return NULL;
}

struct err *cmd_trust_add(struct cli *c, const struct args *a)
{
	OWN(mem) char *pem = NULL;
	OWN(json) json_t *doc = json_object();

	TRY(read_certificate(a->rest[1], &pem));
	json_object_set_new(doc, "certificate", jx_string(pem));
	TRY(cli_call(c, "POST", doc, NULL, "/hostel/v1/trust/%s", a->rest[0]));
	printf("%s\n", a->rest[0]);
	return NULL;
}

struct err *cmd_trust_rm(struct cli *c, const struct args *a)
{
	return cli_delete_each(c, a, "/hostel/v1/trust/%s");
}

struct err *cmd_trust_show(struct cli *c, const struct args *a)
{
	OWN(json) json_t *own = NULL;
	struct err *e = NULL;

	TRY(cli_call(c, "GET", NULL, &own, "/hostel/v1/identity"));
	if (show_otherwise(a, own, NULL, &e))
		return e;
	fputs(jx_str(own, "certificate", ""), stdout);
	fprintf(stderr, "fingerprint %s\n", jx_str(own, "fingerprint", ""));
	return NULL;
}

struct err *cmd_trust_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME", "SINCE", "FINGERPRINT", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	struct err *e = NULL;
	const json_t *row;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/trust"));
	if (show_otherwise(a, list, NULL, &e))
		return e;
	json_array_foreach(list, i, row)
	{
		char age[32];

		text_age(clock_wall_ns() - jx_int(row, "since_ns", 0), age);
		table_cell(t, "%s", jx_str(row, "name", ""));
		table_cell(t, "%s", age);
		table_cell(t, "%s", jx_str(row, "fingerprint", ""));
	}
	table_print(t, stdout);
	return NULL;
}
