/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_TEST_H
#define UTIL_TEST_H

/*
 * What every unit test includes: cmocka, and two assertions for functions that
 * return struct err *.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/defs.h"
#include "util/err.h"

/** assert_ok() - a fallible call that must succeed; prints the error if not */
#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct err *e_ = (call);                                                           \
		if (e_)                                                                            \
			fail_msg("%s: %s [%s]", #call, err_text(e_), err_trace(e_));               \
	} while (0)

/** assert_err() - a fallible call that must fail with one kind; frees the error */
#define assert_err(call, want)                                                                     \
	do {                                                                                       \
		struct err *e_ = (call);                                                           \
		if (!e_)                                                                           \
			fail_msg("%s succeeded, expected %s", #call, #want);                       \
		if (err_kind(e_) != (want))                                                        \
			fail_msg("%s: wrong kind: %s", #call, err_text(e_));                       \
		err_free(e_);                                                                      \
	} while (0)

#endif
