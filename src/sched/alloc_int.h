/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCHED_ALLOC_INT_H
#define SCHED_ALLOC_INT_H

/*
 * Inside of the allocator.  Entries live in one array and name each other by number.
 * A waiting entry is a node of one queue tree, a running one of the tree of planned
 * ends: the same links and sums serve both.
 */

#include "sched/alloc.h"

#define LANES   16        /* sizes of cpu demand that a queue tree tells apart */
#define ENDLESS INT64_MAX /* an unknown run time */

enum entry_state { ENTRY_FREE, ENTRY_WAITING, ENTRY_PARKED, ENTRY_HELD, ENTRY_RUNNING };

struct alloc_entry {
	uint64_t tag;
	int64_t arrival_ns, planned_ns; /* ENDLESS: unknown */
	int64_t deadline_ns;
	union {
		int64_t start_ns; /* running */
		int64_t place;    /* waiting, is_placed */
	};
	int64_t key;  /* of the order; running: the planned end */
	uint64_t seq; /* of the arrive event; also what balances trees */
	uint32_t left, right;
	uint32_t user, label, node, skipped;
	int32_t priority;
	uint8_t state;
	bool is_aside : 1, is_urgent : 1, is_ousted : 1, is_placed : 1;
	int16_t lanes[LANES]; /* least planned time below, by size of cpu demand */
	int64_t v[];          /* demand; then least demand, or sum of demands, below */
};

/* ---- trees: by key, arrival, seq ---- */

enum tree_kind {
	TREE_PLAIN, /* order only */
	TREE_LEAST, /* and the least demand and planned time of each branch: finds what fits */
	TREE_SUM,   /* and the sum of demands: finds when enough is free */
};

/* Entries by number. */
struct forest {
	char *pool; /* each of @stride bytes */
	size_t stride;
	unsigned n_res;
};

static inline struct alloc_entry *tree_entry(const struct forest *f, uint32_t h)
{
	return (struct alloc_entry *)(void *)(f->pool + (size_t)h * f->stride);
}

/* What a candidate must look like. */
struct want {
	uint32_t pass;           /* those skipped in it are left out */
	int64_t free[RES_COUNT]; /* it fits in this, and … */
	bool is_bounded;
	int64_t horizon_ns;       /* … if bounded: it runs no longer than this, or … */
	int64_t extra[RES_COUNT]; /* … fits in this */
};

/* A place in a tree. */
struct place_in {
	int64_t key, arrival_ns;
	uint64_t seq;
};

void tree_insert(const struct forest *f, enum tree_kind kind, uint32_t *root, uint32_t h);
void tree_erase(const struct forest *f, enum tree_kind kind, uint32_t *root, uint32_t h);
uint32_t tree_first(const struct forest *f, uint32_t root);
/** tree_next_fit() - the first after @after (NULL: of all) that is as wanted, or ALLOC_NONE */
uint32_t tree_next_fit(const struct forest *f, uint32_t root, const struct want *w,
		       const struct place_in *after);
/** tree_each_fit() - all that are as wanted, in order; @w NULL: all */
void tree_each_fit(const struct forest *f, uint32_t root, const struct want *w,
		   void (*fn)(void *arg, uint32_t h), void *arg);
/** tree_sum_until() - adds to @sum what entries with a key <= @key demand */
void tree_sum_until(const struct forest *f, uint32_t root, int64_t key, int64_t *sum);
/** tree_key_at_sum() - the least key until which entries demand @needs of @r; ENDLESS: none */
int64_t tree_key_at_sum(const struct forest *f, uint32_t root, unsigned r, int64_t needs);
/** want_matches() - exactly */
bool want_matches(const struct forest *f, const struct alloc_entry *e, const struct want *w);

/* ---- policies ---- */

/* Users, or labels. */
struct party {
	uint32_t waiting; /* tree; grouped orders only */
	uint32_t n_waiting;
	uint32_t active_at; /* in alloc.active */
	uint32_t n_running;
	uint64_t stamp; /* rr */
	double weight;
	int64_t held[RES_COUNT];
	bool has_quota;
	struct alloc_quota quota;
	uint32_t parked; /* tree */
};

enum order_kind {
	ORDER_STATIC,  /* a job's key never changes while it waits */
	ORDER_TIMED,   /* it depends on the time of the pass */
	ORDER_GROUPED, /* jobs by arrival in groups; which group is next depends on what runs */
};

/*
 * Who stands where in the queue: the smallest key first; ties by arrival, then id.
 * One file each: adding one is its file and its name in meson.build.
 */
