/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, checkpoints, forks, backups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

static const struct opt create_rows[] = {
	{ "stateful", 0, OPT_FLAG, NULL, "With all that runs in it" },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
const struct opt_table snapshot_create_options = OPT_TABLE(create_rows);

static const struct opt restore_rows[] = {
	{ "force", 'f', OPT_FLAG, NULL, "Though it runs: what there is, is kept as a snapshot" },
	{ "as", 0, OPT_TEXT, "NEW", "A new instance of this name, instead of in place" },
	{ "disk-only", 0, OPT_FLAG, NULL, "Not what ran in it" },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
const struct opt_table snapshot_restore_options = OPT_TABLE(restore_rows);

static const struct opt as_rows[] = {
	{ "as", 0, OPT_TEXT, "NAME", "Another name than it had" },
};
const struct opt_table snapshot_import_options = OPT_TABLE(as_rows);

static const struct opt checkpoint_rows[] = {
	{ "leave-running", 0, OPT_FLAG, NULL, "Do not end it" },
	{ "name", 0, OPT_TEXT, "SNAP", "Its name; else checkpoint0 and so on" },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
const struct opt_table checkpoint_options = OPT_TABLE(checkpoint_rows);

static const struct opt fork_rows[] = {
	{ "copies", 'n', OPT_INT, "NUMBER", "So many (1)" },
	{ "quiet", 'q', OPT_FLAG, NULL, "No progress" },
};
const struct opt_table fork_options = OPT_TABLE(fork_rows);

/* ---- how it goes ---- */

struct meter {
	bool is_quiet, is_tty;
	char *shown;
};

static void meter_show(struct meter *m, const json_t *message)
{
	const json_t *progress = json_object_get(message, "progress");
	const char *status = jx_str(progress ? progress : message, "status", NULL);
	int64_t bytes = jx_int(progress, "current", 0);
	char size[24];

	if (m->is_quiet || !status)
		return;
	if (m->is_tty)
		fprintf(stderr, "\r\033[K%s%s%s", status, progress ? ": " : "",
			progress ? num_bytes_text(bytes, size) : "");
	else if (!streq(status, m->shown))
		fprintf(stderr, "%s\n", status);
	str_set(&m->shown, status);
}

static void meter_end(struct meter *m)
{
	if (m->is_tty && m->shown)
		fputs("\r\033[K", stderr);
	free(m->shown);
}

static enum err_kind kind_of(const char *name)
{
	return streq(name, "NOT_FOUND") ? ERR_NOT_FOUND : ERR_STATE;
}

/* Lines up to the last one, which says how it ended. */
static struct err *follow(struct cli *c, struct hostel_reply *r, struct meter *m, json_t **ret)
{
	for (;;) {
		OWN(mem) char *line = NULL;
		OWN(json) json_t *doc = NULL;

		TRY(cli_line(c, r, &line, &doc));
		if (!line)
			return err_new(ERR_UNAVAILABLE, "hosteld went away before it was done");
		if (json_object_get(doc, "error"))
			return err_new(kind_of(jx_str(doc, "kind", "")), "%s",
				       jx_str(doc, "error", ""));
		if (json_object_get(doc, "done")) {
			*ret = json_incref(json_object_get(doc, "done"));
			return NULL;
		}
		meter_show(m, doc);
	}
}

/* A request whose answer is such lines. */
static struct err *ask(struct cli *c, const struct args *a, const char *path, const json_t *body,
		       json_t **ret)
{
	struct meter m = { .is_quiet = args_flag(a, "quiet"), .is_tty = isatty(2) };
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(mem) char *text = jx_text(body);
	struct err *e;

	TRY(cli_send(c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path, .body = text, .body_len = strlen(text) },
		     &r));
	e = follow(c, r, &m, ret);
	meter_end(&m);
	return e;
}

static void print_warnings(const json_t *done)
{
	const json_t *w;
	size_t n;

	json_array_foreach(json_object_get(done, "warnings"), n, w)
	    fprintf(stderr, "%s\n", json_string_value(w));
	json_array_foreach(json_object_get(done, "notes"), n, w)
	    fprintf(stderr, "note: %s\n", json_string_value(w));
	json_array_foreach(json_object_get(json_object_get(done, "state"), "warnings"), n, w)
	    fprintf(stderr, "note: %s\n", json_string_value(w));
}

/* As --format says, or its name. */
static struct err *print_done(const struct args *a, const json_t *done)
{
	struct err *e = NULL;

	print_warnings(done);
	if (show_otherwise(a, done, NULL, &e))
		return e;
	printf("%s\n", jx_str(done, "name", ""));
	return NULL;
}

/* ---- snapshots ---- */

static struct err *create(struct cli *c, const struct args *a, const json_t *body)
{
	OWN(json) json_t *done = NULL;
	OWN(mem) char *path = cli_path("/hostel/v1/instances/%s/snapshots", a->rest[0]);

	TRY(ask(c, a, path, body, &done));
	return print_done(a, done);
}

struct err *cmd_snapshot_create(struct cli *c, const struct args *a)
{
	OWN(json) json_t *body = json_pack("{s:b}", "stateful", args_flag(a, "stateful"));

	if (a->n_rest > 1)
		jx_set_str(body, "name", a->rest[1]);
	return create(c, a, body);
}

struct err *cmd_checkpoint(struct cli *c, const struct args *a)
{
	OWN(json)
	json_t *body = json_pack("{s:b, s:b, s:b}", "stateful", 1, "checkpoint", 1, "stop",
				 !args_flag(a, "leave-running"));

	if (args_text(a, "name"))
		jx_set_str(body, "name", args_text(a, "name"));
	return create(c, a, body);
}

static void snapshot_row(struct table *t, const json_t *s)
{
	const char *error = jx_str(s, "error", NULL);
	char age[24], size[24];

	table_cell(t, "%s", jx_str(s, "instance", ""));
	table_cell(t, "%s", jx_str(s, "name", ""));
	table_cell(t, "%s",
		   error ? "?" : text_age(clock_wall_ns() - jx_int(s, "created_ns", 0), age));
	table_cell(t, "%s", error ? "?" : num_bytes_text(jx_int(s, "bytes", 0), size));
	table_cell(t, "%s",
		   error                           ? error
		   : jx_bool(s, "stateful", false) ? "disk and state"
						   : "disk");
}

struct err *cmd_snapshot_ls(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "NAME", "SNAPSHOT", "AGE", "SIZE", "WHAT", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	struct err *e = NULL;
	const json_t *s;
	size_t n;

	if (a->n_rest)
		TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/instances/%s/snapshots",
			     a->rest[0]));
	else
		TRY(cli_call(c, "GET", NULL, &list, "/hostel/v1/snapshots"));
	if (show_otherwise(a, list, NULL, &e))
		return e;
	json_array_foreach(list, n, s) snapshot_row(t, s);
	table_print(t, stdout);
	return NULL;
}

