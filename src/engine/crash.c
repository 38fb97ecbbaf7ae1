/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/mem.h"

/* The names tests use; one per boundary between two phases. */
static const char *const names[] = {
	[CRASH_CREATE_FOLDER] = "create-folder",
	[CRASH_CREATE_COMMIT] = "create-commit",
	[CRASH_QUEUED] = "queued",
	[CRASH_PREPARING] = "preparing",
	[CRASH_CLAIMED] = "claimed",
	[CRASH_PLANNED] = "planned",
	[CRASH_STARTING] = "starting",
	[CRASH_SPAWNED] = "spawned",
	[CRASH_CONNECTED] = "connected",
	[CRASH_START_SENT] = "start-sent",
	[CRASH_STARTED] = "started",
	[CRASH_RUNNING] = "running",
	[CRASH_STOPPING] = "stopping",
	[CRASH_STOP_SENT] = "stop-sent",
	[CRASH_PAUSED] = "paused",
	[CRASH_EXEC] = "exec",
	[CRASH_EXEC_SENT] = "exec-sent",
	[CRASH_EXEC_STARTED] = "exec-started",
	[CRASH_EXEC_EXITED] = "exec-exited",
	[CRASH_EXITED] = "exited",
	[CRASH_EXIT_COMMIT] = "exit-commit",
	[CRASH_REMOVING] = "removing",
	[CRASH_REMOVE] = "remove",
	[CRASH_REMOVED] = "removed",
	[CRASH_SNAPSHOT_STILL] = "snapshot-still",
	[CRASH_SNAPSHOT_COPIED] = "snapshot-copied",
	[CRASH_SNAPSHOT_SEALED] = "snapshot-sealed",
	[CRASH_SNAPSHOT_MADE] = "snapshot-made",
	[CRASH_RESTORE_STAGED] = "restore-staged",
	[CRASH_RESTORE_DUE] = "restore-due",
	[CRASH_RESTORE_HALF] = "restore-half",
	[CRASH_HANDOVER_SENDING] = "handover-sending",
	[CRASH_HANDOVER_ABORTING] = "handover-aborting",
	[CRASH_HANDOVER_GIVEN] = "handover-given",
	[CRASH_HANDOVER_GONE] = "handover-gone",
	[CRASH_HANDOVER_RECEIVING] = "handover-receiving",
	[CRASH_HANDOVER_PREPARED] = "handover-prepared",
	[CRASH_HANDOVER_TAKEN] = "handover-taken",
	[CRASH_HANDOVER_ABSENT] = "handover-absent",
};
static_assert(ARRAY_SIZE(names) == CRASH_PHASES, "each phase has a name");

enum crash_phase crash_parse(const char *name)
{
	enum crash_phase p = 0;

	while (p < CRASH_PHASES && !streq(names[p], name))
		p++;
	return p;
}

void crash_after_commit(struct engine *e, enum crash_phase phase)
{
	if (e->crash_at == phase)
		e->crash_is_due = true;
}

void crash_if_due(const struct engine *e)
{
	if (e->crash_is_due)
		_exit(137);
}

void crash_point(struct engine *e, enum crash_phase phase)
{
	if (e->crash_at == phase)
		_exit(137);
}
