/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

/*
 * A workload: jobs in order of submission, from a file of one of four kinds or made up by a
 * generator (sim/load.h).
 *
 *	SWF      Standard Workload Format: 18 columns, ';' comments with header fields
 *	CSV      one instance a line, columns named by the first line
 *	log      hostel's own event log
 *
 * Readers take bytes of any origin: what is no job is counted by sort with the first line of
 * each, never trusted.  Memory is what the jobs need, 64 bytes each (and 24 more when one of them
 * names memory or gpus, or a label counts).
 *
 * Context: any process; blocks in the source.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sched/resource.h"
#include "util/source.h"
#include "util/str.h"

#define SIM_NEVER INT64_MAX
/* Times of a trace lie within this, so that sums of two never overflow. */
#define SIM_TIME_MAX (INT64_MAX / 4)
#define SIM_SECOND   ((int64_t)1000000000)

struct sim_job {
	int64_t submit_ns;
	int64_t run_ns; /* above 0, at most the estimate */
	int64_t est_ns; /* the user's estimate, or run_ns */
	/* What the last run made of it (sim/run.h); before the first: what a log says */
	int64_t start_ns, end_ns;
	uint32_t number; /* of the trace: column 1, or the count */
	uint32_t cpu_milli;
	uint32_t user; /* below users.n; users.numbers[] has the trace's own */
	int32_t priority;
};

/* Beyond cpus, for traces that name it. */
struct sim_more {
	int64_t memory_bytes;
	int64_t gpu_milli; /* thousandths of a gpu: some ask for a share of one */
	uint32_t label;    /* a number of its value of sim_trace.label, from 0 on */
};

/* Why a line is bad, or a job left out. */
enum sim_bad {
	/* Bad lines: --strict refuses them */
	SIM_BAD_SHORT,    /* fewer columns than the format has; dropped */
	SIM_BAD_NUMBER,   /* no number where one belongs, or one beyond all bounds; dropped */
	SIM_BAD_NEGATIVE, /* below what "unknown" is; dropped */
	SIM_BAD_ORDER,    /* submitted before the line above; kept, sorted */
	SIM_BAD_LARGE,    /* larger than the machine; SWF: cut to it, else dropped */
	/* Left out by definition: no fault of the trace */
	SIM_DROP_RUN,  /* no run time */
	SIM_DROP_CPUS, /* no processors */
	SIM_DROP_OPEN, /* no end known */
	SIM_BAD_COUNT,
};

/** sim_bad_name() - "short", …: what reports call it; static storage */
const char *sim_bad_name(enum sim_bad b);

/** sim_bad_text() - for people: "fewer columns than the format has (dropped)" */
const char *sim_bad_text(enum sim_bad b);

/* What happened to the host while the jobs ran: an event log has it. */
enum sim_change_kind {
	SIM_OTHER, /* @amounts are held by others than jobs from now on */
	SIM_QUOTA, /* what @user may hold: @amounts, and @count jobs; 0: no limit */
	SIM_DRAIN, /* nothing starts while @count is not 0 */
	SIM_MOVE,  /* job @number was moved: @count as sched's where, before or behind @other */
};

struct sim_change {
	int64_t at_ns;
	enum sim_change_kind kind;
	uint32_t user, count;
	uint32_t number, other; /* as sim_job.number */
	struct amounts amounts; /* gpus in thousandths */
};

/* Numbers of the trace to numbers from 0 on: a hash, while it is read. */
struct sim_user;
struct sim_numbers {
	struct sim_user *table;
	size_t slots;
	uint32_t n;
	uint32_t *numbers;
};

struct sim_trace {
	struct sim_job *jobs;
	struct sim_more *more; /* NULL: only cpus are named */
	size_t n, cap;
	struct {
		uint64_t count, first_line;
	} bad[SIM_BAD_COUNT];
	uint64_t dropped; /* jobs and lines that are not in jobs[] */
	uint64_t lines;
	struct sim_numbers users, labels; /* users.numbers[]: the trace's own */
	char *label; /* sim_limits.label, or that of the log's last policy; NULL: none */
	bool is_unsorted;
	/* Header fields of SWF; 0: not given */
	int64_t max_procs, max_nodes;
	bool is_swf;
	bool is_log;                /* what asks for nothing waits behind nobody, as in hosteld */
	struct strmap header;       /* all fields */
	struct sim_change *changes; /* in order; sim_limits.changes */
	size_t n_changes, cap_changes;
	/* Event log: what it ran under, else NULL */
	char *policy;
	struct sim_machine_hint {
		int64_t cpu_milli, memory_bytes, gpu_milli; /* 0: not told */
		int64_t max_wait_ns, aging_ns;              /* the last ones in force */
	} hint;
};

void sim_trace_done(struct sim_trace *t);

static inline void own_sim_trace_release(struct sim_trace *t)
{
	sim_trace_done(t);
}

/* What a reader must know of the machine. */
struct sim_limits {
	int64_t cpu_milli; /* of all nodes; 0: SWF takes it from the header (MaxProcs, MaxNodes) */
	/* Largest node: an instance of a CSV must fit one; 0: no bound */
	int64_t node_cpu_milli, node_memory_bytes, node_gpu_milli;
	/*
	 * What "rr:LABEL" is to be over: a column of a CSV; group, executable, queue or partition
	 * of SWF; the label that a log's policy was over.  NULL: none
	 */
	const char *label;
	bool changes;   /* event log: changes are kept */
	bool holds;     /* event log: a job runs while it holds its demand, from admission to end */
	uint64_t bytes; /* the trace is about so long; 0: unknown */
	void (*progress)(void *arg, uint64_t lines); /* may be NULL */
	void *arg;
};

/**
 * sim_trace_read() - read a trace, its format told by its first lines
 * @in:  bytes, already decompressed
 * @ret: filled; an empty object before
 * Return: NULL; ERR_CORRUPT when it is none of the formats or holds no job; ERR_INVALID when the
 * size of the machine is known neither from @limits nor from the trace; the source's errors.
 */
struct err *sim_trace_read(struct source in, const struct sim_limits *limits,
			   struct sim_trace *ret) MUST_USE;

/** sim_trace_strict() - ERR_CORRUPT naming sort and first line when there was any bad line */
struct err *sim_trace_strict(const struct sim_trace *t) MUST_USE;

/** sim_trace_total() - cpus of the machine by the header, in thousandths; 0: not given */
int64_t sim_trace_total(const struct sim_trace *t);

/* ---- for readers and generators ---- */

/** sim_trace_add() - the next job; @more may be NULL; in any order, users of any number: they are
 * counted from 0 */
void sim_trace_add(struct sim_trace *t, const struct sim_job *j, const struct sim_more *more);

/** sim_trace_user() - a number from 0 on for a user's @number */
uint32_t sim_trace_user(struct sim_trace *t, uint32_t number);

/** sim_trace_change() - the next one, in order of time */
void sim_trace_change(struct sim_trace *t, const struct sim_change *c);

/** sim_trace_label() - a number from 0 on for the value @number of the label that counts */
uint32_t sim_trace_label(struct sim_trace *t, uint32_t number);

/** sim_trace_reserve() - room for about @n jobs; before the first, a hint */
void sim_trace_reserve(struct sim_trace *t, size_t n);

/** sim_trace_count() - line @line is bad (dropped by itself for those sorts that are) */
void sim_trace_count(struct sim_trace *t, enum sim_bad b, uint64_t line);

/** sim_trace_settle() - jobs by submission; call once after the last job */
void sim_trace_settle(struct sim_trace *t);

#endif
