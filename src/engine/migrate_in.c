/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door, and the target's talk:
 *
 *	offer    -> accept, with the digests of blobs that are missing here; or refuse, with reasons
 *	complete -> all that came is put into its place: prepared
 *	commit   -> it is ours: taken, and started if it ran
 *	abort    -> dropped
 *
 * What comes is in a folder of its own below tmp/ until it is whole.
 */
#include "engine/migrate_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store.h"
#include "sys/sock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define BACKLOG       16
#define INCOMING_MOST 16 /* at once; who comes then waits in the backlog */
#define AGAIN_NS      (200 * INT64_C(1000000))

struct door {
	struct engine *e;
	int fd;
	bool is_local;
	struct loop_watch *watch;
	struct loop_timer *again;
};

static json_t *word(const struct migration *m, const char *say)
{
	return json_pack("{s:s, s:s, s:s}", "say", say, "id", m->id, "token", m->token);
}

/* ---- rows of those that are not here ---- */

static bool was_taken(struct engine *e, const char *token)
{
	OWN(json) json_t *all = store_meta_json(e->store, "migrated");

	for (size_t n = 0; n < json_array_size(all); n++)
		if (streq(json_string_value(json_array_get(all, n)), token))
			return true;
	return false;
}

/* A word about a hand-over of which there is no row (any more). */
static void answer_absent(struct migration *m, enum handover_event ev)
{
	bool taken = was_taken(m->e, m->token);
	struct handover_step s = handover_step(taken ? HANDOVER_TAKEN : HANDOVER_ABSENT, ev);
	json_t *msg = handover_word(s.is_refused ? SAY_NOTHING : s.say, m->id, m->token);

	if (msg)
		carrier_say(m->carrier, msg);
}

static void step(struct migration *m, enum handover_event ev)
{
	struct instance *i = migration_instance(m);
	enum handover_say say = SAY_NOTHING;
	struct err *err;
	json_t *msg;

	if (!i) {
		answer_absent(m, ev);
		return;
	}
	err = handover_do(i, ev, &say);
	if (err)
		log_warn("migration: %s", err_text(err));
	err_free(err);
	msg = handover_word(say, m->id, m->token);
	if (msg)
		carrier_say(m->carrier, msg);
}

/* What has come cannot be used: the other side keeps it, and hears why. @err: consumed */
static void drop(struct migration *m, struct err *err)
{
	OWN(err) struct err *why = err;
	struct instance *i = migration_instance(m);
	enum handover_say say = SAY_NOTHING;
	json_t *msg = word(m, "dropped");

	log_warn("migration: %s", err_text(why));
	if (i)
		err_free(handover_do(i, HANDOVER_CANCEL, &say));
	jx_set_str(msg, "why", err_text(why));
	carrier_say(m->carrier, msg);
}

/* ---- offer ---- */

static void refuse(struct migration *m, const struct strv *reasons)
{
	json_t *msg = word(m, m->is_check ? "checked" : "refuse");

	json_object_set_new(msg, "reasons", jx_from_strv(reasons));
	carrier_say(m->carrier, msg);
}

