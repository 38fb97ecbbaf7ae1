/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_SNAPSHOT_H
#define ENGINE_SNAPSHOT_H

/*
 * Snapshots: instances/ID/snapshots/NAME, each a folder with a header, its disk and, when it is a
 * stateful one, what its backend wrote of all that ran (docs/protocols.md, "Snapshots").  The
 * folders are all there is to know of them: a lost store loses none, and they go with their
 * instance.
 *
 *	snapshot.c          making one, checkpoints
 *	snapshot_store.c    what there is; names, headers, removal
 *	snapshot_disk.c     the files of an instance's disk; taking them over from a folder
 *	snapshot_restore.c  in place, as a new instance, forks
 *	snapshot_file.c     out to a file and in again; backups
 */

#include "engine/operation.h"

/* ---- snapshot_store.c ---- */

/** snapshot_path() - of one, or with @name NULL of all of an instance's; owned by the caller */
char *snapshot_path(const struct instance *i, const char *name);

/** snapshot_header() - ERR_NOT_FOUND "web has no snapshot x"; ERR_CORRUPT; new reference */
struct err *snapshot_header(const struct instance *i, const char *name, json_t **ret) MUST_USE;

/** snapshot_check_name() - ERR_INVALID */
struct err *snapshot_check_name(const char *name) MUST_USE;

/** snapshot_is_there() */
bool snapshot_is_there(const struct instance *i, const char *name);

/** snapshot_free_name() - @base with the first number that is free; owned by the caller */
char *snapshot_free_name(const struct instance *i, const char *base);

/** snapshot_newest_state() - name of the newest stateful one; NULL: none; owned by the caller */
char *snapshot_newest_state(const struct instance *i);

/** snapshot_json() - a header as lists show it; new reference */
json_t *snapshot_json(const json_t *header);

/** snapshot_emit() - an event of its instance */
void snapshot_emit(struct instance *i, const char *action, const char *name);

/* ---- snapshot.c ---- */

/** snapshot_check() - can one of this kind be made of it now? */
struct err *snapshot_check(const struct instance *i, bool stateful) MUST_USE;

/** snapshot_make() - the first step of making op->name; op->made is called when it is there */
operation_step snapshot_make;

/** snapshot_gather() - the same without a name and checksums: op->tmp is the snapshot */
void snapshot_gather(struct engine_operation *op, operation_step *gathered);

/* ---- snapshot_disk.c ---- */

/** snapshot_disk_files() - files beside rw/ that its disk may be made of */
void snapshot_disk_files(const struct instance *i, struct strv *ret);

/** snapshot_disk_sources() - what is copied: [{"path", "name"}]; new reference */
json_t *snapshot_disk_sources(const struct instance *i);

/**
 * snapshot_take_over() - what lies in a folder becomes the instance's disk, whole or not at all
 * @staged: below ROOT/tmp; its name is gone afterwards
 */
struct err *snapshot_take_over(struct instance *i, const char *staged) MUST_USE;

#endif
