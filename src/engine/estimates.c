/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expected run times: what the user gave, or what ended runs of the same command, or the user's
 * last two, say (sched/estimate.h).  Learned from runs that ended by themselves; those that
 * accounting has are learned again at the start of the daemon.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/engine_int.h"
#include "util/clock.h"
#include "util/mem.h"

#define HISTORY     1000  /* records that are learned from at the start */
#define LEARNED_MAX 50000 /* then all but these are forgotten */

static struct estimate_of whose(const struct instance *i)
{
	const struct spec *s = i->spec;
	OWN(strv) struct strv args = { 0 };
	/* A machine has no command: it is one. */
	const char *image = s->image ? s->image : i->id;

	for (size_t n = 0; n < s->entrypoint.n; n++)
		strv_add(&args, s->entrypoint.v[n]);
	for (size_t n = 0; n < s->cmd.n; n++)
		strv_add(&args, s->cmd.v[n]);
	return (struct estimate_of) {
		.command = estimate_command(image, (const char *const *)args.v),
		.user = (uint64_t)s->uid,
	};
}

/* Records come newest first. */
struct history {
	struct estimate_of of[HISTORY];
	int64_t ran_ns[HISTORY];
	size_t n;
};

static struct err *note_record(void *arg, int64_t seq, const char *instance, const json_t *doc)
{
	const json_t *learned = json_object_get(doc, "learned");
	struct history *h = arg;

	if (!learned ||
	    sscanf(jx_str(learned, "command", ""), "%" SCNx64, &h->of[h->n].command) != 1)
		return NULL;
	h->of[h->n].user = (uint64_t)jx_int(learned, "uid", 0);
	h->ran_ns[h->n++] = jx_int(doc, "T_ns", 0);
	return NULL;
}

void estimates_init(struct engine *e)
{
	OWN(mem) struct history *h = xnew(struct history);

	estimator_free(e->estimator);
	e->estimator = estimator_new(&(struct estimator_config) { 0 });
	e->n_learned = 0;
	err_free(store_each_account(e->store, 0, HISTORY, note_record, h));
	while (h->n--)
		estimator_ended(e->estimator, h->of[h->n], h->ran_ns[h->n]);
}

void estimates_guess(struct instance *i)
{
	i->expect =
	    estimator_guess(i->e->estimator, i->e->policy.estimate, whose(i), i->spec->expect_ns);
}

void estimates_learn(struct instance *i, json_t *record)
{
	struct estimate_of of = whose(i);
	int64_t ran = account_run_ns(&i->account, i->finished_ns);

	if (ran <= 0 || i->manual_stop || i->is_removing || *i->error)
		return;
	if (++i->e->n_learned > LEARNED_MAX)
		estimates_init(i->e);
	estimator_ended(i->e->estimator, of, ran);
	json_object_set_new(record, "learned",
			    json_pack("{s:o, s:I}", "command",
				      json_sprintf("%016" PRIx64, of.command), "uid",
				      (json_int_t)i->spec->uid));
}

json_t *estimates_json(const struct instance *i)
{
	char text[64];

	if (!i->expect.ns)
		return json_null();
	return json_pack("{s:I, s:s}", "ns", (json_int_t)i->expect.ns, "source",
			 estimate_source_text(&i->expect, text));
}
