/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/mem.h"

/* Statements that are used again and again, prepared once. */
enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_PUT,
	ST_DEL,
	ST_GET,
	ST_EACH,
	ST_CLAIM,
	ST_HOLDER,
	ST_RELEASE,
	ST_RELEASE_ONE,
	ST_CLAIMS,
	ST_ACCOUNT_NEW,
	ST_ACCOUNT_SET,
	ST_ACCOUNTS,
	ST_META_GET,
	ST_META_SET,
	STATEMENTS,
};

static const char *const sql[STATEMENTS] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_PUT] = "INSERT INTO docs(kind, key, name, doc) VALUES(?1, ?2, ?3, ?4) "
		   "ON CONFLICT(kind, key) DO UPDATE SET name = ?3, doc = ?4",
	[ST_DEL] = "DELETE FROM docs WHERE kind = ?1 AND key = ?2",
	[ST_GET] = "SELECT doc FROM docs WHERE kind = ?1 AND key = ?2",
	[ST_EACH] = "SELECT key, doc FROM docs WHERE kind = ?1 ORDER BY seq",
	[ST_CLAIM] = "INSERT OR IGNORE INTO claims(what, value, instance) VALUES(?1, ?2, ?3)",
	[ST_HOLDER] = "SELECT instance FROM claims WHERE what = ?1 AND value = ?2",
	[ST_RELEASE] = "DELETE FROM claims WHERE instance = ?2 AND (?1 IS NULL OR what = ?1)",
	[ST_RELEASE_ONE] = "DELETE FROM claims WHERE instance = ?3 AND what = ?1 AND value = ?2",
	[ST_CLAIMS] = "SELECT value, instance FROM claims WHERE what = ?1 ORDER BY rowid",
	[ST_ACCOUNT_NEW] = "INSERT INTO accounts(instance, doc) VALUES(?1, ?2)",
	[ST_ACCOUNT_SET] = "UPDATE accounts SET instance = ?1, doc = ?2 WHERE seq = ?3",
	[ST_ACCOUNTS] =
	    "SELECT seq, instance, doc FROM accounts WHERE seq < ?2 ORDER BY seq DESC LIMIT ?1",
	[ST_META_GET] = "SELECT value FROM meta WHERE key = ?1",
	[ST_META_SET] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)",
};

/* Changing this needs a new STORE_VERSION and a step that brings old files up to it. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS docs(seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
    "  key TEXT NOT NULL, name TEXT, doc TEXT NOT NULL, UNIQUE(kind, key), UNIQUE(kind, name));"
    "CREATE TABLE IF NOT EXISTS claims(what TEXT NOT NULL, value TEXT NOT NULL,"
    "  instance TEXT NOT NULL, UNIQUE(what, value));"
    "CREATE INDEX IF NOT EXISTS claims_by_instance ON claims(instance);"
    "CREATE TABLE IF NOT EXISTS accounts(seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  instance TEXT NOT NULL, doc TEXT NOT NULL);";

struct store {
	sqlite3 *db;
	sqlite3_stmt *st[STATEMENTS];
	bool in_transaction;
	bool is_new;
	bool is_touched, has_news; /* by the open transaction; since store_news_done() */
};

static enum err_kind kind_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_FULL:
	case SQLITE_NOMEM:
	case SQLITE_IOERR: /* a full disk shows as a failed write, too */
		return ERR_LIMIT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	default:
		return ERR_INTERNAL;
	}
}

