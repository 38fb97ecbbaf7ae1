/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_ENGINE_INT_H
#define ENGINE_ENGINE_INT_H

/*
 * The engine's own objects, shared by its files.
 *
 * One loop turn: calls and events change instances in memory and mark them; at its end
 * engine_turn() makes one scheduling pass, writes all marked instances as one
 * transaction, and only then spawns shims, sends BYE and delivers completions and events.
 *
 *	engine.c     life of the engine, the turn
 *	instances.c  table, lookup, view, stored form
 *	create.c     from spec to instance         merge.c names.c (pure)
 *	start.c      the start, as a table of contents
 *	hold.c       start tickets: joining, holding, withdrawing
 *	queue.c      bridge to sched: demand, pass, reasons
 *	policy.c     the policies in force         estimates.c  expected run times
 *	hints.c      time limits and expectations of what runs    after.c  --after
 *	queue_cmd.c  hold, release, cancel and move of those that wait
 *	drain.c      nothing new starts
 *	fit.c        what would be, of those that nobody has created
 *	user_quota.c what a user may hold         users.c  names of users
 *	trust.c      other hosts' certificates
 *	migrate*.c, carrier.c  instances that move between hosts: migrate_int.h
 *	prep.c       what must be made by workers before a first start
 *	networks.c   table of networks; what is made of one on the host
 *	claim.c      addresses and ports           names_served.c  DNS for a network's members
 *	connect.c    joining and leaving           plan.c  plan.json
 *	shimlink.c   spawn a shim, its events      exits.c the end of a run, restart policy
 *	stop.c       stop, kill, restart, pause    remove.c
 *	ticket.c     completions and waits         streams.c  attach, resize
 *	exec.c       jobs.c images.c volumes.c kernels.c files.c events.c
 *	filevm.c     a stopped VM's disk, in a VM of its own for the length of a job
 *	eventlog.c   what sched was told and decided, as a file
 *	resources.c  accounting.c  measure.c  recovery.c  crash.c  quota.c  health.c
 *	slicing.c    which of those that run are frozen now
 *	catalog.c    what a lost store is made of again
 *	operation.c  what takes an instance some time, one at a time
 *	snapshot*.c  snapshots, checkpoints, forks, backups (snapshot.h)
 */

#include <sys/queue.h>

#include "dns/server.h"
#include "engine/engine.h"
#include "nft/nft.h"
#include "net/net.h"
#include "sched/account.h"
#include "sched/estimate.h"
#include "sched/sched.h"
#include "shim/conn.h"
#include "store/store.h"
#include "sys/tsc.h"

/* ---- crash.c: moments at which a test may let the daemon die ---- */

enum crash_phase {
	CRASH_CREATE_FOLDER, /* instance's folder is there, its row is not */
	CRASH_CREATE_COMMIT, /* row is there, nobody was told */
	CRASH_QUEUED,        /* start asked for, committed */
	CRASH_PREPARING,     /* `starting` is committed, a worker makes what is missing */
	CRASH_CLAIMED,       /* address and ports claimed, plan not written */
	CRASH_PLANNED,       /* plan written, `starting` not committed */
	CRASH_STARTING,      /* committed, no shim */
	CRASH_SPAWNED,       /* shim runs, not connected */
	CRASH_CONNECTED,     /* START not sent */
	CRASH_START_SENT,
	CRASH_STARTED,  /* payload runs, not committed */
	CRASH_RUNNING,  /* committed, nobody was told */
	CRASH_STOPPING, /* `stop` or `kill` is committed, its signal not sent */
	CRASH_STOP_SENT,
	CRASH_PAUSED, /* frozen or thawed by the shim, not committed */
	CRASH_EXEC,   /* exec asked for, its row is written, the shim does not know */
	CRASH_EXEC_SENT,
	CRASH_EXEC_STARTED,    /* it runs; nobody was told */
	CRASH_EXEC_EXITED,     /* told by the shim, not committed */
	CRASH_EXITED,          /* told by the shim, not committed */
	CRASH_EXIT_COMMIT,     /* committed, BYE not sent */
	CRASH_REMOVING,        /* `rm -f` of what runs is committed, it is not killed yet */
	CRASH_REMOVE,          /* folder is in the trash, row is there */
	CRASH_REMOVED,         /* row is gone, trash is there */
	CRASH_SNAPSHOT_STILL,  /* it stands still, nothing is copied */
	CRASH_SNAPSHOT_COPIED, /* its disk is copied, it stands still */
	CRASH_SNAPSHOT_SEALED, /* the snapshot is whole, and not in its place */
	CRASH_SNAPSHOT_MADE,   /* it is there; nobody was told, a checkpoint's instance lives */
	CRASH_RESTORE_STAGED,  /* the new disk is whole, the old one counts */
	CRASH_RESTORE_DUE,     /* the new one counts, the old one is in its place */
	CRASH_RESTORE_HALF,    /* some of it is in its place */
	/* A hand-over's new state is committed, nobody was told: */
	CRASH_HANDOVER_SENDING,
	CRASH_HANDOVER_ABORTING,
	CRASH_HANDOVER_GIVEN,
	CRASH_HANDOVER_GONE,
	CRASH_HANDOVER_RECEIVING,
	CRASH_HANDOVER_PREPARED,
	CRASH_HANDOVER_TAKEN,
	CRASH_HANDOVER_ABSENT,
	CRASH_PHASES,
};

/** crash_point() - end here like kill -9 when HOSTEL_CRASH_AT names this phase */
void crash_point(struct engine *e, enum crash_phase phase);

/** crash_after_commit() - the same once this turn is written, before anybody is told */
void crash_after_commit(struct engine *e, enum crash_phase phase);
void crash_if_due(const struct engine *e);

/** crash_parse() - phase by name, CRASH_PHASES when unknown or NULL */
enum crash_phase crash_parse(const char *name);

