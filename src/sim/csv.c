/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/csv_int.h"
#include "util/hash.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * CSV of instances.  The first line names the columns, in any order; those that are not known are
 * passed over.  Cells may be quoted.
 *
 *	arrival cpu memory gpu duration user priority estimate
 *
 * Alibaba's lists of pods (openb_pod_list: cpu_milli, memory_mib, num_gpu, gpu_milli,
 *creation_time, scheduled_time, deletion_time) are of this kind: what ran from scheduled_time to
 *deletion_time arrived at creation_time.
 */

/* ---- cells ---- */

/* Ends the cell at *@at and unquotes it; *@at goes behind its comma, NULL at the end of the line.
 */
char *csv_cell(char **at, const char *end)
{
	char *p = *at, *cell = p, *to = p;
	bool quoted = p < end && *p == '"';

	for (p += quoted; p < end; p++) {
		if (quoted && *p == '"') {
			if (p + 1 < end && p[1] == '"')
				p++;
			else {
				quoted = false;
				continue;
			}
		} else if (!quoted && *p == ',') {
			break;
		}
		*to++ = *p;
	}
	*at = p < end ? p + 1 : NULL;
	while (to > cell && (to[-1] == ' ' || to[-1] == '\r' || to[-1] == '\t'))
		to--;
	*to = '\0';
	while (*cell == ' ' || *cell == '\t')
		cell++;
	return cell;
}

/* ---- columns ---- */

enum field {
	F_ARRIVAL,
	F_CPU,
	F_MEMORY,
	F_GPU,
	F_GPU_SHARE, /* thousandths of each gpu */
	F_DURATION,
	F_START,
	F_END,
	F_ESTIMATE,
	F_USER,
	F_PRIORITY,
	FIELDS,
};

/* How the text of a cell becomes a number. */
enum unit { U_TIME, U_MILLI, U_BYTES, U_MIB, U_WHOLE, U_TEXT };

static const struct column {
	const char *name;
	enum field field;
	enum unit unit;
} columns[] = {
	{ "arrival", F_ARRIVAL, U_TIME },
	{ "arrival_time", F_ARRIVAL, U_TIME },
	{ "submit", F_ARRIVAL, U_TIME },
	{ "submit_time", F_ARRIVAL, U_TIME },
	{ "creation_time", F_ARRIVAL, U_TIME },
	{ "cpu", F_CPU, U_MILLI },
	{ "cpus", F_CPU, U_MILLI },
	{ "cpu_milli", F_CPU, U_WHOLE },
	{ "memory", F_MEMORY, U_BYTES },
	{ "memory_bytes", F_MEMORY, U_WHOLE },
	{ "memory_mib", F_MEMORY, U_MIB },
	{ "gpu", F_GPU, U_MILLI },
	{ "gpus", F_GPU, U_MILLI },
	{ "num_gpu", F_GPU, U_MILLI },
	{ "gpu_milli", F_GPU_SHARE, U_WHOLE },
	{ "duration", F_DURATION, U_TIME },
	{ "run_time", F_DURATION, U_TIME },
	{ "scheduled_time", F_START, U_TIME },
	{ "deletion_time", F_END, U_TIME },
	{ "estimate", F_ESTIMATE, U_TIME },
	{ "expect", F_ESTIMATE, U_TIME },
	{ "user", F_USER, U_TEXT },
	{ "priority", F_PRIORITY, U_WHOLE },
};

static const struct column *column_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (!strcasecmp(columns[i].name, name))
			return &columns[i];
	return NULL;
}

/* Text to number; 1: fine, 0: empty, -1: no number. */
static int cell_number(const char *text, enum unit unit, int64_t *ret)
{
	static const int64_t scales[] = { [U_TIME] = SIM_SECOND, [U_MILLI] = 1000, [U_BYTES] = 1,
					  [U_MIB] = 1 << 20,     [U_WHOLE] = 1,    [U_TEXT] = 1 };
	const char *end;
	struct err *e;

	if (!*text)
		return 0;
	end = scan_decimal(text, scales[unit], ret);
	if (end && !*end)
		return 1;
	if (unit != U_TIME && unit != U_BYTES)
		return -1;
	/* With a unit: 10s, 512m */
	e = unit == U_TIME ? num_parse_duration(text, ret) : num_parse_bytes(text, ret);
	if (e || *ret > SIM_TIME_MAX) {
		err_free(e);
		return -1;
	}
	return 1;
}

/* ---- users ---- */

/* Names to numbers in order of appearance; open addressing, size a power of 2. */
struct users {
	char **names;
	uint32_t *ids;
	size_t size;
	uint32_t n;
};

