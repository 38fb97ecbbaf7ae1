/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/show.h"
#include "cli/table.h"
#include "sched/account.h"
#include "util/mem.h"

/*
 * Times of each start and what they come to (docs/numbers.md).  hosteld gives one page of its
 * history at a time, so that it never stands still for a long one; sums, groups and
 * utilisation over all pages are computed here, by sched/account.h.
 */

#define DAYS_MOST  40000
#define TABLE_ROWS 100

static const struct opt rows[] = {
	{ "by", 0, OPT_TEXT, "WHAT", "Sums of each user, or of each day of arrival",
	  .choices = "user day" },
	{ "since", 0, OPT_TEXT, "TIME", "What existed since: 10m, a date, or seconds since 1970" },
	{ "until", 0, OPT_TEXT, "TIME", "What arrived before" },
	{ "limit", 0, OPT_INT, "ROWS",
	  "Show so many starts at most, 0: all; sums are over all of them (a table: 100)" },
};
const struct opt_table accounting_options = OPT_TABLE(rows);

/* ---- all of them ---- */

struct book {
	struct account *v;
	uint32_t *user; /* by number in users */
	int64_t *day;   /* of arrival; local */
	size_t n, max;
	struct strv users;
	uint32_t last_user;
	int64_t now_ns, since_ns, until_ns;
	int64_t cpu_milli, memory_bytes; /* R_total */
};

static inline void own_book_release(struct book *b)
{
	free(b->v);
	free(b->user);
	free(b->day);
	strv_done(&b->users);
}

static uint32_t user_number(struct book *b, const char *name)
{
	if (b->last_user < b->users.n && streq(b->users.v[b->last_user], name))
		return b->last_user;
	for (b->last_user = 0; b->last_user < b->users.n; b->last_user++)
		if (streq(b->users.v[b->last_user], name))
			return b->last_user;
	strv_add(&b->users, name);
	return b->last_user;
}

static int64_t utc_offset_s(int64_t wall_ns)
{
	time_t s = wall_ns / 1000000000;
	struct tm tm;

	return localtime_r(&s, &tm) ? tm.tm_gmtoff : 0;
}

static int64_t day_of(int64_t wall_ns)
{
	return account_day(wall_ns, utc_offset_s(wall_ns));
}

/* When the local day begins; a change of the clock counts from the night before. */
static int64_t day_begins(int64_t day)
{
	int64_t utc = day * 86400 * INT64_C(1000000000);

	return utc - utc_offset_s(utc) * INT64_C(1000000000);
}

static void book_add(struct book *b, const json_t *j)
{
	if (b->n == b->max) {
		b->max = b->max ? 2 * b->max : 1024;
		b->v = xrealloc(b->v, b->max, sizeof(*b->v));
		b->user = xrealloc(b->user, b->max, sizeof(*b->user));
		b->day = xrealloc(b->day, b->max, sizeof(*b->day));
	}
	b->v[b->n] = (struct account) { 0 };
	for (const struct account_field *f = account_record_fields; f->name; f++)
		*account_slot(&b->v[b->n], f) = jx_int(j, f->name, 0);
	b->user[b->n] = user_number(b, jx_str(j, "user", "unknown"));
	b->day[b->n] = day_of(b->v[b->n].arrival_ns);
	b->n++;
}

/* ---- what it comes to ---- */

struct span {
	int64_t from_ns, to_ns;
};

/* From --since or the first arrival to --until or the last finish. */
static struct span whole_span(const struct book *b, const struct account_sums *s)
{
	struct span w = { b->since_ns ? b->since_ns : s->first_ns, s->first_ns + s->makespan_ns };

	if (b->since_ns)
		w.to_ns = b->now_ns;
	if (b->until_ns && b->until_ns < b->now_ns)
		w.to_ns = b->until_ns;
	return w;
}

static void set_ratio(json_t *j, const char *name, double held, int64_t total, struct span w)
{
	double there = (double)total * (double)(w.to_ns - w.from_ns) / 1e9;

	json_object_set_new(j, name, there > 0 ? json_real(held / there) : json_null());
}