/* ---- objects ---- */

enum ticket_kind { TICKET_START, TICKET_WAIT, TICKET_STOP, TICKET_REMOVE, TICKET_OTHER };

TAILQ_HEAD(ticket_list, engine_ticket);

struct engine_ticket {
	struct engine *e;
	struct instance *i; /* NULL: none, or it is gone */
	enum ticket_kind kind;
	enum engine_wait until; /* TICKET_WAIT */
	enum engine_hold hold;  /* TICKET_START; never HOLD_AUTO */
	bool is_seen_waiting;   /* a pass left it in the queue */
	struct engine_done done;
	struct err *err;
	json_t *result;
	void (*on_reason)(void *arg, const char *reason);
	void *reason_arg;
	struct loop_timer *timer; /* hold time-out */
	struct ticket_list *list; /* where it is: its instance's, or the engine's outbox */
	TAILQ_ENTRY(engine_ticket) link;
};

/* A client's socket that waits for the start. */
struct parked {
	int fd;
	unsigned streams;
	struct shim_attach how;
	void *pre;
	size_t pre_len;
	TAILQ_ENTRY(parked) link;
};
TAILQ_HEAD(parked_list, parked);

/* What a start may need from a worker first. */
enum prep_kind { PREP_SECCOMP, PREP_EROFS, PREP_INITRAMFS, PREP_VOLUMES, PREP_KINDS };

/* A bridge and its addresses: the default one, or one that a user made. */
struct network {
	struct engine *e;
	char id[65]; /* NETWORK_DEFAULT: the default one's */
	char *name;
	char bridge[IFNAMSIZ];
	struct net_prefix subnet; /* the bridge's address; len 0: not chosen yet */
	struct net_prefix range;  /* addresses are given out of it; len 0: of all */
	char gateway[NET_ADDRESS_TEXT];
	char subnet_text[NET_ADDRESS_TEXT], range_text[NET_ADDRESS_TEXT];
	bool is_internal, is_attachable;
	bool keeps_source; /* no masquerade */
	int mtu;
	struct strmap labels, options;
	int64_t created_ns;

	/* not stored */
	uint32_t last_address;
	bool is_ready; /* bridge, rules and name server are there */
	struct dns_server *dns;
	TAILQ_ENTRY(network) link;
};
TAILQ_HEAD(network_list, network);

#define NETWORK_DEFAULT "bridge"

/* An instance's end of a network, from the claim of its address to the end of the run. */
struct endpoint {
	char network[65];
	char address[NET_ADDRESS_TEXT], mac[NET_MAC_TEXT];
	int index;      /* of its interface: eth0, eth1 */
	bool has_route; /* the way out leads here */
	bool is_hot;    /* joined while it ran: its plan does not know */
};

struct instance {
	struct engine *e;
	char id[65];
	struct spec *spec;
	enum inst_state state;
	struct inst_freeze freeze;

	/* stored */
	bool ever_ran, oom, manual_stop;
	/* While it waits in the queue: */
	bool is_held; /* passed over until it is released */
	int64_t held_by;
	int64_t queue_place; /* its own place (sched_place()); 0: the policy's */
	int64_t queued_ns;   /* wall clock: since when; its place by arrival */
	bool restart_asked;  /* `restart`: starts again once it exited */
	bool is_removing;    /* `rm -f`: removed once it exited */
	bool remove_volumes;
	int stop_signum;    /* `stop`, `restart`: what asks it to end */
	int64_t stop_by_ns; /* wall clock: then it is killed; 0: not said, -1: never */
	bool durable;       /* its start survives client and daemon */
	int exit_code;
	char *error;
	int restart_count;
	int64_t backoff_ns;    /* the last one */
	int64_t not_before_ns; /* wall clock; waits for its back-off until then; 0: it does not */
	int64_t created_ns, started_ns, finished_ns;
	pid_t pid;
	struct endpoint
	    *ends; /* in the order of the spec's endpoints, but those joined later last */
	size_t n_ends;
	struct spec_port *ports; /* as published; strings owned */
	size_t n_ports;
	int vcpus;                 /* of its machine, in this start; 0: none */
	int64_t manage_bytes;      /* M_i: estimated, then measured */
	struct account account;    /* of this start; wall clock */
	int health_state;          /* enum health_state; HEALTH_NONE without a check */
	char *net_join;            /* id whose network it shares */
	struct handover *handover; /* migrate_int.h; NULL: none */
	int64_t event_number;      /* of this start in the event log; 0: none yet */
	bool is_over;              /* its last run's end was noted: what is left of that is old */