static bool is_hex(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

static bool is_digest(const char *s)
{
	return s && !strncmp(s, "sha256:", 7) && is_hex(s + 7, 64);
}

/* Digests that are missing here; NULL: the offer is nonsense. */
static json_t *missing_blobs(struct engine *e, const json_t *offer)
{
	const json_t *image = json_object_get(offer, "image");
	const json_t *blobs = json_object_get(image, "blobs");
	json_t *need = json_array();

	if (image_by_id(e, jx_str(image, "id", "")))
		return need;
	for (size_t n = 0; n < json_array_size(blobs); n++) {
		const json_t *b = json_array_get(blobs, n);
		const char *digest = jx_str(b, "digest", NULL);

		if (!is_digest(digest)) {
			json_decref(need);
			return NULL;
		}
		if (!image_blob_exists(e->c.root, digest, jx_int(b, "size", -1)))
			json_array_append_new(need, json_string(digest));
	}
	return need;
}

/* As it was there: what of its row is about the past. */
static void take_past(struct instance *i, const json_t *run)
{
	i->ever_ran = jx_bool(run, "ever_ran", false) ||
		      streq(jx_str(run, "state", ""), inst_state_name(INST_RUNNING));
	i->state = i->ever_ran ? INST_EXITED : INST_CREATED;
	i->exit_code = (int)jx_int(run, "exit_code", 0);
	i->oom = jx_bool(run, "oom", false);
	i->restart_count = (int)jx_int(run, "restart_count", 0);
	i->started_ns = jx_int(run, "started_ns", 0);
	i->finished_ns = jx_int(run, "finished_ns", 0);
	i->is_over = i->ever_ran;
	str_set(&i->error, jx_str(run, "error", ""));
}

static struct err *make_dirs(const struct instance *i)
{
	static const char *const names[] = { "", "log", "rootfs", "rw", "rw/upper", "rw/work" };

	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		OWN(mem) char *path = xasprintf("%s/%s", i->state_dir, names[n]);

		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "%s", path);
	}
	return instance_save_spec(i);
}

/* Its place here, in which nothing runs yet. @s: consumed */
static struct err *make_place(struct migration *m, struct spec *s)
{
	struct instance *i = instance_new(m->e, m->id);
	enum handover_say say;
	struct err *err;

	i->spec = s;
	strv_done(&s->after);
	i->created_ns = jx_int(m->offered, "created_ns", 0);
	take_past(i, json_object_get(m->offered, "run"));
	err = make_dirs(i);
	if (err) {
		trash_put(m->e, i->state_dir);
		instance_bury(i);
		return err;
	}
	handover_open(i, HANDOVER_ABSENT, m->token, m->peer);
	i->handover->start_due = jx_bool(m->offered, "running", false);
	i->spec_dirty = true;
	err = handover_do(i, HANDOVER_OFFER, &say);
	if (err) {
		trash_put(m->e, i->state_dir);
		instance_bury(i);
	}
	return err;
}

static json_t *names_of(const json_t *list, const json_t *need)
{
	json_t *names = json_object();

	for (size_t n = 0; n < json_array_size(list); n++)
		if (json_is_string(json_array_get(list, n)))
			json_object_set_new(names, json_string_value(json_array_get(list, n)),
					    json_true());
	if (json_array_size(need))
		json_object_set_new(names, "blobs", json_true());
	return names;
}

static void accept_offer(struct migration *m, struct spec *spec, json_t *need)
{
	json_t *msg = word(m, "accept");
	struct err *err = make_place(m, spec);

	if (err) {
		OWN(strv) struct strv reasons = { 0 };

		strv_add(&reasons, err_text(err));
		err_free(err);
		refuse(m, &reasons);
		json_decref(msg);
		return;
	}
	carrier_order(m->carrier, json_pack("{s:o}", "expect",
					    names_of(json_object_get(m->offered, "trees"), need)));
	json_object_set(msg, "need", need);
	carrier_say(m->carrier, msg);
}

static void on_offer(struct migration *m, const json_t *offer)
{
	OWN(strv) struct strv reasons = { 0 };
	OWN(spec) struct spec *spec = NULL;
	OWN(json) json_t *need = missing_blobs(m->e, offer);
	OWN(err) struct err *bad = spec_from_json(json_object_get(offer, "spec"), &spec);

	if (bad || !need || !is_hex(m->id, 64) || !is_hex(m->token, 64))
		strv_add(&reasons, bad ? err_text(bad) : "the offer makes no sense");
	else
		migrate_reasons_there(m->e, offer, spec, &reasons);
	if (spec && !m->is_check) /* whoever sends it should have known */
		migrate_reasons_foreign(spec, &reasons);
	if (reasons.n || m->is_check || m->offered) {
		refuse(m, &reasons);
		return;
	}
	m->offered = json_deep_copy(offer);
	accept_offer(m, TAKE(spec), need);
}