static json_t *sums_json(const struct book *b, const struct account_sums *s,
			 const struct account_use *u, struct span w)
{
	json_t *j = json_object();

	for (const struct account_field *f = account_fields; f->name; f++) {
		const char *at = (const char *)s + f->offset;

		json_object_set_new(j, f->name,
				    f->is_real ? json_real(*(const double *)(const void *)at)
					       : json_integer(*(const int64_t *)(const void *)at));
	}
	json_object_set_new(j, "span_ns", json_integer(s->n ? w.to_ns - w.from_ns : 0));
	json_object_set_new(j, "cpu_milli_s", json_real(u->cpu_milli_s));
	json_object_set_new(j, "memory_byte_s", json_real(u->memory_byte_s));
	set_ratio(j, "cpu_utilisation", u->cpu_milli_s, b->cpu_milli, w);
	set_ratio(j, "memory_utilisation", u->memory_byte_s, b->memory_bytes, w);
	return j;
}

/* Sums over @n of them from @v on, and what they held within @w. */
static json_t *sums_of(const struct book *b, const struct account *v, size_t n, struct span w)
{
	struct account_sums s = account_sum(v, n, b->now_ns);
	struct account_use u = { 0 };

	for (size_t i = 0; i < n; i++)
		account_use_add(&u, &v[i], w.from_ns, w.to_ns, b->now_ns);
	return sums_json(b, &s, &u, w);
}

/* ---- groups ---- */

/* The records in the order of a key, so that each group lies together. */
struct keyed {
	int64_t key;
	size_t at;
};

static int by_key(const void *x, const void *y)
{
	const struct keyed *a = x, *b = y;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->at > b->at) - (a->at < b->at);
}

static struct keyed *sorted(const struct book *b, bool by_day, struct account **ret)
{
	struct keyed *k = xcalloc(b->n + 1, sizeof(*k));

	*ret = xcalloc(b->n + 1, sizeof(**ret));
	for (size_t i = 0; i < b->n; i++)
		k[i] = (struct keyed) { by_day ? b->day[i] : (int64_t)b->user[i], i };
	qsort(k, b->n, sizeof(*k), by_key);
	for (size_t i = 0; i < b->n; i++)
		(*ret)[i] = b->v[k[i].at];
	return k;
}

static size_t group_end(const struct book *b, const struct keyed *k, size_t from)
{
	size_t to = from;

	while (to < b->n && k[to].key == k[from].key)
		to++;
	return to;
}

static json_t *users_json(const struct book *b, struct span w)
{
	struct account *v;
	OWN(mem) struct keyed *k = sorted(b, false, &v);
	json_t *out = json_array();

	for (size_t from = 0, to; from < b->n; from = to) {
		json_t *j;

		to = group_end(b, k, from);
		j = sums_of(b, &v[from], to - from, w);
		jx_set_str(j, "user", b->users.v[k[from].key]);
		json_array_append_new(out, j);
	}
	free(v);
	return out;
}

/* What was held on each day, by whomever, whenever he arrived. */
static void use_by_day(const struct book *b, struct span w, int64_t first, size_t n,
		       struct account_use *use)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct account *a = &b->v[i];
		int64_t begin = a->admission_ns ? a->admission_ns : a->start_ns;
		int64_t end = a->finish_ns ? a->finish_ns : b->now_ns;
		int64_t day = begin ? day_of(begin > w.from_ns ? begin : w.from_ns) : INT64_MAX;
		int64_t last = day_of(end < w.to_ns ? end : w.to_ns);

		for (; day <= last && day - first < (int64_t)n; day++) {
			int64_t from = day_begins(day), to = day_begins(day + 1);

			if (day >= first)
				account_use_add(&use[day - first], a,
						from > w.from_ns ? from : w.from_ns,
						to < w.to_ns ? to : w.to_ns, b->now_ns);
		}
	}
}

static json_t *day_json(const struct book *b, int64_t day, struct span w,
			const struct account_sums *s, const struct account_use *u)
{
	int64_t from = day_begins(day), to = day_begins(day + 1);
	struct span d = { from > w.from_ns ? from : w.from_ns, to < w.to_ns ? to : w.to_ns };
	time_t at = day * 86400;
	char text[32];
	struct tm tm;
	json_t *j;

	if (d.to_ns < d.from_ns)
		d.to_ns = d.from_ns;
	j = sums_json(b, s, u, d);
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	jx_set_str(j, "day", text);
	return j;
}