	/* not stored */
	char *state_dir, *run_dir, *log_dir;
	int *port_fds;              /* sockets that hold the ports; -1: none */
	bool run_dirty, spec_dirty; /* to be written this turn */
	bool has_allocation;        /* admitted in sched's books */
	bool is_started_sent;
	char *told;         /* reason last told to parked clients */
	bool restart_event; /* `restart`: tell so when it is up again */
	bool stop_asked;    /* `stop`: tell so when it ended */
	bool is_recovered;  /* its shim has not said HELLO to this daemon yet */
	bool is_updated;    /* `update` after its plan was written: to be done when it is up */
	bool requeue;       /* recovery: back into the queue when it is undone */
	pid_t shim_pid;
	char *undo_note; /* why it is being undone */
	bool is_undoing;
	struct estimate expect;        /* as its last start was told to sched */
	int64_t expect_now_ns;         /* raised when it ran longer; 0: unknown */
	int64_t began_boot_ns;         /* hints.c */
	struct loop_timer *hint_timer; /* while it runs; NULL: nothing to be done */
	bool is_out_of_time;           /* its time limit ended it */
	struct strv after;             /* wishes that have not come true, as in its spec */
	char *after_failed;            /* why it is to be withdrawn; NULL: it is not */
	bool start_wanted;             /* go on with it as soon as the old shim is gone */
	char *reason;                  /* why it waits; NULL: it does not */
	const char *preparing;         /* what a worker makes for it now; static */
	int64_t paused_at_ns;
	int64_t ended_boot_ns;
	struct shim_conn *conn;
	struct health *health;   /* while it runs; NULL: nothing is checked */
	struct shim_child *shim; /* our child; NULL after recovery */
	struct loop_child *undo;
	bool shim_alive;
	int lock_fd; /* -1; held between claim and spawn */
	struct loop_timer *stop_timer, *backoff_timer, *lock_timer, *notice_timer;
	int lock_tries;
	struct slicing_member *slicing; /* its place in the line; NULL: none */
	struct engine_operation *op;    /* what is under way with it; NULL: nothing */
	struct filevm *filevm; /* boots, runs or ends for its files; it does not run itself then */
	struct engine_job *prep;
	enum prep_kind prep_kind; /* what @prep makes */
	unsigned prep_done;       /* set over enum prep_kind: not to be tried again in this start */
	unsigned short rows, cols; /* wished before the start */
	struct ticket_list tickets;
	struct parked_list parked;
	struct amounts measured;
	struct {
		struct amounts sum;
		int64_t n;
	} used; /* samples of this start, for what it did not declare */
	unsigned samples;
	uint64_t cpu_last_ns;
	int64_t cpu_last_at_ns;
	TAILQ_ENTRY(instance) link;
	/* To be spawned, told BYE, or freed after the commit; it can be on all of them. */
	TAILQ_ENTRY(instance) spawn_link, bye_link, grave_link;
	bool on_spawn, on_bye, on_grave;
};
TAILQ_HEAD(instance_list, instance);

struct image {
	char *id, *manifest;
	json_t *doc;    /* image object of docs/protocols.md */
	json_t *config; /* loaded at first use */
	TAILQ_ENTRY(image) link;
};
TAILQ_HEAD(image_list, image);

struct image_ref {
	char *ref; /* normalised */
	char *image, *digest;
	TAILQ_ENTRY(image_ref) link;
};
TAILQ_HEAD(ref_list, image_ref);

struct exec {
	char id[65];
	struct instance *i;
	struct engine_exec_spec x; /* strings owned; cmd and env too */
	char *user, *workdir, *keys;
	bool is_running, is_started, has_ended;
	bool is_dirty; /* to be written this turn */
	bool is_check; /* a health check's: forgotten at its end */
	int code;
	pid_t pid;
	struct engine_ticket *ticket;
	int rows, cols;
	TAILQ_ENTRY(exec) link;
};
TAILQ_HEAD(exec_list, exec);

struct past_event {
	uint64_t seq;
	int64_t time_ns;
	const char *type;         /* static */
	char *action, *id, *text; /* text: attributes as JSON */
	TAILQ_ENTRY(past_event) link;
};
TAILQ_HEAD(event_list, past_event);

struct engine_subscription {
	struct engine *e;
	void (*fn)(void *arg, const struct engine_event *ev);
	void *arg;
	uint64_t seen; /* last event delivered */
	TAILQ_ENTRY(engine_subscription) link;
};
TAILQ_HEAD(subscription_list, engine_subscription);

TAILQ_HEAD(job_list, engine_job);
TAILQ_HEAD(shim_list, shim_child);
TAILQ_HEAD(filevm_list, filevm);
TAILQ_HEAD(operation_list, engine_operation);

/* policy.c: in force */
struct policy {
	char *allocate;                /* in full: "fcfs/easy" */
	int64_t max_wait_ns, aging_ns; /* 0: none */
	enum estimate_mode estimate;
	char *schedule; /* who of those that run is frozen */
	int64_t quantum_ns;
	int64_t age_ns, boost_ns; /* of priority, of mlfq; 0: none */
	int64_t turn_ns;          /* of order rr; 0, while nothing can be spilled */
	bool spill;
};
void policy_done(struct policy *p);
static inline void own_policy_release(struct policy *p)
{
	policy_done(p);
}

/* ---- estimates.c, hints.c, after.c ---- */

/** estimates_init() - learn anew from what accounting has */
void estimates_init(struct engine *e);

/** estimates_guess() - of the run that it now waits for, to i->expect */
void estimates_guess(struct instance *i);

/** estimates_learn() - its run has ended; what was learned is kept in @record of accounting */
void estimates_learn(struct instance *i, json_t *record);

/** estimates_json() - {"ns", "source"} or null */
json_t *estimates_json(const struct instance *i);

/** hints_deadline_boot() - its deadline on the boot clock; 0: none */
int64_t hints_deadline_boot(const struct instance *i);

/** hints_ran_ns() - since its start, without the time that it was paused or sliced out */
int64_t hints_ran_ns(const struct instance *i);

/** hints_started() - it runs, or this daemon found it running */
void hints_started(struct instance *i);

/** hints_end_text() - why we ended it; NULL: we did not. Return: @buf */
const char *hints_end_text(const struct instance *i, char *buf, size_t size);

/** after_settle() - a new spec's names become ids: ERR_NOT_FOUND */
struct err *after_settle(struct engine *e, struct spec *s) MUST_USE;

/** after_arrive() - a start begins to wait, before it is in the queue */
void after_arrive(struct instance *i);

/** after_has_ended() - what waits for its end need not any more */
bool after_has_ended(const struct instance *i);

/** after_ended() - it has ended, failed to start, was withdrawn or is removed: others may go on */
void after_ended(struct instance *ended);

/** after_pass() - withdraw those whose wishes can come true no more */
void after_pass(struct engine *e);

/** after_reason() - what it waits for, while i->after is not empty; owned by the caller */
char *after_reason(const struct instance *i);

/** queue_hold() - keep it out of passes, or let it in, as its wishes say */
void queue_hold(struct instance *i);