/* ---- complete: into its place ---- */

/* @from in the staging folder; what did not exist there is not here either */
static struct err *place(struct migration *m, const char *from, const char *to)
{
	OWN(mem) char *path = xasprintf("%s/%s", m->staging, from);

	if (rename(path, to) < 0 && errno != ENOENT)
		return err_sys(errno, "%s", to);
	return NULL;
}

static struct err *place_volume(struct migration *m, const struct spec_mount *mount, size_t n)
{
	OWN(mem) char *from = xasprintf("vol%zu", n);
	OWN(mem) char *dir = engine_path(m->e, "volumes/%s", mount->source);
	OWN(mem) char *to = xasprintf("%s/_data", dir);

	TRY(volumes_come(m->e, mount->source,
			 json_object_get(json_object_get(m->offered, "volumes"), mount->source)));
	TRY(fd_mkdirs(dir));
	return place(m, from, to);
}

static struct err *place_file(struct migration *m, const struct instance *i, const char *tree,
			      const char *file)
{
	OWN(mem) char *from = xasprintf("%s/%s", tree, tree);
	OWN(mem) char *to = xasprintf("%s/%s", i->state_dir, file);

	return place(m, from, to);
}

static struct err *place_all(struct migration *m, struct instance *i)
{
	OWN(mem) char *upper = xasprintf("%s/rw/upper", i->state_dir);

	TRY(place(m, "rw", upper));
	TRY(place(m, "log", i->log_dir));
	TRY(place_file(m, i, "rwimg", "rw.img"));
	for (size_t n = 0; n < i->spec->n_disks; n++) {
		OWN(mem) char *tree = xasprintf("disk%zu", n);
		OWN(mem) char *file = xasprintf("disk%zu.qcow2", n);

		TRY(place_file(m, i, tree, file));
	}
	for (size_t n = 0; n < i->spec->n_mounts; n++)
		if (i->spec->mounts[n].type == MOUNT_VOLUME)
			TRY(place_volume(m, &i->spec->mounts[n], n));
	return NULL;
}

static void on_adopted(void *arg, struct err *err, const json_t *result)
{
	struct migration *m = arg;
	struct instance *i = migration_instance(m);

	(void)result;
	m->job = NULL;
	if (!i || i->handover->state != HANDOVER_RECEIVING) {
		err_free(err);
		return;
	}
	if (!err && i->spec->image_id && !image_by_id(m->e, i->spec->image_id))
		err = err_new(ERR_CORRUPT, "what came is not its image");
	if (!err)
		err = place_all(m, i);
	if (err)
		drop(m, err);
	else
		step(m, HANDOVER_WHOLE);
}

/* The image's names, but those that mean another one here. */
static json_t *free_refs(struct engine *e, const json_t *image)
{
	const json_t *refs = json_object_get(image, "refs");
	json_t *out = json_array();

	for (size_t n = 0; n < json_array_size(refs); n++) {
		const char *ref = json_string_value(json_array_get(refs, n));

		if (ref && !image_by_ref(e, ref))
			json_array_append_new(out, json_string(ref));
	}
	return out;
}

static bool has_all(const struct migration *m)
{
	const json_t *trees = json_object_get(m->offered, "trees");

	for (size_t n = 0; n < json_array_size(trees); n++)
		if (!json_object_get(m->got, json_string_value(json_array_get(trees, n))))
			return false;
	return true;
}

