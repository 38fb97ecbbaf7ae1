/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_RECORD_H
#define SCHED_RECORD_H

/*
 * One record of the event log: what a scheduler was told, or what it decided.
 * hosteld writes them, the simulator reads them; this is the only place that knows how they
 * are spelled.
 *
 * Context: pure.
 * Spec: docs/protocols.md, "Event log".
 */

#include "sched/resource.h"
#include "sched/sched.h"
#include "util/str.h"

#define RECORD_MAGIC   "hostel-events "
#define RECORD_VERSION 1
#define RECORD_WORDS   16

enum record_letter {
	REC_TOTAL = 'T',
	REC_POLICY = 'P',
	REC_MAX_WAIT = 'V',
	REC_AGING = 'G',
	REC_QUOTA = 'Q',
	REC_OTHER = 'O',
	REC_ARRIVED = 'A',
	REC_HOLDS = 'K',
	REC_RESIZED = 'U',
	REC_REPLANNED = 'L',
	REC_MOVED = 'M',
	REC_HELD = 'H',
	REC_PASS = 'R',
	REC_ADMITTED = 'D',
	REC_STARTED = 'S',
	REC_AGAIN = 'X',
	REC_ENDED = 'E',
	REC_WITHDRAWN = 'W',
	REC_BEGIN = 'B',
	REC_COPY = 'C',
	REC_COPIED = 'c',
	REC_LAST = 'N',
	REC_PAUSED = 'F',
	REC_ALLOCATION_TURN = 'J',
	REC_SPILL = 'y',
	REC_UNSPILL = 'u',
	REC_SPILLED = 'Y',
	REC_DRAIN = 'Z',
	REC_CIRCLE = 'I',
	/* time slicing */
	REC_SCHEDULE = 'p',
	REC_TASK = 'a',
	REC_TASK_EXPECT = 'e',
	REC_TASK_LEFT = 'l',
	REC_STOPPED = 'd',
	REC_TURN = 's',
	REC_TURN_MORE = 'm',
};

/* Words of A, K and U, from the second on: the demand first. */
enum {
	JOB_N,
	JOB_UID,
	JOB_PRIORITY,
	JOB_CPU,
	JOB_MEMORY,
	JOB_DISK,
	JOB_GPUS,
	JOB_MANAGE,
	JOB_EXPECT,
	JOB_DEADLINE,
	JOB_MAX_WAIT,
	JOB_PIDS,
	JOB_AGO,
	JOB_PLACE,
	JOB_GROUP,
	JOB_WORDS
};

/* Word 1 of Y. */
enum { SPILL_DONE, SPILL_FAILED, SPILL_UNDER_WAY };

/* Words of p, behind the policy. */
enum {
	SCHEDULE_POLICY,
	SCHEDULE_CPU,
	SCHEDULE_QUANTUM,
	SCHEDULE_AGE,
	SCHEDULE_BOOST,
	SCHEDULE_SEQ, /* of a copy, from here on */
	SCHEDULE_BOOSTED,
	SCHEDULE_HAD_WAITING,
	SCHEDULE_WORDS
};

/* Words of a. */
enum {
	TASK_N,
	TASK_CPU,
	TASK_PRIORITY,
	TASK_EXPECT,
	TASK_STATE, /* of a copy, from here on */
	TASK_STAMP,
	TASK_SINCE,
	TASK_RAN,
	TASK_USED,
	TASK_LEVEL,
	TASK_BOOST,
	TASK_WORDS
};

struct record {
	int64_t delta_ns; /* since the record before */
	char letter;
	unsigned n;              /* words: as many as were there, at most RECORD_WORDS */
	int64_t v[RECORD_WORDS]; /* those that were not there are 0 */
	uint32_t absent;         /* bit i: word i was "-", an amount that was not declared */
	char policy[128];        /* P and p: word 0, which is text */
};

/** record_of() - @letter with @n words that follow as int64_t; at most 4 */
struct record record_of(char letter, unsigned n, const int64_t *v);

/** record_of_job() - A, K or U; @ago_ns: so long ago it arrived, or got what it holds */
struct record record_of_job(char letter, const struct sched_job *j, int64_t ago_ns);

/** record_of_amounts() - T or O; or Q, whose first words are @uid and @jobs */
struct record record_of_amounts(char letter, const struct amounts *a);
struct record record_of_quota(int64_t uid, uint32_t jobs, const struct amounts *most);
struct record record_of_policy(const char *policy);

/** record_job() - of A, K or U; without an id */
struct sched_job record_job(const struct record *r);

/** record_amounts() - of T, O and Q */
struct amounts record_amounts(const struct record *r);

/** record_print() - append the line, its newline too; zeros at the end that nobody misses are left
 * out */
void record_print(const struct record *r, struct str *out);

enum record_result {
	RECORD_OK,
	RECORD_EMPTY,   /* nothing on the line */
	RECORD_UNKNOWN, /* a letter of a later version: time and letter are set */
	RECORD_SHORT,   /* fewer words than it must have */
	RECORD_BAD,     /* no number where one belongs */
};

/**
 * record_parse() - one line
 * @line, @end: bytes of any origin; [line, end) without the newline; not changed
 */
enum record_result record_parse(const char *line, const char *end, struct record *ret);

#endif