struct err *cmd_snapshot_rm(struct cli *c, const struct args *a)
{
	for (size_t n = 1; n < a->n_rest; n++) {
		TRY(cli_call(c, "DELETE", NULL, NULL, "/hostel/v1/instances/%s/snapshots/%s",
			     a->rest[0], a->rest[n]));
		printf("%s\n", a->rest[n]);
	}
	return NULL;
}

static struct err *restore(struct cli *c, const struct args *a, const char *path)
{
	OWN(json)
	json_t *body = json_pack("{s:b, s:b}", "force", args_flag(a, "force"), "disk_only",
				 args_flag(a, "disk-only"));
	OWN(json) json_t *done = NULL;

	if (args_text(a, "as"))
		jx_set_str(body, "as", args_text(a, "as"));
	TRY(ask(c, a, path, body, &done));
	return print_done(a, done);
}

struct err *cmd_snapshot_restore(struct cli *c, const struct args *a)
{
	OWN(mem)
	char *path =
	    cli_path("/hostel/v1/instances/%s/snapshots/%s/restore", a->rest[0], a->rest[1]);

	return restore(c, a, path);
}

/* NAME or NAME@SNAP */
struct err *cmd_restore(struct cli *c, const struct args *a)
{
	const char *at = strchr(a->rest[0], '@');
	OWN(mem) char *name = xstrndup(a->rest[0], strcspn(a->rest[0], "@"));
	OWN(mem)
	char *path = at ? cli_path("/hostel/v1/instances/%s/snapshots/%s/restore", name, at + 1)
			: cli_path("/hostel/v1/instances/%s/restore", name);

	return restore(c, a, path);
}

struct err *cmd_fork(struct cli *c, const struct args *a)
{
	OWN(json)
	json_t *body = json_pack("{s:I}", "copies", (json_int_t)args_int(a, "copies", 1));
	OWN(mem) char *path = cli_path("/hostel/v1/instances/%s/fork", a->rest[0]);
	OWN(json) json_t *done = NULL;
	struct err *e = NULL;
	const json_t *name;
	size_t n;

	TRY(ask(c, a, path, body, &done));
	print_warnings(done);
	if (show_otherwise(a, done, NULL, &e))
		return e;
	json_array_foreach(json_object_get(done, "names"), n, name)
	    printf("%s\n", json_string_value(name));
	return NULL;
}

/* ---- files ---- */

static struct err *save(struct cli *c, const char *path, const char *file)
{
	OWN(reply) struct hostel_reply *r = NULL;

	if (streq(file, "-") && isatty(1))
		return err_new(ERR_INVALID, "a snapshot is nothing for a terminal; name a file");
	TRY(cli_send(c, &(struct hostel_request) { .method = "GET", .path = path }, &r));
	if (streq(file, "-"))
		return show_copy(c, r, 1);
	return show_save(c, r, file, 0600);
}

struct err *cmd_snapshot_export(struct cli *c, const struct args *a)
{
	OWN(mem)
	char *path =
	    cli_path("/hostel/v1/instances/%s/snapshots/%s/export", a->rest[0], a->rest[1]);

	return save(c, path, a->rest[2]);
}

struct err *cmd_backup_create(struct cli *c, const struct args *a)
{
	OWN(mem) char *path = cli_path("/hostel/v1/instances/%s/backup", a->rest[0]);

	return save(c, path, a->rest[1]);
}

static struct err *send_file(struct cli *c, const struct args *a, const char *where)
{
	const char *as = args_text(a, "as");
	OWN(mem) char *path = cli_path(where, as ? as : "");
	OWN(json) json_t *done = NULL;
	OWN(mem) char *line = NULL;
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(fd) int fd = -1;

	fd = streq(a->rest[0], "-") ? dup(0) : open(a->rest[0], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", a->rest[0]);
	TRY(cli_send(c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path, .has_body_fd = 1, .body_fd = fd },
		     &r));
	TRY(cli_line(c, r, &line, &done));
	return print_done(a, done);
}

struct err *cmd_snapshot_import(struct cli *c, const struct args *a)
{
	return send_file(c, a, "/hostel/v1/snapshots/import?as=%s");
}

struct err *cmd_backup_restore(struct cli *c, const struct args *a)
{
	return send_file(c, a, "/hostel/v1/backups/restore?as=%s");
}
