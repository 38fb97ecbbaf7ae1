/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/port.h"
#include "ctr/payload.h"
#include "guest/boot.h"
#include "guest/early.h"
#include "guest/files.h"
#include "guest/oom.h"
#include "guest/pids.h"
#include "guest/renew.h"
#include "guest/root.h"
#include "guest/stats.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define TIDY_NS 3000000000ll

struct session {
	struct session *next;
	struct guest *guest;
	uint16_t id;
	char exec_id[8]; /* the number as text: ctr's name for it */
	struct str text; /* JSON so far */
	int n_open;      /* sources not at their end */
	bool is_started, is_over;
	struct agent_source *out, *err;
	struct agent_sink *in;
	/* of one that answers for files */
	pid_t pid;
	int pidfd; /* -1: it is none, or it ended */
	struct poll_watch *exit_watch;
};

struct guest {
	struct poller *poller;
	struct agent_port *port;
	struct session *sessions;
	struct payload_host host;
	struct payload *payload; /* ctr's */
	pid_t payload_pid;
	json_t *booted; /* guest/renew.h */
	bool is_alone;  /* booted for the files of its disk: nothing else runs */
	bool is_done;
	struct guest_oom oom;
	int64_t memory_bytes; /* that the host gave it; 0: not said */
	int pids;             /* guest/pids.h; -1: no limit */
	int initramfs;        /* what is left of it; -1: nothing */
	struct poll_timer *tidy;
};

/* ---- sessions ---- */

static struct session *session_get(struct guest *g, uint16_t id)
{
	for (struct session *s = g->sessions; s; s = s->next)
		if (s->id == id)
			return s;
	return NULL;
}

static struct session *session_need(struct guest *g, uint16_t id)
{
	struct session *s = session_get(g, id);

	if (s)
		return s;
	s = xnew(struct session);
	*s = (struct session) { .next = g->sessions, .guest = g, .id = id, .pidfd = -1 };
	snprintf(s->exec_id, sizeof(s->exec_id), "%u", id);
	g->sessions = s;
	return s;
}

