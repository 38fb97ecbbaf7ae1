/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/history.h"
#include "cli/table.h"
#include "sim/load.h"
#include "sim/nodes.h"
#include "sim/report.h"
#include "sim/run.h"
#include "sim/svg.h"
#include "unz/unz.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

/*
 * hostel simulate: what-if on a trace, with no hosteld and no rights.
 */

#define POLICIES_MAX 32
#define NO_LIMIT     (1LL << 60) /* of memory, where a node's is not told */
#define GANTT_SLICES 4000000

static const struct opt rows[] = {
	{ "nodes", 0, OPT_TEXT, "N|FILE", "Machines, or a CSV list of them (default: of the trace)",
	  .what = WHAT_FILE },
	{ "cpus", 0, OPT_NANO, "N", "Cpus of each (1)" },
	{ "memory", 'm', OPT_BYTES, "SIZE", "Memory of each (no limit)" },
	{ "gpus", 0, OPT_INT, "N", "Gpus of each (0)" },
	{ "policy", 'p', OPT_TEXT, "LIST", "Allocation policies to compare, ORDER[/FILL] (easy)" },
	{ "info", 0, OPT_TEXT, "WHAT", "Run times that the planner knows: est, act, tsafrir (est)",
	  .choices = "est act tsafrir" },
	{ "events", 0, OPT_TEXT, "HOW", "At one instant: batch, or one by one: seq (batch)",
	  .choices = "batch seq" },
	{ "schedule", 0, OPT_TEXT, "WHICH", "Who runs of those admitted (fcfs)",
	  .choices = "fcfs rr srtf priority mlfq fair" },
	{ "quantum", 0, OPT_DURATION, "TIME", "Time slice of rr and mlfq (100ms)" },
	{ "overcommit", 0, OPT_TEXT, "cpu=N",
	  "Admit N times the cpus that there are (1; when they are sliced: no limit)" },
	{ "placement", 0, OPT_TEXT, "WHICH", "Which machine an instance goes to (best-fit)",
	  .choices = "first-fit best-fit worst-fit dot-product least-loaded" },
	{ "max-wait", 0, OPT_DURATION, "TIME", "After it nothing passes a waiting job (never)" },
	{ "aging", 0, OPT_DURATION, "TIME",
	  "Waiting so long is worth one step of priority (none)" },
	{ "age", 0, OPT_DURATION, "TIME",
	  "Schedule priority: ready so long is worth one step (that of --aging)" },
	{ "boost", 0, OPT_DURATION, "TIME",
	  "Schedule mlfq: so often all go back to the first level (never)" },
	{ "turn", 0, OPT_DURATION, "TIME", "rr: an allocation lasts so long while others wait" },
	{ "format", 0, OPT_TEXT, "FORMAT", "table, json or csv (table)",
	  .choices = "table json csv" },
	{ "jobs", 0, OPT_TEXT, "FILE", "Write the jobs as they ran, as SWF", .what = WHAT_FILE },
	{ "gantt", 0, OPT_TEXT, "FILE", "Write a chart of who ran when, as SVG",
	  .what = WHAT_FILE },
	{ "plot", 0, OPT_TEXT, "FILE", "Write wait-time curves, as SVG", .what = WHAT_FILE },
	{ "seed", 0, OPT_INT, "N", "Of a synthetic load (1)" },
	{ "strict", 0, OPT_FLAG, NULL, "Refuse a trace with bad lines" },
	{ "from-log", 0, OPT_TEXT, "FILE", "Replay an event log of hosteld instead of a trace",
	  .what = WHAT_FILE },
	{ "what-if", 0, OPT_TEXT, "LIST",
	  "This host's own history under these policies, beside what was recorded" },
	{ "root", 0, OPT_TEXT, "DIR", "what-if: hosteld's folder (that of the hosteld here)",
	  .what = WHAT_FILE },
	{ "check-log", 0, OPT_TEXT, "FILE",
	  "Are the decisions in an event log those that its events lead to?", .what = WHAT_FILE },
};
const struct opt_table simulate_options = OPT_TABLE(rows);

struct simulation {
	const struct args *args;
	struct sim_trace trace;
	struct amounts node, *list; /* each of n_nodes is @node, or @list says */
	size_t n_nodes;
	struct sim_config config;
	char *policies[POLICIES_MAX];
	size_t n_policies;
	struct sim_run runs[POLICIES_MAX];
	struct sim_curve *curves;
	int64_t read_ns;
};

