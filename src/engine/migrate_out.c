/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source's talk:
 *
 *	linked   -> offer: what it is, what it needs there
 *	accept   -> the blobs that are missing there; then it is stopped; then its trees, and
 *complete prepared -> commit (it is given away from here on) taken    -> it is removed here
 *
 * and, when a connection ended before all was said, another one for what is left.
 */
#include "engine/migrate_int.h"

#include <string.h>

#include "util/log.h"
#include "util/mem.h"

#define STILL_NS (50 * INT64_C(1000000))

static json_t *word(const struct migration *m, const char *say)
{
	return json_pack("{s:s, s:s, s:s}", "say", say, "id", m->id, "token", m->token);
}

static void tell(struct migration *m, const char *text)
{
	OWN(json) json_t *line = json_pack("{s:s}", "status", text);

	if (m->progress)
		m->progress(m->progress_arg, line);
}

/* Nobody waits any more; @err is consumed. */
static void finish(struct migration *m, struct err *err, json_t *result)
{
	struct engine_done done = m->done;

	m->done = (struct engine_done) { NULL, NULL };
	m->progress = NULL;
	if (done.fn)
		engine_finish(m->e, done, err, result);
	else
		err_free(err);
}

static void hang_up(struct migration *m)
{
	m->is_over = true;
	carrier_order(m->carrier, json_pack("{s:b}", "end", 1));
}

/* ---- steps ---- */

/* Where it is now, for who asked for the move. */
static struct err *outcome(struct migration *m, struct err *why)
{
	struct instance *i = instance_by_id(m->e, m->id);
	OWN(err) struct err *own = why;
	const char *text = own ? err_text(own) : "it was taken back";
	enum err_kind kind = own ? err_kind(own) : ERR_STATE;

	if (m->is_moved)
		return NULL;
	if (!i)
		return err_new(ERR_STATE, "it was removed meanwhile");
	if (i->handover && handover_is_doubtful(i->handover->state))
		return err_new(kind,
			       "%s: %s is in doubt: it runs on neither side until the two can "
			       "talk, or hostel migrate resolve %s --here or --there",
			       text, i->spec->name, i->spec->name);
	return err_new(kind, "%s stays here: %s", i->spec->name, text);
}

/* One event of the row, and the word that follows; @why: consumed, what went wrong. */
static void step(struct migration *m, enum handover_event ev, struct err *why)
{
	struct instance *i = migration_instance(m);
	bool is_given = i && !handover_may_run(i->handover->state), is_open;
	enum handover_say say = SAY_NOTHING;
	struct err *err = i ? handover_do(i, ev, &say) : NULL;
	json_t *msg;

	if (!i && ev == HANDOVER_HEARD_PREPARED) /* it was removed here meanwhile */
		say = handover_step(HANDOVER_HERE, ev).say;
	msg = handover_word(say, m->id, m->token);
	if (err)
		log_warn("migration: %s", err_text(err));
	m->is_moved |= !err && is_given && ev == HANDOVER_HEARD_TAKEN;
	if (err && !why)
		why = TAKE(err);
	err_free(err);
	if (msg && !m->is_over)
		carrier_say(m->carrier, msg);
	else
		json_decref(msg);
	i = migration_instance(m);
	is_open = i && handover_has_to_say(i->handover->state);
	if (!is_open || why || ev == HANDOVER_CUT)
		finish(m, outcome(m, why), NULL);
	if (!is_open && !m->is_over)
		hang_up(m);
}

/* Before it is given away: it stays. */
static void give_up(struct migration *m, struct err *why)
{
	step(m, HANDOVER_CANCEL, why);
}

/* ---- trees, once nothing of it moves any more ---- */

static void send_trees(struct migration *m, const struct instance *i)
{
	json_t *msg = word(m, "complete");

	for (size_t n = 0; n < m->trees.n; n++)
		carrier_order(m->carrier, json_pack("{s:s}", "send", m->trees.v[n]));
	json_object_set_new(msg, "run", instance_run_json(i)); /* how its run ended */
	carrier_say(m->carrier, msg);
}

static bool is_still(struct instance *i)
{
	if (i->filevm)
		filevm_end(i);
	return !instance_is_alive(i) && !instance_is_waiting(i) && !i->filevm &&
	       shimlink_is_gone(i);
}

static void on_still(void *arg)
{
	struct migration *m = arg;
	struct instance *i = migration_instance(m);

	if (!i) {
		give_up(m, NULL); /* removed: nothing is left that could end it */
		return;
	}
	if (i->handover->state != HANDOVER_SENDING)
		return;
	if (!is_still(i)) {
		loop_timer_start(m->timer, STILL_NS);
		return;
	}
	tell(m, "sending its disk");
	send_trees(m, i);
}

