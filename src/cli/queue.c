/* SPDX-License-Identifier: Apache-2.0 */
/* What a user does with those that wait in the queue. */
#include <stdio.h>

#include "cli/cli.h"
#include "util/mem.h"

static struct err *hold(struct cli *c, const struct args *a, const char *ref)
{
	return cli_call(c, "POST", NULL, NULL, "/hostel/v1/queue/%s/hold", ref);
}

static struct err *release(struct cli *c, const struct args *a, const char *ref)
{
	return cli_call(c, "POST", NULL, NULL, "/hostel/v1/queue/%s/release", ref);
}

static struct err *cancel(struct cli *c, const struct args *a, const char *ref)
{
	return cli_call(c, "POST", NULL, NULL, "/hostel/v1/queue/%s/cancel", ref);
}

struct err *cmd_queue_hold(struct cli *c, const struct args *a)
{
	return cli_each(c, a, hold, false);
}

struct err *cmd_queue_release(struct cli *c, const struct args *a)
{
	return cli_each(c, a, release, false);
}

struct err *cmd_queue_cancel(struct cli *c, const struct args *a)
{
	return cli_each(c, a, cancel, false);
}

/* ---- move ---- */

static const struct opt move_rows[] = {
	{ "first", 0, OPT_FLAG, NULL, "Before all others" },
	{ "last", 0, OPT_FLAG, NULL, "Behind all that wait now" },
	{ "before", 0, OPT_TEXT, "OTHER", "Before this one", .what = WHAT_WAITING },
	{ "after", 0, OPT_TEXT, "OTHER", "Behind this one", .what = WHAT_WAITING },
};
const struct opt_table queue_move_options = OPT_TABLE(move_rows);

/* The one option that was given. */
static struct err *read_where(const struct args *a, json_t *doc)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(move_rows); i++) {
		const struct opt *o = &move_rows[i];

		if (o->type == OPT_FLAG ? !args_flag(a, o->name) : !args_has(a, o->name))
			continue;
		n++;
		jx_set_str(doc, "where", o->name);
		if (o->type == OPT_TEXT)
			jx_set_str(doc, "other", args_text(a, o->name));
	}
	if (n != 1)
		return err_new(ERR_INVALID,
			       "%s one of --first, --last, --before OTHER and "
			       "--after OTHER",
			       n ? "only" : "name");
	return NULL;
}

struct err *cmd_queue_move(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object();

	TRY(read_where(a, doc));
	TRY(cli_call(c, "POST", doc, NULL, "/hostel/v1/queue/%s/move", a->rest[0]));
	printf("%s\n", a->rest[0]);
	return NULL;
}