static void on_complete(struct migration *m, const json_t *msg)
{
	const json_t *image = json_object_get(m->offered, "image");
	struct instance *i = migration_instance(m);
	json_t *job;
	struct err *err;

	if (!i && m->offered) {
		drop(m, err_new(ERR_STATE, "it was removed there"));
		return;
	}
	if (!i || !m->offered || m->job || i->handover->state != HANDOVER_RECEIVING)
		return;
	if (json_is_object(json_object_get(msg, "run")))
		take_past(i, json_object_get(msg, "run"));
	if (!has_all(m)) {
		drop(m, err_new(ERR_CORRUPT, "it did not come whole"));
		return;
	}
	if (!i->spec->image_id || image_by_id(m->e, i->spec->image_id)) {
		on_adopted(m, NULL, NULL);
		return;
	}
	job = json_pack("{s:s, s:s+, s:s, s:o}", "job", "adopt", "from", m->staging, "/blobs",
			"manifest", jx_str(image, "manifest", ""), "refs", free_refs(m->e, image));
	if (json_is_string(json_object_get(image, "digest")))
		json_object_set(job, "digest", json_object_get(image, "digest"));
	err = job_simple(m->e, job, (struct engine_done) { on_adopted, m }, &m->job);
	if (err)
		drop(m, err);
}

/* ---- what it says ---- */

static void on_heard(struct migration *m, const json_t *msg)
{
	const char *say = jx_str(msg, "say", "");
	enum handover_event ev = handover_hear(say, false);

	if (!*m->id) {
		snprintf(m->id, sizeof(m->id), "%s", jx_str(msg, "id", ""));
		snprintf(m->token, sizeof(m->token), "%s", jx_str(msg, "token", ""));
		m->is_check = streq(say, "check");
	}
	if (streq(say, "offer") || streq(say, "check"))
		on_offer(m, msg);
	else if (streq(say, "complete"))
		on_complete(m, msg);
	else if (ev != HANDOVER_EVENTS)
		step(m, ev);
}

/* By the name that its certificate was given. */
static void name_peer(struct migration *m, const char *fingerprint)
{
	OWN(json) json_t *all = engine_trust(m->e);

	str_set(&m->peer, fingerprint ? fingerprint : "this machine");
	for (size_t n = 0; fingerprint && n < json_array_size(all); n++)
		if (streq(jx_str(json_array_get(all, n), "fingerprint", ""), fingerprint))
			str_set(&m->peer, jx_str(json_array_get(all, n), "name", fingerprint));
}

static void on_line(void *arg, const json_t *line)
{
	struct migration *m = arg;
	const json_t *linked = json_object_get(line, "linked");
	const json_t *heard = json_object_get(line, "heard"), *got = json_object_get(line, "got");

	if (linked) {
		m->is_linked = true;
		name_peer(m, jx_str(linked, "peer", NULL));
	} else if (heard) {
		on_heard(m, heard);
	} else if (got) {
		json_object_set_new(m->got, jx_str(got, "tree", ""), json_true());
	}
}

/* Blobs that came whole stay for the next try. */
static void on_kept(void *arg, struct err *err, const json_t *result)
{
	struct migration *m = arg;

	(void)result;
	if (err)
		log_debug("migration: %s", err_text(err));
	err_free(err);
	m->job = NULL;
	migration_free(m);
}

void migrate_in_done(struct migration *m)
{
	OWN(mem) char *blobs = xasprintf("%s/blobs", m->staging);
	struct err *err;

	if (access(blobs, F_OK) < 0 || m->job) {
		migration_free(m);
		return;
	}
	err = job_simple(m->e, json_pack("{s:s, s:s}", "job", "adopt", "from", blobs),
			 (struct engine_done) { on_kept, m }, &m->job);
	if (err) {
		err_free(err);
		migration_free(m);
	}
}

static void on_ended(void *arg, struct err *e)
{
	struct migration *m = arg;
	struct instance *i = migration_instance(m);
	enum handover_say say;

	if (e)
		log_info("migration from %s: %s", m->peer ? m->peer : "?", err_text(e));
	err_free(e);
	carrier_free(TAKE(m->carrier));
	if (i)
		err_free(handover_do(i, HANDOVER_CUT, &say));
	*m->id = '\0';
	migrate_in_done(m);
}

/* ---- the door ---- */

static struct err *stage(struct migration *m)
{
	char id[65];

