/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoint: a VM's state goes to a folder (qemu/saved.h), and it stands still then.
 *
 *	SETTLE   nothing more is sent to the guest; what was sent arrives
 *	STOP     its processors stand still
 *	DRAIN    what it sent is read: none of its bytes is under way any more
 *	WRITE    QEMU writes its stream into a pipe; a child of ours splits it into files
 *	done     QEMU is "postmigrate" and keeps its hands off the disks, until "cont"
 *
 * Whatever fails on the way: what is half written goes, and the VM runs on.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qemu/payload_int.h"
#include "qemu/saved.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define MS             1000000ll
#define SETTLE_STEP_NS (1 * MS)
#define SETTLE_NS      (30000 * MS) /* a guest on a busy host gets to read what it was sent */
#define FROZEN_NS      (10000 * MS) /* one that is frozen has nothing to do for it but QEMU */
#define ASK_NS         (200 * MS)   /* should an event be lost */
#define QUIET_ROUNDS   2
#define PIPE_BYTES     (1 << 20)

struct vm_checkpoint {
	struct payload *payload;
	int dir_fd; /* borrowed */
	void (*done)(void *arg, struct err *e, const char *text);
	void *arg;
	struct poll_timer *timer;
	int64_t give_up_ns, frozen_ns;
	bool was_stopped;  /* by its user: QEMU does not run anyway */
	bool is_migrating; /* QEMU was told to write */
	bool is_migrated;  /* and has */
	bool is_asking;    /* a question of how it goes is on its way */
	uint64_t seen;     /* bytes that came from the guest until the last round */
	int n_quiet;       /* rounds without any */
	pid_t writer;      /* 0: none (yet, or any more) */
	int pidfd, report; /* the writer's */
	struct poll_watch *watch;
	char qemu_says[160]; /* it failed; "" */
};

/* ---- the end ---- */

static void own_checkpoint_release(struct vm_checkpoint **slot)
{
	struct vm_checkpoint *c = *slot;

	if (!c)
		return;
	poll_timer_free(c->timer);
	poll_watch_free(c->watch);
	if (c->writer) {
		(void)kill(c->writer, SIGKILL);
		(void)waitpid(c->writer, NULL, 0);
	}
	own_fd_release(&c->pidfd);
	own_fd_release(&c->report);
	free(c);
}

static void run_on(struct payload *p)
{
	if (p->port)
		agent_port_hold(p->port, false);
	if (p->is_frozen)
		return;
	qmp_command(p->qmp, "cont", NULL, NULL);
	if (p->info.is_agent)
		vm_send_time(p);
}

static void remove_files(int dir_fd)
{
	static const char *const names[] = { SAVED_JSON, SAVED_STREAM, SAVED_MEMORY };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unlinkat(dir_fd, names[i], 0);
}

static void failed(struct vm_checkpoint *which, struct err *e)
{
	OWN(checkpoint) struct vm_checkpoint *c = which;
	struct payload *p = c->payload;

	p->checkpoint = NULL;
	if (c->is_migrating && !c->is_migrated)
		qmp_command(p->qmp, "migrate_cancel", NULL, NULL);
	if (c->writer) {
		(void)kill(c->writer, SIGKILL);
		(void)waitpid(c->writer, NULL, 0);
		c->writer = 0;
	}
	remove_files(c->dir_fd);
	run_on(p);
	c->done(c->arg, e, NULL);
}

void vm_checkpoint_lost(struct payload *p)
{
	OWN(checkpoint) struct vm_checkpoint *c = TAKE(p->checkpoint);

	if (c)
		c->done(c->arg,
			err_new(ERR_UNAVAILABLE, "the monitor died while its state was written"),
			NULL);
}

static int64_t size_of(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_blocks * 512ll;
}

static void succeeded(struct vm_checkpoint *which)
{
	OWN(checkpoint) struct vm_checkpoint *c = which;
	struct payload *p = c->payload;
	char text[128];

	p->checkpoint = NULL;
	p->is_still = true;
	snprintf(text, sizeof(text), "{\"bytes\":%" PRId64 ",\"frozen_ns\":%" PRId64 "}",
		 size_of(c->dir_fd, SAVED_MEMORY) + size_of(c->dir_fd, SAVED_STREAM) +
		     size_of(c->dir_fd, SAVED_JSON),
		 clock_boot_ns() - c->frozen_ns);
	c->done(c->arg, NULL, text);
}

/* ---- WRITE ---- */

static void both_done(struct vm_checkpoint *c)
{
	if (c->is_migrated && !c->writer)
		succeeded(c);
}

static struct err *writers_word(struct vm_checkpoint *c)
{
	char text[400];
	ssize_t n = read(c->report, text, sizeof(text) - 1);

	if (n <= 0)
		return err_new(ERR_INTERNAL, "what writes its state died");
	text[n] = '\0';
	return err_new((enum err_kind)(text[0] - 'A'), "%s", text + 1);
}

