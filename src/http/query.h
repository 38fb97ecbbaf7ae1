/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

/*
 * Request targets: percent-decoding, query strings, and the route table's patterns.
 * Pure; foreign bytes in, owned strings out.
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

/* Decoded pairs in order of appearance; a key may come more than once. */
struct http_query {
	struct strv keys, values; /* same length */
};

/**
 * http_decode() - undo percent-encoding
 * @plus_is_space: as in a query string
 * Return: owned text; a "%" that no two hex digits follow, and "%00", stay as they are.
 */
char *http_decode(const char *text, size_t len, bool plus_is_space);

/** http_query_parse() - "a=1&b" without the leading "?"; never fails */
void http_query_parse(const char *text, struct http_query *ret);
/** http_query_done() - free all; empty again */
void http_query_done(struct http_query *q);

/** http_query_find() - first value of @key, or NULL; borrowed */
const char *http_query_find(const struct http_query *q, const char *key);

#define HTTP_PARAMS_MAX 3

/* What the {parts} of a pattern matched. */
struct http_params {
	const char *names[HTTP_PARAMS_MAX]; /* borrowed from the pattern, up to '}' or '*' */
	char *values[HTTP_PARAMS_MAX];      /* owned, decoded */
	size_t n;
};

/**
 * http_match() - does a path match a pattern?
 * @pattern: "/containers/{id}/json"; "{x}" is one segment, "{x*}" one or more segments
 * @path:    as sent, without query, still percent-encoded
 * @ret:     zeroed by the caller; filled on success
 */
bool http_match(const char *pattern, const char *path, struct http_params *ret);
/** http_params_done() - free all; empty again */
void http_params_done(struct http_params *p);

/** http_params_get() - value of a {part}, or NULL; borrowed */
const char *http_params_get(const struct http_params *p, const char *name);

#endif