static void session_free(struct session *s)
{
	for (struct session **at = &s->guest->sessions; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	str_done(&s->text);
	agent_source_free(s->out);
	agent_source_free(s->err);
	agent_sink_free(s->in);
	poll_watch_free(s->exit_watch);
	own_fd_release(&s->pidfd);
	free(s);
}

/* An exec's session ends when its process is gone and its output is at its end. */
static void sweep(struct session *s)
{
	if (s->id && s->is_over && !s->n_open)
		session_free(s);
}

static void on_source_ended(void *arg)
{
	struct session *s = arg;

	s->n_open--;
	sweep(s);
}

static struct agent_pump pump_of(struct session *s, enum agent_stream stream, int fd)
{
	return (struct agent_pump) { .port = s->guest->port,
				     .poller = s->guest->poller,
				     .session = s->id,
				     .stream = stream,
				     .fd = fd };
}

static struct agent_source *new_source(struct session *s, enum agent_stream stream, int fd)
{
	const struct agent_pump how = pump_of(s, stream, fd);

	if (fd < 0)
		return NULL;
	s->n_open++;
	return agent_source_new(&how, on_source_ended, s);
}

static void carry(struct session *s, const struct payload_io *io)
{
	int in = io->in >= 0 && io->in == io->out ? fcntl(io->in, F_DUPFD_CLOEXEC, 3) : io->in;
	const struct agent_pump how = pump_of(s, AGENT_IN, in);

	s->is_started = true;
	s->in = in >= 0 ? agent_sink_new(&how) : NULL;
	s->out = new_source(s, AGENT_OUT, io->out);
	s->err = new_source(s, AGENT_ERR, io->err);
}

/* ---- the end ---- */

/* The host makes room for what is left when it hears EXITED: it must come first. */
static void finish(struct guest *g, int code, uint32_t flags)
{
	struct session *s = session_need(g, 0);
	uint8_t body[8];

	agent_port_send(g->port, AGENT_EXITED, AGENT_IN, 0, body,
			agent_put_exited(body, (uint32_t)code, flags));
	(void)kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	if (s->out)
		agent_source_rest(s->out);
	if (s->err)
		agent_source_rest(s->err);
	if (g->is_alone)
		guest_unmount();
	else
		guest_sync();
	agent_port_send(g->port, AGENT_BYE, AGENT_IN, 0, NULL, 0);
	g->is_done = true;
}

/* For people, who read it on the host. */
static void send_oom(struct session *s, const char *which)
{
	const struct guest *g = s->guest;
	char size[24];
	OWN(mem)
	char *limit = g->memory_bytes ? xasprintf(" of %s", num_bytes_text(g->memory_bytes, size))
				      : xstrdup("");
	OWN(mem)
	char *text = xasprintf("out of memory: the VM's kernel killed %s%s at the memory%s that "
			       "the VM has; raise it with --memory",
			       *g->oom.victim ? g->oom.victim : "a process", which, limit);

	agent_port_send_text(g->port, AGENT_OOM, s->id, 0, text);
}

static void send_exited(struct session *s, int code)
{
	struct guest *g = s->guest;
	bool oom = code == 128 + SIGKILL && guest_oom_happened(&g->oom);
	uint8_t body[8];

	if (oom)
		send_oom(s, s->id ? "" : " (main process)");
	s->is_over = true;
	if (!s->id) {
		finish(g, code, oom ? AGENT_EXITED_OOM : 0);
		return;
	}
	agent_port_send(g->port, AGENT_EXITED, AGENT_IN, s->id, body,
			agent_put_exited(body, (uint32_t)code, oom ? AGENT_EXITED_OOM : 0));
	sweep(s);
}

/* Its memory is of use to a VM that stays; one that ends at once need not wait for it. */
static void on_tidy(void *arg)
{
	struct guest *g = arg;

	guest_delete_initramfs(TAKE_FD(g->initramfs));
}

/* ---- what ctr tells ---- */

static void send_started(struct session *s, pid_t pid)
{
	uint8_t body[4];

	agent_port_send(s->guest->port, AGENT_STARTED, AGENT_IN, s->id, body,
			agent_put_u32(body, (uint32_t)pid));
}

static void send_failed(struct session *s, int kind, const char *text)
{
	agent_port_send_text(s->guest->port, AGENT_FAILED, s->id, (uint32_t)kind, text);
	if (s->id)
		session_free(s);
}

static void on_event(void *arg, const struct payload_event *ev)
{
	struct guest *g = arg;
	struct session *s = session_get(g, ev->exec_id ? (uint16_t)atoi(ev->exec_id) : 0);

	if (!s || g->is_done)
		return;
	switch (ev->type) {
	case PAYLOAD_STARTED:
	case PAYLOAD_EXEC_STARTED:
		/* before any DATA */
		if (!s->id)
			g->payload_pid = ev->pid;
		send_started(s, ev->pid);
		carry(s, &ev->io);
		if (!g->tidy)
			g->tidy = poll_timer_new(g->poller, TIDY_NS, on_tidy, g);
		return;
	case PAYLOAD_START_FAILED:
	case PAYLOAD_EXEC_FAILED:
		send_failed(s, ev->err_kind, ev->text ? ev->text : "the start failed");
		return;
	case PAYLOAD_EXITED:
	case PAYLOAD_EXEC_EXITED:
		send_exited(s, ev->code);
		return;
	case PAYLOAD_OOM:
		return; /* ctr sees no cgroup here; the VM's kernel is asked at the end */
	}
}

/* ---- starts ---- */

static struct err *limit_pids(struct guest *g, const json_t *doc)
{
	const json_t *oci = json_object_get(json_object_get(doc, "guest"), "oci");
	const json_t *resources = json_object_get(json_object_get(oci, "linux"), "resources");
	int64_t limit = jx_int(json_object_get(resources, "pids"), "limit", 0);

	return limit > 0 ? guest_pids_make(limit, &g->pids) : NULL;
}

/* No payload: hostel-guest alone, which answers for the files of the disk. */
static struct err *start_alone(struct session *s)
{
	TRY(guest_mount_image(false));
	s->guest->is_alone = true;
	s->is_started = true;
	send_started(s, 0);
	return NULL;
}

static struct err *start_payload(struct session *s, const struct agent_start *how)
{
	struct guest *g = s->guest;
	OWN(str) struct str text = s->text;
	OWN(json) json_t *doc = NULL;
	struct err *e;

	s->text = (struct str) { 0 };
	TRY(jx_parse(text.len ? text.buf : "", text.len, &doc));
	if (jx_bool(doc, "alone", false))
		return start_alone(s);
	TRY(guest_boot(doc));
	guest_renew_note(doc, &g->booted);
	g->memory_bytes = jx_int(doc, "memory_bytes", 0);
	TRY(limit_pids(g, doc));
	g->host = (struct payload_host) { .id = "payload",
					  .state_dir = GUEST_STATE,
					  .run_dir = GUEST_STATE,
					  .is_tty = how->flags & AGENT_START_TTY,
					  .has_stdin = how->flags & AGENT_START_STDIN,
					  .rows = how->rows,
					  .cols = how->cols,
					  .poller = g->poller,
					  .event = on_event,
					  .arg = g };
	TRY(guest_pids_enter(g->pids));
	e = ctr_payload_ops.start(&g->host, &g->payload);
	guest_pids_leave(g->pids);
	return e;
}

/* ---- files ---- */

static void on_files_end(void *arg, short revents)
{
	struct session *s = arg;

	poll_watch_free(TAKE(s->exit_watch));
	own_fd_release(&s->pidfd);
	s->pidfd = -1;
	(void)waitpid(s->pid, NULL, WNOHANG);
	send_exited(s, 0);
}

static struct err *start_files(struct session *s)
{
	struct guest *g = s->guest;
	struct payload_io io = PAYLOAD_IO_NONE;

	TRY(guest_files_start(g->payload_pid, &io, &s->pid, &s->pidfd));
	s->exit_watch = poll_watch_new(g->poller, s->pidfd, POLLIN, on_files_end, s);
	send_started(s, s->pid);
	carry(s, &io);
	return NULL;
}

/* Not a process, but {"files": true}. */
static bool is_files(const struct str *text)
{
	OWN(json) json_t *doc = NULL;
	OWN(err) struct err *e = jx_parse(text->len ? text->buf : "", text->len, &doc);

	return !e && jx_bool(doc, "files", false);
}

static struct err *start_exec(struct session *s, const struct agent_start *how)
{
	struct guest *g = s->guest;
	OWN(str) struct str text = s->text;
	OWN(fd) int fd = memfd_create("process", MFD_CLOEXEC);
	struct err *e;

	s->text = (struct str) { 0 };
	if (is_files(&text))
		return start_files(s);
	if (fd < 0)
		return err_sys(errno, "memfd");
	if (!g->payload)
		return err_new(ERR_STATE, "the payload does not run");
	TRY(fd_write_all(fd, text.len ? text.buf : "", text.len));
	TRY(guest_pids_enter(g->pids));
	e = ctr_payload_ops.exec(g->payload, s->exec_id, fd, how->flags & AGENT_START_TTY,
				 how->flags & AGENT_START_STDIN);
	guest_pids_leave(g->pids);
	TRY(e);
	if (how->rows)
		err_free(ctr_payload_ops.resize(g->payload, s->exec_id, how->rows, how->cols));
	return NULL;
}

/* ---- frames ---- */

static void on_hello(struct guest *g, const struct agent_frame *f)
{
	struct agent_hello h;

	if (!agent_get_hello(f, &h) || !agent_version_of(&h))
		agent_port_send_text(g->port, AGENT_FAILED, 0, ERR_UNSUPPORTED,
				     "hostel-guest and hostel-shim speak different versions");
}

static void on_text(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_need(g, f->session);

	if (s->text.len + f->len <= AGENT_TEXT_MAX)
		str_add(&s->text, f->body, f->len);
}

static void on_start(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_need(g, f->session);
	struct agent_start how;
	OWN(err) struct err *e = NULL;

	if (s->is_started || !agent_get_start(f, &how))
		return;
	e = s->id ? start_exec(s, &how) : start_payload(s, &how);
	if (e)
		send_failed(s, err_kind(e), err_text(e));
}

static void on_data(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);

	if (s && s->in && !agent_sink_data(s->in, f->body, f->len))
		agent_port_reject(g->port, "the host overran its credit");
}

