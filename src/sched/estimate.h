/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_ESTIMATE_H
#define SCHED_ESTIMATE_H

/*
 * Expected run times: given, or learned from what ended before.  Pure.
 *
 *	average  per image and command, tau' = alpha * t + (1 - alpha) * tau, from the first run on
 *	         (A. Silberschatz, P. Galvin, G. Gagne, "Operating System Concepts", 10th ed.,
 *§5.3.2) last two the mean of the user's last two runs that had ended (D. Tsafrir, Y. Etsion, D.
 *Feitelson, TPDS 18(6), 2007)
 *
 * One that outlives its estimate has it raised in steps: estimate_raise().
 */

#include <stddef.h>
#include <stdint.h>

#include "util/defs.h"

enum estimate_mode {
	ESTIMATE_GIVEN,   /* what was given, or nothing */
	ESTIMATE_LEARNED, /* what was given; else the average; else the user's last two */
	ESTIMATE_TSAFRIR, /* the user's last two, at most what was given; else what was given */
};

enum estimate_source { FROM_NOTHING, FROM_GIVEN, FROM_AVERAGE, FROM_LAST_TWO };

struct estimate {
	int64_t ns; /* 0: unknown */
	enum estimate_source source;
	uint32_t runs; /* that it was learned from */
};

struct estimator_config {
	double alpha;    /* weight of the newest run; 0: 1/2 */
	int64_t unit_ns; /* learned times are cut to a multiple of it; 0: 1 ns */
};

/* Whose: numbers that the caller gives out; ESTIMATE_NOBODY: nothing is learned. */
#define ESTIMATE_NOBODY UINT64_MAX
struct estimate_of {
	uint64_t command, user;
};

struct estimator;

struct estimator *estimator_new(const struct estimator_config *c);
void estimator_free(struct estimator *e);
DEFINE_OWN(estimator, estimator_free)

/** estimate_command() - a number for an image and a command line; @args NULL at the end, may be
 * NULL */
uint64_t estimate_command(const char *image, const char *const *args);

/** estimator_ended() - a run of @of ended after @ran_ns */
void estimator_ended(struct estimator *e, struct estimate_of of, int64_t ran_ns);

/** estimator_guess() - of the next run of @of; @given_ns 0: nothing was given */
struct estimate estimator_guess(const struct estimator *e, enum estimate_mode mode,
				struct estimate_of of, int64_t given_ns);

/** estimate_average() - tau', the next guess after @tau when the run took @t */
double estimate_average(double alpha, double tau, double t);

/**
 * estimate_raise() - of a job that has run for @ran_ns >= its estimate: the first estimate plus
 * the least of 1, 5, 15, 30 min, 1, 2, 5, 10, 20, 50, 100, 200, 300 … h that is beyond @ran_ns
 * @first_ns: what was estimated before it started
 * @given_ns: the raised one is no larger, unless it ran longer than this; 0: no limit
 */
int64_t estimate_raise(int64_t first_ns, int64_t ran_ns, int64_t given_ns);

/** estimate_source_text() - "given", "average of 7 runs of this command", …; @buf of 64 bytes;
 * returns @buf */
const char *estimate_source_text(const struct estimate *e, char *buf);

#endif
