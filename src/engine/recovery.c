/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash-only: what the store says, against what lives.  Life is a lock: held means that
 * a shim lives and is asked; free means that its exit record counts, or else undo.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "net/plan.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define RESTARTED "withdrawn: hosteld was restarted while its client waited"

#define COLLECT_NS (24 * 3600 * INT64_C(1000000000)) /* a failed pull is tried again by then */

/* ---- boot id ---- */

static struct err *boot_changed(struct engine *e, bool *ret)
{
	const char *simulated = getenv("HOSTEL_BOOT_ID"); /* tests */
	OWN(mem) char *before = store_meta_get(e->store, "boot_id");

	if (simulated)
		e->boot_id = xstrdup(simulated);
	else
		TRY(fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &e->boot_id));
	e->boot_id[strcspn(e->boot_id, "\n")] = '\0';
	*ret = before && !streq(before, e->boot_id);
	TRY(store_begin(e->store));
	return store_meta_set(e->store, "boot_id", e->boot_id);
}

/* ---- folders ---- */

static bool is_dotted(const char *name)
{
	return *name == '.';
}

static void trash_half_made(struct engine *e)
{
	OWN(mem) char *tmp = engine_path(e, "tmp");
	DIR *d = opendir(tmp);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (!is_dotted(entry->d_name))
			strv_addf(&e->trash, "%s/%s", tmp, entry->d_name);
	if (d)
		closedir(d);
}

/* ---- a store that was lost: each folder has its spec ---- */

static struct err *load_file(const struct instance *i, const char *name, json_t **ret)
{
	OWN(mem) char *path = xasprintf("%s/%s", i->state_dir, name);

	return jx_load(AT_FDCWD, path, ret);
}

/* How its last run ended, by the shim's word; false: it said nothing. */
static bool adopt_end(struct instance *i)
{
	OWN(json) json_t *j = NULL;
	OWN(err) struct err *err = load_file(i, "exit.json", &j);
	OWN(err) struct err *fail = err ? load_file(i, "failed.json", &j) : NULL;

	if (err && fail)
		return false;
	i->state = INST_EXITED;
	i->ever_ran |= !err;
	str_set(&i->error, jx_str(j, "text", ""));
	i->exit_code = err ? start_failure_code(i->error) : (int)jx_int(j, "code", 137);
	i->oom = jx_bool(j, "oom", false);
	i->started_ns = jx_int(j, "started_ns", i->started_ns);
	i->finished_ns = jx_int(j, "finished_ns", i->finished_ns);
	return true;
}

/* What its row said: as it was at its last start, or at a later change of that. */
static struct err *find_run(const char *state_dir, json_t **ret)
{
	OWN(mem) char *later = xasprintf("%s/run.json", state_dir);
	OWN(mem) char *path = xasprintf("%s/plan.json", state_dir);
	OWN(json) json_t *plan = NULL;
	OWN(err) struct err *err = jx_load(AT_FDCWD, later, ret);

	if (!err)
		return NULL;
	err_free(TAKE(err));
	err = jx_load(AT_FDCWD, path, &plan);
	*ret = json_incref(json_object_get(plan, "run"));
	return err && err_kind(err) != ERR_NOT_FOUND ? TAKE(err) : NULL;
}

/* Its last run ended by itself, and nobody is left of it. */
static void adopt_dead(struct instance *i)
{
	OWN(mem) char *started = xasprintf("%s/started", i->run_dir);

	if (adopt_end(i)) {
		free(TAKE(i->ends));
		i->n_ends = 0;
		instance_ports_free(i);
	} else if (instance_is_alive(i) && !i->account.start_ns && access(started, F_OK) == 0)
		i->account.start_ns = i->started_ns = i->account.admission_ns;
}

static struct err *adopt(struct engine *e, const char *id)
{
	OWN(mem) char *folder = engine_path(e, "instances/%s", id);
	OWN(mem) char *path = xasprintf("%s/spec.json", folder);
	OWN(json) json_t *doc = NULL;
	OWN(json) json_t *run = NULL;
	OWN(fd) int lock = -1;
	struct instance *i;

