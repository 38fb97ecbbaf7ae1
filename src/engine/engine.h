/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

/*
 * Engine: instances over time.  Owns the table of instances, the store, the
 * scheduler's state, the shims' connections and the workers; drives them from one
 * loop.  Faces (api) call it; what goes back up are completions and events.
 *
 * Thread rule: everything here is called on the loop's thread and returns at once.
 * What takes time has a completion: `struct engine_done`, called exactly once,
 * never from inside the call that was given it, unless cancelled first.
 *
 * Spec: docs/architecture.md ("Life of an instance", "Start, undo, recovery", "Who
 * waits where").
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/planner.h"
#include "json/json.h"
#include "loop/loop.h"
#include "model/lifecycle.h"
#include "model/spec.h"
#include "util/err.h"
#include "util/str.h"

struct engine;
struct instance; /* opaque; read by struct instance_view */
struct engine_ticket;

/* Completion of something that takes time. */
struct engine_done {
	/* @e: NULL on success, owned by the callee. @result: per call, borrowed, may be NULL */
	void (*fn)(void *arg, struct err *e, const json_t *result);
	void *arg;
};

struct engine_config {
	const char *root;              /* /var/lib/hostel */
	const char *run;               /* /run/hostel */
	const char *libexec;           /* where hostel-shim, hostel-image, hostel-guest are */
	const char *bridge;            /* "hostel0" */
	const char *subnet;            /* "10.88.0.0/16"; NULL: one that avoids the host's routes */
	const char *cgroup_parent;     /* "/hostel" */
	const char *nft_table;         /* "hostel" */
	const char *registry_certs;    /* folders as Docker's certs.d, ':' between them */
	const char *registry_insecure; /* HOST:PORT, ',' between them; NULL: none */
	const char *registry_mirror;   /* URL that stands for docker.io; NULL: none */
	int64_t memory_total_bytes;    /* 0: the host's; a smaller capacity for tests and demos */
	int64_t cpu_total_milli;       /* 0: the host's */
	int64_t event_log_bytes;       /* of events.log, before it begins anew; 0: none is kept */
	int64_t disk_total_bytes;      /* 0: the file system's */
	int64_t reserve_memory_bytes;  /* S for memory without M_total; -1: max(256 MiB, T/32) */
	int64_t manage_memory_bytes;   /* M_total; 0: T/16 within 128 MiB and 4 GiB */
	int64_t overcommit_cpu_milli;  /* a for cpu in thousandths; 4000 */
	const char *schedule;          /* "rr"; NULL: as set before, or "fair" */
	int64_t quantum_ns;            /* its time slice; 0: as set before, or 50 ms */
	int64_t age_ns, boost_ns;      /* of priority, mlfq; 0: none; -1: as set before, or 10 s */
	bool queue_wait_default;       /* label hostel.queue=wait for everyone */
	int64_t hold_timeout_ns;       /* Docker start without a client; 10 s */
	const char *allocate;          /* "sjf/easy"; NULL: as set before, or "easy" */
	int64_t max_wait_ns;           /* 0: none; -1: as set before, or 10 min */
	const char *migrate_listen; /* where instances come in, ',' between them; NULL: nowhere */
	const struct planner *planners; /* one per kind; static */
	size_t n_planners;
};

/* ---- life of the engine ---- */

/** engine_new() - open the store, recover every instance, start the policies' loop */
struct err *engine_new(const struct engine_config *c, struct loop *l, struct engine **ret) MUST_USE;

/** engine_free() - let go of everything; running instances go on */
void engine_free(struct engine *e);

/**
 * engine_teardown() - remove what engines with this configuration made on the host for all their
 * instances: bridge and nft table where the store says that they made them, parent cgroup.
 * Store and images stay.
 * Return: NULL; ERR_STATE while an instance runs, ERR_UNAVAILABLE while a daemon does.
 * Context: without an engine; blocks for up to a second.
 */
struct err *engine_teardown(const struct engine_config *c) MUST_USE;

const struct engine_config *engine_config(const struct engine *e);

