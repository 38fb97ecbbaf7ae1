/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/link.h"
#include "shim/orphans.h"
#include "shim/record.h"
#include "shim/session.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define FIRST_DAEMON_NS INT64_C(30000000000) /* the one that started us must come by then */
#define BYE_NS          INT64_C(2000000000)
#define BOUND_NS        INT64_C(30000000000) /* to end in order after the daemon went */

struct exec {
	struct exec *next;
	struct session *session;
	bool has_started;
	pid_t pid;
};

#define NEWS_KEPT 16 /* of those that were sent */

/*
 * An event of an exec, for the next daemon: there was none to hear it, or one that may have died
 * before it had read it.  A daemon takes no harm from hearing it twice.
 */
struct news {
	struct news *next;
	bool is_sent;
	struct shim_msg msg;
	char text[];
};

/* A request that the backend will answer. */
struct query {
	struct server *server;
	uint32_t seq, link_number;
	int folder; /* of a checkpoint, until it is written; -1 */
};

struct server {
	const struct shim_options *o;
	const struct payload_ops *ops;
	struct poller *poller;
	struct scratch scratch;
	struct lingerers lingerers;
	struct orphans orphans;
	struct link *link;
	uint32_t link_number; /* counts connections */
	struct poll_timer *patience;
	struct log_writer *log;
	char *log_dir;
	struct payload_host host;
	struct payload *payload; /* while STARTING and RUNNING */
	struct session *session;
	struct exec *execs;
	struct news *news; /* oldest first */
	enum shim_phase phase;
	bool is_failed;         /* ENDED without having run */
	bool is_frozen_by_user; /* stays so when the daemon goes */
	bool is_checkpointing;  /* its state is being written */
	bool is_still;          /* it was, and stands still since then */
	bool is_over;           /* leave the loop */
	pid_t pid;
	struct exit_record record;
	enum err_kind failure;
	char *text; /* of the exit or the failure */
};

/* ---- to the daemon ---- */

static void set_tail(struct shim_msg *m, const char *text)
{
	m->tail = text ? text : "";
	m->tail_len = strlen(m->tail);
}

static void reply(struct server *s, uint32_t seq, const struct err *e)
{
	struct shim_msg m = { .type = SHIM_REPLY,
			      .seq = seq,
			      .body.reply.kind = e ? (int32_t)err_kind(e) : -1 };

	set_tail(&m, e ? err_text(e) : "");
	link_send(s->link, &m);
}

static void news_forget_oldest(struct server *s)
{
	struct news **at = &s->news;
	size_t sent = 0;

	for (const struct news *n = s->news; n; n = n->next)
		sent += n->is_sent;
	while (*at && !(*at)->is_sent)
		at = &(*at)->next;
	if (sent > NEWS_KEPT) {
		struct news *n = *at;

		*at = n->next;
		free(n);
	}
}

static void tell(struct server *s, struct shim_msg *m, const char *text)
{
	struct news **at = &s->news;
	struct news *n;

	set_tail(m, text);
	n = xcalloc(1, sizeof(*n) + m->tail_len + 1);
	memcpy(n->text, m->tail, m->tail_len);
	n->msg = *m;
	n->msg.tail = n->text;
	n->is_sent = link_send(s->link, m);
	while (*at)
		at = &(*at)->next;
	*at = n;
	news_forget_oldest(s);
}

static void tell_news(struct server *s)
{
	for (struct news *n = s->news; n; n = n->next)
		n->is_sent = link_send(s->link, &n->msg);
	news_forget_oldest(s);
}

static void tell_exec(struct server *s, uint32_t type, const struct payload_event *ev, int code)
{
	struct shim_msg m = { .type = type,
			      .body.exec_event = { .code = code, .pid = (int32_t)ev->pid } };

	snprintf(m.body.exec_event.exec_id, sizeof(m.body.exec_event.exec_id), "%s", ev->exec_id);
	tell(s, &m, ev->text);
}

static void tell_started(struct server *s)
{
	link_send(s->link,
		  &(struct shim_msg) { .type = SHIM_STARTED,
				       .body.started = { .pid = (int32_t)s->pid,
							 .started_ns = s->record.started_ns } });
}