static struct err *failed(struct store *s, int code, const char *what)
{
	return err_new(kind_of(code), "store: %s: %s", what,
		       s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

static struct err *run_sql(struct store *s, const char *text)
{
	int r = sqlite3_exec(s->db, text, NULL, NULL, NULL);

	return r == SQLITE_OK ? NULL : failed(s, r, "set up");
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(st, at);
}

/* Run a statement that gives no rows. */
static struct err *finish(struct store *s, enum statement which, const char *what)
{
	sqlite3_stmt *st = s->st[which];
	int r = sqlite3_step(st);
	struct err *e = r == SQLITE_DONE || r == SQLITE_ROW ? NULL : failed(s, r, what);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return e;
}

static const char *column(sqlite3_stmt *st, int at)
{
	const unsigned char *text = sqlite3_column_text(st, at);

	return text ? (const char *)text : "";
}

static struct err *prepare_all(struct store *s)
{
	for (int i = 0; i < STATEMENTS; i++) {
		int r = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
					   NULL);

		if (r != SQLITE_OK)
			return failed(s, r, sql[i]);
	}
	return NULL;
}

static struct err *check_version(struct store *s)
{
	OWN(mem) char *version = store_meta_get(s, "version");
	char mine[16];

	snprintf(mine, sizeof(mine), "%d", STORE_VERSION);
	if (!version) {
		s->is_new = true;
		return store_meta_set(s, "version", mine);
	}
	if (atoi(version) > STORE_VERSION)
		return err_new(ERR_UNSUPPORTED,
			       "written by a newer hostel (version %s, this one reads %d)", version,
			       STORE_VERSION);
	return NULL;
}

/* Of what recovery reads; accounts may be many. */
static struct err *check_tables(struct store *s)
{
	static const char *const checks[] = { "PRAGMA quick_check(docs)",
					      "PRAGMA quick_check(claims)",
					      "PRAGMA quick_check(meta)" };

	for (size_t n = 0; n < ARRAY_SIZE(checks); n++) {
		sqlite3_stmt *st = NULL;
		int r = sqlite3_prepare_v2(s->db, checks[n], -1, &st, NULL);
		struct err *e = NULL;

		if (r == SQLITE_OK)
			r = sqlite3_step(st);
		if (r != SQLITE_ROW)
			e = failed(s, r, "check");
		else if (!streq(column(st, 0), "ok"))
			e = err_new(ERR_CORRUPT, "store: %.200s", column(st, 0));
		sqlite3_finalize(st);
		TRY(e);
	}
	return NULL;
}

static struct err *open_db(struct store *s, const char *path)
{
	int r = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (r != SQLITE_OK)
		return failed(s, r, "open");
	/* Exclusive: no shared-memory file, and a second daemon on the same root is told. */
	TRY(run_sql(s, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
		       "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;"
		       "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=1048576"));
	TRY(run_sql(s, "BEGIN IMMEDIATE; COMMIT"));
	TRY(run_sql(s, schema));
	TRY(prepare_all(s));
	TRY(check_tables(s));
	s->has_news = true;
	return check_version(s);
}

struct err *store_open(const char *path, struct store **ret)
{
	OWN(store) struct store *s = xnew(struct store);

	TRY_MSG(open_db(s, path), "%s", path);
	*ret = TAKE(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->in_transaction)
		err_free(store_commit(s));
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
}

bool store_is_new(const struct store *s)
{
	return s->is_new;
}

bool store_has_news(const struct store *s)
{
	return s->has_news;
}

void store_news_done(struct store *s)
{
	s->has_news = false;
}

static void touch(struct store *s, enum store_kind kind)
{
	s->is_touched |= kind == STORE_IMAGE || kind == STORE_REF || kind == STORE_VOLUME ||
			 kind == STORE_KERNEL;
}

struct err *store_begin(struct store *s)
{
	if (s->in_transaction)
		return NULL;
	TRY(finish(s, ST_BEGIN, "begin"));
	s->in_transaction = true;
	return NULL;
}

struct err *store_commit(struct store *s)
{
	struct err *e;

