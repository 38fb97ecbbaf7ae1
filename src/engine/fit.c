/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostel fit: what would become of instances that nobody has created.  Each gets the checks of a
 * create and of a start, then one pass is made on a copy of the scheduler with what runs and
 * waits here.  Nothing is changed: no row, no event, no folder.
 */
#include <stdio.h>
#include <string.h>

#include "engine/engine_int.h"
#include "engine/merge.h"
#include "util/clock.h"
#include "util/mem.h"

#define ID "fit-%zu" /* no instance's: theirs are hexadecimal */

struct one {
	const struct engine_candidate *asked;
	struct instance *i;   /* known to nobody else; NULL: it could not be made */
	struct sched_job job; /* of @i */
	char *never;          /* why it cannot start; NULL: it could */
	char *after;          /* what it would wait for, beside resources; NULL: nothing */
	int64_t starts_ns;    /* expected, boot clock; 0: not known */
};

struct fit {
	struct engine *e;
	struct sched *s;
	struct one *v;
	size_t n;
};

/* ---- one of them, as create and start see it ---- */

/* As create does, but that an image may come later. */
static struct err *merge_defaults(struct engine *e, struct spec *s)
{
	struct image *im = s->image ? image_by_ref(e, s->image) : NULL;
	const json_t *config;

	if (!im)
		return NULL;
	TRY(image_config(e, im, &config));
	return merge_image(s, config);
}

static struct err *check(struct fit *f, struct one *o)
{
	const struct spec *s = o->i->spec;

	TRY(spec_check(s));
	TRY(host_check(s));
	TRY(vm_check(f->e, s));
	return sched_check(f->s, &o->job);
}

static bool is_asked(const struct fit *f, const char *name)
{
	for (size_t n = 0; n < f->n; n++)
		if (streq(f->v[n].asked->name, name))
			return true;
	return false;
}

/* Those of its wishes that are not fulfilled: it is passed over until they are. */
static struct err *read_after(const struct fit *f, struct one *o)
{
	OWN(str) struct str text = { 0 };

	for (size_t n = 0; n < o->i->spec->after.n; n++) {
		const char *wish = o->i->spec->after.v[n], *ok = strstr(wish, ":ok");
		OWN(mem) char *name = xstrndup(wish, ok ? (size_t)(ok - wish) : strlen(wish));
		struct instance *other = NULL;

		if (!is_asked(f, name))
			TRY_MSG(engine_find(f->e, name, &other), "after");
		if (!other || !after_has_ended(other))
			str_addf(&text, "%s%s", text.len ? ", " : "after: waits for the end of ",
				 name);
	}
	o->after = text.len ? str_take(&text) : NULL;
	return NULL;
}

static void refuse(struct one *o, struct err *err)
{
	if (err)
		o->never = xstrdup(err_text(err));
	err_free(err);
}

static void read_one(struct fit *f, struct one *o, size_t number)
{
	struct instance *i;
	struct err *err;

	if (!o->asked->spec) {
		o->never = xstrdup(o->asked->problem);
		return;
	}
	i = o->i = xnew(struct instance);
	i->e = f->e;
	i->spec = o->asked->spec;
	i->account.arrival_ns = clock_wall_ns();
	snprintf(i->id, sizeof(i->id), ID, number);
	err = merge_defaults(f->e, i->spec);
	estimates_guess(i);
	o->job = queue_job(i);
	if (!err)
		err = check(f, o);
	if (!err)
		err = read_after(f, o);
	refuse(o, err);
}

/* ---- all together ---- */

static void use_copy(struct fit *f, bool is_empty)
{
	struct amounts host;

	f->s = sched_copy(f->e->sched);
	if (is_empty)
		sched_clear(f->s);
	sched_totals(f->s, NULL, NULL, &host, NULL);
	for (size_t n = 0; n < f->n; n++)
		host.v[RES_MEMORY] -= f->v[n].asked->host_memory_bytes;
	if (host.v[RES_MEMORY] < 0)
		host.v[RES_MEMORY] = 0;
	sched_host(f->s, host);
}

static void no_note(void *arg, const char *id)
{
	(void)arg, (void)id; /* sched_held() tells */
}

static struct one *one_of(const struct fit *f, const char *id)
{
	size_t n;

	return sscanf(id, ID, &n) == 1 && n < f->n ? &f->v[n] : NULL;
}

static void note_start(void *arg, const char *id, int64_t starts_ns)
{
	struct one *o = one_of(arg, id);

	if (o)
		o->starts_ns = starts_ns;
}

static void decide(struct fit *f)
{
	int64_t now = clock_boot_ns();

	for (size_t n = 0; n < f->n; n++) {
		if (f->v[n].never)
			continue;
		sched_arrive(f->s, &f->v[n].job, now);
		if (f->v[n].after)
			sched_hold(f->s, f->v[n].job.id, true);
	}
	sched_pass(f->s, now, &(struct sched_decisions) { no_note, no_note, no_note }, NULL);
	sched_expected_starts(f->s, now, note_start, f);
}

