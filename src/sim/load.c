/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/lines.h"
#include "sim/rng.h"
#include "util/mem.h"

/* ---- parts ---- */

enum part { P_RATE, P_SERVICE, P_JOBS, P_CLASSES, P_CPUS, P_PROCS, P_USERS, P_GAP, PARTS };

#define MILLION 1000000.0

static const struct {
	const char *name;
	double fallback, min, max;
	bool poisson, lublin, is_whole;
} parts[PARTS] = {
	[P_RATE] = { "rate", 1, 1e-6, 1e6, .poisson = true },
	[P_SERVICE] = { "service", 1, 1e-6, 1e6, .poisson = true },
	[P_JOBS] = { "jobs", 10000, 1, 1e9, true, true, .is_whole = true },
	[P_CLASSES] = { "classes", 1, 1, 1000, .poisson = true, .is_whole = true },
	[P_CPUS] = { "cpus", 1, 0.001, 1e6, .poisson = true },
	[P_PROCS] = { "procs", 256, 2, 1e6, .lublin = true, .is_whole = true },
	[P_USERS] = { "users", 1, 1, 1e6, true, true, .is_whole = true },
	[P_GAP] = { "gap", 1, 1e-6, 1e6, .lublin = true },
};

static bool begins(const char *text, const char *what)
{
	size_t n = strlen(what);

	return !strncmp(text, what, n) && (!text[n] || text[n] == ':');
}

bool sim_load_is(const char *text)
{
	return begins(text, "poisson") || begins(text, "lublin");
}

static struct err *part_set(double v[PARTS], const char *word, bool is_lublin)
{
	size_t len = strcspn(word, "=");

	for (int i = 0; i < PARTS; i++) {
		int64_t millionths;
		const char *end;

		if (strlen(parts[i].name) != len || strncmp(parts[i].name, word, len) ||
		    !(is_lublin ? parts[i].lublin : parts[i].poisson))
			continue;
		end = word[len] ? scan_decimal(word + len + 1, 1000000, &millionths) : NULL;
		if (!end || *end)
			return err_new(ERR_INVALID, "\"%s\": no number", word);
		v[i] = (double)millionths / MILLION;
		if (v[i] < parts[i].min || v[i] > parts[i].max ||
		    (parts[i].is_whole && millionths % 1000000))
			return err_new(ERR_INVALID, "\"%s\": %s %g to %g", word,
				       parts[i].is_whole ? "a whole number from" : "from",
				       parts[i].min, parts[i].max);
		return NULL;
	}
	return err_new(ERR_INVALID, "\"%s\": %s has no such part", word,
		       is_lublin ? "lublin" : "poisson");
}

static struct err *parts_read(const char *text, double v[PARTS])
{
	OWN(mem) char *copy = xstrdup(text + strcspn(text, ":"));
	bool is_lublin = begins(text, "lublin");
	char *save = NULL;

	for (int i = 0; i < PARTS; i++)
		v[i] = parts[i].fallback;
	for (char *w = strtok_r(copy, ":,", &save); w; w = strtok_r(NULL, ":,", &save))
		TRY(part_set(v, w, is_lublin));
	return NULL;
}

static int64_t ns_of(double seconds)
{
	double ns = seconds * SIM_SECOND;

	return ns < 1 ? 1 : (int64_t)(ns + 0.5);
}

static struct err *err_too_long(uint64_t jobs)
{
	return err_new(ERR_INVALID, "after %" PRIu64 " jobs it would go beyond 36 years", jobs);
}

/* ---- poisson ---- */

static struct err *make_poisson(const double v[PARTS], struct rng *r, struct sim_trace *t)
{
	uint64_t n = (uint64_t)v[P_JOBS];
	int64_t now_ns = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct sim_job j = { .number = (uint32_t)(i + 1),
				     .cpu_milli = (uint32_t)(v[P_CPUS] * 1000 + 0.5) };

		now_ns += ns_of(rng_exponential(r) / v[P_RATE]);
		if (now_ns > SIM_TIME_MAX / 2)
			return err_too_long(i);
		j.submit_ns = now_ns;
		j.run_ns = ns_of(rng_exponential(r) * v[P_SERVICE]);
		j.est_ns = j.run_ns;
		j.priority = 1 + (int32_t)rng_below(r, (uint64_t)v[P_CLASSES]);
		j.user = (uint32_t)rng_below(r, (uint64_t)v[P_USERS]);
		sim_trace_add(t, &j, NULL);
	}
	return NULL;
}

/* ---- lublin ---- */

/* The parameters of the model for all jobs together. */
#define SERIAL_SHARE 0.244
#define POW2_SHARE   0.576
#define U_LOW        0.8
#define U_GAP        2.5 /* the middle lies this far below log2 of the machine */
#define U_SHARE      0.86
/* Run time: its logarithm is of one of two gamma distributions; p = PA * procs + PB is of the first
 */