/* ---- what exists ---- */

/* A network that an instance joins. */
struct engine_endpoint {
	const char *network, *network_id; /* the default one's id is "bridge" */
	const char *address, *mac;        /* NULL: it does not run */
	const char *gateway;              /* NULL: none */
	int prefix_len;
	const struct spec_endpoint *said;
};

/* What a face may know of an instance; borrowed strings live until the loop's next turn. */
struct instance_view {
	const char *id; /* 64 hex digits */
	const struct spec *spec;
	enum inst_state state;
	bool is_paused; /* frozen by the user */
	bool is_sliced; /* frozen until its next turn; it shows as running */
	bool ever_ran;
	enum health_state health;
	int health_streak;        /* failed checks in a row */
	const json_t *health_log; /* the last results in Docker's form; NULL: none */
	bool is_restarting;       /* waits for its restart policy's back-off */
	pid_t pid;                /* of the payload on the host; 0: none */
	int exit_code;
	bool oom;
	const char *error; /* why the last start failed, or a note on the exit; "" */
	int restart_count;
	int64_t created_ns, started_ns, finished_ns; /* wall clock; 0: never */
	const char *queue_reason;                    /* why it waits; NULL when it does not */
	const char *operation; /* "a snapshot": what is under way with it; NULL: nothing */
	const char *address, *gateway, *mac; /* "10.88.0.5"; NULL: none; of the first network */
	int prefix_len;
	struct engine_endpoint endpoints[SPEC_NETWORKS_MAX]; /* that of network_mode first */
	size_t n_endpoints;
	const struct spec_port *ports; /* as published: host_port is never 0 */
	size_t n_ports;
	const char *state_dir, *log_dir;
	const char *image_name; /* for display */
	int64_t demand_cpu_milli, demand_memory_bytes, demand_disk_bytes;
	int64_t manage_bytes; /* M_i */
	const char *image_digest;
	const char *migration;       /* "migrating", "in doubt", "elsewhere"; NULL: nothing of it */
	const char *migration_state; /* model/handover.h; NULL: none */
	const char *migration_peer;
};

/** engine_find() - by id, unique id prefix, or name. ERR_NOT_FOUND "No such container: x" */
struct err *engine_find(struct engine *e, const char *ref, struct instance **ret) MUST_USE;

/** instance_view() - a snapshot of @i */
struct instance_view instance_view(const struct instance *i);

/** engine_each() - call @fn for every instance, newest first, until it returns false */
void engine_each(struct engine *e, bool (*fn)(void *arg, struct instance *i), void *arg);

/* ---- verbs ---- */

/**
 * engine_create() - make an instance from a spec
 * @s:            consumed, on failure too; image looked up, its defaults are merged into
 *                entrypoint, cmd, env and the like
 * @ret_warnings: appended to
 * Return: NULL; ERR_NOT_FOUND "No such image: x"; ERR_EXISTS (name, with docker's words);
 *         ERR_INVALID.
 */
struct err *engine_create(struct engine *e, struct spec *s, struct instance **ret,
			  struct strv *ret_warnings) MUST_USE;

enum engine_hold {
	HOLD_CLIENT,  /* a client waits in the call without limit; its end withdraws */
	HOLD_LIMITED, /* held up to hold_timeout_ns, then withdrawn and failed */
	HOLD_QUEUE,   /* done at once; the start survives client and daemon */
	HOLD_AUTO, /* Docker's start: CLIENT when a client is parked, else LIMITED or QUEUE by spec
		    */
};

/**
 * engine_start() - ask for a start; done when the payload's exec succeeded (or is queued)
 * A second start of a waiting instance joins the first.
 * @ret_ticket: for engine_cancel() when the client went away; may be NULL
 * Return: NULL; ERR_STATE with kind text "already started" is told by @ret_already (304).
 */
struct err *engine_start(struct engine *e, struct instance *i, enum engine_hold hold,
			 struct engine_done done, bool *ret_already,
			 struct engine_ticket **ret_ticket) MUST_USE;

