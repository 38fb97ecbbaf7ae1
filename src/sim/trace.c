/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/read_int.h"
#include "util/mem.h"

static const struct {
	const char *name, *text;
	bool is_fault, is_dropped;
} bads[] = {
	[SIM_BAD_SHORT] = { "short", "fewer columns than the format has (dropped)", true, true },
	[SIM_BAD_NUMBER] = { "non_numeric", "not a number where one belongs (dropped)", true,
			     true },
	[SIM_BAD_NEGATIVE] = { "negative", "negative number (dropped)", true, true },
	[SIM_BAD_ORDER] = { "out_of_order", "submitted before the line above (sorted)", true,
			    false },
	[SIM_BAD_LARGE] = { "larger_than_machine", "larger than the machine", true, false },
	[SIM_DROP_RUN] = { "no_run_time", "run time of 0 or unknown (dropped)", false, true },
	[SIM_DROP_CPUS] = { "no_processors", "processors 0 or unknown (dropped)", false, true },
	[SIM_DROP_OPEN] = { "no_end", "had not ended (dropped)", false, true },
};
_Static_assert(ARRAY_SIZE(bads) == SIM_BAD_COUNT, "name every sort");

const char *sim_bad_name(enum sim_bad b)
{
	return bads[b].name;
}

const char *sim_bad_text(enum sim_bad b)
{
	return bads[b].text;
}

/* ---- users: numbers of the trace to numbers from 0 on ---- */

struct sim_user {
	uint32_t number, at; /* at: 1 + its place; 0: empty */
};

static struct sim_user *user_slot(struct sim_user *users, size_t size, uint32_t number)
{
	size_t i = (number * 0x9e3779b1U >> 4) & (size - 1);

	while (users[i].at && users[i].number != number)
		i = (i + 1) & (size - 1);
	return &users[i];
}

static void numbers_grow(struct sim_numbers *t)
{
	size_t size = t->slots ? t->slots * 2 : 64;
	struct sim_user *bigger = xcalloc(size, sizeof(*bigger));

	for (size_t i = 0; i < t->slots; i++)
		if (t->table[i].at)
			*user_slot(bigger, size, t->table[i].number) = t->table[i];
	free(t->table);
	t->table = bigger;
	t->slots = size;
	t->numbers = xrealloc(t->numbers, size, sizeof(uint32_t));
}

static uint32_t number_place(struct sim_numbers *t, uint32_t number)
{
	struct sim_user *u;

	if (t->n * 2 >= t->slots)
		numbers_grow(t);
	u = user_slot(t->table, t->slots, number);
	if (!u->at) {
		t->numbers[t->n++] = number;
		*u = (struct sim_user) { number, t->n };
	}
	return u->at - 1;
}

static void numbers_settle(struct sim_numbers *t)
{
	free(t->table);
	t->table = NULL;
	t->slots = 0;
}

static void numbers_done(struct sim_numbers *t)
{
	free(t->table);
	free(t->numbers);
}

uint32_t sim_trace_user(struct sim_trace *t, uint32_t number)
{
	return number_place(&t->users, number);
}

void sim_trace_change(struct sim_trace *t, const struct sim_change *c)
{
	if (t->n_changes == t->cap_changes) {
		t->cap_changes = t->cap_changes + t->cap_changes / 2 + 64;
		t->changes = xrealloc(t->changes, t->cap_changes, sizeof(*t->changes));
	}
	t->changes[t->n_changes++] = *c;
}

uint32_t sim_trace_label(struct sim_trace *t, uint32_t number)
{
	return number_place(&t->labels, number);
}

void sim_trace_done(struct sim_trace *t)
{
	free(t->jobs);
	free(t->more);
	free(t->changes);
	free(t->policy);
	free(t->label);
	numbers_done(&t->users);
	numbers_done(&t->labels);
	strmap_done(&t->header);
	*t = (struct sim_trace) { 0 };
}

/* ---- jobs ---- */

#define HUGE_FROM  (8 << 20)
#define LINE_LEAST 46 /* few lines of a trace are shorter */

static void grow(struct sim_trace *t)
{
	/* By half, so that a large trace is not held twice over for long. */
	t->cap = t->cap + t->cap / 2 + 1024;
	t->jobs = xrealloc(t->jobs, t->cap, sizeof(*t->jobs));
	if (t->more)
		t->more = xrealloc(t->more, t->cap, sizeof(*t->more));
}

void sim_trace_reserve(struct sim_trace *t, size_t n)
{
	if (n * sizeof(*t->jobs) < HUGE_FROM || t->cap)
		return;
	t->cap = n;
	t->jobs = xrealloc(t->jobs, t->cap, sizeof(*t->jobs));
	mem_huge(t->jobs, t->cap * sizeof(*t->jobs));
}

