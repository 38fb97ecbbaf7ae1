/* SPDX-License-Identifier: Apache-2.0 */
/* What hosteld recorded: are its decisions those that its events lead to; what if another policy.
 */
#include "cli/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "sched/alloc.h"
#include "sim/replay.h"
#include "sim/report.h"
#include "sim/run.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define DEFAULT_ROOT "/var/lib/hostel"
#define POLICIES_MAX 32

#define MODELLED                                                                                   \
	"the host's own use, quotas, drains, holds, moves; a paused instance keeps what it holds"
#define NOT_MODELLED                                                                               \
	"disk, pids and M, changes of capacity and of policy, deadlines and max-waits of single "  \
	"instances, time slicing"

/* ---- a log, and the one before it, as one ---- */

struct logs {
	int fds[2]; /* oldest first; -1: read to its end, or not there */
	char *paths[2];
	bool is_apart; /* a newline stands between the two */
};

static void own_logs_release(struct logs *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->fds); i++) {
		if (l->fds[i] >= 0)
			close(l->fds[i]);
		free(l->paths[i]);
	}
}

static struct err *logs_open(const char *path, struct logs *ret)
{
	ret->paths[0] = xasprintf("%s.1", path);
	ret->paths[1] = xstrdup(path);
	for (size_t i = 0; i < ARRAY_SIZE(ret->fds); i++)
		ret->fds[i] = open(ret->paths[i], O_RDONLY | O_CLOEXEC);
	/* Where the one before is not there, all that there is begins here. */
	ret->is_apart = ret->fds[0] < 0;
	return ret->fds[1] < 0 ? err_sys(errno, "%s", path) : NULL;
}

static struct err *logs_read(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct logs *l = arg;

	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(l->fds); i++) {
		ssize_t n = l->fds[i] >= 0 ? read(l->fds[i], buf, size) : 0;

		if (n < 0)
			return err_sys(errno, "%s", l->paths[i]);
		if (n > 0) {
			*ret_n = (size_t)n;
			return NULL;
		}
		if (l->fds[i] >= 0)
			close(TAKE_FD(l->fds[i]));
		if (!l->is_apart) {
			l->is_apart = true;
			*(char *)buf = '\n';
			*ret_n = 1;
			return NULL;
		}
	}
	return NULL;
}

/* ---- the decisions ---- */

static void print_difference(const struct sim_replay *r, const char *path)
{
	printf(", \"difference\": ");
	if (r->difference)
		printf("{\"file\": \"%s\", \"line\": %" PRIu64 ", \"text\": \"%s\"}", path, r->line,
		       r->difference);
	else
		printf("null");
}

static struct err *check_log(struct cli *c, const struct args *a)
{
	const char *path = args_text(a, "check-log");
	OWN(logs) struct logs l = { .fds = { -1, -1 } };
	OWN(sim_replay) struct sim_replay r = { 0 };
	bool has_before;
	struct err *e;

	TRY(logs_open(path, &l));
	has_before = l.fds[0] >= 0;
	e = sim_replay_read((struct source) { logs_read, &l }, &r);
	path = l.paths[has_before && !r.file ? 0 : 1];
	TRY_MSG(e, "%s", path);
	if (streq(args_text(a, "format"), "json")) {
		printf("{\"records\": %" PRIu64 ", \"passes\": %" PRIu64 ", \"decisions\": %" PRIu64
		       ", \"turns\": %" PRIu64 ", \"switches\": %" PRIu64 ", \"begins\": %" PRIu64,
		       r.records, r.passes, r.decisions, r.turns, r.switches, r.begins);
		print_difference(&r, path);
		printf("}\n");
	} else if (r.difference) {
		printf("%s: line %" PRIu64 ": %s (after %" PRIu64 " decisions as recorded)\n", path,
		       r.line, r.difference, r.decisions + r.switches);
	} else {
		if (r.passes || !r.turns)
			printf("%" PRIu64 " decisions in %" PRIu64 " passes, all as recorded\n",
			       r.decisions, r.passes);
		if (r.turns)
			printf("%" PRIu64 " decisions in %" PRIu64 " turns of time slicing, all as "
			       "recorded\n",
			       r.switches, r.turns);
	}
	c->exit_code = r.difference != NULL;
	return NULL;
}

/* ---- what if ---- */