/** engine_on_reason() - be told (text) while the ticket's start waits, at each change; stops
 *  with the ticket */
void engine_on_reason(struct engine_ticket *t, void (*fn)(void *arg, const char *reason),
		      void *arg);

/** engine_cancel() - forget the completion; a held start is withdrawn.  @t is dead afterwards */
void engine_cancel(struct engine_ticket *t);

/** engine_stop() - signal, and KILL after @timeout_s (-1: the spec's); done when it exited.
 *  @ret_already: it was not running (304) */
struct err *engine_stop(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			struct engine_done done, bool *ret_already) MUST_USE;
struct err *engine_kill(struct engine *e, struct instance *i, const char *signal) MUST_USE;
struct err *engine_restart(struct engine *e, struct instance *i, const char *signal, int timeout_s,
			   struct engine_done done) MUST_USE;
struct err *engine_pause(struct engine *e, struct instance *i, bool on,
			 struct engine_done done) MUST_USE;
struct err *engine_rename(struct engine *e, struct instance *i, const char *name) MUST_USE;

/** engine_update() - change limits of @i: members of Docker's update body that are set */
struct err *engine_update(struct engine *e, struct instance *i, const json_t *update,
			  struct strv *ret_warnings) MUST_USE;
struct err *engine_remove(struct engine *e, struct instance *i, bool force, bool volumes,
			  struct engine_done done) MUST_USE;
struct err *engine_resize(struct engine *e, struct instance *i, const char *exec_id, int rows,
			  int cols) MUST_USE;

enum engine_wait {
	WAIT_NOT_RUNNING, /* created counts, too */
	WAIT_NEXT_EXIT,
	WAIT_EXITED, /* it has ended, or its start failed; what was never started is waited for */
	WAIT_REMOVED,
	WAIT_RUNNING,
	WAIT_HEALTHY, /* by its check */
};

/**
 * engine_wait() - result {"StatusCode":n[,"Note":why it ended so]}
 *
 * WAIT_RUNNING and WAIT_HEALTHY fail (ERR_STATE, with how it ended) when it has ended for good,
 * now or meanwhile, WAIT_HEALTHY too when nothing checks it.
 */
struct engine_ticket *engine_wait(struct engine *e, struct instance *i, enum engine_wait until,
				  struct engine_done done);

/* ---- streams ---- */

struct engine_attach {
	int fd;                  /* client's socket; consumed */
	unsigned streams;        /* set of enum shim_stream */
	const char *detach_keys; /* Docker's notation, "ctrl-p,ctrl-q"; NULL or "": default */
	const void *pre;         /* bytes already read from the client */
	size_t pre_len;
};

/** engine_attach() - hand a client's socket to the running shim, or park it until the start */
struct err *engine_attach(struct engine *e, struct instance *i,
			  const struct engine_attach *a) MUST_USE;

struct engine_exec_spec {
	struct strv cmd, env;
	const char *user, *workdir, *detach_keys;
	bool tty, attach_stdin, attach_stdout, attach_stderr, privileged;
	int rows, cols;
};

/** engine_exec_create() - @ret_exec_id: 64 hex digits, lives as long as the instance runs */
struct err *engine_exec_create(struct engine *e, struct instance *i,
			       const struct engine_exec_spec *x, char **ret_exec_id) MUST_USE;

/** engine_exec_start() - @a: NULL for a detached one; done when the exec succeeded or failed */
struct err *engine_exec_start(struct engine *e, const char *exec_id, const struct engine_attach *a,
			      struct engine_done done) MUST_USE;

/** engine_exec_inspect() - Docker's ExecInspect object; new reference */
struct err *engine_exec_inspect(struct engine *e, const char *exec_id, json_t **ret) MUST_USE;
struct err *engine_exec_resize(struct engine *e, const char *exec_id, int rows, int cols) MUST_USE;

/* ---- measurements ---- */

/** engine_stats() - Docker's stats object of one moment (cpu, memory, pids, io, networks) */
struct err *engine_stats(struct engine *e, struct instance *i, struct engine_done done) MUST_USE;

