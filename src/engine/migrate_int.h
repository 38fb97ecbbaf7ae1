/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_MIGRATE_INT_H
#define ENGINE_MIGRATE_INT_H

/*
 * Migration, among its files.  Which side may run an instance is model/handover.h; a row of it is
 * part of the instance's own.  Bytes and words go through hostel-migrate (carrier.c), one process
 * per connection and side.
 *
 *	migrate.c        the row: its steps, what follows from them, resolve, recovery, reconnecting
 *	migrate_out.c    the source's talk
 *	migrate_in.c     the door, and the target's talk
 *	migrate_check.c  why it could not move
 */

#include "engine/engine_int.h"
#include "model/handover.h"
#include "model/peer.h"

/* Part of an instance's stored row. */
struct handover {
	enum handover_state state;
	char token[65];
	char *peer;     /* source: where to; target: who sends it */
	bool start_due; /* it ran: to be started on whichever side it may run again */
};

/* ---- carrier.c ---- */

struct carrier;

struct carrier_user {
	void (*line)(void *arg, const json_t *m); /* linked, heard, progress, sent, got; borrowed */
	/* It is over, once; @e: NULL after an order to end; owned by the callee, which frees @c */
	void (*ended)(void *arg, struct err *e);
	void *arg;
};

/** carrier_start() - @job, @connection (-1: none): consumed, on failure too */
struct err *carrier_start(struct engine *e, json_t *job, int connection,
			  const struct carrier_user *user, struct carrier **ret) MUST_USE;

/** carrier_order() - a line for it; @order is consumed.  One that takes no more has ended */
void carrier_order(struct carrier *c, json_t *order);

/** carrier_say() - a word for the other daemon; @msg is consumed */
void carrier_say(struct carrier *c, json_t *msg);

/** carrier_free() - kill it if it lives; NULL is fine */
void carrier_free(struct carrier *c);

/* ---- a connection of one migration ---- */

struct migration {
	struct engine *e;
	bool is_source, is_check, is_linked;
	bool is_again; /* source: only to say what is left to say */
	bool is_over;  /* its carrier was told to end */
	bool is_moved; /* source: the other side has it */
	int64_t number;
	char id[65]; /* of the instance; "": not known yet */
	char token[65];
	struct carrier *carrier;
	char *peer;

	/* source */
	struct engine_done done; /* fn NULL: nobody waits (any more) */
	void (*progress)(void *arg, const json_t *message);
	void *progress_arg;
	json_t *offer;
	struct strv trees;
	struct loop_timer *timer; /* until nothing is left of its run */
	bool is_stopping;

	/* target */
	char *staging;
	json_t *offered; /* the offer that was accepted */
	json_t *got;     /* {tree: true} */
	struct engine_job *job;
	TAILQ_ENTRY(migration) link;
};
TAILQ_HEAD(migration_list, migration);

/** migration_new() - in the engine's list; migration_free() - out of it, its carrier killed */
struct migration *migration_new(struct engine *e, bool is_source);
void migration_free(struct migration *m);

/** migration_instance() - its instance, if that is still there and in this hand-over; else NULL */
struct instance *migration_instance(const struct migration *m);

/** migration_of() - the connection about an instance; NULL: none */
struct migration *migration_of(const struct engine *e, const struct instance *i);

/** migrate_peers() - certificates of those that are trusted: array of PEM */
json_t *migrate_peers(struct engine *e);

/* ---- migrate.c ---- */

/**
 * handover_do() - take a step, write it, and do what follows (start, stop, remove)
 * @ret_say: what is to be said now
 * Return: NULL; ERR_STATE when that makes no sense now; ERR_LIMIT when it could not be written:
 *         then nothing has changed.  @i may be gone afterwards.
 */
struct err *handover_do(struct instance *i, enum handover_event ev,
			enum handover_say *ret_say) MUST_USE;

/** handover_open() - a new row, not written yet, in place of an old one */
void handover_open(struct instance *i, enum handover_state state, const char *token,
		   const char *peer);

/** handover_word() - {"say":WORD,"id","token"}; NULL for SAY_NOTHING */
json_t *handover_word(enum handover_say say, const char *id, const char *token);
/** handover_hear() - the event of a word of the other side; HANDOVER_EVENTS: it is none */
enum handover_event handover_hear(const char *word, bool is_source);

/** migrate_later() - the source has something to say: connect again, after a while */
void migrate_later(struct engine *e);

/* ---- migrate_out.c ---- */

/** migrate_again() - connect to say what is left to say */
void migrate_again(struct instance *i);

/* ---- migrate_in.c ---- */

struct err *migrate_listen(struct engine *e) MUST_USE;
void migrate_close_doors(struct engine *e);

/** migrate_in_done() - what a target's connection leaves behind: verified blobs stay, the rest goes
 */
void migrate_in_done(struct migration *m);

/* ---- migrate_check.c ---- */

/** migrate_reasons_here() - why it cannot leave */
void migrate_reasons_here(struct instance *i, struct strv *out);
/** migrate_reasons_there() - why it cannot come; @s: its spec, settled for this host on success */
void migrate_reasons_there(struct engine *e, const json_t *offer, struct spec *s, struct strv *out);
/** migrate_reasons_foreign() - what of it would reach for files of the host that it comes to */
void migrate_reasons_foreign(const struct spec *s, struct strv *out);
/** migrate_blobs() - [{digest,size}] of an image: manifest, config, layers */
struct err *migrate_blobs(struct engine *e, const struct image *im, json_t **ret) MUST_USE;

#endif