static void tell_ended(struct server *s)
{
	struct shim_msg m = { .type = s->is_failed ? SHIM_FAILED : SHIM_EXITED };

	if (s->is_failed)
		m.body.reply.kind = (int32_t)s->failure;
	else
		m.body.exited = (struct shim_exited) { .code = s->record.code,
						       .oom = s->record.oom,
						       .finished_ns = s->record.finished_ns };
	set_tail(&m, s->text);
	link_send(s->link, &m);
}

/* ---- ends ---- */

static void on_patience(void *arg)
{
	struct server *s = arg;

	if (s->phase == SHIM_IDLE)
		log_warn("no daemon came");
	s->is_over = true;
}

static void wait_at_most(struct server *s, int64_t delay_ns)
{
	poll_timer_free(TAKE(s->patience));
	s->patience = poll_timer_new(s->poller, delay_ns, on_patience, s);
}

/* Nothing runs any more; what there is to say is said, and the daemon may say BYE. */
static void end(struct server *s)
{
	s->phase = SHIM_ENDED;
	if (!link_is_open(s->link)) {
		s->is_over = true;
		return;
	}
	tell_ended(s);
	wait_at_most(s, BYE_NS);
}

static void finish_sessions(struct server *s)
{
	while (s->execs) { /* the backend ended them before, each by its event */
		struct exec *x = s->execs;

		s->execs = x->next;
		session_finish(x->session);
		session_free(x->session);
		free(x);
	}
	session_finish(s->session);
}

static void drop_payload(struct server *s)
{
	if (s->payload)
		s->ops->free(TAKE(s->payload));
}

/* ---- events of the payload ---- */

static void on_started(struct server *s, const struct payload_event *ev)
{
	OWN(err) struct err *e = record_write_started(s->o->run_dir);

	if (e)
		log_warn("%s", err_text(e));
	s->phase = SHIM_RUNNING;
	s->pid = ev->pid;
	s->record.started_ns = clock_wall_ns();
	session_start(s->session, &ev->io);
	tell_started(s);
}

static void fail_start(struct server *s, enum err_kind kind, const char *text)
{
	OWN(err) struct err *e = NULL;

	s->is_failed = true;
	s->failure = kind;
	str_set(&s->text, text ? text : "");
	finish_sessions(s);
	e = record_write_failure(s->o->state_dir, kind, s->text);
	if (e)
		log_error("record of the failure: %s", err_text(e));
	end(s);
}

static void on_start_failed(struct server *s, const struct payload_event *ev)
{
	fail_start(s,
		   ev->err_kind >= 0 && ev->err_kind < ERR_KINDS ? (enum err_kind)ev->err_kind
								 : ERR_INTERNAL,
		   ev->text);
}

static void on_exited(struct server *s, const struct payload_event *ev)
{
	struct err *e;

	str_set(&s->text, ev->text ? ev->text : "");
	s->record.code = ev->code;
	s->record.oom = ev->oom;
	s->record.text = s->text;
	finish_sessions(s);
	s->record.finished_ns = clock_wall_ns();
	e = record_write_exit(s->o->state_dir, &s->record);
	if (e)
		log_error("exit record: %s", err_text(e));
	err_free(e);
	end(s);
}

static void on_oom(struct server *s, const struct payload_event *ev)
{
	(void)ev;
	link_send(s->link, &(struct shim_msg) { .type = SHIM_OOM });
}

static struct exec **find_exec(struct server *s, const char *exec_id)
{
	struct exec **at = &s->execs;

	while (*at && strcmp(session_exec_id((*at)->session), exec_id))
		at = &(*at)->next;
	return at;
}

static void end_exec(struct exec **at)
{
	struct exec *x = *at;

	if (!x)
		return;
	*at = x->next;
	session_finish(x->session);
	session_free(x->session);
	free(x);
}

