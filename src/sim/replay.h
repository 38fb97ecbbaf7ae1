/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_REPLAY_H
#define SIM_REPLAY_H

/*
 * An event log told to a scheduler again: it must decide what hosteld's decided, in the same
 * order.
 *
 * Context: any process; blocks in the source.
 * Spec: docs/protocols.md, "Event log".
 */

#include <stdint.h>

#include "util/err.h"
#include "util/source.h"

struct sim_replay {
	uint64_t records, passes, decisions;
	uint64_t turns, switches; /* passes of time slicing, and who runs or stops by them */
	uint64_t begins;          /* starts of hosteld; of time slicing in its own log */
	/* The first decision that differs, else NULL; owned */
	char *difference;
	uint64_t file,
	    line; /* where; files from 0: each begins with the line that names the format */
};

void sim_replay_done(struct sim_replay *r);

static inline void own_sim_replay_release(struct sim_replay *r)
{
	sim_replay_done(r);
}

/**
 * sim_replay_read() - until the first difference
 * @in:  a log, or the one before and it, one behind the other
 * @ret: an empty object before; filled as far as it went in any case
 * Return: NULL, a difference too; ERR_CORRUPT naming the line that is no record or cannot be one
 * of a scheduler's life, ERR_UNSUPPORTED for another version; the source's errors.
 */
struct err *sim_replay_read(struct source in, struct sim_replay *ret) MUST_USE;

#endif