	if (!s->in_transaction)
		return NULL;
	e = finish(s, ST_COMMIT, "commit");
	if (e)
		store_rollback(s);
	s->in_transaction = false;
	s->has_news |= s->is_touched;
	s->is_touched = false;
	return e;
}

void store_rollback(struct store *s)
{
	if (s->in_transaction)
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->in_transaction = s->is_touched = false;
}

struct err *store_put(struct store *s, enum store_kind kind, const char *key, const char *name,
		      const json_t *doc)
{
	OWN(mem) char *text = jx_text(doc);

	touch(s, kind);
	sqlite3_bind_int(s->st[ST_PUT], 1, (int)kind);
	bind_text(s->st[ST_PUT], 2, key);
	bind_text(s->st[ST_PUT], 3, name);
	bind_text(s->st[ST_PUT], 4, text);
	return finish(s, ST_PUT, "put");
}

struct err *store_del(struct store *s, enum store_kind kind, const char *key)
{
	touch(s, kind);
	if (kind == STORE_INSTANCE)
		TRY(store_release(s, NULL, key));
	sqlite3_bind_int(s->st[ST_DEL], 1, (int)kind);
	bind_text(s->st[ST_DEL], 2, key);
	return finish(s, ST_DEL, "delete");
}

static struct err *parse_doc(const char *key, const char *text, json_t **ret)
{
	struct err *e = jx_parse(text, strlen(text), ret);

	if (!e)
		return NULL;
	err_free(e);
	return err_new(ERR_CORRUPT, "store: document of %s is damaged", key);
}

struct err *store_get(struct store *s, enum store_kind kind, const char *key, json_t **ret)
{
	sqlite3_stmt *st = s->st[ST_GET];
	struct err *e = NULL;
	int r;

	sqlite3_bind_int(st, 1, (int)kind);
	bind_text(st, 2, key);
	r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		e = parse_doc(key, column(st, 0), ret);
	else if (r == SQLITE_DONE)
		e = err_new(ERR_NOT_FOUND, "store: no %s", key);
	else
		e = failed(s, r, "get");
	sqlite3_reset(st);
	return e;
}

/*
 * Rows are copied out first: the callback may change the store, and a statement
 * that is being stepped would see it half-way.
 */
struct rows {
	struct strv cells;
	size_t width;
};

static struct err *collect(struct store *s, enum statement which, size_t width, struct rows *ret)
{
	sqlite3_stmt *st = s->st[which];
	struct err *e = NULL;
	int r;

	ret->width = width;
	while ((r = sqlite3_step(st)) == SQLITE_ROW)
		for (size_t i = 0; i < width; i++)
			strv_add(&ret->cells, column(st, (int)i));
	if (r != SQLITE_DONE)
		e = failed(s, r, "read");
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return e;
}

static void own_rows_release(struct rows *r)
{
	strv_done(&r->cells);
}

struct err *store_each(struct store *s, enum store_kind kind,
		       struct err *(*fn)(void *arg, const char *key, const json_t *doc), void *arg)
{
	OWN(rows) struct rows rows = { 0 };

	sqlite3_bind_int(s->st[ST_EACH], 1, (int)kind);
	TRY(collect(s, ST_EACH, 2, &rows));
	for (size_t i = 0; i < rows.cells.n; i += 2) {
		OWN(json) json_t *doc = NULL;

		TRY(parse_doc(rows.cells.v[i], rows.cells.v[i + 1], &doc));
		TRY(fn(arg, rows.cells.v[i], doc));
	}
	return NULL;
}

static struct err *holder_of(struct store *s, const char *what, const char *value, char **ret)
{
	sqlite3_stmt *st = s->st[ST_HOLDER];

