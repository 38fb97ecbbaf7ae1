/* SPDX-License-Identifier: Apache-2.0 */
/* Moving instances to other hosts. */
#include <inttypes.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "util/mem.h"
#include "util/num.h"

static const struct opt migrate_rows[] = {
	{ "check", 0, OPT_FLAG, NULL, "Say why it would fail, and change nothing", "check" },
	{ "cold", 0, OPT_FLAG, NULL, "If it runs: stop it, move it, start it there", "cold" },
	{ "bandwidth", 0, OPT_BYTES, "BYTES", "At most so much in a second (10m)",
	  "bandwidth_bytes" },
	{ "quiet", 'q', OPT_FLAG, NULL, "Say nothing" },
};
const struct opt_table migrate_options = OPT_TABLE(migrate_rows);

static const struct opt resolve_rows[] = {
	{ "here", 0, OPT_FLAG, NULL, "It is on this host" },
	{ "there", 0, OPT_FLAG, NULL, "It is on the other host" },
};
const struct opt_table resolve_options = OPT_TABLE(resolve_rows);

/* ---- progress ---- */

struct meter {
	bool is_quiet, is_tty, is_shown;
};

static void meter_clear(struct meter *m)
{
	if (m->is_shown)
		fputs("\r\033[K", stderr);
	m->is_shown = false;
}

static void meter_progress(struct meter *m, const json_t *p)
{
	int64_t current = jx_int(p, "current", 0), total = jx_int(p, "total", 0);
	char done[24], all[24];

	if (m->is_quiet || !m->is_tty)
		return;
	num_bytes_text(current, done);
	num_bytes_text(total, all);
	fprintf(stderr, "\r\033[K%s: %s%s%s", jx_str(p, "id", ""), done, total ? " / " : "",
		total ? all : "");
	m->is_shown = true;
}

static void meter_line(struct meter *m, const json_t *line)
{
	const char *status = jx_str(line, "status", NULL);

	if (json_object_get(line, "progress"))
		meter_progress(m, json_object_get(line, "progress"));
	if (!status || m->is_quiet)
		return;
	meter_clear(m);
	fprintf(stderr, "%s\n", status);
}

/* ---- migrate ---- */

/* @ret_over: the last line was read */
static struct err *take_line(struct meter *m, const json_t *line, bool *ret_over)
{
	const json_t *error = json_object_get(line, "error");

	*ret_over = json_object_get(line, "done") != NULL;
	if (error)
		return err_new(ERR_STATE, "%s", jx_str(error, "message", "it failed"));
	meter_line(m, line);
	return NULL;
}

static struct err *follow(struct cli *c, struct hostel_reply *r, struct meter *m)
{
	bool is_over = false;

	while (!is_over) {
		OWN(mem) char *line = NULL;
		OWN(json) json_t *doc = NULL;

		TRY(cli_line(c, r, &line, &doc));
		if (!doc)
			return err_new(ERR_UNAVAILABLE,
				       "hosteld ended meanwhile: hostel ps says where it is");
		TRY(take_line(m, doc, &is_over));
	}
	return NULL;
}

static struct err *migrate(struct cli *c, const struct args *a, const json_t *doc)
{
	OWN(mem) char *body = jx_text(doc);
	OWN(mem) char *path = cli_path("/hostel/v1/instances/%s/migrate", a->rest[0]);
	OWN(reply) struct hostel_reply *r = NULL;
	struct meter m = { .is_quiet = args_flag(a, "quiet"), .is_tty = isatty(2) };
	struct err *e;

	TRY(cli_send(c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path, .body = body, .no_reuse = 1 },
		     &r));
	e = follow(c, r, &m);
	meter_clear(&m);
	if (!e)
		printf("%s\n", a->rest[0]);
	return e;
}

static struct err *check(struct cli *c, const struct args *a, const json_t *doc)
{
	OWN(json) json_t *answer = NULL;
	const json_t *reasons, *reason;
	size_t n;

	TRY(cli_call(c, "POST", doc, &answer, "/hostel/v1/instances/%s/migrate", a->rest[0]));
	reasons = json_object_get(answer, "reasons");
	json_array_foreach(reasons, n, reason) printf("%s\n", json_string_value(reason));
	if (json_array_size(reasons))
		c->exit_code = 1;
	else
		printf("%s can move to %s\n", a->rest[0], a->rest[1]);
	return NULL;
}

struct err *cmd_migrate(struct cli *c, const struct args *a)
{
	OWN(json) json_t *doc = json_object();

	jx_set_str(doc, "to", a->rest[1]);
	TRY(args_apply(a, doc));
	if (args_flag(a, "check"))
		return check(c, a, doc);
	return migrate(c, a, doc);
}

struct err *cmd_migrate_resolve(struct cli *c, const struct args *a)
{
	bool here = args_flag(a, "here");
	OWN(json) json_t *doc = json_pack("{s:b}", "here", here);

	if (here == args_flag(a, "there"))
		return err_new(ERR_INVALID, "say --here or --there");
	TRY(cli_call(c, "POST", doc, NULL, "/hostel/v1/instances/%s/resolve", a->rest[0]));
	printf("%s\n", a->rest[0]);
	return NULL;
}