/* The stop's own completion: only its failure says something that the state does not. */
static void on_stopped(void *arg, struct err *err, const json_t *result)
{
	(void)arg;
	(void)result;
	if (err)
		log_warn("migration: stop: %s", err_text(err));
	err_free(err);
}

static void stop_it(struct migration *m)
{
	struct instance *i = migration_instance(m);
	bool already = false;
	struct err *err = NULL;

	if (!i) {
		give_up(m, NULL);
		return;
	}
	if (m->is_stopping)
		return;
	m->is_stopping = true;
	if (instance_is_alive(i) || instance_is_waiting(i)) {
		tell(m, "stopping it");
		err = engine_stop(m->e, i, NULL, -1, (struct engine_done) { on_stopped, NULL },
				  &already);
	}
	if (err) {
		give_up(m, err);
		return;
	}
	m->timer = loop_timer_new(m->e->loop, on_still, m);
	loop_timer_start(m->timer, 0);
}

/* ---- what the other side says ---- */

static struct err *refusal(const json_t *msg)
{
	OWN(str) struct str text = { 0 };
	const json_t *reason;
	size_t n;

	json_array_foreach(json_object_get(msg, "reasons"), n, reason)
	    str_addf(&text, "%s%.512s", n ? "; " : "", json_string_value(reason));
	return err_new(ERR_STATE, "%s", text.len ? text.buf : "the other side refuses");
}

/* -1: it was not offered */
static int64_t size_of(const json_t *blobs, const char *digest)
{
	for (size_t n = 0; n < json_array_size(blobs); n++) {
		const json_t *b = json_array_get(blobs, n);

		if (streq(jx_str(b, "digest", ""), digest))
			return jx_int(b, "size", 0);
	}
	return -1;
}

/* Only what was offered is sent, whatever is asked for. */
static json_t *wanted_blobs(const struct migration *m, const json_t *need, int64_t *ret_total)
{
	const json_t *blobs = json_object_get(json_object_get(m->offer, "image"), "blobs");
	json_t *files = json_array();
	size_t n;

	*ret_total = 0;
	for (n = 0; n < json_array_size(need); n++) {
		const char *digest = json_string_value(json_array_get(need, n));
		int64_t size = size_of(blobs, digest);

		if (size < 0)
			continue;
		json_array_append_new(files, json_string(digest + strlen("sha256:")));
		*ret_total += size;
	}
	return files;
}

static void on_accept(struct migration *m, const json_t *msg)
{
	int64_t total = 0;
	json_t *files = wanted_blobs(m, json_object_get(msg, "need"), &total);

	if (!json_array_size(files)) {
		json_decref(files);
		stop_it(m);
		return;
	}
	tell(m, "sending its image");
	carrier_order(m->carrier, json_pack("{s:s, s:o, s:I}", "send", "blobs", "files", files,
					    "total", (json_int_t)total));
}

static void on_checked(struct migration *m, const json_t *msg)
{
	OWN(json) json_t *all = json_object();
	json_t *reasons = json_deep_copy(json_object_get(m->offer, "reasons_here"));

	json_array_extend(reasons, json_object_get(msg, "reasons"));
	json_object_set_new(all, "reasons", reasons);
	finish(m, NULL, json_incref(all));
	hang_up(m);
}

static void on_heard(struct migration *m, const json_t *msg)
{
	const char *say = jx_str(msg, "say", "");
	enum handover_event ev = handover_hear(say, true);
	struct instance *i = migration_instance(m);

	if (m->is_check && streq(say, "checked")) {
		on_checked(m, msg);
		return;
	}
	if (m->is_check || m->is_over)
		return;
	if (streq(say, "refuse"))
		step(m, HANDOVER_HEARD_DROPPED, refusal(msg));
	else if (streq(say, "accept") && i && i->handover->state == HANDOVER_SENDING)
		on_accept(m, msg);
	else if (ev == HANDOVER_HEARD_DROPPED)
		step(m, ev,
		     err_new(ERR_STATE, "the other side did not keep it: %.512s",
			     jx_str(msg, "why", "no reason")));
	else if (ev != HANDOVER_EVENTS)
		step(m, ev, NULL);
}

static void on_linked(struct migration *m)
{
	m->is_linked = true;
	if (m->is_again) {
		step(m, HANDOVER_LINKED, NULL);
		return;
	}
	tell(m, "linked");
	if (!m->is_check) {
		struct instance *i = migration_instance(m);
		enum handover_say say = SAY_NOTHING;
		struct err *err = i ? handover_do(i, HANDOVER_LINKED, &say) : NULL;

		err_free(err);
		if (say != SAY_OFFER)
			return;
	}
	carrier_say(m->carrier, json_incref(m->offer));
}