static void on_exec_started(struct server *s, const struct payload_event *ev)
{
	struct exec *x = *find_exec(s, ev->exec_id);

	if (x) {
		x->has_started = true;
		x->pid = ev->pid;
		session_start(x->session, &ev->io);
	}
	tell_exec(s, SHIM_EXEC_STARTED, ev, 0);
}

/* The daemon hears of an end before the client does, which then asks it for the code. */
static void on_exec_failed(struct server *s, const struct payload_event *ev)
{
	struct exec *x = *find_exec(s, ev->exec_id);

	tell_exec(s, SHIM_EXEC_FAILED, ev, ev->err_kind);
	if (x && ev->text)
		session_say(x->session, ev->text);
	end_exec(find_exec(s, ev->exec_id));
}

static void on_exec_exited(struct server *s, const struct payload_event *ev)
{
	tell_exec(s, SHIM_EXEC_EXITED, ev, ev->code);
	end_exec(find_exec(s, ev->exec_id));
}

static void on_payload(void *arg, const struct payload_event *ev)
{
	static void (*const handlers[])(struct server *, const struct payload_event *) = {
		[PAYLOAD_STARTED] = on_started,
		[PAYLOAD_START_FAILED] = on_start_failed,
		[PAYLOAD_EXITED] = on_exited,
		[PAYLOAD_OOM] = on_oom,
		[PAYLOAD_EXEC_STARTED] = on_exec_started,
		[PAYLOAD_EXEC_FAILED] = on_exec_failed,
		[PAYLOAD_EXEC_EXITED] = on_exec_exited,
	};

	handlers[ev->type](arg, ev);
}

/* ---- events of the sessions ---- */

/* Has it a payload that can be spoken to? */
static bool is_alive(const struct server *s)
{
	return s->payload && (s->phase == SHIM_STARTING || s->phase == SHIM_RUNNING);
}

static void on_client_ended(void *arg, struct session *session, uint32_t seq, bool detached)
{
	struct server *s = arg;
	struct shim_msg m = { .type = detached ? SHIM_DETACHED : SHIM_ATTACH_ENDED,
			      .body.exec_event.code = (int32_t)seq };

	snprintf(m.body.exec_event.exec_id, sizeof(m.body.exec_event.exec_id), "%s",
		 session_exec_id(session));
	set_tail(&m, "");
	link_send(s->link, &m);
}

static const char *exec_id_or_null(const char *exec_id)
{
	return *exec_id ? exec_id : NULL;
}

static void on_input_closed(void *arg, struct session *session)
{
	struct server *s = arg;

	if (is_alive(s) && s->ops->close_stdin)
		s->ops->close_stdin(s->payload, exec_id_or_null(session_exec_id(session)));
}

static struct session *new_session(struct server *s, struct session_config c)
{
	c.poller = s->poller;
	c.scratch = &s->scratch;
	c.lingerers = &s->lingerers;
	c.log_dir = s->log_dir;
	c.client_ended = on_client_ended;
	c.input_closed = on_input_closed;
	c.arg = s;
	return session_new(&c);
}

/* ---- requests of the daemon ---- */

static struct err *need_payload(const struct server *s)
{
	if (s->phase == SHIM_RUNNING)
		return NULL;
	return err_new(ERR_STATE, "the instance does not run");
}

/* The outcome of a start is always an event, so that there is one way for it to fail. */
static struct err *do_start(struct server *s, const struct shim_msg *m, int *fds)
{
	OWN(err) struct err *e = NULL;

	(void)fds;
	if (s->phase != SHIM_IDLE)
		return err_new(ERR_STATE, "the instance was started already");
	record_clear(s->o->state_dir, s->o->run_dir);
	s->phase = SHIM_STARTING;
	reply(s, m->seq, NULL);
	e = s->ops->start(&s->host, &s->payload);
	if (e)
		fail_start(s, err_kind(e), err_text(e));
	return NULL;
}

static struct err *do_attach(struct server *s, const struct shim_msg *m, int *fds)
{
	if (fds[0] < 0)
		return err_new(ERR_INVALID, "no client was passed");
	if (s->phase == SHIM_ENDED)
		return err_new(ERR_STATE, "the instance has ended");
	session_attach(s->session, TAKE_FD(fds[0]), m->seq, &m->body.attach, m->tail, m->tail_len);
	return NULL;
}

