/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

/*
 * What every fuzz target includes.  A target is one file with LLVMFuzzerTestOneInput(); linked
 * with libFuzzer (meson -Dfuzz=true) it searches, linked with replay.c it is a unit test that
 * replays tests/fuzz/corpus/NAME/.  What must hold is said by check().
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** check() - also in builds without assert() */
#define check(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what);       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/** fuzz_text() - the input as a C string (cut at its first NUL), owned by the caller */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = xcalloc(1, size + 1);

	memcpy(text, data, size);
	return text;
}

/** fuzz_copy() - a copy of exactly the input's size, so that ASan sees each byte beyond it */
static inline char *fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	return copy;
}

#endif