static json_t *days_json(const struct book *b, struct span w)
{
	struct account *v;
	OWN(mem) struct keyed *k = sorted(b, true, &v);
	OWN(mem) struct account_use *use = NULL;
	int64_t first = day_of(w.from_ns);
	json_t *out = json_array();
	size_t n, at = 0;

	if (b->n && k[0].key < first)
		first = k[0].key;
	n = b->n ? (size_t)(day_of(w.to_ns) - first) + 1 : 0;
	n = n > DAYS_MOST ? DAYS_MOST : n;
	use = xcalloc(n + 1, sizeof(*use));
	use_by_day(b, w, first, n, use);
	for (size_t i = 0; i < n; i++) {
		size_t from = at;
		struct account_sums s;

		while (at < b->n && k[at].key == first + (int64_t)i)
			at++;
		s = account_sum(&v[from], at - from, b->now_ns);
		if (s.n || use[i].memory_byte_s > 0 || use[i].cpu_milli_s > 0)
			json_array_append_new(out, day_json(b, first + (int64_t)i, w, &s, &use[i]));
	}
	free(v);
	return out;
}

/* ---- the starts, as they come ---- */

enum format { TABLE, JSON, CSV, TEMPLATE };

static const struct csv_column {
	const char *name;
	bool is_text;
} csv_columns[] = {
	{ "id", true },
	{ "name", true },
	{ "kind", true },
	{ "image", true },
	{ "user", true },
	{ "arrival_ns", false },
	{ "admission_ns", false },
	{ "start_ns", false },
	{ "finish_ns", false },
	{ "T_ns", false },
	{ "paused_ns", false },
	{ "sliced_ns", false },
	{ "waiting_ns", false },
	{ "turnaround_ns", false },
	{ "slowdown", false },
	{ "bounded_slowdown", false },
	{ "cpu_milli", false },
	{ "memory_bytes", false },
};

struct printer {
	enum format format;
	const char *template;
	size_t limit, shown, all; /* limit 0: all */
	struct table *table;
	int64_t now_ns;
	bool rows; /* csv and table with --by: only the groups */
};

static void seconds_cell(struct table *t, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_integer(v))
		table_cell(t, "%.3f", (double)json_integer_value(v) / 1e9);
	else
		table_cell(t, "-");
}

static void ratio_cell(struct table *t, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_real(v))
		table_cell(t, "%.2f", json_real_value(v));
	else
		table_cell(t, "-");
}

/* A time of day, with the date unless it is today. */
static void clock_cell(struct table *t, const json_t *row, const char *key, int64_t now_ns)
{
	int64_t ns = jx_int(row, key, 0);
	time_t s = ns / 1000000000;
	char text[32];
	struct tm tm;

	if (!ns) {
		table_cell(t, "-");
		return;
	}
	localtime_r(&s, &tm);
	strftime(text, sizeof(text),
		 day_of(ns) == day_of(now_ns) ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &tm);
	table_cell(t, "%s.%03d", text, (int)(ns / 1000000 % 1000));
}

static void table_row(const struct printer *p, const json_t *s)
{
	struct table *t = p->table;

	table_cell(t, "%s", jx_str(s, "name", ""));
	table_cell(t, "%s", jx_str(s, "kind", ""));
	table_cell(t, "%s", jx_str(s, "user", "-"));
	clock_cell(t, s, "arrival_ns", p->now_ns);
	clock_cell(t, s, "admission_ns", p->now_ns);
	clock_cell(t, s, "start_ns", p->now_ns);
	clock_cell(t, s, "finish_ns", p->now_ns);
	seconds_cell(t, s, "T_ns");
	seconds_cell(t, s, "paused_ns");
	seconds_cell(t, s, "sliced_ns");
	seconds_cell(t, s, "waiting_ns");
	seconds_cell(t, s, "turnaround_ns");
	ratio_cell(t, s, "slowdown");
}

static void csv_cell(const json_t *row, const struct csv_column *c, bool is_first)
{
	const json_t *v = json_object_get(row, c->name);

	if (c->is_text)
		show_csv(jx_str(row, c->name, ""), is_first);
	else if (json_is_real(v))
		printf(",%.17g", json_real_value(v));
	else if (json_is_integer(v))
		printf(",%" PRId64, (int64_t)json_integer_value(v));
	else
		printf(",");
}

static void csv_row(const json_t *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(csv_columns); i++)
		csv_cell(s, &csv_columns[i], i == 0);
	putchar('\n');
}

