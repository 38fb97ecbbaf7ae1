/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

/*
 * Store: what must survive the daemon, in one SQLite file (WAL, synchronous=NORMAL:
 * a killed process loses nothing, a power cut at most the last turns).
 *
 * Documents are JSON in tables by kind; what must be unique across instances (names,
 * addresses, host ports) is a column or a row of its own, so that a claim and its check
 * are one statement.  All changes between store_begin() and store_commit() are one
 * transaction; the engine opens one per loop turn, at its first change.
 *
 * Context: the daemon's thread; blocks for a disk write at commit (0.03 ms here).
 */

#include <stdbool.h>
#include <stdint.h>

#include "json/json.h"
#include "util/err.h"

#define STORE_VERSION 1

struct store;

enum store_kind {
	STORE_INSTANCE, /* key: id; name: instance's name (unique) */
	STORE_IMAGE,    /* key: "sha256:…" of the config */
	STORE_REF,      /* key: normalised reference; document: {"image":key,"digest":…} */
	STORE_VOLUME,   /* key: name */
	STORE_KERNEL,   /* key: name */
	STORE_EXEC,     /* key: exec id; name: NULL */
	STORE_RUN,      /* key: an instance's id; its state, what changes at every step */
	STORE_NETWORK,  /* key: id; name: its name (unique) */
	STORE_KINDS,
};

/**
 * store_open() - open or make the store
 * @path: file; its folder exists
 * Return: NULL; ERR_UNSUPPORTED "…: written by a newer hostel (version 3, this one reads 1)";
 *         ERR_CORRUPT when SQLite says so; ERR_UNAVAILABLE when another daemon holds it.
 */
struct err *store_open(const char *path, struct store **ret) MUST_USE;
void store_close(struct store *s);
DEFINE_OWN(store, store_close)

/** store_is_new() - was there no store when it was opened? */
bool store_is_new(const struct store *s);

/** store_has_news() - were documents of images, references, volumes or kernels, or small facts,
 *  committed since store_news_done()?  After store_open(): yes.
 */
bool store_has_news(const struct store *s);
void store_news_done(struct store *s);

/** store_begin() - start the turn's transaction; nothing when one is open */
struct err *store_begin(struct store *s) MUST_USE;

/** store_commit() - end it; nothing when none is open. ERR_LIMIT when the disk is full (rolled
 * back) */
struct err *store_commit(struct store *s) MUST_USE;
void store_rollback(struct store *s);

/**
 * store_put() - insert or replace a document
 * @name: unique name within the kind, or NULL
 * Return: NULL; ERR_EXISTS when @name belongs to another key; ERR_LIMIT: disk full.
 */
struct err *store_put(struct store *s, enum store_kind kind, const char *key, const char *name,
		      const json_t *doc) MUST_USE;

/** store_del() - remove a document, and all claims of an instance; absent is fine */
struct err *store_del(struct store *s, enum store_kind kind, const char *key) MUST_USE;

/** store_get() - new reference; ERR_NOT_FOUND */
struct err *store_get(struct store *s, enum store_kind kind, const char *key,
		      json_t **ret) MUST_USE;

/** store_each() - in order of insertion; a document that does not parse is ERR_CORRUPT with its key
 */
struct err *store_each(struct store *s, enum store_kind kind,
		       struct err *(*fn)(void *arg, const char *key, const json_t *doc),
		       void *arg) MUST_USE;

/* ---- claims: what at most one instance may have ---- */

/**
 * store_claim() - take something for an instance; taking it twice is fine
 * @what:  "addr" or "port"
 * @value: "10.88.0.5", "tcp/0.0.0.0/8080"
 * Return: NULL; ERR_EXISTS when another has it, @ret_holder (may be NULL) is then its id, owned by
 *         the caller.
 */
struct err *store_claim(struct store *s, const char *what, const char *value, const char *instance,
			char **ret_holder) MUST_USE;

/** store_release() - give back all claims of a kind (@what NULL: of every kind) of an instance */
struct err *store_release(struct store *s, const char *what, const char *instance) MUST_USE;

/** store_release_one() - give back one claim of an instance; one that it has not is fine */
struct err *store_release_one(struct store *s, const char *what, const char *value,
			      const char *instance) MUST_USE;

/** store_each_claim() - of a kind */
struct err *store_each_claim(struct store *s, const char *what,
			     struct err *(*fn)(void *arg, const char *value, const char *instance),
			     void *arg) MUST_USE;

/* ---- accounting: one record per start ---- */

/** store_account_put() - insert (@seq 0, then *@ret_seq is its number) or replace a record */
struct err *store_account_put(struct store *s, int64_t seq, const char *instance, const json_t *doc,
			      int64_t *ret_seq) MUST_USE;

/** store_each_account() - the newest @limit records (0: all) before number @before (0: of all),
 *  newest first
 */
struct err *store_each_account(struct store *s, int64_t before, int64_t limit,
			       struct err *(*fn)(void *arg, int64_t seq, const char *instance,
						 const json_t *doc),
			       void *arg) MUST_USE;

/* ---- small facts ---- */

/** store_meta_get() - NULL when absent; owned by the caller */
char *store_meta_get(struct store *s, const char *key);
struct err *store_meta_set(struct store *s, const char *key, const char *value) MUST_USE;

/** store_meta_json() - a document under a key; NULL when absent or no JSON; new reference */
json_t *store_meta_json(struct store *s, const char *key);
/** store_meta_json_set() - begins a transaction; @doc is borrowed */
struct err *store_meta_json_set(struct store *s, const char *key, const json_t *doc) MUST_USE;

#endif