/** policy_init() - those of the settings, the store or the defaults; the store is open */
struct err *policy_init(struct engine *e) MUST_USE;

/* drain.c */
struct drain {
	bool on;
	int64_t since_ns; /* wall clock */
	int64_t uid;      /* who said so */
};

/* user_quota.c */
struct user_quota {
	int64_t uid;
	struct amounts most; /* 0: no limit, @instances too */
	int64_t instances;
};

struct migration_list;
struct door;

struct engine {
	struct engine_config c; /* strings owned */
	struct loop *loop;
	struct store *store;
	struct sched *sched;
	struct policy policy;
	struct eventlog *eventlog; /* NULL: none is kept */
	struct eventlog *turnlog;  /* while a policy freezes */
	struct estimator *estimator;
	size_t n_learned; /* since it was made */
	struct drain drain;
	struct user_quota *quotas;
	size_t n_quotas;
	struct nft *nft;
	enum crash_phase crash_at;
	bool crash_is_due;
	bool is_new_store; /* made just now: what the folders hold is taken over */
	bool is_recovering, at_boot;
	bool is_sampling;

	struct instance_list instances; /* oldest first */
	size_t n_instances;
	struct instance_list spawn, bye, grave; /* by spawn_link and so on */
	struct ticket_list outbox;
	bool is_dirty;    /* something is to be committed */
	bool queue_dirty; /* a pass could decide something */
	int commit_fails;
	struct loop_timer *wake, *retry, *sample, *sweep;
	struct strv trash; /* folders to be deleted */
	bool is_sweeping;

	struct image_list images;
	json_t *doomed; /* image objects whose files go when no worker may need them; NULL: none */
	struct ref_list refs;
	struct engine_image shown; /* what engine_image_find() lends */
	struct exec_list execs;    /* oldest first */
	size_t n_execs;
	struct event_list events;
	size_t n_events, event_bytes; /* of their texts */
	uint64_t event_seq, told_seq; /* of the newest; of the newest that was told */
	struct subscription_list subscriptions;
	struct job_list jobs;
	struct shim_list shims; /* children that are to be reaped */
	int shim_fd;            /* hostel-shim, opened at the first start; 0: not yet */
	struct filevm_list filevms;
	struct operation_list operations;
	struct migration_list *migrations; /* migrate_int.h */
	int64_t n_migrations;              /* so far */
	struct door *doors;                /* where instances come in */
	size_t n_doors;
	struct loop_timer *migrate_timer; /* connects again */
	int64_t migrate_delay_ns;
	const char *carrier_crash; /* where hostel-migrate is to die, in tests; NULL */

	struct strmap initrds;        /* kernel bundle -> initramfs that a worker named */
	struct network_list networks; /* the default one first */
	int64_t boot_offset_ns;       /* boot clock less wall clock, when it was started */
	int64_t memory_bytes, cpu_milli, disk_bytes; /* T */
	int64_t reserve_bytes;                       /* S of memory, M_total included */
	int64_t manage_self_bytes;                   /* M_0 */
	/* Of what planners say of a VM's M_i, as much was measured; thousandths, 0: not yet. */
	int64_t manage_learned_milli;
	char *kvm_reason; /* NULL: not probed yet */
	bool has_kvm;
	bool has_projects; /* root keeps to limits of projects */
	struct slicing *slicing;
	struct tsc_sample tsc_start;
	int64_t tsc_khz; /* of the host; 0: not known yet */
	char *boot_id;
};

/* ---- engine.c ---- */

/** engine_dirty() - the turn must end with a commit */
void engine_dirty(struct engine *e);

/** engine_queue_dirty() - the turn must end with a scheduling pass */
void engine_queue_dirty(struct engine *e);

/** engine_commit() - write all marked instances and end the transaction, now */
struct err *engine_commit(struct engine *e) MUST_USE;

/** engine_path() - root/… as text owned by the caller */
char *engine_path(const struct engine *e, const char *fmt, ...) PRINTF(2, 3);

/** engine_random_id() - 64 hex digits */
void engine_random_id(char ret[65]);

/* ---- instances.c ---- */

struct instance *instance_new(struct engine *e, const char *id);
void instance_free(struct instance *i);

/** instance_bury() - out of the table now, freed when the turn is over */
void instance_bury(struct instance *i);
struct instance *instance_by_id(const struct engine *e, const char *id);
struct instance *instance_by_name(const struct engine *e, const char *name);

/** instance_step() - take a step of the lifecycle table, mark it; ACT_REFUSE changes nothing */
enum inst_action instance_step(struct instance *i, enum inst_event ev);

/** instance_touch() - its run document is to be written this turn */
void instance_touch(struct instance *i);

/** instance_write() - put its documents into the open transaction */
struct err *instance_write(struct instance *i) MUST_USE;

/** instance_save_spec() - instances/ID/spec.json, from which a lost store is rebuilt */
struct err *instance_save_spec(const struct instance *i) MUST_USE;

/** instance_save_run() - instances/ID/run.json: what changed since its plan was written, for the
 *  same purpose; failures are logged
 */
void instance_save_run(const struct instance *i);

/** instance_run_json() - its run document; new reference */
json_t *instance_run_json(const struct instance *i);

/** instance_read() - from its documents (recovery); @run may be NULL */
struct err *instance_read(struct engine *e, const char *id, const json_t *doc, const json_t *run,
			  struct instance **ret) MUST_USE;

void instance_ports_free(struct instance *i);
char *instance_cgroup(const struct instance *i);     /* "/hostel/ID"; owned by the caller */
bool instance_is_alive(const struct instance *i);    /* starting, running or stopping */
bool instance_is_waiting(const struct instance *i);  /* queued or re-queued */
const char *instance_kind(const struct instance *i); /* plan's kind */
/** planner_of() - whoever plans and runs instances of a spec's kind */
const struct planner *planner_of(const struct engine *e, const struct spec *s);

