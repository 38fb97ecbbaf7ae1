/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/read_int.h"
#include "util/mem.h"

/*
 * The event log of hosteld: what arrived, what was decided, what ended.
 *
 * Spec: docs/protocols.md, "Event log".
 */

#define MAGIC   "hostel-events "
#define VERSION 1
#define WORDS   16
/* Above it is no number of gpus: thousandths of them must not overflow. */
#define GPUS_MAX 1000000

struct open_job {
	struct sim_job job;
	struct sim_more more;
	int64_t arrival_ns, admitted_ns, started_ns;
	int64_t id;
	bool is_used;
};

struct log {
	struct sim_trace *t;
	int64_t now_ns;
	struct open_job *open; /* by id, open addressing; size a power of 2 */
	size_t size, used;
	uint64_t line;
};

static inline void own_log_release(struct log *g)
{
	free(g->open);
}

static bool is_log(const char *line, const char *end)
{
	return (size_t)(end - line) > strlen(MAGIC) && !memcmp(line, MAGIC, strlen(MAGIC));
}

/* ---- jobs that have not ended ---- */

static struct open_job *slot(struct open_job *open, size_t size, int64_t id)
{
	size_t i = (size_t)((uint64_t)id * 0x9e3779b97f4a7c15ULL >> 20) & (size - 1);

	while (open[i].is_used && open[i].id != id)
		i = (i + 1) & (size - 1);
	return &open[i];
}

static struct open_job *job_open(struct log *g, int64_t id)
{
	struct open_job *o;

	if (g->used * 2 >= g->size) {
		size_t size = g->size * 2 + 64 * !g->size;
		struct open_job *bigger = xcalloc(size, sizeof(*bigger));

		for (size_t i = 0; i < g->size; i++)
			if (g->open[i].is_used)
				*slot(bigger, size, g->open[i].id) = g->open[i];
		free(g->open);
		g->open = bigger;
		g->size = size;
	}
	o = slot(g->open, g->size, id);
	g->used += !o->is_used;
	*o = (struct open_job) { .id = id, .is_used = true };
	return o;
}

static struct open_job *job_find(struct log *g, int64_t id)
{
	struct open_job *o = g->size ? slot(g->open, g->size, id) : NULL;

	/* Ended jobs stay in their slots with arrival -1, so that probing goes past them. */
	return o && o->is_used && o->arrival_ns >= 0 ? o : NULL;
}

/* ---- records ---- */

/* "-": not declared, counts 0 */
static bool number(const char *word, int64_t *ret)
{
	const char *end;

	if (!strcmp(word, "-")) {
		*ret = 0;
		return true;
	}
	end = scan_decimal(word, 1, ret);
	return end && !*end;
}

static bool numbers(char **words, size_t n, int64_t *ret)
{
	for (size_t i = 0; i < n; i++)
		if (!number(words[i], &ret[i]))
			return false;
	return true;
}

static enum sim_bad take_total(struct log *g, char **w)
{
	int64_t v[5];

	if (!numbers(w, 5, v) || v[3] > GPUS_MAX)
		return SIM_BAD_NUMBER;
	g->t->hint = (struct sim_machine_hint) { .cpu_milli = v[0],
						 .memory_bytes = v[1],
						 .gpu_milli = v[3] * 1000 };
	return SIM_BAD_COUNT;
}

static enum sim_bad take_policy(struct log *g, char **w)
{
	str_set(&g->t->policy, w[0]);
	return SIM_BAD_COUNT;
}

static enum sim_bad take_arrival(struct log *g, char **w)
{
	struct open_job *o;
	int64_t v[9];

	if (!numbers(w, 9, v) || v[6] > GPUS_MAX || v[3] > UINT32_MAX)
		return SIM_BAD_NUMBER;
	for (int i = 0; i < 9; i++)
		if (v[i] < 0 && i != 2)
			return SIM_BAD_NEGATIVE;
	o = job_open(g, v[0]);
	o->arrival_ns = g->now_ns;
	o->admitted_ns = o->started_ns = -1;
	o->more = (struct sim_more) { .memory_bytes = v[4], .gpu_milli = v[6] * 1000 };
	o->job = (struct sim_job) {
		.submit_ns = g->now_ns,
		.number = (uint32_t)v[0],
		.user = (uint32_t)v[1],
		.priority = (int32_t)v[2],
		.cpu_milli = (uint32_t)v[3],
		.est_ns = v[8] ? v[8] : SIM_NEVER,
	};
	return SIM_BAD_COUNT;
}

