/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_RECORD_H
#define SHIM_RECORD_H

/*
 * What a shim leaves on disk about its run: exit.json in the state folder (or failed.json,
 * when the start failed), and the empty file "started" in the run folder.  The daemon
 * writes exit.json for a shim that was killed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define RECORD_EXIT    "exit.json"
#define RECORD_FAILED  "failed.json"
#define RECORD_STARTED "started"

struct exit_record {
	int code;
	bool oom;
	const char *text;                /* a note, "" for none */
	int64_t started_ns, finished_ns; /* wall clock */
};

/** record_write_exit() - renamed into place: it is whole, or not there */
struct err *record_write_exit(const char *state_dir, const struct exit_record *r) MUST_USE;

/** record_write_failure() - the start failed and is undone: {"version":1,"kind":5,"text":"…"} */
struct err *record_write_failure(const char *state_dir, enum err_kind kind,
				 const char *text) MUST_USE;

/** record_clear() - forget those of an earlier run */
void record_clear(const char *state_dir, const char *run_dir);

/** record_write_started() - the payload's exec succeeded */
struct err *record_write_started(const char *run_dir) MUST_USE;

#endif