static void users_done(struct users *u)
{
	for (size_t i = 0; i < u->size; i++)
		free(u->names[i]);
	free(u->names);
	free(u->ids);
}

static inline void own_users_release(struct users *u)
{
	users_done(u);
}

static size_t slot_of(const struct users *u, const char *name)
{
	uint64_t h = hash_text(HASH_START, name);
	size_t i;

	for (i = h & (u->size - 1); u->names[i] && strcmp(u->names[i], name);)
		i = (i + 1) & (u->size - 1);
	return i;
}

static void users_grow(struct users *u)
{
	struct users bigger = { .size = u->size * 2 + 64 * !u->size, .n = u->n };

	bigger.names = xcalloc(bigger.size, sizeof(*bigger.names));
	bigger.ids = xcalloc(bigger.size, sizeof(*bigger.ids));
	for (size_t i = 0; i < u->size; i++)
		if (u->names[i]) {
			size_t to = slot_of(&bigger, u->names[i]);

			bigger.names[to] = u->names[i];
			bigger.ids[to] = u->ids[i];
		}
	free(u->names);
	free(u->ids);
	*u = bigger;
}

static uint32_t user_id(struct users *u, const char *name)
{
	size_t at;

	if (u->n * 2 >= u->size)
		users_grow(u);
	at = slot_of(u, name);
	if (!u->names[at]) {
		u->names[at] = xstrdup(name);
		u->ids[at] = u->n++;
	}
	return u->ids[at];
}

/* ---- rows ---- */

#define CSV_COLUMNS_MAX 256

struct csv {
	const struct column *column[CSV_COLUMNS_MAX]; /* NULL: passed over */
	size_t n;
	bool has[FIELDS];
	struct users users, labels;
	size_t label; /* column; SIZE_MAX: none */
	const struct sim_limits *limits;
	struct sim_trace *t;
	int64_t last;
};

static inline void own_csv_release(struct csv *c)
{
	users_done(&c->users);
	users_done(&c->labels);
}

struct row {
	int64_t v[FIELDS];
	bool has[FIELDS];
	uint32_t user, label;
};

static void read_names(struct csv *c, char *line, char *end)
{
	c->label = SIZE_MAX;
	for (char *at = line; at && c->n < CSV_COLUMNS_MAX; c->n++) {
		const char *name = csv_cell(&at, end);
		const struct column *k = column_find(name);

		if (c->limits->label && !strcasecmp(name, c->limits->label))
			c->label = c->n;
		c->column[c->n] = k;
		if (k)
			c->has[k->field] = true;
	}
}

/* Cells to numbers; SIM_BAD_COUNT: well formed. */
static enum sim_bad read_cells(struct csv *c, char *line, char *end, struct row *r)
{
	char *at = line;

	for (size_t i = 0; i < c->n; i++) {
		const struct column *k = c->column[i];
		char *text;
		int has;

		if (!at)
			return SIM_BAD_SHORT;
		text = csv_cell(&at, end);
		if (i == c->label)
			r->label = user_id(&c->labels, text);
		if (!k)
			continue;
		if (k->unit == U_TEXT) {
			r->user = user_id(&c->users, text);
			continue;
		}
		has = cell_number(text, k->unit, &r->v[k->field]);
		if (has < 0)
			return SIM_BAD_NUMBER;
		if (has && r->v[k->field] < 0 && k->field != F_PRIORITY)
			return SIM_BAD_NEGATIVE;
		r->has[k->field] = has;
	}
	return r->has[F_ARRIVAL] ? SIM_BAD_COUNT : SIM_BAD_NUMBER;
}

/* Run time of a row; 0: none, -1: has not ended */
static int64_t run_of(const struct row *r)
{
	if (r->has[F_DURATION])
		return r->v[F_DURATION];
	if (!r->has[F_END])
		return -1;
	return r->v[F_END] - (r->has[F_START] ? r->v[F_START] : r->v[F_ARRIVAL]);
}

static bool is_too_large(const struct sim_limits *l, const struct sim_job *j,
			 const struct sim_more *m)
{
	return (l->node_cpu_milli && j->cpu_milli > l->node_cpu_milli) ||
	       (l->node_memory_bytes && m->memory_bytes > l->node_memory_bytes) ||
	       (l->node_cpu_milli && m->gpu_milli > l->node_gpu_milli);
}

static int64_t gpus_of(const struct row *r)
{
	int64_t share = r->has[F_GPU_SHARE] ? r->v[F_GPU_SHARE] : 1000, n;

	/* gpu_milli alone is a share of one. */
	if (!r->has[F_GPU])
		return r->has[F_GPU_SHARE] ? share : 0;
	if (share > 1000 || share <= 0)
		share = 1000;
	return __builtin_mul_overflow(r->v[F_GPU], share, &n) ? INT64_MAX / 2 : n / 1000;
}