static struct err *check_exec(struct server *s, const struct shim_exec *x, const int *fds)
{
	TRY(need_payload(s));
	if (!*x->exec_id || fds[0] < 0)
		return err_new(ERR_INVALID, "an exec needs a name and a process");
	if (*find_exec(s, x->exec_id))
		return err_new(ERR_EXISTS, "exec %s exists", x->exec_id);
	return NULL;
}

static struct err *do_exec(struct server *s, const struct shim_msg *m, int *fds)
{
	const struct shim_exec *x = &m->body.exec;
	bool is_tty = x->attach.streams & SHIM_TTY;
	struct exec *exec;
	struct err *e;

	TRY(check_exec(s, x, fds));
	exec = xnew(struct exec);
	exec->session = new_session(s, (struct session_config) { .exec_id = x->exec_id,
								 .is_tty = is_tty,
								 .ends_input = true,
								 .is_held_back = true });
	exec->next = s->execs;
	s->execs = exec;
	e = s->ops->exec(s->payload, x->exec_id, fds[0], is_tty, x->attach.streams & SHIM_STDIN);
	if (e) {
		end_exec(find_exec(s, x->exec_id));
		return e;
	}
	if (fds[1] >= 0)
		session_attach(exec->session, TAKE_FD(fds[1]), m->seq, &x->attach, m->tail,
			       m->tail_len);
	if (is_tty && x->rows && x->cols)
		err_free(s->ops->resize(s->payload, x->exec_id, x->rows, x->cols));
	return NULL;
}

static struct err *do_signal(struct server *s, const struct shim_msg *m, int *fds)
{
	const struct shim_signal *sig = &m->body.signal;

	(void)fds;
	if (!is_alive(s))
		return err_new(ERR_STATE, "the instance does not run");
	return s->ops->signal(s->payload, exec_id_or_null(sig->exec_id), sig->signum);
}

static struct err *do_resize(struct server *s, const struct shim_msg *m, int *fds)
{
	const struct shim_resize *r = &m->body.resize;

	(void)fds;
	if (!*r->exec_id) { /* what the start will use */
		s->host.rows = r->rows;
		s->host.cols = r->cols;
	}
	if (!is_alive(s))
		return NULL;
	return s->ops->resize(s->payload, exec_id_or_null(r->exec_id), r->rows, r->cols);
}

static struct err *do_freeze(struct server *s, const struct shim_msg *m, int *fds)
{
	(void)fds;
	TRY(need_payload(s));
	if (m->body.freeze.on == SHIM_RELEASE && !s->is_frozen_by_user)
		return err_new(ERR_STATE, "it is not frozen");
	if (m->body.freeze.on != SHIM_RELEASE)
		TRY(s->ops->freeze(s->payload, m->body.freeze.on));
	s->is_frozen_by_user = m->body.freeze.on && m->body.freeze.on != SHIM_RELEASE;
	return NULL;
}

static void answer(const struct query *q, const struct err *e, const char *text)
{
	struct shim_msg m = { .type = SHIM_REPLY,
			      .seq = q->seq,
			      .body.reply.kind = e ? (int32_t)err_kind(e) : -1 };

	set_tail(&m, e ? err_text(e) : text);
	if (q->link_number == q->server->link_number)
		link_send(q->server->link, &m);
}

/* It runs on after its state was written. */
static struct err *end_still(struct server *s)
{
	if (!s->is_still || s->phase != SHIM_RUNNING)
		return NULL;
	TRY(s->ops->resume(s->payload));
	s->is_still = false;
	return NULL;
}

static void on_answer(void *arg, struct err *e, const char *text)
{
	struct query *q = arg;

	answer(q, e, text);
	err_free(e);
	free(q);
}

static struct err *do_query(struct server *s, const struct shim_msg *m, int *fds)
{
	OWN(mem) char *question = xstrndup(m->tail, m->tail_len);
	OWN(mem) struct query *q = xnew(struct query);

