/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event log: what sched was told and what it decided, appended to ROOT/events.log; and while
 * time slicing freezes, its own, ROOT/turns.log, so that turns push no history out.
 *
 * A turn's records are written at once at its end.  Nothing waits for the disk: a crash may lose
 * the last turn's, and what it tore is cut off at the next start.
 *
 * Spec: docs/protocols.md, "Event log".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/slicing.h"
#include "sched/record.h"
#include "sched/slice.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

/* An N stands in each piece of this length, so that the end of a log tells all that is needed. */
#define MARK_EVERY (INT64_C(64) << 10)
#define TAIL       (4 * MARK_EVERY)
#define HEADER_MAX 64
#define RETRY_NS   (INT64_C(2) * 1000000000)
#define TURNS_PART 4 /* of what the event log may be */

struct eventlog {
	/* Tells it all that there is. */
	void (*tell_all)(struct engine *e, int64_t boot_ns);
	char *path;
	int fd;
	int64_t size, most;
	struct str buf;
	int64_t origin_ns; /* wall clock of its time 0 */
	int64_t now_ns;    /* of the last record, since the origin */
	int64_t ahead_ns;  /* its time is so much ahead of the boot clock */
	int64_t last;      /* number that was given */
	int64_t marked;    /* size at the last N */
	bool is_frozen;    /* a copy of what there is has one time */
	bool is_broken;    /* the disk took nothing: what comes is not kept until it does */
	int64_t retry_ns;
};

/* ---- records ---- */

static int64_t log_time(const struct eventlog *g)
{
	return clock_boot_ns() + g->ahead_ns;
}

static void put_at(struct eventlog *g, struct record *r, int64_t at_ns)
{
	r->delta_ns = at_ns > g->now_ns ? at_ns - g->now_ns : 0;
	g->now_ns += r->delta_ns;
	record_print(r, &g->buf);
}

static void put(struct eventlog *g, char letter, unsigned n, const int64_t *v)
{
	struct record r = record_of(letter, n, v);

	put_at(g, &r, g->now_ns);
}

/* "N last time": who begins to read here knows both. */
static void put_mark(struct eventlog *g)
{
	put(g, REC_LAST, 2, (int64_t[]) { g->last, g->now_ns });
	g->marked = g->size + (int64_t)g->buf.len;
}

static int64_t since(int64_t wall_ns)
{
	int64_t late = wall_ns ? clock_wall_ns() - wall_ns : 0;

	return late > 0 ? late : 0;
}

/* What sched calls the end of a job is the end of a run, or that of a start that failed. */
static void complete_end(const struct engine *e, const char *id, struct record *r)
{
	const struct instance *i = instance_by_id(e, id);

	if (!i)
		return;
	if (!i->account.start_ns) {
		r->letter = REC_WITHDRAWN;
		return;
	}
	r->n = 3;
	r->v[1] = i->exit_code;
	r->v[2] = since(i->account.finish_ns);
}

static void on_record(void *arg, const struct record *told, const char *id, int64_t at_ns)
{
	struct engine *e = arg;
	struct eventlog *g = e->eventlog;
	struct record r = *told;

	if (g->is_broken)
		return;
	if (r.letter == REC_ENDED)
		complete_end(e, id, &r);
	if (g->is_frozen || r.letter == REC_ADMITTED) {
		put_at(g, &r, g->now_ns);
		return;
	}
	at_ns = at_ns == SCHED_NO_TIME ? log_time(g) : at_ns + g->ahead_ns;
	/* It goes on with its place by arrival. */
	if (r.letter == REC_ARRIVED && at_ns < g->now_ns)
		r.v[JOB_AGO] = g->now_ns - at_ns;
	put_at(g, &r, at_ns);
}

void eventlog_started(const struct instance *i)
{
	struct eventlog *g = i->e->eventlog;
	struct record r =
	    record_of(REC_STARTED, 2, (int64_t[]) { i->event_number, since(i->started_ns) });

	if (g && !g->is_broken)
		put_at(g, &r, log_time(g));
}