	engine_random_id(id);
	m->staging = engine_path(m->e, "tmp/incoming-%.24s", id);
	return mkdir(m->staging, 0700) < 0 ? err_sys(errno, "%s", m->staging) : NULL;
}

static struct err *let_in(struct door *d, int connection)
{
	struct migration *m = migration_new(d->e, false);
	OWN(fd) int fd = connection;
	struct carrier_user u = { .line = on_line, .ended = on_ended, .arg = m };
	struct err *err = stage(m);
	json_t *job;

	if (!err) {
		job = json_pack("{s:s, s:o, s:b, s:s}", "job", "receive", "peers",
				migrate_peers(d->e), "tls", !d->is_local, "folder", m->staging);
		err = carrier_start(d->e, job, TAKE_FD(fd), &u, &m->carrier);
	}
	if (err)
		migration_free(m);
	return err;
}

static size_t count_in(const struct engine *e)
{
	const struct migration *m;
	size_t n = 0;

	TAILQ_FOREACH(m, e->migrations, link)
	n += !m->is_source;
	return n;
}

static void on_knock(void *arg, int events);

static void on_open_again(void *arg)
{
	struct door *d = arg;

	if (!d->watch)
		err_free(loop_watch_new(d->e->loop, d->fd, LOOP_READ, on_knock, d, &d->watch));
}

static void on_knock(void *arg, int events)
{
	struct door *d = arg;
	OWN(err) struct err *err = NULL;
	int fd;

	(void)events;
	if (count_in(d->e) >= INCOMING_MOST) {
		loop_watch_free(TAKE(d->watch));
		loop_timer_start(d->again, AGAIN_NS);
		return;
	}
	fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	err = let_in(d, fd);
	if (err)
		log_error("migration: %s", err_text(err));
}

static struct err *listen_tcp(const struct peer *at, int *ret_fd)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };
	bool is_four = inet_pton(AF_INET, at->host, &four.sin_addr) == 1;
	const struct sockaddr *address =
	    is_four ? (const struct sockaddr *)&four : (const struct sockaddr *)&six;
	OWN(fd) int fd = -1;
	int one = 1;

	if (!is_four && inet_pton(AF_INET6, at->host, &six.sin6_addr) != 1)
		return err_new(ERR_INVALID, "%s is no address of this host", at->host);
	four.sin_port = six.sin6_port = htons((uint16_t)atoi(at->port));
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(errno, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, address, is_four ? sizeof(four) : sizeof(six)) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(errno, "%s:%s", at->host, at->port);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static struct err *open_door(struct engine *e, const char *where)
{
	OWN(peer) struct peer at = { 0 };
	struct door *d = &e->doors[e->n_doors];

	TRY(peer_parse(where, &at));
	*d = (struct door) { .e = e, .fd = -1, .is_local = at.kind == PEER_UNIX };
	TRY(d->is_local ? sock_listen_unix(at.path, SOCK_STREAM, 0600, &d->fd)
			: listen_tcp(&at, &d->fd));
	e->n_doors++;
	fd_set_nonblock(d->fd, 1);
	d->again = loop_timer_new(e->loop, on_open_again, d);
	return loop_watch_new(e->loop, d->fd, LOOP_READ, on_knock, d, &d->watch);
}

struct err *migrate_listen(struct engine *e)
{
	OWN(mem) char *list = xstrdup(e->c.migrate_listen);
	char *save = NULL;

	if (!list || !*list)
		return NULL;
	e->doors = xcalloc(strlen(list), sizeof(*e->doors));
	for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save))
		TRY(open_door(e, one));
	return NULL;
}

void migrate_close_doors(struct engine *e)
{
	for (size_t n = 0; n < e->n_doors; n++) {
		loop_watch_free(e->doors[n].watch);
		loop_timer_free(e->doors[n].again);
		close(e->doors[n].fd);
	}
	e->n_doors = 0;
	free(TAKE(e->doors));
}