struct alloc_order {
	const char *name, *help;
	enum order_kind kind;
	bool can_pass_for_ever; /* without a max-wait */
	bool by_label;          /* GROUPED: labels, not users */
	bool has_turns;         /* heeds alloc_config.turn_ns */
	int64_t (*key)(const struct alloc *a, const struct alloc_entry *e, int64_t now_ns);
	int64_t (*group_key)(const struct alloc *a, const struct party *g); /* GROUPED */
};

/*
 * What may start when the head does not fit.  One file each, as orders.
 */
struct alloc_fill {
	const char *name, *help;
	bool can_pass_for_ever; /* whatever the order */
	bool needs_ends;        /* of what runs */
	bool needs_search;      /* tree_next_fit() */
	unsigned look_part;     /* a pass costs a look at one in so many that wait; 0: few */
	bool needs_lengths;     /* candidates shortest first */
	/* The head does not fit and has not waited its max-wait. NULL: nothing starts. */
	void (*rest)(struct alloc *a, uint32_t head);
};

extern const struct alloc_order *const alloc_orders[]; /* NULL at the end */
extern const struct alloc_fill *const alloc_fills[];

/* ---- the allocator ---- */

struct nodes;

struct due {
	int64_t at_ns;
	uint64_t seq;
	uint32_t handle;
	bool is_own;
};

struct ranked {
	int64_t key;
	uint32_t handle;
};

/* lengths.c: a tree beside the queue; entry h of it stands for entry h of the allocator. */
struct lengths {
	struct forest all;
	uint32_t cap, root;
};

struct alloc {
	const struct alloc_order *order;
	const struct alloc_fill *fill;
	char *policy, *over; /* over: NULL */
	struct alloc_config conf;
	unsigned n_res;

	struct forest all; /* entries */
	uint32_t n_entries, cap_entries, free_list;
	uint64_t seq;

	uint32_t placed, urgent, queue, aside; /* trees of those that wait */
	uint32_t ends;                         /* tree of those that run, by planned end */
	struct lengths lengths;                /* those in @queue or in groups, shortest first */
	size_t n_waiting, n_running;

	struct amounts total, used, other; /* the pool; with nodes the sums */
	struct nodes *nodes;               /* NULL: one pool */

	struct party *users, *labels;
	uint32_t n_users, n_labels;
	uint32_t *active; /* groups that wait */
	uint32_t n_active, cap_active;
	uint64_t stamp;

	struct due *due; /* heap of max-waits; may name those that wait no more */
	size_t n_due, cap_due;

	/* one pass */
	int64_t now_ns;
	uint32_t pass;
	int64_t soon[RES_COUNT]; /* seq: planned to be free by now */
	struct ranked *rank;     /* heap: a timed order, or candidates in an order of their own */
	size_t n_rank, cap_rank;
	bool is_ranked;
	struct alloc_start *starts;
	size_t n_starts, cap_starts;
	uint32_t *ousted;
	size_t n_ousted, cap_ousted;

	/* what the last pass found */
	uint32_t head;
	int64_t head_starts_ns;
};

static inline struct alloc_entry *entry(const struct alloc *a, uint32_t h)
{
	return tree_entry(&a->all, h);
}

/* A double as a key: the same order. */
static inline int64_t key_of(double d)
{
	union {
		double d;
		int64_t i;
	} u = { .d = d + 0.0 };

	return u.i ^ ((u.i >> 63) & INT64_MAX);
}

static inline double seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

static inline double cpus_of(const struct alloc_entry *e)
{
	return (double)e->v[RES_CPU] / 1000;
}

/** entry_before() - by key, arrival, seq */
static inline bool entry_before(const struct alloc_entry *x, const struct alloc_entry *y)
{
	if (x->key != y->key)
		return x->key < y->key;
	if (x->arrival_ns != y->arrival_ns)
		return x->arrival_ns < y->arrival_ns;
	return x->seq < y->seq;
}

/* ---- between the parts of it ---- */

/* A policy by name. */
struct policy_parts {
	const struct alloc_order *order;
	const struct alloc_fill *fill;
	char label[100]; /* "": none */
};

/** policy_find() - "sjf/easy", "sjf" = sjf/strict, "easy" = fcfs/easy, "rr:team/easy"; ERR_INVALID
 * naming all */
struct err *policy_find(const char *text, struct policy_parts *ret) MUST_USE;

/** user_of(), group_of() - made when new; valid until the next call */
struct party *user_of(struct alloc *a, uint32_t number);
struct party *group_of(struct alloc *a, const struct alloc_entry *e);

/** queue_add() - @h waits, by its flags; queue_remove() - out of whatever it waits in */
void queue_add(struct alloc *a, uint32_t h);
void queue_remove(struct alloc *a, uint32_t h);

/**
 * lengths_add() - @h waits in the queue: also where the shortest stand first
 * lengths_remove() - no more; lengths_clear() - nobody; lengths_done() - frees what it holds
 */