struct what_if {
	struct sim_trace trace;
	struct sim_config config;
	char *policies[POLICIES_MAX]; /* the first: in force at the end of what was recorded */
	size_t n;
	struct sim_result recorded;
	struct sim_run runs[POLICIES_MAX];
};

static void own_what_if_release(struct what_if *w)
{
	sim_trace_done(&w->trace);
	sim_result_done(&w->recorded);
	for (size_t i = 0; i < w->n; i++) {
		free(w->policies[i]);
		sim_run_done(&w->runs[i]);
	}
}

/* Where the hosteld here keeps it; without one, where one does unless it is told otherwise. */
static char *root_of(struct cli *c, const struct args *a)
{
	const char *said = args_text(a, "root");
	OWN(json) json_t *info = NULL;
	OWN(err) struct err *err = said ? NULL : cli_call(c, "GET", NULL, &info, "/info");

	if (said)
		return xstrdup(said);
	return xstrdup(err ? DEFAULT_ROOT : jx_str(info, "DockerRootDir", DEFAULT_ROOT));
}

static struct err *read_history(struct cli *c, const struct args *a, struct sim_trace *ret)
{
	OWN(mem) char *root = root_of(c, a);
	OWN(mem) char *path = xasprintf("%s/events.log", root);
	OWN(mem) char *label = NULL;
	struct sim_limits limits = { .holds = true, .changes = true };
	OWN(logs) struct logs l = { .fds = { -1, -1 } };
	struct err *e = logs_open(path, &l);

	TRY_MSG(e, "no history of this host");
	TRY(sim_label_of(args_text(a, "what-if"), &label));
	limits.label = label;
	e = sim_trace_read((struct source) { logs_read, &l }, &limits, ret);
	if (e && !ret->n && ret->is_log && err_kind(e) == ERR_CORRUPT) {
		err_free(e);
		return err_new(ERR_NOT_FOUND,
			       "no history of this host: nothing in %s has run to "
			       "its end yet",
			       path);
	}
	TRY_MSG(e, "%s", path);
	return NULL;
}

static struct err *add_policy(struct what_if *w, const char *policy)
{
	TRY(alloc_policy_check(policy));
	if (w->n == POLICIES_MAX)
		return err_new(ERR_INVALID, "--what-if: at most %d policies", POLICIES_MAX - 1);
	w->policies[w->n++] = xstrdup(policy);
	return NULL;
}

static struct err *add_policies(struct what_if *w, const char *list)
{
	OWN(mem) char *copy = xstrdup(list);
	char *save = NULL;

	TRY(add_policy(w, w->trace.policy ? w->trace.policy : "easy"));
	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save))
		if (!streq(p, w->policies[0]))
			TRY(add_policy(w, p));
	return w->n > 1 || !streq(list, "") ? NULL
					    : err_new(ERR_INVALID, "--what-if: which policy?");
}

/* The largest that the host was, and what it ran fitted it. */
static void set_machine(struct what_if *w)
{
	const struct sim_trace *t = &w->trace;
	struct amounts *pool = &w->config.pool;

	pool->v[RES_CPU] = t->hint.cpu_milli ? t->hint.cpu_milli : 1000;
	pool->v[RES_MEMORY] = t->hint.memory_bytes;
	pool->v[RES_GPUS] = t->hint.gpu_milli;
	for (size_t i = 0; i < t->n; i++) {
		const struct sim_more *more = t->more ? &t->more[i] : &(struct sim_more) { 0 };

		if (t->jobs[i].cpu_milli > pool->v[RES_CPU])
			pool->v[RES_CPU] = t->jobs[i].cpu_milli;
		if (more->memory_bytes > pool->v[RES_MEMORY])
			pool->v[RES_MEMORY] = more->memory_bytes;
		if (more->gpu_milli > pool->v[RES_GPUS])
			pool->v[RES_GPUS] = more->gpu_milli;
	}
}

static struct err *set_times(struct what_if *w, const struct args *a)
{
	const char *max_wait = args_text(a, "max-wait"), *aging = args_text(a, "aging");

	w->config.max_wait_ns = w->trace.hint.max_wait_ns;
	w->config.aging_ns = w->trace.hint.aging_ns;
	w->config.overcommit = 1;
	w->config.changes = true;
	if (max_wait)
		TRY_MSG(num_parse_duration(max_wait, &w->config.max_wait_ns), "--max-wait");
	if (aging)
		TRY_MSG(num_parse_duration(aging, &w->config.aging_ns), "--aging");
	return NULL;
}