	TRY(jx_load(AT_FDCWD, path, &doc));
	TRY(find_run(folder, &run));
	TRY(instance_read(e, id, doc, run, &i));
	if (!i->spec->name || instance_by_name(e, i->spec->name) != i) {
		instance_bury(i);
		return err_new(ERR_CORRUPT, "no name of its own");
	}
	i->spec_dirty = true;
	instance_touch(i);
	TRY(shimlink_lock(i, &lock));
	if (lock >= 0)
		adopt_dead(i);
	claim_again(i);
	return NULL;
}

static bool adopted(struct engine *e, const char *id)
{
	OWN(err) struct err *err = NULL;

	if (!e->is_new_store || strlen(id) != 64)
		return false;
	err = adopt(e, id);
	log_info("recovery: %.12s: %s", id, err ? err_text(err) : "taken over from its folder");
	return !err;
}

/* Folders of instances that were never committed, or whose row is gone already. */
static void trash_unknown(struct engine *e)
{
	OWN(mem) char *path = engine_path(e, "instances");
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (is_dotted(entry->d_name) || instance_by_id(e, entry->d_name) ||
		    adopted(e, entry->d_name))
			continue;
		OWN(mem) char *folder = xasprintf("%s/%s", path, entry->d_name);

		log_info("recovery: %.12s has no row: deleted", entry->d_name);
		trash_put(e, folder);
	}
	if (d)
		closedir(d);
}

/* ---- loading ---- */

static struct err *load_one(void *arg, const char *key, const json_t *doc)
{
	struct engine *e = arg;
	OWN(json) json_t *run = NULL;
	struct instance *i;
	struct stat st;

	err_free(store_get(e->store, STORE_RUN, key, &run));
	TRY_MSG(instance_read(e, key, doc, run, &i), "%.12s", key);
	/* Removal moves the folder first: finish it. */
	if (stat(i->state_dir, &st) < 0) {
		i->is_removing = true;
		i->state = i->ever_ran ? INST_EXITED : INST_CREATED;
	}
	i->durable |= i->restart_asked; /* who asked for it is gone; it comes up all the same */
	return NULL;
}

/* ---- one instance ---- */

static void requeue(struct instance *i)
{
	after_arrive(i);
	queue_arrive_again(i);
	i->account.admission_ns = i->account.start_ns = i->account.finish_ns = 0;
	instance_touch(i);
}

static void recover_waiting(struct instance *i)
{
	int64_t left = i->not_before_ns - clock_wall_ns();

	if (i->not_before_ns) {
		queue_adopt(i);
		exits_back_off(i, left > 0 ? left : 0);
	} else if (i->durable) {
		requeue(i);
	} else {
		start_withdraw(i, RESTARTED);
	}
}

/* The start of a queued one goes on; a held one's client is gone. */
static void recover_unstarted(struct instance *i)
{
	queue_adopt(i);
	i->requeue = i->durable;
	shimlink_undo(i, RESTARTED);
}

/* What lives of it, and what it wrote, is of the last run, whose end is known. */
static void recover_over(struct instance *i)
{
	queue_adopt(i);
	filevm_recover(i);
	if (!i->durable || i->state != INST_STARTING) {
		start_failed(i, ERR_UNAVAILABLE, RESTARTED);
		return;
	}
	i->start_wanted = true;
	shimlink_wait(i);
}

static void recover_dead(struct instance *i)
{
	queue_adopt(i);
	if (exits_from_file(i))
		return;
	if (i->state == INST_STARTING || (i->state == INST_STOPPING && !i->account.start_ns))
		recover_unstarted(i);
	else
		shimlink_undo(i, "supervisor died");
}

static void recover_living(struct instance *i)
{
	struct err *err;

	queue_adopt(i);
	claim_resume(i);
	i->is_recovered = i->shim_alive = true;
	err = shimlink_connect(i);
	if (!err)
		return;
	/* It is about to end: its lock tells when. */
	log_info("%.12s: %s", i->id, err_text(err));
	err_free(err);
	shimlink_wait(i);
}

static void recover_alive(struct instance *i, bool rebooted)
{
	OWN(fd) int lock = -1;
	struct err *err;

	if (i->is_over) {
		recover_over(i);
		return;
	}
	if (rebooted) {
		queue_adopt(i);
		if (!exits_from_file(i))
			exits_note(i, &(struct exit_note) { .code = 137,
							    .finished_ns = clock_wall_ns(),
							    .text = "the host was restarted" });
		return;
	}
	err = shimlink_lock(i, &lock);
	if (err) {
		log_error("%.12s: %s", i->id, err_text(err));
		err_free(err);
	}
	if (lock < 0 && !err)
		recover_living(i);
	else
		recover_dead(i);
}