static void simulation_done(struct simulation *s)
{
	sim_trace_done(&s->trace);
	free(s->list);
	for (size_t i = 0; i < s->n_policies; i++) {
		free(s->policies[i]);
		sim_run_done(&s->runs[i]);
	}
	free(s->curves);
}

static inline void own_simulation_release(struct simulation *s)
{
	simulation_done(s);
}

/* ---- progress: one line on a terminal, renewed ---- */

struct meter {
	const char *what;
	int64_t begin_ns, shown_ns;
	bool is_on;
};

static void meter_start(struct meter *m, const char *what)
{
	*m = (struct meter) { .what = what, .begin_ns = clock_boot_ns(), .is_on = isatty(2) };
}

static void meter_show(void *arg, uint64_t done, uint64_t total)
{
	struct meter *m = arg;
	int64_t now = m->is_on ? clock_boot_ns() : 0;
	char bar[25];
	int full;

	/* Nothing for what is over in a second. */
	if (!m->is_on || now - m->begin_ns < 1000000000 || now - m->shown_ns < 200000000)
		return;
	m->shown_ns = now;
	full = total ? (int)(done * 24 / total) : 0;
	for (int i = 0; i < 24; i++)
		bar[i] = i < full ? '=' : i == full ? '>' : ' ';
	bar[24] = '\0';
	fprintf(stderr, "\r\033[K%s [%s] %" PRIu64 " jobs, %.0f jobs/s", m->what, bar, done,
		(double)done * 1e9 / (double)(now - m->begin_ns));
}

static void meter_lines(void *arg, uint64_t lines)
{
	meter_show(arg, lines, 0);
}

static void meter_end(struct meter *m)
{
	if (m->shown_ns)
		fprintf(stderr, "\r\033[K");
}

/* ---- the machine ---- */

struct reader {
	struct err *(*fn)(struct reader *r, struct source in);
	struct simulation *s;
	struct meter meter;
	uint64_t bytes; /* of a plain file */
};

static struct err *read_file(const char *path, struct reader *r)
{
	OWN(fd) int fd = streq(path, "-") ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
	OWN(unz) struct unz *u = NULL;
	struct stat st;

	if (fd < 0)
		return err_sys(errno, "%s", path);
	TRY_MSG(unz_new(source_fd(&fd), &u), "%s", path);
	if (unz_kind(u) == UNZ_PLAIN && !fstat(fd, &st) && S_ISREG(st.st_mode))
		r->bytes = (uint64_t)st.st_size;
	TRY_MSG(r->fn(r, unz_source(u)), "%s", path);
	return NULL;
}

static struct err *take_nodes(struct reader *r, struct source in)
{
	return sim_nodes_read(in, &r->s->list, &r->s->n_nodes);
}

static struct err *machine_read(struct simulation *s)
{
	const char *nodes = args_text(s->args, "nodes"), *cpus = args_text(s->args, "cpus");
	const char *memory = args_text(s->args, "memory");
	int64_t n = 1, milli = 1000, bytes = NO_LIMIT;

	if (nodes && strspn(nodes, "0123456789") != strlen(nodes))
		return read_file(nodes, &(struct reader) { .fn = take_nodes, .s = s });
	if (nodes)
		TRY_MSG(num_parse_i64(nodes, 1, 1000000, &n), "--nodes");
	if (cpus)
		TRY(num_parse_milli(cpus, &milli));
	if (memory)
		TRY(num_parse_bytes(memory, &bytes));
	if (milli <= 0 || milli > UINT32_MAX)
		return err_new(ERR_INVALID, "--cpus: more than 0, at most %u", UINT32_MAX / 1000);
	s->node.v[RES_CPU] = milli;
	s->node.v[RES_MEMORY] = bytes;
	s->node.v[RES_GPUS] = args_int(s->args, "gpus", 0) * 1000;
	s->n_nodes = nodes || cpus ? (size_t)n : 0;
	return NULL;
}

static struct amounts node_at(const struct simulation *s, size_t i)
{
	return s->list ? s->list[i] : s->node;
}

static struct amounts machine_sum(const struct simulation *s)
{
	struct amounts sum = { 0 };

	for (size_t i = 0; i < s->n_nodes; i++) {
		struct amounts node = node_at(s, i);

		for (int r = 0; r < RES_COUNT; r++)
			sum.v[r] =
			    sum.v[r] + node.v[r] > NO_LIMIT ? NO_LIMIT : sum.v[r] + node.v[r];
	}
	return sum;
}

static struct sim_limits limits_of(const struct simulation *s)
{
	struct sim_limits l = { .cpu_milli = machine_sum(s).v[RES_CPU] };

