/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/predict.h"

#include <stdlib.h>

#include "util/mem.h"

/* The last two run times of a user; 0: none. */
struct history {
	int64_t last_ns, before_ns;
};

struct predict {
	enum sim_info info;
	struct history *users;
};

struct predict *predict_new(enum sim_info info, uint32_t n_users)
{
	struct predict *p = xnew(struct predict);

	p->info = info;
	p->users = info == SIM_INFO_TSAFRIR ? xcalloc(n_users, sizeof(*p->users)) : NULL;
	return p;
}

void predict_free(struct predict *p)
{
	if (!p)
		return;
	free(p->users);
	free(p);
}

static int64_t mean_of_two(const struct predict *p, const struct sim_job *j)
{
	const struct history *h = &p->users[j->user];
	int64_t mean;

	if (!h->before_ns)
		return j->est_ns;
	mean = (h->last_ns + h->before_ns) / 2;
	/* Whole seconds where run times are such. */
	if (h->last_ns % SIM_SECOND == 0 && h->before_ns % SIM_SECOND == 0)
		mean -= mean % SIM_SECOND;
	return mean < j->est_ns ? mean : j->est_ns;
}

int64_t predict_run(struct predict *p, const struct sim_job *j)
{
	int64_t run = p->info == SIM_INFO_ACT       ? j->run_ns
		      : p->info == SIM_INFO_TSAFRIR ? mean_of_two(p, j)
						    : j->est_ns;

	return run == SIM_NEVER ? 0 : run;
}

void predict_learn(struct predict *p, const struct sim_job *j)
{
	struct history *h;

	if (p->info != SIM_INFO_TSAFRIR)
		return;
	h = &p->users[j->user];
	h->before_ns = h->last_ns;
	h->last_ns = j->run_ns;
}

int64_t predict_raise(const struct sim_job *j, int64_t first_ns, unsigned step)
{
	static const int64_t minutes[] = { 1, 5, 15, 30, 60, 120, 300, 600, 1200, 3000, 6000 };
	int64_t planned;

	if (step >= ARRAY_SIZE(minutes))
		return j->est_ns;
	planned = first_ns + minutes[step] * 60 * SIM_SECOND;
	return planned < j->est_ns ? planned : j->est_ns;
}