/** engine_top() - {"Titles":[…],"Processes":[[…]]} */
struct err *engine_top(struct engine *e, struct instance *i, const char *ps_args,
		       struct engine_done done) MUST_USE;

/* ---- events ---- */

struct engine_event {
	uint64_t seq;
	int64_t time_ns;    /* wall clock */
	const char *type;   /* "container", "image", "volume", "network", "daemon" */
	const char *action; /* "create", "start", "die", "oom", "exec_create: ls", … as Docker's */
	const char *id;
	const json_t *attributes; /* object of strings; borrowed */
};

struct engine_subscription;
struct engine_subscription *
engine_subscribe(struct engine *e, void (*fn)(void *arg, const struct engine_event *ev), void *arg);
void engine_unsubscribe(struct engine_subscription *s);

/** engine_past_events() - replay kept events (the last 1024, at most 4 MiB of attributes)
 * since/until wall ns (0: no bound) */
void engine_past_events(struct engine *e, int64_t since_ns, int64_t until_ns,
			void (*fn)(void *arg, const struct engine_event *ev), void *arg);

/* ---- images; all documents are in hostel's own form, the api turns them into Docker's ---- */

struct engine_image {
	const char *id;       /* "sha256:…" of the config blob */
	const char *manifest; /* "sha256:…" */
	struct strv tags;     /* "debian:12", without docker.io/library/ */
	struct strv digests;  /* "debian@sha256:…" */
	int64_t size_bytes;   /* unpacked */
	int64_t created_ns;
	const json_t *config; /* OCI image config document; borrowed */
	const char *parent;
	const json_t *layers; /* bottom first, each with its "size" */
};

void engine_each_image(struct engine *e, bool (*fn)(void *arg, const struct engine_image *im),
		       void *arg);
/** engine_image_find() - by reference, id or id prefix; ERR_NOT_FOUND "No such image: x" */
struct err *engine_image_find(struct engine *e, const char *ref,
			      const struct engine_image **ret) MUST_USE;
struct err *engine_image_tag(struct engine *e, const char *ref, const char *new_ref) MUST_USE;
/** engine_image_remove() - result: array of {"Untagged":…} and {"Deleted":…} */
struct err *engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune,
				json_t **ret) MUST_USE;

/**
 * engine_images_collect() - remove what no image has: blobs and layers of pulls that failed, which
 * stay for the next one (a day at most when the daemon starts anew)
 * @out: gets {"Deleted":"sha256:…"} for each
 * Return: bytes; 0 while a pull or the like is under way.
 */
int64_t engine_images_collect(struct engine *e, json_t *out);

/** engine_layers_bytes() - of the layers of all images, each counted once */
int64_t engine_layers_bytes(struct engine *e);

/** engine_shared_bytes() - {"image id": bytes of those layers that other images have too} */
json_t *engine_shared_bytes(struct engine *e);

/* ---- work done by hostel-image (docs/protocols.md, "Worker jobs") ---- */

struct engine_job; /* ends with its completion; cancel kills the worker */

struct engine_job_io {
	int data_fd; /* becomes the worker's descriptor 3 (bulk data in or out); consumed; -1: none
		      */
	bool keep_kind; /* files, put: a folder is not replaced by something else, nor the reverse
			 */
	/* One progress message of the worker; borrowed */
	void (*progress)(void *arg, const json_t *message);
	void *arg;
};

/**
 * engine_job_start() - run a job and enter its result (images, kernels) into the store
 * @job: {"job":"pull","ref":…} and so on; the engine adds root and what it alone knows
 */
struct err *engine_job_start(struct engine *e, json_t *job, const struct engine_job_io *io,
			     struct engine_done done, struct engine_job **ret) MUST_USE;
void engine_job_cancel(struct engine_job *j);

/**
 * engine_files() - a job on an instance's root file system: op "get" (tar of path to data_fd,
 * after a progress message {"stat":…}), "put" (tar from data_fd into path), "stat", "diff",
 * "export"
 * @ret: for engine_job_cancel(), which kills; NULL in it for a VM's, which ends in order when its
 *       data's other end is closed
 */
