/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rng.h"

#include <string.h>

#define LN2 0.693147180559945309417

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

void rng_seed(struct rng *r, uint64_t seed)
{
	/* splitmix64 */
	for (int i = 0; i < 4; i++) {
		uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
		r->s[i] = z ^ (z >> 31);
	}
}

uint64_t rng_next(struct rng *r)
{
	uint64_t out = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return out;
}

double rng_unit(struct rng *r)
{
	return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (uint64_t)(((__uint128_t)rng_next(r) * n) >> 64);
}

/* x = m * 2^e with m in [sqrt 1/2, sqrt 2); log m = 2 artanh((m - 1) / (m + 1)) as a series. */
double det_log(double x)
{
	uint64_t bits;
	int e;
	double m, s, s2, sum = 0;

	memcpy(&bits, &x, sizeof(bits));
	e = (int)(bits >> 52 & 0x7ff) - 1023;
	bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
	memcpy(&m, &bits, sizeof(m));
	if (m > 1.41421356237309504880) {
		m /= 2;
		e++;
	}
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int k = 21; k >= 1; k -= 2)
		sum = sum * s2 + 1.0 / k;
	return 2 * s * sum + e * LN2;
}

/* x = k ln 2 + f; e^f as a series; 2^k exactly. */
double det_exp(double x)
{
	int k = (int)(x / LN2 + (x < 0 ? -0.5 : 0.5));
	double f = x - k * LN2, sum = 1, power;
	uint64_t bits = (uint64_t)(k + 1023) << 52;

	for (int i = 17; i >= 1; i--)
		sum = 1 + sum * f / i;
	memcpy(&power, &bits, sizeof(power));
	return sum * power;
}

double rng_exponential(struct rng *r)
{
	return -det_log(rng_unit(r));
}

/* Marsaglia's polar method; the second value is thrown away, so that there is no state. */
double rng_normal(struct rng *r)
{
	for (;;) {
		double u = 2 * rng_unit(r) - 1, v = 2 * rng_unit(r) - 1, s = u * u + v * v;

		if (s > 0 && s < 1)
			return u * __builtin_sqrt(-2 * det_log(s) / s);
	}
}

/* Spec: G. Marsaglia, W. W. Tsang, "A Simple Method for Generating Gamma Variables", 2000. */
double rng_gamma(struct rng *r, double alpha, double beta)
{
	double d = alpha - 1.0 / 3, c = 1 / __builtin_sqrt(9 * d);

	for (;;) {
		double x = rng_normal(r), v = 1 + c * x, u = rng_unit(r);

		if (v <= 0)
			continue;
		v = v * v * v;
		if (det_log(u) < x * x / 2 + d - d * v + d * det_log(v))
			return d * v * beta;
	}
}