static struct err *qemus_word(const struct vm_checkpoint *c)
{
	return err_new(ERR_UNAVAILABLE, "qemu: its state was not written: %s", c->qemu_says);
}

/* QEMU's reason is the better one, unless it is that nobody read what it wrote. */
static struct err *why_failed(struct vm_checkpoint *c)
{
	OWN(err) struct err *e = writers_word(c);
	struct err *taken = e;

	if (*c->qemu_says && err_kind(e) == ERR_CORRUPT)
		return qemus_word(c);
	e = NULL;
	return taken;
}

static void on_writer(void *arg, short revents)
{
	struct vm_checkpoint *c = arg;
	int status = 0;

	if (waitpid(c->writer, &status, WNOHANG) != c->writer)
		return;
	c->writer = 0;
	poll_watch_free(TAKE(c->watch));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		failed(c, why_failed(c));
	else if (*c->qemu_says)
		failed(c, qemus_word(c));
	else
		both_done(c);
}

static void ask(void *arg);

static void on_state(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;
	struct vm_checkpoint *c = p->checkpoint;
	OWN(err) struct err *error = e;

	if (!c)
		return; /* given up meanwhile */
	c->is_asking = false;
	if (!e && streq(text, "completed")) {
		c->is_migrated = true;
		both_done(c);
		return;
	}
	if (!e && (!strncmp(text, "failed", 6) || streq(text, "cancelled"))) {
		c->is_migrating =
		    false; /* its pipe is closed: the writer ends, and both are heard */
		snprintf(c->qemu_says, sizeof(c->qemu_says), "%s", text);
		if (!c->writer)
			failed(c, qemus_word(c));
		return;
	}
	poll_timer_free(TAKE(c->timer));
	c->timer = poll_timer_new(p->host.poller, ASK_NS, ask, c);
}

static void ask(void *arg)
{
	struct vm_checkpoint *c = arg;

	poll_timer_free(TAKE(c->timer));
	if (c->is_migrated || c->is_asking)
		return;
	c->is_asking = true;
	qmp_command(c->payload->qmp, "query-migrate", on_state, c->payload);
}

void vm_checkpoint_event(struct payload *p)
{
	if (p->checkpoint->is_migrating)
		ask(p->checkpoint);
}

/* One command of several: the first that fails is the reason. */
static void on_command(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;

	if (e && p->checkpoint)
		failed(p->checkpoint, e);
	else
		err_free(e);
}

static void note_sessions(const struct payload *p, struct saved_state *st)
{
	for (const struct session *s = p->sessions; s; s = s->next) {
		if (s->id) {
			if (st->n_execs < SAVED_EXECS)
				st->execs[st->n_execs++] = s->id;
			continue;
		}
		st->is_tty = s->is_tty;
		st->has_stdin = s->has_stdin || s->is_tty;
		if (s->in)
			st->in = agent_source_state(s->in);
		if (s->out)
			st->out = agent_sink_state(s->out);
		if (s->err)
			st->err = agent_sink_state(s->err);
	}
}

/* What a new shim has to send too: what belongs to the payload itself. */
static void keep_unsent(struct payload *p, struct str *ret)
{
	size_t left, used = 0;
	const uint8_t *at = agent_port_unsent(p->port, &left);
	struct agent_frame f;

	for (; left && agent_decode(at, left, &f, &used) == AGENT_FRAME; at += used, left -= used)
		if (!f.session && f.type != AGENT_TIME && ret->len < SAVED_PORT_MAX)
			str_add(ret, at, used);
}

_Noreturn static void write_all(struct vm_checkpoint *c, int from, int report)
{
	struct payload *p = c->payload;
	struct saving s = { .state_dir = p->state_dir, .dir_fd = c->dir_fd, .from = from };
	struct str unsent = { 0 };
	size_t n = 0;
	struct err *e;
	OWN(mem) char *text = NULL;

	s.state.qemu = (uint32_t)qmp_version(p->qmp);
	s.state.last_id = p->last_id;
	if (p->info.is_agent) {
		note_sessions(p, &s.state);
		s.unread = agent_port_unread(p->port, &n);
		s.state.n_unread = (uint32_t)n;
		keep_unsent(p, &unsent);
		s.unsent = unsent.buf;
		s.state.n_unsent = (uint32_t)unsent.len;
	}
	e = saved_write(&s);
	if (e) {
		text = xasprintf("%c%s", 'A' + (int)err_kind(e), err_text(e));
		err_free(fd_write_all(report, text, strlen(text)));
	}
	_exit(e != NULL);
}

static struct err *fork_writer(struct vm_checkpoint *c, int from, int to)
{
	int report;

	TRY(fd_pipe(&c->report, &report));
	c->writer = fork();
	if (!c->writer) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(to); /* or its end would never come */
		write_all(c, from, report);
	}
	close(report);
	if (c->writer < 0) {
		c->writer = 0;
		return err_sys(errno, "fork");
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->writer, 0);
	if (c->pidfd < 0)
		return err_sys(errno, "pidfd");
	c->watch = poll_watch_new(c->payload->host.poller, c->pidfd, POLLIN, on_writer, c);
	return NULL;
}

