/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/table.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

/* ---- in and out ---- */

struct err *cmd_pull(struct cli *c, const struct args *a)
{
	OWN(progress) struct progress *p = progress_new(1, args_flag(a, "quiet"));
	int rc = hostel_pull(c->h, a->rest[0], args_text(a, "platform"), progress_message, p);

	if (rc)
		return cli_err(c, rc);
	if (args_flag(a, "quiet"))
		printf("%s\n", a->rest[0]);
	return NULL;
}

/* Follow a stream of progress messages; an error in it fails the command. */
static struct err *follow(struct cli *c, struct hostel_reply *r, struct progress *p)
{
	OWN(err) struct err *bad = NULL;

	for (;;) {
		OWN(mem) char *line = NULL;
		OWN(json) json_t *doc = NULL;

		TRY(cli_line(c, r, &line, &doc));
		if (!line)
			return TAKE(bad);
		if (jx_str(doc, "error", NULL) && !bad)
			bad = err_new(ERR_INTERNAL, "%s", jx_str(doc, "error", ""));
		else
			progress_message(p, line);
	}
}

/* Where a tag begins in a reference; NULL: there is none */
static const char *tag_of(const char *ref)
{
	const char *slash = strrchr(ref, '/');

	return strchr(slash ? slash : ref, ':');
}

struct err *cmd_push(struct cli *c, const struct args *a)
{
	OWN(progress) struct progress *p = progress_new(1, args_flag(a, "quiet"));
	OWN(reply) struct hostel_reply *r = NULL;
	const char *colon = tag_of(a->rest[0]);
	OWN(mem)
	char *name =
	    xstrndup(a->rest[0], colon ? (size_t)(colon - a->rest[0]) : strlen(a->rest[0]));
	OWN(mem)
	char *path = cli_path("/images/%s/push?tag=%s", name, colon ? colon + 1 : "latest");

	TRY(cli_send(c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path, .headers = "X-Registry-Auth: e30=\r\n" },
		     &r));
	return follow(c, r, p);
}

static struct err *open_input(const char *path, int *ret_fd)
{
	int fd;

	if (!path || streq(path, "-")) {
		if (isatty(0))
			return err_new(ERR_INVALID,
				       "the archive would be read from the terminal; name a file");
		*ret_fd = dup(0);
		return NULL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", path);
	*ret_fd = fd;
	return NULL;
}

struct err *cmd_load(struct cli *c, const struct args *a)
{
	OWN(progress) struct progress *p = progress_new(1, args_flag(a, "quiet"));
	OWN(fd) int fd = -1;
	int rc;

	TRY(open_input(a->n_rest ? a->rest[0] : args_text(a, "input"), &fd));
	rc = hostel_load(c->h, fd, progress_message, p);
	return rc ? cli_err(c, rc) : NULL;
}

struct err *cmd_import(struct cli *c, const struct args *a)
{
	OWN(fd) int fd = -1;
	OWN(reply) struct hostel_reply *r = NULL;
	OWN(progress) struct progress *p = progress_new(1, false);
	const char *ref = a->n_rest > 1 ? a->rest[1] : "", *message = args_text(a, "message");
	const char *colon = tag_of(ref);
	OWN(mem) char *name = xstrndup(ref, colon ? (size_t)(colon - ref) : strlen(ref));
	OWN(str) struct str path = { 0 };
	OWN(mem)
	char *first = cli_path("/images/create?fromSrc=-&repo=%s&tag=%s&message=%s", name,
			       colon ? colon + 1 : "", message ? message : "");

	str_adds(&path, first);
	for (size_t i = 0; i < a->n_uses; i++)
		if (streq(a->uses[i].opt->name, "change")) {
			OWN(mem) char *change = hostel_encode(a->uses[i].value);

			str_addf(&path, "&changes=%s", change);
		}
	TRY(open_input(a->rest[0], &fd));
	TRY(cli_send(c,
		     &(struct hostel_request) {
			 .method = "POST", .path = path.buf, .has_body_fd = 1, .body_fd = fd },
		     &r));
	return follow(c, r, p);
}

/* Write a body to the file of --output, or to stdout. */
static struct err *to_output(struct cli *c, const struct args *a, const char *path)
{
	const char *output = args_text(a, "output");
	OWN(reply) struct hostel_reply *r = NULL;

	if (!output && isatty(1))
		return err_new(ERR_INVALID, "an archive is nothing for a terminal; use --output");
	TRY(cli_send(c, &(struct hostel_request) { .method = "GET", .path = path }, &r));
	if (!output)
		return show_copy(c, r, 1);
	return show_save(c, r, output, 0666);
}

struct err *cmd_save(struct cli *c, const struct args *a)
{
	OWN(str) struct str path = { 0 };
	OWN(mem) char *begin = cli_path("/images/get");

	str_adds(&path, begin);
	for (size_t i = 0; i < a->n_rest; i++) {
		OWN(mem) char *name = hostel_encode(a->rest[i]);

		str_addf(&path, "%cnames=%s", i ? '&' : '?', name);
	}
	return to_output(c, a, path.buf);
}

struct err *cmd_export(struct cli *c, const struct args *a)
{
	OWN(mem) char *path = cli_path("/containers/%s/export", a->rest[0]);