/**
 * instance_create_whole() - from a spec that was one's already, and a disk that is there
 * @s:      consumed; its image is named by its id
 * @staged: folder with the disk, for snapshot_take_over()
 */
struct err *instance_create_whole(struct engine *e, struct spec *s, const char *staged,
				  struct instance **ret) MUST_USE;

/* ---- ticket.c ---- */

/** ticket_new() - @i may be NULL */
struct engine_ticket *ticket_new(struct engine *e, struct instance *i, enum ticket_kind kind,
				 struct engine_done done);

/** ticket_finish() - to the outbox; @err and @result are consumed */
void ticket_finish(struct engine_ticket *t, struct err *err, json_t *result);

/** engine_finish() - the same for a bare completion */
void engine_finish(struct engine *e, struct engine_done done, struct err *err, json_t *result);

/** outbox_flush() - deliver; false when there was nothing */
bool outbox_flush(struct engine *e);

/** waits_exited() - an instance's run ended (or its start failed): tell those who wait */
void waits_exited(struct instance *i);
void waits_running(struct instance *i);
void waits_healthy(struct instance *i);
/** waits_over() - it has ended for good: those that wait for it to live are told so */
void waits_over(struct instance *i);
void waits_removed(struct instance *i);

/** tickets_fail() - all tickets of a kind, with copies of one error */
void tickets_fail(struct instance *i, enum ticket_kind kind, enum err_kind why, const char *text);
void tickets_succeed(struct instance *i, enum ticket_kind kind);

/* ---- hold.c, queue.c, start.c ---- */

/** start_request() - the state step and the place in the queue; who may wait is decided by others
 */
struct err *start_request(struct instance *i) MUST_USE;

/** start_withdraw() - out of the queue; start tickets fail with @why; --rm removes it */
void start_withdraw(struct instance *i, const char *why);

/** start_admitted() - resources are reserved: prepare, claim, plan, and spawn after the commit */
void start_admitted(struct instance *i);

/** start_spawn() - after the commit of `starting` */
void start_spawn(struct instance *i);

/** start_failure_code() - 126, 127 or 128, by the words of an error */
int start_failure_code(const char *text);

/** start_failed() - undone already; the instance is as before, with an error */
void start_failed(struct instance *i, enum err_kind kind, const char *text);

void hold_after_pass(struct engine *e);
void hold_notice_stop(struct instance *i);

void queue_init(struct engine *e);
void queue_pass(struct engine *e);
void queue_arrive(struct instance *i);
/** queue_arrive_again() - recovery: in its place by arrival, held if it was */
void queue_arrive_again(struct instance *i);
void queue_leave(struct instance *i);
void queue_adopt(struct instance *i);
struct sched_job queue_job(const struct instance *i);

/** queue_regroup() - sched_over() is another label: whom order rr serves in turn, of all that wait
 */
void queue_regroup(struct engine *e);
/** queue_manage_most() - M_i as the planner says it, before any measurement */
int64_t queue_manage_most(const struct instance *i);
int64_t spec_demand_cpu_milli(const struct spec *s);
int64_t spec_demand_memory_bytes(const struct spec *s);

/* ---- queue_cmd.c ---- */

/** queue_hold_text() - the reason of a held one; owned by the caller */
char *queue_hold_text(const struct instance *i);

/* ---- drain.c ---- */

/** drain_init() - as the store says */
void drain_init(struct engine *e);
/** drain_text() - the reason of those that wait; owned by the caller */
char *drain_text(const struct engine *e);

/* ---- user_quota.c ---- */

/** user_quotas_init() - those of the store. ERR_INVALID when it has nonsense */
struct err *user_quotas_init(struct engine *e) MUST_USE;

/* ---- prep.c, claim.c, plan.c ---- */

/** prep_next() - start the next worker that @i needs; false when nothing is missing */
bool prep_next(struct instance *i);
void prep_cancel(struct instance *i);
/** prep_vm_job() - what hostel-guest alone needs from a worker on an image VM's disk; NULL: no more
 */
json_t *prep_vm_job(struct instance *i, bool *ret_is_initramfs);
/** vm_probe_kvm() - find out whether KVM can be used; answers later */
void vm_probe_kvm(struct engine *e);

/** vm_initramfs_job() - NULL when it is there or not needed */
json_t *vm_initramfs_job(struct instance *i);
/** vm_facts() - what a host planner is told of a VM; nothing for a container
 *  @texts: keeps what @f borrows; appended to
 */
struct err *vm_facts(struct instance *i, struct host_facts *f, struct strv *texts) MUST_USE;
void vm_initramfs_made(struct instance *i, const char *path);
/** vm_check() - could it boot at all? ERR_UNAVAILABLE without a kernel */
struct err *vm_check(struct engine *e, const struct spec *s) MUST_USE;
/** vm_check_agent() - ERR_UNSUPPORTED for a VM in which nothing of ours runs */
struct err *vm_check_agent(const struct instance *i) MUST_USE;
/** vm_facts_alone() - the same for hostel-guest alone on an image VM's disks */
struct err *vm_facts_alone(struct instance *i, int64_t memory_bytes, struct host_facts *f,
			   struct strv *texts) MUST_USE;
struct err *vm_top(struct instance *i, struct engine_done done) MUST_USE;
char *prep_seccomp_path(const struct instance *i); /* NULL: no filter */

struct err *claim_all(struct instance *i) MUST_USE;
/** claim_again() - rows of the addresses and ports that a recovered instance has */
void claim_again(struct instance *i);
void claim_release(struct instance *i);
/** claim_resume() - hold the ports of a recovered, living instance again */
void claim_resume(struct instance *i);
/** claim_end() - an address on a network that is ready, for @said */
struct err *claim_end(struct instance *i, const struct spec_endpoint *said, struct network *n,
		      struct endpoint **ret) MUST_USE;