static enum sim_bad take_mark(struct log *g, const char *word, char what)
{
	struct open_job *o;
	int64_t id;

	if (!number(word, &id))
		return SIM_BAD_NUMBER;
	o = job_find(g, id);
	/* It arrived before the log begins. */
	if (!o)
		return SIM_BAD_COUNT;
	if (what == 'D')
		o->admitted_ns = g->now_ns;
	else
		o->started_ns = g->now_ns;
	return SIM_BAD_COUNT;
}

static enum sim_bad take_admitted(struct log *g, char **w)
{
	return take_mark(g, w[0], 'D');
}

static enum sim_bad take_started(struct log *g, char **w)
{
	return take_mark(g, w[0], 'S');
}

static enum sim_bad take_end(struct log *g, char **w)
{
	struct open_job *o;
	int64_t id, from;

	if (!number(w[0], &id))
		return SIM_BAD_NUMBER;
	o = job_find(g, id);
	if (!o)
		return SIM_BAD_COUNT;
	from = o->started_ns >= 0 ? o->started_ns : o->admitted_ns;
	o->arrival_ns = -1;
	if (from < 0 || g->now_ns <= from)
		return SIM_DROP_RUN;
	o->job.run_ns = g->now_ns - from;
	if (o->job.est_ns != SIM_NEVER && o->job.run_ns > o->job.est_ns)
		o->job.est_ns = o->job.run_ns;
	sim_trace_add(g->t, &o->job, &o->more);
	return SIM_BAD_COUNT;
}

static enum sim_bad take_withdrawal(struct log *g, char **w)
{
	struct open_job *o;
	int64_t id;

	if (!number(w[0], &id))
		return SIM_BAD_NUMBER;
	o = job_find(g, id);
	if (!o)
		return SIM_BAD_COUNT;
	o->arrival_ns = -1;
	return SIM_DROP_RUN;
}

static const struct record {
	char letter;
	size_t words;
	enum sim_bad (*take)(struct log *g, char **words);
} records[] = {
	{ 'T', 5, take_total },      { 'P', 1, take_policy },  { 'A', 9, take_arrival },
	{ 'D', 1, take_admitted },   { 'S', 1, take_started }, { 'E', 1, take_end },
	{ 'W', 1, take_withdrawal },
};

static size_t split(char *line, char *end, char **words)
{
	size_t n = 0;

	*end = '\0';
	for (char *p = line; n < WORDS;) {
		p += strspn(p, " \t\r");
		if (!*p)
			break;
		words[n++] = p;
		p += strcspn(p, " \t\r");
		if (*p)
			*p++ = '\0';
	}
	return n;
}

/* Letters that this version does not know are passed over: later ones may add some. */
static enum sim_bad take_record(struct log *g, char *line, char *end)
{
	char *words[WORDS];
	size_t n = split(line, end, words);
	int64_t delta;

	if (!n)
		return SIM_BAD_COUNT;
	if (n < 2)
		return SIM_BAD_SHORT;
	if (!number(words[0], &delta) || words[1][1])
		return SIM_BAD_NUMBER;
	if (delta < 0 || g->now_ns + delta > SIM_TIME_MAX)
		return SIM_BAD_NEGATIVE;
	g->now_ns += delta;
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		if (records[i].letter == words[1][0])
			return n < records[i].words + 2 ? SIM_BAD_SHORT
							: records[i].take(g, words + 2);
	return SIM_BAD_COUNT;
}

static struct err *read_log(struct lines *l, const struct sim_limits *limits, struct sim_trace *t)
{
	OWN(log) struct log g = { .t = t };
	char *line, *end;
	int64_t version;

	TRY(lines_next(l, &line, &end));
	if (!scan_decimal(line + strlen(MAGIC), 1, &version) || version != VERSION)
		return err_new(ERR_UNSUPPORTED, "event log of another version than %d", VERSION);
	for (;;) {
		enum sim_bad bad;

		TRY(lines_next(l, &line, &end));
		if (!line)
			break;
		bad = take_record(&g, line, end);
		if (bad != SIM_BAD_COUNT)
			sim_trace_count(t, bad, l->number);
	}
	for (size_t i = 0; i < g.size; i++)
		if (g.open[i].is_used && g.open[i].arrival_ns >= 0)
			sim_trace_count(t, SIM_DROP_OPEN, l->number);
	return NULL;
}

const struct sim_format sim_format_log = { .name = "log", .is_it = is_log, .read = read_log };