static void on_line(void *arg, const json_t *line)
{
	struct migration *m = arg;
	const json_t *heard = json_object_get(line, "heard"), *sent = json_object_get(line, "sent");

	if (json_object_get(line, "linked"))
		on_linked(m);
	else if (heard)
		on_heard(m, heard);
	else if (sent && streq(jx_str(sent, "tree", ""), "blobs"))
		stop_it(m);
	else if (json_object_get(line, "progress") && m->progress)
		m->progress(m->progress_arg, line);
}

/* The row, when the connection ends before all was said; @e: consumed */
static void cut(struct migration *m, struct err *e)
{
	struct instance *i = migration_instance(m);

	if (i && m->is_again)
		log_debug("migration of %.12s: %s", m->id, e ? err_text(e) : "cut");
	/* Of what never was linked the other side knows nothing. */
	if (i && !m->is_linked && !m->is_again)
		step(m, HANDOVER_HEARD_DROPPED, e);
	else
		step(m, HANDOVER_CUT, e);
}

static void on_ended(void *arg, struct err *e)
{
	struct migration *m = arg;
	const struct instance *i = migration_instance(m);
	bool is_sending = i && i->handover->state == HANDOVER_SENDING;
	bool was_over = m->is_over;

	m->is_over = true;
	if (!e && (!was_over || is_sending))
		e = err_new(ERR_UNAVAILABLE, "the connection was cut");
	if (m->is_check)
		finish(m, e, NULL);
	else if (!was_over || is_sending)
		cut(m, e);
	else
		err_free(e);
	migration_free(m);
}

/* ---- beginning ---- */

static const struct carrier_user user = { .line = on_line, .ended = on_ended };

static struct err *start(struct migration *m, const char *to, json_t *trees, int64_t bandwidth)
{
	struct carrier_user u = user;
	json_t *job =
	    json_pack("{s:s, s:s, s:o, s:o, s:I}", "job", "send", "to", to, "peers",
		      migrate_peers(m->e), "trees", trees, "bandwidth", (json_int_t)bandwidth);

	u.arg = m;
	m->peer = xstrdup(to);
	return carrier_start(m->e, job, -1, &u, &m->carrier);
}

void migrate_again(struct instance *i)
{
	struct migration *m = migration_new(i->e, true);
	struct err *err;

	m->is_again = true;
	snprintf(m->id, sizeof(m->id), "%s", i->id);
	snprintf(m->token, sizeof(m->token), "%s", i->handover->token);
	err = start(m, i->handover->peer, json_object(), 0);
	if (!err)
		return;
	log_warn("migration: %s", err_text(err));
	err_free(err);
	migration_free(m);
}

static void add_tree(struct migration *m, json_t *paths, const struct instance *i, const char *name,
		     const char *file)
{
	strv_add(&m->trees, name);
	json_object_set_new(paths, name, json_sprintf("instances/%s/%s", i->id, file));
}

/* What of it is on this host's disks: {tree: path below root}; their names to the offer. */
static json_t *list_trees(struct migration *m, const struct instance *i)
{
	json_t *paths = json_object();

	json_object_set_new(paths, "blobs", json_string("blobs/sha256"));
	add_tree(m, paths, i, "rw", "rw/upper");
	add_tree(m, paths, i, "rwimg", "rw.img");
	add_tree(m, paths, i, "log", "log");
	for (size_t n = 0; n < i->spec->n_disks; n++) {
		OWN(mem) char *name = xasprintf("disk%zu", n);
		OWN(mem) char *file = xasprintf("disk%zu.qcow2", n);

		add_tree(m, paths, i, name, file);
	}
	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		OWN(mem) char *name = xasprintf("vol%zu", n);

		if (i->spec->mounts[n].type != MOUNT_VOLUME)
			continue;
		strv_add(&m->trees, name);
		json_object_set_new(paths, name,
				    json_sprintf("volumes/%s/_data", i->spec->mounts[n].source));
	}
	return paths;
}

static json_t *networks_named(const struct instance *i)
{
	json_t *names = json_object();

	for (size_t n = 0; n < i->spec->n_endpoints; n++) {
		const struct network *net = network_by_id(i->e, i->spec->endpoints[n].network);

		if (net)
			jx_set_str(names, net->id, net->name);
	}
	return names;
}

static json_t *volumes_known(const struct instance *i)
{
	json_t *docs = json_object();

	for (size_t n = 0; n < i->spec->n_mounts; n++) {
		const struct spec_mount *mount = &i->spec->mounts[n];
		OWN(json) json_t *doc = NULL;

		if (mount->type != MOUNT_VOLUME)
			continue;
		err_free(store_get(i->e->store, STORE_VOLUME, mount->source, &doc));
		json_object_set(docs, mount->source, doc ? doc : json_null());
	}
	return docs;
}