void lengths_add(struct alloc *a, uint32_t h);
void lengths_remove(struct alloc *a, uint32_t h);
void lengths_clear(struct alloc *a);
void lengths_done(struct lengths *l);

/** over_quota() - the resource of which @e is over its user's quota; RES_COUNT: number of jobs; -1:
 * none */
int over_quota(const struct alloc *a, const struct alloc_entry *e);

/** park() - over its quota: out of the way until unpark() of its user */
void park(struct alloc *a, uint32_t h);
void unpark(struct alloc *a, struct party *u);

/** queue_head() - who stands first, or ALLOC_NONE */
uint32_t queue_head(struct alloc *a);

/** rank_candidates() - a heap of those as wanted in the timed order of the policy */
void rank_candidates(struct alloc *a, const struct want *w, uint32_t except);

/* How far a search for candidates has come: those with a place first. */
struct seek {
	bool by_rank;   /* of the heap */
	bool by_length; /* shortest first, whatever the order */
	bool is_past_placed, has_after;
	struct place_in after;
};

/** next_candidate() - the next one as wanted, in order */
uint32_t next_candidate(struct alloc *a, const struct want *w, struct seek *s);

/** rank_add(), rank_pop() - of that heap; a struct rank_with is the argument */
struct rank_with {
	struct alloc *a;
	const struct alloc_order *by;
	uint32_t except;
};
void rank_add(void *arg, uint32_t h);
uint32_t rank_pop(struct alloc *a);

/** due_add() - @h stands first after @max_wait_ns (0: never) */
void due_add(struct alloc *a, uint32_t h, int64_t max_wait_ns, bool is_own);

/** promote() - those that have waited long enough stand before all others from now on */
void promote(struct alloc *a);

/** next_due() - when the next one will have; 0: never */
int64_t next_due(struct alloc *a);

/** running_add() - @h runs on its node since its start */
void running_add(struct alloc *a, uint32_t h);

/** room() - what the pool has left of @r, with what `seq` counts as free */
static inline int64_t room(const struct alloc *a, unsigned r)
{
	return a->total.v[r] - a->used.v[r] - a->other.v[r] + a->soon[r];
}

/** alloc_copy() - of one pool: decides as @a would, and nothing that @a knows changes */
struct alloc *alloc_copy(const struct alloc *a);

/* ---- for fills ---- */

/** pass_free() - what may be taken now; never negative */
void pass_free(const struct alloc *a, int64_t *ret);

/** pass_left() - the same, of one node, without what `seq` counts as free; may be negative */
void pass_left(const struct alloc *a, uint32_t node, int64_t *ret);

/** pass_park() - is @h over its user's quota? Then it is out of the way */
bool pass_park(struct alloc *a, uint32_t h);

/** pass_queue() - those that wait in the queue itself, in order; owned by the caller */
uint32_t *pass_queue(struct alloc *a, size_t *ret_n);

/** pass_start() - @h runs on @node from now */
void pass_start(struct alloc *a, uint32_t h, uint32_t node);

/**
 * pass_place() - where @h fits now, or ALLOC_NONE
 * @w: NULL, or with nodes: its bound holds on @bound_node only
 */
uint32_t pass_place(const struct alloc *a, uint32_t h, const struct want *w, uint32_t bound_node);

/** pass_fill() - start in order all that @w lets; @by_length: shortest first instead */
void pass_fill(struct alloc *a, uint32_t head, struct want *w, uint32_t bound_node, bool by_length);

/**
 * pass_shadow() - when and where the head can start at the latest if all end as planned
 * @w: bounded by it; free and extra are set
 * Return: false when that cannot be known.
 */
bool pass_shadow(struct alloc *a, uint32_t head, struct want *w, uint32_t *ret_node);

/** fill_easy_with() - easy; @by_length: with the shortest candidates first */
void fill_easy_with(struct alloc *a, uint32_t head, bool by_length);

/* ---- nodes ---- */

struct nodes *nodes_new(const struct amounts *caps, size_t n, unsigned n_res,
			enum alloc_place place);
void nodes_free(struct nodes *m);
size_t nodes_count(const struct nodes *m);
void nodes_take(struct nodes *m, uint32_t node, const int64_t *demand, int sign);
const int64_t *nodes_left(const struct nodes *m, uint32_t node);
/** nodes_most() - the largest amount of each resource that is free on some node */
void nodes_most(const struct nodes *m, int64_t *ret);
/** nodes_place() - @barred: not this one (ALLOC_NONE: any) */
uint32_t nodes_place(const struct nodes *m, const int64_t *demand, uint32_t barred);

/** own_log10() - 0 up to 1; the same on any machine */
double own_log10(double x);

#endif