	return to_output(c, a, path);
}

/* ---- what is there ---- */

static void image_row(struct table *t, const json_t *im, const char *ref, bool is_whole)
{
	const char *id = jx_str(im, "Id", ""), *colon = ref ? strrchr(ref, ':') : NULL;
	char age[24], size[24];

	if (!strncmp(id, "sha256:", 7))
		id += 7;
	table_cell(t, "%.*s", colon ? (int)(colon - ref) : 6, colon ? ref : "<none>");
	table_cell(t, "%s", colon ? colon + 1 : "<none>");
	table_cell(t, "%.*s", is_whole ? 64 : 12, id);
	table_cell(t, "%s", text_age(clock_wall_ns() - jx_int(im, "Created", 0) * 1000000000, age));
	table_cell(t, "%s", num_bytes_text(jx_int(im, "Size", 0), size));
}

static void images_table(const json_t *list, bool is_whole)
{
	static const char *const headings[] = {
		"REPOSITORY", "TAG", "IMAGE ID", "AGE", "SIZE", NULL
	};
	OWN(table) struct table *t = table_new(headings);
	const json_t *im, *tag;
	size_t i, k;

	json_array_foreach(list, i, im)
	{
		const json_t *tags = json_object_get(im, "RepoTags");

		json_array_foreach(tags, k, tag) image_row(t, im, json_string_value(tag), is_whole);
		if (!json_array_size(tags))
			image_row(t, im, NULL, is_whole);
	}
	table_print(t, stdout);
}

static void images_quiet(const json_t *list, bool is_whole)
{
	const json_t *im;
	size_t i;

	json_array_foreach(list, i, im)
	{
		const char *id = jx_str(im, "Id", "");

		printf("%.*s\n", is_whole ? 71 : 12,
		       !is_whole && !strncmp(id, "sha256:", 7) ? id + 7 : id);
	}
}

struct err *cmd_images(struct cli *c, const struct args *a)
{
	OWN(json) json_t *list = NULL, *filters = json_object();
	OWN(mem) char *text = NULL;
	const char *format = args_text(a, "format");
	const json_t *im;
	size_t i;

	if (a->n_rest)
		json_object_set_new(filters, "reference", json_pack("[s]", a->rest[0]));
	text = jx_text(filters);
	TRY(cli_call(c, "GET", NULL, &list, "/images/json?all=%s&filters=%s",
		     args_flag(a, "all") ? "1" : "0", text));
	if (args_flag(a, "quiet"))
		images_quiet(list, args_flag(a, "no-trunc"));
	else if (show_wants_json(a))
		show_json(list);
	else if (!format || streq(format, "table"))
		images_table(list, args_flag(a, "no-trunc"));
	else
		json_array_foreach(list, i, im) TRY(show_template(format, im));
	return NULL;
}

static struct err *remove_image(struct cli *c, const struct args *a, const char *ref)
{
	OWN(mem) char *text = NULL;
	OWN(json) json_t *list = NULL;
	const json_t *done;
	const char *key;
	json_t *value;
	size_t i;
	int rc = hostel_image_remove(c->h, ref, args_flag(a, "force"), &text);

	if (rc)
		return cli_err(c, rc);
	TRY(jx_parse(text, strlen(text), &list));
	json_array_foreach(list, i, done) json_object_foreach((json_t *)(uintptr_t)done, key, value)
	    printf("%s: %s\n", key, json_string_value(value));
	return NULL;
}

struct err *cmd_rmi(struct cli *c, const struct args *a)
{
	struct err *last = NULL;

	for (size_t i = 0; i < a->n_rest; i++) {
		struct err *e = remove_image(c, a, a->rest[i]);

		if (e && last) {
			fprintf(stderr, "hostel: %s\n", err_text(last));
			err_free(last);
		}
		if (e)
			last = e;
	}
	return last;
}

struct err *cmd_tag(struct cli *c, const struct args *a)
{
	const char *colon = tag_of(a->rest[1]);
	OWN(mem)
	char *repo =
	    xstrndup(a->rest[1], colon ? (size_t)(colon - a->rest[1]) : strlen(a->rest[1]));

	return cli_call(c, "POST", NULL, NULL, "/images/%s/tag?repo=%s&tag=%s", a->rest[0], repo,
			colon ? colon + 1 : "latest");
}

struct err *cmd_history(struct cli *c, const struct args *a)
{
	static const char *const headings[] = { "LAYER", "AGE", "SIZE", "CREATED BY", NULL };
	OWN(table) struct table *t = table_new(headings);
	OWN(json) json_t *list = NULL;
	const json_t *h;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &list, "/images/%s/history", a->rest[0]));
	if (show_wants_json(a)) {
		show_json(list);
		return NULL;
	}
	json_array_foreach(list, i, h)
	{
		const char *id = jx_str(h, "Id", "");
		char age[24], size[24];

		table_cell(t, "%.12s", !strncmp(id, "sha256:", 7) ? id + 7 : id);
		table_cell(t, "%s",
			   text_age(clock_wall_ns() - jx_int(h, "Created", 0) * 1000000000, age));
		table_cell(t, "%s", num_bytes_text(jx_int(h, "Size", 0), size));
		table_cell(t, "%.*s", args_flag(a, "no-trunc") ? 4000 : 60,
			   jx_str(h, "CreatedBy", ""));
	}
	table_print(t, stdout);
	return NULL;
}
