/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/tty.h"
#include "json/json.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"

#define BAR_WIDTH 24

struct progress {
	FILE *out;
	bool is_quiet, is_tty;
	struct strmap lines; /* layer id → what is shown of it */
};

struct progress *progress_new(int fd, bool is_quiet)
{
	struct progress *p = xnew(struct progress);

	p->out = fd == 2 ? stderr : stdout;
	p->is_quiet = is_quiet;
	p->is_tty = isatty(fd);
	return p;
}

void progress_free(struct progress *p)
{
	fflush(p->out);
	strmap_done(&p->lines);
	free(p);
}

/* "Downloading [====>    ] 3.1 MiB of 28 MiB" */
static char *describe(const json_t *doc)
{
	const json_t *detail = json_object_get(doc, "progressDetail");
	int64_t now = jx_int(detail, "current", 0), total = jx_int(detail, "total", 0);
	struct str s = { 0 };
	char a[24], b[24];
	int full;

	str_adds(&s, jx_str(doc, "status", ""));
	if (now > 0 && total >= now) {
		full = (int)(now * BAR_WIDTH / total);
		str_adds(&s, " [");
		for (int i = 0; i < BAR_WIDTH; i++)
			str_adds(&s, i < full ? "=" : i == full ? ">" : " ");
		str_addf(&s, "] %s of %s", num_bytes_text(now, a), num_bytes_text(total, b));
	}
	return str_take(&s);
}

static size_t line_index(const struct progress *p, const char *id)
{
	size_t i = 0;

	while (i < p->lines.n && strcmp(p->lines.v[i].key, id))
		i++;
	return i;
}

static void redraw(struct progress *p, const char *id, const char *text)
{
	size_t at = line_index(p, id), up;

	if (at == p->lines.n)
		fputc('\n', p->out);
	strmap_set(&p->lines, id, text);
	up = p->lines.n - at;
	fprintf(p->out, "\033[%zuA\r\033[K%s: %s\033[%zuB\r", up, id, text, up);
	fflush(p->out);
}

/* Without a terminal a step is told once, without its numbers. */
static void plain(struct progress *p, const char *id, const char *status)
{
	const char *last = strmap_get(&p->lines, id);

	if (streq(last, status))
		return;
	strmap_set(&p->lines, id, status);
	fprintf(p->out, "%s: %s\n", id, status);
}

void progress_message(void *arg, const char *message_json)
{
	struct progress *p = arg;
	OWN(json) json_t *doc = json_loads(message_json, 0, NULL);
	const char *id = jx_str(doc, "id", NULL), *stream = jx_str(doc, "stream", NULL);
	OWN(mem) char *text = NULL;

	if (!doc || p->is_quiet)
		return;
	if (stream) {
		fputs(stream, p->out);
		return;
	}
	if (!jx_str(doc, "status", NULL))
		return;
	text = describe(doc);
	if (!id) {
		fprintf(p->out, "%s\n", text);
		strmap_done(&p->lines);
	}
	if (id && p->is_tty)
		redraw(p, id, text);
	else if (id)
		plain(p, id, jx_str(doc, "status", ""));
}
