/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent/port.h"
#include "guest/guest_int.h"
#include "guest/process.h"
#include "guest/root.h"
#include "guest/stats.h"
#include "util/fd.h"
#include "util/mem.h"

static struct session *session_get(struct guest *g, uint16_t id)
{
	for (struct session *s = g->sessions; s; s = s->next)
		if (s->id == id)
			return s;
	return NULL;
}

static struct session *session_new(struct guest *g, uint16_t id)
{
	struct session *s = xnew(struct session);

	*s = (struct session) { .next = g->sessions, .guest = g, .id = id, .master = -1 };
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
	own_fd_release(&s->master);
	free(s);
}

/* An exec's session ends when its process is gone and its output is at its end. */
static void session_sweep(struct guest *g)
{
	struct session *next;

	for (struct session *s = g->sessions; s; s = next) {
		next = s->next;
		if (s->id && s->is_over && !s->n_open)
			session_free(s);
	}
}

static void on_source_ended(void *arg)
{
	((struct session *)arg)->n_open--;
}

static struct agent_source *new_source(struct session *s, enum agent_stream stream, int fd)
{
	const struct agent_pump how = { .port = s->guest->port,
					.poller = s->guest->poller,
					.session = s->id,
					.stream = stream,
					.fd = fd };

	if (fd < 0)
		return NULL;
	s->n_open++;
	return agent_source_new(&how, on_source_ended, s);
}

static void carry(struct session *s, const struct guest_started *st, bool is_tty)
{
	const struct agent_pump in = { .port = s->guest->port,
				       .poller = s->guest->poller,
				       .session = s->id,
				       .stream = AGENT_IN,
				       .fd = st->in };

	s->pid = st->pid;
	s->master = is_tty ? fcntl(st->out, F_DUPFD_CLOEXEC, 3) : -1;
	s->in = st->in >= 0 ? agent_sink_new(&in) : NULL;
	s->out = new_source(s, AGENT_OUT, st->out);
	s->err = new_source(s, AGENT_ERR, st->err);
}

static void send_u32(struct guest *g, enum agent_type type, uint16_t session, uint32_t v)
{
	uint8_t body[4];

	agent_port_send(g->port, type, AGENT_IN, session, body, agent_put_u32(body, v));
}

/* ---- starts ---- */

static struct err *load_json(struct session *s, json_t **ret)
{
	OWN(str) struct str text = s->text;

	s->text = (struct str) { 0 };
	return jx_parse(text.len ? text.buf : "{}", text.len ? text.len : 2, ret);
}

static struct err *start_exec(struct session *s, const struct agent_start *how)
{
	struct guest *g = s->guest;
	const struct session *main = session_get(g, 0);
	OWN(json) json_t *process = NULL;
	struct guest_started st;
	struct guest_process p;

	TRY(load_json(s, &process));
	p = (struct guest_process) { .config = guest_boot_config(g->boot),
				     .process = process,
				     .user = jx_str(process, "user", ""),
				     .groups = json_object_get(process, "groups"),
				     .bpf = g->boot->bpf.buf,
				     .bpf_len = g->boot->bpf.len,
				     .join = main && !g->is_idle ? main->pid : 0,
				     .in_guest = g->is_idle,
				     .is_tty = how->flags & AGENT_START_TTY,
				     .has_stdin = how->flags & AGENT_START_STDIN,
				     .rows = how->rows,
				     .cols = how->cols };
	if (!main || (!g->is_idle && !main->pid))
		return err_new(ERR_STATE, "the payload does not run");
	TRY(guest_process_start(&p, &st));
	carry(s, &st, p.is_tty);
	return NULL;
}

static struct err *start_payload(struct session *s, const struct agent_start *how)
{
	struct guest *g = s->guest;
	OWN(json) json_t *doc = NULL;
	struct guest_started st;
	struct guest_process p;
	const json_t *config;

	TRY(load_json(s, &doc));
	TRY(guest_boot(doc, &g->boot));
	if (how->flags & AGENT_START_IDLE) {
		g->is_idle = true;
		return NULL;
	}
	config = guest_boot_config(g->boot);
	p = (struct guest_process) { .config = config,
				     .process =
					 json_object_get(json_object_get(config, "oci"), "process"),
				     .user = jx_str(config, "user", ""),
				     .groups = json_object_get(config, "groups"),
				     .bpf = g->boot->bpf.buf,
				     .bpf_len = g->boot->bpf.len,
				     .is_tty = how->flags & AGENT_START_TTY,
				     .has_stdin = how->flags & AGENT_START_STDIN,
				     .rows = how->rows,
				     .cols = how->cols };
	TRY(guest_process_start(&p, &st));
	carry(s, &st, p.is_tty);
	return NULL;
}

