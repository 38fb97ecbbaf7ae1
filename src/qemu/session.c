/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/payload_int.h"
#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

static struct session *by_id(struct payload *p, uint16_t id)
{
	for (struct session *s = p->sessions; s; s = s->next)
		if (s->id == id)
			return s;
	return NULL;
}

struct session *vm_session_find(struct payload *p, const char *exec_id)
{
	for (struct session *s = p->sessions; s; s = s->next)
		if (!s->is_over && !strcmp(s->exec_id, exec_id ? exec_id : ""))
			return s;
	return NULL;
}

static bool query_has(const struct payload *p, uint16_t id)
{
	for (const struct query *q = p->queries; q; q = q->next)
		if (q->id == id)
			return true;
	return false;
}

uint16_t vm_next_id(struct payload *p)
{
	do
		p->last_id++;
	while (!p->last_id || by_id(p, p->last_id) || query_has(p, p->last_id));
	return p->last_id;
}

uint16_t vm_peek_id(struct payload *p)
{
	uint16_t before = p->last_id, next = vm_next_id(p);

	p->last_id = before;
	return next;
}

struct session *vm_session_new(struct payload *p, const char *exec_id)
{
	struct session *s = xnew(struct session);

	s->payload = p;
	s->id = exec_id ? vm_next_id(p) : 0;
	snprintf(s->exec_id, sizeof(s->exec_id), "%s", exec_id ? exec_id : "");
	s->next = p->sessions;
	p->sessions = s;
	return s;
}

static void session_free(struct session *s)
{
	for (struct session **at = &s->payload->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	agent_source_free(s->in);
	agent_sink_free(s->out);
	agent_sink_free(s->err);
	free(s);
}

/* ---- streams ---- */

static struct agent_pump pump_of(struct session *s, enum agent_stream stream, int fd)
{
	return (struct agent_pump) { .port = s->payload->port,
				     .poller = s->payload->host.poller,
				     .session = s->id,
				     .stream = stream,
				     .fd = fd };
}

static void make_source(struct session *s, int fd)
{
	struct agent_pump how = pump_of(s, AGENT_IN, fd);

	s->in = agent_source_new(&how, NULL, NULL);
}

static struct agent_sink *make_sink(struct session *s, enum agent_stream stream, int fd)
{
	struct agent_pump how = pump_of(s, stream, fd);

	return agent_sink_new(&how);
}

static struct err *open_tty(struct session *s, struct payload_io *io)
{
	int pair[2], copy;

	TRY(sock_pair(SOCK_STREAM, pair));
	copy = fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
	if (copy < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_sys(errno, "dup");
	}
	make_source(s, copy);
	s->out = make_sink(s, AGENT_OUT, pair[1]);
	io->in = io->out = pair[0];
	return NULL;
}

/* Ours is end @ours of a pipe. */
static struct err *open_pipe(int ours, int *ret_ours, int *ret_theirs)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	*ret_ours = p[ours];
	*ret_theirs = p[!ours];
	return NULL;
}

struct err *vm_open_streams(struct session *s, struct payload_io *io)
{
	int ours = -1;

	if (s->is_tty)
		return open_tty(s, io);
	if (s->has_stdin) {
		TRY(open_pipe(0, &ours, &io->in));
		make_source(s, ours);
	}
	TRY(open_pipe(1, &ours, &io->out));
	s->out = make_sink(s, AGENT_OUT, ours);
	TRY(open_pipe(1, &ours, &io->err));
	s->err = make_sink(s, AGENT_ERR, ours);
	return NULL;
}

/* ---- frames to the guest ---- */

void vm_send_signal(struct payload *p, uint16_t session, int signum)
{
	uint8_t body[4];

	agent_port_send(p->port, AGENT_SIGNAL, AGENT_IN, session, body,
			agent_put_u32(body, (uint32_t)signum));
}

void vm_send_time(struct payload *p)
{
	uint8_t body[8];

	agent_port_send(p->port, AGENT_TIME, AGENT_IN, 0, body,
			agent_put_u64(body, (uint64_t)clock_wall_ns()));
}

uint16_t vm_ask(struct payload *p, const char *question,
		void (*answer)(void *arg, struct err *e, const char *text), void *arg)
{
	struct query *q = xnew(struct query);

	*q = (struct query) {
		.next = p->queries, .id = vm_next_id(p), .answer = answer, .arg = arg
	};
	p->queries = q;
	agent_port_send(p->port, AGENT_QUERY, AGENT_IN, q->id, question, strlen(question));
	return q->id;
}

/* ---- frames from the guest; whatever is wrong with one ends the connection ---- */