struct err *engine_files(struct engine *e, struct instance *i, const char *op, const char *path,
			 const struct engine_job_io *io, struct engine_done done,
			 struct engine_job **ret) MUST_USE;

/**
 * engine_sizes() - count what instances have written, and with @with_volumes what volumes hold
 * @only: one instance; NULL: all of them
 * @done: result {"sizes":{"instance id":bytes,"volume/NAME":bytes}}
 */
struct err *engine_sizes(struct engine *e, struct instance *only, bool with_volumes,
			 struct engine_done done, struct engine_job **ret) MUST_USE;

/* ---- snapshots and what else takes an instance some time (docs/protocols.md) ---- */

struct engine_operation; /* ends with its completion */

/* Who is told how it goes: {"status":text}, {"progress":{"status","current","total"}} */
struct engine_watch {
	void (*fn)(void *arg, const json_t *message); /* borrowed; NULL: nobody */
	void *arg;
};

/** engine_operation_cancel() - its completion fails, now or when a supervisor has answered; what is
 *  half-made goes; the instance runs on */
void engine_operation_cancel(struct engine_operation *op);

/** engine_operation_stop() - cancel what is under way with @i; ERR_STATE: nothing is */
struct err *engine_operation_stop(struct instance *i) MUST_USE;

struct engine_snapshot_wish {
	const char *name;   /* NULL or "": snap0, checkpoint0 … */
	bool stateful;      /* with all that runs in it */
	bool is_checkpoint; /* is called so, when it has no name */
	bool stops;         /* afterwards */
};

/**
 * engine_snapshot_create() - of its disk, without its volumes; it runs on afterwards
 * @ret: borrowed until @done is called; NULL: not wanted
 * Return: NULL, done with the snapshot {"name","instance","created_ns","stateful","bytes",…};
 *         ERR_STATE (another operation, it starts or stops, stateful and does not run);
 *         ERR_EXISTS; ERR_UNSUPPORTED.
 */
struct err *engine_snapshot_create(struct engine *e, struct instance *i,
				   const struct engine_snapshot_wish *wish,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret) MUST_USE;

/** engine_snapshots() - array, by instance, oldest first; @only: of one; NULL: of all */
json_t *engine_snapshots(struct engine *e, struct instance *only);
size_t engine_snapshots_count(const struct instance *i);

/** engine_snapshot_remove() - ERR_NOT_FOUND; ERR_STATE while it is restored */
struct err *engine_snapshot_remove(struct instance *i, const char *name) MUST_USE;

struct engine_restore_wish {
	const char *name; /* NULL: the newest checkpoint */
	const char *as;   /* a new instance of this name; NULL: in place */
	bool force;       /* in place: though it runs; what there is, is kept as a snapshot */
	bool disk_only;   /* not the state of a stateful one */
};

/** engine_snapshot_restore() - done with {"id","name","warnings"} */
struct err *engine_snapshot_restore(struct engine *e, struct instance *i,
				    const struct engine_restore_wish *wish,
				    const struct engine_watch *watch, struct engine_done done,
				    struct engine_operation **ret) MUST_USE;

/** engine_fork() - @n running copies; done with {"names":[…],"warnings"} */
struct err *engine_fork(struct engine *e, struct instance *i, int64_t n,
			const struct engine_watch *watch, struct engine_done done,
			struct engine_operation **ret) MUST_USE;

/** engine_snapshot_export() - to @fd, consumed */
struct err *engine_snapshot_export(struct engine *e, struct instance *i, const char *name, int fd,
				   struct engine_done done, struct engine_job **ret) MUST_USE;

/**
 * engine_backup_create() - configuration, disk and named volumes to @fd, consumed
 * @watch: {"begin":true} comes before the first byte
 */
struct err *engine_backup_create(struct engine *e, struct instance *i, int fd,
				 const struct engine_watch *watch, struct engine_done done,
				 struct engine_operation **ret) MUST_USE;

