/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/str.h"

struct table {
	const char *const *headings;
	size_t n_columns;
	struct strv cells;
};

struct table *table_new(const char *const *headings)
{
	struct table *t = xnew(struct table);

	t->headings = headings;
	while (headings[t->n_columns])
		t->n_columns++;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	strv_done(&t->cells);
	free(t);
}

void table_cell(struct table *t, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	strv_add(&t->cells, text);
}

/* Columns of a UTF-8 text, one per code point. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = width_of(t->headings[column]);

	for (size_t i = column; i < t->cells.n; i += t->n_columns)
		if (width_of(t->cells.v[i]) > width)
			width = width_of(t->cells.v[i]);
	return width;
}

static void put(FILE *out, const char *text, size_t width, int is_last)
{
	fputs(text, out);
	if (is_last)
		fputc('\n', out);
	else
		for (size_t n = width_of(text); n < width + 3; n++)
			fputc(' ', out);
}

void table_print(const struct table *t, FILE *out)
{
	size_t *width = xcalloc(t->n_columns, sizeof(*width));

	for (size_t i = 0; i < t->n_columns; i++)
		width[i] = column_width(t, i);
	for (size_t i = 0; i < t->n_columns; i++)
		put(out, t->headings[i], width[i], i + 1 == t->n_columns);
	for (size_t i = 0; i < t->cells.n; i++)
		put(out, t->cells.v[i], width[i % t->n_columns],
		    i % t->n_columns + 1 == t->n_columns);
	free(width);
}

const char *text_age(int64_t ns, char *buf)
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	int64_t s = ns / 1000000000;

	if (s < 0)
		s = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s >= units[i].seconds) {
			snprintf(buf, 24, "%" PRId64 " %s", s / units[i].seconds, units[i].unit);
			return buf;
		}
	return strcpy(buf, "0 s");
}

const char *text_cpus(int64_t milli, char *buf)
{
	size_t n;

	snprintf(buf, 24, "%" PRId64 ".%03d", milli / 1000, (int)(milli % 1000));
	for (n = strlen(buf); buf[n - 1] == '0'; n--)
		buf[n - 1] = '\0';
	if (buf[n - 1] == '.')
		buf[n - 1] = '\0';
	return buf;
}