static bool on_hello(struct payload *p, struct session *s, const struct agent_frame *f)
{
	struct agent_hello h;

	if (!agent_get_hello(f, &h))
		return false;
	if (!agent_version_of(&h)) {
		vm_fail(p, ERR_UNSUPPORTED, "hostel-guest speaks another version");
		return true;
	}
	vm_send_time(p);
	return true;
}

static bool on_started(struct payload *p, struct session *s, const struct agent_frame *f)
{
	struct payload_io io = PAYLOAD_IO_NONE;
	struct payload_event ev = { .type = PAYLOAD_EXEC_STARTED };
	OWN(err) struct err *e = NULL;

	if (!s || s->is_started)
		return false;
	s->is_started = true;
	e = vm_open_streams(s, &io);
	if (e) {
		vm_fail(p, err_kind(e), err_text(e));
		return true;
	}
	if (!s->id) {
		vm_started(p, &io);
		return true;
	}
	ev.exec_id = s->exec_id;
	ev.io = io;
	vm_send_event(p, &ev);
	return true;
}

static bool on_failed(struct payload *p, struct session *s, const struct agent_frame *f)
{
	uint32_t kind;
	const char *text;
	size_t len;
	OWN(mem) char *copy = NULL;
	struct payload_event ev = { .type = PAYLOAD_EXEC_FAILED };

	if (!s || s->is_started || !agent_get_text(f, &kind, &text, &len))
		return false;
	copy = xstrndup(text, len);
	kind = kind < ERR_KINDS ? kind : ERR_INTERNAL;
	if (!s->id) {
		vm_fail(p, (int)kind, copy);
		return true;
	}
	ev.exec_id = s->exec_id;
	ev.err_kind = (int)kind;
	ev.text = copy;
	vm_send_event(p, &ev);
	session_free(s);
	return true;
}

static struct agent_sink *sink_of(const struct session *s, const struct agent_frame *f)
{
	return !s ? NULL : f->stream == AGENT_OUT ? s->out : f->stream == AGENT_ERR ? s->err : NULL;
}

static bool on_data(struct payload *p, struct session *s, const struct agent_frame *f)
{
	struct agent_sink *sink = sink_of(s, f);

	return sink && agent_sink_data(sink, f->body, f->len);
}

/* An exec's session goes when its process and its streams have ended. */
static void sweep(struct session *s)
{
	bool out = !s->out || agent_sink_is_done(s->out);
	bool err = !s->err || agent_sink_is_done(s->err);

	if (s->id && s->is_over && out && err)
		session_free(s);
}

static bool on_end(struct payload *p, struct session *s, const struct agent_frame *f)
{
	struct agent_sink *sink = sink_of(s, f);

	if (!sink)
		return false;
	agent_sink_end(sink);
	sweep(s);
	return true;
}

static bool on_credit(struct payload *p, struct session *s, const struct agent_frame *f)
{
	uint32_t n;

	if (!agent_get_u32(f, &n))
		return false;
	return !s || !s->in || agent_source_credit(s->in, n);
}

static void make_room(struct session *s)
{
	if (s->out)
		agent_sink_rest(s->out);
	if (s->err)
		agent_sink_rest(s->err);
}

static bool on_exited(struct payload *p, struct session *s, const struct agent_frame *f)
{
	uint32_t code, flags;
	struct payload_event ev = { .type = PAYLOAD_EXEC_EXITED };

	if (!s || !s->is_started || s->is_over || !agent_get_exited(f, &code, &flags))
		return false;
	s->is_over = true;
	if (!s->id) {
		p->has_code = true;
		p->code = (int)(code & 0xff);
		p->oom = flags & AGENT_EXITED_OOM;
		if (p->oom && *p->oom_text)
			p->note = p->oom_text;
		make_room(s);
		return true;
	}
	ev.exec_id = s->exec_id;
	ev.code = (int)(code & 0xff);
	vm_send_event(p, &ev);
	sweep(s);
	return true;
}

static bool on_oom(struct payload *p, struct session *s, const struct agent_frame *f)
{
	const struct payload_event ev = { .type = PAYLOAD_OOM };
	const char *text;
	uint32_t zero;
	size_t len, n = 0;

	if (!agent_get_text(f, &zero, &text, &len))
		return false;
	for (size_t i = 0; i < len && n + 1 < sizeof(p->oom_text); i++)
		if (text[i] >= ' ' && text[i] < 0x7f)
			p->oom_text[n++] = text[i];
	p->oom_text[n] = '\0';
	vm_send_event(p, &ev);
	return true;
}

