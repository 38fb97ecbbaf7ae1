/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

void show_json(const json_t *doc)
{
	OWN(mem) char *text = json_dumps(doc, JSON_INDENT(4) | JSON_ENCODE_ANY);

	printf("%s\n", text ? text : "null");
}

bool show_wants_json(const struct args *a)
{
	return streq(args_text(a, "format"), "json");
}

/* A member by its name, else by its name in any case: Docker writes Name, we write name. */
static const json_t *member(const json_t *doc, const char *name)
{
	const json_t *found = json_object_get(doc, name);
	const char *key;
	json_t *value;

	if (found)
		return found;
	json_object_foreach((json_t *)(uintptr_t)doc, key,
			    value) if (!strcasecmp(key, name)) return value;
	return NULL;
}

/* ".A.B" of a document; borrowed */
static const json_t *look_up(const json_t *doc, char *path)
{
	char *save = NULL;

	for (char *p = strtok_r(path, ".", &save); p && doc; p = strtok_r(NULL, ".", &save))
		doc = json_is_array(doc) ? json_array_get(doc, (size_t)atoi(p)) : member(doc, p);
	return doc;
}

static void print_value(const json_t *v, bool as_json)
{
	OWN(mem) char *text = NULL;

	if (!as_json && json_is_string(v)) {
		fputs(json_string_value(v), stdout);
		return;
	}
	text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	fputs(text ? text : "<no value>", stdout);
}

static struct err *action(const char *text, size_t len, const json_t *doc)
{
	OWN(mem) char *copy = xstrndup(text, len);
	char *p = copy + strspn(copy, " "), *end = copy + len;
	bool as_json = !strncmp(p, "json ", 5);

	if (as_json)
		p += 5 + strspn(p + 5, " ");
	while (end > p && end[-1] == ' ')
		*--end = '\0';
	if (*p != '.' || strpbrk(p, " |()\""))
		return err_new(ERR_INVALID, "--format: only {{.A.B}} and {{json .A}} are known");
	print_value(look_up(doc, p), as_json);
	return NULL;
}

/* "\n" and "\t" as people write them in quotes. */
static void print_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 1 < len && strchr("nt", text[i + 1]))
			putchar(text[++i] == 'n' ? '\n' : '\t');
		else
			putchar(text[i]);
	}
}

struct err *show_template(const char *template, const json_t *doc)
{
	for (;;) {
		const char *open = strstr(template, "{{"),
			   *close = open ? strstr(open, "}}") : NULL;

		print_text(template, open ? (size_t)(open - template) : strlen(template));
		if (!open)
			break;
		if (!close)
			return err_new(ERR_INVALID, "--format: {{ without }}");
		TRY(action(open + 2, (size_t)(close - open - 2), doc));
		template = close + 2;
	}
	putchar('\n');
	return NULL;
}

struct err *show_demux(struct cli *c, struct hostel_reply *r)
{
	char data[16384];
	ssize_t n;
	int stream;

	while ((n = hostel_frame_read(r, &stream, data, sizeof(data))) > 0)
		TRY(fd_write_all(stream == HOSTEL_STDERR ? 2 : 1, data, (size_t)n));
	return n ? cli_err(c, (int)n) : NULL;
}

struct err *show_copy(struct cli *c, struct hostel_reply *r, int fd)
{
	char data[16384];
	ssize_t n;

	while ((n = hostel_reply_read(r, data, sizeof(data))) > 0)
		TRY(fd_write_all(fd, data, (size_t)n));
	if (n)
		TRY_MSG(cli_err(c, (int)n), "cut off");
	return NULL;
}

static struct err *save_whole(struct cli *c, struct hostel_reply *r, const char *file,
			      unsigned mode)
{
	OWN(mem) char *tmp = xasprintf("%s.%d.tmp", file, (int)getpid());
	OWN(fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	struct err *e;

	if (fd < 0)
		return err_sys(errno, "%s", tmp);
	e = show_copy(c, r, fd);
	if (!e && rename(tmp, file))
		e = err_sys(errno, "%s", file);
	if (e)
		unlink(tmp);
	return e;
}

struct err *show_save(struct cli *c, struct hostel_reply *r, const char *file, unsigned mode)
{
	OWN(fd) int fd = -1;
	struct stat st;

	if (stat(file, &st) || S_ISREG(st.st_mode))
		return save_whole(c, r, file, mode);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", file);
	TRY_MSG(show_copy(c, r, fd), "%s", file);
	return NULL;
}

bool show_otherwise(const struct args *a, const json_t *doc, const char *list, struct err **ret_err)
{
	const char *format = args_text(a, "format");
	const json_t *rows = list ? json_object_get(doc, list) : doc, *row;
	size_t i;

	*ret_err = NULL;
	if (!format || streq(format, "table"))
		return false;
	if (streq(format, "json")) {
		show_json(doc);
		return true;
	}
	if (!json_is_array(rows)) {
		*ret_err = show_template(format, doc);
		return true;
	}
	json_array_foreach(rows, i, row) if (!*ret_err) *ret_err = show_template(format, row);
	return true;
}

void show_csv(const char *text, bool is_first)
{
	if (!is_first)
		putchar(',');
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static void csv_value(const json_t *v, bool is_first)
{
	OWN(mem) char *text = NULL;

	if (v && !json_is_string(v) && !json_is_null(v))
		text = json_dumps(v, JSON_ENCODE_ANY);
	show_csv(text ? text : json_is_string(v) ? json_string_value(v) : "", is_first);
}

void show_csv_rows(const struct show_column *columns, size_t n, const json_t *list)
{
	const json_t *row;
	size_t i;

	for (size_t k = 0; k < n; k++)
		show_csv(columns[k].heading, k == 0);
	printf("\n");
	json_array_foreach(list, i, row)
	{
		for (size_t k = 0; k < n; k++) {
			const struct show_column *c = &columns[k];
			const json_t *v = json_object_get(row, c->name ? c->name : c->heading);

			csv_value(c->part ? json_object_get(v, c->part) : v, k == 0);
		}
		printf("\n");
	}
}