	(void)fds;
	TRY(need_payload(s));
	if (!s->ops->query)
		return err_new(ERR_UNSUPPORTED, "a %s answers no questions", s->ops->name);
	*q = (struct query) {
		.server = s, .seq = m->seq, .link_number = s->link_number, .folder = -1
	};
	TRY(s->ops->query(s->payload, question, on_answer, q));
	q = NULL; /* on_answer() frees it */
	return NULL;
}

static void on_checkpoint(void *arg, struct err *e, const char *text)
{
	struct query *q = arg;
	struct server *s = q->server;

	s->is_checkpointing = false;
	s->is_still = !e;
	if (q->link_number != s->link_number || !link_is_open(s->link))
		err_free(end_still(s)); /* who asked for it has gone */
	own_fd_release(&q->folder);
	on_answer(q, e, text);
}

static struct err *do_checkpoint(struct server *s, const struct shim_msg *m, int *fds)
{
	OWN(mem) struct query *q = xnew(struct query);

	TRY(need_payload(s));
	if (!s->ops->checkpoint)
		return err_new(ERR_UNSUPPORTED, "the state of a %s cannot be written",
			       s->ops->name);
	if (fds[0] < 0)
		return err_new(ERR_INVALID, "no folder was passed");
	if (s->is_checkpointing || s->is_still)
		return err_new(ERR_STATE, "its state is being written already");
	*q = (struct query) {
		.server = s, .seq = m->seq, .link_number = s->link_number, .folder = -1
	};
	TRY(s->ops->checkpoint(s->payload, fds[0], on_checkpoint, q));
	s->is_checkpointing = true;
	q->folder = TAKE_FD(fds[0]);
	q = NULL; /* on_checkpoint() frees it */
	return NULL;
}

static struct err *do_resume(struct server *s, const struct shim_msg *m, int *fds)
{
	(void)m;
	(void)fds;
	TRY(need_payload(s));
	if (!s->is_still)
		return err_new(ERR_STATE, "it does not stand still");
	return end_still(s);
}

static struct err *do_bye(struct server *s, const struct shim_msg *m, int *fds)
{
	(void)m;
	(void)fds;
	if (s->phase == SHIM_ENDED || s->phase == SHIM_IDLE)
		s->is_over = true;
	return NULL;
}

struct request_row {
	struct err *(*fn)(struct server *s, const struct shim_msg *m, int *fds);
	bool answers_itself; /* when it succeeds */
};

static const struct request_row requests[] = {
	[SHIM_START] = { do_start, true },
	[SHIM_ATTACH] = { do_attach, false },
	[SHIM_EXEC] = { do_exec, false },
	[SHIM_SIGNAL] = { do_signal, false },
	[SHIM_RESIZE] = { do_resize, false },
	[SHIM_FREEZE] = { do_freeze, false },
	[SHIM_QUERY] = { do_query, true },
	[SHIM_BYE] = { do_bye, false },
	[SHIM_CHECKPOINT] = { do_checkpoint, true },
	[SHIM_RESUME] = { do_resume, false },
};

static void on_message(void *arg, const struct shim_msg *m, int *fds)
{
	struct server *s = arg;
	OWN(err) struct err *e = NULL;

	if (m->type >= SHIM_HELLO)
		return; /* an event; from a daemon it means nothing */
	if (m->type >= ARRAY_SIZE(requests) || !requests[m->type].fn)
		e = err_new(ERR_UNSUPPORTED, "request %u is not known here", m->type);
	else
		e = requests[m->type].fn(s, m, fds);
	if (e || !requests[m->type].answers_itself)
		reply(s, m->seq, e);
}

static void on_opened(void *arg)
{
	struct server *s = arg;
	struct shim_msg m = { .type = SHIM_HELLO };

	s->link_number++;
	err_free(end_still(s));
	if (s->phase == SHIM_IDLE)
		poll_timer_free(TAKE(s->patience));
	m.body.hello = (struct shim_hello) { .phase = s->phase,
					     .shim_pid = (int32_t)getpid(),
					     .payload_pid = (int32_t)s->pid,
					     .is_frozen = s->is_frozen_by_user,
					     .started_ns = s->record.started_ns,
					     .code = s->record.code,
					     .oom = s->record.oom };
	link_send(s->link, &m);
	tell_news(s);
	if (s->phase == SHIM_ENDED)
		tell_ended(s);
}