/** claim_drop_end() - give its address back; @end is gone afterwards */
void claim_drop_end(struct instance *i, struct endpoint *end);
/** claim_unpublish() - take its ports out of the ruleset; they stay claimed */
void claim_unpublish(struct instance *i);
/** network_remove() - bridge and ruleset, if the store says that we made them; nothing may run */
struct err *network_remove(struct store *s, const char *nft_table) MUST_USE;
struct err *claim_publish(struct instance *i) MUST_USE;
/** claim_ports_of() - elements of its published ports; @out: n_ports at least; Return: how many */
size_t claim_ports_of(const struct instance *i, struct nft_port *out);

struct err *plan_write(struct instance *i) MUST_USE;
/** plan_rootfs() - host.rootfs; new reference */
struct err *plan_rootfs(struct instance *i, json_t **ret) MUST_USE;
/** plan_rewrite_resolv() - a running container's /etc/resolv.conf, after its networks changed */
struct err *plan_rewrite_resolv(struct instance *i) MUST_USE;

/* ---- networks.c ---- */

/** networks_load() - the default one, and those of the store (or, when it was lost, of their files)
 */
struct err *networks_load(struct engine *e) MUST_USE;
void networks_free(struct engine *e);

/** networks_recover() - make bridges, rules and name servers of those that need them now */
void networks_recover(struct engine *e);

/** networks_settle() - a new spec's endpoints: complete, by id, that of network_mode first */
struct err *networks_settle(struct engine *e, struct spec *s) MUST_USE;

/** networks_check_aliases() - names on the default network would be known to nobody: ERR_INVALID */
struct err *networks_check_aliases(const struct spec *s) MUST_USE;

struct network *network_default(const struct engine *e);
struct network *network_by_id(const struct engine *e, const char *id);
struct network *network_by_bridge(const struct engine *e, const char *bridge);
struct err *network_find(const struct engine *e, const char *ref, struct network **ret) MUST_USE;
bool network_is_default(const struct network *n);

/** network_ready() - bridge, rules and name server are there, or are made now */
struct err *network_ready(struct network *n) MUST_USE;

/** network_event() - @i: NULL for one that is not about an instance */
void network_event(struct network *n, const char *action, const struct instance *i);

/** instance_end_on() - its end of a network; NULL: none */
struct endpoint *instance_end_on(const struct instance *i, const char *network);

/* ---- names_served.c ---- */

/** names_serve() - answer the members of a network that is up */
struct err *names_serve(struct network *n) MUST_USE;

/* ---- shimlink.c, exits.c ---- */

struct err *shimlink_spawn(struct instance *i) MUST_USE;
struct err *shimlink_connect(struct instance *i) MUST_USE;

/**
 * shimlink_is_gone() - is nothing left of the last run?
 *
 * When not, shimlink_start_again() follows, at the latest after a second.
 */
bool shimlink_is_gone(struct instance *i);

/** shimlink_forget_run() - a new run begins; the last one's record goes, its shim is gone */
void shimlink_forget_run(struct instance *i);

/** shimlink_wait() - its shim is about to end: go on when the lock is free */
void shimlink_wait(struct instance *i);
void shimlink_started(struct instance *i, pid_t pid, int64_t started_ns);

/** shimlink_free_all() - the daemon ends: its children go on, nobody waits for them */
void shimlink_free_all(struct engine *e);

/** shimlink_bye() - after the commit, let the shim end */
void shimlink_bye(struct instance *i);

/** shimlink_orphan() - the instance goes, its shim is still to be reaped */
void shimlink_orphan(struct instance *i);

/**
 * shimlink_run() - start hostel-shim for @i: on its socket, with its log
 * @argv: NULL-terminated
 * @lock: of the instance; borrowed
 */
struct err *shimlink_run(struct instance *i, char *const *argv, int lock, pid_t *ret_pid,
			 int *ret_pidfd) MUST_USE;

/** shimlink_run_undo() - start hostel-shim --undo of what a plan in @state_dir made */
struct err *shimlink_run_undo(struct engine *e, const char *kind, const char *state_dir,
			      int *ret_pidfd) MUST_USE;

/** shimlink_start_again() - what a start waited for is gone */
void shimlink_start_again(struct instance *i);

/** shimlink_drop() - close the connection, forget the child */
void shimlink_drop(struct instance *i);

/** shimlink_lock() - take an instance's lock; -1 in @ret_fd: somebody holds it */
struct err *shimlink_lock(struct instance *i, int *ret_fd) MUST_USE;

/** shimlink_undo() - run hostel-shim --undo; then exits_died() or, in a failed start,
 *  start_failed() */
void shimlink_undo(struct instance *i, const char *note);

struct exit_note {
	int code;
	bool oom;
	int64_t finished_ns; /* wall clock */
	const char *text;
};

/** exits_note() - its run is over */
void exits_note(struct instance *i, const struct exit_note *x);

/** exits_from_file() - the shim's record of its exit or failed start; false when there is none */
bool exits_from_file(struct instance *i);
void exits_again(struct instance *i, int64_t delay_ns);
/** exits_back_off() - a re-queued instance starts after @delay_ns */
void exits_back_off(struct instance *i, int64_t delay_ns);
/** exits_policy_again() - it waited for its restart when the store was lost */
void exits_policy_again(struct instance *i);
/** exits_at_boot() - the host was restarted: policies say what runs again */
void exits_at_boot(struct instance *i);

/* ---- quota.c ---- */

/** quota_probe() - does root's file system keep to limits of projects? */
void quota_probe(struct engine *e);

/** quota_claim() - a new instance's folder gets a number and its limit, where that can be */
struct err *quota_claim(struct instance *i) MUST_USE;

/** quota_project() - number that its folder carries; 0: its disk is a file of its own */
uint32_t quota_project(const struct instance *i);