static double saved(const struct what_if *w, size_t i)
{
	return w->recorded.wait_total_s - w->runs[i].result.wait_total_s;
}

static double percent(const struct what_if *w, size_t i)
{
	return w->recorded.wait_total_s > 0 ? 100 * saved(w, i) / w->recorded.wait_total_s : 0;
}

static void print_row(struct table *t, const char *name, const struct sim_result *r)
{
	table_cell(t, "%s", name);
	table_cell(t, "%.3f s", r->wait_s.mean);
	table_cell(t, "%.3f s", r->wait_s.median);
	table_cell(t, "%.3f s", r->wait_s.p95);
	table_cell(t, "%.3f s", r->wait_total_s);
}

static void print_table(const struct what_if *w)
{
	static const char *const headings[] = { "POLICY", "MEAN WAIT", "MEDIAN", "P95",
						"T_WAIT", "SAVED",     "%",      NULL };
	OWN(table) struct table *t = table_new(headings);

	print_row(t, "recorded", &w->recorded);
	table_cell(t, " ");
	table_cell(t, " ");
	for (size_t i = 0; i < w->n; i++) {
		print_row(t, w->runs[i].result.rule, &w->runs[i].result);
		table_cell(t, "%.3f s", saved(w, i));
		table_cell(t, "%.1f", percent(w, i));
	}
	table_print(t, stdout);
	printf("%zu starts in %.0f s, %" PRIu64 " left out; waits in the queue; %s is the policy "
	       "in force, simulated\n"
	       "as recorded: " MODELLED "\n"
	       "not modelled: " NOT_MODELLED "\n",
	       w->trace.n, w->recorded.makespan_s, w->trace.dropped, w->runs[0].result.rule);
}

static void print_json_row(const struct what_if *w, const char *name, const struct sim_result *r,
			   double saved_s, double percent)
{
	char mean[32], median[32], p95[32], max[32], total[32], save[32], part[32];

	printf("{\"policy\": \"%s\", \"jobs\": %zu, \"wait_s\": {\"mean\": %s, \"median\": %s, "
	       "\"p95\": %s, \"max\": %s}, \"t_wait_s\": %s, \"saved_s\": %s, \"saved_percent\": "
	       "%s, \"as_recorded\": \"" MODELLED "\", \"not_modelled\": \"" NOT_MODELLED "\"}",
	       name, w->trace.n, sim_number_text(r->wait_s.mean, mean),
	       sim_number_text(r->wait_s.median, median), sim_number_text(r->wait_s.p95, p95),
	       sim_number_text(r->wait_s.max, max), sim_number_text(r->wait_total_s, total),
	       sim_number_text(saved_s, save), sim_number_text(percent, part));
}

static void print_json(const struct what_if *w)
{
	printf("[");
	print_json_row(w, "recorded", &w->recorded, 0, 0);
	for (size_t i = 0; i < w->n; i++) {
		printf(",\n ");
		print_json_row(w, w->runs[i].result.rule, &w->runs[i].result, saved(w, i),
			       percent(w, i));
	}
	printf("]\n");
}

static struct err *what_if(struct cli *c, const struct args *a)
{
	OWN(what_if) struct what_if w = { .n = 0 };

	TRY(read_history(c, a, &w.trace));
	TRY(add_policies(&w, args_text(a, "what-if")));
	TRY(set_times(&w, a));
	set_machine(&w);
	sim_result_sum(&w.trace, w.config.pool.v[RES_CPU], &w.recorded);
	for (size_t i = 0; i < w.n; i++) {
		w.config.policy = w.policies[i];
		TRY_MSG(sim_run(&w.trace, &w.config, &w.runs[i]), "%s", w.policies[i]);
	}
	if (streq(args_text(a, "format"), "json"))
		print_json(&w);
	else
		print_table(&w);
	return NULL;
}

struct err *history_look(struct cli *c, const struct args *a)
{
	if (a->n_rest || args_has(a, "from-log") ||
	    args_has(a, "check-log") == args_has(a, "what-if"))
		return err_new(ERR_INVALID, "either a trace, --from-log, --what-if or --check-log");
	if (streq(args_text(a, "format"), "csv"))
		return err_new(ERR_INVALID, "--format csv is that of a trace's simulation");
	return args_has(a, "check-log") ? check_log(c, a) : what_if(c, a);
}
