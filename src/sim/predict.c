/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/predict.h"

#include <stdlib.h>

#include "sched/estimate.h"
#include "util/mem.h"

struct predict {
	enum sim_info info;
	struct estimator *estimator;
};

/* Whole seconds where run times are such. */
static bool is_in_seconds(const struct sim_trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->jobs[i].run_ns % SIM_SECOND)
			return false;
	return true;
}

struct predict *predict_new(enum sim_info info, const struct sim_trace *t)
{
	struct predict *p = xnew(struct predict);
	struct estimator_config c = { 0 };

	p->info = info;
	if (info != SIM_INFO_TSAFRIR)
		return p;
	c.unit_ns = is_in_seconds(t) ? SIM_SECOND : 1;
	p->estimator = estimator_new(&c);
	return p;
}

void predict_free(struct predict *p)
{
	if (!p)
		return;
	estimator_free(p->estimator);
	free(p);
}

static struct estimate_of of(const struct sim_job *j)
{
	return (struct estimate_of) { .command = ESTIMATE_NOBODY, .user = j->user };
}

int64_t predict_run(struct predict *p, const struct sim_job *j)
{
	int64_t given = j->est_ns == SIM_NEVER ? 0 : j->est_ns;

	switch (p->info) {
	case SIM_INFO_ACT:
		return j->run_ns;
	case SIM_INFO_TSAFRIR:
		return estimator_guess(p->estimator, ESTIMATE_TSAFRIR, of(j), given).ns;
	case SIM_INFO_EST:
	case SIM_INFO_COUNT:
		break;
	}
	return given;
}

void predict_learn(struct predict *p, const struct sim_job *j)
{
	if (p->estimator)
		estimator_ended(p->estimator, of(j), j->run_ns);
}

int64_t predict_raise(const struct sim_job *j, int64_t first_ns, int64_t ran_ns)
{
	return estimate_raise(first_ns, ran_ns, j->est_ns == SIM_NEVER ? 0 : j->est_ns);
}