/* ---- the end ---- */

static bool oom_happened(struct guest *g)
{
	int64_t now = guest_oom_kills();
	bool yes = now > g->oom_kills;

	g->oom_kills = now;
	return yes;
}

/* Nothing may come between EXITED and the rest: the host makes room for it at EXITED. */
static void finish(struct guest *g, struct session *main, uint32_t code, uint32_t flags)
{
	uint8_t body[8];

	agent_port_send(g->port, AGENT_EXITED, AGENT_IN, 0, body,
			agent_put_exited(body, code, flags));
	(void)kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	if (main->out)
		agent_source_rest(main->out);
	if (main->err)
		agent_source_rest(main->err);
	guest_unmount_root();
	agent_port_send(g->port, AGENT_BYE, AGENT_IN, 0, NULL, 0);
	g->is_done = true;
}

static uint32_t code_of(int status)
{
	return (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void session_exited(struct session *s, int status)
{
	struct guest *g = s->guest;
	bool oom = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && oom_happened(g);
	uint8_t body[8];

	if (oom)
		agent_port_send(g->port, AGENT_OOM, AGENT_IN, s->id, NULL, 0);
	s->pid = 0;
	if (!s->id) {
		finish(g, s, code_of(status), oom ? AGENT_EXITED_OOM : 0);
		return;
	}
	s->is_over = true;
	agent_port_send(g->port, AGENT_EXITED, AGENT_IN, s->id, body,
			agent_put_exited(body, code_of(status), oom ? AGENT_EXITED_OOM : 0));
}

static void on_sigchld(void *arg, short revents)
{
	struct guest *g = arg;
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(g->signals, &info, sizeof(info));
	while (!g->is_done && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct session *s = g->sessions; s; s = s->next)
			if (s->pid == pid) {
				session_exited(s, status);
				break;
			}
	session_sweep(g);
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
	struct session *s = session_get(g, f->session);

	if (!s)
		s = session_new(g, f->session);
	if (s->text.len + f->len <= AGENT_TEXT_MAX)
		str_add(&s->text, f->body, f->len);
}

static void on_start(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	struct agent_start how;
	OWN(err) struct err *e = NULL;

	if (!s)
		s = session_new(g, f->session);
	if (s->pid || s->is_over || !agent_get_start(f, &how))
		return;
	e = s->id ? start_exec(s, &how) : start_payload(s, &how);
	if (!e) {
		send_u32(g, AGENT_STARTED, s->id, (uint32_t)s->pid);
		return;
	}
	agent_port_send_text(g->port, AGENT_FAILED, s->id, err_kind(e), err_text(e));
	if (s->id)
		session_free(s);
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

static void on_signal(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	uint32_t signum;

	if (!s || !agent_get_u32(f, &signum))
		return;
	if (s->pid)
		(void)kill(s->pid, (int)signum);
	else if (!s->id && g->is_idle && signum != SIGWINCH)
		finish(g, s, 0, 0);
}

static void on_resize(struct guest *g, const struct agent_frame *f)
{
	struct session *s = session_get(g, f->session);
	struct winsize size = { 0 };

	if (s && s->master >= 0 && agent_get_size(f, &size.ws_row, &size.ws_col))
		(void)ioctl(s->master, TIOCSWINSZ, &size);
}

static void on_query(struct guest *g, const struct agent_frame *f)
{
	static const struct {
		const char *name;
		json_t *(*fn)(void);
	} queries[] = { { "stats", guest_stats }, { "top", guest_top } };
	OWN(mem) char *question = xstrndup((const char *)f->body, f->len);

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
	struct session *s = session_get(g, 0);

	if (s && s->pid)
		(void)kill(s->pid, SIGKILL);
	else
		finish(g, s ? s : session_new(g, 0), 0, 0);
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
	guest_unmount_root();
	g->is_done = true;
}

void guest_serve(int port)
{
	static const struct agent_port_ops ops = { .frame = on_frame, .broken = on_broken };
	struct guest g = { .poller = poller_new() };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	g.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	(void)poll_watch_new(g.poller, g.signals, POLLIN, on_sigchld, &g);
	g.port = agent_port_new(g.poller, port, &ops, &g);
	g.oom_kills = guest_oom_kills();
	agent_port_hello(g.port);
	while (!g.is_done || !agent_port_is_idle(g.port))
		poller_step(g.poller, -1);
}
