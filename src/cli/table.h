/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

/*
 * Columns of text, as wide as their widest cell, and values as people read them.
 */

#include <stdint.h>
#include <stdio.h>

#include "util/defs.h"

struct table;

/** table_new() - @headings: NULL-terminated, borrowed */
struct table *table_new(const char *const *headings);
void table_free(struct table *t);
DEFINE_OWN(table, table_free)

/** table_cell() - the next cell, row by row; control characters are shown as '?' */
void table_cell(struct table *t, const char *fmt, ...) PRINTF(2, 3);

/** table_print() - headings and rows */
void table_print(const struct table *t, FILE *out);

/** text_age() - "5 s", "3 min", "2 h", "4 d" from @ns; @buf: at least 24 bytes */
const char *text_age(int64_t ns, char *buf);

/** text_cpus() - thousandths as "0.5" or "2"; @buf: at least 24 bytes */
const char *text_cpus(int64_t milli, char *buf);

#endif