	bind_text(st, 1, what);
	bind_text(st, 2, value);
	if (sqlite3_step(st) == SQLITE_ROW)
		*ret = xstrdup(column(st, 0));
	sqlite3_reset(st);
	return *ret ? NULL : err_new(ERR_INTERNAL, "store: claim of %s %s vanished", what, value);
}

struct err *store_claim(struct store *s, const char *what, const char *value, const char *instance,
			char **ret_holder)
{
	OWN(mem) char *holder = NULL;
	sqlite3_stmt *st = s->st[ST_CLAIM];

	bind_text(st, 1, what);
	bind_text(st, 2, value);
	bind_text(st, 3, instance);
	TRY(finish(s, ST_CLAIM, "claim"));
	TRY(holder_of(s, what, value, &holder));
	if (streq(holder, instance))
		return NULL;
	if (ret_holder)
		*ret_holder = xstrdup(holder);
	return err_new(ERR_EXISTS, "%s %s is held by instance %.12s", what, value, holder);
}

struct err *store_release(struct store *s, const char *what, const char *instance)
{
	bind_text(s->st[ST_RELEASE], 1, what);
	bind_text(s->st[ST_RELEASE], 2, instance);
	return finish(s, ST_RELEASE, "release");
}

struct err *store_release_one(struct store *s, const char *what, const char *value,
			      const char *instance)
{
	bind_text(s->st[ST_RELEASE_ONE], 1, what);
	bind_text(s->st[ST_RELEASE_ONE], 2, value);
	bind_text(s->st[ST_RELEASE_ONE], 3, instance);
	return finish(s, ST_RELEASE_ONE, "release");
}

struct err *store_each_claim(struct store *s, const char *what,
			     struct err *(*fn)(void *arg, const char *value, const char *instance),
			     void *arg)
{
	OWN(rows) struct rows rows = { 0 };

	bind_text(s->st[ST_CLAIMS], 1, what);
	TRY(collect(s, ST_CLAIMS, 2, &rows));
	for (size_t i = 0; i < rows.cells.n; i += 2)
		TRY(fn(arg, rows.cells.v[i], rows.cells.v[i + 1]));
	return NULL;
}

struct err *store_account_put(struct store *s, int64_t seq, const char *instance, const json_t *doc,
			      int64_t *ret_seq)
{
	enum statement which = seq ? ST_ACCOUNT_SET : ST_ACCOUNT_NEW;
	OWN(mem) char *text = jx_text(doc);

	bind_text(s->st[which], 1, instance);
	bind_text(s->st[which], 2, text);
	if (seq)
		sqlite3_bind_int64(s->st[which], 3, seq);
	TRY(finish(s, which, "account"));
	if (ret_seq)
		*ret_seq = seq ? seq : sqlite3_last_insert_rowid(s->db);
	return NULL;
}

struct err *store_each_account(struct store *s, int64_t before, int64_t limit,
			       struct err *(*fn)(void *arg, int64_t seq, const char *instance,
						 const json_t *doc),
			       void *arg)
{
	OWN(rows) struct rows rows = { 0 };

	sqlite3_bind_int64(s->st[ST_ACCOUNTS], 1, limit ? limit : -1);
	sqlite3_bind_int64(s->st[ST_ACCOUNTS], 2, before ? before : INT64_MAX);
	TRY(collect(s, ST_ACCOUNTS, 3, &rows));
	for (size_t i = 0; i < rows.cells.n; i += 3) {
		OWN(json) json_t *doc = NULL;

		TRY(parse_doc(rows.cells.v[i], rows.cells.v[i + 2], &doc));
		TRY(fn(arg, atoll(rows.cells.v[i]), rows.cells.v[i + 1], doc));
	}
	return NULL;
}

char *store_meta_get(struct store *s, const char *key)
{
	sqlite3_stmt *st = s->st[ST_META_GET];
	char *value = NULL;

	bind_text(st, 1, key);
	if (sqlite3_step(st) == SQLITE_ROW)
		value = xstrdup(column(st, 0));
	sqlite3_reset(st);
	return value;
}

struct err *store_meta_set(struct store *s, const char *key, const char *value)
{
	s->is_touched = true;
	bind_text(s->st[ST_META_SET], 1, key);
	bind_text(s->st[ST_META_SET], 2, value);
	return finish(s, ST_META_SET, "set");
}

json_t *store_meta_json(struct store *s, const char *key)
{
	OWN(mem) char *text = store_meta_get(s, key);

	return text ? json_loads(text, 0, NULL) : NULL;
}

struct err *store_meta_json_set(struct store *s, const char *key, const json_t *doc)
{
	OWN(mem) char *text = jx_text(doc);

	TRY(store_begin(s));
	return store_meta_set(s, key, text);
}
