/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

/*
 * Progress of pull, push, load and import: one line per layer, renewed in place on a terminal;
 * one line per finished step otherwise.
 */

#include <stdbool.h>

#include "util/defs.h"

struct progress;

/**
 * progress_new() - nothing shown yet
 * @fd:       1 or 2
 * @is_quiet: show nothing
 */
struct progress *progress_new(int fd, bool is_quiet);
void progress_free(struct progress *p);
DEFINE_OWN(progress, progress_free)

/** progress_message() - take one message of hosteld; @p: struct progress */
void progress_message(void *p, const char *message_json);

#endif