/**
 * engine_snapshot_import() - a new instance from @fd, consumed
 * @as:        its name; NULL: as it was called
 * @is_backup: the snapshot itself is not kept
 * @ret:       NULL in it: the completion is on its way
 * Return: NULL, done with {"id","name","warnings"}.
 */
struct err *engine_snapshot_import(struct engine *e, int fd, const char *as, bool is_backup,
				   const struct engine_watch *watch, struct engine_done done,
				   struct engine_operation **ret) MUST_USE;

/* ---- volumes ---- */

struct err *engine_volume_create(struct engine *e, const char *name /* NULL: anonymous */,
				 const struct strmap *labels, json_t **ret) MUST_USE;
struct err *engine_volume_find(struct engine *e, const char *name, json_t **ret) MUST_USE;
/** engine_volumes() - array of Docker Volume objects */
json_t *engine_volumes(struct engine *e);
/** engine_volume_remove() - ERR_STATE when in use: "volume is in use - [id]" */
struct err *engine_volume_remove(struct engine *e, const char *name, bool force,
				 struct engine_done done) MUST_USE;

/* ---- networks (docs/network.md); host and none are no networks here ---- */

/* Borrowed until the loop's next turn. */
struct engine_network {
	const char *id; /* 64 hex digits; "bridge" for the default one */
	const char *name, *bridge;
	const char *subnet, *gateway; /* "10.88.0.0/16", "10.88.0.1"; NULL: not chosen yet */
	const char *range;            /* addresses are given out of it; NULL: of the whole subnet */
	bool is_internal, is_attachable;
	const struct strmap *labels, *options;
	int64_t created_ns; /* wall clock; 0: the default one */
};

/** engine_each_network() - the default one first, then from the oldest on */
void engine_each_network(struct engine *e, void (*fn)(void *arg, const struct engine_network *n),
			 void *arg);

/** engine_network_find() - by name, id or unique id prefix; ERR_NOT_FOUND "network x not found" */
struct err *engine_network_find(struct engine *e, const char *ref,
				struct engine_network *ret) MUST_USE;

struct engine_network_wish {
	const char *name;
	const char *subnet, *gateway, *range; /* NULL or "": chosen */
	bool is_internal, is_attachable;
	const struct strmap *labels, *options;
};

/**
 * engine_network_create() - make it, with its bridge
 * @ret_id: borrowed until the loop's next turn
 * Return: NULL; ERR_EXISTS for a name or bridge that is there; ERR_DENIED for the name of a
 *         predefined one and for a subnet that overlaps; ERR_INVALID; ERR_UNSUPPORTED for an
 *         option that would be ignored to somebody's harm.
 */
struct err *engine_network_create(struct engine *e, const struct engine_network_wish *w,
				  const char **ret_id) MUST_USE;

/** engine_network_remove() - ERR_DENIED while something that runs is on it */
struct err *engine_network_remove(struct engine *e, const char *ref) MUST_USE;

/**
 * engine_network_connect() - an instance joins a network, at once if it runs
 * @how: aliases, ip, mac; borrowed
 * Return: NULL; ERR_DENIED when it is there or its network mode forbids; ERR_UNSUPPORTED for a VM
 *         that runs or that has one already.
 */
struct err *engine_network_connect(struct engine *e, const char *ref, struct instance *i,
				   const struct spec_endpoint *how) MUST_USE;
struct err *engine_network_disconnect(struct engine *e, const char *ref,
				      struct instance *i) MUST_USE;

/* ---- numbers and hosts ---- */

/** engine_queue() - array of waiting instances in order, with reason and since */
json_t *engine_queue(struct engine *e);
/* What somebody would create. */
struct engine_candidate {
	const char *name;    /* of those asked about, each another */
	struct spec *spec;   /* borrowed, the image's defaults are merged into it; NULL: … */
	const char *problem; /* … there is none, and this is why */
	int64_t host_memory_bytes; /* used on this host now, outside hostel: it would be free */
};