void eventlog_again(const struct instance *i)
{
	struct eventlog *g = i->e->eventlog;
	struct record r =
	    record_of(REC_AGAIN, 3,
		      (int64_t[]) { i->event_number, i->exit_code, since(i->account.finish_ns) });

	if (g && !g->is_broken && i->has_allocation)
		put_at(g, &r, log_time(g));
}

int64_t eventlog_number(struct engine *e)
{
	return e->eventlog ? ++e->eventlog->last : 0;
}

void eventlog_seen(struct engine *e, int64_t number)
{
	if (e->eventlog && number > e->eventlog->last)
		e->eventlog->last = number;
}

static void put_now(struct eventlog *g, struct record *r)
{
	put_at(g, r, g->is_frozen ? g->now_ns : log_time(g));
}

void eventlog_paused(const struct instance *i, bool on)
{
	struct eventlog *g = i->e->eventlog;
	struct record r = record_of(REC_PAUSED, 2, (int64_t[]) { i->event_number, on });

	if (g && !g->is_broken)
		put_now(g, &r);
}

/* For readers of histories; turns.log has it for those of turns. */
void eventlog_scheduled(struct engine *e)
{
	struct eventlog *g = e->eventlog;
	struct record r;

	if (!g || g->is_broken || !e->slicing)
		return;
	r = slicing_record(e);
	put_now(g, &r);
}

static void on_turn(void *arg, const struct record *told, int64_t at_ns)
{
	struct eventlog *g = arg;
	struct record r = *told;

	if (g->is_broken)
		return;
	if (at_ns == SLICE_NO_TIME)
		put_now(g, &r);
	else
		put_at(g, &r, at_ns + g->ahead_ns);
}

static void tell_events(struct engine *e, int64_t boot_ns)
{
	struct instance *i;

	sched_tell_all(e->sched, boot_ns);
	TAILQ_FOREACH(i, &e->instances, link)
	if (i->paused_at_ns && i->event_number)
		eventlog_paused(i, true);
	eventlog_scheduled(e);
}

/*
 * All that there is.
 * @letter: REC_BEGIN: what was before is over; REC_COPY: who has read it goes on without this
 */
static void put_all(struct engine *e, struct eventlog *g, char letter)
{
	int64_t boot = clock_boot_ns();
	struct record r = record_of(letter, 1, &boot);

	put_at(g, &r, boot + g->ahead_ns);
	g->is_frozen = true;
	g->tell_all(e, boot);
	g->is_frozen = false;
	if (letter == REC_COPY)
		put(g, REC_COPIED, 0, NULL);
	put_mark(g);
}

/* ---- the file ---- */

static void log_close(struct eventlog *g)
{
	if (!g)
		return;
	if (g->fd >= 0)
		close(g->fd);
	str_done(&g->buf);
	free(g->path);
	free(g);
}

static struct err *open_file(struct eventlog *g)
{
	struct stat st;

	g->fd = open(g->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (g->fd < 0 || fstat(g->fd, &st) < 0)
		return err_sys(errno, "%s", g->path);
	g->size = st.st_size;
	return NULL;
}

static void put_header(struct eventlog *g)
{
	str_addf(&g->buf, RECORD_MAGIC "%d %" PRId64 "\n", RECORD_VERSION, g->origin_ns);
}

/* What was there becomes events.log.1; the new one's times count from the same origin. */
static struct err *set_aside(struct eventlog *g)
{
	OWN(mem) char *old = xasprintf("%s.1", g->path);

	if (rename(g->path, old) < 0)
		return err_sys(errno, "rename %s", g->path);
	close(g->fd);
	g->fd = -1;
	g->now_ns = g->marked = 0;
	TRY(open_file(g));
	put_header(g);
	return NULL;
}

/* All or nothing. */
static struct err *write_out(struct eventlog *g)
{
	ssize_t n;

