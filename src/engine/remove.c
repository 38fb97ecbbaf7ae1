/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removal: the folder goes to tmp/ under another name, the row goes, the client is
 * answered; the files are deleted afterwards, a few at once here, many by a worker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define SWEEP_ENTRIES  64        /* more than these are a worker's job */
#define SWEEP_BYTES    (1 << 20) /* and so are big files */
#define SWEEP_LATER_NS (20 * INT64_C(1000000))
#define SWEEP_DEPTH    6

/* ---- trash ---- */

static void on_sweep(void *arg)
{
	trash_sweep(arg);
}

void trash_put(struct engine *e, const char *path)
{
	quota_release(e, path);
	trash_put_alone(e, path);
}

void trash_put_alone(struct engine *e, const char *path)
{
	char id[65];

	engine_random_id(id);
	OWN(mem) char *to = engine_path(e, "tmp/trash-%.24s", id);

	if (rename(path, to) < 0) {
		if (errno != ENOENT)
			log_warn("%s: %s", path, strerror(errno));
		return;
	}
	strv_add(&e->trash, to);
	trash_later(e);
}

void trash_later(struct engine *e)
{
	if (!e->sweep)
		e->sweep = loop_timer_new(e->loop, on_sweep, e);
	if (!e->is_sweeping)
		loop_timer_start(e->sweep, SWEEP_LATER_NS); /* after the answer */
}

/* One entry of a folder; false: too much for here. */
static bool sweep_entry(int dir, const char *name, int *budget, int depth);

static bool sweep_folder(int dir, const char *name, int *budget, int depth)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool ok = d && depth > 0;

	while (ok && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ok = sweep_entry(dirfd(d), entry->d_name, budget, depth - 1);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return ok && unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

static bool sweep_entry(int dir, const char *name, int *budget, int depth)
{
	struct stat st;

	if (--*budget < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return sweep_folder(dir, name, budget, depth);
	if (st.st_blocks * 512 > SWEEP_BYTES)
		return false;
	return unlinkat(dir, name, 0) == 0;
}

static void on_swept(void *arg, struct err *err, const json_t *result)
{
	struct engine *e = arg;

	if (err)
		log_warn("trash: %s", err_text(err)); /* recovery tries again */
	err_free(err);
	e->is_sweeping = false;
	trash_sweep(e);
}

static bool sweep_by_worker(struct engine *e, const char *path)
{
	struct err *err = job_simple(e, json_pack("{s:s, s:s}", "job", "remove-tree", "path", path),
				     (struct engine_done) { on_swept, e }, NULL);

	if (err)
		log_warn("trash: %s", err_text(err));
	e->is_sweeping = !err;
	err_free(err);
	return e->is_sweeping;
}

void trash_sweep(struct engine *e)
{
	while (e->trash.n && !e->is_sweeping) {
		OWN(mem) char *path = e->trash.v[--e->trash.n];
		int budget = SWEEP_ENTRIES;

		e->trash.v[e->trash.n] = NULL;
		if (!sweep_entry(AT_FDCWD, path, &budget, SWEEP_DEPTH))
			sweep_by_worker(e, path);
	}
}

/* ---- instances ---- */

static const char *const run_files[] = { "lock", "shim.sock", "started" };

static void remove_run_dir(const struct instance *i)
{
	for (size_t n = 0; n < ARRAY_SIZE(run_files); n++) {
		OWN(mem) char *path = xasprintf("%s/%s", i->run_dir, run_files[n]);

		unlink(path);
	}
	rmdir(i->run_dir);
}

/* Disks of its own that lie elsewhere are none of ours: what is ours is in the folder. */
void remove_now(struct instance *i)
{
	struct engine *e = i->e;

	operation_give_way(i);
	if (i->filevm) {
		i->is_removing = true; /* it comes back here */
		filevm_end(i);
		return;
	}
	if (instance_step(i, EV_REMOVE) != ACT_DELETE)
		return;
	migrate_removed(i);
	if (i->spec->auto_remove || i->remove_volumes)
		volumes_release(i);
	after_ended(i);
	trash_put(e, i->state_dir);
	crash_point(e, CRASH_REMOVE);
	remove_run_dir(i);
	if (store_begin(e->store) == NULL) {
		err_free(store_del(e->store, STORE_INSTANCE, i->id));
		err_free(store_del(e->store, STORE_RUN, i->id));
	}
	i->run_dirty = i->spec_dirty = false;
	instance_emit(i, "destroy", NULL);
	waits_removed(i);
	tickets_succeed(i, TICKET_REMOVE);
	queue_leave(i);
	crash_after_commit(e, CRASH_REMOVED);
	instance_bury(i);
	engine_dirty(e);
}

static struct err *refuse_alive(const struct instance *i)
{
	bool is_paused = i->freeze.reasons & (1U << FREEZE_USER);

	return err_new(ERR_STATE,
		       is_paused
			   ? "cannot remove container \"/%s\": container is paused and must be "
			     "unpaused first"
			   : "cannot remove container \"/%s\": container is running: stop the "
			     "container before removing or force remove",
		       i->spec->name);
}

struct err *engine_remove(struct engine *e, struct instance *i, bool force, bool volumes,
			  struct engine_done done)
{
	if (instance_is_alive(i) && !force)
		return refuse_alive(i);
	operation_give_way(i);
	if (!force)
		TRY(migrate_is_still(i));
	i->remove_volumes |= volumes;
	ticket_new(e, i, TICKET_REMOVE, done);
	if (instance_is_waiting(i))
		start_withdraw(i, "withdrawn: removed while it waited");
	if (i->state == INST_REMOVED)
		return NULL; /* --rm: the withdrawal did it */
	if (!instance_is_alive(i)) {
		if (force)
			filevm_kill(i);
		remove_now(i);
		return NULL;
	}
	i->is_removing = true;
	i->restart_asked = false;
	return engine_kill(e, i, "KILL");
}
