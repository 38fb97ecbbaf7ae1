/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_ENTRY_H
#define SHIM_ENTRY_H

/*
 * One entry of a json-file log, in Docker's form:
 *
 *	{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"}\n
 *
 * Text that ends without \n is a part: the next entry of the stream goes on with
 * it.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/defs.h"
#include "util/str.h"

/* Most text in one entry, and so most bytes of an entry: each may become \u00XX. */
#define ENTRY_TEXT_MAX (16 * 1024)
#define ENTRY_MAX      (ENTRY_TEXT_MAX * 6 + 128)

struct entry {
	int stream; /* SHIM_STDOUT or SHIM_STDERR */
	char *text; /* inside the line that was parsed */
	size_t len;
	int64_t time_ns; /* wall clock */
};

/** entry_escape() - append bytes as the inside of a JSON string; no UTF-8 becomes U+FFFD */
void entry_escape(struct str *out, const char *text, size_t len);

/** entry_write() - append one entry as a line; @when: clock_rfc3339() */
void entry_write(struct str *out, int stream, const char *text, size_t len, const char *when);

/**
 * entry_parse() - read one line
 * @line, @len: without its \n; changed: the text is decoded in place
 * Return: is it an entry?
 */
bool entry_parse(char *line, size_t len, struct entry *ret) MUST_USE;

/**
 * entry_cut() - where to cut a text that is too long for one entry
 * Return: at most @max, and not inside a UTF-8 sequence when that can be avoided.
 */
size_t entry_cut(const char *text, size_t max);

#endif