static json_t *image_offer(struct instance *i)
{
	struct image *im = i->spec->image_id ? image_by_id(i->e, i->spec->image_id) : NULL;
	json_t *blobs = NULL;
	struct err *err = im ? migrate_blobs(i->e, im, &blobs) : NULL;

	if (!im || err) {
		err_free(err);
		return json_null();
	}
	return json_pack("{s:s, s:s, s:o, s:O?, s:O?}", "id", im->id, "manifest", im->manifest,
			 "blobs", blobs, "refs", json_object_get(im->doc, "refs"), "digest",
			 json_object_get(im->doc, "digest"));
}

static void make_offer(struct migration *m, struct instance *i, const struct strv *reasons)
{
	m->offer = word(m, m->is_check ? "check" : "offer");
	json_object_set_new(m->offer, "created_ns", json_integer(i->created_ns));
	json_object_set_new(m->offer, "spec", spec_to_json(i->spec));
	json_object_set_new(m->offer, "run", instance_run_json(i));
	json_object_set_new(m->offer, "running",
			    json_boolean(instance_is_alive(i) || instance_is_waiting(i)));
	json_object_set_new(m->offer, "networks", networks_named(i));
	json_object_set_new(m->offer, "volumes", volumes_known(i));
	json_object_set_new(m->offer, "image", image_offer(i));
	json_object_set_new(m->offer, "trees", jx_from_strv(&m->trees));
	if (m->is_check)
		json_object_set_new(m->offer, "reasons_here", jx_from_strv(reasons));
}

static struct err *begin(struct migration *m, struct instance *i)
{
	bool runs = instance_is_alive(i) || instance_is_waiting(i);
	enum handover_say say;

	handover_open(i, HANDOVER_HERE, m->token, m->peer);
	i->handover->start_due = runs;
	return handover_do(i, HANDOVER_BEGIN, &say);
}

static struct err *all_reasons(const struct strv *reasons)
{
	OWN(str) struct str text = { 0 };

	for (size_t n = 0; n < reasons->n; n++)
		str_addf(&text, "%s%s", n ? "; " : "", reasons->v[n]);
	return err_new(ERR_STATE, "%s", text.buf);
}

static struct err *set_out(struct migration *m, struct instance *i,
			   const struct engine_migrate_wish *w, const struct strv *reasons)
{
	json_t *trees = list_trees(m, i);

	make_offer(m, i, reasons);
	TRY(start(m, w->to, trees, w->bandwidth_bytes));
	return m->is_check ? NULL : begin(m, i);
}

struct err *engine_migrate(struct engine *e, struct instance *i,
			   const struct engine_migrate_wish *w, struct engine_done done,
			   int64_t *ret_number)
{
	OWN(strv) struct strv reasons = { 0 };
	OWN(peer) struct peer to = { 0 };
	struct migration *m;
	struct err *err;

	TRY(peer_parse(w->to, &to));
	if (!w->is_cold && (instance_is_alive(i) || instance_is_waiting(i)))
		strv_add(&reasons,
			 "it runs, and moving what runs is not there yet: --cold stops it "
			 "for the move and starts it there");
	migrate_reasons_here(i, &reasons);
	if (reasons.n && !w->is_check)
		return all_reasons(&reasons);
	if (migration_of(e, i))
		return err_new(ERR_STATE, "%s is being moved already", i->spec->name);
	m = migration_new(e, true);
	m->is_check = w->is_check;
	snprintf(m->id, sizeof(m->id), "%s", i->id);
	engine_random_id(m->token);
	err = set_out(m, i, w, &reasons);
	if (err) {
		migration_free(m);
		return err;
	}
	m->done = done;
	m->progress = w->progress;
	m->progress_arg = w->progress_arg;
	*ret_number = m->number;
	return NULL;
}

static struct migration *by_number(struct engine *e, int64_t number)
{
	struct migration *m;

	TAILQ_FOREACH(m, e->migrations, link)
	if (m->number == number)
		return m;
	return NULL;
}

void engine_migrate_cancel(struct engine *e, int64_t number)
{
	struct migration *m = by_number(e, number);
	struct instance *i;

	if (!m)
		return;
	i = migration_instance(m);
	m->progress = NULL;
	if (m->is_check) {
		finish(m, err_new(ERR_STATE, "cancelled"), NULL);
		migration_free(m);
	} else if (i && i->handover->state == HANDOVER_SENDING) {
		/* Its worker may be deep in a tree: it hears nothing but its end; the other side is
		 * told on another connection. */
		carrier_free(TAKE(m->carrier));
		m->is_over = true;
		cut(m, err_new(ERR_STATE, "cancelled"));
		migrate_later(e);
		migration_free(m);
	}
}