static void recover_one(struct instance *i, bool rebooted)
{
	if (!instance_is_alive(i))
		filevm_recover(i);
	if (i->is_removing && !instance_is_alive(i)) {
		remove_now(i);
	} else if (instance_is_waiting(i)) {
		recover_waiting(i);
	} else if (instance_is_alive(i)) {
		recover_alive(i, rebooted);
	} else if (i->state == INST_EXITED && i->spec->auto_remove) {
		remove_now(i);
	} else if (i->state == INST_EXITED && rebooted) {
		exits_at_boot(i);
	} else if (i->state == INST_EXITED && i->e->is_new_store) {
		exits_policy_again(i);
	}
}

static void recover_each(struct engine *e, bool rebooted)
{
	struct instance *i, *next;

	for (i = TAILQ_FIRST(&e->instances); i; i = next) {
		next = TAILQ_NEXT(i, link);
		snapshot_recover(i);
		recover_one(i, rebooted);
	}
}

struct err *recover_all(struct engine *e)
{
	bool rebooted;

	TRY(boot_changed(e, &rebooted));
	e->is_recovering = true;
	e->at_boot = rebooted;
	TRY(networks_load(e));
	TRY(store_each(e->store, STORE_INSTANCE, load_one, e));
	TRY(execs_load(e));
	trash_half_made(e);
	trash_unknown(e);
	recover_each(e, rebooted);
	migrate_recover(e);
	e->at_boot = e->is_recovering = false;
	networks_recover(e);
	if (!e->is_new_store) /* it may know of less than there is */
		images_collect(e, COLLECT_NS, NULL);
	if (e->trash.n)
		trash_later(e);
	return NULL;
}

/* ---- a shim that lived through our death ---- */

static void hello_idle(struct instance *i)
{
	if (i->durable && i->state == INST_STARTING) {
		shim_conn_start(i->conn, (struct shim_done) { NULL, NULL });
		i->is_started_sent = true;
		return;
	}
	shimlink_bye(i);
	start_failed(i, ERR_UNAVAILABLE, RESTARTED);
}

static void hello_running(struct instance *i, const struct shim_hello *h)
{
	bool is_paused = i->freeze.reasons & (1U << FREEZE_USER);

	i->is_started_sent = true;
	i->shim_pid = h->shim_pid;
	bool is_news = i->state == INST_STARTING || !i->account.start_ns;

	if (is_news)
		shimlink_started(i, h->payload_pid, h->started_ns); /* a stop of it goes on there */
	i->pid = h->payload_pid;
	if (!is_news)
		hints_started(i);
	health_start(i);
	if (is_paused != (h->is_frozen != 0))
		inst_freeze_set(&i->freeze, FREEZE_USER, h->is_frozen);
	if (h->is_frozen && !i->paused_at_ns)
		i->paused_at_ns = clock_wall_ns();
	if (h->is_frozen)
		eventlog_paused(i, true);
	if (!h->is_frozen || spec_is_vm(i->spec)) /* else it is its user's switch */
		slicing_thaw(i);
	if (!h->is_frozen)
		slicing_enter(i, false);
	if (i->is_removing)
		err_free(engine_kill(i->e, i, "KILL"));
	else if (i->state == INST_STOPPING && !is_news)
		stop_resume(i);
	instance_touch(i);
}

static void hello_ended(struct instance *i, const struct shim_hello *h)
{
	if (!i->account.start_ns)
		i->account.start_ns = i->started_ns = h->started_ns;
	shimlink_bye(i);
	if (!exits_from_file(i))
		exits_note(i, &(struct exit_note) {
				  .code = h->code, .oom = h->oom, .finished_ns = clock_wall_ns() });
}

void recover_hello(struct instance *i, const struct shim_hello *h)
{
	switch ((enum shim_phase)h->phase) {
	case SHIM_IDLE:
		hello_idle(i);
		break;
	case SHIM_STARTING:
		i->is_started_sent = true;
		break;
	case SHIM_RUNNING:
		hello_running(i, h);
		break;
	case SHIM_ENDED:
		hello_ended(i, h);
		break;
	}
}