void sim_trace_add(struct sim_trace *t, const struct sim_job *j, const struct sim_more *more)
{
	if (t->n == t->cap)
		grow(t);
	if (more && !t->more && (more->memory_bytes || more->gpu_milli || more->label)) {
		t->more = xcalloc(t->cap, sizeof(*t->more));
		memset(t->more, 0, t->cap * sizeof(*t->more));
	}
	if (t->more)
		t->more[t->n] = more ? *more : (struct sim_more) { 0 };
	if (t->n && j->submit_ns < t->jobs[t->n - 1].submit_ns)
		t->is_unsorted = true;
	t->jobs[t->n] = *j;
	t->jobs[t->n++].user = number_place(&t->users, j->user);
}

void sim_trace_count(struct sim_trace *t, enum sim_bad b, uint64_t line)
{
	if (!t->bad[b].count++)
		t->bad[b].first_line = line;
	t->dropped += bads[b].is_dropped;
}

/* ---- sort ---- */

struct key {
	int64_t submit_ns;
	size_t at;
};

static int by_submission(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->submit_ns != y->submit_ns)
		return x->submit_ns < y->submit_ns ? -1 : 1;
	return x->at < y->at ? -1 : 1;
}

static void *permuted(const void *from, size_t size, const struct key *keys, size_t n, size_t cap)
{
	char *to = xcalloc(cap, size);

	for (size_t i = 0; i < n; i++)
		memcpy(to + i * size, (const char *)from + keys[i].at * size, size);
	return to;
}

static void sort(struct sim_trace *t)
{
	OWN(mem) struct key *keys = NULL;
	void *old;

	keys = xcalloc(t->n, sizeof(*keys));
	for (size_t i = 0; i < t->n; i++)
		keys[i] = (struct key) { t->jobs[i].submit_ns, i };
	qsort(keys, t->n, sizeof(*keys), by_submission);
	old = t->jobs;
	t->jobs = permuted(old, sizeof(*t->jobs), keys, t->n, t->cap);
	free(old);
	if (t->more) {
		old = t->more;
		t->more = permuted(old, sizeof(*t->more), keys, t->n, t->cap);
		free(old);
	}
}

void sim_trace_settle(struct sim_trace *t)
{
	if (t->is_unsorted)
		sort(t);
	t->is_unsorted = false;
	numbers_settle(&t->users);
	numbers_settle(&t->labels);
}

/* ---- read ---- */

int64_t sim_trace_total(const struct sim_trace *t)
{
	if (t->hint.cpu_milli)
		return t->hint.cpu_milli;
	return (t->max_procs > 0 ? t->max_procs : t->max_nodes) * 1000;
}

struct err *sim_trace_strict(const struct sim_trace *t)
{
	for (int b = 0; b < SIM_BAD_COUNT; b++)
		if (t->bad[b].count && bads[b].is_fault)
			return err_new(ERR_CORRUPT, "line %" PRIu64 ": %s; %" PRIu64 " such line%s",
				       t->bad[b].first_line, bads[b].text, t->bad[b].count,
				       t->bad[b].count == 1 ? "" : "s");
	return NULL;
}

/* The format is that of the first line with anything on it. */
static const struct sim_format *format_of(const char *line, const char *end)
{
	static const struct sim_format *const formats[] = { &sim_format_log, &sim_format_csv,
							    &sim_format_swf };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->is_it(line, end))
			return formats[i];
	return NULL;
}

static bool is_blank(const char *line, const char *end)
{
	while (line < end && (*line == ' ' || *line == '\t' || *line == '\r'))
		line++;
	return line == end;
}

struct err *sim_trace_read(struct source in, const struct sim_limits *limits, struct sim_trace *ret)
{
	const struct sim_format *format = NULL;
	OWN(lines) struct lines l = { 0 };
	char *line, *end;

	lines_init(&l, in);
	for (;;) {
		TRY(lines_peek(&l, &line, &end));
		if (!line)
			return err_new(ERR_CORRUPT, "no job in it");
		if (!is_blank(line, end))
			break;
		TRY(lines_next(&l, &line, &end));
	}
	format = format_of(line, end);
	if (!format)
		return err_new(ERR_CORRUPT,
			       "line %" PRIu64 ": neither SWF, nor CSV with named columns, nor an "
			       "event log of hostel",
			       l.number + 1);
	sim_trace_reserve(ret, limits->bytes / LINE_LEAST);
	str_set(&ret->label, limits->label);
	TRY(format->read(&l, limits, ret));
	ret->lines = l.number;
	if (!ret->n)
		return err_new(ERR_CORRUPT, "no job in it (%" PRIu64 " left out)", ret->dropped);
	sim_trace_settle(ret);
	return NULL;
}