static void on_end(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);

	if (s && s->in)
		agent_sink_end(s->in);
}

static void on_credit(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	struct agent_source *src = !s ? NULL : f->stream == AGENT_ERR ? s->err : s->out;
	uint32_t n;

	if (src && agent_get_u32(f, &n) && !agent_source_credit(src, n))
		agent_port_reject(g->port, "the host granted too much");
}

static const char *exec_id_of(const struct session *s)
{
	return s->id ? s->exec_id : NULL;
}

static void on_signal(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	uint32_t signum;

	if (s && !s->id && g->is_alone)
		finish(g, 0, 0);
	else if (s && g->payload && s->pidfd < 0 && agent_get_u32(f, &signum))
		err_free(ctr_payload_ops.signal(g->payload, exec_id_of(s), (int)signum));
}

static void on_resize(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	uint16_t rows, cols;

	if (s && g->payload && agent_get_size(f, &rows, &cols))
		err_free(ctr_payload_ops.resize(g->payload, exec_id_of(s), rows, cols));
}

/* What is new came as TEXT under the question's number. */
static struct err *renew(struct guest *g, struct session *s)
{
	OWN(json) json_t *doc = NULL;

	TRY(jx_parse(s->text.len ? s->text.buf : "", s->text.len, &doc));
	return guest_renew(doc, &g->booted, g->payload_pid);
}