	for (size_t i = 0; i < s->n_nodes; i++) {
		struct amounts node = node_at(s, i);

		if (node.v[RES_CPU] > l.node_cpu_milli)
			l.node_cpu_milli = node.v[RES_CPU];
		if (node.v[RES_MEMORY] > l.node_memory_bytes)
			l.node_memory_bytes = node.v[RES_MEMORY];
		if (node.v[RES_GPUS] > l.node_gpu_milli)
			l.node_gpu_milli = node.v[RES_GPUS];
	}
	return l;
}

/* ---- the trace ---- */

static struct err *take_trace(struct reader *r, struct source in)
{
	struct sim_limits limits = limits_of(r->s);
	const char *policies = args_text(r->s->args, "policy");
	OWN(mem) char *label = NULL;

	if (policies)
		TRY(sim_label_of(policies, &label));
	limits.label = label;
	limits.bytes = r->bytes;
	limits.progress = meter_lines;
	limits.arg = &r->meter;
	return sim_trace_read(in, &limits, &r->s->trace);
}

static void tell_bad(const struct sim_trace *t)
{
	for (int b = 0; b < SIM_BAD_COUNT; b++)
		if (t->bad[b].count)
			fprintf(stderr, "hostel: %" PRIu64 " line%s, first %" PRIu64 ": %s\n",
				t->bad[b].count, t->bad[b].count == 1 ? "" : "s",
				t->bad[b].first_line, sim_bad_text((enum sim_bad)b));
}

static struct err *trace_read(struct simulation *s)
{
	const char *log = args_text(s->args, "from-log");
	const char *name = log ? log : s->args->n_rest ? s->args->rest[0] : NULL;
	int64_t begin = clock_boot_ns(), seed = args_int(s->args, "seed", 1);
	struct reader r = { .fn = take_trace, .s = s };
	struct err *e;

	if (!name)
		return err_new(ERR_INVALID, "which trace? (see hostel simulate --help)");
	if (log && s->args->n_rest)
		return err_new(ERR_INVALID, "either a trace or --from-log");
	if (!log && sim_load_is(name)) {
		TRY(sim_load_make(name, (uint64_t)seed, &s->trace));
	} else {
		meter_start(&r.meter, "reading");
		e = read_file(name, &r);
		meter_end(&r.meter);
		TRY(e);
		if (args_flag(s->args, "strict"))
			TRY_MSG(sim_trace_strict(&s->trace), "%s", name);
		tell_bad(&s->trace);
	}
	s->read_ns = clock_boot_ns() - begin;
	return NULL;
}

/* What was not told is taken from the trace. */
static struct err *machine_settle(struct simulation *s)
{
	const struct sim_trace *t = &s->trace;
	int64_t cpus = sim_trace_total(t);

	if (!s->n_nodes) {
		s->n_nodes = 1;
		s->node.v[RES_CPU] = cpus ? cpus : 1000;
		if (t->hint.cpu_milli) {
			s->node.v[RES_MEMORY] = t->hint.memory_bytes;
			s->node.v[RES_GPUS] = t->hint.gpu_milli;
		}
	}
	s->config.pool = machine_sum(s);
	for (size_t i = 0; i < t->n; i++)
		if (t->jobs[i].cpu_milli > s->config.pool.v[RES_CPU])
			return err_new(ERR_INVALID, "job %u asks for %g cpus, the machine has %g",
				       t->jobs[i].number, (double)t->jobs[i].cpu_milli / 1000,
				       (double)s->config.pool.v[RES_CPU] / 1000);
	/* SWF's processors come from anywhere; an instance lives on one node. */
	if (s->n_nodes < 2 || t->is_swf || !t->lines)
		return NULL;
	if (!s->list) {
		s->list = xcalloc(s->n_nodes, sizeof(*s->list));
		for (size_t i = 0; i < s->n_nodes; i++)
			s->list[i] = s->node;
	}
	s->config.nodes = s->list;
	s->config.n_nodes = s->n_nodes;
	return NULL;
}

/* ---- what to do with it ---- */

static size_t choice(const char *const *names, size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (streq(names[i], value))
			return i;
	return 0;
}

static int64_t duration(const struct args *a, const char *name, int64_t fallback)
{
	const char *text = args_text(a, name);
	OWN(err) struct err *e = text ? num_parse_duration(text, &fallback) : NULL;

	return fallback;
}