static void end_with_daemon(struct server *s)
{
	int signum = s->phase == SHIM_RUNNING ? SIGTERM : SIGKILL;
	OWN(err) struct err *e = NULL;

	if (!is_alive(s)) {
		s->is_over = true;
		return;
	}
	e = s->ops->signal(s->payload, NULL, signum);
	if (e)
		log_warn("%s", err_text(e));
	wait_at_most(s, BOUND_NS);
}

/*
 * What runs goes on without a daemon; what a user froze stays frozen, what time slicing froze
 * does not.  What was not started yet waits a little for the next one.
 */
static void on_lost(void *arg)
{
	struct server *s = arg;

	if (s->o->is_bound) {
		end_with_daemon(s);
		return;
	}
	if (s->phase == SHIM_RUNNING && !s->is_frozen_by_user && s->ops->unslice)
		s->ops->unslice(s->payload);
	err_free(end_still(s));
	if (s->phase == SHIM_IDLE)
		wait_at_most(s, FIRST_DAEMON_NS);
	if (s->phase == SHIM_ENDED)
		s->is_over = true;
}

/* ---- life ---- */

/* A starter is the backend's too, but for how long we cannot know. */
static bool may_be_of_backend(void *arg, pid_t pid)
{
	const struct server *s = arg;

	if (s->phase != SHIM_RUNNING || pid == s->pid)
		return true;
	for (const struct exec *x = s->execs; x; x = x->next)
		if (!x->has_started || x->pid == pid)
			return true;
	return false;
}

static struct err *open_log(struct server *s)
{
	struct log_config c = { .dir = s->log_dir,
				.max_bytes = s->o->log_max_bytes,
				.max_files = s->o->log_max_files };

	return s->o->has_log ? log_writer_new(&c, &s->log) : NULL;
}

static void server_done(struct server *s)
{
	drop_payload(s);
	session_free(s->session);
	log_writer_free(s->log);
	link_free(s->link);
	poll_timer_free(s->patience);
	orphans_done(&s->orphans);
	linger_done(&s->lingerers);
	scratch_done(&s->scratch);
	while (s->news) {
		struct news *u = s->news;

		s->news = u->next;
		free(u);
	}
	poller_free(s->poller);
	free(s->log_dir);
	free(s->text);
}

struct err *shim_serve(const struct shim_options *o, const struct payload_ops *ops, int listen_fd)
{
	static const struct link_events events = { on_opened, on_message, on_lost };
	struct server s = { .o = o, .ops = ops, .poller = poller_new() };
	struct err *e;

	s.scratch.poller = s.lingerers.poller = s.poller;
	s.orphans =
	    (struct orphans) { .poller = s.poller, .is_known = may_be_of_backend, .arg = &s };
	s.log_dir = xasprintf("%s/log", o->state_dir);
	s.host = (struct payload_host) { .id = o->id,
					 .state_dir = o->state_dir,
					 .run_dir = o->run_dir,
					 .restore_dir = o->restore_dir,
					 .is_tty = o->is_tty,
					 .has_stdin = o->has_stdin,
					 .poller = s.poller,
					 .event = on_payload,
					 .arg = &s };
	e = open_log(&s);
	if (e) { /* a full disk, say: better without a log than not at all */
		log_error("%s", err_text(e));
		err_free(e);
	}
	s.session = new_session(&s, (struct session_config) { .exec_id = "",
							      .is_tty = o->is_tty,
							      .ends_input = o->is_stdin_once,
							      .is_held_back = !o->is_detached,
							      .log = s.log });
	s.link = link_new(s.poller, listen_fd, &events, &s);
	wait_at_most(&s, FIRST_DAEMON_NS);
	while (!s.is_over) {
		poller_step(s.poller, -1);
		orphans_look(&s.orphans);
	}
	server_done(&s);
	return NULL;
}