/** quota_reserve() - a number for a disk that is made for a new instance; 0: it needs none */
struct err *quota_reserve(struct engine *e, const struct spec *s, uint32_t *ret) MUST_USE;

/** quota_renew() - before a start; ERR_UNAVAILABLE when the file system no longer keeps to it */
struct err *quota_renew(const struct instance *i, uint32_t id) MUST_USE;

/** quota_release() - a folder is about to go: its number is free when its files are gone */
void quota_release(const struct engine *e, const char *state_dir);

/* ---- health.c ---- */

/** health_start() - it runs (again): check it, if it asks for that */
void health_start(struct instance *i);

/** health_stop() - before its execs are dropped */
void health_stop(struct instance *i);

/** health_exec_ended() - @error: it could not be run; NULL: it was */
void health_exec_ended(struct instance *i, const char *exec_id, int code, const char *error);
void health_view(const struct instance *i, struct instance_view *v);
/** health_is_checked() - will it be, while it runs? */
bool health_is_checked(const struct instance *i);

/** exec_mark_check() - it is forgotten when it ends; exec_forget_check() - now */
void exec_mark_check(struct engine *e, const char *exec_id);
void exec_forget_check(struct engine *e, const char *exec_id);

/* ---- update.c ---- */

/** update_started() - it runs: what was changed while it started holds now */
void update_started(struct instance *i);

/* ---- stop.c, remove.c, streams.c, exec.c ---- */

/** stop_resume() - it came up while it was being stopped: the signal goes out now */
void stop_resume(struct instance *i);
/** host_check() - the rules of spec_check() that depend on this host: signal names, cpusets */
struct err *host_check(const struct spec *s) MUST_USE;
int signal_parse(const char *text); /* "SIGTERM", "TERM", "15"; -1 */
void remove_now(struct instance *i);
void trash_sweep(struct engine *e);
void trash_later(struct engine *e);
/** trash_put_alone() - the same, and the project number that it may carry stays in use */
void trash_put_alone(struct engine *e, const char *path);
/** trash_put() - move a folder below root out of sight; the sweep deletes it */
void trash_put(struct engine *e, const char *path);

void streams_close(struct instance *i);
void streams_hand_over(struct instance *i);
void streams_tell(struct instance *i, const char *text);
bool streams_withdrawn(struct instance *i);
/** streams_parked() - is a client attached before the start? Those that went are let go of */
bool streams_parked(struct instance *i);

/** instance_commit() - write down what is about to be done to an instance, before it is done.  A
 * full disk does not hinder it: then a crash may forget it.
 */
void instance_commit(struct instance *i, enum crash_phase then);

/** execs_load() - what the store knows of execs; those of instances that do not run are dropped */
struct err *execs_load(struct engine *e) MUST_USE;

/** execs_write() - changed ones into the open transaction */
struct err *execs_write(struct engine *e) MUST_USE;
/** execs_drop() - its run is over; execs_free() - the daemon ends, they go on */
void execs_drop(struct instance *i);
void execs_free(struct instance *i);
/** execs_need() - does an exec in it run, or is about to? */
bool execs_need(const struct instance *i);
void exec_event(struct instance *i, enum shim_msg_type type, const struct shim_exec_event *ev,
		const char *text);

/* ---- images.c, volumes.c, events.c, jobs.c ---- */

struct err *images_load(struct engine *e) MUST_USE;
void images_free(struct engine *e);
/** images_sweep() - files of deleted images, unless a worker may need them: then after it */
void images_sweep(struct engine *e);
/** images_collect() - files that no image has and that are so old; Return: bytes
 *  @out: gets {"Deleted":…} for each; NULL: not told */
int64_t images_collect(struct engine *e, int64_t older_ns, json_t *out);
struct image *image_by_ref(struct engine *e, const char *ref);
struct image *image_by_id(struct engine *e, const char *id);
struct err *image_config(struct engine *e, struct image *im, const json_t **ret) MUST_USE;
/** image_enter() - an image object of a worker into the store */
struct err *image_enter(struct engine *e, const json_t *doc) MUST_USE;
/** image_layers() - diff ids as hex, bottom first */
void image_layers(const struct image *im, struct strv *ret);

struct err *volumes_prepare(struct instance *i) MUST_USE;
void volumes_release(struct instance *i);
char *volume_path(const struct engine *e, const char *name);

/** event_emit() - @attributes: consumed; NULL: none */
void event_emit(struct engine *e, const char *type, const char *action, const char *id,
		json_t *attributes);
/** instance_emit() - a container event with Docker's attributes; @more: consumed, may be NULL */
void instance_emit(struct instance *i, const char *action, json_t *more);
void events_flush(struct engine *e);
void events_free(struct engine *e);

/** err_kind_parse() - "NOT_FOUND" as workers write it; ERR_INTERNAL for what is none */
enum err_kind err_kind_parse(const char *name);
/** job_file() - a job as a worker's descriptor 0 */
struct err *job_file(const json_t *job, int *ret_fd) MUST_USE;
struct err *job_simple(struct engine *e, json_t *job, struct engine_done done,
		       struct engine_job **ret) MUST_USE;
/** job_start_with() - engine_job_start() with a further descriptor 4, consumed; -1: none */
struct err *job_start_with(struct engine *e, json_t *job, const struct engine_job_io *io, int agent,
			   struct engine_done done, struct engine_job **ret) MUST_USE;
void jobs_free(struct engine *e);

/* ---- files.c, filevm.c ---- */

/** files_ask_vm() - a job on the files of a VM that runs, through its shim; @job, @io: consumed */
struct err *files_ask_vm(struct engine *e, struct shim_conn *conn, json_t *job,
			 const struct engine_job_io *io, struct engine_done done) MUST_USE;

