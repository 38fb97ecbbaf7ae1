/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

/*
 * Synthetic loads, the same for the same seed on every machine:
 *
 *	poisson:rate=0.8,service=1,jobs=100000,classes=1,cpus=1
 *		arrivals of a Poisson process (rate per second), exponential run times (mean in
 *		seconds); each job is of one of @classes priorities (1 ..), alike
 *		probable: M/M/n on n cpus
 *	lublin:procs=256,jobs=10000,users=1,gap=1
 *		the model of Lublin and Feitelson without job types; @gap stretches the
 *		times between arrivals (above 1: less load)
 *
 * Spec: U. Lublin, D. Feitelson, "The workload on parallel supercomputers: modeling the
 * characteristics of rigid jobs", JPDC 63(11), 2003.
 */

#include "sim/trace.h"

/** sim_load_is() - is @text of this kind, not a file's name? */
bool sim_load_is(const char *text);

/**
 * sim_load_make() - make a load up
 * @text: as above, parts in any order
 * @ret:  filled; sim_trace_total() gives what lublin was made for
 * Return: NULL, or ERR_INVALID naming the part.
 */
struct err *sim_load_make(const char *text, uint64_t seed, struct sim_trace *ret) MUST_USE;

#endif