static struct err *config_read(struct simulation *s)
{
	static const char *const infos[] = { "est", "act", "tsafrir" };
	static const char *const places[] = { "first-fit", "best-fit", "worst-fit", "dot-product",
					      "least-loaded" };
	const struct args *a = s->args;
	const char *place = args_text(a, "placement"), *over = args_text(a, "overcommit");
	const char *schedule = args_text(a, "schedule");
	int64_t milli = schedule && !streq(schedule, "fcfs") ? 1000000000 : 1000;

	if (over && (strncmp(over, "cpu=", 4) || !strchr(over, '=')))
		return err_new(ERR_INVALID, "--overcommit: cpu=N; only cpus can be shared");
	if (over)
		TRY_MSG(num_parse_milli(over + 4, &milli), "--overcommit");
	if (milli < 1000)
		return err_new(ERR_INVALID, "--overcommit: at least 1");
	s->config = (struct sim_config) {
		.info = (enum sim_info)choice(infos, ARRAY_SIZE(infos), args_text(a, "info")),
		.seq = streq(args_text(a, "events"), "seq"),
		.schedule = schedule,
		.quantum_ns = duration(a, "quantum", 100000000),
		.overcommit = (double)milli / 1000,
		.place = place ? (enum alloc_place)choice(places, ARRAY_SIZE(places), place)
			       : PLACE_BEST_FIT,
		.max_wait_ns = duration(a, "max-wait", 0),
		.aging_ns = duration(a, "aging", 0),
		.age_ns = duration(a, "age", duration(a, "aging", 0)),
		.boost_ns = duration(a, "boost", 0),
		.turn_ns = duration(a, "turn", 0),
		.slices_max = args_has(a, "gantt") ? GANTT_SLICES : 0,
	};
	if (s->config.quantum_ns <= 0)
		return err_new(ERR_INVALID, "--quantum: more than 0");
	return NULL;
}

static struct err *policies_read(struct simulation *s)
{
	const char *list = args_text(s->args, "policy");
	OWN(mem) char *copy = xstrdup(list ? list : s->trace.policy ? s->trace.policy : "easy");
	char *save = NULL;

	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
		if (s->n_policies == POLICIES_MAX)
			return err_new(ERR_INVALID, "--policy: at most %d", POLICIES_MAX);
		TRY(alloc_policy_check(p));
		s->policies[s->n_policies++] = xstrdup(p);
	}
	if (!s->n_policies)
		return err_new(ERR_INVALID, "--policy: which?");
	if (s->n_policies > 1 && (args_has(s->args, "jobs") || args_has(s->args, "gantt")))
		return err_new(ERR_INVALID, "--jobs and --gantt show one --policy");
	return NULL;
}

/* ---- results ---- */

static struct err *to_file(const char *path, void (*print)(FILE *out, const struct simulation *s),
			   const struct simulation *s)
{
	FILE *out = streq(path, "-") ? stdout : fopen(path, "we");
	bool failed;

	if (!out)
		return err_sys(errno, "%s", path);
	print(out, s);
	failed = fflush(out) || ferror(out);
	if (out != stdout)
		failed |= fclose(out) != 0;
	return failed ? err_new(ERR_LIMIT, "%s: write failed", path) : NULL;
}

static void print_jobs(FILE *out, const struct simulation *s)
{
	sim_report_swf(out, &s->trace, &s->runs[0].result);
}

static void print_gantt(FILE *out, const struct simulation *s)
{
	sim_svg_gantt(out, &s->trace, &s->runs[0], s->config.pool.v[RES_CPU]);
}

static void print_plot(FILE *out, const struct simulation *s)
{
	sim_svg_plot(out, s->curves, s->n_policies);
}

static struct err *write_files(const struct simulation *s)
{
	static const struct {
		const char *option;
		void (*print)(FILE *out, const struct simulation *s);
	} files[] = { { "jobs", print_jobs }, { "gantt", print_gantt }, { "plot", print_plot } };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *path = args_text(s->args, files[i].option);

		if (path)
			TRY(to_file(path, files[i].print, s));
	}
	return NULL;
}

/* The columns of the comparison; the best of each is marked. */
static const struct column {
	const char *heading;
	size_t offset;
	bool is_time, more_is_better;
} columns[] = {
	{ "MEAN WAIT", offsetof(struct sim_result, wait_s.mean), true },
	{ "MEDIAN", offsetof(struct sim_result, wait_s.median), true },
	{ "P95", offsetof(struct sim_result, wait_s.p95), true },
	{ "MAX", offsetof(struct sim_result, wait_s.max), true },
	{ "SLOWDOWN", offsetof(struct sim_result, bounded_slowdown.mean) },
	{ "MAKESPAN", offsetof(struct sim_result, makespan_s), true },
	{ "BUSY %", offsetof(struct sim_result, utilisation), .more_is_better = true },
	{ "FAIRNESS", offsetof(struct sim_result, jain), .more_is_better = true },
};