/**
 * engine_fit() - what would become of them if all were started now, in this order
 *
 * By the checks of a create and of a start and one pass on a copy of the queue.  Images need not
 * be there.  Changes nothing.
 * @is_empty: as if nothing ran or waited here, and nobody had drained the host
 * Return: {"instances":[{"name","verdict":"admitted"|"waits"|"never","reason",…}],"counts",…}
 */
json_t *engine_fit(struct engine *e, const struct engine_candidate *list, size_t n, bool is_empty);

/** engine_policy() - the policies in force, members of engine_policy_set() */
json_t *engine_policy(const struct engine *e);

/**
 * engine_policy_set() - change some of them, live and for later starts
 * @change: allocate ("sjf/easy"), max_wait_ns, aging_ns (0: none), estimate (learned, given,
 *          last-two), schedule ("rr"), quantum_ns, age_ns, boost_ns (0: none), turn_ns, spill;
 *          absent members stay
 * Return: NULL, or ERR_INVALID and nothing is changed.
 */
struct err *engine_policy_set(struct engine *e, const json_t *change) MUST_USE;

/**
 * engine_policy_check() - would policies be taken? NULL and 0: not asked
 * Return: NULL, or ERR_INVALID with what there is.
 * Context: without an engine, too.
 */
struct err *engine_policy_check(const char *allocate, const char *schedule,
				int64_t quantum_ns) MUST_USE;

/** engine_spill_check() - ERR_UNSUPPORTED for what no backend can do yet; without an engine, too */
struct err *engine_spill_check(bool spill, int64_t turn_ns) MUST_USE;

/** engine_time_check() - would age or boost be taken? ERR_INVALID; without an engine, too */
struct err *engine_time_check(int64_t ns) MUST_USE;

/** engine_queue_hold() - pass it over until it is released; it keeps its place and blocks nobody
 *  @uid: who says so; the reason names him.  A held one again: fine
 *  Return: NULL, done when it is written; ERR_STATE: it does not wait in the queue.
 */
struct err *engine_queue_hold(struct engine *e, struct instance *i, int64_t uid,
			      struct engine_done done) MUST_USE;
/** engine_queue_release() - ERR_STATE when it is not held */
struct err *engine_queue_release(struct engine *e, struct instance *i,
				 struct engine_done done) MUST_USE;
/** engine_queue_cancel() - withdrawn, as by a stop; whoever waits for its start is told */
struct err *engine_queue_cancel(struct engine *e, struct instance *i, int64_t uid,
				struct engine_done done) MUST_USE;

enum engine_where { QUEUE_FIRST, QUEUE_LAST, QUEUE_BEFORE, QUEUE_AFTER };

/** engine_queue_move() - a place of its own in the queue: what sched_move() says
 *  @other: BEFORE and AFTER whom; else NULL
 *  Return: NULL, done when it is written; ERR_STATE when one of the two has no place in the queue.
 */
struct err *engine_queue_move(struct engine *e, struct instance *i, enum engine_where where,
			      struct instance *other, struct engine_done done) MUST_USE;

/**
 * engine_drain() - admit nothing new until it is taken back (@on false); what runs goes on
 *
 * It is kept over the daemon's and the host's death.  One whose restart policy wants it again
 * stands in the queue with the others; a restart that a user asks for goes on.
 * @uid: who says so
 */
struct err *engine_drain(struct engine *e, bool on, int64_t uid, struct engine_done done) MUST_USE;
/** engine_drain_state() - {"draining":bool,"running":n,"names":[of them],"waiting":n[,"since_ns",
 *  "by","text"]} */
json_t *engine_drain_state(struct engine *e);

/**
 * engine_quota_set() - what a user's admitted instances may hold together
 * @limits: cpu_milli, memory_bytes, disk_bytes, gpus, instances; members that are absent stay as
 *          they are, 0 is no limit.  Declared demands count; what is best effort as an instance
 * Return: NULL, done when it is written; ERR_INVALID.  What holds more now goes on.
 */
struct err *engine_quota_set(struct engine *e, int64_t uid, const json_t *limits,
			     struct engine_done done) MUST_USE;