/** filevm_job() - a job on a stopped VM's files, once its VM is up; @job, @io: consumed */
void filevm_job(struct instance *i, json_t *job, const struct engine_job_io *io,
		struct engine_done done);

/** filevm_end() - the instance is wanted for something else: end when no job runs any more */
void filevm_end(struct instance *i);

/** filevm_kill() - the instance is removed: end now, jobs fail; none is fine */
void filevm_kill(struct instance *i);

/** filevm_recover() - what a daemon that died may have left of one */
void filevm_recover(struct instance *i);

/** filevm_held() - the M that it holds; false: nothing */
bool filevm_held(const struct instance *i, struct amounts *ret);

/** filevm_free() - the daemon ends: one at rest is killed, a busy one ends in order by itself */
void filevm_free(struct instance *i);
/** jobs_use_images() - does a worker run that reads or makes images? */
bool jobs_use_images(const struct engine *e);

/* ---- operation.c, snapshot_disk.c ---- */

/** operation_give_way() - its user wants something else of it: cancel what is under way */
void operation_give_way(struct instance *i);

/** operation_run_ended() - its run is over */
void operation_run_ended(struct instance *i);

/** operation_filevm_gone() - its files are at rest */
void operation_filevm_gone(struct instance *i);

/** operation_text() - what is under way; NULL: nothing; static */
const char *operation_text(const struct instance *i);

/** operations_free() - the daemon ends: what was half-made is deleted by the next one */
void operations_free(struct engine *e);

/** snapshot_recover() - finish a restore that a daemon before us began to carry out */
void snapshot_recover(struct instance *i);

/** snapshot_restore_dir() - what its next start brings back; NULL: nothing; owned by the caller */
char *snapshot_restore_dir(const struct instance *i);

/** snapshot_restore_over() - it runs again, or did not: later starts are fresh ones */
void snapshot_restore_over(struct instance *i);

/** snapshot_wanted_end() - address and mac that it had on a network, when a state is brought back
 *  in place; false: there is no wish
 *  @address: NET_ADDRESS_TEXT bytes; @mac: NET_MAC_TEXT
 */
bool snapshot_wanted_end(const struct instance *i, const char *network, char address[], char mac[]);
/* ---- migrate.c ---- */

struct handover;

/** handover_free() - NULL is fine */
void handover_free(struct handover *h);
/** handover_json() - its stored form; handover_read() - from there, NULL: none; owned */
json_t *handover_json(const struct handover *h);
struct handover *handover_read(const json_t *j);

/** migrate_is_still() - must it not be started, changed or removed, because of a migration?
 *  Return: NULL: it may; else ERR_STATE with the reason */
struct err *migrate_is_still(const struct instance *i) MUST_USE;

/** migrate_forbids() - may it not run on this side? */
bool migrate_forbids(const struct instance *i);

/** migrate_init() - the doors open; migrate_recover() - after all instances are known */
struct err *migrate_init(struct engine *e) MUST_USE;
void migrate_recover(struct engine *e);
void migrate_free(struct engine *e);

/** migrate_removed() - an instance goes: what moved with it does, and its token is remembered */
void migrate_removed(struct instance *i);

/** migrate_view() - "migrating", "in doubt" or NULL; @ret_state, @ret_peer: NULL without a row */
const char *migrate_view(const struct instance *i, const char **ret_state, const char **ret_peer);

/** volumes_drop() - its volumes that nobody else uses, named ones too */
void volumes_drop(struct instance *i);
/** volumes_come() - a row for a volume whose folder came from another host */
struct err *volumes_come(struct engine *e, const char *name, const json_t *doc) MUST_USE;

/* ---- catalog.c ---- */

/** catalog_open_store() - the store; a damaged one is set aside, a new one is filled with what the
 *  catalog says
 */
struct err *catalog_open_store(struct engine *e) MUST_USE;

/** catalog_save() - after a commit, when that changed something the catalog has */
void catalog_save(struct engine *e);

/* ---- eventlog.c ---- */

/**
 * eventlog_open() - ROOT/events.log goes on, or begins; from now on it has all that sched is told
 *
 * Without one (a size of 0, a failure, which is logged) the functions below do nothing.
 */
void eventlog_open(struct engine *e);

/** eventlog_close() - what is buffered is written */
void eventlog_close(struct engine *e);

/** eventlog_flush() - write what this turn brought: one write(); a failure is logged once, and what
 * it loses is made up for by a copy of what there is as soon as the disk takes one
 */
void eventlog_flush(struct engine *e);

/** eventlog_number() - one that no start had; eventlog_seen() - @number is in use */
int64_t eventlog_number(struct engine *e);
void eventlog_seen(struct engine *e, int64_t number);

/** eventlog_turns() - ROOT/turns.log has what time slicing is told and decides, or no more */
void eventlog_turns(struct engine *e, bool on);

/* What sched is not told: */
void eventlog_scheduled(struct engine *e); /* another policy of time slicing, or its times */
void eventlog_paused(const struct instance *i, bool on); /* by its user */
void eventlog_started(const struct instance *i);         /* it runs */
void eventlog_again(const struct instance *i);           /* its run ended, its allocation stays */

/* ---- measure.c, resources.c, recovery.c ---- */

void measure_start(struct engine *e);
void measure_soon(struct engine *e);
uint64_t host_cpu_ns(void);
json_t *account_json(const struct instance *i);

/** account_reset() - a start begins: it arrives now */
void account_reset(struct instance *i);

/** account_sample() - what it was measured to use */
void account_sample(struct instance *i, const struct amounts *measured);

/** amounts_json() - {"cpu_milli", "memory_bytes", "disk_bytes", "gpus"}; new reference */
json_t *amounts_json(const struct amounts *a);

/** recover_hello() - a shim that lived through our death says where it is */
void recover_hello(struct instance *i, const struct shim_hello *h);
struct err *recover_all(struct engine *e) MUST_USE;

#endif
