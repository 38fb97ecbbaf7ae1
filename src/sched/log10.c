/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/alloc_int.h"

/*
 * log10 by + - * / only, the same bits on any machine with IEEE 754 doubles.
 *
 * x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(z), z = (m - 1) / (m + 1),
 * |z| < 0.1716: the series 2 (z + z^3/3 + …) to z^21 leaves less than 1e-17 of it out.
 * Source: the area tangent's series, M. Abramowitz, I. Stegun, 4.1.27.
 */

#define LN_2  0.693147180559945309417232121458176568
#define LN_10 2.30258509299404568401799145468436421

double own_log10(double x)
{
	double z, z2, sum = 0;
	int e = 0;

	if (!(x > 1))
		return 0;
	/* Halving is exact. */
	for (; x >= 65536; x /= 65536)
		e += 16;
	for (; x >= 1.41421356237309504880; x /= 2)
		e++;
	z = (x - 1) / (x + 1);
	z2 = z * z;
	for (int k = 21; k >= 1; k -= 2)
		sum = sum * z2 + 1.0 / k;
	return (2 * z * sum + e * LN_2) / LN_10;
}