/** engine_quota_remove() - ERR_NOT_FOUND "bob has no quota" */
struct err *engine_quota_remove(struct engine *e, int64_t uid, struct engine_done done) MUST_USE;
/** engine_quotas() - array of {"uid","user",limits…,"held":{…}} */
json_t *engine_quotas(struct engine *e);

/** engine_trust() - hosts that are trusted with instances: array of {"name","fingerprint",
 *  "certificate","since_ns"}; new reference */
json_t *engine_trust(struct engine *e);
/** engine_trust_add() - trust whoever has the key of this certificate (PEM), by a name of yours
 *  Return: NULL, done when it is written: ERR_INVALID, ERR_EXISTS for another one of that name. */
struct err *engine_trust_add(struct engine *e, const char *name, const char *pem,
			     struct engine_done done) MUST_USE;
struct err *engine_trust_remove(struct engine *e, const char *name,
				struct engine_done done) MUST_USE;
/** engine_trust_own() - result {"certificate","fingerprint"} of this host, made at first use */
struct err *engine_trust_own(struct engine *e, struct engine_done done) MUST_USE;

struct engine_migrate_wish {
	const char *to;          /* model/peer.h */
	bool is_check;           /* say why it would fail, and change nothing */
	bool is_cold;            /* it may be stopped for it */
	int64_t bandwidth_bytes; /* per second; 0: as fast as it goes */
	/* progress messages: {"progress":{id,status,current,total}}, {"status":text}; may be NULL
	 */
	void (*progress)(void *arg, const json_t *message);
	void *progress_arg;
};

/**
 * engine_migrate() - move an instance to another host
 * One that runs is stopped on the way and started there, if that was allowed, else refused.
 * done when it is there and nothing is left here; with is_check, result {"reasons":[…]}.
 * @ret_number: for engine_migrate_cancel()
 * Return: NULL; ERR_INVALID, ERR_STATE. Later: ERR_STATE when it cannot move, ERR_UNAVAILABLE when
 *         the link broke: the error says where the instance is.
 */
struct err *engine_migrate(struct engine *e, struct instance *i,
			   const struct engine_migrate_wish *w, struct engine_done done,
			   int64_t *ret_number) MUST_USE;

/** engine_migrate_cancel() - before the hand-over the instance stays here; done is called in any
 *  case */
void engine_migrate_cancel(struct engine *e, int64_t number);

/** engine_migrate_resolve() - of one that is in doubt: it is @here, or there; ERR_STATE */
struct err *engine_migrate_resolve(struct engine *e, struct instance *i, bool here,
				   struct engine_done done) MUST_USE;

/** engine_user_name() - of a uid; its digits when it has none; owned by the caller */
char *engine_user_name(int64_t uid);
/** engine_user_find() - by name or number; ERR_NOT_FOUND "no such user: x" */
struct err *engine_user_find(const char *text, int64_t *ret_uid) MUST_USE;

/** engine_resources() - R_total, R_free, sum and R_i by holder, M_total, M_i, M_free, sources */
json_t *engine_resources(struct engine *e);
struct engine_accounts {
	int64_t before; /* records before this number only; 0: the newest, and what has not ended */
	int64_t limit;  /* of what has ended; 0: 250, which is the most too */
	int64_t since_ns, until_ns; /* wall clock, existed in that time; 0: no bound */
};

/**
 * engine_accounting() - a page of records, newest first: {"starts":[{arrival, admission, start,
 * finish, T, waiting…}],"next":number for @before, or null at the end,"sums" of this page,…}
 */
json_t *engine_accounting(struct engine *e, const struct engine_accounts *which);
/** engine_info() - facts for /info and hostel info: kvm (with reason), cgroup version, kernels… */
json_t *engine_info(struct engine *e);
/** engine_kernels() - array of kernel bundles {"name","default","version","path"} */
json_t *engine_kernels(struct engine *e);
struct err *engine_kernel_remove(struct engine *e, const char *name) MUST_USE;

/**
 * engine_console() - join a machine's serial console: as engine_attach(), for VMs with disks
 * (same thing: a machine's payload streams are its console)
 */

#endif
