/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_HANDOVER_H
#define MODEL_HANDOVER_H

/*
 * Hand-over of an instance from one daemon, the source, to another, the target: a two-phase
 * commit.  Each side keeps one row for it (state and token, the same random one on both sides);
 * every change is in the store before anything is said or done.  Only the source connects, and
 * goes on doing so while it has something to say.
 *
 *	source                                          target
 *	HERE
 *	SENDING ───────── OFFER, then the data ───────> RECEIVING
 *	        <──────── PREPARED ──────────────────── PREPARED    whole, on disk, does not run
 *	GIVEN   ───────── COMMIT ─────────────────────> TAKEN       runs
 *	GONE    <──────── TAKEN ───────────────────────
 *
 * Presumed abort: whatever goes wrong before GIVEN is written, it stays at the source (ABORTING,
 * until the target says DROPPED).  From GIVEN on it never runs at the source again, though it is
 * kept there until TAKEN is heard.  Where the link stays cut, GIVEN and PREPARED are in doubt: a
 * user decides by hand, on either side.  Hands may make both run for a while; once the two talk
 * again one of them stands still (the source's hand beats the target's, any hand beats none) and
 * is kept.
 *
 * A row is one attempt, known by its token.  An instance may have several at its source, as long
 * as all but one are ABORTING or RECLAIMED: words for hosts that do not answer.  A host that has a
 * row of an instance in which it is the source refuses an offer of the same instance until that
 * row is GONE or HERE.
 *
 * The source's instance stands still from before the last bytes are sent, so PREPARED
 * heard may be GIVEN at once.  Post-copy keeps no such promise and does not use this.
 *
 * Pure: no clock, no I/O.  handover_test.c walks through every reachable pair of states, with
 * links cut and daemons killed at every point.
 */

#include <stdbool.h>

enum handover_state {
	/* source */
	HANDOVER_HERE,      /* no row: it is here */
	HANDOVER_SENDING,   /* runs here as far as the copying lets it */
	HANDOVER_ABORTING,  /* stays here, runs; the target has not heard it yet */
	HANDOVER_GIVEN,     /* does not run here any more; kept until the target has it */
	HANDOVER_CEDED,     /* the same, and a user said that it is there */
	HANDOVER_RECLAIMED, /* a user said that it is here: runs; the target has not heard it yet */
	HANDOVER_YIELDED,   /* a user there said that it is there: kept, does not run */
	HANDOVER_GONE,      /* the target has it; nothing is left here */
	/* target */
	HANDOVER_ABSENT,    /* no row, nothing of it */
	HANDOVER_RECEIVING, /* half of it; dropped when anything ends */
	HANDOVER_PREPARED,  /* whole; does not run */
	HANDOVER_DECLINED,  /* the same, and a user said that it is at the source */
	HANDOVER_SEIZED,    /* a user said that it is here: runs */
	HANDOVER_TAKEN,     /* it is here, runs */
	HANDOVER_RETURNED,  /* a user at the source took it back: kept, does not run */
	HANDOVER_STATES,
};

enum handover_event {
	/* what happens on a side */
	HANDOVER_BEGIN,      /* source: a user wants it moved */
	HANDOVER_CANCEL,     /* a user, or a failure before GIVEN (disk full, certificate, …) */
	HANDOVER_LINKED,     /* source: the connection is up (again) */
	HANDOVER_CUT,        /* the connection, or the worker that carries it, has ended */
	HANDOVER_RECOVER,    /* a new daemon found the row */
	HANDOVER_WHOLE,      /* target: all has come, was checked and is on disk */
	HANDOVER_HAND_HERE,  /* `migrate resolve --here` */
	HANDOVER_HAND_THERE, /* `migrate resolve --there` */
	/* what the other side said; the source's words first */
	HANDOVER_OFFER,
	HANDOVER_COMMIT,
	HANDOVER_ABORT,
	HANDOVER_RECLAIM,
	HANDOVER_HEARD_PREPARED,
	HANDOVER_HEARD_TAKEN,
	HANDOVER_HEARD_DROPPED,
	HANDOVER_EVENTS,
};

/* What a side says after its new state is in the store. */
enum handover_say {
	SAY_NOTHING,
	SAY_OFFER,
	SAY_COMMIT,
	SAY_ABORT,
	SAY_RECLAIM,
	SAY_PREPARED,
	SAY_TAKEN,
	SAY_DROPPED,
};

struct handover_step {
	enum handover_state next;
	enum handover_say say;
	bool is_refused; /* ERR_STATE; nothing changes */
};

/**
 * handover_step() - what follows from an event
 * Total.  What makes no sense in a state is refused; a message that comes late, or twice, is
 * answered so that the other side gets on.
 */
struct handover_step handover_step(enum handover_state state, enum handover_event event);

/** handover_may_run() - may the instance run on this side? */
bool handover_may_run(enum handover_state state);

/** handover_has_it() - is there a whole copy on this side, running or not? */
bool handover_has_it(enum handover_state state);

/** handover_is_doubtful() - does it not run here although perhaps nowhere else?  `ps` says so */
bool handover_is_doubtful(enum handover_state state);

/** handover_has_to_say() - must the source connect again? */
bool handover_has_to_say(enum handover_state state);

/** handover_state_name() - as the store and the API have it: "given"; static storage */
const char *handover_state_name(enum handover_state state);

/** handover_state_by_name() - Return: is it one? */
bool handover_state_by_name(const char *name, enum handover_state *ret);

/** handover_heard() - the event that a word of the other side is */
enum handover_event handover_heard(enum handover_say said);

#endif