	if (g->fd < 0)
		TRY(open_file(g));
	n = write(g->fd, g->buf.buf, g->buf.len);
	if (n == (ssize_t)g->buf.len) {
		g->size += n;
		str_drop(&g->buf, g->buf.len);
		return NULL;
	}
	if (n >= 0) {
		errno = ENOSPC;
		if (ftruncate(g->fd, g->size) < 0)
			g->size += n;
	}
	return err_sys(errno, "write");
}

static void broke(struct eventlog *g, struct err *e)
{
	log_error("event log: %s: %s; what happens until it can be written is lost to it", g->path,
		  err_text(e));
	err_free(e);
	str_done(&g->buf);
	g->is_broken = true;
	g->retry_ns = clock_boot_ns() + RETRY_NS;
}

/* Records are missing: what there is now, as if hosteld began here. */
static void mend(struct engine *e, struct eventlog *g)
{
	struct err *err;

	if (clock_boot_ns() < g->retry_ns)
		return;
	g->is_broken = false;
	if (!g->size)
		put_header(g);
	else
		str_adds(&g->buf, "\n"); /* ends what may have been torn */
	put_all(e, g, REC_BEGIN);
	err = write_out(g);
	if (!err)
		return;
	err_free(err);
	str_done(&g->buf);
	g->is_broken = true;
	g->retry_ns = clock_boot_ns() + RETRY_NS;
}

static void begin_anew(struct engine *e, struct eventlog *g)
{
	struct err *err = set_aside(g);

	if (!err) {
		put_all(e, g, REC_COPY);
		err = write_out(g);
	}
	if (err)
		broke(g, err);
}

static void flush(struct engine *e, struct eventlog *g)
{
	struct err *err;

	if (!g)
		return;
	if (g->is_broken)
		mend(e, g);
	if (!g->buf.len)
		return;
	if (g->size + (int64_t)g->buf.len - g->marked >= MARK_EVERY)
		put_mark(g);
	err = write_out(g);
	if (err)
		broke(g, err);
	else if (g->size >= g->most)
		begin_anew(e, g);
}

void eventlog_flush(struct engine *e)
{
	flush(e, e->eventlog);
	flush(e, e->turnlog);
}

/* ---- going on with what an earlier daemon wrote ---- */

static struct err *read_part(struct eventlog *g, int64_t from, int64_t to, char **ret)
{
	OWN(mem) char *text = xcalloc(1, (size_t)(to - from) + 1);
	int64_t at = 0;

	while (at < to - from) {
		ssize_t n = pread(g->fd, text + at, (size_t)(to - from - at), from + at);

		if (n <= 0)
			return err_sys(n ? errno : EIO, "%s", g->path);
		at += n;
	}
	*ret = TAKE(text);
	return NULL;
}

struct tail {
	int64_t now_ns, last;
	bool is_marked;
};

static void take_line(struct tail *t, const char *line, const char *end)
{
	struct record r;
	enum record_result got = record_parse(line, end, &r);

	if (got != RECORD_OK && got != RECORD_UNKNOWN)
		return;
	if (r.delta_ns > 0 && __builtin_add_overflow(t->now_ns, r.delta_ns, &t->now_ns))
		t->now_ns = INT64_MAX / 2;
	if (r.letter == REC_LAST) {
		t->is_marked = true;
		t->now_ns = r.v[1];
	}
	if ((r.letter == REC_LAST || r.letter == REC_ARRIVED || r.letter == REC_HOLDS) &&
	    r.v[0] > t->last)
		t->last = r.v[0];
}

/* @ret_end: behind the last whole line */
static struct err *read_tail(struct eventlog *g, int64_t from, struct tail *ret, int64_t *ret_end)
{
	OWN(mem) char *text = NULL;
	const char *line, *end;