static double value_of(const struct simulation *s, size_t policy, const struct column *c)
{
	return *(const double *)((const char *)&s->runs[policy].result + c->offset);
}

static double best_of(const struct simulation *s, const struct column *c)
{
	double best = value_of(s, 0, c);

	for (size_t i = 1; i < s->n_policies; i++) {
		double v = value_of(s, i, c);

		if (c->more_is_better ? v > best : v < best)
			best = v;
	}
	return best;
}

static const char *time_text(double s, char *buf)
{
	static const struct {
		double from, size;
		const char *unit;
	} units[] = { { 2 * 86400, 86400, "d" }, { 2 * 3600, 3600, "h" }, { 120, 60, "min" } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (s >= units[i].from) {
			snprintf(buf, 32, "%.2f %s", s / units[i].size, units[i].unit);
			return buf;
		}
	snprintf(buf, 32, "%.4g s", s);
	return buf;
}

static void table_value(struct table *t, const struct simulation *s, size_t policy,
			const struct column *c)
{
	double v = value_of(s, policy, c);
	const char *mark = s->n_policies > 1 && v == best_of(s, c) ? "*" : "";
	char buf[32];

	if (c->is_time)
		table_cell(t, "%s%s", time_text(v, buf), mark);
	else
		table_cell(
		    t,
		    c->more_is_better && c->offset != offsetof(struct sim_result, jain) ? "%.2f%s"
											: "%.4g%s",
		    c->offset == offsetof(struct sim_result, utilisation) ? v * 100 : v, mark);
}

static void print_table(const struct simulation *s)
{
	const char *headings[ARRAY_SIZE(columns) + 2] = { "POLICY" };
	OWN(table) struct table *t = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		headings[i + 1] = columns[i].heading;
	t = table_new(headings);
	for (size_t i = 0; i < s->n_policies; i++) {
		table_cell(t, "%s", s->policies[i]);
		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			table_value(t, s, i, &columns[k]);
	}
	table_print(t, stdout);
	printf("%zu jobs, %" PRIu64 " left out, %g cpus%s\n", s->trace.n, s->trace.dropped,
	       (double)s->config.pool.v[RES_CPU] / 1000, s->n_policies > 1 ? "; * best" : "");
}

static void print_results(const struct simulation *s)
{
	const char *format = args_text(s->args, "format");
	struct sim_result results[POLICIES_MAX];

	for (size_t i = 0; i < s->n_policies; i++)
		results[i] = s->runs[i].result;
	if (streq(format, "json"))
		sim_report_json(stdout, &s->trace, results, s->n_policies);
	else if (streq(format, "csv"))
		sim_report_csv(stdout, &s->trace, results, s->n_policies);
	else
		print_table(s);
}

static struct err *run_one(struct simulation *s, size_t i)
{
	struct meter meter;
	int64_t begin;
	struct err *e;

	meter_start(&meter, s->policies[i]);
	begin = meter.begin_ns;
	s->config.policy = s->policies[i];
	s->config.progress = meter_show;
	s->config.arg = &meter;
	e = sim_run(&s->trace, &s->config, &s->runs[i]);
	meter_end(&meter);
	TRY_MSG(e, "%s", s->policies[i]);
	s->runs[i].result.elapsed_s = (double)(clock_boot_ns() - begin) / 1e9;
	s->runs[i].result.read_s = (double)s->read_ns / 1e9;
	if (s->curves)
		sim_curve_fill(&s->curves[i], &s->trace, s->policies[i]);
	return NULL;
}

struct err *cmd_simulate(struct cli *c, const struct args *a)
{
	OWN(simulation) struct simulation s = { .args = a };

	if (args_has(a, "check-log") || args_has(a, "what-if"))
		return history_look(c, a);
	TRY(config_read(&s));
	TRY(machine_read(&s));
	TRY(trace_read(&s));
	TRY(machine_settle(&s));
	TRY(policies_read(&s));
	if (args_has(a, "plot"))
		s.curves = xcalloc(s.n_policies, sizeof(*s.curves));
	for (size_t i = 0; i < s.n_policies; i++)
		TRY(run_one(&s, i));
	TRY(write_files(&s));
	print_results(&s);
	return NULL;
}
