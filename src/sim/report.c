/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *sim_number_text(double x, char *buf)
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buf, 32, "%.*g", digits, x);
		if (strtod(buf, NULL) == x)
			break;
	}
	return buf;
}

/* ---- one table of what is told, for both formats ---- */

enum kind { TEXT, WHOLE, REAL, DIST };

static const struct field {
	const char *name;
	enum kind kind;
	size_t offset;
} fields[] = {
	{ "policy", TEXT, offsetof(struct sim_result, policy) },
	{ "rule", TEXT, offsetof(struct sim_result, rule) },
	{ "info", TEXT, offsetof(struct sim_result, info) },
	{ "events", TEXT, offsetof(struct sim_result, events) },
	{ "schedule", TEXT, offsetof(struct sim_result, schedule) },
	{ "jobs", WHOLE, offsetof(struct sim_result, jobs) },
	{ "dropped", WHOLE, offsetof(struct sim_result, dropped) },
	{ "wait_s", DIST, offsetof(struct sim_result, wait_s) },
	{ "turnaround_s", DIST, offsetof(struct sim_result, turnaround_s) },
	{ "slowdown", DIST, offsetof(struct sim_result, slowdown) },
	{ "bounded_slowdown", DIST, offsetof(struct sim_result, bounded_slowdown) },
	{ "makespan_s", REAL, offsetof(struct sim_result, makespan_s) },
	{ "utilisation", REAL, offsetof(struct sim_result, utilisation) },
	{ "t_total_s", REAL, offsetof(struct sim_result, run_total_s) },
	{ "t_wait_s", REAL, offsetof(struct sim_result, wait_total_s) },
	{ "users", WHOLE, offsetof(struct sim_result, users) },
	{ "fairness_jain", REAL, offsetof(struct sim_result, jain) },
	{ "passes", WHOLE, offsetof(struct sim_result, passes) },
	{ "preemptions", WHOLE, offsetof(struct sim_result, preemptions) },
	{ "queue_max", WHOLE, offsetof(struct sim_result, queue_max) },
	{ "read_s", REAL, offsetof(struct sim_result, read_s) },
	{ "elapsed_s", REAL, offsetof(struct sim_result, elapsed_s) },
};

static const struct {
	const char *name;
	size_t offset;
} parts[] = {
	{ "mean", offsetof(struct sim_dist, mean) },
	{ "median", offsetof(struct sim_dist, median) },
	{ "p95", offsetof(struct sim_dist, p95) },
	{ "p99", offsetof(struct sim_dist, p99) },
	{ "max", offsetof(struct sim_dist, max) },
};

static const void *at(const void *object, size_t offset)
{
	return (const char *)object + offset;
}

static double part_of(const struct sim_result *r, const struct field *f, size_t part)
{
	return *(const double *)at(r, f->offset + parts[part].offset);
}

/* ---- JSON ---- */