/* ---- the answer ---- */

static const char *name_of(void *arg, const char *id)
{
	const struct fit *f = arg;
	const struct one *o = one_of(f, id);
	const struct instance *i = o ? NULL : instance_by_id(f->e, id);

	return o ? o->asked->name : i ? i->spec->name : id;
}

static char *reason_of(struct fit *f, const struct one *o, bool is_empty)
{
	if (o->never)
		return xstrdup(o->never);
	if (o->after)
		return xstrdup(o->after);
	if (f->e->drain.on && !is_empty)
		return drain_text(f->e);
	return sched_reason_text(f->s, o->job.id, name_of, f);
}

enum verdict { ADMITTED, WAITS, NEVER, VERDICTS };

static const char *const verdict_names[VERDICTS] = { "admitted", "waits", "never" };

static enum verdict verdict_of(const struct fit *f, const struct one *o)
{
	struct amounts unused;

	if (o->never)
		return NEVER;
	return sched_held(f->s, o->job.id, &unused) ? ADMITTED : WAITS;
}

static json_t *best_effort(const struct sched_job *j)
{
	json_t *a = json_array();

	if (!j->declared[RES_CPU])
		json_array_append_new(a, json_string(sched_resource_name(RES_CPU)));
	if (!j->declared[RES_MEMORY])
		json_array_append_new(a, json_string(sched_resource_name(RES_MEMORY)));
	return a;
}

static json_t *one_json(struct fit *f, const struct one *o, enum verdict verdict, bool is_empty)
{
	json_t *j = json_object();

	jx_set_str(j, "name", o->asked->name);
	jx_set_str(j, "verdict", verdict_names[verdict]);
	if (verdict == ADMITTED) {
		json_object_set_new(j, "reason", json_null());
	} else {
		OWN(mem) char *reason = reason_of(f, o, is_empty);

		jx_set_str(j, "reason", reason);
	}
	jx_set_str(j, "kind", o->i ? instance_kind(o->i) : NULL);
	json_object_set_new(j, "demand", o->i ? amounts_json(&o->job.demand) : json_null());
	json_object_set_new(j, "manage_bytes", json_integer(o->job.demand.v[RES_MANAGE]));
	json_object_set_new(j, "best_effort", o->i ? best_effort(&o->job) : json_array());
	json_object_set_new(j, "estimate", o->i ? estimates_json(o->i) : json_null());
	json_object_set_new(j, "expected_start_ns",
			    verdict == WAITS && o->starts_ns && !o->after
				? json_integer(o->starts_ns - clock_boot_ns() + clock_wall_ns())
				: json_null());
	return j;
}

static void set_totals(json_t *j, const char *r, const char *m, const struct amounts *a)
{
	json_object_set_new(j, r, amounts_json(a));
	json_object_set_new(j, m, json_integer(a->v[RES_MANAGE]));
}

static json_t *answer(struct fit *f, const struct amounts *free_before, bool is_empty)
{
	json_t *j = json_object(), *all = json_array(), *counts = json_object();
	struct amounts demand = { 0 }, total, rest;
	int64_t n_of[VERDICTS] = { 0 };

	for (size_t n = 0; n < f->n; n++) {
		enum verdict verdict = verdict_of(f, &f->v[n]);

		n_of[verdict]++;
		json_array_append_new(all, one_json(f, &f->v[n], verdict, is_empty));
		for (int r = 0; r < RES_COUNT; r++)
			demand.v[r] += f->v[n].job.demand.v[r];
	}
	json_object_set_new(j, "instances", all);
	for (int k = 0; k < VERDICTS; k++)
		json_object_set_new(counts, verdict_names[k], json_integer(n_of[k]));
	json_object_set_new(j, "counts", counts);
	sched_totals(f->s, &total, NULL, NULL, &rest);
	set_totals(j, "demand", "M_demand", &demand);
	set_totals(j, "R_total", "M_total", &total);
	set_totals(j, "R_free", "M_free", free_before);
	set_totals(j, "R_free_after", "M_free_after", &rest);
	jx_set_str(j, "policy", sched_policy(f->s));
	json_object_set_new(j, "empty", json_boolean(is_empty));
	return j;
}

json_t *engine_fit(struct engine *e, const struct engine_candidate *list, size_t n, bool is_empty)
{
	struct fit f = { .e = e, .v = xcalloc(n + 1, sizeof(struct one)), .n = n };
	struct amounts free_before;
	json_t *j;

	for (size_t k = 0; k < n; k++)
		f.v[k].asked = &list[k];
	use_copy(&f, is_empty);
	for (size_t k = 0; k < n; k++)
		read_one(&f, &f.v[k], k);
	sched_totals(f.s, NULL, NULL, NULL, &free_before);
	decide(&f);
	j = answer(&f, &free_before, is_empty);
	for (size_t k = 0; k < n; k++) {
		free(f.v[k].i);
		free(f.v[k].never);
		free(f.v[k].after);
	}
	free(f.v);
	sched_free(f.s);
	return j;
}