static struct err *begin_write(struct vm_checkpoint *c)
{
	struct payload *p = c->payload;
	OWN(fd) int from = -1;
	OWN(fd) int to = -1;

	TRY(fd_pipe(&from, &to));
	(void)fcntl(to, F_SETPIPE_SZ, PIPE_BYTES);
	TRY(fork_writer(c, from, to));
	TRY(qmp_pass_fd(p->qmp, "state", to, on_command, p));
	/* As fast as it goes: the limit is for networks. */
	qmp_execute(p->qmp, "migrate-set-parameters", "{\"max-bandwidth\":1125899906842624}",
		    on_command, p);
	qmp_execute(p->qmp, "migrate-set-capabilities",
		    "{\"capabilities\":[{\"capability\":\"events\",\"state\":true}]}", on_command,
		    p);
	qmp_execute(p->qmp, "migrate", "{\"uri\":\"fd:state\"}", on_command, p);
	c->is_migrating = true;
	c->timer = poll_timer_new(p->host.poller, ASK_NS, ask, c);
	return NULL;
}

/* ---- DRAIN ---- */

static void drain(struct vm_checkpoint *c);

/* QEMU went once around its loop: had it something to pass on, it is there now. */
static void on_round(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;

	if (e && p->checkpoint)
		failed(p->checkpoint, e);
	else if (p->checkpoint)
		drain(p->checkpoint);
}

static void make_room(struct payload *p)
{
	for (struct session *s = p->sessions; s; s = s->next) {
		if (s->out)
			agent_sink_make_room(s->out);
		if (s->err)
			agent_sink_make_room(s->err);
	}
}

static void drain(struct vm_checkpoint *c)
{
	struct payload *p = c->payload;
	uint64_t n = p->info.is_agent ? agent_port_read_all(p->port) : 0;
	struct err *e;

	if (p->has_code) {
		failed(c, err_new(ERR_STATE, "it ended meanwhile"));
		return;
	}
	c->n_quiet = n == c->seen ? c->n_quiet + 1 : 0;
	c->seen = n;
	if (c->n_quiet < QUIET_ROUNDS) {
		qmp_command(p->qmp, "query-status", on_round, p);
		return;
	}
	make_room(p);
	e = begin_write(c);
	if (e)
		failed(c, e);
}

/* ---- STOP ---- */

static void on_stopped(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;
	struct vm_checkpoint *c = p->checkpoint;

	if (!c) {
		err_free(e);
		return;
	}
	if (e) {
		failed(c, e);
		return;
	}
	drain(c);
}

/* ---- SETTLE ---- */

static void settle(void *arg)
{
	struct vm_checkpoint *c = arg;
	struct payload *p = c->payload;

	poll_timer_free(TAKE(c->timer));
	if (p->info.is_agent && !agent_port_has_arrived(p->port)) {
		if (clock_boot_ns() > c->give_up_ns)
			failed(c, err_new(ERR_UNAVAILABLE,
					  "the guest does not take what was sent to it%s",
					  c->was_stopped ? ": it is paused" : ""));
		else
			c->timer = poll_timer_new(p->host.poller, SETTLE_STEP_NS, settle, c);
		return;
	}
	c->frozen_ns = clock_boot_ns();
	if (c->was_stopped)
		on_stopped(p, NULL, NULL);
	else
		qmp_command(p->qmp, "stop", on_stopped, p);
}

static struct err *may_be_saved(const struct payload *p)
{
	if (p->state != VM_RUNNING || p->has_code)
		return err_new(ERR_STATE, "the VM does not run");
	if (p->checkpoint || p->is_still)
		return err_new(ERR_STATE, "its state is being written already");
	if (*p->info.in_place)
		return err_new(ERR_UNSUPPORTED,
			       "the disk %s is used in place, and a snapshot holds only disks of "
			       "the instance's own (overlay, or a new one)",
			       p->info.in_place);
	return NULL;
}

struct err *vm_checkpoint(struct payload *p, int dir_fd,
			  void (*done)(void *arg, struct err *e, const char *text), void *arg)
{
	struct vm_checkpoint *c;

	TRY(may_be_saved(p));
	c = xnew(struct vm_checkpoint);
	*c = (struct vm_checkpoint) { .payload = p,
				      .dir_fd = dir_fd,
				      .done = done,
				      .arg = arg,
				      .was_stopped = p->is_frozen,
				      .pidfd = -1,
				      .report = -1 };
	c->give_up_ns = clock_boot_ns() + (p->is_frozen ? FROZEN_NS : SETTLE_NS);
	if (p->info.is_agent)
		agent_port_hold(p->port, true);
	c->timer = poll_timer_new(p->host.poller, 0, settle, c);
	p->checkpoint = c;
	return NULL;
}

struct err *vm_resume(struct payload *p)
{
	if (!p->is_still)
		return err_new(ERR_STATE, "the VM does not stand still");
	p->is_still = false;
	run_on(p);
	return NULL;
}
