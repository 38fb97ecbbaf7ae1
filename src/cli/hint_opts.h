/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HINT_OPTS_H
#define CLI_HINT_OPTS_H

/* What is said beforehand about a run, for create and run, and for vm create: labels hostel.*. */

#include "cli/opt.h"

extern const struct opt_table hint_options;

/** hint_labels_move() - from where they stand in Docker's request to where they stand in ours */
void hint_labels_move(json_t *doc);

#endif
