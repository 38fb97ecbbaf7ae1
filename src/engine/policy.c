/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies in force: by default, else as they were set live and kept in the store, else as
 * hosteld's settings say; a live change counts until the next start where a setting says
 * otherwise.
 */
#include <string.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "json/fields.h"
#include "sched/alloc.h"
#include "sched/slice.h"
#include "util/log.h"
#include "util/mem.h"

#define STORED   "policy"
#define MAX_WAIT (10 * 60 * INT64_C(1000000000))
#define STEP     (10 * INT64_C(1000000000)) /* of age and boost */

static const char *const estimate_names[] = {
	[ESTIMATE_GIVEN] = "given",
	[ESTIMATE_LEARNED] = "learned",
	[ESTIMATE_TSAFRIR] = "last-two",
	NULL,
};

static const struct json_field fields[] = {
	JSON_FIELD(struct policy, "allocate", JF_STR, allocate),
	JSON_RANGE(struct policy, "max_wait_ns", JF_I64, max_wait_ns, 0, INT64_MAX),
	JSON_RANGE(struct policy, "aging_ns", JF_I64, aging_ns, 0, INT64_MAX),
	JSON_ENUM(struct policy, "estimate", estimate, estimate_names),
	JSON_FIELD(struct policy, "schedule", JF_STR, schedule),
	JSON_RANGE(struct policy, "quantum_ns", JF_I64, quantum_ns, 0, INT64_MAX),
	JSON_RANGE(struct policy, "turn_ns", JF_I64, turn_ns, 0, INT64_MAX),
	JSON_FIELD(struct policy, "spill", JF_BOOL, spill),
	JSON_RANGE(struct policy, "age_ns", JF_I64, age_ns, 0, INT64_MAX),
	JSON_RANGE(struct policy, "boost_ns", JF_I64, boost_ns, 0, INT64_MAX),
};

void policy_done(struct policy *p)
{
	json_free_fields(fields, ARRAY_SIZE(fields), p);
}

static json_t *policy_json(const struct policy *p)
{
	json_t *j = json_object();

	json_write_fields(fields, ARRAY_SIZE(fields), p, j);
	return j;
}

/*
 * The scheduler says spill and unspill (sched.h); what would do it is a checkpoint, which no
 * backend has yet.
 */
struct err *engine_spill_check(bool spill, int64_t turn_ns)
{
	if (spill)
		return err_new(ERR_UNSUPPORTED, "spill: this hosteld cannot move an instance's "
						"memory out yet");
	if (turn_ns)
		return err_new(ERR_UNSUPPORTED,
			       "turn: an allocation is taken back by spilling it, which this "
			       "hosteld cannot do yet");
	return NULL;
}

/* @change over what is in force; all of it or nothing. */
static struct err *change_policy(struct engine *e, const json_t *change)
{
	OWN(json) json_t *before = policy_json(&e->policy);
	OWN(policy) struct policy p = { 0 };
	OWN(mem) char *over = NULL;
	struct err *err;
	const char *unknown = json_unknown_field(fields, ARRAY_SIZE(fields), change);

	if (unknown)
		return err_new(ERR_INVALID, "a policy has no \"%.64s\"", unknown);
	TRY(json_read_fields(fields, ARRAY_SIZE(fields), before, &p));
	TRY(json_read_fields(fields, ARRAY_SIZE(fields), change, &p));
	TRY(engine_spill_check(p.spill, p.turn_ns));
	over = sched_over(e->sched) ? xstrdup(sched_over(e->sched)) : NULL;
	TRY_MSG(slicing_configure(e, &p), "schedule");
	err = sched_policy_set(e->sched, p.allocate);
	if (err) {
		err_free(slicing_configure(e, &e->policy));
		TRY_MSG(err, "allocate");
	}
	if (!streq(over, sched_over(e->sched)))
		queue_regroup(e);
	p.quantum_ns = slicing_quantum_ns(e);
	str_set(&p.allocate, sched_policy(e->sched)); /* in full */
	sched_max_wait(e->sched, p.max_wait_ns);
	sched_aging(e->sched, p.aging_ns);
	policy_done(&e->policy);
	e->policy = p;
	p = (struct policy) { 0 };
	engine_queue_dirty(e);
	return NULL;
}

static struct err *keep(struct engine *e)
{
	OWN(json) json_t *j = policy_json(&e->policy);

	TRY(store_meta_json_set(e->store, STORED, j));
	engine_dirty(e);
	return NULL;
}

struct err *engine_policy_set(struct engine *e, const json_t *change)
{
	if (!json_is_object(change))
		return err_new(ERR_INVALID, "expected an object");
	TRY(change_policy(e, change));
	log_info("policy: %s, %s", e->policy.allocate, e->policy.schedule);
	return keep(e);
}

struct err *engine_policy_check(const char *allocate, const char *schedule, int64_t quantum_ns)
{
	if (allocate)
		TRY(alloc_policy_check(allocate));
	if (schedule)
		TRY(slice_policy_check(schedule));
	return slicing_check_quantum(quantum_ns);
}

struct err *engine_time_check(int64_t ns)
{
	return slicing_check_time(ns);
}

json_t *engine_policy(const struct engine *e)
{
	return policy_json(&e->policy);
}

/* What was set live, before the last start. */
static void take_stored(struct engine *e)
{
	OWN(json) json_t *j = store_meta_json(e->store, STORED);
	OWN(err) struct err *err = j ? change_policy(e, j) : NULL;

	if (err) /* of another version */
		log_warn("policy: what was set before is not used: %s", err_text(err));
}

struct err *policy_init(struct engine *e)
{
	OWN(json) json_t *said = json_object();

	e->policy = (struct policy) { .allocate = xstrdup("easy"),
				      .max_wait_ns = MAX_WAIT,
				      .estimate = ESTIMATE_LEARNED,
				      .schedule = xstrdup("fair"),
				      .age_ns = STEP,
				      .boost_ns = STEP };
	TRY(change_policy(e, said)); /* nothing: the defaults */
	take_stored(e);
	if (e->c.allocate)
		jx_set_str(said, "allocate", e->c.allocate);
	if (e->c.schedule)
		jx_set_str(said, "schedule", e->c.schedule);
	if (e->c.quantum_ns)
		json_object_set_new(said, "quantum_ns", json_integer(e->c.quantum_ns));
	if (e->c.max_wait_ns >= 0)
		json_object_set_new(said, "max_wait_ns", json_integer(e->c.max_wait_ns));
	if (e->c.age_ns >= 0)
		json_object_set_new(said, "age_ns", json_integer(e->c.age_ns));
	if (e->c.boost_ns >= 0)
		json_object_set_new(said, "boost_ns", json_integer(e->c.boost_ns));
	return change_policy(e, said);
}