#define A1 4.2
#define B1 0.94
#define A2 312.0
#define B2 0.03
#define PA -0.0054
#define PB 0.78
/* Arrivals: logarithm of the time between two in rush hours, and the day's curve */
#define A_GAP   10.2303
#define B_GAP   0.4871
#define A_DAY   8.1737
#define B_DAY   3.9631
#define RUSH    1.0225
#define LOG_RUN 12.0 /* runs longer than e^12 s, gaps longer than e^13 s are drawn again */
#define LOG_GAP 13.0

#define SLOTS     48 /* half hours of a day */
#define SLOT_S    1800.0
#define DAY_BEGIN 11 /* the model's day begins at 5:30 */
#define LN2       0.693147180559945309417

struct day {
	double weight[SLOTS]; /* mean 1 */
	int slot;
	double into; /* the part of the slot that has gone by */
	double now_s;
};

/* x^(a-1) e^(-x/b): the gamma density but for a factor, which the mean takes out */
static double density(double x)
{
	return x > 0 ? det_exp((A_DAY - 1) * det_log(x) - x / B_DAY) : 0;
}

static void day_init(struct day *d)
{
	double sum = 0;

	*d = (struct day) { 0 };
	for (int i = DAY_BEGIN; i < SLOTS + DAY_BEGIN; i++) {
		double w = (density(i - 0.5) + 4 * density(i) + density(i + 0.5)) / 6;

		d->weight[i % SLOTS] = w;
		sum += w / SLOTS;
	}
	for (int i = 0; i < SLOTS; i++)
		d->weight[i] /= sum;
}

/* Time goes on until @points half hours of mean load have gone by. */
static void day_advance(struct day *d, double points)
{
	points += d->into * d->weight[d->slot];
	d->now_s -= d->into * SLOT_S;
	while (points > d->weight[d->slot]) {
		points -= d->weight[d->slot];
		d->slot = (d->slot + 1) % SLOTS;
		d->now_s += SLOT_S;
	}
	d->into = points / d->weight[d->slot];
	d->now_s += d->into * SLOT_S;
}

static double gamma_below(struct rng *r, double a, double b, double max)
{
	double x;

	do
		x = rng_gamma(r, a, b);
	while (x > max);
	return x;
}

static double log2_of(double x)
{
	return det_log(x) / LN2;
}

/* Two uniforms side by side, of log2 of the size. */
static int64_t procs_of(struct rng *r, int64_t machine)
{
	double u = rng_unit(r), high = log2_of((double)machine), middle = high - U_GAP, x;
	int64_t n;

	if (u <= SERIAL_SHARE)
		return 1;
	middle = middle > U_LOW ? middle : U_LOW;
	if (rng_unit(r) <= U_SHARE)
		x = U_LOW + rng_unit(r) * (middle - U_LOW);
	else
		x = middle + rng_unit(r) * (high - middle);
	if (u <= SERIAL_SHARE + POW2_SHARE)
		x = (double)(int)(x + 0.5);
	n = (int64_t)(det_exp(x * LN2) + 0.5);
	return n < 1 ? 1 : n > machine ? machine : n;
}

static int64_t run_of(struct rng *r, int64_t procs)
{
	double p = PA * (double)procs + PB, x;

	do
		x = rng_unit(r) <= p ? rng_gamma(r, A1, B1) : rng_gamma(r, A2, B2);
	while (x > LOG_RUN);
	return (int64_t)det_exp(x) + 1;
}

static struct err *make_lublin(const double v[PARTS], struct rng *r, struct sim_trace *t)
{
	uint64_t n = (uint64_t)v[P_JOBS];
	int64_t machine = (int64_t)v[P_PROCS];
	struct day d;

	day_init(&d);
	t->max_procs = machine;
	for (uint64_t i = 0; i < n; i++) {
		int64_t procs = procs_of(r, machine);
		struct sim_job j = { .number = (uint32_t)(i + 1),
				     .cpu_milli = (uint32_t)(procs * 1000) };

		j.run_ns = run_of(r, procs) * SIM_SECOND;
		j.est_ns = j.run_ns;
		day_advance(&d, det_exp(gamma_below(r, A_GAP * RUSH, B_GAP, LOG_GAP)) / SLOT_S *
				    v[P_GAP]);
		if (d.now_s * SIM_SECOND > (double)SIM_TIME_MAX / 2)
			return err_too_long(i);
		/* Whole seconds, as in the archive. */
		j.submit_ns = (int64_t)d.now_s * SIM_SECOND;
		j.user = (uint32_t)rng_below(r, (uint64_t)v[P_USERS]) + 1;
		sim_trace_add(t, &j, NULL);
	}
	return NULL;
}

struct err *sim_load_make(const char *text, uint64_t seed, struct sim_trace *ret)
{
	double v[PARTS];
	struct rng r;

	TRY(parts_read(text, v));
	rng_seed(&r, seed);
	sim_trace_reserve(ret, (size_t)v[P_JOBS]);
	if (begins(text, "lublin"))
		TRY(make_lublin(v, &r, ret));
	else
		TRY(make_poisson(v, &r, ret));
	sim_trace_settle(ret);
	return NULL;
}