static void json_text(FILE *out, const char *s)
{
	fputc('"', out);
	for (; s && *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			fputc('?', out);
		else
			fprintf(out, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	fputc('"', out);
}

static void json_dist(FILE *out, const struct sim_result *r, const struct field *f)
{
	char buf[32];

	fputc('{', out);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		fprintf(out, "%s\"%s\": %s", i ? ", " : "", parts[i].name,
			sim_number_text(part_of(r, f, i), buf));
	fputc('}', out);
}

static void json_value(FILE *out, const struct sim_result *r, const struct field *f)
{
	char buf[32];

	switch (f->kind) {
	case TEXT:
		json_text(out, *(const char *const *)at(r, f->offset));
		return;
	case WHOLE:
		fprintf(out, "%" PRIu64, *(const uint64_t *)at(r, f->offset));
		return;
	case REAL:
		fputs(sim_number_text(*(const double *)at(r, f->offset), buf), out);
		return;
	case DIST:
		json_dist(out, r, f);
		return;
	}
}

static void json_bad(FILE *out, const struct sim_trace *t)
{
	const char *comma = "";

	fprintf(out, ",\n  \"left_out\": {");
	for (int b = 0; b < SIM_BAD_COUNT; b++) {
		if (!t->bad[b].count)
			continue;
		fprintf(out, "%s\"%s\": {\"count\": %" PRIu64 ", \"first_line\": %" PRIu64 "}",
			comma, sim_bad_name((enum sim_bad)b), t->bad[b].count,
			t->bad[b].first_line);
		comma = ", ";
	}
	fputc('}', out);
}

static void json_classes(FILE *out, const struct sim_result *r)
{
	char a[32], b[32];

	if (!r->n_classes)
		return;
	fprintf(out, ",\n  \"priorities\": [");
	for (size_t i = 0; i < r->n_classes; i++) {
		const struct sim_class *c = &r->classes[i];

		fprintf(out,
			"%s{\"priority\": %d, \"jobs\": %" PRIu64
			", \"wait_s\": %s, \"turnaround_s\": %s}",
			i ? ", " : "", c->priority, c->jobs, sim_number_text(c->wait_s, a),
			sim_number_text(c->turnaround_s, b));
	}
	fputc(']', out);
}

void sim_report_json(FILE *out, const struct sim_trace *t, const struct sim_result *r, size_t n)
{
	fputc('[', out);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",\n {" : "\n {", out);
		for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
			fprintf(out, "%s\"%s\": ", k ? ",\n  " : "", fields[k].name);
			json_value(out, &r[i], &fields[k]);
		}
		json_bad(out, t);
		json_classes(out, &r[i]);
		fputc('}', out);
	}
	fputs("\n]\n", out);
}

/* ---- CSV ---- */

static void csv_names(FILE *out)
{
	for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
		if (fields[k].kind != DIST) {
			fprintf(out, "%s%s", k ? "," : "", fields[k].name);
			continue;
		}
		for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
			fprintf(out, ",%s_%s", fields[k].name, parts[p].name);
	}
	fputc('\n', out);
}

static void csv_value(FILE *out, const struct sim_result *r, const struct field *f)
{
	char buf[32];

	switch (f->kind) {
	case TEXT:
		fputs(*(const char *const *)at(r, f->offset), out);
		return;
	case WHOLE:
	case REAL:
		json_value(out, r, f);
		return;
	case DIST:
		for (size_t p = 0; p < ARRAY_SIZE(parts); p++)
			fprintf(out, "%s%s", p ? "," : "", sim_number_text(part_of(r, f, p), buf));
		return;
	}
}

void sim_report_csv(FILE *out, const struct sim_trace *t, const struct sim_result *r, size_t n)
{
	(void)t;
	csv_names(out);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
			if (k)
				fputc(',', out);
			csv_value(out, &r[i], &fields[k]);
		}
		fputc('\n', out);
	}
}

/* ---- SWF ---- */

/* Seconds, with as many decimals as they have. */
static const char *seconds_text(int64_t ns, char *buf)
{
	int len = snprintf(buf, 32, "%" PRId64 ".%09" PRId64, ns / SIM_SECOND, ns % SIM_SECOND);

	while (len > 1 && buf[len - 1] == '0')
		buf[--len] = '\0';
	if (buf[len - 1] == '.')
		buf[len - 1] = '\0';
	return buf;
}

void sim_report_swf(FILE *out, const struct sim_trace *t, const struct sim_result *r)
{
	fprintf(out, "; Version: 2.2\n; Note: hostel simulate --policy %s --info %s --events %s\n",
		r->policy, r->info, r->events);
	if (sim_trace_total(t))
		fprintf(out, "; MaxProcs: %" PRId64 "\n", sim_trace_total(t) / 1000);
	for (size_t i = 0; i < t->n; i++) {
		const struct sim_job *j = &t->jobs[i];
		uint32_t procs = (j->cpu_milli + 999) / 1000;
		char submit[32], wait[32], run[32], est[32];

		fprintf(out, "%u %s %s %s %u -1 -1 %u %s -1 1 %d -1 -1 %d -1 -1 -1\n", j->number,
			seconds_text(j->submit_ns, submit),
			seconds_text(j->end_ns - j->submit_ns - j->run_ns, wait),
			seconds_text(j->run_ns, run), procs, procs,
			j->est_ns == SIM_NEVER ? "-1" : seconds_text(j->est_ns, est),
			(int)t->users.numbers[j->user], j->priority);
	}
}
