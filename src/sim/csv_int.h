/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_CSV_INT_H
#define SIM_CSV_INT_H

#include "sim/read_int.h"

/** csv_cell() - the cell at *@at, unquoted in place, NUL-terminated; *@at: the next, or NULL */
char *csv_cell(char **at, const char *end);

#endif