static bool on_answer(struct payload *p, struct session *s, const struct agent_frame *f)
{
	uint32_t kind;
	const char *text;
	size_t len;

	if (!agent_get_text(f, &kind, &text, &len))
		return false;
	for (struct query **at = &p->queries; *at; at = &(*at)->next) {
		struct query *q = *at;
		OWN(mem) char *copy = NULL;

		if (q->id != f->session)
			continue;
		*at = q->next;
		copy = xstrndup(text, len);
		if (kind == AGENT_DONE)
			q->answer(q->arg, NULL, copy);
		else
			q->answer(q->arg,
				  err_new(kind < ERR_KINDS ? kind : ERR_INTERNAL, "%s", copy),
				  NULL);
		free(q);
		return true;
	}
	return false;
}

static bool on_bye(struct payload *p, struct session *s, const struct agent_frame *f)
{
	vm_bye(p);
	return true;
}

/* An exec's, or an answer, that another shim had asked for before the guest's state was saved. */
static bool is_of_before(struct payload *p, const struct agent_frame *f)
{
	return f->session && f->session <= p->info.saved.last_id && !by_id(p, f->session) &&
	       !query_has(p, f->session);
}

static void on_frame(void *arg, const struct agent_frame *f)
{
	static bool (*const handlers[AGENT_TYPES])(struct payload *, struct session *,
						   const struct agent_frame *) = {
		[AGENT_HELLO] = on_hello,   [AGENT_STARTED] = on_started,
		[AGENT_FAILED] = on_failed, [AGENT_DATA] = on_data,
		[AGENT_END] = on_end,       [AGENT_CREDIT] = on_credit,
		[AGENT_EXITED] = on_exited, [AGENT_OOM] = on_oom,
		[AGENT_ANSWER] = on_answer, [AGENT_BYE] = on_bye,
	};
	struct payload *p = arg;

	if (p->state != VM_STARTING && p->state != VM_RUNNING)
		return;
	if (is_of_before(p, f))
		return;
	if (!handlers[f->type] || !handlers[f->type](p, by_id(p, f->session), f))
		agent_port_reject(p->port, agent_type_name(f->type));
}

static void on_broken(void *arg, const char *why)
{
	struct payload *p = arg;
	char text[96];

	if (!why)
		return; /* QEMU ended: its pidfd tells */
	snprintf(text, sizeof(text), "hostel-guest sent a bad frame (%s)", why);
	vm_fail(p, ERR_CORRUPT, text);
}

void vm_open_port(struct payload *p, int fd)
{
	static const struct agent_port_ops ops = { .frame = on_frame, .broken = on_broken };

	p->port = agent_port_new(p->host.poller, fd, &ops, p);
	if (p->restore_dir)
		agent_port_hold(p->port, true);
	else
		agent_port_hello(p->port);
}

struct err *vm_send_text(struct payload *p, uint16_t session, int fd)
{
	char buf[AGENT_BODY_MAX];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		at += n;
		if (at > AGENT_TEXT_MAX)
			return err_new(ERR_LIMIT, "a process of more than %u bytes",
				       AGENT_TEXT_MAX);
		agent_port_send(p->port, AGENT_TEXT, AGENT_IN, session, buf, (size_t)n);
	}
	return n < 0 ? err_sys(errno, "read the process") : NULL;
}

void vm_send_start(struct payload *p, const struct session *s, uint32_t flags)
{
	const struct agent_start how = { .flags = flags | (s->is_tty ? AGENT_START_TTY : 0) |
						  (s->has_stdin ? AGENT_START_STDIN : 0),
					 .rows = p->host.rows,
					 .cols = p->host.cols };
	uint8_t body[8];

	agent_port_send(p->port, AGENT_START, AGENT_IN, s->id, body, agent_put_start(body, &how));
}

static void end_exec(struct payload *p, const struct session *s)
{
	struct payload_event ev = { .exec_id = s->exec_id };

	if (!s->id || s->is_over)
		return;
	if (s->is_started) {
		ev.type = PAYLOAD_EXEC_EXITED;
		ev.code = 137;
	} else {
		ev.type = PAYLOAD_EXEC_FAILED;
		ev.err_kind = ERR_STATE;
		ev.text = "the VM ended";
	}
	vm_send_event(p, &ev);
}

void vm_end_sessions(struct payload *p)
{
	while (p->sessions) {
		end_exec(p, p->sessions);
		session_free(p->sessions);
	}
	while (p->queries) {
		struct query *q = p->queries;

		p->queries = q->next;
		q->answer(q->arg, err_new(ERR_STATE, "the VM ended"), NULL);
		free(q);
	}
}
