/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

/*
 * Random numbers that are the same on every machine: xoshiro256** seeded by splitmix64, and
 * distributions computed with + - * / and square roots only (libm's own logarithm may differ from
 * one cpu to the next).
 *
 * Spec: D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 2021.
 */

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);

/** rng_unit() - uniform in (0, 1) */
double rng_unit(struct rng *r);

/** rng_below() - uniform in 0 .. n - 1; @n above 0 */
uint64_t rng_below(struct rng *r, uint64_t n);

/** rng_exponential() - of mean 1 */
double rng_exponential(struct rng *r);

/** rng_normal() - of mean 0 and variance 1 */
double rng_normal(struct rng *r);

/** rng_gamma() - shape @alpha (at least 1), scale @beta: mean alpha * beta */
double rng_gamma(struct rng *r, double alpha, double beta);

/** det_log() - natural logarithm of @x > 0, good to 1e-15; det_exp() - e^x, |x| < 700 */
double det_log(double x);
double det_exp(double x);

#endif
