/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_STR_H
#define UTIL_STR_H

/*
 * Growable byte strings and lists of strings.  Low-level: do not add functions
 * that know higher-level things.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/defs.h"

/* Always NUL-terminated once anything was added; { 0 } is an empty one. */
struct str {
	char *buf; /* NULL while empty */
	size_t len;
	size_t cap;
};

/** str_add() - append @n bytes */
void str_add(struct str *s, const void *data, size_t n);

/** str_adds() - append a C string */
void str_adds(struct str *s, const char *text);

/** str_addf() - append formatted text */
void str_addf(struct str *s, const char *fmt, ...) PRINTF(2, 3);

/** str_drop() - remove the first @n bytes (at most all) */
void str_drop(struct str *s, size_t n);

/** str_done() - free the content; the object is empty again */
void str_done(struct str *s);

/** str_take() - move the content out (never NULL); the object is empty again */
char *str_take(struct str *s);

static inline void own_str_release(struct str *s)
{
	str_done(s);
}

/* A list of owned strings, NULL-terminated whenever v is not NULL. */
struct strv {
	char **v;
	size_t n;
};

/** strv_add() - append a copy of @s */
void strv_add(struct strv *l, const char *s);

/** strv_addf() - append a formatted string */
void strv_addf(struct strv *l, const char *fmt, ...) PRINTF(2, 3);

/** strv_copy() - append copies of all of @from */
void strv_copy(struct strv *l, const struct strv *from);

/** strv_has() - is @s in the list? */
bool strv_has(const struct strv *l, const char *s);

/** strv_done() - free all; the list is empty again */
void strv_done(struct strv *l);

static inline void own_strv_release(struct strv *l)
{
	strv_done(l);
}

/* A list of owned key=value pairs in order of first insertion. */
struct strmap {
	struct strpair {
		char *key;
		char *value;
	} * v;
	size_t n;
};

/** strmap_set() - set @key to a copy of @value, replacing an older value */
void strmap_set(struct strmap *m, const char *key, const char *value);

/** strmap_get() - value of @key or NULL; borrowed until the map changes */
const char *strmap_get(const struct strmap *m, const char *key);

/** strmap_copy() - set all of @from in @m */
void strmap_copy(struct strmap *m, const struct strmap *from);

/** strmap_done() - free all; the map is empty again */
void strmap_done(struct strmap *m);

#endif