static void on_renew(struct guest *g, uint16_t id)
{
	struct session *s = session_need(g, id);
	OWN(err) struct err *e = renew(g, s);

	agent_port_send_text(g->port, AGENT_ANSWER, id, e ? err_kind(e) : AGENT_DONE,
			     e ? err_text(e) : "");
	session_free(s);
}

static void on_query(struct guest *g, const struct agent_frame *f)
{
	static const struct {
		const char *name;
		json_t *(*fn)(void);
	} queries[] = { { "stats", guest_stats }, { "top", guest_top } };
	OWN(mem) char *question = xstrndup((const char *)f->body, f->len);

	if (streq(question, "renew")) {
		on_renew(g, f->session);
		return;
	}

	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		OWN(json) json_t *j = NULL;
		OWN(mem) char *text = NULL;

		if (strcmp(queries[i].name, question) != 0)
			continue;
		j = queries[i].fn();
		text = jx_text(j);
		agent_port_send_text(g->port, AGENT_ANSWER, f->session, AGENT_DONE, text);
		return;
	}
	agent_port_send_text(g->port, AGENT_ANSWER, f->session, ERR_UNSUPPORTED,
			     "hostel-guest does not know this question");
}

static void on_shutdown(struct guest *g, const struct agent_frame *f)
{
	const struct session *s = session_get(g, 0);

	if (s && g->payload && s->is_started && !s->is_over)
		err_free(ctr_payload_ops.signal(g->payload, NULL, SIGKILL));
	else
		finish(g, 0, 0);
}

static void on_time(struct guest *g, const struct agent_frame *f)
{
	struct timespec t;
	uint64_t ns;

	if (!agent_get_u64(f, &ns))
		return;
	t = (struct timespec) { .tv_sec = (time_t)(ns / 1000000000u),
				.tv_nsec = (long)(ns % 1000000000u) };
	(void)clock_settime(CLOCK_REALTIME, &t);
}

static void on_frame(void *arg, const struct agent_frame *f)
{
	static void (*const handlers[AGENT_TYPES])(struct guest *, const struct agent_frame *) = {
		[AGENT_HELLO] = on_hello,   [AGENT_TEXT] = on_text,
		[AGENT_START] = on_start,   [AGENT_DATA] = on_data,
		[AGENT_END] = on_end,       [AGENT_CREDIT] = on_credit,
		[AGENT_SIGNAL] = on_signal, [AGENT_RESIZE] = on_resize,
		[AGENT_QUERY] = on_query,   [AGENT_SHUTDOWN] = on_shutdown,
		[AGENT_TIME] = on_time,
	};
	struct guest *g = arg;

	if (!g->is_done && handlers[f->type])
		handlers[f->type](g, f);
}

/* The host is gone, or mad: nobody will ever hear of this VM again. */
static void on_broken(void *arg, const char *why)
{
	struct guest *g = arg;

	(void)kill(-1, SIGKILL);
	guest_sync();
	g->is_done = true;
}

void guest_serve(int port, int initramfs)
{
	static const struct agent_port_ops ops = { .frame = on_frame, .broken = on_broken };
	struct guest g = { .poller = poller_new(), .initramfs = initramfs, .pids = -1 };

	(void)signal(SIGPIPE, SIG_IGN);
	g.port = agent_port_new(g.poller, port, &ops, &g);
	guest_oom_init(&g.oom);
	agent_port_hello(g.port);
	while (!g.is_done || !agent_port_is_idle(g.port))
		poller_step(g.poller, -1);
}