static struct err *print_start(struct printer *p, const json_t *s)
{
	OWN(mem) char *text = NULL;

	p->all++;
	if (!p->rows || (p->limit && p->shown >= p->limit))
		return NULL;
	p->shown++;
	switch (p->format) {
	case TABLE:
		table_row(p, s);
		return NULL;
	case CSV:
		csv_row(s);
		return NULL;
	case TEMPLATE:
		return show_template(p->template, s);
	case JSON:
		text = jx_text(s);
		printf("%s\n    %s", p->shown > 1 ? "," : "", text);
		return NULL;
	}
	return NULL;
}

static void print_head(struct printer *p)
{
	static const char *const headings[] = { "NAME",       "KIND",     "USER",
						"ARRIVAL",    "ADMITTED", "START",
						"FINISH",     "T (s)",    "PAUSED (s)",
						"SLICED (s)", "WAIT (s)", "TURNAROUND (s)",
						"SLOWDOWN",   NULL };

	if (p->format == TABLE)
		p->table = table_new(headings);
	if (p->format == JSON)
		printf("{\n  \"starts\": [");
	for (size_t i = 0; p->format == CSV && p->rows && i < ARRAY_SIZE(csv_columns); i++)
		printf("%s%s", i ? "," : "", csv_columns[i].name);
	if (p->format == CSV && p->rows)
		putchar('\n');
}

/* ---- groups and sums, printed ---- */

/* The ratio of utilisation as per cent. */
static void percent_cell(struct table *t, const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_real(v))
		table_cell(t, "%.1f %%", 100 * json_real_value(v));
	else
		table_cell(t, "-");
}

static void print_groups_table(const json_t *groups, const char *by)
{
	const char *const headings[] = { streq(by, "day") ? "DAY" : "USER",
					 "STARTS",
					 "RUNNING",
					 "T (s)",
					 "WAIT (s)",
					 "MEAN WAIT (s)",
					 "P95 WAIT (s)",
					 "MEAN TURNAROUND (s)",
					 "MEAN SLOWDOWN",
					 "CPU",
					 "MEMORY",
					 NULL };
	OWN(table) struct table *t = table_new(headings);
	const json_t *g;
	size_t i;

	json_array_foreach(groups, i, g)
	{
		table_cell(t, "%s", jx_str(g, by, "-"));
		table_cell(t, "%" PRId64, jx_int(g, "starts", 0));
		table_cell(t, "%" PRId64, jx_int(g, "running", 0));
		seconds_cell(t, g, "T_total_ns");
		seconds_cell(t, g, "T_wait_ns");
		seconds_cell(t, g, "mean_wait_ns");
		seconds_cell(t, g, "p95_wait_ns");
		seconds_cell(t, g, "mean_turnaround_ns");
		ratio_cell(t, g, "mean_slowdown");
		percent_cell(t, g, "cpu_utilisation");
		percent_cell(t, g, "memory_utilisation");
	}
	table_print(t, stdout);
}

static void print_groups_csv(const json_t *groups, const char *by)
{
	const json_t *g, *v;
	const char *key;
	size_t i;

	json_array_foreach(groups, i, g)
	{
		if (!i) {
			fputs(by, stdout);
			json_object_foreach((json_t *)(uintptr_t)g, key, v) if (!json_is_string(v))
			    printf(",%s", key);
			putchar('\n');
		}
		show_csv(jx_str(g, by, ""), true);
		json_object_foreach((json_t *)(uintptr_t)g, key, v) if (!json_is_string(v))
		    csv_cell(g, &(struct csv_column) { key, false }, false);
		putchar('\n');
	}
}

/* "T_wait: 3.200 s", one a line. */
static void print_totals(const json_t *sums)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)sums, key, value)
	{
		const char *unit = strrchr(key, '_');

		if (json_is_integer(value) && streq(unit, "_ns"))
			printf("%.*s: %.3f s\n", (int)(unit - key), key,
			       (double)json_integer_value(value) / 1e9);
		else if (json_is_integer(value))
			printf("%s: %" PRId64 "\n", key, (int64_t)json_integer_value(value));
		else if (streq(unit, "_utilisation") && json_is_real(value))
			printf("%s: %.1f %%\n", key, 100 * json_real_value(value));
		else if (json_is_real(value) && !streq(unit, "_s"))
			printf("%s: %.2f\n", key, json_real_value(value));
	}
}

