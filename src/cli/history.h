/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HISTORY_H
#define CLI_HISTORY_H

#include "cli/cli.h"

/** history_look() - hostel simulate --check-log FILE, or --what-if LIST */
struct err *history_look(struct cli *c, const struct args *a) MUST_USE;

#endif