	TRY(read_part(g, from, g->size, &text));
	line = text;
	/* It begins in the middle of a line. */
	if (from)
		line = (end = memchr(line, '\n', (size_t)(g->size - from))) ? end + 1 : line;
	*ret = (struct tail) { 0 };
	while ((end = memchr(line, '\n', (size_t)(text + (g->size - from) - line)))) {
		take_line(ret, line, end);
		line = end + 1;
	}
	*ret_end = from + (line - text);
	return NULL;
}

static bool read_header(struct eventlog *g)
{
	OWN(mem) char *text = NULL;
	int64_t most = g->size < HEADER_MAX ? g->size : HEADER_MAX;
	OWN(err) struct err *err = read_part(g, 0, most, &text);
	int version;

	return !err && strchr(text, '\n') &&
	       sscanf(text, RECORD_MAGIC "%d %" SCNd64 "\n", &version, &g->origin_ns) == 2 &&
	       version == RECORD_VERSION && g->origin_ns >= 0;
}

static struct err *go_on(struct eventlog *g)
{
	struct tail t = { 0 };
	int64_t end = 0;

	TRY(read_tail(g, g->size > TAIL ? g->size - TAIL : 0, &t, &end));
	if (!t.is_marked && g->size > TAIL)
		TRY(read_tail(g, 0, &t, &end));
	if (end < g->size && ftruncate(g->fd, end) < 0)
		return err_sys(errno, "%s", g->path);
	g->size = end;
	g->now_ns = t.now_ns;
	g->last = t.last;
	return NULL;
}

static struct err *find_end(struct eventlog *g)
{
	TRY(open_file(g));
	if (g->size && read_header(g)) {
		TRY(go_on(g));
	} else {
		g->origin_ns = clock_wall_ns();
		if (g->size) {
			log_warn("event log: %s: not of this version: kept as %s.1", g->path,
				 g->path);
			TRY(set_aside(g));
		} else {
			put_header(g);
		}
	}
	return NULL;
}

/* The time of a log never goes back, whatever the wall clock did. */
static void set_clock(struct eventlog *g)
{
	int64_t now = clock_wall_ns() - g->origin_ns;

	g->ahead_ns = (now > g->now_ns ? now : g->now_ns) - clock_boot_ns();
}

/* Return: NULL after a failure, which is logged. */
static struct eventlog *open_log(struct engine *e, const char *name, int64_t most)
{
	struct eventlog *g = xnew(struct eventlog);
	struct err *err;

	g->fd = -1;
	g->path = engine_path(e, "%s", name);
	g->most = most;
	err = find_end(g);
	if (err) {
		log_error("event log: %s; none is kept", err_text(err));
		err_free(err);
		log_close(g);
		return NULL;
	}
	set_clock(g);
	return g;
}

void eventlog_open(struct engine *e)
{
	if (!e->c.event_log_bytes)
		return;
	e->eventlog = open_log(e, "events.log", e->c.event_log_bytes);
	if (!e->eventlog)
		return;
	e->eventlog->tell_all = tell_events;
	sched_watch(e->sched, on_record, e);
	put_all(e, e->eventlog, REC_BEGIN);
}

void eventlog_turns(struct engine *e, bool on)
{
	if (e->turnlog) {
		flush(e, e->turnlog);
		slicing_watch(e, NULL, NULL);
		log_close(TAKE(e->turnlog));
	}
	if (!on || !e->eventlog)
		return;
	e->turnlog = open_log(e, "turns.log", e->eventlog->most / TURNS_PART);
	if (!e->turnlog)
		return;
	e->turnlog->tell_all = slicing_tell_all;
	slicing_watch(e, on_turn, e->turnlog);
	put_all(e, e->turnlog, REC_BEGIN);
}

void eventlog_close(struct engine *e)
{
	if (!e->eventlog)
		return;
	eventlog_flush(e);
	sched_watch(e->sched, NULL, NULL);
	log_close(TAKE(e->eventlog));
}