static void print_end(const struct printer *p, const char *by, json_t *groups, json_t *sums)
{
	OWN(mem) char *text = NULL;

	switch (p->format) {
	case TABLE:
		if (by)
			print_groups_table(groups, by);
		else
			table_print(p->table, stdout);
		if (!by && p->shown < p->all)
			printf("%zu older ones are not shown; --limit 0 shows all\n",
			       p->all - p->shown);
		printf("\n");
		print_totals(sums);
		return;
	case CSV:
		if (by)
			print_groups_csv(groups, by);
		return;
	case JSON:
		text = jx_text(sums);
		printf("\n  ],\n  \"sums\": %s", text);
		if (by) {
			free(TAKE(text));
			text = jx_text(groups);
			printf(",\n  \"by_%s\": %s", by, text);
		}
		printf("\n}\n");
		return;
	case TEMPLATE:
		return;
	}
}

/* ---- the command ---- */

static void page_facts(struct book *b, struct printer *p, const json_t *doc)
{
	const json_t *total = json_object_get(doc, "R_total");

	p->now_ns = b->now_ns = jx_int(doc, "now_ns", 0);
	b->since_ns = jx_int(doc, "since_ns", 0);
	b->until_ns = jx_int(doc, "until_ns", 0);
	b->cpu_milli = jx_int(total, "cpu_milli", 0);
	b->memory_bytes = jx_int(total, "memory_bytes", 0);
	print_head(p);
}

/* @text, or the moment that a page said it is, so that all pages are of one span. */
static char *moment(const char *text, int64_t ns)
{
	if (!ns)
		return xstrdup(text ? text : "");
	return xasprintf("%" PRId64 ".%09" PRId64, ns / 1000000000, ns % 1000000000);
}

static struct err *read_page(struct cli *c, const struct args *a, struct book *b, struct printer *p,
			     int64_t *before)
{
	OWN(mem) char *since = moment(args_text(a, "since"), b->since_ns);
	OWN(mem) char *until = moment(args_text(a, "until"), b->until_ns);
	OWN(mem) char *from = xasprintf("%" PRId64, *before);
	OWN(json) json_t *doc = NULL;
	const json_t *s;
	size_t i;

	TRY(cli_call(c, "GET", NULL, &doc, "/hostel/v1/accounting?before=%s&since=%s&until=%s",
		     from, since, until));
	if (!*before)
		page_facts(b, p, doc);
	json_array_foreach(json_object_get(doc, "starts"), i, s)
	{
		book_add(b, s);
		TRY(print_start(p, s));
	}
	*before = jx_int(doc, "next", 0);
	return NULL;
}

static struct printer printer_of(const struct args *a)
{
	const char *format = args_text(a, "format");
	struct printer p = { .template = format, .format = TEMPLATE };

	if (!format || streq(format, "table"))
		p.format = TABLE;
	else if (streq(format, "json"))
		p.format = JSON;
	else if (streq(format, "csv"))
		p.format = CSV;
	p.rows = p.format == JSON || p.format == TEMPLATE || !args_text(a, "by");
	p.limit = (size_t)args_int(a, "limit", p.format == TABLE ? TABLE_ROWS : 0);
	return p;
}

static inline void own_printer_release(struct printer *p)
{
	table_free(p->table);
}

struct err *cmd_accounting(struct cli *c, const struct args *a)
{
	OWN(printer) struct printer p = printer_of(a);
	OWN(book) struct book b = { 0 };
	OWN(json) json_t *groups = NULL;
	OWN(json) json_t *sums = NULL;
	const char *by = args_text(a, "by");
	struct account_sums s;
	int64_t before = 0;
	struct span w;

	if (args_int(a, "limit", 0) < 0)
		return err_new(ERR_INVALID, "--limit is a number of rows, 0 or more");
	TRY(read_page(c, a, &b, &p, &before));
	while (before)
		TRY(read_page(c, a, &b, &p, &before));
	s = account_sum(b.v, b.n, b.now_ns);
	w = whole_span(&b, &s);
	sums = sums_of(&b, b.v, b.n, w);
	if (by)
		groups = streq(by, "day") ? days_json(&b, w) : users_json(&b, w);
	print_end(&p, by, groups, sums);
	return NULL;
}
