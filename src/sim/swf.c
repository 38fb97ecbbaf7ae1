/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/read_int.h"
#include "util/mem.h"

/*
 * Standard Workload Format.
 *
 * Spec: D. Feitelson, "The Standard Workload Format", Parallel Workloads Archive: one job a line,
 * 18 numbers, -1 is unknown, comments begin with ';', some of them "; Field: value".
 */

enum column {
	COL_NUMBER,
	COL_SUBMIT,
	COL_WAIT,
	COL_RUN,
	COL_ALLOCATED,
	COL_CPU_TIME,
	COL_MEMORY,
	COL_REQUESTED,
	COL_ESTIMATE,
	COL_REQUESTED_MEMORY,
	COL_STATUS,
	COL_USER,
	COL_GROUP,
	COL_EXECUTABLE,
	COL_QUEUE,
	COL_PARTITION,
	COL_PRECEDING,
	COL_THINK,
	COLUMNS,
};

/* Times are read in ns, all else as whole numbers. */
static const int64_t scales[COLUMNS] = {
	[COL_SUBMIT] = SIM_SECOND,
	[COL_RUN] = SIM_SECOND,
	[COL_ESTIMATE] = SIM_SECOND,
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* A header or a line of 18 numbers; the first line is often a comment. */
static bool is_swf(const char *line, const char *end)
{
	while (line < end && is_space(*line))
		line++;
	return line < end && (*line == ';' || *line == '-' || (*line >= '0' && *line <= '9'));
}

/* ---- header ---- */

static char *trimmed(const char *from, const char *to)
{
	while (from < to && is_space(*from))
		from++;
	while (to > from && is_space(to[-1]))
		to--;
	return xstrndup(from, (size_t)(to - from));
}

#define HEADER_FIELDS_MAX 256

/* "; MaxProcs: 100" */
static void read_header(struct sim_trace *t, char *line, char *end)
{
	char *colon = memchr(line, ':', (size_t)(end - line));
	OWN(mem) char *key = NULL, *value = NULL;
	int64_t n;

	while (line < end && (*line == ';' || is_space(*line)))
		line++;
	if (!colon || colon <= line || t->header.n >= HEADER_FIELDS_MAX)
		return;
	key = trimmed(line, colon);
	value = trimmed(colon + 1, end);
	if (strlen(key) != (size_t)strcspn(key, " \t") || strmap_get(&t->header, key))
		return;
	strmap_set(&t->header, key, value);
	if (!scan_decimal(value, 1, &n) || n <= 0 || n > UINT32_MAX / 1000)
		return;
	if (!strcmp(key, "MaxProcs"))
		t->max_procs = n;
	else if (!strcmp(key, "MaxNodes"))
		t->max_nodes = n;
}

/* ---- jobs ---- */

/* All columns of a line; SIM_BAD_COUNT: well formed. */
static enum sim_bad scan(const char *p, const char *end, int64_t v[COLUMNS])
{
	for (int c = 0; c < COLUMNS; c++) {
		while (is_space(*p))
			p++;
		if (p >= end)
			return SIM_BAD_SHORT;
		p = scan_decimal(p, scales[c] ? scales[c] : 1, &v[c]);
		if (!p || (!is_space(*p) && *p != '\n'))
			return SIM_BAD_NUMBER;
	}
	return SIM_BAD_COUNT;
}

/* A job has a time of submission; elsewhere -1 is "unknown", and nothing is below it. */
static bool has_negative(const int64_t v[COLUMNS])
{
	return v[COL_SUBMIT] < 0 || v[COL_RUN] < -SIM_SECOND || v[COL_ESTIMATE] < -SIM_SECOND ||
	       v[COL_ALLOCATED] < -1 || v[COL_REQUESTED] < -1 || v[COL_NUMBER] < 0;
}

static uint32_t clamp_u32(int64_t n)
{
	return n < 0 || n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

static int32_t clamp_priority(int64_t n)
{
	return n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

static const struct {
	const char *name;
	enum column column;
} label_columns[] = {
	{ "group", COL_GROUP },
	{ "executable", COL_EXECUTABLE },
	{ "queue", COL_QUEUE },
	{ "partition", COL_PARTITION },
};

/* @ret: COLUMNS: none */
static struct err *find_label(const char *label, enum column *ret)
{
	*ret = COLUMNS;
	if (!label)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(label_columns); i++)
		if (!strcmp(label_columns[i].name, label))
			*ret = label_columns[i].column;
	return *ret < COLUMNS ? NULL
			      : err_new(ERR_INVALID,
					"SWF has no label \"%.64s\": group, executable, queue or "
					"partition",
					label);
}

static void add_job(struct sim_trace *t, const int64_t v[COLUMNS], int64_t procs, enum column label)
{
	int64_t est = v[COL_ESTIMATE] > 0 ? v[COL_ESTIMATE] : v[COL_RUN];
	struct sim_job j = {
		.submit_ns = v[COL_SUBMIT],
		.run_ns = v[COL_RUN] < est ? v[COL_RUN] : est,
		.est_ns = est,
		.number = clamp_u32(v[COL_NUMBER]),
		.cpu_milli = (uint32_t)(procs * 1000),
		.user = clamp_u32(v[COL_USER]),
		.priority = clamp_priority(v[COL_QUEUE]),
	};

	struct sim_more more = { 0 };

	if (label < COLUMNS)
		more.label = sim_trace_label(t, clamp_u32(v[label]));
	sim_trace_add(t, &j, label < COLUMNS ? &more : NULL);
}

struct swf {
	struct sim_trace *t;
	struct lines *lines;
	int64_t max_procs, last;
	enum column label;
};

static void take_line(struct swf *s, const char *line, const char *end)
{
	struct sim_trace *t = s->t;
	int64_t v[COLUMNS], procs;
	enum sim_bad bad = scan(line, end, v);

	if (bad == SIM_BAD_COUNT && has_negative(v))
		bad = SIM_BAD_NEGATIVE;
	if (bad != SIM_BAD_COUNT) {
		sim_trace_count(t, bad, s->lines->number);
		return;
	}
	procs = v[COL_REQUESTED] > 0 ? v[COL_REQUESTED] : v[COL_ALLOCATED];
	if (v[COL_RUN] <= 0 || procs <= 0) {
		sim_trace_count(t, procs <= 0 ? SIM_DROP_CPUS : SIM_DROP_RUN, s->lines->number);
		return;
	}
	if (procs > s->max_procs) {
		sim_trace_count(t, SIM_BAD_LARGE, s->lines->number);
		procs = s->max_procs;
	}
	if (v[COL_SUBMIT] < s->last)
		sim_trace_count(t, SIM_BAD_ORDER, s->lines->number);
	else
		s->last = v[COL_SUBMIT];
	add_job(t, v, procs, s->label);
}

#define PROGRESS_EVERY (1 << 16)

static struct err *read_swf(struct lines *l, const struct sim_limits *limits, struct sim_trace *t)
{
	struct swf s = { .t = t, .lines = l, .max_procs = limits->cpu_milli / 1000 };
	char *line, *end;

	TRY(find_label(limits->label, &s.label));
	t->is_swf = true;
	for (;;) {
		TRY(lines_next(l, &line, &end));
		if (!line)
			return NULL;
		while (is_space(*line))
			line++;
		if (line >= end)
			continue;
		if (*line == ';') {
			read_header(t, line, end);
			continue;
		}
		if (!s.max_procs)
			s.max_procs = sim_trace_total(t) / 1000;
		if (!s.max_procs)
			return err_new(ERR_INVALID, "its header names no MaxProcs: say how large "
						    "the machine is, --nodes N --cpus N");
		take_line(&s, line, end);
		if (limits->progress && l->number % PROGRESS_EVERY == 0)
			limits->progress(limits->arg, l->number);
	}
}

const struct sim_format sim_format_swf = { .name = "SWF", .is_it = is_swf, .read = read_swf };
