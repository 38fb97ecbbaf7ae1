/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "sys/cgroup.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define COMMIT_RETRY_NS (INT64_C(1000000000))

void engine_dirty(struct engine *e)
{
	e->is_dirty = true;
}

void engine_queue_dirty(struct engine *e)
{
	e->queue_dirty = true;
}

char *engine_path(const struct engine *e, const char *fmt, ...)
{
	struct str s = { 0 };
	char part[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(part, sizeof(part), fmt, ap);
	va_end(ap);
	str_addf(&s, "%s/%s", e->c.root, part);
	return str_take(&s);
}

void engine_random_id(char ret[65])
{
	unsigned char raw[32];
	static const char hex[] = "0123456789abcdef";

	/* Cannot fail for 256 bytes or less once the pool is ready. */
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		abort();
	for (size_t n = 0; n < sizeof(raw); n++) {
		ret[2 * n] = hex[raw[n] >> 4];
		ret[2 * n + 1] = hex[raw[n] & 15];
	}
	ret[64] = '\0';
}

/* ---- the turn ---- */

static struct err *write_marked(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (i->run_dirty || i->spec_dirty)
		TRY_MSG(instance_write(i), "%.12s", i->id);
	return execs_write(e);
}

static struct err *commit(struct engine *e)
{
	TRY(store_begin(e->store));
	TRY(write_marked(e));
	TRY(store_commit(e->store));
	catalog_save(e);
	return NULL;
}

static void marks_clear(struct engine *e)
{
	struct instance *i;
	struct exec *x;

	TAILQ_FOREACH(i, &e->instances, link)
	i->run_dirty = i->spec_dirty = false;
	TAILQ_FOREACH(x, &e->execs, link)
	x->is_dirty = false;
}

struct err *engine_commit(struct engine *e)
{
	struct err *err;

	if (!e->is_dirty)
		return NULL;
	err = commit(e);
	if (err) {
		store_rollback(e->store);
		e->commit_fails++;
		loop_timer_start(e->retry, COMMIT_RETRY_NS);
		return err;
	}
	e->commit_fails = 0;
	e->is_dirty = false;
	marks_clear(e);
	return NULL;
}

static void spawn_all(struct engine *e)
{
	struct instance *i;

	while ((i = TAILQ_FIRST(&e->spawn))) {
		TAILQ_REMOVE(&e->spawn, i, spawn_link);
		i->on_spawn = false;
		start_spawn(i);
	}
}

/* Nothing was promised to anybody yet: a start that cannot be stored does not happen. */
static void spawn_none(struct engine *e, const char *why)
{
	struct instance *i;

	while ((i = TAILQ_FIRST(&e->spawn))) {
		TAILQ_REMOVE(&e->spawn, i, spawn_link);
		i->on_spawn = false;
		start_failed(i, ERR_LIMIT, why);
	}
}

static void bye_all(struct engine *e)
{
	struct instance *i;

	while ((i = TAILQ_FIRST(&e->bye))) {
		TAILQ_REMOVE(&e->bye, i, bye_link);
		i->on_bye = false;
		if (i->conn)
			shim_conn_bye(i->conn);
	}
}

static void free_buried(struct engine *e)
{
	struct instance *i;

	while ((i = TAILQ_FIRST(&e->grave))) {
		TAILQ_REMOVE(&e->grave, i, grave_link);
		instance_free(i);
	}
}

/* One round: decide, write, act. Deliveries may ask for more, so there can be several. */
static void round_of_turn(struct engine *e)
{
	struct err *err;

	slicing_turn(e); /* first: its delays are felt */
	if (e->queue_dirty)
		queue_pass(e);
	err = engine_commit(e);
	if (err) {
		/* Instances go on; what they do is written as soon as the disk allows. */
		if (e->commit_fails == 1)
			log_error("store: %s", err_text(err));
		spawn_none(e, err_text(err));
		err_free(err);
	} else {
		crash_if_due(e);
		spawn_all(e);
		bye_all(e);
	}
	events_flush(e);
}

static void engine_turn(void *arg)
{
	struct engine *e = arg;

	/* What a request committed by itself is still to be told. */
	if (!e->is_dirty && !e->queue_dirty && e->told_seq == e->event_seq &&
	    TAILQ_EMPTY(&e->outbox) && TAILQ_EMPTY(&e->grave) && TAILQ_EMPTY(&e->bye) &&
	    !slicing_is_due(e))
		return;
	do
		round_of_turn(e);
	while (outbox_flush(e) || (e->is_dirty && !e->commit_fails) || e->queue_dirty ||
	       slicing_is_due(e));
	eventlog_flush(e);
	free_buried(e);
}

static void on_wake(void *arg)
{
	engine_queue_dirty(arg);
}

static void on_retry(void *arg)
{
	engine_dirty(arg);
}

/* ---- life ---- */

static void config_copy(struct engine_config *to, const struct engine_config *from)
{
	*to = *from;
	to->root = xstrdup(from->root);
	to->run = xstrdup(from->run);
	to->libexec = xstrdup(from->libexec);
	to->bridge = xstrdup(from->bridge);
	to->subnet = xstrdup(from->subnet);
	to->cgroup_parent = xstrdup(from->cgroup_parent);
	to->nft_table = xstrdup(from->nft_table);
	to->allocate = xstrdup(from->allocate);
	to->registry_certs = xstrdup(from->registry_certs);
	to->registry_insecure = xstrdup(from->registry_insecure);
	to->registry_mirror = xstrdup(from->registry_mirror);
	to->schedule = xstrdup(from->schedule);
	to->migrate_listen = xstrdup(from->migrate_listen);
}

static void free_text(const char *text)
{
	union {
		const char *in;
		void *out;
	} u = { .in = text };

	free(u.out);
}

static void config_done(struct engine_config *c)
{
	free_text(c->root);
	free_text(c->run);
	free_text(c->libexec);
	free_text(c->bridge);
	free_text(c->subnet);
	free_text(c->cgroup_parent);
	free_text(c->nft_table);
	free_text(c->allocate);
	free_text(c->registry_certs);
	free_text(c->registry_insecure);
	free_text(c->registry_mirror);
	free_text(c->schedule);
	free_text(c->migrate_listen);
}

static const char *const folders[] = {
	"blobs/sha256", "layers/sha256", "images",    "tmp",      "seccomp",
	"kernels",      "volumes",       "instances", "networks",
};

static struct err *make_folders(struct engine *e)
{
	for (size_t n = 0; n < ARRAY_SIZE(folders); n++) {
		OWN(mem) char *path = engine_path(e, "%s", folders[n]);

		TRY(fd_mkdirs(path));
	}
	/* Image contents may hold anything, set-uid programs too: root's eyes only. */
	if (chmod(e->c.root, 0711) < 0)
		return err_sys(errno, "%s", e->c.root);
	OWN(mem) char *run = xasprintf("%s/instances", e->c.run);

	return fd_mkdirs(run);
}

static struct engine *engine_alloc(const struct engine_config *c, struct loop *l)
{
	struct engine *e = xnew(struct engine);

	config_copy(&e->c, c);
	e->loop = l;
	e->tsc_start = tsc_sample();
	e->boot_offset_ns = clock_boot_ns() - clock_wall_ns();
	e->crash_at = crash_parse(getenv("HOSTEL_CRASH_AT"));
	e->carrier_crash = getenv("HOSTEL_MIGRATE_CRASH_AT");
	TAILQ_INIT(&e->instances);
	TAILQ_INIT(&e->spawn);
	TAILQ_INIT(&e->bye);
	TAILQ_INIT(&e->grave);
	TAILQ_INIT(&e->outbox);
	TAILQ_INIT(&e->networks);
	TAILQ_INIT(&e->images);
	TAILQ_INIT(&e->refs);
	TAILQ_INIT(&e->execs);
	TAILQ_INIT(&e->events);
	TAILQ_INIT(&e->subscriptions);
	TAILQ_INIT(&e->jobs);
	TAILQ_INIT(&e->filevms);
	TAILQ_INIT(&e->operations);
	TAILQ_INIT(&e->shims);
	e->sched = sched_new();
	e->wake = loop_timer_new(l, on_wake, e);
	e->retry = loop_timer_new(l, on_retry, e);
	return e;
}

static struct err *engine_start_up(struct engine *e)
{
	TRY(make_folders(e));
	quota_probe(e);
	TRY(catalog_open_store(e));
	TRY(images_load(e));
	eventlog_open(e);
	queue_init(e);
	TRY(slicing_new(e));
	TRY(policy_init(e));
	estimates_init(e);
	drain_init(e);
	TRY(user_quotas_init(e));
	TRY_MSG(recover_all(e), "recovery");
	TRY_MSG(migrate_init(e), "migrate_listen");
	measure_start(e);
	vm_probe_kvm(e);
	loop_on_turn(e->loop, engine_turn, e);
	engine_dirty(e);
	engine_queue_dirty(e);
	return NULL;
}

struct err *engine_new(const struct engine_config *c, struct loop *l, struct engine **ret)
{
	struct engine *e = engine_alloc(c, l);
	struct err *err = engine_start_up(e);

	if (err) {
		engine_free(e);
		return err;
	}
	*ret = e;
	return NULL;
}

static void instances_free(struct engine *e)
{
	struct instance *i;

	while ((i = TAILQ_FIRST(&e->instances))) {
		TAILQ_REMOVE(&e->instances, i, link);
		instance_free(i);
	}
	free_buried(e);
}

/* An orderly end with nothing running leaves nothing behind on the host. */
static void leave_host(struct engine *e)
{
	struct instance *i;

	TAILQ_FOREACH(i, &e->instances, link)
	if (instance_is_alive(i))
		return;
	err_free(network_remove(e->store, e->c.nft_table));
	err_free(cgroup_remove(e->c.cgroup_parent, 0));
}

/* Before their instances go: what is to be told of jobs is told. */
static void end_filevms(struct engine *e)
{
	struct instance *i;

	while (outbox_flush(e))
		;
	TAILQ_FOREACH(i, &e->instances, link)
	filevm_free(i);
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	loop_on_turn(e->loop, NULL, NULL);
	slicing_free(e);
	if (e->store) {
		err_free(engine_commit(e));
		end_filevms(e);
		leave_host(e);
	}
	operations_free(e);
	migrate_free(e);
	jobs_free(e);
	instances_free(e);
	networks_free(e);
	shimlink_free_all(e);
	while (outbox_flush(e))
		;
	images_free(e);
	events_free(e);
	strv_done(&e->trash);
	strmap_done(&e->initrds);
	loop_timer_free(e->wake);
	loop_timer_free(e->retry);
	loop_timer_free(e->sample);
	loop_timer_free(e->sweep);
	eventlog_close(e);
	sched_free(e->sched);
	free(e->quotas);
	policy_done(&e->policy);
	estimator_free(e->estimator);
	if (e->shim_fd)
		close(e->shim_fd);
	nft_close(e->nft);
	store_close(e->store);
	free(e->boot_id);
	free(e->kvm_reason);
	config_done(&e->c);
	free(e);
}

const struct engine_config *engine_config(const struct engine *e)
{
	return &e->c;
}
