/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/estimate.h"

#include <stdio.h>

#include "util/hash.h"
#include "util/mem.h"

#define MINUTE (60 * 1000000000LL)
#define HOUR   (60 * MINUTE)

struct learned {
	uint64_t key;
	uint32_t runs; /* 0: an empty place */
	double tau;
	int64_t last[2]; /* the newest first */
};

/* Open addressing, never more than half full. */
struct table {
	struct learned *v;
	size_t n, cap; /* a power of two, or 0 */
};

struct estimator {
	struct estimator_config conf;
	struct table commands, users;
};

struct estimator *estimator_new(const struct estimator_config *c)
{
	struct estimator *e = xnew(struct estimator);

	e->conf = *c;
	if (!(e->conf.alpha > 0))
		e->conf.alpha = 0.5;
	if (!e->conf.unit_ns)
		e->conf.unit_ns = 1;
	return e;
}

void estimator_free(struct estimator *e)
{
	if (!e)
		return;
	free(e->commands.v);
	free(e->users.v);
	free(e);
}

/* Where @key is, or would be. */
static struct learned *place(const struct table *t, uint64_t key)
{
	size_t i = (key * 0x9e3779b97f4a7c15u) >> 20;

	for (;; i++) {
		struct learned *l = &t->v[i & (t->cap - 1)];

		if (!l->runs || l->key == key)
			return l;
	}
}

static void grow(struct table *t)
{
	struct table more = { .cap = t->cap ? t->cap * 2 : 64, .n = t->n };

	more.v = xcalloc(more.cap, sizeof(struct learned));
	for (size_t i = 0; i < t->cap; i++)
		if (t->v[i].runs)
			*place(&more, t->v[i].key) = t->v[i];
	free(t->v);
	*t = more;
}

double estimate_average(double alpha, double tau, double t)
{
	return alpha * t + (1 - alpha) * tau;
}

static void learn(struct table *t, double alpha, uint64_t key, int64_t ran_ns)
{
	struct learned *l;

	if (key == ESTIMATE_NOBODY)
		return;
	if (2 * (t->n + 1) > t->cap)
		grow(t);
	l = place(t, key);
	t->n += !l->runs;
	l->key = key;
	l->tau = l->runs ? estimate_average(alpha, l->tau, (double)ran_ns) : (double)ran_ns;
	l->last[1] = l->last[0];
	l->last[0] = ran_ns;
	if (l->runs < UINT32_MAX)
		l->runs++;
}

void estimator_ended(struct estimator *e, struct estimate_of of, int64_t ran_ns)
{
	learn(&e->commands, e->conf.alpha, of.command, ran_ns);
	learn(&e->users, e->conf.alpha, of.user, ran_ns);
}

static const struct learned *known(const struct table *t, uint64_t key)
{
	const struct learned *l = t->cap && key != ESTIMATE_NOBODY ? place(t, key) : NULL;

	return l && l->runs ? l : NULL;
}

/* At least one unit: 0 would say unknown. */
static int64_t cut(const struct estimator *e, int64_t ns)
{
	ns -= ns % e->conf.unit_ns;
	return ns > 0 ? ns : e->conf.unit_ns;
}

static struct estimate last_two(const struct estimator *e, uint64_t user)
{
	const struct learned *l = known(&e->users, user);

	if (!l || l->runs < 2)
		return (struct estimate) { 0 };
	return (struct estimate) { cut(e, (l->last[0] + l->last[1]) / 2), FROM_LAST_TWO, 2 };
}

static struct estimate average(const struct estimator *e, uint64_t command)
{
	const struct learned *l = known(&e->commands, command);

	if (!l)
		return (struct estimate) { 0 };
	return (struct estimate) { cut(e, (int64_t)l->tau), FROM_AVERAGE, l->runs };
}

struct estimate estimator_guess(const struct estimator *e, enum estimate_mode mode,
				struct estimate_of of, int64_t given_ns)
{
	struct estimate given = { given_ns, given_ns ? FROM_GIVEN : FROM_NOTHING, 0 }, learned;

	switch (mode) {
	case ESTIMATE_GIVEN:
		break;
	case ESTIMATE_LEARNED:
		if (given.ns)
			break;
		learned = average(e, of.command);
		return learned.ns ? learned : last_two(e, of.user);
	case ESTIMATE_TSAFRIR:
		learned = last_two(e, of.user);
		if (learned.ns && (!given.ns || learned.ns < given.ns))
			return learned;
		break;
	}
	return given;
}

/* The terminating 0 included. */
static uint64_t hash_add(uint64_t h, const char *s)
{
	return hash_byte(hash_text(h, s), 0);
}

uint64_t estimate_command(const char *image, const char *const *args)
{
	uint64_t h = hash_add(HASH_START, image);

	for (; args && *args; args++)
		h = hash_add(h, *args);
	return h == ESTIMATE_NOBODY ? 0 : h;
}

int64_t estimate_raise(int64_t first_ns, int64_t ran_ns, int64_t given_ns)
{
	static const int64_t steps[] = { MINUTE,    5 * MINUTE, 15 * MINUTE, 30 * MINUTE,
					 HOUR,      2 * HOUR,   5 * HOUR,    10 * HOUR,
					 20 * HOUR, 50 * HOUR,  100 * HOUR };
	int64_t beyond = ran_ns - first_ns, step = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && step <= beyond; i++)
		step = steps[i];
	if (step <= beyond)
		step = (beyond / (100 * HOUR) + 1) * (100 * HOUR);
	if (given_ns > ran_ns && first_ns + step > given_ns)
		return given_ns;
	return first_ns + step;
}

const char *estimate_source_text(const struct estimate *e, char *buf)
{
	switch (e->source) {
	case FROM_NOTHING:
		snprintf(buf, 64, "unknown");
		break;
	case FROM_GIVEN:
		snprintf(buf, 64, "given");
		break;
	case FROM_AVERAGE:
		snprintf(buf, 64, "average of %u run%s of this command", e->runs,
			 e->runs == 1 ? "" : "s");
		break;
	case FROM_LAST_TWO:
		snprintf(buf, 64, "mean of the user's last two runs");
		break;
	}
	return buf;
}
