/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

/*
 * JSON on jansson: owning variables, lenient getters for documents we wrote
 * ourselves, and strict tables (json/fields.h) for what others wrote.
 *
 * Context: any process; no global state.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

/** own_json_release() - for OWN(json) json_t *j = NULL */
static inline void own_json_release(json_t **slot)
{
	json_decref(*slot);
}

/**
 * jx_parse() - parse one document from memory
 * @text, @len: UTF-8 bytes, need not be NUL-terminated
 * @ret:        new reference
 * Return: NULL, or ERR_INVALID with line and column; duplicate keys, more than
 *         one document and nesting over jansson's limit (2048) are refused.
 */
struct err *jx_parse(const char *text, size_t len, json_t **ret) MUST_USE;

/**
 * jx_load() - parse a small file (at most 16 MiB)
 * @dirfd: directory or AT_FDCWD
 */
struct err *jx_load(int dirfd, const char *path, json_t **ret) MUST_USE;

/**
 * jx_read() - parse all that a blocking descriptor gives
 * @max:  bytes; more are ERR_INVALID "the NAME is too long"
 * @name: what it is, "job": in every error
 */
struct err *jx_read(int fd, size_t max, const char *name, json_t **ret) MUST_USE;

/** jx_save() - write a document by fd_write_file(), indented by one tab-free space */
struct err *jx_save(int dirfd, const char *path, const json_t *j, unsigned mode) MUST_USE;

/** jx_text() - compact text, keys in insertion order; owned by the caller, never NULL */
char *jx_text(const json_t *j);

/** jx_str() - string member of an object, or @fallback when absent or no string; borrowed */
const char *jx_str(const json_t *obj, const char *key, const char *fallback);

/** jx_int() - integer member (a real is cut), or @fallback */
int64_t jx_int(const json_t *obj, const char *key, int64_t fallback);

/** jx_bool() - boolean member, or @fallback */
bool jx_bool(const json_t *obj, const char *key, bool fallback);

/** jx_strv() - append the strings of an array member to @l; absent is empty */
void jx_strv(const json_t *obj, const char *key, struct strv *l);

/** jx_from_strv() - new array of strings */
json_t *jx_from_strv(const struct strv *l);

/** jx_from_map() - new object of strings */
json_t *jx_from_map(const struct strmap *m);

/** jx_set_str() - set a string member; NULL sets null */
void jx_set_str(json_t *obj, const char *key, const char *value);

/** jx_string() - a new JSON string; bytes that are no UTF-8 become U+FFFD */
json_t *jx_string(const char *s);

#endif