/* What keeps a row from being a job; SIM_BAD_COUNT: nothing */
static enum sim_bad check_row(const struct csv *c, const struct row *r, int64_t run,
			      const struct sim_job *j, const struct sim_more *m)
{
	if (run < 0 && !r->has[F_DURATION] && !r->has[F_END])
		return SIM_DROP_OPEN;
	if (run <= 0)
		return SIM_DROP_RUN;
	if (!j->cpu_milli && !m->memory_bytes && !m->gpu_milli)
		return SIM_DROP_CPUS;
	return SIM_BAD_COUNT;
}

static void read_row(struct csv *c, char *line, char *end, uint64_t number)
{
	struct row r = { 0 };
	enum sim_bad bad = read_cells(c, line, end, &r);
	int64_t run = bad == SIM_BAD_COUNT ? run_of(&r) : 0;
	int64_t est = r.has[F_ESTIMATE] && r.v[F_ESTIMATE] > 0 ? r.v[F_ESTIMATE] : run;
	struct sim_more more = { .memory_bytes = r.v[F_MEMORY],
				 .gpu_milli = gpus_of(&r),
				 .label = r.label };
	struct sim_job j = {
		.submit_ns = r.v[F_ARRIVAL],
		.run_ns = run < est ? run : est,
		.est_ns = est,
		.number = (uint32_t)(c->t->n + 1),
		.cpu_milli = r.v[F_CPU] > UINT32_MAX ? UINT32_MAX : (uint32_t)r.v[F_CPU],
		.user = r.user,
		.priority = (int32_t)(r.v[F_PRIORITY] > INT32_MAX   ? INT32_MAX
				      : r.v[F_PRIORITY] < INT32_MIN ? INT32_MIN
								    : r.v[F_PRIORITY]),
	};

	if (bad == SIM_BAD_COUNT)
		bad = check_row(c, &r, run, &j, &more);
	if (bad == SIM_BAD_COUNT && is_too_large(c->limits, &j, &more)) {
		bad = SIM_BAD_LARGE;
		c->t->dropped++;
	}
	if (bad != SIM_BAD_COUNT) {
		sim_trace_count(c->t, bad, number);
		return;
	}
	if (j.submit_ns < c->last)
		sim_trace_count(c->t, SIM_BAD_ORDER, number);
	else
		c->last = j.submit_ns;
	sim_trace_add(c->t, &j, &more);
}

static bool is_csv(const char *line, const char *end)
{
	/* Not as a string: a line may hold NULs. */
	OWN(mem) char *copy = xcalloc(1, (size_t)(end - line) + 1);
	const char *stop = copy + (end - line);
	char *at = copy;
	size_t known = 0;

	memcpy(copy, line, (size_t)(end - line));
	while (at)
		known += column_find(csv_cell(&at, stop)) != NULL;
	return known >= 2;
}

static struct err *check_names(const struct csv *c)
{
	if (!c->has[F_ARRIVAL])
		return err_new(ERR_CORRUPT, "CSV without a column \"arrival\"");
	if (!c->has[F_DURATION] && !c->has[F_END])
		return err_new(ERR_CORRUPT, "CSV without a column \"duration\"");
	if (!c->has[F_CPU] && !c->has[F_MEMORY])
		return err_new(ERR_CORRUPT, "CSV without a column \"cpu\"");
	if (c->limits->label && c->label == SIZE_MAX)
		return err_new(ERR_INVALID, "CSV without a column \"%.64s\"", c->limits->label);
	return NULL;
}

static struct err *read_csv(struct lines *l, const struct sim_limits *limits, struct sim_trace *t)
{
	OWN(csv) struct csv c = { .limits = limits, .t = t };
	char *line, *end;

	if (!limits->cpu_milli)
		return err_new(ERR_INVALID,
			       "say how large the machine is: --nodes N --cpus N --memory N, "
			       "or --nodes LIST.csv");
	TRY(lines_next(l, &line, &end));
	read_names(&c, line, end);
	TRY(check_names(&c));
	for (;;) {
		TRY(lines_next(l, &line, &end));
		if (!line)
			break;
		if (line == end || (*line == '\r' && line + 1 == end))
			continue;
		read_row(&c, line, end, l->number);
		if (limits->progress && l->number % 65536 == 0)
			limits->progress(limits->arg, l->number);
	}
	return NULL;
}

const struct sim_format sim_format_csv = { .name = "CSV", .is_it = is_csv, .read = read_csv };
