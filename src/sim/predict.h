/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_PREDICT_H
#define SIM_PREDICT_H

/*
 * What a planner knows of run times: the user's estimate, the truth, or the mean of the user's
 * last two, by sched/estimate.h.
 */

#include "sim/run.h"

struct predict;

struct predict *predict_new(enum sim_info info, const struct sim_trace *t);
void predict_free(struct predict *p);
DEFINE_OWN(predict, predict_free)

/** predict_run() - expected run time at submission; 0: unknown */
int64_t predict_run(struct predict *p, const struct sim_job *j);

/** predict_learn() - a job ended */
void predict_learn(struct predict *p, const struct sim_job *j);

/**
 * predict_raise() - a running job outlives what was predicted
 * @first_ns: the prediction at submission
 * @ran_ns:   how long it has run
 * Return: the next expectation, above what was, at most the estimate.
 */
int64_t predict_raise(const struct sim_job *j, int64_t first_ns, int64_t ran_ns);

#endif
