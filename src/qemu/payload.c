/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/payload_int.h"
#include "sys/cgroup.h"
#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define MS           1000000ll
#define KILL_WAIT_NS (2000 * MS) /* the guest gets to end by itself after SIGKILL */

static int pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void kill_qemu(struct payload *p)
{
	if (p->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

void vm_send_event(struct payload *p, const struct payload_event *ev)
{
	p->host.event(p->host.arg, ev);
}

/* ---- tails ---- */

static void tail_add(struct tail *t, const char *data, size_t n)
{
	size_t keep;

	if (!t)
		return;
	if (n > TAIL_BYTES) {
		data += n - TAIL_BYTES;
		n = TAIL_BYTES;
	}
	keep = t->len + n > TAIL_BYTES ? TAIL_BYTES - n : t->len;
	memmove(t->bytes, t->bytes + t->len - keep, keep);
	memcpy(t->bytes + keep, data, n);
	t->len = keep + n;
}

/*
 * As one line for an error: the last @max bytes.  The CLI tells by certain words that a
 * command was not found, so a console must not say them.
 */
static void tail_text(const struct tail *t, size_t max, struct str *to)
{
	static const char *const reserved[] = { "executable file not found",
						"no such file or directory", "permission denied",
						"is a directory" };
	size_t from = t->len > max ? t->len - max : 0, start = to->len;

	for (size_t i = from; i < t->len; i++) {
		unsigned char c = (unsigned char)t->bytes[i];

		if (c == '\n' && to->len > start)
			str_adds(to, " | ");
		else if (c >= ' ' && c < 0x7f)
			str_add(to, &c, 1);
	}
	for (size_t i = 0; to->len > start && i < ARRAY_SIZE(reserved); i++)
		for (char *at; (at = strstr(to->buf + start, reserved[i]));)
			*at = (char)(*at - 'a' + 'A');
}

/* ---- the end ---- */

static void close_watch(struct poll_watch **w, int *fd)
{
	poll_watch_free(TAKE(*w));
	own_fd_release(fd);
}

static void report_end(struct payload *p)
{
	struct payload_event ev = { .code = p->code, .oom = p->oom, .text = p->note };

	p->state = VM_OVER;
	if (p->failure.len) {
		ev.type = PAYLOAD_START_FAILED;
		ev.err_kind = p->failure_kind;
		ev.text = p->failure.buf;
	} else {
		ev.type = PAYLOAD_EXITED;
	}
	vm_send_event(p, &ev);
}

static void on_undone(void *arg, short revents)
{
	struct payload *p = arg;

	(void)waitpid(p->undo_pid, NULL, 0);
	close_watch(&p->on_end, &p->pidfd);
	report_end(p);
}

static void undo_now(void *arg)
{
	struct payload *p = arg;

	err_free(qemu_undo(p->state_dir));
	report_end(p);
}

/* In a child: it parses the plan, and may wait for the cgroup. */
static void begin_undo(struct payload *p)
{
	p->state = VM_UNDOING;
	p->undo_pid = fork();
	if (!p->undo_pid) {
		struct err *e = qemu_undo(p->state_dir);

		_exit(e != NULL);
	}
	p->pidfd = p->undo_pid > 0 ? pidfd_open(p->undo_pid) : -1;
	if (p->pidfd < 0) {
		p->event_timer = poll_timer_new(p->host.poller, 0, undo_now, p);
		return;
	}
	p->on_end = poll_watch_new(p->host.poller, p->pidfd, POLLIN, on_undone, p);
}

static void fail_with(struct payload *p, int kind, const char *text)
{
	if (p->failure.len)
		return;
	p->failure_kind = kind;
	str_adds(&p->failure, text);
}

static void fail_by_console(struct payload *p, const char *what)
{
	if (p->failure.len)
		return;
	p->failure_kind = ERR_UNAVAILABLE;
	str_adds(&p->failure, what);
	str_adds(&p->failure, "; its console ends with: ");
	if (p->console_tail && p->console_tail->len)
		tail_text(p->console_tail, TAIL_BYTES, &p->failure);
	else
		str_adds(&p->failure, "(nothing)");
}

/* QEMU ended before anything ran inside. */
static void explain_start(struct payload *p, int status)
{
	if (p->failure.len)
		return;
	if (p->output_tail && p->output_tail->len) {
		p->failure_kind = p->restore_dir ? ERR_CORRUPT : ERR_UNAVAILABLE;
		if (p->restore_dir)
			str_adds(&p->failure, "its saved state cannot be brought back: ");
		tail_text(p->output_tail, 500, &p->failure);
	} else if (WIFSIGNALED(status) && !p->is_killed) {
		fail_with(p, ERR_UNAVAILABLE, "monitor died");
	} else {
		fail_by_console(p, "the VM stopped before it had started");
	}
}

static void explain_exit(struct payload *p, int status)
{
	bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (p->has_code)
		return;
	p->code = 137;
	if (p->is_killed || p->note)
		return;
	if (!ok)
		p->note = "monitor died";
	else if (p->info.is_agent)
		p->note = "the guest's kernel stopped";
	else
		p->code = 0;
}

static void drain(int fd, struct tail *t)
{
	char buf[1024];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		tail_add(t, buf, (size_t)n);
}

static void on_report(void *arg, short revents);

static void on_qemu_end(void *arg, short revents)
{
	struct payload *p = arg;
	int status = 0;

	if (waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	while (p->report_watch) /* at its end, for its writer is gone */
		on_report(p, POLLIN);
	close_watch(&p->on_end, &p->pidfd);
	drain(p->output, p->output_tail);
	if (p->console_watch)
		drain(p->console, p->console_tail);
	if (p->state == VM_STARTING)
		explain_start(p, status);
	else
		explain_exit(p, status);
	poll_timer_free(TAKE(p->boot_timer));
	poll_timer_free(TAKE(p->kill_timer));
	vm_checkpoint_lost(p);
	vm_end_sessions(p);
	begin_undo(p);
}

void vm_fail(struct payload *p, int kind, const char *text)
{
	if (p->state == VM_STARTING)
		fail_with(p, kind, text);
	else
		p->note = "the VM's agent failed";
	kill_qemu(p);
}

void vm_bye(struct payload *p)
{
	p->is_bye = true;
	if (!p->has_code) {
		p->has_code = true;
		p->code = 137;
	}
	if (p->state == VM_STARTING)
		fail_with(p, ERR_UNAVAILABLE, "hostel-guest ended before the payload began");
	/* Nothing is left to lose: all is on disk, and QEMU writes no file but raw ones. */
	kill_qemu(p);
}

/* ---- start ---- */

static void keep_small(struct payload *p)
{
	free(TAKE(p->output_tail));
	free(TAKE(p->console_tail));
	str_done(&p->report_text);
	close_watch(&p->report_watch, &p->report);
	own_fd_release(&p->start_fd);
	malloc_trim(0);
}

void vm_started(struct payload *p, const struct payload_io *io)
{
	const struct payload_event ev = { .type = PAYLOAD_STARTED, .io = *io, .pid = p->pid };

	p->state = VM_RUNNING;
	poll_timer_free(TAKE(p->boot_timer));
	keep_small(p);
	vm_send_event(p, &ev);
}

static void on_boot_timeout(void *arg)
{
	struct payload *p = arg;
	char what[80];

	snprintf(what, sizeof(what), "the VM did not boot within %lld s",
		 (long long)(p->info.boot_timeout_ms / 1000));
	fail_by_console(p, what);
	kill_qemu(p);
}

static void on_qmp_event(void *arg, const char *name)
{
	struct payload *p = arg;

	if (strcmp(name, "MIGRATION") != 0)
		return;
	if (p->checkpoint)
		vm_checkpoint_event(p);
	else if (p->state == VM_STARTING && p->restore_dir)
		vm_restore_event(p);
}

/* The starter has read the plan: now it is known what is inside. */
static void on_info(struct payload *p)
{
	struct session *s;
	OWN(err) struct err *e = NULL;

	memcpy(&p->info, p->report_text.buf, sizeof(p->info));
	str_drop(&p->report_text, sizeof(p->info));
	if (p->info.is_agent || p->restore_dir)
		p->boot_timer = poll_timer_new(p->host.poller, p->info.boot_timeout_ms * MS,
					       on_boot_timeout, p);
	if (!p->info.is_agent || p->restore_dir)
		return;
	s = vm_session_new(p, NULL);
	s->is_tty = p->host.is_tty;
	s->has_stdin = p->host.has_stdin;
	e = vm_send_text(p, 0, p->start_fd);
	if (e)
		vm_fail(p, err_kind(e), err_text(e));
	vm_send_start(p, s, p->info.is_idle ? AGENT_START_IDLE : 0);
}

static void on_starter_failed(struct payload *p)
{
	const struct saved_state *saved = &p->info.saved;
	struct starter_failure f;
	OWN(mem) char *text = NULL;
	size_t before = p->info.what ? saved->n_unread + saved->n_unsent : 0;
	size_t left = p->report_text.len;

	if (left < before + sizeof(f))
		return;
	memcpy(&f, p->report_text.buf + before, sizeof(f));
	if (f.what != STARTER_FAILURE)
		return;
	before += sizeof(f);
	left -= before;
	text = xstrndup(p->report_text.buf + before, f.text_len < left ? f.text_len : left);
	fail_with(p, f.kind < ERR_KINDS ? (int)f.kind : ERR_INTERNAL, text);
}

static bool has_info(const struct payload *p)
{
	uint32_t what = 0;

	if (p->report_text.len < sizeof(p->info))
		return false;
	memcpy(&what, p->report_text.buf, sizeof(what));
	return what == STARTER_INFO;
}

static void on_report(void *arg, short revents)
{
	struct payload *p = arg;
	char buf[512];
	ssize_t n = read(p->report, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		on_starter_failed(p);
		close_watch(&p->report_watch, &p->report);
		return;
	}
	str_add(&p->report_text, buf, (size_t)n);
	if (!p->info.what && has_info(p))
		on_info(p);
}

static void on_qmp_ready(void *arg)
{
	struct payload *p = arg;
	struct payload_io io = PAYLOAD_IO_NONE;

	while (p->restore_dir && p->report_watch) /* ended with the starter's exec */
		on_report(p, POLLIN);
	if (p->state == VM_STARTING && p->restore_dir)
		vm_restore(p);
	if (p->state != VM_STARTING || p->info.is_agent || p->restore_dir)
		return;
	poll_watch_free(TAKE(p->console_watch));
	io.in = io.out = TAKE_FD(p->console);
	vm_started(p, &io);
}

static void read_tail(struct poll_watch *w, int fd, struct tail *t)
{
	char buf[1024];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		tail_add(t, buf, (size_t)n);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		poll_watch_set(w, 0);
}

static void on_output(void *arg, short revents)
{
	struct payload *p = arg;

	read_tail(p->output_watch, p->output, p->output_tail);
}

static void on_console(void *arg, short revents)
{
	struct payload *p = arg;

	read_tail(p->console_watch, p->console, p->console_tail);
}

/* Pairs of descriptors: [0] is ours, [1] the starter's. */
struct channels {
	int qmp[2], console[2], agent[2], output[2], report[2];
};

static void own_channels_release(struct channels *c)
{
	int *all[] = { c->qmp, c->console, c->agent, c->output, c->report };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		own_fd_release(&all[i][0]);
		own_fd_release(&all[i][1]);
	}
}

static struct err *open_channels(struct channels *c)
{
	TRY(sock_pair(SOCK_STREAM, c->qmp));
	TRY(sock_pair(SOCK_STREAM, c->console));
	TRY(sock_pair(SOCK_STREAM, c->agent));
	if (pipe2(c->output, O_CLOEXEC) < 0 || pipe2(c->report, O_CLOEXEC) < 0)
		return err_sys(errno, "pipe");
	return NULL;
}

static struct err *fork_starter(struct payload *p, const struct channels *c)
{
	const struct starter s = { .id = p->id,
				   .state_dir = p->state_dir,
				   .qmp = c->qmp[1],
				   .console = c->console[1],
				   .agent = c->agent[1],
				   .output = c->output[1],
				   .report = c->report[1],
				   .start = p->start_fd,
				   .restore_dir = p->restore_dir };
	sigset_t none;

	p->start_fd = memfd_create("start", MFD_CLOEXEC);
	if (p->start_fd < 0)
		return err_sys(errno, "memfd");
	p->pid = fork();
	if (p->pid < 0)
		return err_sys(errno, "fork");
	if (!p->pid) {
		struct starter mine = s;

		mine.start = p->start_fd;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		starter_run(&mine);
	}
	p->pidfd = pidfd_open(p->pid);
	return p->pidfd < 0 ? err_sys(errno, "pidfd") : NULL;
}

static void watch_all(struct payload *p, struct channels *c)
{
	static const struct qmp_ops ops = { .ready = on_qmp_ready, .event = on_qmp_event };
	struct poller *poller = p->host.poller;

	p->report = TAKE_FD(c->report[0]);
	p->output = TAKE_FD(c->output[0]);
	p->console = TAKE_FD(c->console[0]);
	fd_set_nonblock(p->output, 1);
	fd_set_nonblock(p->console, 1);
	p->report_watch = poll_watch_new(poller, p->report, POLLIN, on_report, p);
	p->output_watch = poll_watch_new(poller, p->output, POLLIN, on_output, p);
	p->console_watch = poll_watch_new(poller, p->console, POLLIN, on_console, p);
	p->on_end = poll_watch_new(poller, p->pidfd, POLLIN, on_qemu_end, p);
	p->qmp = qmp_new(poller, TAKE_FD(c->qmp[0]), &ops, p);
	vm_open_port(p, TAKE_FD(c->agent[0]));
}

static void vm_free(struct payload *p)
{
	if (!p)
		return;
	vm_end_sessions(p);
	poll_timer_free(p->boot_timer);
	poll_timer_free(p->kill_timer);
	poll_timer_free(p->event_timer);
	close_watch(&p->on_end, &p->pidfd);
	close_watch(&p->report_watch, &p->report);
	close_watch(&p->output_watch, &p->output);
	close_watch(&p->console_watch, &p->console);
	own_fd_release(&p->start_fd);
	qmp_free(p->qmp);
	agent_port_free(p->port);
	free(p->output_tail);
	free(p->console_tail);
	str_done(&p->report_text);
	str_done(&p->failure);
	free(p->id);
	free(p->state_dir);
	free(p->restore_dir);
	free(p);
}

static struct err *vm_start(const struct payload_host *host, struct payload **ret)
{
	OWN(channels)
	struct channels c = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct payload *p = xnew(struct payload);
	struct err *e;

	p->host = *host;
	p->id = xstrdup(host->id);
	p->state_dir = xstrdup(host->state_dir);
	p->restore_dir = xstrdup(host->restore_dir);
	p->pidfd = p->report = p->output = p->console = p->start_fd = -1;
	p->output_tail = xnew(struct tail);
	p->console_tail = xnew(struct tail);
	(void)signal(SIGPIPE, SIG_IGN);
	e = open_channels(&c);
	if (!e)
		e = fork_starter(p, &c);
	if (e) {
		vm_free(p);
		return e;
	}
	watch_all(p, &c);
	*ret = p;
	return NULL;
}

/* ---- verbs ---- */

static struct err *need_agent(const struct payload *p)
{
	if (p->state != VM_RUNNING)
		return err_new(ERR_STATE, "the VM does not run");
	if (!p->info.is_agent)
		return err_new(ERR_UNSUPPORTED, "this machine runs without hostel-guest");
	return NULL;
}

static struct err *vm_exec(struct payload *p, const char *exec_id, int process_fd, bool is_tty,
			   bool has_stdin)
{
	struct session *s;

	TRY(need_agent(p));
	s = vm_session_new(p, exec_id);
	s->is_tty = is_tty;
	s->has_stdin = has_stdin;
	TRY(vm_send_text(p, s->id, process_fd));
	vm_send_start(p, s, 0);
	return NULL;
}

static void by_force(struct payload *p)
{
	p->is_killed = true;
	kill_qemu(p);
}

static void on_kill_timeout(void *arg)
{
	by_force(arg);
}

/* The guest gets the chance to bring its disk to rest; a frozen one has none. */
static void kill_payload(struct payload *p)
{
	if (p->is_frozen || p->is_still || p->checkpoint || p->state != VM_RUNNING) {
		by_force(p);
		return;
	}
	vm_send_signal(p, 0, SIGKILL);
	if (!p->kill_timer)
		p->kill_timer = poll_timer_new(p->host.poller, KILL_WAIT_NS, on_kill_timeout, p);
}

static struct err *vm_signal(struct payload *p, const char *exec_id, int signum)
{
	struct session *s;

	if (p->state == VM_UNDOING || p->state == VM_OVER)
		return err_new(ERR_STATE, "the VM does not run");
	if (!exec_id && signum == SIGKILL) {
		kill_payload(p);
		return NULL;
	}
	TRY(need_agent(p));
	s = vm_session_find(p, exec_id);
	if (!s)
		return err_new(ERR_NOT_FOUND, "no such exec");
	vm_send_signal(p, s->id, signum);
	return NULL;
}

static bool asks_for_an_end(int signum)
{
	return signum == SIGTERM || signum == SIGINT || signum == SIGQUIT || signum == SIGHUP ||
	       signum == SIGPWR || signum == SIGRTMIN + 3;
}

static struct err *machine_signal(struct payload *p, const char *exec_id, int signum)
{
	if (p->info.is_agent)
		return vm_signal(p, exec_id, signum);
	if (p->state == VM_UNDOING || p->state == VM_OVER)
		return err_new(ERR_STATE, "the machine does not run");
	if (signum == SIGKILL)
		by_force(p);
	else if (asks_for_an_end(signum))
		qmp_command(p->qmp, "system_powerdown", NULL, NULL);
	else if (signum != SIGWINCH)
		return err_new(ERR_UNSUPPORTED,
			       "a machine takes the signals that ask for its end, no others");
	return NULL;
}

static struct err *vm_resize(struct payload *p, const char *exec_id, unsigned short rows,
			     unsigned short cols)
{
	struct session *s;
	uint8_t body[4];

	if (!exec_id) {
		p->host.rows = rows;
		p->host.cols = cols;
	}
	if (p->state == VM_RUNNING && !p->info.is_agent)
		return NULL; /* a serial line has no size */
	TRY(need_agent(p));
	s = vm_session_find(p, exec_id);
	if (!s)
		return err_new(ERR_NOT_FOUND, "no such exec");
	agent_port_send(p->port, AGENT_RESIZE, AGENT_IN, s->id, body,
			agent_put_size(body, rows, cols));
	return NULL;
}

static struct err *vm_freeze(struct payload *p, bool on)
{
	if (p->state != VM_RUNNING)
		return err_new(ERR_STATE, "the VM does not run");
	if (p->is_frozen == on)
		return NULL;
	p->is_frozen = on;
	if (p->checkpoint || p->is_still)
		return NULL; /* it stands still anyway, and stays so or goes on afterwards */
	qmp_command(p->qmp, on ? "stop" : "cont", NULL, NULL);
	if (!on && p->info.is_agent) /* its clock stood still */
		vm_send_time(p);
	return NULL;
}

static void vm_unslice(struct payload *p)
{
	if (*p->info.cgroup)
		err_free(cgroup_freeze_ask(p->info.cgroup, false));
}

struct answer {
	void (*fn)(void *arg, struct err *e, const char *text);
	void *arg;
};

static void on_qmp_answer(void *arg, struct err *e, const char *text)
{
	struct answer *a = arg;

	a->fn(a->arg, e, text);
	free(a);
}

static struct err *query_qmp(struct payload *p, const char *command,
			     void (*answer)(void *arg, struct err *e, const char *text), void *arg)
{
	struct answer *a;

	if (p->state != VM_RUNNING)
		return err_new(ERR_STATE, "the VM does not run");
	a = xnew(struct answer);
	*a = (struct answer) { answer, arg };
	qmp_command(p->qmp, command, on_qmp_answer, a);
	return NULL;
}

/* "stats", "top": hostel-guest's; "qmp:query-status": a QMP command without arguments */
static struct err *vm_query(struct payload *p, const char *question,
			    void (*answer)(void *arg, struct err *e, const char *text), void *arg)
{
	if (!strncmp(question, "qmp:query-", 10) && !strpbrk(question + 4, "\"\\\n"))
		return query_qmp(p, question + 4, answer, arg);
	TRY(need_agent(p));
	if (p->is_frozen)
		return err_new(ERR_STATE, "the VM is paused");
	if (p->checkpoint || p->is_still)
		return err_new(ERR_STATE, "the VM stands still for its snapshot");
	(void)vm_ask(p, question, answer, arg);
	return NULL;
}

const struct payload_ops qemu_payload_ops = {
	.name = "vm",
	.start = vm_start,
	.exec = vm_exec,
	.signal = vm_signal,
	.resize = vm_resize,
	.freeze = vm_freeze,
	.checkpoint = vm_checkpoint,
	.resume = vm_resume,
	.unslice = vm_unslice,
	.query = vm_query,
	.free = vm_free,
	.undo = qemu_undo,
};

const struct payload_ops machine_payload_ops = {
	.name = "machine",
	.start = vm_start,
	.exec = vm_exec,
	.signal = machine_signal,
	.resize = vm_resize,
	.freeze = vm_freeze,
	.checkpoint = vm_checkpoint,
	.resume = vm_resume,
	.unslice = vm_unslice,
	.query = vm_query,
	.free = vm_free,
	.undo = qemu_undo,
};
